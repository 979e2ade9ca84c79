//! Contiguous pieces of a fixed space, given out in order and taken back in the same order. The heap and the edges of a ring are each one of these.

/// Where the free room of a space lies.
///
/// Pieces never straddle the end: one that does not fit before it is placed at the beginning, and what is left over at the end comes back when the
/// oldest piece has moved past it. When the last piece is given back the space begins anew at 0, wherever it was, so a drained space takes a piece
/// as large as itself.
#[derive(Debug)]
pub(crate) struct Span {
    capacity: u64,
    /// One past the newest piece; 0 while there is none.
    top: u64,
    /// Where the room behind the newest piece ends: at the end of the space or, while the newest piece lies below the oldest, where that begins.
    limit: u64,
    /// The beginning of the oldest piece; 0 while there is none.
    tail: u64,
    /// One past the newest piece before the wrap; meaningful while the newest piece lies below the oldest.
    high_end: u64,
    /// What live pieces sum up to. None is empty, so 0 means that there is none.
    used: u64,
    peak: u64,
    largest: u64,
    smallest: u64,
}

impl Span {
    pub(crate) fn new(capacity: u64) -> Self {
        Span {
            capacity,
            top: 0,
            limit: capacity,
            tail: 0,
            high_end: 0,
            used: 0,
            peak: 0,
            largest: 0,
            smallest: u64::MAX,
        }
    }

    /// Where a piece of `size` would go, if there is room for it now.
    #[inline(always)]
    pub(crate) fn place(&self, size: u64) -> Option<u64> {
        debug_assert_ne!(size, 0, "an empty piece has no place");
        if size <= self.limit - self.top { Some(self.top) } else { self.place_at_beginning(size) }
    }

    #[cold]
    fn place_at_beginning(&self, size: u64) -> Option<u64> {
        (self.top > self.tail && size <= self.tail).then_some(0)
    }

    /// Takes the piece that [`Span::place`] has found.
    #[inline(always)]
    pub(crate) fn take(&mut self, start: u64, size: u64) {
        debug_assert_eq!(self.place(size), Some(start));
        if start < self.top {
            self.wrap();
        }
        self.top = start + size;
        self.used += size;
        if self.used > self.peak || size > self.largest || size < self.smallest {
            self.note_extremes(size);
        }
    }

    #[cold]
    fn wrap(&mut self) {
        self.high_end = self.top;
        self.limit = self.tail;
    }

    #[inline(never)]
    fn note_extremes(&mut self, size: u64) {
        self.peak = self.peak.max(self.used);
        self.largest = self.largest.max(size);
        self.smallest = self.smallest.min(size);
    }

    /// Gives the oldest pieces back: the first of them begins at `start`, the last ends at `end`, and together they are of `size`.
    #[inline]
    pub(crate) fn release(&mut self, start: u64, end: u64, size: u64) {
        debug_assert_eq!(start, self.tail, "pieces come back in the order in which they were taken");
        self.used -= size;
        if self.used == 0 {
            self.top = 0;
            self.tail = 0;
            self.limit = self.capacity;
        } else if self.top > self.tail {
            self.tail = end;
        } else if end > self.top && end != self.high_end {
            self.tail = end;
            self.limit = end;
        } else {
            // The last piece before the wrap went, and perhaps others behind it, from 0 on.
            self.tail = if end == self.high_end { 0 } else { end };
            self.limit = self.capacity;
        }
    }

    /// A new run begins: nothing was needed yet but what is in use.
    pub(crate) fn forget_peak(&mut self) {
        self.peak = self.used;
        if self.used == 0 {
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
