//! What a kernel reads about a tensor, in one cache line.

use super::{DataType, Tensor, TensorLayout};

/// What a task does with a tensor argument. The numbers are those that recorded graphs and C programs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ArgumentTag {
    /// The task reads the tensor.
    Input = 0,
    /// The runtime allocates the tensor and the task writes it.
    Output = 1,
    /// The task reads and writes the tensor, or writes parts of it.
    InOut = 2,
    /// The task overwrites a tensor that exists already.
    OutputExisting = 3,
    /// The task gets the tensor but takes no part in the ordering of its accesses.
    NoDependency = 4,
}

impl ArgumentTag {
    /// The tag with this number, if there is one.
    #[inline]
    pub const fn from_index(index: u8) -> Option<ArgumentTag> {
        match index {
            0 => Some(ArgumentTag::Input),
            1 => Some(ArgumentTag::Output),
            2 => Some(ArgumentTag::InOut),
            3 => Some(ArgumentTag::OutputExisting),
            4 => Some(ArgumentTag::NoDependency),
            _ => None,
        }
    }

    /// Whether the task may change the tensor's bytes.
    #[inline]
    pub const fn writes(self) -> bool {
        matches!(self, ArgumentTag::Output | ArgumentTag::InOut | ArgumentTag::OutputExisting)
    }

    /// Whether the task may look at what the bytes were before it.
    #[inline]
    pub const fn reads(self) -> bool {
        matches!(self, ArgumentTag::Input | ArgumentTag::InOut | ArgumentTag::NoDependency)
    }
}

/// A tensor as a kernel gets it: one cache line with the address of the buffer, the layout, and what the task may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct TensorArgument {
    address: u64,
    start: u64,
    // In one piece, so that it is copied in large ones.
    layout: TensorLayout,
    tag: ArgumentTag,
    flags: u8,
    spare: u16,
}

const _: () = assert!(size_of::<TensorArgument>() == 64 && std::mem::offset_of!(TensorArgument, tag) == 60);

impl TensorArgument {
    /// The argument that hands `tensor` to a kernel as `tag` says.
    #[inline]
    pub const fn new(tensor: &Tensor, tag: ArgumentTag) -> TensorArgument {
        TensorArgument {
            address: tensor.address(),
            start: tensor.start(),
            layout: *tensor.layout(),
            tag,
            flags: 0,
            spare: 0,
        }
    }

    /// Writes [`TensorArgument::new`] to its place part by part. Put together elsewhere and copied, it would be read before its parts have reached the
    /// cache, behind all that the processor has still to write.
    ///
    /// # Safety
    /// `place` may be written, and `tag` is the number of a tag.
    #[inline]
    pub(crate) unsafe fn write(place: *mut TensorArgument, tensor: &Tensor, tag: u8) {
        // SAFETY: by contract; a field of what may be written.
        unsafe { (*place).address = tensor.address() };
        // SAFETY: as above.
        unsafe { (*place).start = tensor.start() };
        // SAFETY: as above.
        unsafe { (*place).layout = *tensor.layout() };
        // SAFETY: as above; the place of the tag within it.
        let rest = unsafe { &raw mut (*place).tag }.cast::<u32>();
        // Tag, flags and spare in one store: the tag is the first of their four bytes, the others are 0.
        // SAFETY: these four bytes end the argument, at a multiple of four, and by contract the first of them is a tag.
        unsafe { rest.write(u32::from(tag).to_le()) };
    }

    /// The address of the buffer's first byte.
    #[inline]
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// The first element, counted in elements from the buffer's first byte.
    #[inline]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The address of the first element.
    #[inline]
    pub const fn first_byte(&self) -> u64 {
        self.address + self.start * self.layout.data_type.bytes()
    }

    /// Shape, strides and element type.
    #[inline]
    pub const fn layout(&self) -> TensorLayout {
        self.layout
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

    /// The elements, if they are one dimension's and lie one after the other: what most tensors are, told by two looks.
    #[inline]
    pub(crate) fn dense_row(&self) -> Option<u32> {
        // A layout without any dimension has a first one of a single element.
        (self.layout.dimensions <= 1 && self.layout.strides[0] == 1).then_some(self.layout.shape[0])
    }

    /// The element type.
    #[inline]
    pub const fn data_type(&self) -> DataType {
        self.layout.data_type
    }

    /// What the task does with the tensor.
    #[inline]
    pub const fn tag(&self) -> ArgumentTag {
        self.tag
    }

    /// Eight bits whose meaning the runtime gives them.
    #[inline]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// The same argument with other flags.
    #[inline]
    #[must_use]
    pub const fn with_flags(mut self, flags: u8) -> TensorArgument {
        self.flags = flags;
        self
    }
}

impl From<(&Tensor, ArgumentTag)> for TensorArgument {
    #[inline]
    fn from((tensor, tag): (&Tensor, ArgumentTag)) -> TensorArgument {
        TensorArgument::new(tensor, tag)
    }
}
