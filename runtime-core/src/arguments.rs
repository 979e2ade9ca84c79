//! The argument arena: 64-byte units that hold the arguments of all live tasks. Written by the orchestrator before a task is published, read-only until
//! its slot is reclaimed.

use crate::tensor::{ArgumentTag, Tensor, TensorArgument};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// One unit of the argument arena: a tensor argument, or eight scalars.
#[derive(Clone, Copy)]
#[repr(C)]
pub union ArgumentUnit {
    /// A tensor.
    pub tensor: TensorArgument,
    /// Eight scalars.
    pub scalars: [u64; 8],
}

impl std::fmt::Debug for ArgumentUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ArgumentUnit")
    }
}

/// The arguments of all live tasks.
///
/// The units are zeroed by the system and not by us, so that those that no task ever uses cost address space and no memory. Allocators promise that
/// only up to their own alignment; the arena asks for that and moves its first unit to the next cache line itself.
#[derive(Debug)]
pub struct ArgumentArena {
    memory: NonNull<u8>,
    first: NonNull<ArgumentUnit>,
    units: usize,
}

// SAFETY: a unit is written before the task that owns it is published and not again until that task is reclaimed.
unsafe impl Sync for ArgumentArena {}
// SAFETY: a unit holds plain numbers.
unsafe impl Send for ArgumentArena {}

const UNIT: usize = size_of::<ArgumentUnit>();
/// What every allocator aligns to by itself.
const NATURAL_ALIGNMENT: usize = 16;

impl ArgumentArena {
    /// An arena of `units`.
    ///
    /// # Panics
    /// If `units` are more than an address space holds.
    pub fn new(units: usize) -> Self {
        let layout = Self::layout(units);
        // SAFETY: the layout has at least one unit and so a size.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(memory) = NonNull::new(memory) else { handle_alloc_error(layout) };
        let skipped = memory.as_ptr().align_offset(UNIT);
        // SAFETY: the layout has a spare unit for the way to the next line.
        let first = unsafe { memory.add(skipped) };
        ArgumentArena { memory, first: first.cast(), units }
    }

    fn layout(units: usize) -> Layout {
        let bytes = units.checked_add(1).and_then(|units| units.checked_mul(UNIT));
        bytes
            .and_then(|bytes| Layout::from_size_align(bytes, NATURAL_ALIGNMENT).ok())
            .unwrap_or_else(|| panic!("{units} argument units do not fit an address space"))
    }

    #[inline]
    fn unit(&self, unit: u32) -> *mut ArgumentUnit {
        assert!((unit as usize) < self.units, "argument unit {unit} of {}", self.units);
        // SAFETY: the unit is within the arena.
        unsafe { self.first.as_ptr().add(unit as usize) }
    }

    /// Where a unit lies. One past the last may be asked for, by a task that has no argument there.
    #[inline]
    pub fn pointer(&self, unit: u32) -> *const ArgumentUnit {
        self.first.as_ptr().wrapping_add(unit as usize)
    }

    /// Writes a unit.
    ///
    /// # Safety
    /// Only the orchestrator, and only a unit that belongs to a task not yet published.
    #[inline]
    pub unsafe fn write(&self, unit: u32, value: ArgumentUnit) {
        let place = self.unit(unit);
        // SAFETY: by contract nobody else can see the unit.
        unsafe { place.write(value) };
    }

    /// Writes a unit that is a tensor, in place.
    ///
    /// # Safety
    /// As for [`ArgumentArena::write`].
    #[inline]
    pub unsafe fn write_tensor(&self, unit: u32, tensor: &Tensor, tag: ArgumentTag) {
        let place = self.unit(unit).cast::<TensorArgument>();
        // SAFETY: by contract nobody else can see the unit.
        unsafe { TensorArgument::write(place, tensor, tag) };
    }

    /// How many units there are.
    pub fn len(&self) -> usize {
        self.units
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.units == 0
    }
}

impl Drop for ArgumentArena {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.memory.as_ptr(), Self::layout(self.units)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_lines_of_their_own() {
        let arena = ArgumentArena::new(5);
        assert_eq!(
            (arena.len(), arena.pointer(0) as usize % 64, arena.pointer(4) as usize - arena.pointer(0) as usize),
            (5, 0, 256)
        );
        // SAFETY: no task exists.
        unsafe { arena.write(4, ArgumentUnit { scalars: [1, 2, 3, 4, 5, 6, 7, 8] }) };
        let scalars = |unit| arena.pointer(unit).cast::<[u64; 8]>();
        // SAFETY: the unit was just written as scalars.
        assert_eq!(unsafe { scalars(4).read() }, [1, 2, 3, 4, 5, 6, 7, 8]);
        // SAFETY: unwritten units are zero.
        assert_eq!(unsafe { scalars(0).read() }, [0; 8]);
    }
}
