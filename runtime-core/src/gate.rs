//! The gate of a run: what its first tasks wait for until every run before it is over (architecture D15).
//!
//! The orchestrator builds a task that the roots of the run wait for like for any producer, and leaves one arrival of it open: the gate's. Whoever makes the
//! run the first in the row opens the gate, before or behind that, and exactly one of the two gives the arrival.

use crate::id::SlotIndex;
use crate::sync::{AtomicU64, Ordering};

/// No task waits at the gate yet.
const SHUT: u64 = 0;
/// The run may go on.
const OPEN: u64 = 1;
/// A task waits: its slot stands above.
const WAITED_AT: u64 = 2;

/// A run's gate.
#[derive(Debug)]
pub struct RunGate(AtomicU64);

impl Default for RunGate {
    fn default() -> Self {
        RunGate(AtomicU64::new(OPEN))
    }
}

impl RunGate {
    /// Shuts the gate of a run that begins behind others, or leaves it open. Only between runs, when nobody looks.
    pub(crate) fn begin(&self, open: bool) {
        self.0.store(if open { OPEN } else { SHUT }, Ordering::Relaxed);
    }

    /// Whether the run may go on.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) == OPEN
    }

    /// The task in `slot` waits at the gate. False if the gate is open by now: then the caller gives the task its last arrival.
    ///
    /// Only the orchestrator, once for each run.
    #[must_use]
    pub fn wait_at(&self, slot: SlotIndex) -> bool {
        let waited = u64::from(slot.0) << 32 | WAITED_AT;
        let order = if cfg!(prewire_mutation = "gate_wait_relaxed") { Ordering::Relaxed } else { Ordering::Release };
        if cfg!(prewire_mutation = "gate_wait_stores") {
            self.0.store(waited, Ordering::Release);
            return true;
        }
        self.0.compare_exchange(SHUT, waited, order, Ordering::Acquire).is_ok()
    }

    /// Opens the gate. Returns the task that waits at it, if one does: the caller gives it its last arrival.
    ///
    /// Only who makes the run the first in the row, once.
    #[must_use]
    pub fn open(&self) -> Option<SlotIndex> {
        let order = if cfg!(prewire_mutation = "gate_open_relaxed") { Ordering::Relaxed } else { Ordering::AcqRel };
        let before = self.0.swap(OPEN, order);
        (before & WAITED_AT != 0).then_some(SlotIndex((before >> 32) as u32))
    }
}
