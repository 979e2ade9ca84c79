//! Which slot a task has: sequence numbers are mapped to slots in chunks, and the chunk that was freed last is used first, so that the slots in
//! use are as few as the tasks alive.

use prewire_runtime_core::id::SlotIndex;

/// Slots per chunk, at most: 8 KiB of slots.
const CHUNK_BITS_MOST: u32 = 6;

/// Whoever runs tasks looks at one slot after the other, and a processor that sees this fetches the lines behind them as well. Were they the next task's, it would
/// take them from the thread that is just writing them. So neighbours in time are so many slots apart, which is odd, so that each slot of a chunk has its turn.
const STEP: u32 = 37;

/// Where more than these are in use, the slots that are added have been in nobody's cache for long, and what is fetched ahead helps. There neighbours in
/// time are three apart in groups of eight, and the groups follow one another.
const NEAR: u64 = 512;
const STEP_BEYOND: u32 = 3;
const GROUP_BEYOND: u32 = 8;

/// The slots that a number of tasks in a row have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    first: u32,
    mask: u32,
    step: u32,
    /// One less than the slots of a group, within which the order is another one.
    group: u32,
}

impl Chunk {
    fn new(first: u32, mask: u32, is_near: bool) -> Chunk {
        let (step, group) = if is_near { (STEP, mask) } else { (STEP_BEYOND, GROUP_BEYOND - 1) };
        Chunk { first, mask, step, group }
    }

    /// The slot of a task of these.
    #[inline(always)]
    pub(crate) fn slot_of(self, sequence: u64) -> SlotIndex {
        let number = sequence as u32;
        let within = number & !self.group | number.wrapping_mul(self.step) & self.group;
        SlotIndex(self.first + (within & self.mask))
    }
}

/// The slots of one ring.
///
/// The window is a whole number of chunks. The live tasks may reach into one chunk more than that, when the oldest begins in the middle of a
/// chunk; the newest then use the front of the very chunk whose back the oldest still use.
#[derive(Debug)]
pub(crate) struct Slots {
    chunk_bits: u32,
    /// One less than the slots of a chunk.
    chunk_mask: u32,
    /// The chunk that was entered last, and the slots of the next task and of the one behind it, if no other chunk is entered for them.
    newest: Chunk,
    next: SlotIndex,
    ahead: SlotIndex,
    /// The chunk that holds the sequence numbers of this group, by group modulo the number of chunks.
    chunks: Box<[Chunk]>,
    /// First slots of the chunks that hold no live task.
    free: Vec<u32>,
}

impl Slots {
    /// The slots `first..first + window`; `window` is a power of two. The first task will be `head`.
    pub(crate) fn new(first: u64, window: u64, head: u64) -> Self {
        assert!(window.is_power_of_two(), "a window of {window} slots is no power of two");
        let chunk_bits = window.ilog2().min(CHUNK_BITS_MOST);
        let count = window >> chunk_bits;
        let chunk_mask = (1 << chunk_bits) - 1;
        let chunk = Chunk::new(first as u32, chunk_mask, true);
        let mut slots = Slots {
            chunk_bits,
            chunk_mask,
            newest: chunk,
            next: chunk.slot_of(head),
            ahead: chunk.slot_of(head + 1),
            chunks: vec![chunk; count as usize].into_boxed_slice(),
            free: (0..count).rev().map(|chunk| (first + (chunk << chunk_bits)) as u32).collect(),
        };
        if head & ((1 << chunk_bits) - 1) != 0 {
            slots.enter_group(head >> chunk_bits);
            slots.look_ahead(head);
        }
        slots
    }

    /// The slot of a live task, or of the next one behind [`Slots::enter`].
    #[inline(always)]
    pub(crate) fn slot_of(&self, sequence: u64) -> SlotIndex {
        self.chunk_of(sequence).slot_of(sequence)
    }

    /// The chunk that a live task's slot is in.
    #[inline]
    pub(crate) fn chunk_of(&self, sequence: u64) -> Chunk {
        let group = (sequence >> self.chunk_bits) as usize & (self.chunks.len() - 1);
        self.chunks[group]
    }

