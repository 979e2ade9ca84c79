//! What a reader without coherence would see: the bytes as they were when it first looked, until it invalidates them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a cache line of these chips' schedulers.
const LINE_BYTES: u64 = 64;

const POISON: &str = "no code panics while it holds the cache";

/// The cache of the schedulers, with every byte that they have read and not invalidated since.
#[derive(Debug, Default)]
pub(super) struct StaleCache {
    bytes: Mutex<HashMap<u64, u8>>,
    stale_reads: AtomicU64,
}

impl StaleCache {
    /// Replaces the bytes at `address`, which are true, by what a reader sees, and counts a stale read if that is something else.
    pub(super) fn see(&self, address: u64, bytes: &mut [u8]) {
        let mut cached = self.bytes.lock().expect(POISON);
        let mut stale = false;
        for (byte, place) in bytes.iter_mut().zip(address..) {
            let seen = *cached.entry(place).or_insert(*byte);
            stale |= seen != *byte;
            *byte = seen;
        }
        if stale {
            self.stale_reads.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets all lines that the range touches.
    pub(super) fn invalidate(&self, address: u64, bytes: u64) {
        let first = address / LINE_BYTES * LINE_BYTES;
        let end = (address + bytes).next_multiple_of(LINE_BYTES);
        let mut cached = self.bytes.lock().expect(POISON);
        for byte in first..end {
            cached.remove(&byte);
        }
    }

    pub(super) fn stale_reads(&self) -> u64 {
        self.stale_reads.load(Ordering::Relaxed)
    }
}
