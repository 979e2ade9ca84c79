//! Inference of every hazard, for any overlap.
//!
//! An entry stands for a region: its last writer and the readers since. A new writer of a region takes the place of its writer and
//! readers, and of every entry that it covers: whoever meets one of those later meets the new writer too, which waited for
//! them. Partial overlaps leave both entries in place. An entry goes when the last task that it names is retired, unless that
//! was a writer that failed: then the entry stays as a mark until the region is overwritten or its buffer is gone.

use super::entry::{NOT_FAILED, Touch};
use super::hazards::{Access, Findings, Found, Hazard, IndexOptions, Room};
use super::pool::{NONE, Pool};
use super::store::{Near, Sight, Store, Wanted};
use prewire_runtime_core::id::{BufferId, SlotIndex};
use prewire_runtime_core::tensor::Tensor;

/// A region is crowded once it has this many readers.
const CROWD: u32 = 32;

/// A region with so many readers that a later writer would need as many edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowd {
    entry: u32,
}

/// What phase 1 remembers of an argument.
#[derive(Clone, Copy, Debug)]
struct Probe {
    buffer: BufferId,
    base: u64,
    start: u64,
    geometry: u32,
    root: u32,
    /// The root's version when it was looked at.
    version: u32,
    /// The entry of exactly this region.
    entry: u32,
    access: Access,
    /// Whether the region covers entries of others.
    covers: bool,
    /// As in [`Sight`].
    at_corner: bool,
    /// Whether the readers of the entry are to be replaced by this one.
    joins: bool,
}

impl Probe {
    #[inline]
    fn wanted(&self) -> Wanted {
        let writes = self.access != Access::Read;
        Wanted { root: self.root, start: self.start, geometry: self.geometry, writes }
    }
}

#[derive(Debug)]
pub(super) struct Sequential {
    store: Store,
    touches: Pool<Touch>,
    /// The first touch of each slot.
    slots: Vec<u32>,
    probes: Vec<Probe>,
    near: Vec<Near>,
    crowds: Vec<Crowd>,
    /// Entries whose writer failed.
    marks: usize,
}

impl Sequential {
    pub(super) fn new(options: &IndexOptions) -> Sequential {
        Sequential {
            store: Store::new(options.entries, options.arguments),
            touches: Pool::new(options.touches),
            slots: vec![NONE; options.slots],
            probes: Vec::with_capacity(options.arguments),
            near: Vec::with_capacity(options.entries),
            crowds: Vec::with_capacity(options.arguments),
            marks: 0,
        }
    }

    #[inline]
    pub(super) fn begin(&mut self) {
        self.probes.clear();
        self.crowds.clear();
        self.store.geometries.begin();
    }

    #[inline]
    pub(super) fn probe(&mut self, tensor: &Tensor, access: Access, argument: usize, findings: &mut impl Findings) {
        let geometry = self.store.geometries.intern(tensor);
        if geometry == NONE {
            return;
        }
        let start = tensor.key_start();
        let base = if tensor.buffer().is_external() { tensor.address() } else { 0 };
        let root = self.store.roots.find(tensor.buffer());
        let mut probe = Probe {
            buffer: tensor.buffer(),
            base,
            start,
            geometry,
            root,
            version: 0,
            entry: NONE,
            access,
            covers: false,
            at_corner: false,
            joins: false,
        };
        if root != NONE {
            probe.version = self.store.roots[root].version;
            self.near.clear();
            let sight = self.store.look(probe.wanted(), &mut self.near);
            (probe.entry, probe.at_corner) = (sight.exact, sight.at_corner);
            if probe.entry != NONE {
                self.report(probe.entry, true, access, argument, findings);
            }
            for place in 0..self.near.len() {
                let near = self.near[place];
                probe.covers |= near.covered;
                self.report(near.entry, near.covered, access, argument, findings);
            }
        }
        assert!(self.probes.len() < self.probes.capacity(), "more tensors in one task than the index was built for");
        self.probes.push(probe);
    }

    #[inline]
    fn report(&self, entry: u32, covered: bool, access: Access, argument: usize, findings: &mut impl Findings) {
        let listed = &self.store.entries[entry];
        let overwritten = covered && access == Access::Overwrite;
        if access != Access::Read {
            let mut reader = listed.readers;
            while reader != NONE {
                let touch = &self.touches[reader];
                let producer = SlotIndex(touch.slot);
                findings.found(Found { producer, hazard: Hazard::WriteAfterRead, data: false, argument });
                reader = touch.next;
            }
        }
        // The readers waited for the writer, so that an overwrite that waits for them need not.
        if listed.writer != NONE && !(overwritten && listed.readers != NONE) {
            let hazard = if access == Access::Overwrite { Hazard::WriteAfterWrite } else { Hazard::ReadAfterWrite };
            findings.found(Found { producer: SlotIndex(listed.writer), hazard, data: !overwritten, argument });
        }
        if listed.failed != NOT_FAILED && !overwritten {
            findings.failed(listed.failed, argument);
        }
    }

    pub(super) fn probe_join(&mut self, crowd: Crowd, findings: &mut impl Findings) {
        let listed = &self.store.entries[crowd.entry];
        let root = &self.store.roots[listed.root];
        let probe = Probe {
            buffer: root.buffer,
            base: root.base,
            start: listed.start,
            geometry: listed.geometry,
            root: listed.root,
            version: root.version,
            entry: crowd.entry,
            access: Access::Read,
            covers: false,
            at_corner: false,
            joins: true,
        };
        let mut reader = listed.readers;
        while reader != NONE {
            let touch = &self.touches[reader];
            let producer = SlotIndex(touch.slot);
            findings.found(Found { producer, hazard: Hazard::WriteAfterRead, data: false, argument: 0 });
            reader = touch.next;
        }
        self.probes.push(probe);
    }

