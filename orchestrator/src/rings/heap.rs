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
