//! The command that writes a file or a pipe as a Zarr store.
