//! Memory that several processes map: a file without a name, so that nothing is left when the last of them is gone.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::ptr::{NonNull, null_mut};

/// A mapping of shared memory, and the descriptor that stands for it.
#[derive(Debug)]
pub struct SharedMemory {
    fd: OwnedFd,
    address: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to no thread; what is in it has synchronisation of its own.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Fresh memory, zeroed. Pages that nobody touches cost nothing. `name` is what /proc shows, for people.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn create(name: &str, bytes: usize) -> io::Result<Self> {
        let fd = memfd_create(name, MemfdFlags::CLOEXEC)?;
        ftruncate(&fd, bytes as u64)?;
        SharedMemory::map(fd, bytes)
    }

    /// Maps memory that another process made.
    ///
    /// # Errors
    /// If the file has fewer bytes than that, or cannot be mapped.
    pub fn map(fd: OwnedFd, bytes: usize) -> io::Result<Self> {
        let size = rustix::fs::fstat(&fd)?.st_size;
        if u64::try_from(size).unwrap_or(0) < bytes as u64 {
            let text = format!("shared memory of {size} bytes was announced with {bytes}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a fresh mapping at an address of the system's choosing, within the file.
        let address = unsafe { mmap(null_mut(), bytes, access, flags, &fd, 0) }?;
        let address = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(SharedMemory { fd, address, bytes })
    }

    /// Where it is mapped here.
    pub fn address(&self) -> NonNull<u8> {
        self.address
    }

    /// How many bytes there are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The descriptor, to hand to another process.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The memory as a value at its beginning.
    ///
    /// # Safety
    /// Zeroed memory is a `T`, every process that maps it means the same by it, and all its parts are atomics or cells whose accesses a protocol orders.
    ///
    /// # Panics
    /// If the memory is smaller than a `T`.
    pub unsafe fn as_value<T: Sync>(&self) -> &T {
        assert!(
            size_of::<T>() <= self.bytes && align_of::<T>() <= 4096,
            "the memory is too small for what it is to hold"
        );
        // SAFETY: mapped for the life of `self`, on a page, large enough; the rest by contract.
        unsafe { self.address.cast::<T>().as_ref() }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this length, and borrowed by nobody any more.
        let unmapped = unsafe { munmap(self.address.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}
