//! Typed, checked access of a kernel to the tensors it declared.
//!
//! Two arguments may name common bytes. A kernel that would hold a writable and another view of the same bytes at once is told so, as a `RefCell`
//! would tell it, so that slices handed out are never aliased.

use super::{Element, KernelError};
use crate::tensor::{ArgumentTag, TensorArgument};
use std::cell::RefCell;
use std::marker::PhantomData;

/// Which of 32 arguments are open: a bit per argument, and how often for reading.
#[derive(Clone, Debug, Default)]
struct Open {
    writing: u32,
    reading: u32,
    readers: [u8; 32],
}

impl Open {
    fn in_any_way(&self) -> u32 {
        self.writing | self.reading
    }
}

/// Which arguments are open. Those beyond the first 32, which few tasks have, are remembered apart once one of them is opened.
#[derive(Debug, Default)]
pub(super) struct Access {
    first: Open,
    others: Option<Box<[Open]>>,
}

impl Access {
    /// Where argument `index` of `count` is remembered, and as which bit.
    #[inline]
    fn of(&mut self, index: usize, count: usize) -> (&mut Open, usize) {
        if index < 32 {
            return (&mut self.first, index);
        }
        let others =
            self.others.get_or_insert_with(|| vec![Open::default(); count.div_ceil(32) - 1].into_boxed_slice());
        (&mut others[index / 32 - 1], index % 32)
    }

    /// The argument that stands in the way of one, among those that are open in a certain way.
    #[inline]
    fn blocks(&self, tensors: &[TensorArgument], index: usize, way: fn(&Open) -> u32) -> Option<usize> {
        blocked(tensors, index, 0, way(&self.first)).or_else(|| {
            let others = self.others.as_deref().unwrap_or_default();
            (1..).zip(others).find_map(|(at, open)| blocked(tensors, index, 32 * at, way(open)))
        })
    }
}

fn refuse(text: String) -> KernelError {
    KernelError::new(KernelError::ACCESS, text)
}

fn check<T: Element>(tensors: &[TensorArgument], index: usize) -> Result<&TensorArgument, KernelError> {
    let Some(tensor) = tensors.get(index) else {
        return Err(refuse(format!("tensor {index} was asked for and the task has {}", tensors.len())));
    };
    if tensor.data_type() != T::DATA_TYPE {
        return Err(refuse(format!(
            "tensor {index} holds {:?} and was asked for as {:?}",
            tensor.data_type(),
            T::DATA_TYPE
        )));
    }
    Ok(tensor)
}

/// Whether the byte spans of two arguments meet; a span covers the gaps of a strided view, which errs on the safe side.
fn meet(a: &TensorArgument, b: &TensorArgument) -> bool {
    let span = |tensor: &TensorArgument| {
        let start = tensor.first_byte();
        (start, start + tensor.layout().extent() * tensor.data_type().bytes())
    };
    let ((a_start, a_end), (b_start, b_end)) = (span(a), span(b));
    a_start < b_end && b_start < a_end
}

/// The argument among 32 from `first` on, a bit each in `by`, that shares bytes with another one.
fn blocked(tensors: &[TensorArgument], index: usize, first: usize, by: u32) -> Option<usize> {
    if by == 0 {
        return None;
    }
    (first..tensors.len().min(first + 32))
        .find(|&other| by >> (other - first) & 1 != 0 && (other == index || meet(&tensors[index], &tensors[other])))
}

/// What both kinds of access share: where the elements are.
#[derive(Debug)]
struct View<'a, T> {
    tensor: &'a TensorArgument,
    data: *mut T,
    _elements: PhantomData<&'a T>,
}

impl<T: Element> View<'_, T> {
    #[inline]
    fn offset(&self, indices: &[usize]) -> usize {
        let shape = self.tensor.shape();
        assert_eq!(
            indices.len(),
            shape.len(),
            "a tensor of {} dimensions was indexed by {}",
            shape.len(),
            indices.len()
        );
        self.steps(indices)
    }

    /// How far these indices are from the view's first element.
    #[inline]
    fn steps(&self, indices: &[usize]) -> usize {
        let mut offset = 0;
        for ((&index, &extent), &stride) in indices.iter().zip(self.tensor.shape()).zip(self.tensor.strides()) {
            assert!(index < extent as usize, "index {index} is beyond an extent of {extent}");
            offset += index * stride as usize;
        }
        offset
    }

    #[inline]
    fn get(&self, indices: &[usize]) -> T {
        let offset = self.offset(indices);
        // SAFETY: the offset is within the view, which is within its buffer.
        let element = unsafe { self.data.add(offset) };
        // SAFETY: the context's contract makes the memory readable; every bit pattern is a value.
        unsafe { element.read_unaligned() }
    }

    /// Where all elements lie one behind the other, and how many they are.
    fn all(&self) -> (*mut T, usize) {
        let layout = self.tensor.layout();
        assert!(layout.is_contiguous(), "a strided view has no slice of all its elements; take rows");
        self.dense(0, layout.elements() as usize)
    }

    /// Where a row's elements lie one behind the other, and how many they are: all but the last index are given, and the last dimension must be dense.
    fn row(&self, indices: &[usize]) -> (*mut T, usize) {
        let shape = self.tensor.shape();
        let dimensions = shape.len();
        assert!(
            dimensions > 0 && indices.len() == dimensions - 1,
            "a row of a tensor of {dimensions} dimensions has {} indices",
            indices.len()
        );
        assert!(
            self.tensor.strides()[dimensions - 1] == 1 || shape[dimensions - 1] <= 1,
            "the rows of this view are strided"
        );
        self.dense(self.steps(indices), shape[dimensions - 1] as usize)
    }

    /// A place for a slice: no elements need no memory, others are aligned.
    fn dense(&self, offset: usize, length: usize) -> (*mut T, usize) {
        if length == 0 {
            return (std::ptr::dangling_mut(), 0);
        }
        assert!(self.data.is_aligned(), "the view's memory is not aligned for its element type; use get and set");
        // SAFETY: the offset is that of an element of the view.
        (unsafe { self.data.add(offset) }, length)
    }
}

