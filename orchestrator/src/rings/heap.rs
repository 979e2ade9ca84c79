//! The bytes for task outputs: one contiguous piece per task that has any.

use super::span::Span;
use prewire_runtime_core::task::HEAP_ALIGNMENT_BYTES;
use std::collections::VecDeque;

/// A task's piece of the heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// The task's number within its ring.
    pub(crate) sequence: u64,
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
    /// The task that owns the oldest piece.
    oldest: u64,
}

impl Heap {
    /// A heap of the `bytes` at `address`, both multiples of 64, for at most `window` tasks.
    pub(crate) fn new(address: u64, bytes: u64, window: u64) -> Self {
        debug_assert!(address.is_multiple_of(HEAP_ALIGNMENT_BYTES) && bytes.is_multiple_of(HEAP_ALIGNMENT_BYTES));
        Heap { address, span: Span::new(bytes), pieces: VecDeque::with_capacity(window as usize), oldest: u64::MAX }
    }

    /// Where `bytes` bytes (not 0, at most 2⁶¹) would go, if there is room now.
    #[inline]
    pub(crate) fn place(&self, bytes: u64) -> Option<u64> {
        self.span.place(bytes.next_multiple_of(HEAP_ALIGNMENT_BYTES))
    }

    /// Takes what [`Heap::place`] has found, for the task with this number. Returns the address.
    #[inline]
    pub(crate) fn take(&mut self, start: u64, bytes: u64, sequence: u64, first_buffer: u64, outputs: u32) -> u64 {
        let bytes = bytes.next_multiple_of(HEAP_ALIGNMENT_BYTES);
        self.span.take(start, bytes);
        if self.pieces.is_empty() {
            self.oldest = sequence;
        }
        self.pieces.push_back(Piece { sequence, start, bytes, first_buffer, outputs });
        self.address + start
    }

    /// Gives back the piece of the task with this number, if it has one. Tasks come in order.
    #[inline]
    pub(crate) fn release(&mut self, sequence: u64) -> Option<Piece> {
        if sequence == self.oldest { self.release_oldest() } else { None }
    }

    fn release_oldest(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.span.release(piece.start, piece.bytes);
        self.oldest = self.pieces.front().map_or(u64::MAX, |piece| piece.sequence);
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
        self.oldest = u64::MAX;
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
                    let piece = heap.release(oldest).expect("the oldest owns a block");
                    assert_eq!((piece.sequence, base + piece.start), (oldest, base + start));
                }
                let expected = has_place(&live, size, capacity);
                let place = heap.place(bytes);
                assert_eq!(place.is_some(), expected, "{bytes} bytes of {capacity} between {live:?}");
                let Some(place) = place else {
                    failed += 1;
                    continue;
                };
                placed += 1;
                let address = heap.take(place, bytes, sequence, 0, 1);
                let start = address - base;
                assert!(address.is_multiple_of(64) && start + size <= capacity, "it straddles the end");
                assert!(
                    live.iter().all(|&(_, other, length)| start + size <= other || other + length <= start),
                    "[{start}, {}) overlaps one of {live:?}",
                    start + size
                );
                live.push_back((sequence, start, size));
                assert!(heap.release(sequence + 1).is_none(), "a task without a block has none to give back");
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
                        heap.release((sequence - held) as u64);
                    }
                    let place = heap.place(bytes)?;
                    heap.take(place, bytes, sequence as u64, 0, 1);
                }
                Some(heap.span().peak())
            };
            let peak = run(1 << 30).expect("there is room for all");
            assert!(run(peak).is_some(), "{peak} bytes are not enough");
        }
    }
}
