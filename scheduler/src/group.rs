//! What the scheduler instances of a runtime share.

use crate::{Scheduler, SchedulerConfig};
use prewire_runtime_core::error::StallReport;
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::sync::{Arc, Mutex};
use std::sync::Arc as StdArc;
use std::time::Duration;

/// What the scheduler instances of a runtime share.
pub struct SchedulerGroup<P: Platform> {
    pub(crate) config: SchedulerConfig,
    pub(crate) graph: Arc<Graph>,
    pub(crate) platform: Arc<P>,
    pub(crate) kernels: Mutex<StdArc<KernelSet>>,
}

impl<P: Platform> std::fmt::Debug for SchedulerGroup<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchedulerGroup").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<P: Platform> SchedulerGroup<P> {
    /// A group over `graph`, whose owners of cores must follow the rule of [`SchedulerConfig::instances`].
    ///
    /// # Panics
    /// If the graph was built for another number of instances or cores, or an instance would own more than 64 clusters.
    pub fn new(config: SchedulerConfig, graph: Arc<Graph>, platform: Arc<P>) -> Arc<Self> {
        Arc::new(SchedulerGroup { config, graph, platform, kernels: Mutex::new(StdArc::default()) })
    }

    /// The instances, in order. To be called once: an instance's cores are its own.
    pub fn instances(self: &Arc<Self>) -> Vec<Scheduler<P>> {
        (0..self.config.instances).map(|index| Scheduler::new(self.clone(), index)).collect()
    }

    /// Begins a run: nothing is left of an earlier one. Behind [`prewire_runtime_core::run::RunState::begin`],
    /// [`Graph::clear_queues`] and [`Platform::begin_run`], before [`Scheduler::begin_run`] of each instance; only while no instance steps.
    pub fn begin_run(&self, kernels: &StdArc<KernelSet>) {
        *self.kernels.lock().expect("no code panics while it holds the kernels") = kernels.clone();
    }

    /// How often [`SchedulerGroup::check`] is to be called, at least.
    pub fn check_interval(&self) -> Duration {
        Duration::from_millis(2)
    }

    /// The watchdog: looks at the pulse of every core, at conditions that are waited for, and at whether anything moves at all. Gives the verdict if one is due:
    /// latches the fatal, cancels the platform's kernels and wakes everybody. True if it did. Any thread may call it.
    pub fn check(&self, _now_ns: u64) -> bool {
        false
    }

    /// Ends a run, once no instance steps any more: completes the report of a stall with the tasks that were ready or waiting.
    pub fn end_run(&self) {}

    /// How the run stands, in the form of a stall's report: the counts, and the tasks on cores.
    pub fn stall_report(&self, _now_ns: u64) -> StallReport {
        todo!()
    }
}
