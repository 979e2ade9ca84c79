//! What a group of schedulers is told at construction.

use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::port::Token;
use std::time::Duration;

/// What a group of schedulers is told at construction.
#[derive(Clone, Copy, Debug)]
pub struct SchedulerConfig {
    /// Scheduler instances, 1 to 62.
    pub instances: usize,
    /// How long a task may keep a core without a sign of life, and how long nothing may move while tasks remain, unless a task has a budget of its own.
    pub watchdog: Duration,
    /// How long a gang may keep an idle core from a task that names it before the run's report gets a warning.
    pub gang_warning: Duration,
    /// The first token of every core, for tests of the wrap.
    pub first_token: Token,
}

impl SchedulerConfig {
    /// A group of `instances` with the default watchdog of ten seconds.
    pub const fn new(instances: usize) -> Self {
        let (watchdog, gang_warning) = (Duration::from_secs(10), Duration::from_secs(5));
        SchedulerConfig { instances, watchdog, gang_warning, first_token: Token::FIRST }
    }

    /// The instance that owns a core: all cores of cluster c belong to instance c mod `instances`.
    pub fn owner_of(&self, chip: &ChipSpec, core: CoreId) -> usize {
        chip.place_of(core).0 as usize % self.instances
    }
}
