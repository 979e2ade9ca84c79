//! What a task runs, in one word.

use crate::id::KernelId;
use crate::slot::Parts;

/// The kernel of each part of a cluster, which parts have one, and whether none is meant to.
///
/// One word, because a task is submitted as soon as it is written: what was stored piece by piece and is loaded as a whole is loaded from the cache, and so waits
/// until everything that the processor has still to write is there, be it from another processor's hands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Work(u64);

/// Bits of a kernel's number.
const KERNEL_BITS: usize = u16::BITS as usize;
/// Where the parts are, and behind them the mark of a dummy.
const PARTS: usize = 3 * KERNEL_BITS;
const DUMMY: u64 = 1 << (PARTS + u8::BITS as usize);

impl Work {
    pub(super) const fn new(kernels: [KernelId; 3], parts: Parts) -> Work {
        let [cube, vector_0, vector_1] = kernels;
        let kernels = cube.0 as u64 | (vector_0.0 as u64) << KERNEL_BITS | (vector_1.0 as u64) << (2 * KERNEL_BITS);
        Work(kernels | (parts.0 as u64) << PARTS)
    }

    /// No kernel, and none forgotten.
    pub(super) const fn none() -> Work {
        Work(DUMMY)
    }

    #[inline(always)]
    pub(super) const fn is_none(self) -> bool {
        self.0 & DUMMY != 0
    }

    #[inline(always)]
    pub(super) const fn parts(self) -> Parts {
        Parts((self.0 >> PARTS) as u8)
    }

    /// The kernel of part 0, 1 or 2. It means something where there is such a part.
    #[inline(always)]
    pub(super) const fn kernel(self, part: usize) -> KernelId {
        KernelId((self.0 >> (part * KERNEL_BITS)) as u16)
    }

    #[inline(always)]
    pub(super) const fn kernels(self) -> [KernelId; 3] {
        [self.kernel(0), self.kernel(1), self.kernel(2)]
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (self.parts(), self.kernels(), self.is_none()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_bits() {
        let kernels = [KernelId(u16::MAX), KernelId(1), KernelId(0x8001)];
        for parts in 0..8 {
            let work = Work::new(kernels, Parts(parts));
            assert_eq!((work.kernels(), work.parts(), work.is_none()), (kernels, Parts(parts), false));
        }
        assert_eq!((Work::none().parts(), Work::none().is_none()), (Parts(0), true));
    }
}
