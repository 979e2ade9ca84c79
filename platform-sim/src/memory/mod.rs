//! Device memory of a simulated chip: mapped on demand, with a table of what is device memory and what is not.

mod stale;

use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::memory::{DeviceMemory, OutOfMemory};
use prewire_runtime_core::task::Scalar;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use stale::StaleCache;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

const POISON: &str = "no code panics while it holds the table of ranges";

/// Whose memory a range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Mapped here.
    Chip,
    /// Lent by the user.
    User,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    bytes: u64,
    owner: Owner,
}

#[derive(Debug, Default)]
struct Table {
    ranges: BTreeMap<u64, Range>,
    /// How many kernels may still use memory that its owner gave back.
    lost_kernels: usize,
    /// What was given back meanwhile: addresses and sizes.
    withheld: Vec<(u64, u64)>,
}

/// The memory of one simulated chip, in this process's own address space.
///
/// On a chip whose cores and copy engines are not coherent with the schedulers, every read from outside a kernel invalidates first, as the real
/// runtime must.
#[derive(Debug)]
pub struct SimMemory {
    table: Mutex<Table>,
    coherent: bool,
    invalidations: AtomicU64,
    stale: Option<StaleCache>,
}

impl SimMemory {
    /// Memory for a chip.
    pub fn new(chip: &ChipSpec) -> Self {
        SimMemory {
            table: Mutex::new(Table::default()),
            coherent: chip.coherent,
            invalidations: AtomicU64::new(0),
            stale: None,
        }
    }

    /// Memory without coherence, whatever the chip claims: a read from outside a kernel gives what the reader saw first, however old, unless it was
    /// invalidated, and every stale read is counted.
    pub fn checked(chip: &ChipSpec) -> Self {
        let mut memory = SimMemory::new(chip);
        memory.stale = Some(StaleCache::default());
        memory
    }

    /// How many reads gave bytes that were no longer true; `None` without checking.
    pub fn stale_reads(&self) -> Option<u64> {
        self.stale.as_ref().map(StaleCache::stale_reads)
    }

    /// How often bytes were invalidated before a read.
    pub fn invalidations(&self) -> u64 {
        self.invalidations.load(Ordering::Relaxed)
    }

    /// Makes memory of the user's own device memory, so that kernels may watch counters in it.
    ///
    /// # Safety
    /// The bytes are valid until [`SimMemory::unregister`].
    pub unsafe fn register(&self, address: u64, bytes: u64) {
        self.table.lock().expect(POISON).ranges.insert(address, Range { bytes, owner: Owner::User });
    }

    /// Ends [`SimMemory::register`] at this address. False if nothing is registered there.
    pub fn unregister(&self, address: u64) -> bool {
        let mut table = self.table.lock().expect(POISON);
        let registered = table.ranges.get(&address).is_some_and(|range| range.owner == Owner::User);
        registered && table.ranges.remove(&address).is_some()
    }

    /// Whether all the bytes are device memory of one range.
    pub fn contains(&self, address: u64, bytes: u64) -> bool {
        let table = self.table.lock().expect(POISON);
        let below = table.ranges.range(..=address).next_back();
        below.is_some_and(|(&start, range)| {
            let offset = address - start;
            offset <= range.bytes && bytes <= range.bytes - offset
        })
    }

    /// Bytes allocated and not given back, those withheld for lost kernels included.
    pub fn allocated_bytes(&self) -> u64 {
        let table = self.table.lock().expect(POISON);
        let live = table.ranges.values().filter(|range| range.owner == Owner::Chip).map(|range| range.bytes);
        live.chain(table.withheld.iter().map(|&(_, bytes)| bytes)).sum()
    }

    /// Reads a 32-bit counter as a scheduler does: everything written before the value was stored is then visible.
    ///
    /// # Safety
    /// The address is aligned to 4 and its bytes are mapped.
    pub(crate) unsafe fn read_counter(&self, address: u64) -> u32 {
        self.before_read(address, 4);
        // SAFETY: mapped and aligned by contract; counters are only accessed atomically.
        let counter = unsafe { AtomicU32::from_ptr(address as *mut u32) };
        let mut bytes = counter.load(Ordering::Acquire).to_ne_bytes();
        if let Some(stale) = &self.stale {
            stale.see(address, &mut bytes);
        }
        u32::from_ne_bytes(bytes)
    }

