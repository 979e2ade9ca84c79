//! Zarr v3 documents and the extent they advertise.
//!
//! Documents are plain serde structs. The [`Publisher`] of an array writes them when the store is made, again whenever a shard
//! was closed and its writes have retired, and a last time at the end; readers follow an extent only into finished shards.

mod document;
mod publisher;

#[cfg(test)]
mod tests;

pub use document::{ArrayDocument, Extension, GroupDocument, array_document};
pub use publisher::Publisher;
