//! Views: other descriptions of the same bytes. None of them copies, all keep buffer, owner and scope.

use super::{MAX_DIMENSIONS, Tensor, TensorError, TensorLayout};

impl Tensor {
    /// The box of `shape` elements whose corner lies at `offsets`.
    ///
    /// An empty box is legal at any offset within bounds; it keeps the start of its parent.
    ///
    /// # Errors
    ///
    /// The lists are not one value per dimension, or the box reaches past a dimension.
    pub fn view(&self, shape: &[u32], offsets: &[u32]) -> Result<Tensor, TensorError> {
        let dimensions = self.dimensions();
        for (what, count) in [("lengths", shape.len()), ("offsets", offsets.len())] {
            if count > MAX_DIMENSIONS {
                return Err(TensorError::TooManyDimensions { dimensions: count });
            }
            if count != dimensions {
                return Err(TensorError::CountMismatch { what, count, dimensions });
            }
        }
        let mut layout = self.layout;
        let mut start = self.start();
        for dimension in 0..dimensions {
            let (length, offset, bound) = (shape[dimension], offsets[dimension], self.shape()[dimension]);
            if offset.checked_add(length).is_none_or(|end| end > bound) {
                return Err(TensorError::PastDimension { dimension, offset, length, bound });
            }
            layout.shape[dimension] = length;
            start = start.saturating_add(u64::from(offset) * u64::from(self.strides()[dimension]));
        }
        Ok(self.seen_as(if layout.is_empty() { self.start() } else { start }, layout))
    }

    /// Every `step`-th index from `start` up to but not including `end` of one dimension, all of the others.
    ///
    /// # Errors
    ///
    /// There is no such dimension, the range is not within it, the step is 0, or the new stride is beyond `u32::MAX`.
    pub fn slice(&self, dimension: usize, start: u32, end: u32, step: u32) -> Result<Tensor, TensorError> {
        self.check_dimension(dimension)?;
        let bound = self.shape()[dimension];
        if step == 0 {
            return Err(TensorError::ZeroStep { dimension });
        }
        if start > end || end > bound {
            return Err(TensorError::SliceOutOfRange { dimension, start, end, bound });
        }
        let stride = u64::from(self.strides()[dimension]);
        let mut layout = self.layout;
        layout.shape[dimension] = (end - start).div_ceil(step);
        layout.strides[dimension] = layout.fitting_stride(dimension, stride * u64::from(step))?;
        let first = if layout.is_empty() { self.start() } else { self.start() + u64::from(start) * stride };
        Ok(self.seen_as(first, layout))
    }

    /// The tensor with two dimensions exchanged.
    ///
    /// # Errors
    ///
    /// The tensor does not have one of them.
    pub fn transpose(&self, first: usize, second: usize) -> Result<Tensor, TensorError> {
        self.check_dimension(first)?;
        self.check_dimension(second)?;
        let mut layout = self.layout;
        layout.shape.swap(first, second);
        layout.strides.swap(first, second);
        Ok(self.seen_as(self.start(), layout))
    }

    /// The tensor with its dimensions in another order: dimension `i` of the result is dimension `order[i]` of this one.
    ///
    /// # Errors
    ///
    /// `order` does not name every dimension exactly once.
    pub fn permute(&self, order: &[usize]) -> Result<Tensor, TensorError> {
        let dimensions = self.dimensions();
        if order.len() != dimensions {
            return Err(TensorError::CountMismatch { what: "dimensions", count: order.len(), dimensions });
        }
        let mut layout = self.layout;
        let mut named = [false; MAX_DIMENSIONS];
        for (place, &dimension) in order.iter().enumerate() {
            self.check_dimension(dimension)?;
            if named[dimension] {
                return Err(TensorError::RepeatedDimension { order: order.to_vec(), dimension, dimensions });
            }
            named[dimension] = true;
            layout.shape[place] = self.shape()[dimension];
            layout.strides[place] = self.strides()[dimension];
        }
        Ok(self.seen_as(self.start(), layout))
    }

    /// The same elements in another row-major shape.
    ///
    /// # Errors
    ///
    /// The tensor is not contiguous, or the shape has another number of elements or too many dimensions.
    pub fn reshape(&self, shape: &[u32]) -> Result<Tensor, TensorError> {
        if shape.len() > MAX_DIMENSIONS {
            return Err(TensorError::TooManyDimensions { dimensions: shape.len() });
        }
        self.layout.check_contiguous()?;
        let elements = self.elements();
        let given = shape.iter().fold(1u128, |product, &length| product.saturating_mul(u128::from(length)));
        if given != u128::from(elements) {
            return Err(TensorError::ElementCountMismatch { shape: shape.to_vec(), given, elements });
        }
        Ok(self.seen_as(self.start(), TensorLayout::row_major(shape, self.data_type())?))
    }

    fn check_dimension(&self, dimension: usize) -> Result<(), TensorError> {
        let dimensions = self.dimensions();
        if dimension < dimensions { Ok(()) } else { Err(TensorError::NoSuchDimension { dimension, dimensions }) }
    }
}
