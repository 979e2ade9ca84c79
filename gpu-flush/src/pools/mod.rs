//! Buffers that are reached only through an acquire and left only through a release.
