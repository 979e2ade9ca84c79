//! Shape, strides and element type, checked once.

use super::{DataType, TensorError};

/// The most dimensions that a tensor has.
pub const MAX_DIMENSIONS: usize = 5;

/// The largest buffer in bytes, 2^61. It keeps every sum of two extents within 64 bits with a sign.
pub const MAX_BUFFER_BYTES: u64 = 1 << 61;

/// Shape, strides and element type of a tensor, without a place in memory: what an output is asked for with.
///
/// A dimension of length 1 or 0 may carry any stride, since it is never stepped along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct TensorLayout {
    pub(super) shape: [u32; MAX_DIMENSIONS],
    pub(super) strides: [u32; MAX_DIMENSIONS],
    pub(super) data_type: DataType,
    pub(super) dimensions: u8,
    /// Says that these bytes are written, too: tensors are compared by words.
    pub(super) unused: [u8; 2],
}

impl TensorLayout {
    /// A row-major layout: the last dimension is contiguous. No dimension at all means a single element.
    ///
    /// # Errors
    ///
    /// More than [`MAX_DIMENSIONS`] dimensions, more bytes than [`MAX_BUFFER_BYTES`], a stride beyond `u32::MAX`.
    pub fn row_major(shape: &[u32], data_type: DataType) -> Result<TensorLayout, TensorError> {
        let mut layout = TensorLayout::unit(shape, data_type)?;
        if shape.iter().fold(1u128, |product, &length| product.saturating_mul(u128::from(length)))
            > u128::from(MAX_BUFFER_BYTES / data_type.bytes())
        {
            return Err(TensorError::TooLarge { shape: shape.to_vec(), data_type });
        }
        let mut stride = 1u64;
        for dimension in (0..shape.len()).rev() {
            layout.strides[dimension] = layout.fitting_stride(dimension, stride)?;
            stride = stride.saturating_mul(u64::from(shape[dimension].max(1)));
        }
        Ok(layout)
    }

    /// A layout with a stride of its own for each dimension, in elements. Elements may lie closer than a row-major
    /// layout would put them and may even coincide.
    ///
    /// # Errors
    ///
    /// Those of [`TensorLayout::row_major`], strides of another number than the shape's, a stride below 1.
    pub fn strided(shape: &[u32], strides: &[i64], data_type: DataType) -> Result<TensorLayout, TensorError> {
        let mut layout = TensorLayout::unit(shape, data_type)?;
        if strides.len() != shape.len() {
            return Err(TensorError::CountMismatch { what: "strides", count: strides.len(), dimensions: shape.len() });
        }
        let mut extent = 1u128;
        for (dimension, &stride) in strides.iter().enumerate() {
            let positive = u64::try_from(stride).ok().filter(|&stride| stride > 0);
            let positive = positive.ok_or(TensorError::StrideNotPositive { dimension, stride })?;
            layout.strides[dimension] = layout.fitting_stride(dimension, positive)?;
            extent +=
                u128::from(shape[dimension].saturating_sub(1)).saturating_mul(u128::from(layout.strides[dimension]));
        }
        let elements = shape.iter().fold(1u128, |product, &length| product.saturating_mul(u128::from(length)));
        if elements != 0 && extent.max(elements) > u128::from(MAX_BUFFER_BYTES / data_type.bytes()) {
            return Err(TensorError::TooLarge { shape: shape.to_vec(), data_type });
        }
        Ok(layout)
    }

    /// The shape with unused dimensions at length 1 and every stride at 1.
    fn unit(shape: &[u32], data_type: DataType) -> Result<TensorLayout, TensorError> {
        if shape.len() > MAX_DIMENSIONS {
            return Err(TensorError::TooManyDimensions { dimensions: shape.len() });
        }
        let mut lengths = [1; MAX_DIMENSIONS];
        lengths[..shape.len()].copy_from_slice(shape);
        Ok(TensorLayout {
            shape: lengths,
            strides: [1; MAX_DIMENSIONS],
            data_type,
            dimensions: shape.len() as u8,
            unused: [0; 2],
        })
    }

    /// `stride` as a descriptor holds it. One that nobody steps along is cut to what fits.
    pub(super) fn fitting_stride(&self, dimension: usize, stride: u64) -> Result<u32, TensorError> {
        match u32::try_from(stride) {
            Ok(stride) => Ok(stride),
            Err(_) if self.shape[dimension] <= 1 => Ok(u32::MAX),
            Err(_) => Err(TensorError::StrideTooLarge { dimension, stride }),
        }
    }

    /// The number of dimensions, 0 to [`MAX_DIMENSIONS`].
    #[inline]
    pub const fn dimensions(&self) -> usize {
        self.dimensions as usize
    }

    /// The length of each dimension, in elements.
    #[inline]
    pub fn shape(&self) -> &[u32] {
        &self.shape[..self.dimensions()]
    }

    /// The distance between neighbours along each dimension, in elements.
    #[inline]
    pub fn strides(&self) -> &[u32] {
        &self.strides[..self.dimensions()]
    }

    /// The element type.
    #[inline]
    pub const fn data_type(&self) -> DataType {
        self.data_type
    }

    /// The number of elements, 0 if any dimension is empty.
    #[inline]
    pub fn elements(&self) -> u64 {
        if self.is_empty() { 0 } else { self.shape.iter().map(|&length| u64::from(length)).product() }
    }

    /// Whether there is no element at all.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// The elements from the first to the last one, both included and gaps counted; 0 if there is none.
    #[inline]
    pub fn extent(&self) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let steps = self.shape.iter().zip(&self.strides);
        1 + steps.map(|(&length, &stride)| u64::from(length - 1) * u64::from(stride)).sum::<u64>()
    }

    /// The bytes from the first to the last element, gaps counted: what a buffer for this layout needs.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.extent() * self.data_type.bytes()
    }

    /// Whether the elements lie one after the other in row-major order.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.check_contiguous().is_ok()
    }

    pub(super) fn check_contiguous(&self) -> Result<(), TensorError> {
        if self.is_empty() {
            return Ok(());
        }
        let mut bound = 1u64;
        for dimension in (0..self.dimensions()).rev() {
            let length = u64::from(self.shape[dimension]);
            let stride = self.strides[dimension];
            if length > 1 && u64::from(stride) != bound {
                return Err(TensorError::NotContiguous { dimension, stride, bound });
            }
            bound *= length;
        }
        Ok(())
    }

    /// Whether the layouts are equal: as `==`, without a branch for each part.
    #[inline]
    pub fn same_as(&self, other: &TensorLayout) -> bool {
        let differ = |mine: &[u32; MAX_DIMENSIONS], others: &[u32; MAX_DIMENSIONS]| {
            mine.iter().zip(others).fold(0, |differ, (mine, others)| differ | (mine ^ others))
        };
        let kinds = (self.data_type as u8 ^ other.data_type as u8) | (self.dimensions ^ other.dimensions);
        differ(&self.shape, &other.shape) | differ(&self.strides, &other.strides) | u32::from(kinds) == 0
    }

    /// A hash of shape, strides and element type. Equal layouts have equal hashes.
    #[inline]
    pub(super) fn hash(&self) -> u32 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut hash = u64::from(self.data_type as u8) << 8 | u64::from(self.dimensions);
        for (&length, &stride) in self.shape.iter().zip(&self.strides) {
            let word = u64::from(length) << 32 | u64::from(stride);
            hash = (hash.rotate_left(23) ^ word).wrapping_mul(ODD);
        }
        (hash >> 32) as u32
    }
}
