//! The argument arena: 64-byte units that hold the arguments of all live tasks. Written by the orchestrator before a task is published, read-only until
//! its slot is reclaimed.

use crate::id::CoreId;
use crate::task::{Argument, Scalar};
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
    /// Entries of a directory.
    pub entries: [Entry; ENTRIES_PER_UNIT],
}

impl ArgumentUnit {
    /// Makes the unit an argument, in place. False for one that is yet to be allocated: nothing is written.
    #[inline(always)]
    pub fn set_argument(&mut self, argument: &Argument<'_>) -> bool {
        let Some(tensor) = argument.existing() else { return false };
        // SAFETY: the unit may be written, a tensor is one of the things that it may be, and the number is that of a tag.
        unsafe { TensorArgument::write(&raw mut self.tensor, tensor, argument.tag_number()) };
        true
    }

    /// Makes the unit up to eight scalars, in place. What is behind the last one stays as it was.
    ///
    /// # Panics
    /// If there are more.
    #[inline]
    pub fn set_scalars(&mut self, scalars: &[Scalar]) {
        // SAFETY: any bits are scalars.
        let cells = unsafe { &mut self.scalars };
        for (cell, scalar) in cells[..scalars.len()].iter_mut().zip(scalars) {
            *cell = scalar.0;
        }
    }

    /// Makes the unit a tensor that was allocated for the task.
    #[inline]
    pub fn set_output(&mut self, tensor: &Tensor) {
        // SAFETY: as above.
        unsafe { TensorArgument::write(&raw mut self.tensor, tensor, ArgumentTag::Output as u8) };
    }
}

impl std::fmt::Debug for ArgumentUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ArgumentUnit")
    }
}

/// Where one block of a task has its arguments, and on which core it runs, where blocks differ in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Entry {
    /// The first unit of its arguments.
    pub first: u32,
    /// Tensor arguments.
    pub tensors: u16,
    /// Scalar arguments.
    pub scalars: u16,
    /// The core, if the task names its cores.
    pub core: CoreId,
    /// Fills the entry up to a quarter of a unit.
    pub reserved: [u16; 3],
}

/// Entries of a directory in one unit.
pub const ENTRIES_PER_UNIT: usize = 4;

impl Entry {
    /// An entry for no block.
    pub const NONE: Entry = Entry { first: 0, tensors: 0, scalars: 0, core: CoreId(0), reserved: [0; 3] };
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

    /// The entry of one block in the directory that begins at a unit.
    ///
    /// # Safety
    /// A task that is not reclaimed has its directory there, with an entry for the block.
    pub unsafe fn entry(&self, directory: u32, block: u32) -> Entry {
        let entry = self.pointer(directory).cast::<Entry>().wrapping_add(block as usize);
        // SAFETY: by contract the entry was written, and it is not written again while the task lives.
        unsafe { entry.read() }
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

    /// The `count` units of a span, to be written. Found once, a span costs one check and not one for each unit.
    ///
    /// # Safety
    /// Only the orchestrator, only units that belong to a task not yet published, and not twice at a time.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "which units are whose is the orchestrator's to know, by contract")]
    pub unsafe fn span(&self, first: u32, count: usize) -> &mut [ArgumentUnit] {
        let begin = first as usize;
        // A slice's length and 32 bits: the sum is far from the end of 64.
        assert!(begin.saturating_add(count) <= self.units, "argument units {first} + {count} of {}", self.units);
        // SAFETY: the units are within the arena, or just behind it and none.
        let place = unsafe { self.first.as_ptr().add(begin) };
        // SAFETY: the units are within the arena, which was zeroed when it was made, and any bits are scalars; by contract nobody else can see them.
        unsafe { std::slice::from_raw_parts_mut(place, count) }
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
