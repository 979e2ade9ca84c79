//! The lock-free types, the [`platform::Platform`] trait and the vocabulary that the rest of Prewire speaks.
//!
//! Orchestrator and scheduler do not know each other; they meet here, in a [`graph::Graph`] of slots, edges, queues and a cancellation word for each run.
//! Nothing here starts a thread, makes a policy, or allocates after construction, and all atomics come through [`sync`].

pub mod arguments;
pub mod chip;
pub mod consumers;
pub mod edge;
pub mod error;
pub mod gate;
pub mod graph;
pub mod id;
pub mod inbox;
pub mod kernel;
pub mod memory;
pub mod platform;
pub mod port;
pub mod ready;
pub mod run;
pub mod settings;
pub mod slot;
pub mod sync;
pub mod task;
pub mod tensor;
pub mod waiting;

#[cfg(test)]
mod models;
