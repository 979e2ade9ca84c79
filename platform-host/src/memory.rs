//! The runtime's side of shared buffers: heaps and user buffers, each a file of its own, found by address when a frame is written.

use crate::own::Unshared;
use crate::process::Command;
use crate::shared::SharedMemory;
use crate::wire::Locate;
use prewire_runtime_core::memory::{DeviceMemory, OutOfMemory};
use prewire_runtime_core::task::Scalar;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock, Weak};

const POISON: &str = "no code panics while it holds the table of shared buffers";

/// One shared buffer, in any of the processes that map it.
#[derive(Debug)]
pub struct SharedBuffer {
    /// Its number: the same at every level that it is handed down to, never reused, and of no other buffer of this machine.
    pub id: u64,
    /// Its memory.
    pub memory: SharedMemory,
}

impl SharedBuffer {
    /// Where it is mapped here.
    pub fn address(&self) -> u64 {
        self.memory.address().as_ptr() as u64
    }

    /// What a worker is told so that it maps the buffer, whose descriptor comes along.
    pub(crate) fn import(&self) -> Command {
        Command::Import { buffer: self.id, bytes: self.memory.bytes() as u64 }
    }

    /// Whether an address here is one of its bytes, or lies right behind the last one, where a view without elements may.
    pub fn reaches(&self, address: u64) -> bool {
        (self.address()..=self.address() + self.memory.bytes() as u64).contains(&address)
    }
}

/// A number that no other buffer has. It says which process made the buffer, so that a level's own buffers and those that were handed down to it do not meet.
fn fresh_id() -> u64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let process = rustix::process::getpid().as_raw_nonzero().get();
    // Process numbers have 22 bits at most, and the highest bit says something else to the engine.
    u64::from(process.unsigned_abs()) << 40 | MADE.fetch_add(1, Ordering::Relaxed) & ((1 << 40) - 1)
}

/// Who maps what is shared: workers are told of each buffer before a task can name it, and of its end.
pub trait Sharers: Send + Sync {
    /// A buffer was made.
    ///
    /// # Errors
    /// A sentence that names the worker that could not map it.
    fn shared(&self, buffer: &Arc<SharedBuffer>) -> Result<(), String>;
    /// A buffer is given back.
    fn released(&self, buffer: u64);
}

/// All shared buffers of one runtime.
#[derive(Default)]
pub struct HostMemory {
    buffers: RwLock<BTreeMap<u64, Arc<SharedBuffer>>>,
    sharers: OnceLock<Weak<dyn Sharers>>,
    /// What is not shared, and has addresses all the same.
    pub unshared: Unshared,
}

impl fmt::Debug for HostMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostMemory").field("buffers", &self.buffers.read().expect(POISON).len()).finish_non_exhaustive()
    }
}

impl HostMemory {
    /// From now on these are told of every buffer; those that exist already are theirs to take from [`HostMemory::all`].
    pub fn tell(&self, sharers: Weak<dyn Sharers>) {
        assert!(self.sharers.set(sharers).is_ok(), "the buffers of a runtime are shared with one set of workers");
    }

    fn sharers(&self) -> Option<Arc<dyn Sharers>> {
        self.sharers.get()?.upgrade()
    }

    /// The buffers that exist now, by their numbers.
    pub fn all(&self) -> Vec<Arc<SharedBuffer>> {
        let mut all: Vec<_> = self.buffers.read().expect(POISON).values().cloned().collect();
        all.sort_by_key(|buffer| buffer.id);
        all
    }

    /// A buffer by its number.
    pub fn by_id(&self, id: u64) -> Option<Arc<SharedBuffer>> {
        self.buffers.read().expect(POISON).values().find(|buffer| buffer.id == id).cloned()
    }

    /// The buffer that is mapped here around an address.
    pub fn around(&self, address: u64) -> Option<Arc<SharedBuffer>> {
        let table = self.buffers.read().expect(POISON);
        let (_, buffer) = table.range(..=address).next_back()?;
        buffer.reaches(address).then(|| buffer.clone())
    }

    /// Takes in a buffer of the level above, which stays the same memory under the same number, until its address is freed.
    ///
    /// # Errors
    /// If it is here already, or a worker cannot map it.
    pub fn adopt(&self, buffer: &Arc<SharedBuffer>) -> Result<(), String> {
        if self.by_id(buffer.id).is_some() {
            return Err("it is lent to this level already".to_owned());
        }
        self.take_in(buffer.clone())
    }

    fn take_in(&self, buffer: Arc<SharedBuffer>) -> Result<(), String> {
        if let Some(sharers) = self.sharers() {
            sharers.shared(&buffer)?;
        }
        self.buffers.write().expect(POISON).insert(buffer.address(), buffer);
        Ok(())
    }

    /// Runs `body` with the table held for reading, so that a frame's tensors are found with one lock.
    pub fn with_table<R>(&self, body: impl FnOnce(&Table<'_>) -> R) -> R {
        body(&Table(&self.buffers.read().expect(POISON), &self.unshared))
    }
}

/// The table of buffers while it is held for reading.
#[derive(Debug)]
pub struct Table<'a>(&'a BTreeMap<u64, Arc<SharedBuffer>>, &'a Unshared);

impl Locate for Table<'_> {
    fn locate(&self, address: u64) -> Option<(u64, u64)> {
        let shared = self.0.range(..=address).next_back().and_then(|(&start, buffer)| {
            let offset = address - start;
            (offset <= buffer.memory.bytes() as u64).then_some((buffer.id, offset))
        });
        shared.or_else(|| self.1.locate(address))
    }
}

impl DeviceMemory for HostMemory {
    fn allocate(&self, bytes: u64) -> Result<u64, OutOfMemory> {
        let refused = |reason: String| OutOfMemory { bytes, reason };
        let length = usize::try_from(bytes.max(1)).map_err(|_| refused("more than this machine can address".into()))?;
        let memory = SharedMemory::create("prewire-buffer", length).map_err(|error| refused(error.to_string()))?;
        let buffer = Arc::new(SharedBuffer { id: fresh_id(), memory });
        let address = buffer.address();
        self.take_in(buffer).map_err(refused)?;
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        let removed = self.buffers.write().expect(POISON).remove(&address);
        let removed = removed.map(|buffer| buffer.id).or_else(|| self.unshared.remove(address));
        if let (Some(buffer), Some(sharers)) = (removed, self.sharers()) {
            sharers.released(buffer);
        }
    }

    unsafe fn read(&self, address: u64, into: &mut [u8]) {
        // SAFETY: mapped and written by nobody meanwhile, by contract; a fresh exclusive slice does not overlap it.
        unsafe { std::ptr::copy_nonoverlapping(address as *const u8, into.as_mut_ptr(), into.len()) };
    }

    unsafe fn write(&self, address: u64, from: &[u8]) {
        // SAFETY: mapped and used by nobody meanwhile, by contract.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), address as *mut u8, from.len()) };
    }

    unsafe fn fill(&self, address: u64, value: Scalar, element_bytes: u64, count: u64) {
        let bytes = value.0.to_le_bytes();
        let element = &bytes[..element_bytes as usize];
        // SAFETY: mapped and used by nobody meanwhile, by contract.
        let all = unsafe { std::slice::from_raw_parts_mut(address as *mut u8, (element_bytes * count) as usize) };
        all.chunks_exact_mut(element.len()).for_each(|place| place.copy_from_slice(element));
    }
}
