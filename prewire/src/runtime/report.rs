//! What a run did: how much, how long, what it needed, and, where asked for, every block and every dependency.

use prewire_orchestrator::{EdgeLog, OrchestratorReport, Usage};
use prewire_platform_sim::Execution;
use prewire_runtime_core::chip::{ChipSpec, CoreKind};
use prewire_runtime_core::id::RING_COUNT;
use std::time::Duration;

/// The peak use of one ring: what a ring must have for the same run to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RingPeaks {
    /// Slots in use at once, and how many there are.
    pub window: (u64, u64),
    /// Heap bytes in use at once, and how many there are.
    pub heap_bytes: (u64, u64),
    /// Edges in use at once, and how many there are.
    pub edges: (u64, u64),
    /// What is in use now; all zero after a run that was not cut short.
    pub left: (u64, u64, u64),
}

/// The report of a run, whether it succeeded or not.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run's number within its runtime, from 1.
    pub run: u32,
    /// The chip it ran on.
    pub chip: ChipSpec,
    /// Tasks submitted, allocations among them.
    pub tasks: u64,
    /// Of these, allocations, which complete at submit.
    pub allocations: u64,
    /// Tasks completed, of whatever kind and ending.
    pub completed: u64,
    /// Tasks whose kernels failed.
    pub failed: u64,
    /// Tasks retired unrun because of another's failure.
    pub unrun: u64,
    /// From the first submit's chance to the last completion.
    pub elapsed: Duration,
    /// What each ring needed.
    pub rings: [RingPeaks; RING_COUNT],
    /// Entries of the dependency index in use at once, and how many there are.
    pub index_entries: (u64, u64),
    /// The watchdog's budget in force.
    pub watchdog: Duration,
    /// Scopes that the orchestration left open and the runtime closed.
    pub scopes_left_open: usize,
    /// Causes that came after the first fatal one, and warnings.
    pub notes: Vec<String>,
    /// In virtual time, what was seen that must never be, such as a block dispatched twice; nothing in a sound engine.
    pub findings: Vec<String>,
    /// Every block that ran, if the trace was recorded.
    pub blocks: Option<Vec<Execution>>,
    /// Every task and dependency, if the graph was recorded.
    pub graph: Option<EdgeLog>,
}

impl Report {
    /// Of a run that was not accepted.
    pub(super) fn of_nothing(chip: &ChipSpec, watchdog: Duration) -> Self {
        Report {
            run: 0,
            chip: chip.clone(),
            tasks: 0,
            allocations: 0,
            completed: 0,
            failed: 0,
            unrun: 0,
            elapsed: Duration::ZERO,
            rings: [RingPeaks::default(); RING_COUNT],
            index_entries: (0, 0),
            watchdog,
            scopes_left_open: 0,
            notes: Vec::new(),
            findings: Vec::new(),
            blocks: None,
            graph: None,
        }
    }

    pub(super) fn rings_of(report: &OrchestratorReport, usage: &Usage) -> [RingPeaks; RING_COUNT] {
        std::array::from_fn(|ring| {
            let (peak, capacity, left) = (&report.peaks[ring], &report.capacities[ring], &usage.rings[ring]);
            RingPeaks {
                window: (peak.slots, capacity.slots),
                heap_bytes: (peak.heap_bytes, capacity.heap_bytes),
                edges: (peak.edges, capacity.edges),
                left: (left.slots, left.heap_bytes, left.edges),
            }
        })
    }

    /// From the first block's start to the last one's end, if the trace was recorded and any ran.
    pub fn makespan(&self) -> Option<Duration> {
        let blocks = self.blocks.as_ref()?;
        let start = blocks.iter().map(|block| block.start_ns).min()?;
        let end = blocks.iter().map(|block| block.end_ns).max()?;
        Some(Duration::from_nanos(end - start))
    }

    /// The share of the makespan in which the cores of a kind were busy, if the trace was recorded and any ran.
    pub fn utilisation(&self, kind: CoreKind) -> Option<f64> {
        let makespan = self.makespan()?.as_nanos() as f64;
        let cores = match kind {
            CoreKind::Cube => self.chip.cube_cores(),
            CoreKind::Vector => self.chip.vector_cores(),
        };
        let blocks = self.blocks.as_ref()?.iter().filter(|block| self.chip.kind_of(block.core) == kind);
        let busy: u64 = blocks.map(|block| block.end_ns - block.start_ns).sum();
        (makespan > 0.0).then(|| busy as f64 / (makespan * cores as f64))
    }
}
