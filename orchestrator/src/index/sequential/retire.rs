//! Reclaim: tasks and buffers go, and entries with them.

use super::Sequential;
use crate::index::entry::{NOT_FAILED, Touch};
use crate::index::pool::NONE;
use crate::index::store::Near;
use prewire_runtime_core::id::{BufferId, SlotIndex};

impl Sequential {
    #[inline]
    pub(in crate::index) fn retire(&mut self, slot: SlotIndex, failed: Option<u64>) {
        self.stale = true;
        let mut next = std::mem::replace(&mut self.slots[slot.index()], NONE);
        while next != NONE {
            let index = next;
            let touch = &self.touches[index];
            let entry = touch.entry;
            next = touch.slot_next;
            if touch.reads {
                if entry != NONE {
                    self.retire_reader(index, entry);
                }
            } else if self.store.entries[entry].writer_touch == index
                || cfg!(prewire_mutation = "newer_writer_forgotten")
            {
                self.retire_writer(entry, failed);
            }
            self.touches.give(index);
        }
    }

    fn retire_reader(&mut self, index: u32, entry: u32) {
        let Touch { previous, next, .. } = self.touches[index];
        if next != NONE {
            self.touches[next].previous = previous;
        }
        if previous != NONE {
            self.touches[previous].next = next;
        }
        let listed = &mut self.store.entries[entry];
        if previous == NONE {
            listed.readers = next;
        }
        listed.reader_count -= 1;
        if listed.is_idle() {
            self.store.remove(entry);
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
            listed.failed = cause;
            self.marks += 1;
        }
        if listed.is_idle() {
            self.store.remove(entry);
        }
    }

    pub(in crate::index) fn drop_buffer(&mut self, buffer: BufferId) {
        self.stale = true;
        // Whatever fails later must leave no mark either, so a buffer with live regions is noted even if none has failed yet.
        let root = self.store.roots.find(buffer);
        if root == NONE {
            return;
        }
        self.store.roots[root].dropped = true;
        if self.marks > 0 {
            self.near.clear();
            self.store.all(root, &mut self.near);
            while let Some(Near { entry, .. }) = self.near.pop() {
                let listed = &mut self.store.entries[entry];
                if listed.failed != NOT_FAILED {
                    listed.failed = NOT_FAILED;
                    self.marks -= 1;
                    if listed.is_idle() {
                        self.store.remove(entry);
                    }
                }
            }
        }
    }
}
