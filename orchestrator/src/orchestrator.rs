//! The orchestrator: what it is made of, and the life of a run.

use crate::config::OrchestratorConfig;
use crate::creators::Creators;
use crate::edge_set::EdgeSet;
use crate::external::External;
use crate::gate::{Gate, RunSpan};
use crate::index::{Index, IndexOptions};
use crate::log::EdgeLog;
use crate::report::OrchestratorReport;
use crate::rings::{ArgumentSizes, NOTHING_KEPT, Ring, RingPlace, Rings};
use crate::scopes::{ScopeMode, Scopes};
use crate::submit::Scratch;
use crate::terms::{Limited, Terms};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::error::{Fatal, Refusal, SubmitError};
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::{BufferId, RING_COUNT, RingIndex, SlotIndex, TaskId};
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::memory::{DeviceMemory, OutOfMemory};
use prewire_runtime_core::run::{RUNS_MOST, RunState};
use prewire_runtime_core::slot::Ordinal;
use prewire_runtime_core::sync::pause::{self, Point};
use prewire_runtime_core::task::{HEAP_ALIGNMENT_BYTES, MAX_SCOPE_DEPTH};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// Says what a task that an access waits for is doing, beyond what the graph knows: `Some("running on AIV_3")`.
pub(crate) type Describe = dyn Fn(SlotIndex, TaskId) -> Option<String> + Send;

/// Builds the graph of one run after the other. A run may be built while earlier ones are not over.
///
/// It belongs to one thread at a time; it may be sent to another, but not shared.
pub struct Orchestrator {
    pub(crate) config: OrchestratorConfig,
    pub(crate) graph: Arc<Graph>,
    pub(crate) memory: Arc<dyn DeviceMemory>,
    pub(crate) chip: ChipSpec,
    /// One bit per element type that the chip's kernels know.
    pub(crate) known_types: u32,
    /// A task with more tensors is looked at more closely: they are too many, or some may not go together.
    pub(crate) tensors_at_ease: usize,
    pub(crate) kernels: Arc<KernelSet>,
    /// Whether blocks that wait for one another can run at the same time.
    pub(crate) concurrency: bool,
    pub(crate) rings: Rings,
    /// The place of the present run among those in flight.
    pub(crate) place: usize,
    pub(crate) gate: Gate,
    /// Earlier runs of which tasks may be left, oldest first.
    pub(crate) spans: Vec<RunSpan>,
    /// The ring of the innermost scope.
    pub(crate) ring: RingIndex,
    pub(crate) scopes: Scopes,
    pub(crate) index: Index,
    pub(crate) edge_set: EdgeSet,
    pub(crate) creators: Creators,
    pub(crate) external: External,
    pub(crate) limited: Limited,
    /// Pieces of external memory got one key while tasks of both may be live: all of them must end before anything else is looked up.
    pub(crate) pieces_joined: bool,
    pub(crate) scratch: Scratch,
    /// The failed tasks of this run that are reclaimed, with their causes.
    pub(crate) failed: BTreeMap<TaskId, Ordinal>,
    pub(crate) ordinal: Ordinal,
    pub(crate) next_buffer: u64,
    pub(crate) tasks: u64,
    pub(crate) allocations: u64,
    pub(crate) joins: u64,
    pub(crate) refused: Option<Refusal>,
    pub(crate) ended_run: Option<OrchestratorReport>,
    pub(crate) log: EdgeLog,
    pub(crate) describe: Option<Box<Describe>>,
    not_sync: PhantomData<Cell<()>>,
}

impl std::fmt::Debug for Orchestrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orchestrator").field("usage", &self.usage()).field("depth", &self.scope_depth()).finish()
    }
}

