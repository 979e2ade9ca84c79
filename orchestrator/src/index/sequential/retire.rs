//! Reclaim: tasks and buffers go, and entries with them.

use super::Sequential;
use crate::index::entry::NOT_FAILED;
use crate::index::pool::NONE;
use crate::index::store::Near;
use crate::index::touches::Touch;
use prewire_runtime_core::id::{BufferId, SlotIndex};

impl Sequential {
    #[inline]
    pub(in crate::index) fn retire(&mut self, slot: SlotIndex, failed: Option<u64>) {
        self.stale = true;
        let first = std::mem::replace(&mut self.slots[slot.index()], NONE);
        if first == NONE {
            return;
        }
        let (mut last, mut count) = (first, 1);
        loop {
            let touch = &self.touches[last];
            let (entry, next) = (touch.entry, touch.slot_next);
            if touch.reads {
                if entry != NONE {
                    self.retire_reader(last, entry);
                }
            } else if self.store.entries[entry].writer_touch == last
                || cfg!(prewire_mutation = "newer_writer_forgotten")
            {
                self.retire_writer(entry, failed);
            }
            if next == NONE {
                break;
            }
            last = next;
            count += 1;
        }
        self.touches.give(first, last, count);
    }

    #[inline(always)]
    fn retire_reader(&mut self, index: u32, entry: u32) {
        let Touch { previous, next, .. } = self.touches[index];
        if next != NONE {
            self.touches[next].previous = previous;
        }
        let listed = &mut self.store.entries[entry];
        listed.reader_count -= 1;
        if previous == NONE {
            listed.readers = next;
            if listed.is_idle() {
                self.store.remove(entry);
            }
        } else {
            self.touches[previous].next = next;
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
