//! Tasks whose blocks take one core each.

use super::KINDS;
use crate::instance::{Round, Work};
use crate::tracker::Place;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::graph::Queue;
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::ready::BATCH;
use prewire_runtime_core::slot::TaskBody;
use prewire_runtime_core::sync::prefetch;

impl<P: Platform> Round<'_, P> {
    /// Gives free cores of a kind the oldest tasks of its queue.
    pub(crate) fn dispatch_singles(&mut self, kind: CoreKind) -> bool {
        let queue = self.graph.queue(Self::queue_of(kind));
        let waiting = queue.len();
        if waiting == 0 {
            self.own.singles_first[kind as usize] = false;
            self.own.directed_streak[kind as usize] = 0;
            return false;
        }
        let free = self.own.tracker.free_cores(kind);
        if free == 0 {
            return cfg!(prewire_mutation = "busy_cores_asked_for_ever");
        }
        self.mark_busy();
        let mut batch = [SlotIndex(0); BATCH];
        // What is in one instance's hand cannot be taken by another, so each takes its part of what there is.
        let most = free.min(waiting.div_ceil(self.group.config.instances)).min(BATCH);
        let count = queue.pop_batch(&mut batch[..most]);
        self.take_in_hand(count as u64);
        self.prefetch_tasks(&batch[..count]);
        self.own.kept = 0;
        if count > 0 {
            self.group.gangs.served(kind);
            self.own.directed_streak[kind as usize] = 0;
            self.own.singles_first[kind as usize] = false;
            // Where a block ends before its dispatch returns, one core could do everything. It stays warm for a batch; then the next one has its turn.
            let warm = &mut self.own.warm[kind as usize];
            *warm = self.own.tracker.choose_next(kind, *warm).unwrap_or(*warm);
        }
        let mut others = batch[..count].iter();
        while let Some(&slot) = others.next() {
            self.place_single(kind, slot, &mut others);
        }
        count > 0
    }

    /// Asks for the lines that dispatching these tasks will touch.
    #[inline]
    fn prefetch_tasks(&self, batch: &[SlotIndex]) {
        for &slot in batch {
            prefetch(self.graph.slots.get(slot));
        }
        for &slot in batch {
            // SAFETY: the tasks are in this thread's hand.
            let body: &TaskBody = unsafe { self.graph.slots.get(slot).body() };
            if body.tensors > 0 || body.scalars > 0 {
                prefetch(self.graph.arguments.pointer(body.arguments));
            }
        }
    }

    /// Places blocks of a task in hand, leaving a free core for each of `others` in hand behind it. Of these some may be placed with it.
    #[inline]
    fn place_single(&mut self, kind: CoreKind, index: SlotIndex, others: &mut std::slice::Iter<'_, SlotIndex>) {
        if self.state.is_cancelled() {
            return self.out_of_hand();
        }
        if !self.admit(index) {
            return self.out_of_hand();
        }
        let slot = self.graph.slots.get(index);
        // SAFETY: the task is in this thread's hand.
        let body = unsafe { slot.body() };
        let part = Self::only_part(body.parts);
        if body.blocks == 1 {
            let Some(place) = self.own.tracker.choose(kind, self.own.warm[kind as usize]) else {
                debug_assert!(false, "fewer tasks were taken than there are free cores");
                return self.put_back(Self::queue_of(kind), index);
            };
            slot.claim_blocks(1, 1);
            return self.run_on(place, Work { slot: index, block: 0, part }, true, others);
        }
        let free = self.own.tracker.free_cores(kind).saturating_sub(others.len());
        let blocks = self.claim(index, Self::queue_of(kind), free as u32);
        for block in blocks {
            let place = self.own.tracker.choose_next(kind, self.own.warm[kind as usize]);
            let place = place.expect("no more blocks were claimed than there are free cores");
            self.own.in_hand += 1;
            self.run_block(place, Work { slot: index, block, part });
        }
    }

    /// Claims up to `most` blocks of a task in hand and lets go of it: if blocks remain it is at once in its queue again, for others to claim from.
    pub(crate) fn claim(&mut self, index: SlotIndex, queue: Queue, most: u32) -> std::ops::Range<u32> {
        let slot = self.graph.slots.get(index);
        // SAFETY: the task is in this thread's hand.
        let blocks = unsafe { slot.body() }.blocks;
        let (first, count) = slot.claim_blocks(blocks, most);
        if first + count < blocks {
            self.put_back(queue, index);
        } else {
            self.out_of_hand();
        }
        first..first + count
    }

    /// Puts tasks behind running cores of a kind, if no such core is idle anywhere.
    pub(crate) fn preload_singles(&mut self, kind: CoreKind) -> bool {
        let queue = self.graph.queue(Self::queue_of(kind));
        if queue.is_empty() || !self.may_preload(kind) {
            return false;
        }
        let room = self.own.tracker.open_cores(kind).min(BATCH);
        if room == 0 {
            return false;
        }
        self.mark_busy();
        let mut batch = [SlotIndex(0); BATCH];
        let most = room.min(queue.len().div_ceil(self.group.config.instances));
        let count = queue.pop_batch(&mut batch[..most]);
        self.take_in_hand(count as u64);
        self.own.kept = 0;
        if count > 0 {
            self.own.directed_streak[kind as usize] = 0;
        }
        for (at, &slot) in batch[..count].iter().enumerate() {
            self.preload_single(kind, slot, count - at - 1);
        }
        count > 0
    }

    fn preload_single(&mut self, kind: CoreKind, index: SlotIndex, others: usize) {
        if self.state.is_cancelled() || !self.admit(index) {
            return self.out_of_hand();
        }
        // SAFETY: the task is in this thread's hand.
        let part = Self::only_part(unsafe { self.graph.slots.get(index).body() }.parts);
        let room = self.own.tracker.open_cores(kind).saturating_sub(others);
        for block in self.claim(index, Self::queue_of(kind), room as u32) {
            let place: Place =
                self.own.tracker.choose_open(kind).expect("no more blocks were claimed than cores have room");
            self.own.in_hand += 1;
            self.preload_on(place, Work { slot: index, block, part });
        }
    }

    /// Whether single blocks wait that a MIX task was placed ahead of.
    pub(crate) fn note_waiting_singles(&mut self) {
        for kind in KINDS {
            if !self.graph.queue(Self::queue_of(kind)).is_empty() {
                self.own.singles_first[kind as usize] = true;
            }
        }
    }
}
