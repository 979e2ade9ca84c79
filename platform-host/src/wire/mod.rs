//! The arguments of a task as they lie in a worker's frame: one header, the tensors, the scalars.
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 63 | the [`FrameHeader`]: magic, version, length, counts, and which block of which task it is |
//! | 64 for each tensor | a [`WireTensor`]: buffer and offset, shape, strides, element type, tag |
//! | 8 for each scalar | the scalar's cell |
//!
//! All numbers are little-endian. The length counts the whole blob and is the first thing that is checked. Memory is named by buffer and offset, never by
//! an address, so that a blob means the same in every process.

mod decode;
mod encode;
mod layout;
#[cfg(test)]
mod tests;

pub use decode::{TaskArgsView, WireError};
pub use encode::{BlobTooLarge, Call, Locate, encode};
pub use layout::{
    FRAME_CAPACITY, FrameHeader, LAYOUT_HASH, MAGIC, MAX_WIRE_SCALARS, MAX_WIRE_TENSORS, VERSION, WireTensor,
};
