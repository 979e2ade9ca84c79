//! The life of a run: how it begins, how it ends, what is cleaned up behind it, and what it needed.

use crate::Orchestrator;
use crate::report::{OrchestratorReport, Usage};
use crate::rings::NOTHING_KEPT;
use prewire_runtime_core::id::RingIndex;
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::waiting::Blocking;
use std::sync::Arc;

impl Orchestrator {
    /// Begins a run with these kernels. [`Orchestrator::after_run`] has ended the one before, and the graph's run state has begun this one.
    ///
    /// Without `concurrency` tasks whose blocks or parts run at the same time are refused.
    pub fn begin_run(&mut self, run: u32, kernels: Arc<KernelSet>, concurrency: bool) {
        debug_assert_eq!(self.graph.run.run(), run, "the graph's run state is that of another run");
        debug_assert!(self.rings.0.iter().all(|ring| ring.live() == 0), "the run before was not cleaned up");
        self.scratch.learn_kernels(&kernels);
        self.kernels = kernels;
        self.concurrency = concurrency;
        self.scopes.restart();
        self.ring = RingIndex::of_depth(0);
        for ring in &mut self.rings.0 {
            ring.begin_run();
        }
        self.pieces_joined = false;
        self.ordinal = 0;
        self.tasks = 0;
        self.allocations = 0;
        self.joins = 0;
        self.refused = None;
        self.ended_run = None;
        self.log.clear();
    }

    /// Ends the orchestration: closes the scopes that are still open and says that no more tasks will come. Returns how many scopes it had to close.
    pub fn end_run(&mut self, _blocking: &mut dyn Blocking) -> usize {
        let open = self.scopes.depth();
        while self.scopes.depth() > 0 {
            self.close_innermost();
        }
        if open > 0 {
            self.graph
                .run
                .note(format!("{open} scopes were still open when the orchestration ended and have been closed"));
        }
        self.publish_submitted();
        self.graph.run.finish_orchestration();
        self.graph.bells.ring_all();
        open
    }

    /// Cleans up when every scheduler has left the run: whatever its tasks still had is taken back, and every handle dies.
    pub fn after_run(&mut self) {
        self.scopes.restart();
        self.ring = RingIndex::of_depth(0);
        for ring in &mut self.rings.0 {
            ring.kept_from = NOTHING_KEPT;
            ring.allocations.kept_from = NOTHING_KEPT;
        }
        self.reclaim_all();
        for ring in &mut self.rings.0 {
            let tasks = (ring.tail()..ring.head()).map(|sequence| ring.slot_of(sequence));
            let allocated = ring.allocations.tail()..ring.allocations.head();
            for slot in tasks.chain(allocated.map(|sequence| ring.allocations.slot_of(sequence))) {
                // SAFETY: by the method's contract nobody else touches slots between runs.
                unsafe { self.graph.slots.get(slot).abandon() };
            }
            if ring.live() + ring.allocations.live() > 0 {
                ring.abandon();
            }
        }
        self.ended_run = Some(self.measure());
        self.index.clear();
        self.failed.clear();
    }

    /// What the run did and needed so far; after [`Orchestrator::after_run`], what the whole run did.
    pub fn report(&self) -> OrchestratorReport {
        self.ended_run.clone().unwrap_or_else(|| self.measure())
    }

    fn measure(&self) -> OrchestratorReport {
        OrchestratorReport {
            tasks: self.tasks,
            allocations: self.allocations,
            joins: self.joins,
            peaks: std::array::from_fn(|ring| self.rings.0[ring].peaks()),
            capacities: std::array::from_fn(|ring| self.rings.0[ring].capacities()),
            index_peak: self.index.peak().entries as u64,
            index_capacity: self.index.capacity().entries as u64,
            refused: self.refused.clone(),
        }
    }

    /// What is in use now.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage { index_entries: self.index.in_use().entries as u64, ..Usage::default() };
        for (ring, place) in self.rings.0.iter().zip(&mut usage.rings) {
            *place = ring.usage();
        }
        usage
    }
}
