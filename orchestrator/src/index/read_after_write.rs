//! Inference as the public chip runtime does it, for comparing with graphs that it recorded.
//!
//! Writers are listed under their buffer, newest first, and meet only under the same base address; readers leave no trace. A reader and an in-out argument
//! wait for every listed writer whose elements may overlap, where two views of the same layout are compared dimension by
//! dimension and any others by the range of their elements. An in-out argument takes the place of what it covers; a plain
//! writer is added without looking. The cost of a look-up grows with the writers that are live in one buffer.

use super::hash::{bucket_bits, bucket_of};
use super::hazards::{Access, Findings, Found, Hazard, IndexOptions, Room};
use super::pool::{NONE, Pool};
use prewire_runtime_core::id::{BufferId, SlotIndex};
use prewire_runtime_core::tensor::{MAX_DIMENSIONS, Tensor};

#[derive(Clone, Copy, Debug)]
struct Probe {
    tensor: Tensor,
    access: Access,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tensor: Tensor,
    /// [`NONE`] once the writer is gone and only its failure is left.
    writer: u32,
    cause: u64,
    /// The buffer's bytes are gone, so that a failure needs no mark.
    dropped: bool,
    previous: u32,
    next: u32,
    /// The next entry of the same slot.
    slot_next: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meeting {
    Apart,
    Covered,
    Other,
}

#[derive(Debug)]
pub(super) struct ReadAfterWrite {
    entries: Pool<Entry>,
    buckets: Vec<u32>,
    bits: u32,
    slots: Vec<u32>,
    probes: Vec<Probe>,
    marks: usize,
}

impl ReadAfterWrite {
    pub(super) fn new(options: &IndexOptions) -> ReadAfterWrite {
        let bits = bucket_bits(options.entries);
        ReadAfterWrite {
            entries: Pool::new(options.entries),
            buckets: vec![NONE; 1 << bits],
            bits,
            slots: vec![NONE; options.slots],
            probes: Vec::with_capacity(options.arguments),
            marks: 0,
        }
    }

    pub(super) fn begin(&mut self) {
        self.probes.clear();
    }

    #[inline(never)]
    pub(super) fn probe(&mut self, tensor: &Tensor, access: Access, argument: usize, findings: &mut impl Findings) {
        if tensor.is_empty() {
            return;
        }
        assert!(self.probes.len() < self.probes.capacity(), "more tensors in one task than the index was built for");
        self.probes.push(Probe { tensor: *tensor, access });
        if access == Access::Overwrite {
            return;
        }
        let mut entry = self.buckets[self.bucket(tensor.buffer())];
        while entry != NONE {
            let listed = &self.entries[entry];
            if meeting(tensor, &listed.tensor) != Meeting::Apart {
                if listed.writer == NONE {
                    findings.failed(listed.cause, argument);
                } else {
                    let producer = SlotIndex(listed.writer);
                    findings.found(Found { producer, hazard: Hazard::ReadAfterWrite, data: true, argument });
                }
            }
            entry = listed.next;
        }
    }

    pub(super) fn needs(&self) -> Room {
        Room { entries: self.probes.iter().filter(|probe| probe.access != Access::Read).count(), touches: 0 }
    }

    #[inline(never)]
    pub(super) fn commit(&mut self, slot: SlotIndex) {
        for place in 0..self.probes.len() {
            let Probe { tensor, access } = self.probes[place];
            match access {
                Access::Read => {}
                Access::Update => self.supersede(&tensor, |_| true),
                // Nothing is looked up for a plain writer, but a failure ends where its bytes are overwritten.
                Access::Overwrite if self.marks > 0 => self.supersede(&tensor, |entry| entry.writer == NONE),
                Access::Overwrite => {}
            }
        }
        for place in 0..self.probes.len() {
            let Probe { tensor, access } = self.probes[place];
            if access != Access::Read {
                self.insert(&tensor, slot);
            }
        }
        self.probes.clear();
    }

    fn insert(&mut self, tensor: &Tensor, slot: SlotIndex) {
        let bucket = self.bucket(tensor.buffer());
        let head = self.buckets[bucket];
        let slot_next = self.slots[slot.index()];
        let entry = self.entries.take(Entry {
            tensor: *tensor,
            writer: slot.0,
            cause: 0,
            dropped: false,
            previous: NONE,
            next: head,
            slot_next,
        });
        if head != NONE {
            self.entries[head].previous = entry;
        }
        self.buckets[bucket] = entry;
        self.slots[slot.index()] = entry;
    }

