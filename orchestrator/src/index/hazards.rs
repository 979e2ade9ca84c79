//! What the index is asked and what it answers.

use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::task::Argument;
use prewire_runtime_core::tensor::Tensor;

/// Which hazards make a dependency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hazards {
    /// Read after write, write after write and write after read, for any overlap: the result of a run equals running the
    /// tasks one by one in the order of submission.
    #[default]
    All,
    /// What the public chip runtime infers: readers and in-out arguments wait for earlier overlapping writers, and nothing
    /// else waits. Some overlaps are taken for granted there, and tensors meet only under the same base address.
    ReadAfterWrite,
}

/// What a task does with a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It reads the region.
    Read,
    /// It writes every byte of the region and reads none.
    Overwrite,
    /// It may read the region, and may leave bytes of it as they were.
    Update,
}

impl Access {
    /// The tensor that a task accesses through the argument, and how. An output that may stay unwritten, as that of a predicated task, leaves what was there.
    #[inline(always)]
    pub(crate) fn of<'a>(argument: &Argument<'a>, predicated: bool) -> Option<(&'a Tensor, Access)> {
        match *argument {
            Argument::Input(tensor) => Some((tensor, Access::Read)),
            Argument::InOut(tensor) => Some((tensor, Access::Update)),
            Argument::OutputExisting(tensor) if predicated => Some((tensor, Access::Update)),
            Argument::OutputExisting(tensor) => Some((tensor, Access::Overwrite)),
            Argument::NoDependency(_) | Argument::Output(_) => None,
        }
    }
}

/// Why one task must wait for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hazard {
    ReadAfterWrite,
    WriteAfterWrite,
    WriteAfterRead,
}

/// A task that must come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The task's slot.
    pub(crate) producer: SlotIndex,
    /// Why it must come first.
    pub(crate) hazard: Hazard,
    /// Whether the new task sees bytes that the producer wrote, so that the producer's failure is its own.
    pub(crate) data: bool,
    /// Which argument led to it, as the caller numbered it.
    pub(crate) argument: usize,
}

/// Takes what a look-up finds. The same producer may come more than once.
pub(crate) trait Findings {
    /// A live task that must come first.
    fn found(&mut self, found: Found);

    /// Bytes that the new task sees were to be written by a task that failed and is gone; `cause` is what it retired with.
    fn failed(&mut self, cause: u64, argument: usize);
}

/// How much the index holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexOptions {
    /// The most regions that live tasks touch at one time.
    pub(crate) entries: usize,
    /// The most tensor arguments of live tasks.
    pub(crate) touches: usize,
    /// The number of slots of all rings together.
    pub(crate) slots: usize,
    /// The most tensor arguments of one task.
    pub(crate) arguments: usize,
    /// What is inferred.
    pub(crate) hazards: Hazards,
}

/// An amount of both things that the index can run out of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Regions.
    pub(crate) entries: usize,
    /// Tensor arguments.
    pub(crate) touches: usize,
}
