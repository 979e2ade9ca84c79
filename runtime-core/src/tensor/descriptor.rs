//! The tensor descriptor: a layout and its place in a buffer.

use super::{DataType, Footprint, MAX_BUFFER_BYTES, MAX_DIMENSIONS, Region, TensorError, TensorLayout};
use crate::id::{BufferId, TaskId};
use std::mem::offset_of;

/// A strided box of elements in a buffer: where the bytes are, how they are arranged, and whose they are.
///
/// A tensor is a description and owns nothing; copying one is cheap and views of it ([`Tensor::view`], [`Tensor::slice`],
/// [`Tensor::transpose`], [`Tensor::permute`], [`Tensor::reshape`]) share its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Tensor {
    address: u64,
    start: u64,
    pub(super) layout: TensorLayout,
    layout_hash: u32,
    buffer_bytes: u64,
    buffer: BufferId,
    owner: TaskId,
    scope: u64,
}

/// A tensor in words, and the one that is its start.
const WORDS: usize = 12;
const START: usize = 1;

const _: () = {
    assert!(size_of::<Tensor>() == 96 && size_of::<Tensor>() == 8 * WORDS && offset_of!(Tensor, start) == 8 * START);
    let layout = 2 * size_of::<[u32; MAX_DIMENSIONS]>() + 4;
    assert!(
        size_of::<TensorLayout>() == layout && size_of::<Tensor>() == 6 * 8 + layout + 4,
        "a tensor has no padding"
    );
};

impl Tensor {
    /// The scope number of memory that never dies with a scope.
    pub const NO_SCOPE: u64 = 0;

    /// A tensor over external memory: `layout`, from element `start` of the `buffer_bytes` bytes at `address`.
    ///
    /// `buffer` is the key of the connected piece of memory that the bytes belong to: tensors with different addresses
    /// and element types over common bytes carry the same one.
    ///
    /// # Errors
    ///
    /// The buffer is larger than [`MAX_BUFFER_BYTES`] or wraps around, its address is no multiple of the element size, or
    /// the tensor reaches past it.
    pub fn external(
        address: u64,
        buffer_bytes: u64,
        buffer: BufferId,
        start: u64,
        layout: TensorLayout,
    ) -> Result<Tensor, TensorError> {
        Tensor {
            address,
            start,
            layout,
            layout_hash: layout.hash(),
            buffer_bytes,
            buffer,
            owner: TaskId::NONE,
            scope: Tensor::NO_SCOPE,
        }
        .checked()
    }

    /// An output of task `owner` in runtime memory, at the first byte of an allocation of its own, `buffer`, of exactly
    /// the bytes of `layout`. The handle dies with the scope whose serial number is `scope`.
    ///
    /// # Errors
    ///
    /// Those of [`Tensor::external`].
    #[inline]
    pub fn output(
        address: u64,
        buffer: BufferId,
        layout: TensorLayout,
        owner: TaskId,
        scope: u64,
    ) -> Result<Tensor, TensorError> {
        Tensor {
            address,
            start: 0,
            layout,
            layout_hash: layout.hash(),
            buffer_bytes: layout.bytes(),
            buffer,
            owner,
            scope,
        }
        .checked()
    }

    /// Whether the bytes at `place`, which came from a program in another language, name an element type and a number of dimensions that exist. Only
    /// then may they be taken for a tensor; what else they say is checked where they are used, as for every tensor.
    ///
    /// # Safety
    /// The bytes may be read, and `place` is aligned.
    #[inline]
    pub unsafe fn is_well_formed(place: *const Tensor) -> bool {
        // SAFETY: a field of what may be read by contract.
        let data_type = unsafe { &raw const (*place).layout.data_type }.cast::<u8>();
        // SAFETY: as above.
        let dimensions = unsafe { &raw const (*place).layout.dimensions };
        // SAFETY: as above, and any byte is a number.
        let data_type = unsafe { data_type.read() };
        // SAFETY: as above.
        let dimensions = unsafe { dimensions.read() };
        usize::from(data_type) < DataType::ALL.len() && usize::from(dimensions) <= MAX_DIMENSIONS
    }

