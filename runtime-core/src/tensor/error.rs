//! What can be wrong with a tensor, each with the dimension or count and its bound.

use super::layout::{MAX_BUFFER_BYTES, MAX_DIMENSIONS};

/// Why a tensor or a view of one was refused. Nothing has been created when one of these is returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// More dimensions than a tensor can have.
    #[error("a tensor of {dimensions} dimensions: at most {MAX_DIMENSIONS} are possible; reshape it first")]
    TooManyDimensions {
        /// The dimensions asked for.
        dimensions: usize,
    },
    /// A list with one value per dimension has another length.
    #[error("{count} {what} were given for a tensor of {dimensions} dimensions; give one per dimension")]
    CountMismatch {
        /// What the list holds, such as `offsets`.
        what: &'static str,
        /// The length of the list.
        count: usize,
        /// The dimensions of the tensor.
        dimensions: usize,
    },
    /// A dimension that the tensor does not have.
    #[error("dimension {dimension} of a tensor of {dimensions} dimensions; they are counted from 0")]
    NoSuchDimension {
        /// The dimension asked for.
        dimension: usize,
        /// The dimensions of the tensor.
        dimensions: usize,
    },
    /// A stride that is not positive.
    #[error(
        "stride {stride} of dimension {dimension}: strides are at least 1 (no broadcast, no reversal); copy the tensor instead"
    )]
    StrideNotPositive {
        /// The dimension.
        dimension: usize,
        /// The stride asked for, in elements.
        stride: i64,
    },
    /// A stride that a descriptor cannot hold.
    #[error("stride {stride} of dimension {dimension} is beyond {}; split the tensor into smaller buffers", u32::MAX)]
    StrideTooLarge {
        /// The dimension.
        dimension: usize,
        /// The stride that would be needed, in elements.
        stride: u64,
    },
    /// A shape with more bytes than any buffer has.
    #[error("shape {shape:?} of {data_type} needs more than {MAX_BUFFER_BYTES} bytes, the largest buffer")]
    TooLarge {
        /// The shape asked for.
        shape: Vec<u32>,
        /// The element type.
        data_type: super::DataType,
    },
    /// A buffer that is larger than any buffer can be, or that runs past the end of the address space.
    #[error(
        "a buffer of {bytes} bytes at address {address:#x}: at most {MAX_BUFFER_BYTES} bytes are possible, all below 2^64"
    )]
    BufferTooLarge {
        /// The address of its first byte.
        address: u64,
        /// Its size.
        bytes: u64,
    },
    /// A buffer whose address does not fit the element type.
    #[error("address {address:#x} is no multiple of {bytes}, the size of one {data_type}; align the buffer")]
    Misaligned {
        /// The address of the buffer.
        address: u64,
        /// The size of an element.
        bytes: u64,
        /// The element type.
        data_type: super::DataType,
    },
    /// A tensor that reaches past the end of its buffer.
    #[error("elements {start} to {end} reach past the buffer, which holds {capacity} of {data_type}")]
    PastBuffer {
        /// The first element.
        start: u64,
        /// One past the last element.
        end: u64,
        /// The whole elements that the buffer holds.
        capacity: u64,
        /// The element type.
        data_type: super::DataType,
    },
    /// A view that reaches past a dimension of its parent.
    #[error("a view of {length} elements at offset {offset} of dimension {dimension} reaches past its length {bound}")]
    PastDimension {
        /// The dimension.
        dimension: usize,
        /// The offset in that dimension.
        offset: u32,
        /// The length in that dimension.
        length: u32,
        /// The length of the parent in that dimension.
        bound: u32,
    },
    /// A slice whose end lies past the dimension or before its start.
    #[error("slice {start}..{end} of dimension {dimension}: start <= end <= {bound} must hold")]
    SliceOutOfRange {
        /// The dimension.
        dimension: usize,
        /// The first index.
        start: u32,
        /// One past the last index.
        end: u32,
        /// The length of the dimension.
        bound: u32,
    },
    /// A slice that never gets anywhere.
    #[error("slice step 0 of dimension {dimension}: a step is at least 1")]
    ZeroStep {
        /// The dimension.
        dimension: usize,
    },
    /// A permutation that names a dimension twice.
    #[error(
        "permutation {order:?} names dimension {dimension} twice; it names each of the {dimensions} dimensions once"
    )]
    RepeatedDimension {
        /// The permutation.
        order: Vec<usize>,
        /// The repeated dimension.
        dimension: usize,
        /// The dimensions of the tensor.
        dimensions: usize,
    },
    /// A new shape with another number of elements.
    #[error("reshape to {shape:?} needs {given} elements, the tensor has {elements}")]
    ElementCountMismatch {
        /// The new shape.
        shape: Vec<u32>,
        /// The elements of the new shape.
        given: u128,
        /// The elements of the tensor.
        elements: u64,
    },
    /// A reshape of a tensor whose elements do not lie one after the other.
    #[error(
        "only a contiguous tensor can be reshaped: stride {stride} of dimension {dimension} would have to be {bound}; copy it first"
    )]
    NotContiguous {
        /// The first dimension, from the innermost, that is out of line.
        dimension: usize,
        /// Its stride in elements.
        stride: u32,
        /// The stride that a contiguous tensor of this shape has there.
        bound: u64,
    },
    /// An index past its dimension.
    #[error("index {index} of dimension {dimension} is past its length {bound}")]
    IndexOutOfRange {
        /// The dimension.
        dimension: usize,
        /// The index.
        index: u32,
        /// The length of the dimension.
        bound: u32,
    },
}
