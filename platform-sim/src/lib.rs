//! The simulated chip that all NPU platforms share: cores that take a dispatch through registers and run real kernels on real memory.
//!
//! [`Sim`] implements the `Platform` trait once; which chip it is, is data. How kernels come to run is the [`Engine`]; how registers are reached is
//! the [`bus::RegisterBus`]; bytes are [`SimMemory`]'s.

pub mod bus;
mod clock;
mod cohort;
mod config;
mod core;
mod deferred;
mod execute;
mod fault;
mod kernels;
mod library;
mod lifecycle;
mod memory;
mod platform;
mod pool;
mod random;
mod recorder;
mod services;
mod sim;
mod virtual_time;

pub use config::{Engine, SimConfig};
pub use fault::Fault;
pub use library::{KernelLibrary, LibraryError};
pub use memory::SimMemory;
pub use random::Random;
pub use recorder::Execution;
pub use sim::Sim;
pub use virtual_time::{Actors, Injection, Shape, Stepped, VirtualSim, model_ns};