    #[inline]
    fn checked(self) -> Result<Tensor, TensorError> {
        match self.mistake() {
            None => Ok(self),
            Some(mistake) => Err(mistake),
        }
    }

    /// What is wrong with a tensor that was put together.
    #[inline]
    fn mistake(&self) -> Option<TensorError> {
        let data_type = self.layout.data_type();
        let bytes = data_type.bytes();
        if self.buffer_bytes > MAX_BUFFER_BYTES || self.address.checked_add(self.buffer_bytes).is_none() {
            return Some(TensorError::BufferTooLarge { address: self.address, bytes: self.buffer_bytes });
        }
        if !self.address.is_multiple_of(bytes) {
            return Some(TensorError::Misaligned { address: self.address, bytes, data_type });
        }
        let capacity = self.buffer_bytes / bytes;
        let end = self.start.saturating_add(self.layout.extent());
        (end > capacity).then_some(TensorError::PastBuffer { start: self.start, end, capacity, data_type })
    }

    /// The same buffer seen through another layout, beginning with element `start` of the layout's own element type. Buffer, owner and scope stay.
    ///
    /// # Errors
    ///
    /// The layout reaches past the buffer, or the buffer's address is no multiple of the element size.
    #[inline]
    pub fn with_layout(&self, start: u64, layout: TensorLayout) -> Result<Tensor, TensorError> {
        self.seen_as(start, layout).checked()
    }

    /// The same buffer seen through `layout`, beginning with element `start`. The caller has checked that it lies within.
    #[inline]
    pub(super) fn seen_as(&self, start: u64, layout: TensorLayout) -> Tensor {
        Tensor { start, layout, layout_hash: layout.hash(), ..*self }
    }

    /// The address of the buffer's first byte.
    #[inline]
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// The size of the buffer, in bytes.
    #[inline]
    pub const fn buffer_bytes(&self) -> u64 {
        self.buffer_bytes
    }

    /// The first element, counted in elements from the buffer's first byte.
    #[inline]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Shape, strides and element type.
    #[inline]
    pub const fn layout(&self) -> &TensorLayout {
        &self.layout
    }

    /// A hash of the layout; equal layouts have equal hashes.
    #[inline]
    pub const fn layout_hash(&self) -> u32 {
        self.layout_hash
    }

    /// The number of dimensions, 0 to [`MAX_DIMENSIONS`](super::MAX_DIMENSIONS).
    #[inline]
    pub const fn dimensions(&self) -> usize {
        self.layout.dimensions()
    }

    /// The length of each dimension, in elements.
    #[inline]
    pub fn shape(&self) -> &[u32] {
        self.layout.shape()
    }

    /// The distance between neighbours along each dimension, in elements.
    #[inline]
    pub fn strides(&self) -> &[u32] {
        self.layout.strides()
    }

    /// The element type.
    #[inline]
    pub const fn data_type(&self) -> DataType {
        self.layout.data_type()
    }

    /// What dependencies are keyed by.
    #[inline]
    pub const fn buffer(&self) -> BufferId {
        self.buffer
    }

    /// Whether the tensors differ in nothing but [`Tensor::start`], as tiles of one tensor do.
    #[inline(always)]
    pub fn is_sibling_of(&self, other: &Tensor) -> bool {
        let (mine, others) = (self.words(), other.words());
        // In pieces that the compiler makes two instructions each of; one piece would be a call.
        mine[0] == others[0] && mine[2..6] == others[2..6] && mine[6..10] == others[6..10] && mine[10..] == others[10..]
    }

    #[inline(always)]
    fn words(&self) -> &[u64; WORDS] {
        // SAFETY: the fields, which have no padding between them or behind, are as large and as aligned as the words, and any bits are a word.
        unsafe { &*(&raw const *self).cast() }
    }

