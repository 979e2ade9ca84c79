//! How a runtime is put together: the builder's word, else the environment's, else the default; whatever is wrong is said before anything is built.

use super::chip::Chip;
use super::environment::{self, Lookup, SettingError};
use super::lifecycle::Runtime;
use prewire_orchestrator::Hazards;
use prewire_platform_sim::Engine;
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::error::ErrorCode;
use prewire_runtime_core::id::RING_COUNT;
use prewire_runtime_core::memory::OutOfMemory;
use prewire_runtime_core::run::RUNS_MOST;
use prewire_runtime_core::settings;
use prewire_runtime_core::waiting::WaitingPolicy;
use std::time::Duration;
use thiserror::Error;

/// Why a runtime was not built.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum BuildError {
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(
        "{threads} threads: {chip} takes {fewest} to {most} (one orchestrator, the rest schedulers), or 0 for its default of {default} (code 5)"
    )]
    Threads { threads: i64, chip: &'static str, fewest: u8, most: u8, default: u8 },
    #[error("{clusters} clusters: {chip} has 1 to {most}")]
    Clusters { clusters: u16, chip: &'static str, most: u16 },
    #[error("{depth} runs in flight: a runtime takes 1 to {most}")]
    Depth { depth: usize, most: usize },
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the chip did not come up: {0}")]
    Platform(String),
}

impl BuildError {
    /// The error's number, where users know it by one.
    pub fn code(&self) -> Option<ErrorCode> {
        matches!(self, BuildError::Threads { .. }).then_some(ErrorCode::InvalidArguments)
    }
}

/// Builds a [`Runtime`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    chip: ChipSpec,
    clusters: Option<u16>,
    engine: Engine,
    threads: i64,
    caller_drives: bool,
    stand_in: bool,
    single_thread: bool,
    window: Option<[u64; RING_COUNT]>,
    heap: Option<[u64; RING_COUNT]>,
    edges: Option<[u64; RING_COUNT]>,
    index_entries: Option<u64>,
    watchdog: Option<Duration>,
    no_progress: Option<Duration>,
    data_wait: Option<Duration>,
    gang_warning: Duration,
    hazards: Hazards,
    waiting: Option<WaitingPolicy>,
    record_trace: bool,
    record_graph: bool,
    first_sequence: u64,
    depth: usize,
}

/// Everything a builder decides, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) chip: ChipSpec,
    pub(super) engine: Engine,
    pub(super) instances: usize,
    /// Instances that have no thread of their own: the caller drives them while it waits.
    pub(super) driven_by_caller: usize,
    /// Whether the first of these has a thread for when nobody waits.
    pub(super) stand_in: bool,
    pub(super) window: [u64; RING_COUNT],
    pub(super) heap: [u64; RING_COUNT],
    pub(super) edges: [u64; RING_COUNT],
    pub(super) index_entries: u64,
    pub(super) watchdog: Duration,
    pub(super) no_progress: Duration,
    pub(super) data_wait: Duration,
    pub(super) gang_warning: Duration,
    pub(super) hazards: Hazards,
    pub(super) waiting: WaitingPolicy,
    pub(super) record_trace: bool,
    pub(super) record_graph: bool,
    pub(super) first_sequence: u64,
    pub(super) depth: usize,
}

impl Plan {
    /// What the runtime's cores are.
    pub(crate) fn chip(&self) -> &ChipSpec {
        &self.chip
    }
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            chip: Chip::A2a3.spec(),
            clusters: None,
            engine: Engine::Inline,
            threads: 0,
            caller_drives: false,
            stand_in: false,
            single_thread: false,
            window: None,
            heap: None,
            edges: None,
            index_entries: None,
            watchdog: None,
            no_progress: None,
            data_wait: None,
            gang_warning: Duration::from_secs(5),
            hazards: Hazards::All,
            waiting: None,
            record_trace: false,
            record_graph: false,
            first_sequence: 0,
            depth: 2,
        }
    }
}

impl Builder {
    /// The chip to simulate.
    pub fn platform(self, chip: Chip) -> Self {
        self.chip(chip.spec())
    }

