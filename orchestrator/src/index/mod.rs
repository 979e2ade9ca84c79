//! The dependency index: which live tasks touch which bytes.
//!
//! A submit asks in two phases. In the first, each tensor argument is probed: live tasks that must come first are reported, nothing
//! changes, and the submit may still be abandoned. In the second, the task is entered under its arguments. All look-ups of a task
//! precede all its entries, so that no task depends on itself. When the orchestrator takes a slot back, the slot's entries go with
//! it: the index is as large as the live tasks, and a slot's number is all that it needs to name a task.
//!
//! Everything is allocated at construction.

mod buckets;
mod divider;
mod entry;
mod geometry;
mod grid;
mod hash;
mod hazards;
mod pool;
mod read_after_write;
mod root;
mod sequential;
mod siblings;
mod store;
#[cfg(test)]
mod tests;
mod touches;

pub use hazards::Hazards;
pub(crate) use hazards::{Access, Findings, Found, Hazard, IndexOptions, Room};
pub(crate) use sequential::Crowd;

use prewire_runtime_core::id::{BufferId, SlotIndex};
use prewire_runtime_core::task::Argument;
use prewire_runtime_core::tensor::Tensor;
use read_after_write::ReadAfterWrite;
use sequential::Sequential;

/// The dependency index of one runtime, private to its orchestrator.
#[derive(Debug)]
pub(crate) struct Index {
    inference: Inference,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one index, and a box would cost a load with every call")]
enum Inference {
    Sequential(Sequential),
    ReadAfterWrite(ReadAfterWrite),
}

macro_rules! each {
    ($index:expr, $inference:ident => $call:expr) => {
        match $index {
            Inference::Sequential($inference) => $call,
            Inference::ReadAfterWrite($inference) => $call,
        }
    };
}

impl Index {
    /// An empty index.
    pub(crate) fn new(options: &IndexOptions) -> Index {
        let inference = match options.hazards {
            Hazards::All => Inference::Sequential(Sequential::new(options)),
            Hazards::ReadAfterWrite => Inference::ReadAfterWrite(ReadAfterWrite::new(options)),
        };
        Index { inference }
    }

    /// Starts the look-ups of a task, and abandons those of one that was not committed.
    #[inline]
    pub(crate) fn begin(&mut self) {
        each!(&mut self.inference, inference => inference.begin());
    }

    /// Reports what must come before the task's `access` to `tensor`. An empty tensor meets nothing.
    ///
    /// # Panics
    ///
    /// More tensors are probed than [`IndexOptions::arguments`].
    #[inline(always)]
    pub(crate) fn probe(&mut self, tensor: &Tensor, access: Access, argument: usize, findings: &mut impl Findings) {
        each!(&mut self.inference, inference => inference.probe(tensor, access, argument, findings));
    }

