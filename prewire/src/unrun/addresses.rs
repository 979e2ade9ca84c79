//! Device memory that is only addresses, for orchestrations whose tasks never run.

use crate::Scalar;
use prewire_runtime_core::memory::{DeviceMemory, OutOfMemory};
use std::sync::atomic::{AtomicU64, Ordering};

/// Hands out addresses that nobody ever looks behind.
#[derive(Debug)]
pub(super) struct Addresses(AtomicU64);

const PAGE_BYTES: u64 = 4096;

impl Addresses {
    pub(super) fn new() -> Self {
        Addresses(AtomicU64::new(PAGE_BYTES))
    }
}

impl DeviceMemory for Addresses {
    fn allocate(&self, bytes: u64) -> Result<u64, OutOfMemory> {
        // A page in between, so that neighbours never touch.
        let room = bytes.checked_next_multiple_of(PAGE_BYTES).and_then(|bytes| bytes.checked_add(PAGE_BYTES));
        let next = room.and_then(|room| {
            let advance = |next: u64| next.checked_add(room).filter(|&end| end < 1 << 62);
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, advance).ok()
        });
        next.ok_or_else(|| OutOfMemory { bytes, reason: "all addresses are given out".into() })
    }

    unsafe fn free(&self, _address: u64) {}

    unsafe fn read(&self, _address: u64, into: &mut [u8]) {
        into.fill(0);
    }

    unsafe fn write(&self, _address: u64, _from: &[u8]) {}

    unsafe fn fill(&self, _address: u64, _value: Scalar, _element_bytes: u64, _count: u64) {}
}
