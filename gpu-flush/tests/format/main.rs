//! The store as its readers see it: every test writes through the public writer and reads by the Zarr rules.

mod codecs;
mod interop;
mod layout;
#[cfg(feature = "program")]
mod program;
mod pyramid;
mod store;
mod support;