/// Read access to a tensor.
#[derive(Debug)]
pub struct Input<'a, T> {
    view: View<'a, T>,
    access: &'a RefCell<Access>,
    index: usize,
}

impl<'a, T: Element> Input<'a, T> {
    pub(super) fn open(
        tensors: &'a [TensorArgument],
        index: usize,
        access: &'a RefCell<Access>,
    ) -> Result<Self, KernelError> {
        let tensor = check::<T>(tensors, index)?;
        let mut open = access.borrow_mut();
        if let Some(other) = open.blocks(tensors, index, |open| open.writing) {
            return Err(refuse(format!("tensor {index} shares bytes with tensor {other}, which is open for writing")));
        }
        let (open, bit) = open.of(index, tensors.len());
        open.readers[bit] = open.readers[bit]
            .checked_add(1)
            .ok_or_else(|| refuse(format!("tensor {index} is open for reading 255 times")))?;
        open.reading |= 1 << bit;
        let view = View { tensor, data: tensor.first_byte() as *mut T, _elements: PhantomData };
        Ok(Input { view, access, index })
    }

    /// The extents.
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
    pub fn as_slice(&self) -> &[T] {
        let (start, length) = self.view.all();
        // SAFETY: within the buffer, and not open for writing while this access lives.
        unsafe { std::slice::from_raw_parts(start, length) }
    }

    /// A row: all indices but the last are given.
    ///
    /// # Panics
    /// If an index is out of bounds, rows are strided, or memory is not aligned for the type.
    pub fn row(&self, indices: &[usize]) -> &[T] {
        let (start, length) = self.view.row(indices);
        // SAFETY: within the buffer, and not open for writing while this access lives.
        unsafe { std::slice::from_raw_parts(start, length) }
    }
}

impl<T> Drop for Input<'_, T> {
    fn drop(&mut self) {
        let mut open = self.access.borrow_mut();
        let (open, bit) = open.of(self.index, self.index + 1);
        open.readers[bit] -= 1;
        if open.readers[bit] == 0 {
            open.reading &= !(1 << bit);
        }
    }
}

/// Write access to a tensor.
#[derive(Debug)]
pub struct Output<'a, T> {
    view: View<'a, T>,
    access: &'a RefCell<Access>,
    index: usize,
}

impl<'a, T: Element> Output<'a, T> {
    pub(super) fn open(
        tensors: &'a [TensorArgument],
        index: usize,
        access: &'a RefCell<Access>,
    ) -> Result<Self, KernelError> {
        let tensor = check::<T>(tensors, index)?;
        if tensor.tag() == ArgumentTag::Input {
            return Err(refuse(format!("tensor {index} was declared as an input and cannot be written")));
        }
        let mut open = access.borrow_mut();
        if let Some(other) = open.blocks(tensors, index, Open::in_any_way) {
            return Err(refuse(format!("tensor {index} shares bytes with tensor {other}, which is open")));
        }
        let (open, bit) = open.of(index, tensors.len());
        open.writing |= 1 << bit;
        let view = View { tensor, data: tensor.first_byte() as *mut T, _elements: PhantomData };
        Ok(Output { view, access, index })
    }

    /// The extents.
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
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        let (start, length) = self.view.all();
        // SAFETY: within the buffer, and no other access to these bytes is open.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }

    /// A row: all indices but the last are given.
    ///
    /// # Panics
    /// If an index is out of bounds, rows are strided, or memory is not aligned for the type.
    pub fn row_mut(&mut self, indices: &[usize]) -> &mut [T] {
        let (start, length) = self.view.row(indices);
        // SAFETY: within the buffer, and no other access to these bytes is open.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }
}

impl<T> Drop for Output<'_, T> {
    fn drop(&mut self) {
        let mut open = self.access.borrow_mut();
        let (open, bit) = open.of(self.index, self.index + 1);
        open.writing &= !(1 << bit);
    }
}
