//! Registers as plain memory: the fastest bus, and the default.

use super::RegisterBus;
use crossbeam_utils::CachePadded;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::port::{Condition, Token};
use prewire_runtime_core::sync::{AtomicU32, AtomicU64, Ordering};

/// One core's registers. They share a line: whoever writes one of them has just looked at the other.
#[derive(Debug)]
struct Registers {
    dispatch: AtomicU64,
    condition: AtomicU32,
    fast_path: AtomicU32,
}

/// Registers in the process's own memory, a cache line of them for each core.
#[derive(Debug)]
pub struct MemoryBus(Box<[CachePadded<Registers>]>);

impl MemoryBus {
    /// Registers for `cores` cores, none of which has answered yet.
    pub fn new(cores: u16) -> Self {
        let registers = || Registers {
            dispatch: AtomicU64::new(0),
            condition: AtomicU32::new(Condition::Unknown.to_register()),
            fast_path: AtomicU32::new(0),
        };
        MemoryBus((0..cores).map(|_| CachePadded::new(registers())).collect())
    }
}

impl RegisterBus for MemoryBus {
    #[inline]
    fn write_dispatch(&self, core: CoreId, value: u64) {
        self.0[core.index()].dispatch.store(value, Ordering::Release);
    }

    #[inline]
    fn read_condition(&self, core: CoreId) -> u32 {
        self.0[core.index()].condition.load(Ordering::Acquire)
    }

    fn write_fast_path(&self, core: CoreId, value: u32) {
        self.0[core.index()].fast_path.store(value, Ordering::Release);
    }

    #[inline]
    fn read_dispatch(&self, core: CoreId) -> u64 {
        self.0[core.index()].dispatch.load(Ordering::Acquire)
    }

    #[inline]
    fn write_dispatch_and_start(&self, core: CoreId, token: Token) {
        let registers = &self.0[core.index()];
        registers.dispatch.store(u64::from(token.to_register()), Ordering::Release);
        registers.condition.store(Condition::Started(token).to_register(), Ordering::Release);
    }

    #[inline]
    fn write_condition(&self, core: CoreId, value: u32) {
        self.0[core.index()].condition.store(value, Ordering::Release);
    }
}
