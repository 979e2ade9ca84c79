//! The schedule from the inside: traces, proofs, mutations, failures.

mod golden;
mod mutations;
mod proof;
pub(crate) mod setup;
mod tail;
