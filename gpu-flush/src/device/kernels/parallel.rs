//! Spreading one operation over the workers.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::device::DeviceError;

/// Work below this stays on the stream's thread: waking workers costs more.
const SPREAD_BYTES_MIN: usize = 128 << 10;

/// Calls `work` for every index below `count`, on the workers when `bytes` of it are worth that.
pub(super) fn for_each(
    workers: Option<&rayon::ThreadPool>,
    count: usize,
    bytes: usize,
    work: impl Fn(usize) -> Result<(), DeviceError> + Sync + Send,
) -> Result<(), DeviceError> {
    match workers {
        Some(workers) if count > 1 && bytes >= SPREAD_BYTES_MIN => {
            workers.install(|| (0..count).into_par_iter().try_for_each(work))
        }
        _ => (0..count).try_for_each(work),
    }
}

/// A written range that several workers fill in disjoint parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct SharedBytes {
    base: *mut u8,
    len: usize,
}

// SAFETY: it is an address and a length; `part`'s callers keep their parts disjoint.
unsafe impl Send for SharedBytes {}
// SAFETY: as above.
unsafe impl Sync for SharedBytes {}

impl SharedBytes {
    pub(super) fn new(bytes: &mut [u8]) -> Self {
        Self { base: bytes.as_mut_ptr(), len: bytes.len() }
    }

    pub(super) fn as_ptr(self) -> *mut u8 {
        self.base
    }

    pub(super) fn len(self) -> usize {
        self.len
    }

    /// Bytes `start..start + len`.
    ///
    /// # Panics
    /// When they reach past the end.
    ///
    /// # Safety
    /// The parts alive at one time are disjoint, and the range they were made of is still borrowed.
    pub(super) unsafe fn part<'a>(self, start: usize, len: usize) -> &'a mut [u8] {
        assert!(start.checked_add(len).is_some_and(|end| end <= self.len), "a part reaches past its range");
        // SAFETY: `start` is inside the range, checked above.
        let first = unsafe { self.base.add(start) };
        // SAFETY: initialized bytes inside the range; the caller keeps the parts disjoint.
        unsafe { std::slice::from_raw_parts_mut(first, len) }
    }
}