impl Orchestrator {
    /// An orchestrator that builds graphs in `graph`, which was made with [`OrchestratorConfig::graph_sizes`] of the same configuration. Its heaps
    /// are taken from `memory` and given back when it is dropped.
    ///
    /// # Errors
    /// If the heaps cannot be had; then nothing is kept.
    ///
    /// # Panics
    /// If the graph has fewer slots, edges or argument units than the configuration asks for, or a window is no power of two.
    pub fn new(
        config: OrchestratorConfig,
        graph: Arc<Graph>,
        memory: Arc<dyn DeviceMemory>,
        chip: &ChipSpec,
    ) -> Result<Self, OutOfMemory> {
        let sizes = config.graph_sizes(graph.progress.len(), chip);
        assert!(
            graph.slots.len() >= sizes.slots
                && graph.edges.len() >= sizes.edges
                && graph.arguments.len() >= sizes.argument_units,
            "the graph was built for smaller rings than the orchestrator"
        );
        let heap_bytes = config.heap_bytes.map(|bytes| bytes.next_multiple_of(HEAP_ALIGNMENT_BYTES));
        let heaps = allocate_heaps(&*memory, heap_bytes)?;
        let (mut first_slot, mut first_edge, mut first_unit) = (0, 0, 0);
        let rings = std::array::from_fn(|ring| {
            let argument_sizes = ArgumentSizes::new(config.window[ring], chip);
            let place = RingPlace {
                argument_sizes,
                index: RingIndex(ring as u8),
                first_slot,
                first_allocation_slot: first_slot + config.window[ring],
                window: config.window[ring],
                first_edge,
                edges: config.edges[ring],
                first_unit,
                heap_address: heaps[ring],
                heap_bytes: heap_bytes[ring],
            };
            first_slot += 2 * place.window;
            first_edge += place.edges;
            first_unit += argument_sizes.units();
            Ring::new(place, config.first_sequence)
        });
        let entries = config.index_entries as usize;
        let index = Index::new(&IndexOptions {
            entries,
            touches: entries.saturating_mul(4),
            slots: sizes.slots,
            arguments: usize::from(chip.cores()) * usize::from(chip.arguments.tensors) + 1,
            hazards: config.hazards,
        });
        Ok(Orchestrator {
            known_types: chip.data_types.iter().fold(0, |known, data_type| known | 1 << data_type.index()),
            tensors_at_ease: if chip.arguments.overlapping_writes { usize::from(chip.arguments.tensors) } else { 1 },
            chip: chip.clone(),
            kernels: Arc::default(),
            concurrency: true,
            rings: Rings(rings),
            place: 0,
            gate: Gate::Open,
            spans: Vec::with_capacity(RUNS_MOST),
            ring: RingIndex::of_depth(0),
            scopes: Scopes::new(),
            index,
            edge_set: EdgeSet::new(sizes.slots),
            creators: Creators::new(sizes.slots, chip.arguments),
            external: External::default(),
            limited: Limited::default(),
            pieces_joined: false,
            scratch: Scratch::new(usize::from(chip.arguments.tensors)),
            failed: BTreeMap::new(),
            ordinal: 0,
            next_buffer: 0,
            tasks: 0,
            allocations: 0,
            joins: 0,
            refused: None,
            ended_run: None,
            log: EdgeLog::default(),
            describe: None,
            config,
            graph,
            memory,
            not_sync: PhantomData,
        })
    }

    /// Gives the reports of data accesses that wait too long a voice that knows more than the graph does, such as which core runs a task.
    pub fn describe_with(&mut self, describe: impl Fn(SlotIndex, TaskId) -> Option<String> + Send + 'static) {
        self.describe = Some(Box::new(describe));
    }

    /// Opens a scope.
    ///
    /// # Errors
    /// More than 64 scopes, an automatic scope inside a manual one, a run that has ended.
    pub fn open_scope(&mut self, mode: ScopeMode) -> Result<(), SubmitError> {
        self.check_run()?;
        if self.scopes.depth() == MAX_SCOPE_DEPTH {
            return Err(self.refuse(Refusal::TooDeep { limit: MAX_SCOPE_DEPTH }));
        }
        if mode == ScopeMode::Automatic && self.scopes.innermost().manual {
            return Err(self.refuse(Refusal::AutomaticInManual));
        }
        self.scopes.open(mode == ScopeMode::Manual);
        self.ring = self.scopes.innermost().ring;
        Ok(())
    }

    /// Closes the innermost scope. Handles of the outputs of its tasks die with it. After a fatal it still closes, so that scopes stay balanced.
    ///
    /// # Errors
    /// Only the root is open, or the run has ended.
    pub fn close_scope(&mut self) -> Result<(), SubmitError> {
        if self.scopes.depth() == 0 {
            self.check_run()?;
            return Err(self.refuse(Refusal::NoOpenScope));
        }
        self.close_innermost();
        self.check_run()
    }

    pub(crate) fn close_innermost(&mut self) {
        let closed = self.scopes.close();
        let ring = self.rings.get_mut(closed.ring);
        if closed.set_mark {
            ring.kept_from = NOTHING_KEPT;
        }
        if closed.set_allocation_mark {
            ring.allocations.kept_from = NOTHING_KEPT;
        }
        ring.patience = 0;
        self.ring = self.scopes.innermost().ring;
    }

