//! What a run needed, and what is in use now.

use prewire_runtime_core::error::Refusal;
use prewire_runtime_core::id::RING_COUNT;

/// How much of a ring is in use, or was at most, beside what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingUse {
    /// Slots.
    pub slots: u64,
    /// Heap bytes.
    pub heap_bytes: u64,
    /// Edges.
    pub edges: u64,
}

/// What is in use at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Per ring.
    pub rings: [RingUse; RING_COUNT],
    /// Regions in the dependency index.
    pub index_entries: u64,
}

/// What a run did and needed.
#[derive(Clone, Debug, Default)]
pub struct OrchestratorReport {
    /// Tasks submitted by the user, allocations not counted.
    pub tasks: u64,
    /// Allocation tasks; each was complete when its submit returned.
    pub allocations: u64,
    /// Tasks that the orchestrator put in by itself, to stand for many readers of one region. They are retired by the schedulers like dummies.
    pub joins: u64,
    /// The most that was in use at one time, as what a run of the same program needs: with rings of these sizes it succeeds.
    pub peaks: [RingUse; RING_COUNT],
    /// What there is.
    pub capacities: [RingUse; RING_COUNT],
    /// The most regions the dependency index told apart at one time.
    pub index_peak: u64,
    /// The regions it has room for.
    pub index_capacity: u64,
    /// The first call that was refused.
    pub refused: Option<Refusal>,
}
