//! One scheduler instance: the clusters it owns and the step that drives them.

use crate::SchedulerGroup;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::sync::Arc;

/// What a step achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was achieved; step again.
    Worked,
    /// There was nothing to do.
    Idle {
        /// A core of this instance runs something. When it ends, the platform rings the instance's bell.
        cores_busy: bool,
        /// Tasks wait for counters that nobody rings a bell for: a sleep must be short (a millisecond or less).
        must_poll: bool,
    },
}

/// A scheduler instance. One thread at a time drives it.
pub struct Scheduler<P: Platform> {
    group: Arc<SchedulerGroup<P>>,
    index: usize,
}

impl<P: Platform> std::fmt::Debug for Scheduler<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("index", &self.index).finish_non_exhaustive()
    }
}

impl<P: Platform> Scheduler<P> {
    pub(crate) fn new(group: Arc<SchedulerGroup<P>>, index: usize) -> Self {
        Scheduler { group, index }
    }

    /// Which instance this is; also its bell in [`prewire_runtime_core::graph::Graph::bells`].
    pub fn index(&self) -> usize {
        self.index
    }

    /// Begins a run: cores idle, nothing in hand, counters at zero. Behind [`SchedulerGroup::begin_run`].
    pub fn begin_run(&mut self) {}

    /// A bounded piece of work: ended blocks, completions, retirements, dispatches. After a fatal only ended blocks are taken in; the run is quiet once
    /// no instance has a busy core.
    pub fn step(&mut self) -> Step {
        Step::Idle { cores_busy: false, must_poll: false }
    }

    /// Whether a step would find something to do; a cheap look before a sleep.
    pub fn has_work(&self) -> bool {
        let _ = &self.group;
        false
    }

    /// The cores of this instance on which something runs.
    pub fn busy_cores(&self) -> Vec<CoreId> {
        Vec::new()
    }
}
