//! Typed, checked access of a kernel to the tensors it declared.
//!
//! Two arguments may name common bytes. A kernel that would hold a writable and another view of the same bytes at once is told so, as a `RefCell`
//! would tell it, so that slices handed out are never aliased.

use super::KernelError;
use crate::tensor::{ArgumentTag, DataType, TensorArgument};
use std::cell::RefCell;
use std::marker::PhantomData;

/// A type that tensors hold.
///
/// # Safety
/// The type has the size that [`DataType::bytes`] says and every bit pattern is a value.
pub unsafe trait Element: Copy + Send + Sync + 'static {
    /// The element type.
    const DATA_TYPE: DataType;
    /// The value in the low bits of a scalar cell.
    fn from_cell(cell: u64) -> Self;
}

macro_rules! element {
    ($($type:ty, $data_type:ident, $from:expr;)*) => {
        $(
            // SAFETY: a plain number of the stated size.
            unsafe impl Element for $type {
                const DATA_TYPE: DataType = DataType::$data_type;
                #[inline]
                fn from_cell(cell: u64) -> Self {
                    let from: fn(u64) -> $type = $from;
                    from(cell)
                }
            }
        )*
    };
}

element! {
    f32, F32, |cell| f32::from_bits(cell as u32);
    i8, I8, |cell| cell as i8;
    i16, I16, |cell| cell as i16;
    i32, I32, |cell| cell as i32;
    i64, I64, |cell| cell as i64;
    u8, U8, |cell| cell as u8;
    u16, U16, |cell| cell as u16;
    u32, U32, |cell| cell as u32;
    u64, U64, |cell| cell;
}

/// Which arguments are open: a bit per argument, and how often for reading.
#[derive(Debug, Default)]
pub(super) struct Access {
    writing: u32,
    reading: u32,
    readers: [u8; 32],
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

fn blocked(tensors: &[TensorArgument], index: usize, by: u32) -> Option<usize> {
    if by == 0 {
        return None;
    }
    (0..tensors.len().min(32))
        .find(|&other| by >> other & 1 != 0 && (other == index || meet(&tensors[index], &tensors[other])))
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
        let mut offset = 0;
        for ((&index, &extent), &stride) in indices.iter().zip(shape).zip(self.tensor.strides()) {
            assert!(index < extent as usize, "index {index} is beyond an extent of {extent}");
            offset += index * stride as usize;
        }
        offset
    }

    fn contiguous(&self) -> Option<usize> {
        let layout = self.tensor.layout();
        layout.is_contiguous().then_some(layout.elements() as usize)
    }

    /// The offset and length of a row: all but the last index are given, and the last dimension must be dense.
    fn row(&self, indices: &[usize]) -> (usize, usize) {
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
        let mut offset = 0;
        for ((&index, &extent), &stride) in indices.iter().zip(shape).zip(self.tensor.strides()) {
            assert!(index < extent as usize, "index {index} is beyond an extent of {extent}");
            offset += index * stride as usize;
        }
        (offset, shape[dimensions - 1] as usize)
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
        if let Some(other) = blocked(tensors, index, open.writing) {
            return Err(refuse(format!("tensor {index} shares bytes with tensor {other}, which is open for writing")));
        }
        open.reading |= 1 << index;
        open.readers[index] = open.readers[index]
            .checked_add(1)
            .ok_or_else(|| refuse(format!("tensor {index} is open for reading 255 times")))?;
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
        let offset = self.view.offset(indices);
        // SAFETY: the offset is within the view, which is within its buffer; the context's contract makes the memory readable.
        let element = unsafe { self.view.data.add(offset) };
        // SAFETY: as above; every bit pattern is a value.
        unsafe { element.read_unaligned() }
    }

    /// All elements of a contiguous view.
    ///
    /// # Panics
    /// If the view is strided or its memory is not aligned for the type.
    pub fn as_slice(&self) -> &[T] {
        let length = self.view.contiguous().expect("a strided view has no slice of all its elements; take rows");
        aligned(self.view.data);
        if length == 0 {
            return &[];
        }
        // SAFETY: contiguous, aligned, within the buffer, and not open for writing while this access lives.
        unsafe { std::slice::from_raw_parts(self.view.data, length) }
    }

    /// A row: all indices but the last are given.
    ///
    /// # Panics
    /// If an index is out of bounds, rows are strided, or memory is not aligned for the type.
    pub fn row(&self, indices: &[usize]) -> &[T] {
        let (offset, length) = self.view.row(indices);
        if length == 0 {
            return &[];
        }
        aligned(self.view.data);
        // SAFETY: the row lies within the view.
        let start = unsafe { self.view.data.add(offset) };
        // SAFETY: dense, aligned, within the buffer, and not open for writing while this access lives.
        unsafe { std::slice::from_raw_parts(start, length) }
    }
}

impl<T> Drop for Input<'_, T> {
    fn drop(&mut self) {
        let mut open = self.access.borrow_mut();
        open.readers[self.index] -= 1;
        if open.readers[self.index] == 0 {
            open.reading &= !(1 << self.index);
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
        if let Some(other) = blocked(tensors, index, open.writing | open.reading) {
            return Err(refuse(format!("tensor {index} shares bytes with tensor {other}, which is open")));
        }
        open.writing |= 1 << index;
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
        let offset = self.view.offset(indices);
        // SAFETY: the offset is within the view.
        let element = unsafe { self.view.data.add(offset) };
        // SAFETY: readable by the context's contract; every bit pattern is a value.
        unsafe { element.read_unaligned() }
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
        let length = self.view.contiguous().expect("a strided view has no slice of all its elements; take rows");
        if length == 0 {
            return &mut [];
        }
        aligned(self.view.data);
        // SAFETY: contiguous, aligned, within the buffer, and no other access to these bytes is open.
        unsafe { std::slice::from_raw_parts_mut(self.view.data, length) }
    }

    /// A row: all indices but the last are given.
    ///
    /// # Panics
    /// If an index is out of bounds, rows are strided, or memory is not aligned for the type.
    pub fn row_mut(&mut self, indices: &[usize]) -> &mut [T] {
        let (offset, length) = self.view.row(indices);
        if length == 0 {
            return &mut [];
        }
        aligned(self.view.data);
        // SAFETY: the row lies within the view.
        let start = unsafe { self.view.data.add(offset) };
        // SAFETY: dense, aligned, within the buffer, and no other access to these bytes is open.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }
}

impl<T> Drop for Output<'_, T> {
    fn drop(&mut self) {
        self.access.borrow_mut().writing &= !(1 << self.index);
    }
}

fn aligned<T>(data: *const T) {
    assert!(data.is_aligned(), "the view's memory is not aligned for its element type; use get and set");
}