    /// Reads bytes as a scheduler does.
    ///
    /// # Safety
    /// The bytes are mapped and nobody writes them meanwhile.
    pub(crate) unsafe fn read_bytes(&self, address: u64, into: &mut [u8]) {
        self.before_read(address, into.len() as u64);
        // SAFETY: valid by contract, and a fresh exclusive slice does not overlap it.
        unsafe { std::ptr::copy_nonoverlapping(address as *const u8, into.as_mut_ptr(), into.len()) };
        if let Some(stale) = &self.stale {
            stale.see(address, into);
        }
    }

    /// The explicit invalidation that a chip without coherence needs before a scheduler reads what a core or a copy engine wrote.
    #[inline]
    fn before_read(&self, address: u64, bytes: u64) {
        if self.coherent || cfg!(prewire_mutation = "read_without_invalidation") {
            return;
        }
        fence(Ordering::SeqCst);
        self.invalidations.fetch_add(1, Ordering::Relaxed);
        if let Some(stale) = &self.stale {
            stale.invalidate(address, bytes);
        }
    }

    /// A kernel that ignored its cancellation still runs: what is given back from now on stays mapped until [`SimMemory::found`].
    pub(crate) fn lost(&self) {
        self.table.lock().expect(POISON).lost_kernels += 1;
    }

    /// A kernel that was lost has returned.
    pub(crate) fn found(&self) {
        let mut table = self.table.lock().expect(POISON);
        table.lost_kernels -= 1;
        if table.lost_kernels == 0 {
            for (address, bytes) in std::mem::take(&mut table.withheld) {
                unmap(address, bytes);
            }
        }
    }
}

fn unmap(address: u64, bytes: u64) {
    // SAFETY: the mapping was made by this module with this length, and nobody uses it any more.
    let unmapped = unsafe { munmap(address as *mut _, bytes as usize) };
    debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
}

impl Drop for SimMemory {
    fn drop(&mut self) {
        let table = self.table.get_mut().expect(POISON);
        for (&address, range) in &table.ranges {
            if range.owner == Owner::Chip {
                unmap(address, range.bytes);
            }
        }
        for &(address, bytes) in &table.withheld {
            unmap(address, bytes);
        }
    }
}

impl DeviceMemory for SimMemory {
    fn allocate(&self, bytes: u64) -> Result<u64, OutOfMemory> {
        let refused = |reason: String| OutOfMemory { bytes, reason };
        let length = usize::try_from(bytes.max(1)).map_err(|_| refused("more than this machine can address".into()))?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the system's choosing.
        let mapped = unsafe { mmap_anonymous(std::ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, flags) };
        let address = mapped.map_err(|error| refused(error.to_string()))? as u64;
        let range = Range { bytes: length as u64, owner: Owner::Chip };
        self.table.lock().expect(POISON).ranges.insert(address, range);
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        let mut table = self.table.lock().expect(POISON);
        let range = table.ranges.remove(&address);
        let Some(Range { bytes, owner: Owner::Chip }) = range else {
            drop(table);
            panic!("{address:#x} was given back and is no allocation of this memory");
        };
        if table.lost_kernels > 0 {
            table.withheld.push((address, bytes));
        } else {
            unmap(address, bytes);
        }
    }

    unsafe fn read(&self, address: u64, into: &mut [u8]) {
        // SAFETY: by contract.
        unsafe { self.read_bytes(address, into) };
    }

    unsafe fn write(&self, address: u64, from: &[u8]) {
        // SAFETY: valid by contract; a task's memory is no slice of Rust's.
        unsafe { std::ptr::copy(from.as_ptr(), address as *mut u8, from.len()) };
    }

    unsafe fn fill(&self, address: u64, value: Scalar, element_bytes: u64, count: u64) {
        let element = value.0.to_ne_bytes();
        let bytes = element_bytes as usize;
        let low = if cfg!(target_endian = "little") { &element[..bytes] } else { &element[8 - bytes..] };
        if low.iter().all(|byte| *byte == low[0]) {
            // SAFETY: valid by contract.
            unsafe { std::ptr::write_bytes(address as *mut u8, low[0], bytes * count as usize) };
            return;
        }
        for index in 0..count {
            let place = (address + index * element_bytes) as *mut u8;
            // SAFETY: within the range by contract.
            unsafe { std::ptr::copy_nonoverlapping(low.as_ptr(), place, bytes) };
        }
    }
}

#[cfg(test)]
mod tests;
