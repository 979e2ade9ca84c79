//! What a device is, what its memory is for, and how an operation declares the ranges that it reads and writes.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::kernels;
use super::{BufferId, Label};

/// What a device is and can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// Its name: `cpu`, `stepped`, `byteless`.
    pub name: &'static str,
    /// Device memory is host memory: staging and both transfers are left out instead of imitated.
    pub host_memory: bool,
    /// Streams can wait on a counter in mapped memory.
    pub value_wait: bool,
    /// Payload bytes exist. Where false, only sizes, offsets and tables are computed.
    pub moves_bytes: bool,
    /// Its codecs compress at the level asked for. Where false they have one way to compress, and only their default level is taken.
    pub codec_levels: bool,
}

/// Where a buffer lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Memory {
    /// On the device.
    Device,
    /// In page-locked host memory that the device can copy from and to.
    Pinned,
}

/// What a buffer is for. A byte-less device backs only control buffers and pinned ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Elements and compressed bytes.
    Payload,
    /// Sizes, offsets, tables.
    Control,
}

/// A buffer to allocate, or allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// The name in reports.
    pub label: Label,
    /// The size.
    pub bytes: u64,
    /// Where.
    pub memory: Memory,
    /// What for.
    pub role: Role,
}

/// How a range is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Read only.
    Read,
    /// Written, never read.
    Write,
    /// Read and written.
    ReadWrite,
}

impl Mode {
    /// Whether the range may be read.
    #[must_use]
    pub const fn reads(self) -> bool {
        !matches!(self, Self::Write)
    }

    /// Whether the range may be written.
    #[must_use]
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "reading",
            Self::Write => "writing",
            Self::ReadWrite => "reading and writing",
        }
    }
}

/// A declared use of a byte range. An operation reaches these ranges and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The buffer.
    pub buffer: BufferId,
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// How.
    pub mode: Mode,
}

impl Access {
    /// The bytes declared.
    #[must_use]
    pub const fn range(&self) -> Range<u64> {
        self.start..self.end
    }
}

const MAX_ACCESSES: usize = 8;

/// The declared accesses of an operation, at most eight, in the order the operation's payload names them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accesses {
    items: [Option<Access>; MAX_ACCESSES],
    len: usize,
}

impl Accesses {
    /// These accesses.
    ///
    /// # Panics
    /// If there are more than eight.
    #[must_use]
    pub fn new(accesses: &[Access]) -> Self {
        let mut items = [None; MAX_ACCESSES];
        for (item, access) in items.iter_mut().zip(accesses) {
            *item = Some(*access);
        }
        assert!(accesses.len() <= MAX_ACCESSES, "an operation declares at most {MAX_ACCESSES} accesses");
        Self { items, len: accesses.len() }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Access> + '_ {
        self.items[..self.len].iter().flatten().copied()
    }
}

/// What an operation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A staging dispatch, counted from 0 per array.
    Dispatch(u64),
    /// A batch, counted from 0 per array.
    Batch(u64),
    /// A slot of a pool.
    Slot(u32),
    /// An epoch, counted from 0 per array.
    Epoch(u64),
    /// Nothing in particular.
    None,
}

/// The name of an operation in reports: what it does, and to which unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag {
    /// `SCATTER`, `COMPRESS`, …
    pub name: &'static str,
    /// Of which dispatch, batch or slot.
    pub unit: Unit,
}

impl Tag {
    /// `name` of `unit`.
    #[must_use]
    pub const fn new(name: &'static str, unit: Unit) -> Self {
        Self { name, unit }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Dispatch(n) => write!(formatter, "{} of dispatch {n}", self.name),
            Unit::Batch(n) => write!(formatter, "{} of batch {n}", self.name),
            Unit::Slot(n) => write!(formatter, "{} of slot {n}", self.name),
            Unit::Epoch(n) => write!(formatter, "{} of epoch {n}", self.name),
            Unit::None => formatter.write_str(self.name),
        }
    }
}

/// One payload operation: what it does, to which declared ranges.
#[derive(Debug)]
pub struct Operation<'a> {
    /// Its name in reports.
    pub tag: Tag,
    /// The work.
    pub payload: Payload,
    /// The ranges, in the order `payload` documents.
    pub accesses: Accesses,
    /// Host memory that is read before the call returns: the caller's own slice, on devices whose memory is host memory.
    pub source: Option<&'a [u8]>,
    /// When set, the time the operation ran is added here.
    pub timer: Option<crate::metrics::TimerHandle>,
}

/// The closed set of payload operations. A GPU cannot run closures, so there are none.
///
/// Numbers in brackets are positions in [`Operation::accesses`].
#[derive(Debug, Clone)]
pub enum Payload {
    /// Nothing: a transfer left out because device memory is host memory. Declares no access.
    Elided,
    /// Writes zeros to \[0\].
    Zero,
    /// Copies \[0\] to \[1\]; both have the same length.
    Copy,
    /// Writes a run of input elements to their places in the chunk pool.
    Scatter(kernels::Scatter),
    /// Writes zeros where the elements of one epoch would go, from the given one on. \[0\] is the epoch's region, or a whole batch of shards.
    ZeroRest(kernels::Scatter),
    /// Copies level 0 of one epoch from the row-major buffer into the chunk pool.
    LevelScatter(kernels::LevelScatter),
    /// Copies the images of several levels of one epoch to their chunks.
    LevelsScatter(kernels::LevelsScatter),
    /// Computes the pyramid levels of one epoch.
    Reduce(kernels::Reduce),
    /// Folds an epoch's levels along the append dimension.
    Fold(kernels::Fold),
    /// Compresses a batch of chunks.
    Compress(kernels::Compress),
    /// Sizes by position and their running sum.
    Scan(kernels::Scan),
    /// Adds each shard's base and carried tail to its offsets.
    Bias(kernels::Bias),
    /// Copies the carried tails to the front of their shards.
    TailCopy(kernels::TailCopy),
    /// Copies chunk bytes to their offsets.
    Gather(kernels::Gather),
}

/// How a host wait went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitOutcome {
    /// How long the thread was blocked; `None` if it was not.
    pub blocked: Option<Duration>,
}

/// Something the schedule or a sink does that moves no byte on the device but matters to a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// A kick begins: batch and slot.
    Kick {
        /// The batch.
        batch: u64,
        /// Its slot.
        slot: u32,
    },
    /// A drain begins: batch and slot.
    Drain {
        /// The batch.
        batch: u64,
        /// Its slot.
        slot: u32,
    },
    /// The batch's drain or abort ended and its token was consumed.
    Consumed {
        /// The batch.
        batch: u64,
        /// Its slot.
        slot: u32,
    },
    /// A range was handed to the sink by reference; it may be read until the next fence of that slot is waited.
    HandOver {
        /// `WRITE` of the batch.
        tag: Tag,
        /// The range.
        access: Access,
    },
    /// The sink took a fence covering everything handed over since the last one, `direct_writes` of it by reference.
    FenceRecord {
        /// `IO_FENCE` of the slot.
        edge: Label,
        /// Ranges the sink holds by reference.
        direct_writes: u64,
    },
    /// The host waited for that fence.
    FenceWait {
        /// `IO_FENCE` of the slot.
        edge: Label,
    },
    /// The schedule is bound to an array.
    Bind {
        /// The array's number in its writer.
        array: u32,
    },
}
