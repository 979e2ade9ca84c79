//! What a writer did so far: its metrics, and how long the calling thread was blocked.

use crate::metrics::{LatencySnapshot, Stage, StageSnapshot};
use crate::schedule::{Array, Engine};

/// Blocked time of the calling thread, by cause. No interval is counted twice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stalls {
    /// Until a staging slot was free.
    pub staging_free: StageSnapshot,
    /// Until a batch's chunk index was on the host.
    pub chunk_index: StageSnapshot,
    /// Until a batch's payload was on the host.
    pub d2h_done: StageSnapshot,
    /// Until the sink had read a slot's last payload.
    pub io_fence: StageSnapshot,
    /// Because the sink had too many bytes pending.
    pub back_pressure: StageSnapshot,
    /// In drains, the waits above not included.
    pub flush: StageSnapshot,
}

/// What a writer did so far, for one array; the stalls are the engine's.
#[derive(Debug, Clone, Copy)]
pub struct Metrics {
    stages: [StageSnapshot; Stage::ALL.len()],
    /// Where the calling thread was blocked.
    pub stalls: Stalls,
    /// Durations of append calls.
    pub append_latency: LatencySnapshot,
    /// The most bytes that were pending in the sink after a delivery.
    pub pending_bytes_peak: u64,
    /// Batches kicked.
    pub batches: u64,
    /// Transfers dispatched.
    pub dispatches: u64,
    /// Position tables written for the device.
    pub table_uploads: u64,
    /// Writes the sink took by reference.
    pub stable_writes: u64,
    /// Writes the sink copied.
    pub copied_writes: u64,
}

impl Metrics {
    pub(super) fn of(engine: &Engine, array: &Array) -> Self {
        let stages = Stage::ALL.map(|stage| array.timers.of(stage).snapshot());
        let stalls = &engine.edges.stalls;
        let stalls = Stalls {
            staging_free: stalls.staging_free(),
            chunk_index: stalls.chunk_index(),
            d2h_done: stalls.d2h_done(),
            io_fence: stalls.io_fence(),
            back_pressure: stalls.back_pressure(),
            flush: stalls.drain(),
        };
        Self {
            stages,
            stalls,
            append_latency: array.latency.snapshot(),
            pending_bytes_peak: array.pending_bytes_peak,
            batches: array.kicks,
            dispatches: array.dispatches,
            table_uploads: array.table_uploads,
            stable_writes: array.stable_writes,
            copied_writes: array.copied_writes,
        }
    }

    /// What one stage did.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> StageSnapshot {
        self.stages[stage as usize]
    }

    /// Every stage in the order of the data.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, StageSnapshot)> + '_ {
        Stage::ALL.into_iter().zip(self.stages)
    }
}
