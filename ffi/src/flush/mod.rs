//! The streaming writer: arrays to sharded Zarr v3, in fixed memory.

pub mod array;
pub mod metrics;
pub mod settings;
pub mod sink;
pub mod writer;
