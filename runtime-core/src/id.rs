//! The names things go by: tasks, slots, rings, kernels, cores, buffers.

use std::fmt;

/// The number of rings; a task uses ring `min(scope depth, RING_COUNT - 1)`.
pub const RING_COUNT: usize = 4;

/// A task of this process, never reused: the ring in the upper eight bits, a sequence number that runs on across runs below. Pure allocations are
/// numbered apart from tasks that do anything; one bit tells them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct TaskId(u64);

impl TaskId {
    const SEQUENCE_BITS: u32 = 56;
    const ALLOCATION: u64 = 1 << 55;
    /// No task.
    pub const NONE: TaskId = TaskId(u64::MAX);

    /// The `sequence`-th task of `ring`.
    #[inline]
    pub const fn new(ring: RingIndex, sequence: u64) -> TaskId {
        TaskId(((ring.0 as u64) << Self::SEQUENCE_BITS) | sequence)
    }

    /// The `sequence`-th allocation of `ring`.
    #[inline]
    pub const fn allocation(ring: RingIndex, sequence: u64) -> TaskId {
        TaskId(TaskId::new(ring, sequence).0 | Self::ALLOCATION)
    }

    /// Whether the task only allocates.
    #[inline]
    pub const fn is_allocation(self) -> bool {
        self.0 & Self::ALLOCATION != 0
    }

    /// The ring the task lives in.
    #[inline]
    pub const fn ring(self) -> RingIndex {
        RingIndex((self.0 >> Self::SEQUENCE_BITS) as u8)
    }

    /// The task's number among the tasks of its ring, or the allocation's among its allocations, counted from the construction of the runtime.
    #[inline]
    pub const fn sequence(self) -> u64 {
        self.0 & (Self::ALLOCATION - 1)
    }

    /// Whether this is [`TaskId::NONE`].
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == u64::MAX
    }

    /// The id as one number, as C programs and files carry it.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The id a number stands for; any number is accepted, an unknown one is refused where it is used.
    #[inline]
    pub const fn from_bits(bits: u64) -> TaskId {
        TaskId(bits)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("no task");
        }
        let kind = if self.is_allocation() { 'a' } else { 't' };
        write!(f, "r{}{kind}{}", self.ring().0, self.sequence())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One of the [`RING_COUNT`] rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RingIndex(pub u8);

impl RingIndex {
    /// The ring that tasks of a scope at `depth` use; the root scope has depth 0.
    #[inline]
    pub const fn of_depth(depth: usize) -> RingIndex {
        if depth < RING_COUNT { RingIndex(depth as u8) } else { RingIndex(RING_COUNT as u8 - 1) }
    }

    /// The ring as an array index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

macro_rules! index_type {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number as an array index.
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index_type! {
    /// A slot in the table of all rings' slots. A slot is reused; a [`TaskId`] is not.
    SlotIndex(u32)
}
index_type! {
    /// An edge in the table of all rings' edges.
    EdgeIndex(u32)
}
index_type! {
    /// A registered kernel, 0 to 1023.
    KernelId(u16)
}
index_type! {
    /// A core of the chip: cube cores first, then vector cores.
    CoreId(u16)
}

/// What dependencies are keyed by: one allocation of runtime memory, or one connected piece of external memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct BufferId(u64);

impl BufferId {
    const EXTERNAL: u64 = 1 << 63;

    /// The `number`-th allocation of runtime memory; numbers are never reused.
    #[inline]
    pub const fn runtime(number: u64) -> BufferId {
        BufferId(number)
    }

    /// The `number`-th piece of external memory.
    #[inline]
    pub const fn external(number: u64) -> BufferId {
        BufferId(number | Self::EXTERNAL)
    }

    /// Whether the memory belongs to the user and not to a ring's heap.
    #[inline]
    pub const fn is_external(self) -> bool {
        self.0 & Self::EXTERNAL != 0
    }

    /// The id as one number, for hashing.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}
