//! Streams arrays through a device into sharded Zarr v3, in fixed memory, with every stage overlapped.
//!
//! The crate has two sides. The format side says where each element belongs and what the store looks like; it is pure
//! arithmetic and bytes. The engine side moves the data there: a device with streams, a table of edges, pools that are reached
//! only through them, stages that carry payload only, and one schedule.

// What an array is and where its elements go.
pub mod config;
pub mod dtype;
pub mod error;
pub mod geometry;
pub mod settings;

// What the store looks like.
pub mod codec;
pub mod ngff;
pub mod pyramid;
pub mod shard;
pub mod sink;
pub mod zarr;

// How the data gets there.
pub mod checked;
pub mod device;
pub mod edges;
pub mod metrics;
pub mod pools;
pub mod schedule;
pub mod stages;
pub mod writer;

// The command that writes a file or a pipe as a store.
#[cfg(feature = "program")]
pub mod program;

#[cfg(test)]
mod testing;

pub use config::{ArrayConfig, CodecConfig, Dimension, EngineConfig, ReduceMethod};
pub use dtype::DataType;
pub use error::Error;
