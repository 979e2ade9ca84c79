//! The life of a run: how it begins, how it ends, what is cleaned up behind it, and what it needed.

use crate::Orchestrator;
use crate::gate::{Gate, RunSpan};
use crate::report::{OrchestratorReport, Usage};
use crate::rings::NOTHING_KEPT;
use prewire_runtime_core::id::RingIndex;
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::waiting::Blocking;
use std::sync::Arc;

impl Orchestrator {
    /// Begins a run with these kernels, whose state in the graph has begun. Either [`Orchestrator::after_run`] has cleaned up behind the run before, or the new
    /// one is built while earlier ones are not over: then its roots wait at its gate until that is opened.
    ///
    /// Without `concurrency` tasks whose blocks or parts run at the same time are refused.
    pub fn begin_run(&mut self, run: u32, kernels: Arc<KernelSet>, concurrency: bool) {
        let place = self.graph.run.place_of(run);
        debug_assert!(place.is_some(), "the graph has no state of run {run}");
        self.place = place.unwrap_or(0);
        self.gate = if self.state().gate.is_open() { Gate::Open } else { Gate::Begun };
        if !self.spans.is_empty() {
            self.forget_earlier_runs();
        }
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
    ///
    /// The run's report stays what it is now until the next run begins, and [`Orchestrator::run_span`] says which tasks were the run's.
    pub fn end_run(&mut self, _blocking: &mut dyn Blocking) -> usize {
        let open = self.scopes.depth();
        while self.scopes.depth() > 0 {
            self.close_innermost();
        }
        if open > 0 {
            self.state()
                .note(format!("{open} scopes were still open when the orchestration ended and have been closed"));
        }
        self.publish_submitted();
        self.ended_run = Some(self.measure());
        self.spans.push(self.run_span());
        self.state().finish_orchestration();
        self.graph.bells.ring_all();
        open
    }

    /// Which tasks the present run has had so far.
    pub fn run_span(&self) -> RunSpan {
        RunSpan {
            run: self.state().run(),
            place: self.place,
            tasks: std::array::from_fn(|ring| self.rings.0[ring].head()),
            allocations: std::array::from_fn(|ring| self.rings.0[ring].allocations.head()),
        }
    }

    /// What earlier runs know of memory is nothing to the one that begins; what their tasks have is taken back as they end.
    #[cold]
    fn forget_earlier_runs(&mut self) {
        for ring in &mut self.rings.0 {
            ring.kept_from = NOTHING_KEPT;
            ring.allocations.kept_from = NOTHING_KEPT;
        }
        self.index.clear();
        self.failed.clear();
        self.reclaim_all();
        self.forget_spans();
    }

    /// Takes back what ended runs have left, while others are not over and none is being built.
    pub fn after_some_runs(&mut self) {
        for ring in &mut self.rings.0 {
            ring.kept_from = NOTHING_KEPT;
            ring.allocations.kept_from = NOTHING_KEPT;
        }
        self.reclaim_all();
    }

    /// Cleans up when every run is over and every scheduler has left it: whatever their tasks still had is taken back, and every handle dies.
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
                unsafe { self.graph.slots.abandon(slot) };
            }
            if ring.live() + ring.allocations.live() > 0 {
                ring.abandon();
            }
        }
        if self.ended_run.is_none() {
            self.ended_run = Some(self.measure());
        }
        self.spans.clear();
        self.gate = Gate::Open;
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