    /// How many scopes are open inside the root.
    pub fn scope_depth(&self) -> usize {
        self.scopes.depth()
    }

    /// Registers memory of the user. Tensors over it carry the returned key; registrations that overlap share one.
    pub fn register_external(&mut self, address: u64, bytes: u64) -> BufferId {
        self.index.forget_known();
        let (key, joined) = self.external.register(address, bytes);
        self.pieces_joined |= joined;
        key
    }

    /// Takes one registration of exactly these bytes back. False if there is none. No task that uses them may be live.
    pub fn unregister_external(&mut self, address: u64, bytes: u64) -> bool {
        self.index.forget_known();
        self.external.unregister(address, bytes) || self.limited.unregister(address, bytes)
    }

    /// Registers memory that not every task may use. It shares bytes with no other, whatever addresses others have.
    pub fn register_limited(&mut self, address: u64, bytes: u64, terms: Terms) -> BufferId {
        self.index.forget_known();
        self.limited.register(address, bytes, terms)
    }

    /// Ends the run with code 9 and a text of the user's.
    ///
    /// Returns the run's error, which is an earlier one if there was one.
    pub fn fail(&mut self, text: impl Into<String>) -> SubmitError {
        self.latch(Fatal::Explicit { text: text.into() })
    }

    /// The tasks and edges of the run, if [`OrchestratorConfig::record`] asked for them.
    pub fn log(&self) -> &EdgeLog {
        &self.log
    }

    /// The id of the next task that the innermost scope submits.
    pub fn next_task(&self) -> TaskId {
        self.rings.get(self.ring).next_id()
    }

    /// The slot of a task that has not been reclaimed, for reports.
    pub fn slot_of(&self, task: TaskId) -> Option<SlotIndex> {
        let ring = self.rings.0.get(task.ring().index())?;
        ring.has(task).then(|| ring.slot_of_id(task))
    }

    /// The state of the present run.
    #[inline]
    pub(crate) fn state(&self) -> &RunState {
        self.graph.run.at(self.place)
    }

    pub(crate) fn publish_submitted(&self) {
        self.state().publish_submitted(self.tasks + self.joins);
    }

    /// The run's fatal, if it has ended.
    #[inline]
    pub(crate) fn check_run(&self) -> Result<(), SubmitError> {
        if self.state().is_cancelled() { Err(self.run_fatal()) } else { Ok(()) }
    }

    #[cold]
    pub(crate) fn run_fatal(&self) -> SubmitError {
        let fatal = self.state().fatal();
        SubmitError::Fatal(fatal.unwrap_or_else(|| Fatal::Explicit { text: "the run has ended".to_owned() }))
    }

    /// Refuses a call: for the arguments that it was given, or, by an assembly whose callers write another language, for what could not even be made
    /// into arguments. The first refusal of a run is part of its result.
    #[cold]
    pub fn refuse(&mut self, refusal: Refusal) -> SubmitError {
        if self.refused.is_none() {
            self.refused = Some(refusal.clone());
        }
        SubmitError::Refused(refusal)
    }

    /// Ends the run, wakes everybody, and returns the run's first fatal.
    #[cold]
    pub(crate) fn latch(&mut self, fatal: Fatal) -> SubmitError {
        pause::at(Point::SubmitLatches);
        self.state().latch(fatal);
        self.graph.bells.ring_all();
        self.run_fatal()
    }
}

impl Drop for Orchestrator {
    fn drop(&mut self) {
        for ring in &self.rings.0 {
            // SAFETY: the heaps were allocated in `new`. Whoever built the orchestrator keeps it until no task of its runs is running.
            unsafe { self.memory.free(ring.heap.address()) };
        }
    }
}

fn allocate_heaps(memory: &dyn DeviceMemory, bytes: [u64; RING_COUNT]) -> Result<[u64; RING_COUNT], OutOfMemory> {
    let mut heaps = [0; RING_COUNT];
    for ring in 0..RING_COUNT {
        match memory.allocate(bytes[ring]) {
            Ok(address) => heaps[ring] = address,
            Err(error) => {
                for &address in &heaps[..ring] {
                    // SAFETY: allocated above and used by nobody.
                    unsafe { memory.free(address) };
                }
                return Err(error);
            }
        }
    }
    Ok(heaps)
}
