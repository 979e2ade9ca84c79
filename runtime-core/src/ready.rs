//! The ready ring: a bounded queue of slots for many pushers and many poppers, first in, first out.
//!
//! After the bounded queue of Dmitry Vyukov: each cell carries the number of the round it is in, and a position is claimed by one
//! compare-and-swap. Round and value share one 64-bit word here, so that a cell is published and read in one access.
//!
//! Only publishing a slot and taking it order anything else: a cell that is given back carries nothing, so that is relaxed, and so is the look of the
//! next push at it.
//!
//! A push cannot fail for want of room: the capacity is at least the number of slots there are. It may find a cell whose popper has claimed it
//! and not yet emptied it, and waits that out.

use crate::id::SlotIndex;
use crate::sync::{AtomicU64, CachePadded, Ordering, fence_behind_rmw, prefetch_for_write, spin_hint};

/// The most slots that one batch takes.
pub const BATCH: usize = 32;

/// A bounded queue of slots.
#[derive(Debug)]
pub struct ReadyRing {
    tail: CachePadded<AtomicU64>,
    head: CachePadded<AtomicU64>,
    cells: Box<[AtomicU64]>,
}

/// A cell's word: the round in the upper half (wrapping), the slot below.
#[inline]
const fn word(round: u64, slot: u32) -> u64 {
    (round << 32) | slot as u64
}

impl ReadyRing {
    /// A ring with room for at least `capacity` slots.
    ///
    /// # Panics
    /// If `capacity` is 0 or beyond 2³¹.
    pub fn new(capacity: usize) -> Self {
        assert!((1..=1 << 31).contains(&capacity), "a ready ring of {capacity} slots cannot be built");
        let capacity = capacity.next_power_of_two().max(2);
        ReadyRing {
            tail: CachePadded::new(AtomicU64::new(0)),
            head: CachePadded::new(AtomicU64::new(0)),
            cells: (0..capacity as u64).map(|position| AtomicU64::new(word(position & ROUND, 0))).collect(),
        }
    }

    /// How many slots fit.
    pub fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// How many slots are in the ring, as a hint: other threads push and pop meanwhile.
    #[inline]
    pub fn len(&self) -> usize {
        let head = self.head.load(Ordering::Relaxed);
        let tail = self.tail.load(Ordering::Relaxed);
        (tail.saturating_sub(head) as usize).min(self.capacity())
    }

    /// Whether the ring looks empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        self.tail.load(Ordering::Relaxed) <= head
    }

    /// Appends a slot. `give_up` is asked while the ring's last popper keeps a cell busy; when it says yes the slot is handed back.
    ///
    /// Behind it the caller may look for sleepers without a fence of its own: one stands behind the claim of the place, which is what
    /// [`ReadyRing::is_empty`] sees.
    #[inline(always)]
    pub fn push(&self, slot: SlotIndex, mut give_up: impl FnMut() -> bool) -> Result<(), SlotIndex> {
        let publish =
            if cfg!(prewire_mutation = "ready_publish_relaxed") { Ordering::Relaxed } else { Ordering::Release };
        let mask = self.cells.len() as u64 - 1;
        let mut position = self.tail.load(Ordering::Relaxed);
        loop {
            let cell = &self.cells[(position & mask) as usize];
            let round = cell.load(Ordering::Relaxed) >> 32;
            if round == position & ROUND {
                if position.is_multiple_of(CELLS_PER_LINE) {
                    // Whoever popped from the line of cells after the next has it; taken over now, no push waits for it.
                    prefetch_for_write(&raw const self.cells[((position + 2 * CELLS_PER_LINE) & mask) as usize]);
                }
                match self.tail.compare_exchange_weak(position, position + 1, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => {
                        // A real fence would publish what is in the slot as well, so the mutation that asks whether the store does goes without.
                        if !cfg!(any(
                            prewire_mutation = "ready_push_without_fence",
                            prewire_mutation = "ready_publish_relaxed"
                        )) {
                            fence_behind_rmw();
                        }
                        cell.store(word((position + 1) & ROUND, slot.0), publish);
                        return Ok(());
                    }
                    Err(now) => position = now,
                }
            } else {
                let now = self.tail.load(Ordering::Relaxed);
                if now == position {
                    if give_up() {
                        return Err(slot);
                    }
                    spin_hint();
                }
                position = now;
            }
        }
    }

    /// Takes the oldest slot, if there is one.
    #[inline]
    pub fn pop(&self) -> Option<SlotIndex> {
        let mut one = [SlotIndex(0)];
        (self.pop_batch(&mut one) == 1).then_some(one[0])
    }

    /// Takes up to `out.len()` (at most [`BATCH`]) of the oldest slots in order and returns how many.
    #[inline]
    pub fn pop_batch(&self, out: &mut [SlotIndex]) -> usize {
        let take = if cfg!(prewire_mutation = "ready_pop_relaxed") { Ordering::Relaxed } else { Ordering::Acquire };
        let capacity = self.cells.len() as u64;
        let most = out.len().min(BATCH).min(self.cells.len());
        let mut position = self.head.load(Ordering::Relaxed);
        loop {
            let mut count = 0;
            while count < most {
                let at = position + count as u64;
                let value = self.cells[(at & (capacity - 1)) as usize].load(take);
                if value >> 32 != (at + 1) & ROUND {
                    break;
                }
                out[count] = SlotIndex(value as u32);
                count += 1;
            }
            if count == 0 {
                let now = self.head.load(Ordering::Relaxed);
                if now == position {
                    return 0;
                }
                position = now;
                continue;
            }
            match self.head.compare_exchange_weak(
                position,
                position + count as u64,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    for at in position..position + count as u64 {
                        self.cells[(at & (capacity - 1)) as usize]
                            .store(word((at + capacity) & ROUND, 0), Ordering::Relaxed);
                    }
                    return count;
                }
                Err(now) => position = now,
            }
        }
    }
}

const CELLS_PER_LINE: u64 = 8;

/// Rounds are compared in 32 bits.
const ROUND: u64 = u32::MAX as u64;
