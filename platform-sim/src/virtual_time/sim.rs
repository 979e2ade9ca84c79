//! The chip in virtual time as its users hold it.

use super::actors::{Actors, Injection};
use super::baton::{self, Baton};
use super::world::World;
use crate::config::{Engine, SimConfig};
use crate::fault::Fault;
use crate::memory::SimMemory;
use crate::recorder::Execution;
use crate::sim::Sim;
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::{CoreId, KernelId};
use prewire_runtime_core::kernel::MAX_KERNELS;
use prewire_runtime_core::memory::OutOfMemory;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

const POISON: &str = "no code panics while it holds the virtual world";

/// A chip in virtual time. One thread at a time uses it.
pub struct VirtualSim {
    /// The chip's memory, kernels, faults and records are those of the other engines; its registers and its clock are not used.
    pub(super) sim: Sim,
    world: Mutex<World>,
    /// How long kernels last that do not last as long as their arguments say.
    times: Mutex<Vec<Option<u64>>>,
    /// What kernels run by that wait for one another.
    pub(super) baton: Arc<Baton>,
    /// What such kernels came to, by core, from their return to the end of their dispatch.
    together: Mutex<BTreeMap<CoreId, baton::Result>>,
}

impl std::fmt::Debug for VirtualSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VirtualSim")
            .field("sim", &self.sim)
            .field("now_ns", &self.world().now_ns)
            .finish_non_exhaustive()
    }
}

impl VirtualSim {
    /// A chip at time 0. The seed is that of the configuration's engine, or 0.
    ///
    /// # Errors
    /// If the memory for the cores' handshake cannot be had.
    pub fn new(config: SimConfig, graph: Arc<Graph>, memory: Arc<SimMemory>) -> Result<Self, OutOfMemory> {
        let seed = if let Engine::Virtual { seed } = config.engine { seed } else { 0 };
        let world = World::new(seed, config.chip.latencies, &graph, usize::from(config.chip.cores()));
        let sim = Sim::new(SimConfig { engine: Engine::InlineOnly, ..config }, graph, memory)?;
        Ok(VirtualSim {
            sim,
            world: Mutex::new(world),
            times: Mutex::new(vec![None; MAX_KERNELS]),
            baton: Arc::default(),
            together: Mutex::default(),
        })
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect(POISON)
    }

    /// What kernels that ran with others came to, by core.
    pub(super) fn together(&self) -> MutexGuard<'_, BTreeMap<CoreId, baton::Result>> {
        self.together.lock().expect(POISON)
    }

    /// How long a kernel lasts, if that was said.
    pub(super) fn kernel_time(&self, kernel: KernelId) -> Option<u64> {
        self.times.lock().expect(POISON).get(kernel.index()).copied().flatten()
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.sim.shared.graph
    }

    /// The chip's memory.
    pub fn memory(&self) -> &Arc<SimMemory> {
        self.sim.memory()
    }

    /// How long a kernel lasts on every core, or, with none, as long as its arguments say. Between runs.
    pub fn set_kernel_time(&self, kernel: KernelId, time: Option<Duration>) {
        if let Some(place) = self.times.lock().expect(POISON).get_mut(kernel.index()) {
            *place = time.map(|time| time.as_nanos() as u64);
        }
    }

    /// How often the watchdog looks.
    pub fn set_watch_interval(&self, interval: Duration) {
        self.world().watch_ns = (interval.as_nanos() as u64).max(1);
    }

    /// Has something go wrong in every run from the next one on.
    pub fn inject(&self, injection: Injection) {
        self.world().inject(injection);
    }

    /// Takes all injections back.
    pub fn forget_injections(&self) {
        self.world().forget_injections();
    }

    /// Gives a core a fault, or none. Between runs.
    ///
    /// # Panics
    /// If the chip has no such core.
    pub fn set_fault(&self, core: CoreId, fault: Option<Fault>) {
        self.sim.set_fault(core, fault);
    }

    /// As [`Sim::start_recording`], in virtual time.
    pub fn start_recording(&self, executions_per_core: usize) {
        self.sim.start_recording(executions_per_core);
    }

    /// As [`Sim::drain_recording`].
    pub fn drain_recording(&self, each: impl FnMut(Execution)) {
        self.sim.drain_recording(each);
    }

    /// What was seen of the last run that must never be: tokens out of turn, blocks dispatched twice, slots reused too early, wake-ups that were lost.
    pub fn take_findings(&self) -> Vec<String> {
        self.world().audit.take()
    }

    /// The time, in nanoseconds; within a step, that of the instance that steps.
    pub fn now_ns(&self) -> u64 {
        let world = self.world();
        if world.stepping.is_some() { world.clock_ns } else { world.now_ns }
    }

    /// The orchestrator is busy for so long: everything that others do meanwhile is done when the call returns.
    pub fn orchestrator_works(&self, for_ns: u64, actors: &mut dyn Actors) {
        let until_ns = self.world().now_ns + for_ns;
        // What happens at the very moment may come before or behind.
        let last_ns = until_ns - (self.world().random.next() & 1).min(for_ns);
        while self.world().next_ns().is_some_and(|next_ns| next_ns <= last_ns) {
            self.advance(actors);
        }
        let mut world = self.world();
        world.now_ns = world.now_ns.max(until_ns);
    }

    /// The orchestrator may have changed what the others see.
    pub fn orchestrator_did(&self) {
        self.world().stir(self.graph(), true);
    }
}