    /// The slot of the next task. To be called once for each sequence number in order, when the window has room for it.
    #[inline(always)]
    pub(crate) fn enter(&mut self, head: u64) -> SlotIndex {
        if head as u32 & self.chunk_mask == 0 {
            self.enter_group(head >> self.chunk_bits);
        }
        let slot = self.next;
        self.next = self.ahead;
        self.ahead = self.newest.slot_of(head + 2);
        slot
    }

    /// The slot of the task behind the next one, unless another chunk is entered for either.
    #[inline(always)]
    pub(crate) fn ahead(&self) -> SlotIndex {
        self.ahead
    }

    #[inline(never)]
    fn enter_group(&mut self, group: u64) {
        let place = group as usize & (self.chunks.len() - 1);
        // With no chunk free all of them hold the groups behind this one, and the oldest of these has the same place in the table.
        if let Some(first) = self.free.pop() {
            let in_use = ((self.chunks.len() - self.free.len()) as u64) << self.chunk_bits;
            self.chunks[place] = Chunk::new(first, self.chunk_mask, in_use <= NEAR);
        }
        self.newest = self.chunks[place];
        self.look_ahead(group << self.chunk_bits);
    }

    fn look_ahead(&mut self, head: u64) {
        self.next = self.newest.slot_of(head);
        self.ahead = self.newest.slot_of(head + 1);
    }

    /// How many tasks from the live one with this number on have slots in the same chunk.
    #[inline]
    pub(crate) fn in_chunk(&self, sequence: u64) -> u64 {
        let mask = u64::from(self.chunk_mask);
        mask + 1 - (sequence & mask)
    }

    /// Says that all tasks before `tail` are gone, and that the next task is `head`. To be called for each step of the tail, or at least for each that is
    /// a step over what [`Slots::in_chunk`] says.
    #[inline]
    pub(crate) fn leave(&mut self, tail: u64, head: u64) {
        if tail as u32 & self.chunk_mask == 0 {
            self.leave_group((tail >> self.chunk_bits) - 1, head);
        }
    }

    #[inline(never)]
    fn leave_group(&mut self, group: u64, head: u64) {
        let count = self.chunks.len() as u64;
        let shared = head > (group + count) << self.chunk_bits;
        if !shared {
            self.free.push(self.chunks[group as usize & (self.chunks.len() - 1)].first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashSet, VecDeque};

    /// Every live task has a slot of its own, for every window, wherever the numbers begin.
    #[test]
    fn live_tasks_never_share_a_slot() {
        let mut random = 1u64;
        for window in [4u64, 8, 64, 128, 1024] {
            for first_sequence in [0u64, 3, (1 << 31) - 8, (1 << 32) - 8] {
                let mut slots = Slots::new(16, window, first_sequence);
                let (mut head, mut tail) = (first_sequence, first_sequence);
                let mut live: VecDeque<SlotIndex> = VecDeque::new();
                let mut used = HashSet::new();
                for _ in 0..20_000 {
                    random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    // Long phases of growth and of decline, so that the window is full and empty many times.
                    let grow = (random >> 33) % 100 < if (head / (3 * window)).is_multiple_of(2) { 70 } else { 30 };
                    if (grow && head - tail < window) || head == tail {
                        let slot = slots.enter(head);
                        assert_eq!(slots.slot_of(head), slot);
                        assert!((16..16 + window).contains(&u64::from(slot.0)));
                        assert!(used.insert(slot), "slot {slot:?} has two tasks, window {window}");
                        live.push_back(slot);
                        head += 1;
                    } else {
                        let slot = live.pop_front().unwrap();
                        assert_eq!(slots.slot_of(tail), slot, "a live task has moved");
                        used.remove(&slot);
                        tail += 1;
                        slots.leave(tail, head);
                    }
                }
            }
        }
    }

    /// A stream with few tasks alive goes through few slots of a large window.
    #[test]
    fn few_live_tasks_use_few_slots() {
        let mut slots = Slots::new(0, 16_384, 0);
        let mut seen = HashSet::new();
        for sequence in 0..100_000u64 {
            seen.insert(slots.enter(sequence));
            if sequence >= 100 {
                slots.leave(sequence - 100 + 1, sequence + 1);
            }
        }
        assert!(seen.len() <= 256, "100 live tasks went through {} slots", seen.len());
    }
}
