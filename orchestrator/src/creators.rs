//! What the outputs of the tasks with a slot were, as far as later tasks need to know.

use prewire_runtime_core::id::{BufferId, SlotIndex};
use prewire_runtime_core::task::ArgumentLimits;

/// What is remembered of one task.
#[derive(Clone, Copy, Debug, Default)]
struct Creator {
    /// The number of the first output's buffer.
    first_buffer: u64,
    /// One bit per output that a later task overwrote whole, so that the creator's failure no longer concerns its readers.
    overwritten: u64,
}

const BITS: usize = u64::BITS as usize;

/// What is remembered of each task, by slot.
#[derive(Debug)]
pub(crate) struct Creators {
    creators: Box<[Creator]>,
    /// The bits of outputs beyond the first 64, so many words for each slot; none where no task may have so many.
    more: Box<[u64]>,
    words: usize,
}

impl Creators {
    pub(crate) fn new(slots: usize, limits: ArgumentLimits) -> Self {
        let words = usize::from(limits.tensors).div_ceil(BITS).saturating_sub(1);
        Creators {
            creators: vec![Creator::default(); slots].into_boxed_slice(),
            more: vec![0; slots * words].into_boxed_slice(),
            words,
        }
    }

    /// The slot has a new task, with outputs from this buffer on.
    #[inline]
    pub(crate) fn begin(&mut self, slot: SlotIndex, first_buffer: u64) {
        self.creators[slot.index()] = Creator { first_buffer, overwritten: 0 };
        if self.words != 0 {
            self.more[slot.index() * self.words..][..self.words].fill(0);
        }
    }

    /// Which of the task's outputs a buffer is.
    fn output(&self, slot: SlotIndex, buffer: BufferId) -> usize {
        (buffer.to_bits() - self.creators[slot.index()].first_buffer) as usize
    }

    /// The task's output was overwritten whole.
    pub(crate) fn overwrite(&mut self, slot: SlotIndex, buffer: BufferId) {
        match self.output(slot, buffer) {
            output @ 0..BITS => self.creators[slot.index()].overwritten |= 1 << output,
            output => self.more[slot.index() * self.words + output / BITS - 1] |= 1 << (output % BITS),
        }
    }

    /// Whether the task's output was overwritten whole.
    #[inline]
    pub(crate) fn is_overwritten(&self, slot: SlotIndex, buffer: BufferId) -> bool {
        match self.output(slot, buffer) {
            output @ 0..BITS => self.creators[slot.index()].overwritten >> output & 1 != 0,
            output => self.more[slot.index() * self.words + output / BITS - 1] >> (output % BITS) & 1 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_of_the_largest_task_is_remembered_and_forgotten_apart() {
        for limits in [ArgumentLimits::CHIP, ArgumentLimits::HOST] {
            let mut creators = Creators::new(3, limits);
            let buffer = |output: u16| BufferId::runtime(1000 + u64::from(output));
            for slot in [0, 1, 2].map(SlotIndex) {
                creators.begin(slot, 1000);
            }
            for output in 0..limits.tensors {
                assert!(!creators.is_overwritten(SlotIndex(1), buffer(output)));
                creators.overwrite(SlotIndex(1), buffer(output));
                assert!(creators.is_overwritten(SlotIndex(1), buffer(output)));
                for other in [0, 2].map(SlotIndex) {
                    assert!(!creators.is_overwritten(other, buffer(output)), "output {output}");
                }
            }
            creators.begin(SlotIndex(1), 1000);
            assert!((0..limits.tensors).all(|output| !creators.is_overwritten(SlotIndex(1), buffer(output))));
        }
    }
}
