//! The schedule from the inside: traces, proofs, mutations, failures.

mod calls;
mod exits;
mod failures;
pub(crate) mod faulty;
mod golden;
mod measures;
mod mutations;
mod proof;
mod rules;
pub(crate) mod setup;
mod several;
pub(crate) mod sinks;
mod tail;
