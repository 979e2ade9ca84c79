//! Where the elements of a kernel's argument are: what both kinds of access share.

use super::{Element, KernelError};
use crate::tensor::{ArgumentTag, TensorArgument};
use std::marker::PhantomData;

/// A wrong access, in words.
#[cold]
#[inline(never)]
pub(super) fn refuse(text: String) -> KernelError {
    KernelError::new(KernelError::ACCESS, text)
}

/// The elements of an argument.
#[derive(Debug)]
pub(super) struct View<'a, T> {
    pub(super) tensor: &'a TensorArgument,
    pub(super) data: *mut T,
    _elements: PhantomData<&'a T>,
}

impl<'a, T: Element> View<'a, T> {
    /// The elements of argument `index`, if there is one and it holds this type; `write`: and if it may be written.
    #[inline(always)]
    pub(super) fn of(tensors: &'a [TensorArgument], index: usize, write: bool) -> Result<Self, KernelError> {
        let Some(tensor) = tensors.get(index) else { return Err(missing(index, tensors.len())) };
        if tensor.data_type() != T::DATA_TYPE || write && tensor.tag() == ArgumentTag::Input {
            return Err(unfit::<T>(tensor, index));
        }
        // As the element type is T's, its size need not be looked up.
        let first = tensor.address() + tensor.start() * size_of::<T>() as u64;
        Ok(View { tensor, data: first as *mut T, _elements: PhantomData })
    }

    /// How far the element with these indices is from the view's first.
    #[inline]
    pub(super) fn offset(&self, indices: &[usize]) -> usize {
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
    pub(super) fn get(&self, indices: &[usize]) -> T {
        let offset = self.offset(indices);
        // SAFETY: the offset is within the view, which is within its buffer.
        let element = unsafe { self.data.add(offset) };
        // SAFETY: the context's contract makes the memory readable; every bit pattern is a value.
        unsafe { element.read_unaligned() }
    }

    /// Where all elements lie one behind the other, and how many they are.
    #[inline]
    pub(super) fn all(&self) -> (*mut T, usize) {
        // Of one dimension all lie so that are one apart. Several take a look at each.
        match self.tensor.dense_row() {
            Some(length) if length != 0 && self.data.is_aligned() => (self.data, length as usize),
            _ => all_with_care(self.tensor, self.data),
        }
    }

    /// Where a row's elements lie one behind the other, and how many they are: all but the last index are given, and the last dimension must be dense.
    pub(super) fn row(&self, indices: &[usize]) -> (*mut T, usize) {
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
        dense(self.data, self.steps(indices), shape[dimensions - 1] as usize)
    }
}

/// [`View::all`] for any layout.
#[inline(never)]
fn all_with_care<T>(tensor: &TensorArgument, data: *mut T) -> (*mut T, usize) {
    let layout = tensor.layout();
    assert!(layout.is_contiguous(), "a strided view has no slice of all its elements; take rows");
    dense(data, 0, layout.elements() as usize)
}

/// A place for a slice that begins so far from the first element: no elements need no memory, others are aligned.
#[inline]
fn dense<T>(data: *mut T, offset: usize, length: usize) -> (*mut T, usize) {
    if length == 0 {
        return (std::ptr::dangling_mut(), 0);
    }
    assert!(data.is_aligned(), "the view's memory is not aligned for its element type; use get and set");
    (data.wrapping_add(offset), length)
}

#[cold]
#[inline(never)]
fn missing(index: usize, count: usize) -> KernelError {
    refuse(format!("tensor {index} was asked for and the task has {count}"))
}

/// Says what is wrong with asking for an argument as this type, or for writing it.
#[cold]
#[inline(never)]
fn unfit<T: Element>(tensor: &TensorArgument, index: usize) -> KernelError {
    let (held, wanted) = (tensor.data_type(), T::DATA_TYPE);
    refuse(if held != wanted {
        format!("tensor {index} holds {held:?} and was asked for as {wanted:?}")
    } else {
        format!("tensor {index} was declared as an input and cannot be written")
    })
}