    /// A chip of the caller's own making, as data.
    pub fn chip(mut self, chip: ChipSpec) -> Self {
        self.chip = chip;
        self
    }

    /// Fewer clusters than the chip has.
    pub fn clusters(mut self, clusters: u16) -> Self {
        self.clusters = Some(clusters);
        self
    }

    /// How kernels are run.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Threads of a run: one orchestrator, the rest schedulers. 0 is the chip's default or, where that is less, as many as there are processors, but at least 2;
    /// in virtual time always the chip's default.
    pub fn threads(mut self, threads: i64) -> Self {
        self.threads = threads;
        self
    }

    /// The first scheduler gets no thread of its own: whoever called [`Runtime::run`] drives it whenever it waits. Saves a thread on a small machine;
    /// its cores stand still while the orchestration computes between two submits.
    pub fn caller_drives(mut self, caller_drives: bool) -> Self {
        self.caller_drives = caller_drives;
        self
    }

    /// No scheduler has a thread: the caller plays them all whenever it waits.
    pub fn single_thread(mut self, single_thread: bool) -> Self {
        self.single_thread = single_thread;
        self
    }

    /// Whoever waits drives the first scheduler, and a thread of the runtime drives it while nobody waits: for platforms whose cores are elsewhere, where driving
    /// takes little and waking somebody for it much.
    pub(crate) fn stand_in(mut self) -> Self {
        self.stand_in = true;
        self
    }

    /// Slots of each ring.
    pub fn ring_task_window(mut self, slots: impl Into<PerRing>) -> Self {
        self.window = Some(slots.into().0);
        self
    }

    /// Heap bytes of each ring.
    pub fn ring_heap(mut self, bytes: impl Into<PerRing>) -> Self {
        self.heap = Some(bytes.into().0);
        self
    }

    /// Edges of each ring.
    pub fn ring_dep_pool(mut self, edges: impl Into<PerRing>) -> Self {
        self.edges = Some(edges.into().0);
        self
    }

    /// Entries of the dependency index.
    pub fn index_entries(mut self, entries: u64) -> Self {
        self.index_entries = Some(entries);
        self
    }

    /// How long a task may keep a core without a sign of life.
    pub fn watchdog(mut self, budget: Duration) -> Self {
        self.watchdog = Some(budget);
        self
    }

    /// How long a submit waits for room while nothing runs and nothing moves.
    pub fn no_progress(mut self, budget: Duration) -> Self {
        self.no_progress = Some(budget);
        self
    }

    /// How long a data access waits.
    pub fn data_wait(mut self, budget: Duration) -> Self {
        self.data_wait = Some(budget);
        self
    }

    /// How long a gang or a group may keep an idle core from a task that names it, before the report gets a warning of it; 5 s by default. Nothing else follows from it.
    pub fn gang_warning(mut self, after: Duration) -> Self {
        self.gang_warning = after;
        self
    }

    /// Which dependencies are inferred.
    ///
    /// # Safety
    /// With less than [`Hazards::All`] the runtime no longer orders every pair of tasks that touch common bytes: the caller does, or kernels race.
    pub unsafe fn hazards(mut self, hazards: Hazards) -> Self {
        self.hazards = hazards;
        self
    }

    /// How idle threads wait; by default what fits the machine.
    pub fn waiting(mut self, policy: WaitingPolicy) -> Self {
        self.waiting = Some(policy);
        self
    }

    /// Keeps what every core did and when, for [`crate::Report::blocks`].
    pub fn record_trace(mut self, record: bool) -> Self {
        self.record_trace = record;
        self
    }

    /// Keeps every task and dependency, for [`crate::Report::graph`].
    pub fn record_graph(mut self, record: bool) -> Self {
        self.record_graph = record;
        self
    }

    /// The sequence number of the first task, for tests of very long lives.
    pub fn first_sequence(mut self, sequence: u64) -> Self {
        self.first_sequence = sequence;
        self
    }

