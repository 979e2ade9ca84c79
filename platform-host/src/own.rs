//! Memory that is not shared: a worker's own, and what workers have a copy of because they were forked.

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::collections::BTreeMap;
use std::io;
use std::ptr::NonNull;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

const POISON: &str = "no code panics while it holds a table of memory that is not shared";

/// The bits of an address that say in which worker's address space it is; those below are its number there.
const SPACE_SHIFT: u32 = 48;

/// An address of a worker's own as the runtime knows it, so that one number in two workers, or here, is not one address.
pub fn address_in(core: u16, number: u64) -> u64 {
    (u64::from(core) + 1) << SPACE_SHIFT | number
}

/// The number of an address in whichever space it is.
pub fn number_of(address: u64) -> u64 {
    address & ((1 << SPACE_SHIFT) - 1)
}

/// Memory of this process alone, zeroed.
#[derive(Debug)]
pub struct OwnMemory {
    address: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to no thread; who may touch its bytes when is what the runtime's dependencies say.
unsafe impl Send for OwnMemory {}
// SAFETY: as above.
unsafe impl Sync for OwnMemory {}

impl OwnMemory {
    /// Fresh memory, at the number `near` if that is free here.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn map(near: u64, bytes: usize) -> io::Result<Self> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a fresh mapping; the address is a hint, which the system does not follow where something is.
        let address = unsafe { mmap_anonymous(near as *mut _, bytes, access, flags) }?;
        let address = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(OwnMemory { address, bytes })
    }

    /// Where it is, and how many bytes there are.
    pub fn place(&self) -> (u64, u64) {
        (self.address.as_ptr() as u64, self.bytes as u64)
    }
}

impl Drop for OwnMemory {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this length, and no task that uses it runs any more.
        let unmapped = unsafe { munmap(self.address.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}

/// Ordinary memory of the runtime's process, which a worker that is forked has as of its fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The number that frames name it by.
    pub buffer: u64,
    /// Where it is, here and in every copy of this process.
    pub address: u64,
    /// How many bytes there are.
    pub bytes: u64,
}

/// What the runtime knows about memory that is not shared.
#[derive(Debug, Default)]
pub struct Unshared {
    /// By address: the number, the bytes, and whether it is inherited.
    table: RwLock<BTreeMap<u64, (u64, u64, bool)>>,
}

impl Unshared {
    /// A number that no other buffer has.
    pub fn fresh_id() -> u64 {
        static MADE: AtomicU64 = AtomicU64::new(0);
        // Shared buffers have numbers without this bit.
        1 << 62 | MADE.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes memory of a worker's own.
    pub fn insert(&self, address: u64, buffer: u64, bytes: u64) {
        self.table.write().expect(POISON).insert(address, (buffer, bytes, false));
    }

    /// Notes memory that workers inherit.
    pub fn inherit(&self, all: &[Inherited]) {
        let mut table = self.table.write().expect(POISON);
        table.extend(all.iter().map(|one| (one.address, (one.buffer, one.bytes, true))));
    }

    /// Forgets memory of a worker's own; its number. What is inherited stays as long as there are workers.
    pub(crate) fn remove(&self, address: u64) -> Option<u64> {
        let mut table = self.table.write().expect(POISON);
        let &(buffer, _, inherited) = table.get(&address)?;
        (!inherited).then(|| table.remove(&address)).map(|_| buffer)
    }

    /// The buffer that an address lies in, and the offset there.
    pub(crate) fn locate(&self, address: u64) -> Option<(u64, u64)> {
        let table = self.table.read().expect(POISON);
        let (&start, &(buffer, bytes, _)) = table.range(..=address).next_back()?;
        (address - start <= bytes).then_some((buffer, address - start))
    }

    /// Inherited memory by its number: for workers that are threads of this process.
    pub(crate) fn find(&self, buffer: u64) -> Option<(u64, u64)> {
        let table = self.table.read().expect(POISON);
        let found = table.iter().find(|(_, known)| known.0 == buffer && known.2);
        found.map(|(&address, known)| (address, known.1))
    }
}
