//! Taking back what finished tasks had, in the order of submission.

use crate::Orchestrator;
use crate::rings::{Chunk, EdgeRuns};
use prewire_runtime_core::id::{BufferId, RING_COUNT, RingIndex, TaskId};
use prewire_runtime_core::slot::NO_CAUSE;
use prewire_runtime_core::sync::prefetch_for_write;
use std::ops::Range;

/// Tasks taken back with each submit, at most: more than one, so that a backlog shrinks.
const WITH_EACH_SUBMIT: u64 = 4;

/// Submits that pass before the oldest task is looked at again after it was found unfinished. Whoever runs it works on the same cache line.
const PATIENCE: u32 = 16;

impl Orchestrator {
    /// The bounded number of tasks that each submit takes back, and as many as there are before the ring would hold more than ever before.
    #[inline]
    pub(crate) fn reclaim_some(&mut self) {
        if self.config.record {
            // A recorded run keeps finished tasks, so that edges to them are seen, until their room is needed.
            return;
        }
        let ring = self.rings.get_mut(self.ring);
        if ring.patience > 0 {
            ring.patience -= 1;
        } else {
            self.reclaim_oldest();
        }
    }

    #[inline(never)]
    fn reclaim_oldest(&mut self) {
        let number = self.ring.index();
        let most = if self.rings.0[number].is_at_peak() { u64::MAX } else { WITH_EACH_SUBMIT };
        if self.reclaim_tasks(number, most) < most {
            self.rings.0[number].patience = PATIENCE;
        }
    }

    /// Takes back everything that can be, in one ring. True if there was anything.
    pub(crate) fn reclaim_ring(&mut self, number: usize) -> bool {
        self.reclaim_allocations(number) | (self.reclaim_tasks(number, u64::MAX) != 0)
    }

    /// Takes back everything that can be, in all rings. True if there was anything.
    pub(crate) fn reclaim_all(&mut self) -> bool {
        (0..RING_COUNT).fold(false, |any, number| self.reclaim_ring(number) | any)
    }

    /// Takes back up to `most` of a ring's oldest tasks, as long as nobody holds them and no open scope keeps them. Returns how many.
    #[inline(never)]
    fn reclaim_tasks(&mut self, number: usize, most: u64) -> u64 {
        let mut taken = 0;
        while taken < most {
            let (row, stopped) = self.reclaim_row(number, most - taken);
            taken += row;
            if stopped && !self.abandon_oldest(number) {
                break;
            }
        }
        if taken != 0 && self.rings.0[number].heap.span().used() != 0 {
            self.release_pieces(number);
        }
        taken
    }

    /// The same for tasks of one chunk of slots. Also says whether there is no other task, or one that is held.
    #[inline]
    fn reclaim_row(&mut self, number: usize, most: u64) -> (u64, bool) {
        let ring = &mut self.rings.0[number];
        let (chunk, count) = ring.oldest_of_chunk(most);
        let (tail, head) = (ring.tail(), ring.head());
        let slots = self.graph.slots.as_slice();
        let (mut taken, mut edges, mut causes) = (0, EdgeRuns::default(), NO_CAUSE);
        for sequence in tail..tail + count {
            let place = &slots[chunk.slot_of(sequence).index()];
            let any_later = || (sequence..head).any(|later| slots[ring.slot_of(later).index()].is_free());
            let is_free = place.is_free() || cfg!(prewire_mutation = "reclaimed_past_the_oldest") && any_later();
            if !is_free {
                break;
            }
            // SAFETY: the slot is not reclaimed, and only this thread does that.
            let body = unsafe { place.body() };
            edges.add(body.edges, body.edge_count);
            causes &= place.cause();
            taken += 1;
        }
        if taken == WITH_EACH_SUBMIT {
            for sequence in tail + taken..(tail + 2 * taken).min(head) {
                prefetch_for_write(&raw const slots[chunk.slot_of(sequence).index()]);
            }
        }
        if taken != 0 {
            ring.leave_oldest(taken, edges);
            let row = tail..tail + taken;
            if causes == NO_CAUSE {
                row.for_each(|sequence| self.index.retire(chunk.slot_of(sequence), None));
            } else {
                self.retire_failed(row, chunk, number);
            }
        }
        (taken, taken < count || count == 0)
    }

    /// Takes tasks of a ring out of the index. At least one of them failed.
    #[cold]
    fn retire_failed(&mut self, row: Range<u64>, chunk: Chunk, number: usize) {
        let first_of_run = self.rings.0[number].first_of_run();
        for sequence in row {
            let slot = chunk.slot_of(sequence);
            let place = self.graph.slots.get(slot);
            let failed = Some(place.cause()).filter(|&cause| cause != NO_CAUSE);
            // What of an earlier run failed is known nowhere any more.
            if let Some(cause) = failed
                && sequence >= first_of_run
                && !cfg!(prewire_mutation = "failed_ids_forgotten")
            {
                self.failed.insert(TaskId::new(RingIndex(number as u8), sequence), cause);
            }
            self.index.retire(slot, failed);
        }
    }

    /// Drops the holds of a ring's oldest task if they are those of a run that was ended.
    #[inline]
    fn abandon_oldest(&mut self, number: usize) -> bool {
        if self.spans.is_empty() {
            return false;
        }
        let ring = &self.rings.0[number];
        let Some(slot) = ring.oldest_not_kept() else { return false };
        if !self.is_gone(RingIndex(number as u8), false, ring.tail()) {
            return false;
        }
        // SAFETY: nobody touches the tasks of an ended run.
        unsafe { self.graph.slots.get(slot).abandon() };
        true
    }

    /// Takes back the allocations that nobody uses any more and no open scope keeps, in their order. True if there were any.
    pub(crate) fn reclaim_allocations(&mut self, number: usize) -> bool {
        let mut any = false;
        while let Some(slot) = self.rings.0[number].allocations.oldest_not_kept() {
            if !self.graph.slots.get(slot).is_free() {
                let tail = self.rings.0[number].allocations.tail();
                if self.spans.is_empty() || !self.is_gone(RingIndex(number as u8), true, tail) {
                    break;
                }
                // SAFETY: nobody touches the tasks of an ended run.
                unsafe { self.graph.slots.get(slot).abandon() };
            }
            self.rings.0[number].allocations.leave_oldest();
            any = true;
        }
        if any {
            self.release_pieces(number);
        }
        any
    }

    /// Gives back the pieces of the heap whose owners are reclaimed, in the heap's order.
    fn release_pieces(&mut self, number: usize) {
        while let Some(piece) = self.rings.0[number].release_piece() {
            for buffer in piece.first_buffer..piece.first_buffer + u64::from(piece.outputs) {
                self.index.drop_buffer(BufferId::runtime(buffer));
            }
        }
    }
}
