//! What the bytes of a blob are, asserted at compile time.

use prewire_runtime_core::tensor::MAX_DIMENSIONS;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The first bytes of every blob: `PWHF`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"PWHF");

/// The version of the layout. It changes with every change of this file.
pub const VERSION: u16 = 1;

/// Tensors that a blob may have.
pub const MAX_WIRE_TENSORS: usize = 256;

/// Scalars that a blob may have.
pub const MAX_WIRE_SCALARS: usize = 128;

/// The bytes that a frame has for its blob. The largest blob takes less than a third of them.
pub const FRAME_CAPACITY: usize = 60 * 1024;

/// The beginning of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FrameHeader {
    /// [`MAGIC`].
    pub magic: u32,
    /// [`VERSION`].
    pub version: u16,
    /// The core's part of its cluster: 0 for a next-level worker, 1 or 2 for a sub worker.
    pub part: u8,
    /// The parts that the task uses.
    pub parts: u8,
    /// The bytes of the blob, this header included.
    pub bytes: u32,
    /// How many tensors follow.
    pub tensors: u16,
    /// How many scalars follow the tensors.
    pub scalars: u16,
    /// The task.
    pub task: u64,
    /// The run that the task belongs to.
    pub run: u32,
    /// What is called.
    pub callable: u32,
    /// Which block of the task this is; for a group, which member.
    pub block: u32,
    /// How many blocks the task has.
    pub blocks: u32,
    /// The slot of the task, for services.
    pub slot: u32,
    /// The place on the board where the members of a group meet, or [`FrameHeader::NO_MEETING`].
    pub meeting: u32,
    /// Zero.
    pub reserved: [u32; 4],
}

impl FrameHeader {
    /// The task's blocks do not wait for one another.
    pub const NO_MEETING: u32 = u32::MAX;
}

/// A tensor argument of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WireTensor {
    /// The shared buffer that the bytes are in.
    pub buffer: u64,
    /// Where the first element lies in it, in bytes.
    pub offset: u64,
    /// The length of each dimension; 1 for those that the tensor does not have.
    pub shape: [u32; MAX_DIMENSIONS],
    /// The distance between neighbours along each dimension, in elements.
    pub strides: [u32; MAX_DIMENSIONS],
    /// The element type, as [`prewire_runtime_core::tensor::DataType::index`].
    pub data_type: u8,
    /// How many dimensions there are.
    pub dimensions: u8,
    /// What the task does with it, as [`prewire_runtime_core::tensor::ArgumentTag`].
    pub tag: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

const _: () = assert!(size_of::<FrameHeader>() == 64 && size_of::<WireTensor>() == 64);
const _: () = assert!(align_of::<FrameHeader>() == 8 && align_of::<WireTensor>() == 8);
const _: () = assert!(cfg!(target_endian = "little"), "the wire form is little-endian and read in place");
const _: () = assert!(64 + 64 * MAX_WIRE_TENSORS + 8 * MAX_WIRE_SCALARS <= FRAME_CAPACITY);

/// A number that differs where the layout does: what a spawned worker and its parent compare before any frame is exchanged.
pub const LAYOUT_HASH: u64 = {
    use std::mem::offset_of;
    let facts = [
        VERSION as u64,
        FRAME_CAPACITY as u64,
        size_of::<FrameHeader>() as u64,
        offset_of!(FrameHeader, bytes) as u64,
        offset_of!(FrameHeader, task) as u64,
        offset_of!(FrameHeader, run) as u64,
        offset_of!(FrameHeader, callable) as u64,
        offset_of!(FrameHeader, meeting) as u64,
        size_of::<WireTensor>() as u64,
        offset_of!(WireTensor, offset) as u64,
        offset_of!(WireTensor, shape) as u64,
        offset_of!(WireTensor, strides) as u64,
        offset_of!(WireTensor, data_type) as u64,
        offset_of!(WireTensor, tag) as u64,
        size_of::<crate::mailbox::Mailbox>() as u64,
        size_of::<crate::board::Board>() as u64,
    ];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < facts.len() {
        hash = (hash ^ facts[at]).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
};
