//! Runs task graphs: ready queues, placement, dispatch, completion, watchdog, diagnostics.
//!
//! A [`SchedulerGroup`] is what all scheduler instances of a runtime share; each [`Scheduler`] owns whole clusters and is driven by calling
//! [`Scheduler::step`] over and over. Nothing here starts a thread. The scheduler never looks at tensor data, except that it asks the platform for
//! a predicate's operand, and it knows neither the orchestrator nor any chip.

mod config;
mod group;
mod scheduler;

pub use config::SchedulerConfig;
pub use group::SchedulerGroup;
pub use scheduler::{Scheduler, Step};
