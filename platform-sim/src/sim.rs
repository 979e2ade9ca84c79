//! The simulated chip as its users hold it.

use crate::bus::{MemoryBus, RegisterBus};
use crate::clock::Clock;
use crate::cohort::Cohorts;
use crate::config::{Engine, SimConfig};
use crate::core::Core;
use crate::fault::{Fault, Faults};
use crate::kernels::KernelTable;
use crate::lifecycle::HANDSHAKE_BYTES;
use crate::memory::SimMemory;
use crate::pool::Pool;
use crate::recorder::{Execution, Recorder};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::memory::{DeviceMemory, OutOfMemory};
use prewire_runtime_core::sync::{AtomicBool, AtomicU64, Ordering};
use std::cell::UnsafeCell;
use std::sync::Arc;

/// A simulated chip whose registers are reached through `B`.
///
/// A call to `dispatch` is made within a run: behind a successful `begin_run` and, for single-core blocks that the calling thread runs itself, not
/// behind `exit`. When the chip is dropped its idle threads are joined. A thread that is still in a kernel, because the kernel ignores its
/// cancellation, is left behind; it keeps the memory it uses alive and ends with the kernel.
pub struct Sim<B: RegisterBus = MemoryBus> {
    pub(crate) shared: Arc<Shared<B>>,
}

/// What the chip's owner and its threads share.
pub(crate) struct Shared<B: RegisterBus> {
    pub(crate) chip: ChipSpec,
    pub(crate) engine: Engine,
    pub(crate) bus: B,
    pub(crate) cores: Box<[Core]>,
    /// Written between runs, when no core runs anything; read by whoever runs a dispatch.
    pub(crate) kernels: UnsafeCell<KernelTable>,
    /// The present run's number, shifted left by one, and whether it is cancelled.
    pub(crate) run: AtomicU64,
    /// Whether the cores have been started and not yet told to leave.
    pub(crate) up: AtomicBool,
    /// Whether a dispatch may take the short way: run here, with no fault and no record.
    pub(crate) quick: AtomicBool,
    pub(crate) recording: AtomicBool,
    pub(crate) recorder: Recorder,
    pub(crate) faulty: AtomicBool,
    pub(crate) faults: Faults,
    pub(crate) cohorts: Cohorts,
    pub(crate) clock: Clock,
    /// For dispatches that wait for nobody.
    pub(crate) workers: Arc<Pool>,
    /// For dispatches that may wait for one another; each has a thread of its own.
    pub(crate) companions: Arc<Pool>,
    /// Where the cores leave their start-up and exit records, in device memory.
    pub(crate) handshake: u64,
    pub(crate) graph: Arc<Graph>,
    pub(crate) memory: Arc<SimMemory>,
}

// SAFETY: `kernels` is written only in `begin_run`, when no core runs anything, and read only by running dispatches.
unsafe impl<B: RegisterBus> Sync for Shared<B> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<B: RegisterBus> Send for Shared<B> {}

impl<B: RegisterBus> std::fmt::Debug for Sim<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim")
            .field("chip", &self.shared.chip.name)
            .field("clusters", &self.shared.chip.clusters)
            .field("engine", &self.shared.engine)
            .finish_non_exhaustive()
    }
}

impl Sim<MemoryBus> {
    /// A chip with registers in plain memory. It rings the bells of `graph` when a block ends on a thread of its own, and keeps the graph's arguments
    /// and `memory` alive as long as a kernel may use them. No thread is started before one is needed.
    ///
    /// # Errors
    /// If the memory for the cores' handshake cannot be had.
    pub fn new(config: SimConfig, graph: Arc<Graph>, memory: Arc<SimMemory>) -> Result<Self, OutOfMemory> {
        let bus = MemoryBus::new(config.chip.cores());
        Sim::with_bus(config, graph, memory, bus)
    }
}