    pub(super) fn needs(&self) -> Room {
        let entries = self.probes.iter().filter(|probe| probe.entry == NONE).count();
        Room { entries, touches: self.probes.len() }
    }

    #[inline]
    pub(super) fn commit(&mut self, slot: SlotIndex) {
        for place in 0..self.probes.len() {
            self.commit_one(slot.0, place);
        }
        self.probes.clear();
    }

    #[inline]
    fn commit_one(&mut self, slot: u32, place: usize) {
        let &Probe { root, version, entry, access, covers, joins, .. } = &self.probes[place];
        // An earlier argument of the same task may have changed what the buffer's root holds.
        let changed = root == NONE || (place > 0 && self.store.roots[root].version != version);
        let (entry, covers) = if entry != NONE && !changed { (entry, covers) } else { self.enter(place, changed) };
        if access == Access::Read {
            if joins {
                self.detach_readers(entry);
            }
            self.read(slot, entry);
        } else {
            self.forget_accesses(entry);
            self.write(slot, entry);
            if covers {
                self.supersede(place);
            }
        }
    }

    /// The entry of a probed region, made if there is none, and whether the region covers others.
    #[inline(never)]
    fn enter(&mut self, place: usize, changed: bool) -> (u32, bool) {
        let &Probe { buffer, base, covers, at_corner, .. } = &self.probes[place];
        if !changed {
            return (self.store.insert(self.probes[place].wanted(), at_corner), covers);
        }
        self.probes[place].root = self.store.root_of(buffer, base);
        let wanted = self.probes[place].wanted();
        self.near.clear();
        let Sight { exact, at_corner } = self.store.look(wanted, &mut self.near);
        let covers = self.near.iter().any(|near| near.covered);
        (if exact == NONE { self.store.insert(wanted, at_corner) } else { exact }, covers)
    }

    /// Adds a reader to an entry, unless the task already is its writer or its newest reader.
    fn read(&mut self, slot: u32, entry: u32) {
        let listed = &self.store.entries[entry];
        let head = listed.readers;
        if listed.writer == slot || (head != NONE && self.touches[head].slot == slot) {
            return;
        }
        let touch = self.touch(slot, entry, true);
        self.touches[touch].next = head;
        if head != NONE {
            self.touches[head].previous = touch;
        }
        let listed = &mut self.store.entries[entry];
        listed.readers = touch;
        listed.reader_count += 1;
        if listed.reader_count >= CROWD {
            self.crowds.push(Crowd { entry });
        }
    }

    /// Makes the task an entry's writer.
    #[inline]
    fn write(&mut self, slot: u32, entry: u32) {
        let touch = self.touch(slot, entry, false);
        let listed = &mut self.store.entries[entry];
        listed.writer = slot;
        listed.writer_touch = touch;
    }

    /// Removes the entries that a written region covers.
    #[inline(never)]
    fn supersede(&mut self, place: usize) {
        self.near.clear();
        self.store.look(self.probes[place].wanted(), &mut self.near);
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
    #[inline]
    fn forget_accesses(&mut self, entry: u32) {
        if self.store.entries[entry].readers != NONE {
            self.detach_readers(entry);
        }
        let listed = &mut self.store.entries[entry];
        if listed.failed != NOT_FAILED {
            listed.failed = NOT_FAILED;
            self.marks -= 1;
        }
    }

    #[inline(never)]
    fn detach_readers(&mut self, entry: u32) {
        let listed = &mut self.store.entries[entry];
        let mut reader = std::mem::replace(&mut listed.readers, NONE);
        listed.reader_count = 0;
        while reader != NONE {
            let touch = &mut self.touches[reader];
            touch.entry = NONE;
            reader = touch.next;
        }
    }

    #[inline(always)]
    fn touch(&mut self, slot: u32, entry: u32, reads: bool) -> u32 {
        let slot_next = self.slots[slot as usize];
        let touch = self.touches.take(Touch { slot, entry, slot_next, previous: NONE, next: NONE, reads });
        self.slots[slot as usize] = touch;
        touch
    }

    pub(super) fn crowded(&mut self) -> Option<Crowd> {
        // A later argument may have superseded the region.
        while let Some(crowd) = self.crowds.pop() {
            if self.store.entries[crowd.entry].reader_count >= CROWD {
                return Some(crowd);
            }
        }
        None
    }

    #[inline]
    pub(super) fn retire(&mut self, slot: SlotIndex, failed: Option<u64>) {
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
            } else if self.store.entries[entry].writer_touch == index {
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

    pub(super) fn drop_buffer(&mut self, buffer: BufferId) {
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

    pub(super) fn clear(&mut self) {
        self.probes.clear();
        self.crowds.clear();
        self.store.clear();
        self.touches.clear();
        self.slots.fill(NONE);
        self.marks = 0;
    }

    pub(super) fn capacity(&self) -> Room {
        Room { entries: self.store.entries.capacity(), touches: self.touches.capacity() }
    }

    pub(super) fn in_use(&self) -> Room {
        Room { entries: self.store.entries.in_use(), touches: self.touches.in_use() }
    }

    pub(super) fn peak(&self) -> Room {
        Room { entries: self.store.entries.peak(), touches: self.touches.peak() }
    }

    #[cfg(test)]
    pub(super) fn compared(&self) -> usize {
        self.store.compared.get()
    }
}
