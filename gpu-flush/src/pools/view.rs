//! Ranges of an acquired slot, which live no longer than its guard.

use std::marker::PhantomData;
use std::ops::Range;

use crate::device::{Access, BufferId, Mode};

/// A range of an acquired slot that may be written, for as long as the guard lives.
#[derive(Debug, Clone, Copy)]
pub struct WriteView<'guard> {
    buffer: BufferId,
    start: u64,
    end: u64,
    guard: PhantomData<&'guard ()>,
}

/// A range of an acquired slot that may be read, for as long as the guard lives.
#[derive(Debug, Clone, Copy)]
pub struct ReadView<'guard> {
    buffer: BufferId,
    start: u64,
    end: u64,
    guard: PhantomData<&'guard ()>,
}

fn part(start: u64, end: u64, range: Range<u64>) -> (u64, u64) {
    assert!(
        range.start <= range.end && range.end <= end - start,
        "bytes {}..{} are outside a view of {} bytes",
        range.start,
        range.end,
        end - start
    );
    (start + range.start, start + range.end)
}

impl WriteView<'_> {
    pub(super) fn new(buffer: BufferId, start: u64, end: u64) -> Self {
        Self { buffer, start, end, guard: PhantomData }
    }

    /// A part of it.
    ///
    /// # Panics
    /// When the range reaches past the end.
    #[must_use]
    pub fn slice(self, range: Range<u64>) -> Self {
        let (start, end) = part(self.start, self.end, range);
        Self { start, end, ..self }
    }

    /// Its length.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.end - self.start
    }

    /// Declares that an operation writes all of it.
    #[must_use]
    pub fn write(self) -> Access {
        Access { buffer: self.buffer, start: self.start, end: self.end, mode: Mode::Write }
    }

    /// Declares that an operation reads what the guard's holder queued before on the same stream.
    #[must_use]
    pub fn read_back(self) -> Access {
        Access { mode: Mode::Read, ..self.write() }
    }

    /// Declares that an operation reads and writes it.
    #[must_use]
    pub fn update(self) -> Access {
        Access { mode: Mode::ReadWrite, ..self.write() }
    }
}

impl ReadView<'_> {
    pub(super) fn new(buffer: BufferId, start: u64, end: u64) -> Self {
        Self { buffer, start, end, guard: PhantomData }
    }

    /// A part of it.
    ///
    /// # Panics
    /// When the range reaches past the end.
    #[must_use]
    pub fn slice(self, range: Range<u64>) -> Self {
        let (start, end) = part(self.start, self.end, range);
        Self { start, end, ..self }
    }

    /// Its length.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.end - self.start
    }

    /// Declares that an operation reads it.
    #[must_use]
    pub fn read(self) -> Access {
        Access { buffer: self.buffer, start: self.start, end: self.end, mode: Mode::Read }
    }
}
