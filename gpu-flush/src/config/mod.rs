//! What the user says about an array and about the engine, checked before anything is allocated.

mod array;
mod codec;
mod dimension;
mod engine;
mod reduce;
mod validate;

pub use array::{ArrayBuilder, ArrayConfig, FillValue};
pub use codec::{BloscCompressor, BloscShuffle, CodecConfig};
pub use dimension::{AxisKind, Dimension};
pub use engine::{DeviceChoice, EngineConfig};
pub use reduce::ReduceMethod;
pub use validate::{LEVELS_MAX, RANK_MAX};
