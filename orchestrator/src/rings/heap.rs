//! The bytes for task outputs: one contiguous piece per task or allocation that has any. Pieces come back in the order in which they were taken,
//! each once its owner is reclaimed.

use super::span::Span;
use prewire_runtime_core::id::TaskId;
use prewire_runtime_core::task::HEAP_ALIGNMENT_BYTES;
use std::collections::VecDeque;

/// A piece of the heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// The owner.
    pub(crate) owner: TaskId,
    start: u64,
    bytes: u64,
    /// The number of its first output's buffer; the others follow.
    pub(crate) first_buffer: u64,
    /// How many outputs there are.
    pub(crate) outputs: u32,
}

/// The heap of one ring.
#[derive(Debug)]
pub(crate) struct Heap {
    address: u64,
    span: Span,
    pieces: VecDeque<Piece>,
    /// Who owns the oldest piece.
    oldest: TaskId,
}

impl Heap {
    /// A heap of the `bytes` at `address`, both multiples of 64, for at most `owners` tasks and allocations.
    pub(crate) fn new(address: u64, bytes: u64, owners: u64) -> Self {
        debug_assert!(address.is_multiple_of(HEAP_ALIGNMENT_BYTES) && bytes.is_multiple_of(HEAP_ALIGNMENT_BYTES));
        Heap { address, span: Span::new(bytes), pieces: VecDeque::with_capacity(owners as usize), oldest: TaskId::NONE }
    }

    /// Where `bytes` bytes (not 0, at most 2⁶¹) would go, if there is room now.
    #[inline]
    pub(crate) fn place(&self, bytes: u64) -> Option<u64> {
        self.span.place(bytes.next_multiple_of(HEAP_ALIGNMENT_BYTES))
    }

    /// Takes what [`Heap::place`] has found. Returns the address.
    #[inline]
    pub(crate) fn take(&mut self, start: u64, bytes: u64, owner: TaskId, first_buffer: u64, outputs: u32) -> u64 {
        let bytes = bytes.next_multiple_of(HEAP_ALIGNMENT_BYTES);
        self.span.take(start, bytes);
        if self.pieces.is_empty() {
            self.oldest = owner;
        }
        self.pieces.push_back(Piece { owner, start, bytes, first_buffer, outputs });
        self.address + start
    }

    /// Who owns the oldest piece; nobody if there is none.
    #[inline]
    pub(crate) fn oldest(&self) -> TaskId {
        self.oldest
    }

    /// Gives the oldest piece back, whose owner is reclaimed.
    pub(crate) fn release_oldest(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.span.release(piece.start, piece.start + piece.bytes, piece.bytes);
        self.oldest = self.pieces.front().map_or(TaskId::NONE, |piece| piece.owner);
        Some(piece)
    }

    /// A new run begins: nothing was needed yet.
    pub(crate) fn forget_peak(&mut self) {
        self.span.forget_peak();
    }

    /// Drops every piece.
    pub(crate) fn clear(&mut self) {
        self.span = Span::new(self.span.capacity());
        self.pieces.clear();
        self.oldest = TaskId::NONE;
    }

    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prewire_runtime_core::id::RingIndex;

    fn task(sequence: u64) -> TaskId {
        TaskId::new(RingIndex(0), sequence)
    }

    /// Says where `bytes` bytes fit between the live blocks, which lie in the order of their age: behind the newest, or at the beginning.
    fn has_place(live: &VecDeque<(u64, u64, u64)>, bytes: u64, capacity: u64) -> bool {
        let (Some(&(_, oldest, _)), Some(&(_, start, size))) = (live.front(), live.back()) else {
            return bytes <= capacity;
        };
        let end = start + size;
        if oldest < end { bytes <= capacity - end || bytes <= oldest } else { bytes <= oldest - end }
    }

    /// Claims CHIP-042.
    #[test]
    fn placement_agrees_with_a_model() {
        let mut random = 42u64;
        let mut below = |bound: u64| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) % bound
        };
        let (mut placed, mut failed) = (0, 0);
        for capacity in [1024, 4096, 65_472, 65_536] {
            let base = 1 << 20;
            let mut heap = Heap::new(base, capacity, 1 << 20);
            let mut live: VecDeque<(u64, u64, u64)> = VecDeque::new();
            for sequence in 0..25_000 {
                let most = [64, 200, capacity / 4, capacity][below(4) as usize];
                let bytes = 1 + below(most);
                let size = bytes.next_multiple_of(64);
                while below(3) == 0
                    && let Some((oldest, start, _)) = live.pop_front()
                {
                    let piece = heap.release_oldest().expect("there is a block");
                    assert_eq!((piece.owner, piece.start), (task(oldest), start));
                }
                let expected = has_place(&live, size, capacity);
                let place = heap.place(bytes);
                assert_eq!(place.is_some(), expected, "{bytes} bytes of {capacity} between {live:?}");
                let Some(place) = place else {
                    failed += 1;
                    continue;
                };
                placed += 1;
                let address = heap.take(place, bytes, task(sequence), 0, 1);
                let start = address - base;
                assert!(address.is_multiple_of(64) && start + size <= capacity, "it straddles the end");
                assert!(
                    live.iter().all(|&(_, other, length)| start + size <= other || other + length <= start),
                    "[{start}, {}) overlaps one of {live:?}",
                    start + size
                );
                live.push_back((sequence, start, size));
                assert_eq!(heap.oldest(), task(live[0].0));
            }
        }
        assert!(placed > 20_000 && failed > 20_000, "{placed} placed, {failed} not");
    }

    /// The size that is reported as needed is enough for blocks of any sizes in the same order, wherever they begin.
    #[test]
    fn the_reported_peak_is_enough() {
        let mut random = 7u64;
        let mut below = |bound: u64| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) % bound
        };
        for _ in 0..200 {
            let blocks: Vec<u64> = (0..200).map(|_| 64 * (1 + below(20))).collect();
            let held = 1 + below(20) as usize;
            let run = |capacity| {
                let mut heap = Heap::new(1 << 20, capacity, 1 << 20);
                for (sequence, &bytes) in blocks.iter().enumerate() {
                    if sequence >= held {
                        heap.release_oldest();
                    }
                    let place = heap.place(bytes)?;
                    heap.take(place, bytes, task(sequence as u64), 0, 1);
                }
                Some(heap.span().peak())
            };
            let peak = run(1 << 30).expect("there is room for all");
            assert!(run(peak).is_some(), "{peak} bytes are not enough");
        }
    }
}
