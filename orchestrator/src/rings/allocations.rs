//! The slots of a ring's pure allocations. They are numbered and taken back in an order of their own, so that an allocation that lives as long as its
//! scope does not hold up the tasks behind it (architecture D16). Their bytes lie in the ring's heap, in the heap's order.

use super::NOTHING_KEPT;
use super::slots::Slots;
use prewire_runtime_core::id::SlotIndex;

/// The allocations of one ring.
#[derive(Debug)]
pub(crate) struct Allocations {
    first_slot: u64,
    window: u64,
    head: u64,
    tail: u64,
    first_of_run: u64,
    /// As in [`super::Ring`].
    pub(crate) kept_from: u64,
    peak: u64,
    slots: Slots,
}

impl Allocations {
    pub(crate) fn new(first_slot: u64, window: u64, first_sequence: u64) -> Self {
        Allocations {
            first_slot,
            window,
            head: first_sequence,
            tail: first_sequence,
            first_of_run: first_sequence,
            kept_from: NOTHING_KEPT,
            peak: 0,
            slots: Slots::new(first_slot, window, first_sequence),
        }
    }

    pub(crate) fn begin_run(&mut self) {
        self.first_of_run = self.head;
        self.kept_from = NOTHING_KEPT;
        self.peak = self.live();
    }

    /// Drops every live allocation.
    pub(crate) fn abandon(&mut self) {
        self.tail = self.head;
        self.slots = Slots::new(self.first_slot, self.window, self.head);
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    #[inline]
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    pub(crate) fn first_of_run(&self) -> u64 {
        self.first_of_run
    }

    pub(crate) fn live(&self) -> u64 {
        self.head - self.tail
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    pub(crate) fn has_slot(&self) -> bool {
        self.live() < self.window
    }

    /// Whether the oldest is kept by a scope that is still open.
    pub(crate) fn is_kept_whole(&self) -> bool {
        self.tail == self.kept_from
    }

    #[inline]
    pub(crate) fn slot_of(&self, sequence: u64) -> SlotIndex {
        debug_assert!((self.tail..self.head).contains(&sequence));
        self.slots.slot_of(sequence)
    }

    /// The oldest, if no scope keeps it.
    pub(crate) fn oldest_not_kept(&self) -> Option<SlotIndex> {
        (self.tail < self.head.min(self.kept_from)).then(|| self.slots.slot_of(self.tail))
    }

    pub(crate) fn take_slot(&mut self) -> (u64, SlotIndex) {
        debug_assert!(self.has_slot());
        let sequence = self.head;
        let slot = self.slots.enter(sequence);
        self.head += 1;
        self.peak = self.peak.max(self.live());
        (sequence, slot)
    }

    /// Takes the oldest back. Its bytes stay until they are the heap's oldest.
    pub(crate) fn leave_oldest(&mut self) {
        self.tail += 1;
        self.slots.leave(self.tail, self.head);
    }
}
