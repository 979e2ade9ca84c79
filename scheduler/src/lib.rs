//! Runs task graphs: ready queues, placement, dispatch, completion, watchdog, diagnostics.
//!
//! A [`SchedulerGroup`] is what all scheduler instances of a runtime share; each [`Scheduler`] owns whole clusters and is driven by calling
//! [`Scheduler::step`] over and over. Nothing here starts a thread. The scheduler never looks at tensor data, except that it asks the platform for
//! a predicate's operand, and it knows neither the orchestrator nor any chip.
//!
//! # The rooms
//!
//! - `tracker`: which cores are idle, running or full, as plain values;
//! - `dispatch`: from a queue to a core, for single blocks, blocks of a cluster, directed tasks and pre-loading;
//! - `gang`: tasks whose blocks start together;
//! - `complete`: from the end of a block to the release of its task, and `retire` for tasks that need no core;
//! - `deferred`: tasks that wait for counters after their kernels returned;
//! - `watchdog` and `stall`: what stands still, for how long, and how that is reported.

mod complete;
mod config;
mod deferred;
mod dispatch;
mod gang;
mod group;
mod instance;
mod retire;
mod scheduler;
mod stall;
mod tracker;
mod watchdog;

pub use config::SchedulerConfig;
pub use group::SchedulerGroup;
pub use scheduler::{Scheduler, Step};

/// Why a lock cannot be poisoned.
const POISON: &str = "no code panics while it holds one of the scheduler's locks";
