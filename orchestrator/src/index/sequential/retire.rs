//! Reclaim: tasks and buffers go, and entries with them.

use super::Sequential;
use crate::index::pool::NONE;
use crate::index::store::Near;
use crate::index::touches::Touch;
use prewire_runtime_core::id::{BufferId, SlotIndex};

impl Sequential {
    #[inline(always)]
    pub(in crate::index) fn retire(&mut self, slot: SlotIndex, failed: Option<u64>) {
        self.stale = true;
        let (row, more) = self.touches.row_of(slot);
        for touch in row {
            self.retire_touch(touch, failed);
        }
        if more {
            self.retire_pooled(slot, failed);
        }
        self.touches.give(slot);
    }

    /// The same for the touches of a task with many tensors.
    #[inline(never)]
    fn retire_pooled(&mut self, slot: SlotIndex, failed: Option<u64>) {
        let mut pooled = self.touches.newest_pooled_of(slot);
        while pooled != NONE {
            self.retire_touch(pooled, failed);
            pooled = self.touches.before(pooled);
        }
    }

    #[inline(always)]
    fn retire_touch(&mut self, index: u32, failed: Option<u64>) {
        let touch = self.touches.get(index);
        if touch.writes() {
            let is_newest = self.store.entries[touch.entry].writer_touch == index;
            if is_newest || cfg!(prewire_mutation = "newer_writer_forgotten") {
                self.retire_writer(touch.entry, failed);
            }
        } else if touch.entry != NONE {
            self.retire_reader(touch);
        }
    }

    #[inline(always)]
    fn retire_reader(&mut self, Touch { entry, previous, next, .. }: Touch) {
        if next != NONE {
            self.touches.set_previous(next, previous);
        }
        let listed = &mut self.store.entries[entry];
        listed.reader_count -= 1;
        if previous == NONE {
            listed.readers = next;
            if listed.is_idle() {
                self.remove(entry);
            }
        } else {
            self.touches.set_next(previous, next);
        }
    }

    #[inline]
    fn retire_writer(&mut self, entry: u32, failed: Option<u64>) {
        let listed = &mut self.store.entries[entry];
        listed.writer = NONE;
        listed.writer_touch = NONE;
        if let Some(cause) = failed
            && !self.store.roots[listed.root].dropped
        {
            listed.failed = self.causes.take(cause);
        }
        if listed.is_idle() {
            self.remove(entry);
        }
    }

    #[inline(never)]
    fn remove(&mut self, entry: u32) {
        self.store.remove(entry);
    }

    pub(in crate::index) fn drop_buffer(&mut self, buffer: BufferId) {
        self.stale = true;
        // Whatever fails later must leave no mark either, so a buffer with live regions is noted even if none has failed yet.
        let root = self.store.roots.find(buffer);
        if root == NONE {
            return;
        }
        self.store.roots[root].dropped = true;
        if self.causes.in_use() > 0 {
            self.near.clear();
            self.store.all(root, &mut self.near);
            while let Some(Near { entry, .. }) = self.near.pop() {
                if self.forgive(entry) && self.store.entries[entry].is_idle() {
                    self.store.remove(entry);
                }
            }
        }
    }

    /// Takes the mark of a failure from an entry. True if there was one.
    pub(super) fn forgive(&mut self, entry: u32) -> bool {
        let failed = std::mem::replace(&mut self.store.entries[entry].failed, NONE);
        if failed != NONE {
            self.causes.give(failed);
        }
        failed != NONE
    }
}
