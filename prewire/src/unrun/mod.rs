//! An orchestration whose tasks never run: what is inferred then does not depend on what had finished.

mod addresses;

use crate::ChipSpec;
use addresses::Addresses;
use prewire_orchestrator::{Orchestrator, OrchestratorConfig};
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::BufferId;
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::memory::{DeviceMemory, OutOfMemory};
use prewire_runtime_core::waiting::Blocking;
use std::cell::Cell;
use std::sync::Arc;

/// An orchestrator with nobody behind it, in the one run that it ever has. Its memory is only addresses.
#[derive(Debug)]
pub(crate) struct Unrun {
    pub(crate) orchestrator: Orchestrator,
    pub(crate) nobody: Nobody,
    memory: Arc<Addresses>,
}

impl Unrun {
    pub(crate) fn new(
        config: OrchestratorConfig,
        chip: &ChipSpec,
        kernels: Arc<KernelSet>,
    ) -> Result<Self, OutOfMemory> {
        const RUN: u32 = 1;
        let graph = Arc::new(Graph::new(config.graph_sizes(1, chip), |_| 0));
        let memory = Arc::new(Addresses::new());
        let mut orchestrator = Orchestrator::new(config, graph.clone(), memory.clone(), chip)?;
        graph.run.begin(RUN);
        orchestrator.begin_run(RUN, kernels, true);
        Ok(Unrun { orchestrator, nobody: Nobody { graph, now_ns: Cell::new(0) }, memory })
    }

    /// New external memory: its address and its key.
    pub(crate) fn external(&mut self, bytes: u64) -> Result<(u64, BufferId), OutOfMemory> {
        let address = self.memory.allocate(bytes)?;
        Ok((address, self.orchestrator.register_external(address, bytes)))
    }
}

/// Waits by forgetting what is ready: nothing will ever run it, and while something is ready the orchestrator trusts that room comes of it. Time
/// passes with each look at the clock, so that a wait without hope ends at once.
#[derive(Debug)]
pub(crate) struct Nobody {
    graph: Arc<Graph>,
    now_ns: Cell<u64>,
}

impl Blocking for Nobody {
    fn round(&mut self, _look: &mut dyn FnMut() -> bool) -> bool {
        self.graph.clear_queues();
        false
    }

    fn done(&mut self) {}

    fn now_ns(&self) -> u64 {
        self.now_ns.set(self.now_ns.get() + 1_000_000);
        self.now_ns.get()
    }
}
