//! Taking back what finished tasks had, in the order of submission.

use crate::Orchestrator;
use crate::rings::EdgeRuns;
use prewire_runtime_core::id::{BufferId, RING_COUNT, RingIndex, TaskId};
use prewire_runtime_core::slot::{NO_CAUSE, Ordinal};
use prewire_runtime_core::sync::prefetch_for_write;
use std::collections::BTreeMap;

/// Tasks taken back with each submit, at most: more than one, so that a backlog shrinks.
const WITH_EACH_SUBMIT: u64 = 4;

/// Submits that pass before the oldest task is looked at again after it was found unfinished. Whoever runs it works on the same cache line, and on small tasks keeps
/// so many behind: to look sooner is to look in vain.
const PATIENCE: u32 = 128;

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
        let (tail, head, first_of_run) = (ring.tail(), ring.head(), ring.first_of_run());
        let slots = self.graph.slots.all();
        let (mut taken, mut edges) = (0, EdgeRuns::default());
        for sequence in tail..tail + count {
            let slot = chunk.slot_of(sequence);
            let place = slots.get(slot);
            let any_later = || (sequence..head).any(|later| slots.is_free(ring.slot_of(later)));
            let is_free = slots.is_free(slot) || cfg!(prewire_mutation = "reclaimed_past_the_oldest") && any_later();
            if !is_free {
                break;
            }
            // SAFETY: the slot is not reclaimed, and only this thread does that.
            let body = unsafe { place.body() };
            edges.add(body.edges, body.edge_count);
            taken += 1;
            let cause = place.cause();
            if cause == NO_CAUSE {
                self.index.retire(slot, None);
            } else {
                // What of an earlier run failed is known nowhere any more.
                if sequence >= first_of_run && !cfg!(prewire_mutation = "failed_ids_forgotten") {
                    note_failure(&mut self.failed, TaskId::new(RingIndex(number as u8), sequence), cause);
                }
                self.index.retire_failed(slot, cause);
            }
        }
        if taken == WITH_EACH_SUBMIT {
            // There are probably more, whose lines are with whoever ran them.
            for sequence in tail + taken..(tail + 2 * taken).min(head) {
                prefetch_for_write(self.graph.slots.pointer(ring.slot_of(sequence)));
            }
        }
        if taken != 0 {
            ring.leave_oldest(taken, edges);
        }
        (taken, taken < count || count == 0)
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
        unsafe { self.graph.slots.abandon(slot) };
        true
    }

    /// Takes back the allocations that nobody uses any more and no open scope keeps, in their order. True if there were any.
    pub(crate) fn reclaim_allocations(&mut self, number: usize) -> bool {
        let mut any = false;
        while let Some(slot) = self.rings.0[number].allocations.oldest_not_kept() {
            if !self.graph.slots.is_free(slot) {
                let tail = self.rings.0[number].allocations.tail();
                if self.spans.is_empty() || !self.is_gone(RingIndex(number as u8), true, tail) {
                    break;
                }
                // SAFETY: nobody touches the tasks of an ended run.
                unsafe { self.graph.slots.abandon(slot) };
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

#[cold]
fn note_failure(failed: &mut BTreeMap<TaskId, Ordinal>, id: TaskId, cause: Ordinal) {
    failed.insert(id, cause);
}