    /// How many runs may be accepted and not over at one time, 2 by default: with more than one, the next run is built while another runs.
    pub fn runs_in_flight(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Builds the runtime.
    ///
    /// # Errors
    /// If a setting has a value that it cannot have, memory cannot be had, or the chip does not come up.
    pub fn build(self) -> Result<Runtime, BuildError> {
        self.build_in(&|name| std::env::var(name).ok())
    }

    /// Builds the runtime in an environment of the caller's making.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn build_in(self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Runtime, BuildError> {
        Runtime::assemble(self.plan(environment)?)
    }

    pub(crate) fn plan(self, lookup: Lookup<'_>) -> Result<Plan, BuildError> {
        let mut chip = self.chip;
        if let Some(clusters) = self.clusters {
            if !(1..=chip.clusters).contains(&clusters) {
                return Err(BuildError::Clusters { clusters, chip: chip.name, most: chip.clusters });
            }
            chip = chip.with_clusters(clusters);
        }
        let threads = match self.threads {
            0 => usual_threads(self.engine, &chip),
            given if (2..=chip.threads_max as i64).contains(&given) => given as u8,
            threads => {
                return Err(BuildError::Threads {
                    threads,
                    chip: chip.name,
                    fewest: 2,
                    most: chip.threads_max,
                    default: chip.threads_default,
                });
            }
        };
        // One place more is for a run that a late kernel keeps from being forgotten.
        let most = RUNS_MOST - 1;
        if !(1..=most).contains(&self.depth) {
            return Err(BuildError::Depth { depth: self.depth, most });
        }
        // More schedulers than clusters would own nothing.
        let instances = (threads as usize - 1).min(chip.clusters as usize);
        let driven_by_caller =
            if self.single_thread { instances } else { usize::from(self.caller_drives || self.stand_in) };
        let default = environment::default_of;
        let window = environment::per_ring(
            &settings::RING_TASK_WINDOW,
            self.window,
            lookup,
            default(&settings::RING_TASK_WINDOW),
            environment::is_window,
        )?;
        let entries = environment::number(&settings::INDEX_ENTRIES, self.index_entries, lookup, |entries| {
            (4..=1 << 28).contains(&entries)
        })?;
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
        Ok(Plan {
            engine: self.engine,
            instances,
            driven_by_caller,
            stand_in: self.stand_in && !self.single_thread,
            window,
            heap: environment::per_ring(
                &settings::RING_HEAP,
                self.heap,
                lookup,
                default(&settings::RING_HEAP),
                environment::is_heap,
            )?,
            edges: environment::per_ring(
                &settings::RING_DEP_POOL,
                self.edges,
                lookup,
                default(&settings::RING_DEP_POOL),
                environment::is_edge_pool,
            )?,
            index_entries: entries.unwrap_or(4 * window.iter().sum::<u64>()),
            watchdog: environment::time(&settings::WATCHDOG_MS, self.watchdog, lookup)?,
            no_progress: environment::time(&settings::NO_PROGRESS_MS, self.no_progress, lookup)?,
            data_wait: environment::time(&settings::DATA_WAIT_MS, self.data_wait, lookup)?,
            gang_warning: self.gang_warning,
            hazards: self.hazards,
            waiting: self.waiting.unwrap_or(WaitingPolicy::for_machine(processors, instances - driven_by_caller + 1)),
            record_trace: self.record_trace,
            record_graph: self.record_graph,
            first_sequence: self.first_sequence,
            depth: self.depth,
            chip,
        })
    }
}

/// As many threads as the chip has by default, in virtual time; elsewhere no more than there are processors, as schedulers that take turns on one processor
/// hold up each other's cores.
fn usual_threads(engine: Engine, chip: &ChipSpec) -> u8 {
    if matches!(engine, Engine::Virtual { .. }) {
        return chip.threads_default;
    }
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get()).min(u8::MAX.into());
    chip.threads_default.min(processors as u8).max(2)
}

/// One value for all rings, or one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerRing(pub(super) [u64; RING_COUNT]);

impl From<u64> for PerRing {
    fn from(value: u64) -> Self {
        PerRing([value; RING_COUNT])
    }
}

impl From<[u64; RING_COUNT]> for PerRing {
    fn from(values: [u64; RING_COUNT]) -> Self {
        PerRing(values)
    }
}
