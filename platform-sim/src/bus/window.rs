//! Registers in mapped windows, at the offsets that the chip's register map gives, so that a device or another process can stand behind them.

use super::RegisterBus;
use prewire_runtime_core::chip::RegisterMap;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::port::Condition;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use thiserror::Error;

/// Why windows cannot be used or had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WindowError {
    /// A register of the map lies in none of its pages.
    #[error("the register at offset {offset:#x} lies outside the window's pages")]
    OutsidePages {
        /// Where the register is said to be.
        offset: usize,
    },
    /// A register cannot be accessed in one piece.
    #[error("the register at {address:#x} is not aligned to its {bytes} bytes")]
    Misaligned {
        /// The register's address or offset.
        address: usize,
        /// Its size.
        bytes: usize,
    },
    /// The system gave no memory.
    #[error("{bytes} bytes of register windows cannot be mapped: {reason}")]
    NotMapped {
        /// How much was asked for.
        bytes: usize,
        /// What the system said.
        reason: String,
    },
}

/// Windows of registers, one per core.
#[derive(Debug)]
pub struct WindowBus {
    windows: Box<[NonNull<u8>]>,
    dispatch: usize,
    condition: usize,
    fast_path: Option<usize>,
    /// What this bus mapped itself and must unmap: the address and the length.
    own: Option<(NonNull<u8>, usize)>,
}

// SAFETY: the windows are only accessed through atomics of the registers' own width.
unsafe impl Send for WindowBus {}
// SAFETY: as above.
unsafe impl Sync for WindowBus {}

impl WindowBus {
    /// Windows that begin at `windows`, one address per core, with registers at the map's offsets from it.
    ///
    /// # Errors
    /// If a register lies outside the map's pages or is misaligned.
    ///
    /// # Safety
    /// The pages of the map are mapped for reading and writing behind every address, and stay so while the bus lives.
    pub unsafe fn over(map: &RegisterMap, windows: Vec<NonNull<u8>>) -> Result<Self, WindowError> {
        check(map, map.dispatch, size_of::<u64>())?;
        check(map, map.condition, size_of::<u32>())?;
        if let Some(fast_path) = map.fast_path {
            check(map, fast_path.offset, size_of::<u32>())?;
        }
        for window in &windows {
            let address = window.as_ptr() as usize;
            if !address.is_multiple_of(size_of::<u64>()) {
                return Err(WindowError::Misaligned { address, bytes: size_of::<u64>() });
            }
        }
        Ok(WindowBus {
            windows: windows.into_boxed_slice(),
            dispatch: map.dispatch,
            condition: map.condition,
            fast_path: map.fast_path.map(|fast_path| fast_path.offset),
            own: None,
        })
    }

    /// Windows of this process's own, one behind the other; of each only the pages that are touched cost memory.
    ///
    /// # Errors
    /// If they cannot be mapped, or as for [`WindowBus::over`].
    pub fn private(map: &RegisterMap, cores: u16) -> Result<Self, WindowError> {
        let span = window_bytes(map);
        let bytes = (span * usize::from(cores)).max(1);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the system's choosing.
        let mapped = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, flags) };
        let base = mapped
            .map_err(|error| error.to_string())
            .and_then(|address| NonNull::new(address.cast::<u8>()).ok_or_else(|| "the address is null".to_owned()))
            .map_err(|reason| WindowError::NotMapped { bytes, reason })?;
        let windows = (0..usize::from(cores))
            // SAFETY: the offset is within the mapping.
            .map(|core| unsafe { base.add(core * span) })
            .collect();
        // SAFETY: every window lies within the mapping, which lives as long as the bus.
        let over = unsafe { WindowBus::over(map, windows) };
        let mut bus = over.inspect_err(|_| unmap(base, bytes))?;
        bus.own = Some((base, bytes));
        for core in 0..cores {
            bus.write_condition(CoreId(core), Condition::Unknown.to_register());
        }
        Ok(bus)
    }

    /// Where a core's window begins.
    pub fn window(&self, core: CoreId) -> NonNull<u8> {
        self.windows[core.index()]
    }

    fn word(&self, core: CoreId, offset: usize) -> &AtomicU32 {
        // SAFETY: the offset was checked to lie in the window's pages, which are mapped by contract.
        let register = unsafe { self.windows[core.index()].add(offset) };
        // SAFETY: mapped and aligned; every access to it is atomic.
        unsafe { AtomicU32::from_ptr(register.as_ptr().cast()) }
    }

    fn double_word(&self, core: CoreId, offset: usize) -> &AtomicU64 {
        // SAFETY: as in `word`.
        let register = unsafe { self.windows[core.index()].add(offset) };
        // SAFETY: as in `word`.
        unsafe { AtomicU64::from_ptr(register.as_ptr().cast()) }
    }
}

/// The bytes from a window's beginning to the end of its last page.
pub(crate) fn window_bytes(map: &RegisterMap) -> usize {
    map.pages.iter().map(|&(offset, length)| offset + length).max().unwrap_or(0)
}

fn check(map: &RegisterMap, offset: usize, bytes: usize) -> Result<(), WindowError> {
    if !offset.is_multiple_of(bytes) {
        return Err(WindowError::Misaligned { address: offset, bytes });
    }
    let inside = |&(start, length): &(usize, usize)| offset >= start && offset + bytes <= start + length;
    if !map.pages.iter().any(inside) {
        return Err(WindowError::OutsidePages { offset });
    }
    Ok(())
}

fn unmap(base: NonNull<u8>, bytes: usize) {
    // SAFETY: the mapping was made by this module with this length, and nobody uses it any more.
    let unmapped = unsafe { munmap(base.as_ptr().cast(), bytes) };
    debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
}

impl Drop for WindowBus {
    fn drop(&mut self) {
        if let Some((base, bytes)) = self.own {
            unmap(base, bytes);
        }
    }
}

impl RegisterBus for WindowBus {
    fn write_dispatch(&self, core: CoreId, value: u64) {
        self.double_word(core, self.dispatch).store(value, Ordering::Release);
    }

    fn read_condition(&self, core: CoreId) -> u32 {
        self.word(core, self.condition).load(Ordering::Acquire)
    }

    fn write_fast_path(&self, core: CoreId, value: u32) {
        if let Some(offset) = self.fast_path {
            self.word(core, offset).store(value, Ordering::Release);
        }
    }

    fn read_dispatch(&self, core: CoreId) -> u64 {
        self.double_word(core, self.dispatch).load(Ordering::Acquire)
    }

    fn write_condition(&self, core: CoreId, value: u32) {
        self.word(core, self.condition).store(value, Ordering::Release);
    }
}
