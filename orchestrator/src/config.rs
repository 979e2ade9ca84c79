//! What an orchestrator is built with, and the table sizes that follow from it.

use crate::index::Hazards;
use crate::rings::ArgumentSizes;
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::graph::GraphSizes;
use prewire_runtime_core::id::RING_COUNT;
use std::time::Duration;

/// The sizes and budgets of an orchestrator. Values are taken as they are: whoever reads them from a user checks them first.
#[derive(Clone, Debug)]
pub struct OrchestratorConfig {
    /// Tasks alive at once, per ring, and as many allocations beside them: powers of two, at least 4.
    pub window: [u64; RING_COUNT],
    /// Bytes for task outputs, per ring, at least 1024.
    pub heap_bytes: [u64; RING_COUNT],
    /// Dependency edges alive at once, per ring, at least 4.
    pub edges: [u64; RING_COUNT],
    /// Regions that the dependency index tells apart at once, all rings together, at least 4.
    pub index_entries: u64,
    /// Which hazards make dependencies.
    pub hazards: Hazards,
    /// How long a submit waits for room while nothing runs and nothing moves.
    pub no_progress: Duration,
    /// How long a data access waits for the tasks it depends on.
    pub data_wait: Duration,
    /// The sequence number of the first task of every ring; 0 but in tests of large numbers.
    pub first_sequence: u64,
    /// Whether tasks and edges are logged. Nothing is then reclaimed before its room is needed, so that edges to finished producers are seen
    /// as long as the window allows.
    pub record: bool,
}

impl Default for OrchestratorConfig {
    fn default() -> Self {
        let window = 16_384;
        OrchestratorConfig {
            window: [window; RING_COUNT],
            heap_bytes: [256 << 20; RING_COUNT],
            edges: [16_384; RING_COUNT],
            index_entries: 4 * window * RING_COUNT as u64,
            hazards: Hazards::All,
            no_progress: Duration::from_millis(500),
            data_wait: Duration::from_secs(15),
            first_sequence: 0,
            record: false,
        }
    }
}

impl OrchestratorConfig {
    /// The sizes of the graph that such an orchestrator works on, with `instances` schedulers of `chip`.
    pub fn graph_sizes(&self, instances: usize, chip: &ChipSpec) -> GraphSizes {
        let units = self.window.iter().map(|&window| ArgumentSizes::new(window, chip).units());
        GraphSizes {
            // As many again for allocations, which have slots of their own.
            slots: 2 * self.window.iter().sum::<u64>() as usize,
            edges: self.edges.iter().sum::<u64>() as usize,
            argument_units: units.sum::<u64>() as usize,
            instances,
            cores: usize::from(chip.cores()),
        }
    }
}
