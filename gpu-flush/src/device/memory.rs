//! Host-backed buffers for the devices that run on the host.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use super::views::RawView;
use super::{Access, Accesses, Allocation, BufferId, DeviceError, Label, Memory, Role, Tag};

/// Direct I/O wants its memory on a page.
const ALIGNMENT_BYTES: usize = 4096;
/// A huge page, of which a large buffer is made where the system has them: a scatter touches many pages at once, and the first
/// touch of a page costs more than copying it.
const HUGE_PAGE_BYTES: usize = 2 << 20;

#[derive(Debug)]
struct Buffer {
    allocation: Allocation,
    /// `None` for payload of a device that moves no bytes.
    base: Option<NonNull<u8>>,
}

// SAFETY: `base` is an owned allocation; every use goes through a view whose ordering the schedule vouches for.
unsafe impl Send for Buffer {}
// SAFETY: as above; the struct itself is never changed after construction.
unsafe impl Sync for Buffer {}

impl Buffer {
    fn layout(bytes: u64) -> Layout {
        let bytes = (bytes as usize).max(1);
        let alignment = if bytes >= 2 * HUGE_PAGE_BYTES { HUGE_PAGE_BYTES } else { ALIGNMENT_BYTES };
        Layout::from_size_align(bytes, alignment).unwrap_or(Layout::new::<u8>())
    }

    /// An allocation of zeros. It is written here, so that no page is touched for the first time in the middle of a stream.
    fn zeroed(layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the layout has a size of at least one byte.
        let base = NonNull::new(unsafe { alloc(layout) })?;
        Self::advise(base, layout);
        // SAFETY: the allocation has that many bytes, and nobody else knows of it yet.
        unsafe { base.as_ptr().write_bytes(0, layout.size()) };
        Some(base)
    }

    /// Asks for huge pages behind a large buffer, before its first touch. A system without them goes on with small ones.
    #[cfg(target_os = "linux")]
    fn advise(base: NonNull<u8>, layout: Layout) {
        let whole = layout.size() / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
        if layout.align() == HUGE_PAGE_BYTES {
            // SAFETY: the range is inside an allocation of our own, and the advice changes no byte of it.
            let _ignored = unsafe { libc::madvise(base.as_ptr().cast(), whole, libc::MADV_HUGEPAGE) };
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn advise(_base: NonNull<u8>, _layout: Layout) {}
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(base) = self.base {
            // SAFETY: `base` came from `alloc` with this same layout and is dropped once.
            unsafe { dealloc(base.as_ptr(), Self::layout(self.allocation.bytes)) }
        }
    }
}

/// All buffers of one device, with a limit on their sum and a switch that makes the n-th request fail.
#[derive(Debug)]
pub(super) struct Store {
    buffers: RwLock<Vec<Option<Buffer>>>,
    budget: Mutex<Budget>,
    backs_payload: bool,
}

#[derive(Debug, Default)]
struct Budget {
    device_bytes: u64,
    pinned_bytes: u64,
    limit_bytes: Option<u64>,
    /// Requests (allocations and streams) still granted before one fails.
    granted: Option<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    pub(super) fn new(backs_payload: bool) -> Self {
        Self { buffers: RwLock::default(), budget: Mutex::default(), backs_payload }
    }

    pub(super) fn set_limit(&self, bytes: u64) {
        lock(&self.budget).limit_bytes = Some(bytes);
    }

    pub(super) fn fail_after(&self, granted: u64) {
        lock(&self.budget).granted = Some(granted);
    }