    /// The task that the memory belongs to, [`TaskId::NONE`] for external memory.
    #[inline]
    pub const fn owner(&self) -> TaskId {
        self.owner
    }

    /// The serial number of the scope that the handle dies with, [`Tensor::NO_SCOPE`] if it never does.
    #[inline]
    pub const fn scope(&self) -> u64 {
        self.scope
    }

    /// The number of elements, 0 if any dimension is empty.
    #[inline]
    pub fn elements(&self) -> u64 {
        self.layout.elements()
    }

    /// Whether the tensor has no element at all.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.layout.is_empty()
    }

    /// The elements from the first to the last one, gaps counted; 0 if there is none.
    #[inline]
    pub fn extent(&self) -> u64 {
        self.layout.extent()
    }

    /// Whether the elements lie one after the other in row-major order.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.layout.is_contiguous()
    }

    /// The address of the first element.
    #[inline]
    pub const fn first_byte(&self) -> u64 {
        self.address + self.start * self.data_type().bytes()
    }

    /// The address of the element at `indices`.
    ///
    /// # Errors
    ///
    /// The indices are not one per dimension, or one is past its dimension.
    pub fn element_address(&self, indices: &[u32]) -> Result<u64, TensorError> {
        let dimensions = self.dimensions();
        if indices.len() != dimensions {
            return Err(TensorError::CountMismatch { what: "indices", count: indices.len(), dimensions });
        }
        let mut element = self.start;
        for (dimension, &index) in indices.iter().enumerate() {
            let bound = self.shape()[dimension];
            if index >= bound {
                return Err(TensorError::IndexOutOfRange { dimension, index, bound });
            }
            element += u64::from(index) * u64::from(self.strides()[dimension]);
        }
        Ok(self.address + element * self.data_type().bytes())
    }

    /// Where the tensor's first element lies in the space that its buffer's bytes are compared in: the byte offset within
    /// the allocation for runtime memory, the address for external memory.
    #[inline]
    pub const fn key_start(&self) -> u64 {
        let offset = self.start * self.data_type().bytes();
        if self.buffer.is_external() { self.address + offset } else { offset }
    }

    /// The bytes that the tensor covers within its buffer's key space; `None` if it covers none.
    pub fn region(&self) -> Option<Region> {
        Region::new(self.key_start(), &self.layout)
    }

    /// Whether the tensor's bytes are all the bytes of its buffer, so that overwriting it leaves nothing of what was there.
    pub fn fills_buffer(&self) -> bool {
        match Footprint::new(&self.layout) {
            None => self.buffer_bytes == 0,
            Some(footprint) => footprint.is_contiguous() && footprint.span_bytes() == self.buffer_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_tensor_are_told_apart() {
        let layout = TensorLayout::row_major(&[2, 3], DataType::Fp4E2M1).unwrap();
        let good = Tensor::external(64, 6, BufferId::external(1), 0, layout).unwrap();
        // SAFETY: a tensor can be read.
        assert!(unsafe { Tensor::is_well_formed(&raw const good) });
        let data_type = offset_of!(Tensor, layout) + offset_of!(TensorLayout, data_type);
        let dimensions = offset_of!(Tensor, layout) + offset_of!(TensorLayout, dimensions);
        for (place, value, expected) in [
            (data_type, 14, true),
            (data_type, 15, false),
            (data_type, 255, false),
            (dimensions, 0, true),
            (dimensions, 5, true),
            (dimensions, 6, false),
        ] {
            let mut words = [0u64; size_of::<Tensor>() / 8];
            // SAFETY: the words are as large and as aligned as a tensor.
            unsafe { words.as_mut_ptr().cast::<Tensor>().write(good) };
            let byte = words.as_mut_ptr().cast::<u8>().wrapping_add(place);
            // SAFETY: the place is that of a field within the words.
            unsafe { byte.write(value) };
            // SAFETY: the words can be read and are aligned.
            assert_eq!(unsafe { Tensor::is_well_formed(words.as_ptr().cast()) }, expected, "{value} at {place}");
        }
    }
}