impl<B: RegisterBus> Sim<B> {
    /// A chip whose registers are reached through `bus`.
    ///
    /// # Errors
    /// If the memory for the cores' handshake cannot be had.
    pub fn with_bus(config: SimConfig, graph: Arc<Graph>, memory: Arc<SimMemory>, bus: B) -> Result<Self, OutOfMemory> {
        let workers = config.workers();
        let SimConfig { chip, engine, .. } = config;
        let cores = chip.cores();
        let handshake = memory.allocate(HANDSHAKE_BYTES * u64::from(cores))?;
        let shared = Shared {
            engine,
            bus,
            cores: (0..cores).map(|_| Core::new()).collect(),
            kernels: UnsafeCell::new(KernelTable::empty()),
            run: AtomicU64::new(0),
            up: AtomicBool::new(false),
            quick: AtomicBool::new(engine != Engine::Threads),
            recording: AtomicBool::new(false),
            recorder: Recorder::new(cores),
            faulty: AtomicBool::new(false),
            faults: Faults::none(cores),
            cohorts: Cohorts::default(),
            clock: Clock::start(),
            workers: Arc::new(Pool::new("core", workers, usize::from(cores))),
            companions: Arc::new(Pool::new("companion", usize::from(cores), usize::from(cores))),
            handshake,
            graph,
            memory,
            chip,
        };
        Ok(Sim { shared: Arc::new(shared) })
    }

    /// The chip's memory.
    pub fn memory(&self) -> &Arc<SimMemory> {
        &self.shared.memory
    }

    /// The chip's register bus.
    pub fn bus(&self) -> &B {
        &self.shared.bus
    }

    /// Begins recording executions, with room for so many on every core before the record has to grow. Between runs.
    pub fn start_recording(&self, executions_per_core: usize) {
        self.shared.recorder.reserve(executions_per_core);
        self.shared.recording.store(true, Ordering::Relaxed);
        self.shared.choose_way();
    }

    /// Ends recording. Between runs.
    pub fn stop_recording(&self) {
        self.shared.recording.store(false, Ordering::Relaxed);
        self.shared.choose_way();
    }

    /// Takes what was recorded, core by core in the order of the ends; the room stays for the next run.
    pub fn drain_recording(&self, each: impl FnMut(Execution)) {
        self.shared.recorder.drain(each);
    }

    /// Gives a core a fault, or none. Between runs.
    ///
    /// # Panics
    /// If the chip has no such core.
    pub fn set_fault(&self, core: CoreId, fault: Option<Fault>) {
        let any = self.shared.faults.set(core, fault);
        self.shared.faulty.store(any, Ordering::Relaxed);
        self.shared.choose_way();
    }

    /// Threads that the chip has started and that have not ended.
    pub fn threads(&self) -> usize {
        self.shared.workers.threads() + self.shared.companions.threads()
    }
}

impl<B: RegisterBus> Shared<B> {
    fn choose_way(&self) {
        let plain = !self.recording.load(Ordering::Relaxed) && !self.faulty.load(Ordering::Relaxed);
        self.quick.store(self.engine != Engine::Threads && plain, Ordering::Relaxed);
    }

    /// The core's fault, if it has one; a branch if none has.
    #[inline]
    pub(crate) fn fault(&self, core: CoreId) -> Option<Fault> {
        if self.faulty.load(Ordering::Relaxed) { self.faults.of(core) } else { None }
    }

    pub(crate) fn core_ids(&self) -> impl Iterator<Item = CoreId> + use<B> {
        (0..self.chip.cores()).map(CoreId)
    }

    /// The cores' names, for a sentence.
    pub(crate) fn name_all(&self, cores: &[CoreId]) -> String {
        cores.iter().map(|&core| self.chip.core_name(core)).collect::<Vec<_>>().join(", ")
    }
}

impl<B: RegisterBus> Drop for Sim<B> {
    fn drop(&mut self) {
        self.shared.end_run_for_good();
        let deadline = self.shared.exit_deadline();
        self.shared.workers.stop(deadline);
        self.shared.companions.stop(deadline);
    }
}

impl<B: RegisterBus> Drop for Shared<B> {
    fn drop(&mut self) {
        // SAFETY: the cores are gone, and nobody else knows the address.
        unsafe { self.memory.free(self.handshake) };
    }
}