    /// Counts one request for anything; fails if it is the one that was to fail.
    pub(super) fn request(&self, what: Label) -> Result<(), DeviceError> {
        let mut budget = lock(&self.budget);
        match &mut budget.granted {
            Some(0) => {
                budget.granted = None;
                Err(DeviceError::failed(format!("creating {what}"), "a forced failure"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn allocate(&self, allocation: Allocation) -> Result<BufferId, DeviceError> {
        let used = {
            let mut budget = lock(&self.budget);
            let used = budget.device_bytes + budget.pinned_bytes;
            let forced = match &mut budget.granted {
                Some(0) => true,
                Some(left) => {
                    *left -= 1;
                    false
                }
                None => false,
            };
            let available = budget.limit_bytes.map_or(u64::MAX, |limit| limit.saturating_sub(used));
            if forced || allocation.bytes > available {
                if forced {
                    budget.granted = None;
                }
                let available = if forced { 0 } else { available };
                return Err(DeviceError::OutOfMemory { label: allocation.label, bytes: allocation.bytes, available });
            }
            match allocation.memory {
                Memory::Device => budget.device_bytes += allocation.bytes,
                Memory::Pinned => budget.pinned_bytes += allocation.bytes,
            }
            used
        };
        let backed = self.backs_payload || allocation.role == Role::Control || allocation.memory == Memory::Pinned;
        let base = if backed {
            let Some(base) = Buffer::zeroed(Buffer::layout(allocation.bytes)) else {
                self.give_back(&allocation);
                return Err(DeviceError::OutOfMemory {
                    label: allocation.label,
                    bytes: allocation.bytes,
                    available: u64::MAX - used,
                });
            };
            Some(base)
        } else {
            None
        };
        let mut buffers = self.buffers.write().unwrap_or_else(PoisonError::into_inner);
        buffers.push(Some(Buffer { allocation, base }));
        Ok(BufferId(buffers.len() as u32 - 1))
    }

    fn give_back(&self, allocation: &Allocation) {
        let mut budget = lock(&self.budget);
        match allocation.memory {
            Memory::Device => budget.device_bytes -= allocation.bytes,
            Memory::Pinned => budget.pinned_bytes -= allocation.bytes,
        }
    }

    pub(super) fn free(&self, buffer: BufferId) {
        let mut buffers = self.buffers.write().unwrap_or_else(PoisonError::into_inner);
        let freed = buffers.get_mut(buffer.0 as usize).and_then(Option::take);
        drop(buffers);
        if let Some(freed) = freed {
            self.give_back(&freed.allocation);
        }
    }

    pub(super) fn allocated_bytes(&self, memory: Memory) -> u64 {
        let budget = lock(&self.budget);
        match memory {
            Memory::Device => budget.device_bytes,
            Memory::Pinned => budget.pinned_bytes,
        }
    }

    pub(super) fn allocations(&self) -> Vec<Allocation> {
        let buffers = self.buffers.read().unwrap_or_else(PoisonError::into_inner);
        buffers.iter().flatten().map(|buffer| buffer.allocation).collect()
    }

    /// The range behind `access`, or the reason why there is none.
    pub(super) fn resolve(&self, tag: Tag, access: Access) -> Result<RawView, DeviceError> {
        let buffers = self.buffers.read().unwrap_or_else(PoisonError::into_inner);
        let Some(buffer) = buffers.get(access.buffer.0 as usize).and_then(Option::as_ref) else {
            return Err(DeviceError::failed(tag, format!("buffer {} is not allocated", access.buffer.0)));
        };
        let Allocation { label, bytes, .. } = buffer.allocation;
        if access.start > access.end || access.end > bytes {
            return Err(DeviceError::failed(
                tag,
                format!("bytes {}..{} are outside {label} of {bytes} bytes", access.start, access.end),
            ));
        }
        let base = buffer.base.map(|base| {
            // SAFETY: `start` is at most the size of the allocation, checked above.
            unsafe { base.add(access.start as usize) }
        });
        Ok(RawView { label, base, access })
    }

    /// All ranges of an operation, in order.
    pub(super) fn resolve_all(&self, tag: Tag, accesses: &Accesses) -> Result<super::views::RawViews, DeviceError> {
        let mut views = super::views::RawViews::default();
        for access in accesses.iter() {
            views.push(self.resolve(tag, access)?);
        }
        Ok(views)
    }
}
