//! Phase 2: the task takes its place as reader and writer.

use super::{Crowd, Marks, Probe, Seen, Sequential};
use crate::index::pool::NONE;
use crate::index::store::{Place, Sight};
use crate::index::touches::{Taken, Touch};
use prewire_runtime_core::id::SlotIndex;

/// A region is crowded once it has this many readers.
const CROWD: u32 = 32;

impl Sequential {
    #[inline(always)]
    pub(in crate::index) fn commit(&mut self, slot: SlotIndex) {
        let pending = self.seen.len() + self.probes.len();
        debug_assert!(!self.stale || pending == 0, "a slot or a buffer went between look-up and entry");
        if !self.probes.is_empty() {
            return self.commit_probes(slot);
        }
        let mut taken = self.touches.begin(slot);
        for place in 0..self.seen.len() {
            let Seen { entry, writes, .. } = self.seen[place];
            if writes {
                self.write(&mut taken, slot.0, entry);
            } else {
                self.read(&mut taken, slot.0, entry);
            }
        }
        self.seen.clear();
        self.touches.end(slot, taken);
    }

    /// [`Sequential::commit`] for what was searched for.
    #[inline(never)]
    fn commit_probes(&mut self, slot: SlotIndex) {
        let mut taken = self.touches.begin(slot);
        for place in 0..self.probes.len() {
            // Word by word: a copy of the place would be loaded before its parts have reached the cache.
            let &Probe { place: Place { root, .. }, version, entry, marks } = &self.probes[place];
            // An earlier argument of the same task may have changed what the buffer's root holds.
            let (entry, covers) = if root == NONE || self.store.roots[root].version != version {
                self.look_again(place)
            } else {
                let mut insert = || self.store.insert(self.probes[place].place, marks.has(Marks::AT_CORNER));
                (if entry == NONE { insert() } else { entry }, marks.has(Marks::COVERS))
            };
            if !marks.has(Marks::WRITES) {
                if marks.has(Marks::JOINS) {
                    self.detach_readers(entry);
                }
                self.read(&mut taken, slot.0, entry);
            } else {
                self.write(&mut taken, slot.0, entry);
                if covers {
                    self.supersede(place);
                }
            }
        }
        self.probes.clear();
        self.touches.end(slot, taken);
    }

    /// The entry of a probed region, made if there is none, and whether the region covers others, where that is not what it was.
    #[inline(never)]
    fn look_again(&mut self, place: usize) -> (u32, bool) {
        let Probe { place: mut wanted, version, marks, .. } = self.probes[place];
        if wanted.root == NONE {
            let (buffer, base) = self.rootless[version as usize];
            // Nothing has been entered before the first argument, so that it has none now either.
            let known = if place == 0 { NONE } else { self.store.roots.find(buffer) };
            if known == NONE {
                wanted.root = self.store.roots.add(buffer, base);
                self.probes[place].place = wanted;
                return (self.store.insert(wanted, false), false);
            }
            wanted.root = known;
            self.probes[place].place = wanted;
        }
        self.near.clear();
        let Sight { exact, corner } = self.store.look(wanted, marks.has(Marks::WRITES), &mut self.near);
        let covers = self.near.iter().any(|near| near.covered);
        (if exact == NONE { self.store.insert(wanted, corner.is_some()) } else { exact }, covers)
    }

    /// Adds a reader to an entry, unless the task already is its writer or its newest reader.
    #[inline(always)]
    fn read(&mut self, taken: &mut Taken, slot: u32, entry: u32) {
        let listed = &mut self.store.entries[entry];
        let head = listed.readers;
        if listed.writer == slot || (head != NONE && self.touches.is_of(head, taken)) {
            return;
        }
        let touch = self.touches.take(taken, Touch::read(slot, entry, head));
        if head != NONE {
            self.touches.set_previous(head, touch);
        }
        listed.readers = touch;
        listed.reader_count += 1;
        if listed.reader_count >= CROWD {
            self.crowds.push(Crowd { entry });
        }
    }

    /// Makes the task an entry's writer, in the place of whoever was known there.
    #[inline(always)]
    fn write(&mut self, taken: &mut Taken, slot: u32, entry: u32) {
        let listed = &self.store.entries[entry];
        if listed.readers != NONE || listed.failed != NONE {
            self.forget_accesses(entry);
        }
        let touch = self.touches.take(taken, Touch::write(slot, entry));
        let listed = &mut self.store.entries[entry];
        listed.writer = slot;
        listed.writer_touch = touch;
    }

    /// Removes the entries that a written region covers.
    #[inline(never)]
    fn supersede(&mut self, place: usize) {
        self.near.clear();
        let wanted = self.probes[place].place;
        self.store.look(wanted, true, &mut self.near);
        self.store.roots.change(wanted.root);
        while let Some(near) = self.near.pop() {
            if near.covered {
                self.forget_accesses(near.entry);
                let listed = &mut self.store.entries[near.entry];
                listed.writer = NONE;
                listed.writer_touch = NONE;
                self.store.remove(near.entry);
            }
        }
    }

    /// Forgets the readers and the failure of an entry; its writer is for the caller to replace.
    #[inline(never)]
    fn forget_accesses(&mut self, entry: u32) {
        if self.store.entries[entry].readers != NONE {
            self.detach_readers(entry);
        }
        self.forgive(entry);
    }

    #[inline(never)]
    fn detach_readers(&mut self, entry: u32) {
        let listed = &mut self.store.entries[entry];
        let mut reader = std::mem::replace(&mut listed.readers, NONE);
        listed.reader_count = 0;
        while reader != NONE {
            self.touches.detach(reader);
            reader = self.touches.get(reader).next;
        }
    }

    pub(in crate::index) fn crowded(&mut self) -> Option<Crowd> {
        // A later argument may have superseded the region.
        while let Some(crowd) = self.crowds.pop() {
            if self.store.entries[crowd.entry].reader_count >= CROWD {
                return Some(crowd);
            }
        }
        None
    }
}
