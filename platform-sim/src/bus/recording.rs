//! A bus that writes down what passes over it.

use super::RegisterBus;
use prewire_runtime_core::chip::RegisterMap;
use prewire_runtime_core::id::CoreId;
use std::collections::HashMap;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

/// A register by its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Register {
    /// The 64-bit dispatch register.
    Dispatch,
    /// The 32-bit condition register.
    Condition,
    /// The 32-bit register that opens and closes the window.
    FastPath,
}

/// Who accessed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// A scheduler, or whoever starts and stops the cores.
    Scheduler,
    /// The core.
    Core,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The value was read.
    Read,
    /// The value was written.
    Write,
}

/// One access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whose register.
    pub core: CoreId,
    /// Which one.
    pub register: Register,
    /// Where the chip's map has it, in bytes from the window's beginning; `None` for a register that the map does not have.
    pub offset: Option<usize>,
    /// By whom.
    pub side: Side,
    /// How.
    pub direction: Direction,
    /// The value read or written.
    pub value: u64,
    /// The thread.
    pub thread: ThreadId,
}

#[derive(Debug, Default)]
struct Record {
    accesses: Vec<Access>,
    /// What each register's last recorded read gave, so that polling an unchanged register is recorded once.
    last_reads: HashMap<(CoreId, Register, Side), Access>,
}

/// Another bus, with a record of every access in the order in which they were made; a read that a thread repeats with the same result is recorded
/// once.
#[derive(Debug)]
pub struct RecordingBus<B> {
    inner: B,
    map: RegisterMap,
    record: Mutex<Record>,
}

const POISON: &str = "no code panics while it holds the record";

impl<B: RegisterBus> RecordingBus<B> {
    /// Records what passes to `inner`, with offsets from `map`.
    pub fn new(inner: B, map: RegisterMap) -> Self {
        RecordingBus { inner, map, record: Mutex::new(Record::default()) }
    }

    /// The bus behind.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    /// Takes what was recorded since the last call.
    pub fn take(&self) -> Vec<Access> {
        std::mem::take(&mut *self.record.lock().expect(POISON)).accesses
    }

    /// Does the access and records it, both under one lock, so that the record's order is the order in which they happened.
    fn record(
        &self,
        core: CoreId,
        register: Register,
        side: Side,
        direction: Direction,
        access: impl FnOnce() -> u64,
    ) -> u64 {
        let offset = match register {
            Register::Dispatch => Some(self.map.dispatch),
            Register::Condition => Some(self.map.condition),
            Register::FastPath => self.map.fast_path.map(|fast_path| fast_path.offset),
        };
        let mut record = self.record.lock().expect(POISON);
        let value = access();
        let access = Access { core, register, offset, side, direction, value, thread: thread::current().id() };
        let repeated = direction == Direction::Read
            && record.last_reads.insert((core, register, side), access).is_some_and(|last| last == access);
        if !repeated {
            record.accesses.push(access);
        }
        value
    }
}

impl<B: RegisterBus> RegisterBus for RecordingBus<B> {
    fn write_dispatch(&self, core: CoreId, value: u64) {
        self.record(core, Register::Dispatch, Side::Scheduler, Direction::Write, || {
            self.inner.write_dispatch(core, value);
            value
        });
    }

    fn read_condition(&self, core: CoreId) -> u32 {
        self.record(core, Register::Condition, Side::Scheduler, Direction::Read, || {
            u64::from(self.inner.read_condition(core))
        }) as u32
    }

    fn write_fast_path(&self, core: CoreId, value: u32) {
        self.record(core, Register::FastPath, Side::Scheduler, Direction::Write, || {
            self.inner.write_fast_path(core, value);
            u64::from(value)
        });
    }

    fn read_dispatch(&self, core: CoreId) -> u64 {
        self.record(core, Register::Dispatch, Side::Core, Direction::Read, || self.inner.read_dispatch(core))
    }

    fn write_condition(&self, core: CoreId, value: u32) {
        self.record(core, Register::Condition, Side::Core, Direction::Write, || {
            self.inner.write_condition(core, value);
            u64::from(value)
        });
    }
}
