//! Bytes that a sink may read after the call that handed them over.

use std::ops::Range;

/// A range of memory whose owner promised to leave it alone until a fence retires.
#[derive(Debug, Clone, Copy)]
pub struct StableBytes {
    pointer: *const u8,
    length: usize,
}

// SAFETY: the memory is only read through it, and the owner promised that it stays valid and unchanged whatever thread reads.
unsafe impl Send for StableBytes {}
// SAFETY: as above; shared reads need nothing more.
unsafe impl Sync for StableBytes {}

impl StableBytes {
    /// Names a range of memory.
    ///
    /// # Safety
    ///
    /// From now until a fence that the sink records after the last write of any part of it has retired (or the sink is gone),
    /// `pointer` is valid for reads of `length` bytes and nobody writes them.
    #[must_use]
    pub unsafe fn new(pointer: *const u8, length: usize) -> Self {
        StableBytes { pointer, length }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: promised by the caller of `new`.
        unsafe { std::slice::from_raw_parts(self.pointer, self.length) }
    }

    /// A part of them.
    ///
    /// # Panics
    ///
    /// When the range reaches past the end.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let part = &self.as_slice()[range];
        StableBytes { pointer: part.as_ptr(), length: part.len() }
    }

    /// The address of the first byte.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.pointer
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}
