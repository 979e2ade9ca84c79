//! Reduction and folding, as pure functions over slices.
//!
//! [`reduce`] makes the image of a level from the image of the level above it; [`fold_frames`] and [`emit_frames`] combine
//! frames along the append dimension. Images are little-endian, unpadded and in acquisition order. Nothing here allocates
//! for mean, min and max.

mod dispatch;
mod element;
mod fold;
mod rank;
mod window;

#[cfg(test)]
mod tests;

pub use dispatch::{FoldShape, accumulator_bytes, emit_frames, fold_frames, reduce};
