//! How long the calling thread was blocked, by the edge it waited for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{StageSnapshot, StageTimer};
use crate::edges::Edge;

/// Time the calling thread was blocked, by what it waited for. Only waits that really blocked become samples.
#[derive(Debug, Default)]
pub struct StallMetrics {
    staging_free: StageTimer,
    chunk_index: StageTimer,
    d2h_done: StageTimer,
    io_fence: StageTimer,
    back_pressure: StageTimer,
    drain: StageTimer,
    unknown: AtomicU64,
}

impl StallMetrics {
    pub(crate) fn add(&self, edge: Edge, time: Duration) {
        match edge {
            Edge::StagingFree => self.staging_free.add(time),
            Edge::ChunkIndexReady => self.chunk_index.add(time),
            Edge::D2hDone => self.d2h_done.add(time),
            Edge::IoFence => self.io_fence.add(time),
            _ => {
                self.unknown.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn add_back_pressure(&self, time: Duration) {
        self.back_pressure.add(time);
    }

    pub(crate) fn add_drain(&self, time: Duration) {
        self.drain.add(time);
    }

    /// Time blocked at edges and by back-pressure so far.
    #[must_use]
    pub fn blocked(&self) -> Duration {
        let waits = [&self.staging_free, &self.chunk_index, &self.d2h_done, &self.io_fence, &self.back_pressure];
        waits.iter().map(|wait| wait.snapshot().time).sum()
    }

    /// Blocked until a staging slot was free.
    #[must_use]
    pub fn staging_free(&self) -> StageSnapshot {
        self.staging_free.snapshot()
    }

    /// Blocked until a batch's chunk index was on the host.
    #[must_use]
    pub fn chunk_index(&self) -> StageSnapshot {
        self.chunk_index.snapshot()
    }

    /// Blocked until a batch's payload was on the host.
    #[must_use]
    pub fn d2h_done(&self) -> StageSnapshot {
        self.d2h_done.snapshot()
    }

    /// Blocked until the sink had read a slot's last payload.
    #[must_use]
    pub fn io_fence(&self) -> StageSnapshot {
        self.io_fence.snapshot()
    }

    /// Blocked because the sink had too many bytes pending.
    #[must_use]
    pub fn back_pressure(&self) -> StageSnapshot {
        self.back_pressure.snapshot()
    }

    /// Drains, from the first wait to the publication, the waits above not included.
    #[must_use]
    pub fn drain(&self) -> StageSnapshot {
        self.drain.snapshot()
    }
}
