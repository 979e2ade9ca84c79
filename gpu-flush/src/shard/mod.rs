//! Shard packing: runs of compressed chunks, the tail carried between batches, the index.
//!
//! A shard is a file of chunks without gaps, followed by an index of (offset, length) pairs and the index's CRC32C, as the
//! Zarr v3 `sharding_indexed` codec lays it out with its index at the end.

mod index;
mod set;

#[cfg(test)]
mod tests;

pub use index::{INDEX_ENTRY_BYTES, ShardIndex};
pub use set::{Delivered, Delivery, ShardSet};