    /// The same for all arguments of a task at once, if their tensors' kinds are known ([`Index::remember`]), it takes no search, and there is room for the task.
    /// False if not: what was found is then void, and the look-ups begin anew.
    #[inline(always)]
    pub(crate) fn meet(&mut self, arguments: &[Argument<'_>], findings: &mut impl Findings) -> bool {
        match &mut self.inference {
            Inference::Sequential(inference) => inference.meet(arguments, findings),
            Inference::ReadAfterWrite(_) => false,
        }
    }

    /// [`Index::probe`] for the first of some arguments, as far as their tensors' kinds are known. Returns for how many.
    #[inline(always)]
    pub(crate) fn probe_known(
        &mut self,
        arguments: &[Argument<'_>],
        first: usize,
        predicated: bool,
        findings: &mut impl Findings,
    ) -> usize {
        match &mut self.inference {
            Inference::Sequential(inference) => inference.probe_known(arguments, first, predicated, findings),
            Inference::ReadAfterWrite(_) => 0,
        }
    }

    /// Remembers the kind of a tensor that was probed for the pending task: all that differ from it in nothing but where they begin.
    pub(crate) fn remember(&mut self, tensor: &Tensor) {
        if let Inference::Sequential(inference) = &mut self.inference {
            inference.remember(tensor);
        }
    }

    /// Forgets the kinds that were remembered, because they may not be what they were. No task may be pending.
    pub(crate) fn forget_known(&mut self) {
        if let Inference::Sequential(inference) = &mut self.inference {
            inference.forget_known();
        }
    }

    /// What [`Index::commit`] takes at most for the arguments probed so far.
    #[inline]
    pub(crate) fn needs(&self) -> Room {
        each!(&self.inference, inference => inference.needs())
    }

    /// What there is.
    #[inline]
    pub(crate) fn free(&self) -> Room {
        let (capacity, in_use) = (self.capacity(), self.in_use());
        Room { entries: capacity.entries - in_use.entries, touches: capacity.touches - in_use.touches }
    }

    /// No less than [`Index::needs`].
    #[inline(always)]
    fn needs_at_most(&self) -> Room {
        match &self.inference {
            Inference::Sequential(inference) => inference.needs_at_most(),
            Inference::ReadAfterWrite(inference) => inference.needs(),
        }
    }

    /// Whether there is room for what was probed.
    #[inline(always)]
    pub(crate) fn has_room(&self) -> bool {
        let free = self.free();
        let needs = |needs: Room| needs.entries <= free.entries && needs.touches <= free.touches;
        // What is certainly enough takes no look at each argument.
        needs(self.needs_at_most()) || needs(self.needs())
    }

    /// Enters the task under the arguments probed since [`Index::begin`]. No slot may have been retired in between.
    ///
    /// # Panics
    ///
    /// [`Index::needs`] exceeds [`Index::free`].
    #[inline(always)]
    pub(crate) fn commit(&mut self, slot: SlotIndex) {
        each!(&mut self.inference, inference => inference.commit(slot));
    }

    /// A region that the last commit added a reader to and that has many; each is offered once. The answer is good until a slot is
    /// retired.
    #[inline]
    pub(crate) fn crowded(&mut self) -> Option<Crowd> {
        match &mut self.inference {
            Inference::Sequential(inference) => inference.crowded(),
            Inference::ReadAfterWrite(_) => None,
        }
    }

    /// Reports the readers of a crowded region to a task that will stand for all of them once it is committed.
    pub(crate) fn probe_join(&mut self, crowd: Crowd, findings: &mut impl Findings) {
        if let Inference::Sequential(inference) = &mut self.inference {
            inference.probe_join(crowd, findings);
        }
    }

    /// Forgets a task whose slot is taken back. What a failed one was the last to write stays marked with its cause until it is
    /// overwritten.
    #[inline(always)]
    pub(crate) fn retire(&mut self, slot: SlotIndex, failed: Option<u64>) {
        each!(&mut self.inference, inference => inference.retire(slot, failed));
    }

    /// [`Index::retire`] for a task that failed.
    #[cold]
    pub(crate) fn retire_failed(&mut self, slot: SlotIndex, cause: u64) {
        self.retire(slot, Some(cause));
    }

    /// Forgets the failures in a buffer whose bytes are gone.
    #[inline]
    pub(crate) fn drop_buffer(&mut self, buffer: BufferId) {
        each!(&mut self.inference, inference => inference.drop_buffer(buffer));
    }

    /// Forgets everything, peaks too.
    pub(crate) fn clear(&mut self) {
        each!(&mut self.inference, inference => inference.clear());
    }

    /// What the index was built for.
    #[inline]
    pub(crate) fn capacity(&self) -> Room {
        each!(&self.inference, inference => inference.capacity())
    }

    /// What live tasks and failure marks use.
    #[inline]
    pub(crate) fn in_use(&self) -> Room {
        each!(&self.inference, inference => inference.in_use())
    }

    /// The most that was in use at one time.
    pub(crate) fn peak(&self) -> Room {
        each!(&self.inference, inference => inference.peak())
    }

    /// How many regions look-ups have compared, and how many searches they made.
    #[cfg(test)]
    fn compared(&self) -> usize {
        match &self.inference {
            Inference::Sequential(inference) => inference.compared(),
            Inference::ReadAfterWrite(_) => 0,
        }
    }
}
