//! The schedule: when batches are kicked and drained, in one of three shapes. It decides order and touches no payload; stages
//! carry payload and decide nothing.

mod array;
mod batch;
mod buffers;
mod drain;
mod engine;
mod finish;
mod gate;
mod handover;
mod ingest;
mod kick;
mod levels;
mod shape;
mod slots;

#[cfg(test)]
mod tests;

pub use shape::{Selection, Shape};

pub(crate) use array::{Array, ArrayPlan, BackPressure};
pub(crate) use engine::Engine;
