//! The chip in virtual time: orchestrator, schedulers and cores as actors on one thread, with the chip's latencies, in an order that a seed decides.
//!
//! The orchestrator's program runs on the thread that called it. Before each of its calls takes effect, everything that the others do earlier is done. A
//! scheduler instance acts by its ordinary step: the step sweeps over the registers of its busy cores, each read at its own moment, and what it does
//! takes effect when the sweep ends; what it then pays for (tokens, completions, consumers) delays its next step. So a step is one event, and other
//! instances may see what it did earlier than they would on a chip, by the length of what it does behind its sweep. A core is two events: the start of a
//! kernel, and its end, where the kernel computes.
//!
//! Instances that find nothing go on looking, as they do on a chip. Those rounds are not played one by one: an instance that is idle acts again in the
//! first round that can see something new.

mod actors;
mod advance;
mod audit;
mod baton;
mod cores;
mod cost;
mod events;
mod instances;
mod platform;
mod sim;
mod world;

pub(crate) use baton::{is_by_baton, pass_on};

pub use actors::{Actors, Injection, Stepped};
pub use cost::{Shape, model_ns};
pub use sim::VirtualSim;
