//! Streams arrays through a device into sharded Zarr v3, in fixed memory, with every stage overlapped.