    /// Takes the entries that `tensor` covers out of their list. An entry whose writer is live stays in that writer's chain, marked
    /// as covered, until the writer is retired.
    fn supersede(&mut self, tensor: &Tensor, which: impl Fn(&Entry) -> bool) {
        let mut entry = self.buckets[self.bucket(tensor.buffer())];
        while entry != NONE {
            let listed = &self.entries[entry];
            let next = listed.next;
            if which(listed) && meeting(tensor, &listed.tensor) == Meeting::Covered {
                self.unlist(entry);
                if self.entries[entry].writer == NONE {
                    self.marks -= 1;
                    self.entries.give(entry);
                } else {
                    self.entries[entry].writer = NONE;
                }
            }
            entry = next;
        }
    }

    fn unlist(&mut self, entry: u32) {
        let Entry { tensor, previous, next, .. } = self.entries[entry];
        if previous == NONE {
            let bucket = self.bucket(tensor.buffer());
            self.buckets[bucket] = next;
        } else {
            self.entries[previous].next = next;
        }
        if next != NONE {
            self.entries[next].previous = previous;
        }
    }

    #[inline(never)]
    pub(super) fn retire(&mut self, slot: SlotIndex, failed: Option<u64>) {
        let mut entry = std::mem::replace(&mut self.slots[slot.index()], NONE);
        while entry != NONE {
            let listed = &mut self.entries[entry];
            let next = listed.slot_next;
            if listed.writer == NONE {
                self.entries.give(entry);
            } else if let Some(cause) = failed.filter(|_| !listed.dropped) {
                listed.writer = NONE;
                listed.cause = cause;
                self.marks += 1;
            } else {
                self.unlist(entry);
                self.entries.give(entry);
            }
            entry = next;
        }
    }

    pub(super) fn drop_buffer(&mut self, buffer: BufferId) {
        let mut entry = self.buckets[self.bucket(buffer)];
        while entry != NONE {
            let listed = &mut self.entries[entry];
            let next = listed.next;
            if listed.tensor.buffer() == buffer {
                listed.dropped = true;
                if listed.writer == NONE {
                    self.unlist(entry);
                    self.marks -= 1;
                    self.entries.give(entry);
                }
            }
            entry = next;
        }
    }

    pub(super) fn clear(&mut self) {
        if self.entries.in_use() != 0 {
            // Whatever was retired has left its slot and its bucket.
            self.buckets.fill(NONE);
            self.slots.fill(NONE);
        }
        self.entries.clear();
        self.probes.clear();
        self.marks = 0;
    }

    pub(super) fn capacity(&self) -> Room {
        Room { entries: self.entries.capacity(), touches: usize::MAX }
    }

    pub(super) fn in_use(&self) -> Room {
        Room { entries: self.entries.in_use(), touches: 0 }
    }

    pub(super) fn peak(&self) -> Room {
        Room { entries: self.entries.peak(), touches: 0 }
    }

    fn bucket(&self, buffer: BufferId) -> usize {
        bucket_of(buffer.to_bits(), self.bits)
    }
}

/// How a new view lies to a listed one, as the public runtime sees it.
fn meeting(new: &Tensor, listed: &Tensor) -> Meeting {
    if new.buffer() != listed.buffer() || new.address() != listed.address() {
        return Meeting::Apart;
    }
    if new.start() >= listed.start() + listed.extent() || listed.start() >= new.start() + new.extent() {
        return Meeting::Apart;
    }
    let strides = new.strides();
    let alike = new.data_type() == listed.data_type() && strides == listed.strides();
    let nested = strides.last() == Some(&1) && strides.windows(2).all(|pair| pair[0].is_multiple_of(pair[1]));
    if !(alike && nested) {
        return Meeting::Other;
    }
    let mut covered = true;
    let (mut left_new, mut left_listed) = (new.start(), listed.start());
    debug_assert!(strides.len() <= MAX_DIMENSIONS);
    for (dimension, &stride) in strides.iter().enumerate() {
        let stride = u64::from(stride);
        let (at_new, at_listed) = (left_new / stride, left_listed / stride);
        left_new %= stride;
        left_listed %= stride;
        let end_new = at_new + u64::from(new.shape()[dimension]);
        let end_listed = at_listed + u64::from(listed.shape()[dimension]);
        if at_new >= end_listed || at_listed >= end_new {
            return Meeting::Apart;
        }
        covered &= at_new <= at_listed && end_listed <= end_new;
    }
    if covered { Meeting::Covered } else { Meeting::Other }
}
