//! Where each element belongs: levels, chunks, shards, epochs and batches, as plain arithmetic on plain values.
//!
//! Vocabulary: *append dimensions* are the leading ones along which data grows; the others are *inner*. An *epoch* is all
//! chunks that share one append coordinate; a *batch* is K epochs compressed together. A *level* is one resolution of the
//! pyramid, 0 the full one. Lists over dimensions are in **storage order**, slowest first, unless a name says acquisition.

mod advice;
mod array;
mod batch;
mod epochs;
mod index;
mod level;
mod places;
mod plan;
mod scatter;
mod sizing;

#[cfg(test)]
mod advice_tests;
#[cfg(test)]
mod tests;

pub use advice::{Advice, AdviceFailure, AdviceReason, AdviceRequest, DimensionRatio, PARTS_PER_SHARD_MAX, advise};
pub use array::ArrayGeometry;
pub use batch::{BatchLayout, BatchTables, LevelBatch};
pub use epochs::{EPOCHS_PER_BATCH_MAX, active_epochs_max, emits_at, epochs_per_batch};
pub use index::{ravel, unravel};
pub use level::LevelGeometry;
pub use places::Places;
pub use plan::{LevelPlan, plan_levels};
pub use scatter::Scatter;
pub use sizing::{BufferSize, CodecBounds, MemoryEstimate, Placement, estimate_memory};

pub(crate) use array::check;
pub(crate) use sizing::scatters_to_shards;
