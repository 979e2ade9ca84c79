//! The store as its readers see it: every test writes through the public writer and reads by the Zarr rules.

mod aggregate;
mod codecs;
mod failures;
mod interop;
mod layout;
#[cfg(feature = "program")]
mod program;
mod pyramid;
#[cfg(feature = "s3")]
mod s3;
mod shared;
mod store;
mod support;
