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
    invalidations: AtomicU64,
}

impl StaleCache {
    /// What a reader sees of `current` bytes at `address`, and counts a stale read if that is something else.
    pub(super) fn see<const N: usize>(&self, address: u64, current: [u8; N]) -> [u8; N] {
        let mut cached = self.bytes.lock().expect(POISON);
        let mut index = 0;
        let seen = current.map(|byte| {
            let seen = *cached.entry(address + index).or_insert(byte);
            index += 1;
            seen
        });
        if seen != current {
            self.stale_reads.fetch_add(1, Ordering::Relaxed);
        }
        seen
    }

    /// Forgets all lines that the range touches.
    pub(super) fn invalidate(&self, address: u64, bytes: u64) {
        self.invalidations.fetch_add(1, Ordering::Relaxed);
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

    pub(super) fn invalidations(&self) -> u64 {
        self.invalidations.load(Ordering::Relaxed)
    }
}
