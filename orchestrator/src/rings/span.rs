//! Contiguous pieces of a fixed space, given out in order and taken back in the same order. The heap and the edges of a ring are each one of these.

/// Where the free room of a space lies.
///
/// Pieces never straddle the end: one that does not fit before it is placed at the beginning, and what is left over at the end comes back when the
/// oldest piece has moved past it. When the last piece is given back the space begins anew at 0, wherever it was, so a drained space takes a piece
/// as large as itself.
#[derive(Debug)]
pub(crate) struct Span {
    capacity: u64,
    /// One past the newest piece.
    top: u64,
    /// The beginning of the oldest piece.
    tail: u64,
    /// One past the newest piece before the wrap; meaningful while the newest piece lies below the oldest.
    high_end: u64,
    /// Live pieces.
    pieces: u64,
    /// What they sum up to.
    used: u64,
    peak: u64,
    largest: u64,
    smallest: u64,
}

impl Span {
    pub(crate) fn new(capacity: u64) -> Self {
        Span { capacity, top: 0, tail: 0, high_end: 0, pieces: 0, used: 0, peak: 0, largest: 0, smallest: u64::MAX }
    }

    /// Where a piece of `size` would go, if there is room for it now.
    #[inline]
    pub(crate) fn place(&self, size: u64) -> Option<u64> {
        debug_assert_ne!(size, 0, "an empty piece has no place");
        if self.pieces == 0 {
            (size <= self.capacity).then_some(0)
        } else if self.top > self.tail {
            if size <= self.capacity - self.top { Some(self.top) } else { (size <= self.tail).then_some(0) }
        } else {
            (size <= self.tail - self.top).then_some(self.top)
        }
    }

    /// Takes the piece that [`Span::place`] has found.
    #[inline]
    pub(crate) fn take(&mut self, start: u64, size: u64) {
        debug_assert_eq!(self.place(size), Some(start));
        if self.pieces == 0 {
            self.tail = 0;
        } else if start < self.top {
            self.high_end = self.top;
        }
        self.top = start + size;
        self.pieces += 1;
        self.used += size;
        self.largest = self.largest.max(size);
        self.smallest = self.smallest.min(size);
        self.peak = self.peak.max(self.used);
    }

    /// Gives the oldest piece back.
    #[inline]
    pub(crate) fn release(&mut self, start: u64, size: u64) {
        debug_assert_eq!(start, self.tail, "pieces come back in the order in which they were taken");
        self.pieces -= 1;
        self.used -= size;
        if self.pieces == 0 {
            self.top = 0;
            self.tail = 0;
            return;
        }
        let wrapped = self.top <= self.tail;
        self.tail = start + size;
        if wrapped && self.tail == self.high_end {
            self.tail = 0;
        }
    }

    /// A new run begins: nothing was needed yet but what is in use.
    pub(crate) fn forget_peak(&mut self) {
        self.peak = self.used;
        if self.pieces == 0 {
            self.largest = 0;
            self.smallest = u64::MAX;
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// What live pieces sum up to.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// The room with which the same pieces fit, whatever the order in which they come back: what was in use at most and, if pieces differ in size,
    /// what one of them may leave unused at the end.
    pub(crate) fn peak(&self) -> u64 {
        self.sufficient_for(self.peak)
    }

    /// The room that is enough for `live` at one time, given the sizes seen so far.
    fn sufficient_for(&self, live: u64) -> u64 {
        if live == 0 || self.largest == self.smallest { live } else { live + self.largest }
    }
}
