//! Typed, checked access of a kernel to the tensors it declared.

use super::opened::Opened;
use super::view::View;
use super::{Element, KernelError};
use crate::tensor::TensorArgument;

/// Read access to a tensor.
#[derive(Debug)]
pub struct Input<'a, T> {
    view: View<'a, T>,
    opened: &'a Opened,
    index: usize,
}

impl<'a, T: Element> Input<'a, T> {
    #[inline(always)]
    pub(super) fn open(tensors: &'a [TensorArgument], index: usize, opened: &'a Opened) -> Result<Self, KernelError> {
        let view = View::of(tensors, index, false)?;
        opened.read(tensors, index)?;
        Ok(Input { view, opened, index })
    }

    /// The extents.
    #[inline]
    pub fn shape(&self) -> &[u32] {
        self.view.tensor.shape()
    }

    /// One element.
    ///
    /// # Panics
    /// If an index is out of bounds; the panic becomes the kernel's failure.
    #[inline]
    pub fn get(&self, indices: &[usize]) -> T {
        self.view.get(indices)
    }

    /// All elements of a contiguous view.
    ///
    /// # Panics
    /// If the view is strided or its memory is not aligned for the type.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        let (start, length) = self.view.all();
        // SAFETY: within the buffer, and not open for writing while this access lives.
        unsafe { std::slice::from_raw_parts(start, length) }
    }

    /// A row: all indices but the last are given.
    ///
    /// # Panics
    /// If an index is out of bounds, rows are strided, or memory is not aligned for the type.
    #[inline]
    pub fn row(&self, indices: &[usize]) -> &[T] {
        let (start, length) = self.view.row(indices);
        // SAFETY: within the buffer, and not open for writing while this access lives.
        unsafe { std::slice::from_raw_parts(start, length) }
    }
}

impl<T> Drop for Input<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.opened.end_read(self.index);
    }
}

/// Write access to a tensor.
#[derive(Debug)]
pub struct Output<'a, T> {
    view: View<'a, T>,
    opened: &'a Opened,
    index: usize,
}

impl<'a, T: Element> Output<'a, T> {
    #[inline(always)]
    pub(super) fn open(tensors: &'a [TensorArgument], index: usize, opened: &'a Opened) -> Result<Self, KernelError> {
        let view = View::of(tensors, index, true)?;
        opened.write(tensors, index)?;
        Ok(Output { view, opened, index })
    }

    /// The extents.
    #[inline]
    pub fn shape(&self) -> &[u32] {
        self.view.tensor.shape()
    }

    /// One element.
    ///
    /// # Panics
    /// If an index is out of bounds.
    #[inline]
    pub fn get(&self, indices: &[usize]) -> T {
        self.view.get(indices)
    }

    /// Writes one element.
    ///
    /// # Panics
    /// If an index is out of bounds.
    #[inline]
    pub fn set(&mut self, indices: &[usize], value: T) {
        let offset = self.view.offset(indices);
        // SAFETY: the offset is within the view.
        let element = unsafe { self.view.data.add(offset) };
        // SAFETY: writable by the argument's tag and the context's contract.
        unsafe { element.write_unaligned(value) };
    }

    /// All elements of a contiguous view.
    ///
    /// # Panics
    /// If the view is strided or its memory is not aligned for the type.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        let (start, length) = self.view.all();
        // SAFETY: within the buffer, and no other access to these bytes is open.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }

    /// A row: all indices but the last are given.
    ///
    /// # Panics
    /// If an index is out of bounds, rows are strided, or memory is not aligned for the type.
    #[inline]
    pub fn row_mut(&mut self, indices: &[usize]) -> &mut [T] {
        let (start, length) = self.view.row(indices);
        // SAFETY: within the buffer, and no other access to these bytes is open.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }
}

impl<T> Drop for Output<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.opened.end_write(self.index);
    }
}
