//! What the threads of a runtime share: the graph, the platform, the scheduler instances behind their driver tokens, and whether a run is on.

use super::machine::{Drive, Machine, Token};
use super::runs::Runs;
use super::stand_in::Shift;
use super::supervisor::Bell;
use prewire_orchestrator::Orchestrator;
use prewire_platform_sim::VirtualSim;
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::memory::DeviceMemory;
use prewire_runtime_core::sync::{AtomicBool, AtomicU32, CachePadded, Instant, Mutex, Ordering, sleep};
use prewire_runtime_core::waiting::WaitingPolicy;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// What the builder decided, as far as runs need it.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(super) chip: ChipSpec,
    /// Instances that have no thread of their own.
    pub(super) driven_by_caller: usize,
    /// Whether the first of these has a thread for when nobody waits.
    pub(super) stand_in: bool,
    pub(super) watchdog: Duration,
    pub(super) record_trace: bool,
    /// Runs in flight at most.
    pub(super) depth: usize,
}

pub(crate) struct Shared {
    pub(super) facts: Facts,
    /// The accepted runs.
    pub(super) runs: Runs,
    /// Taken for each callback, so that none overlaps another. Gone when the runtime is.
    pub(super) orchestrator: Mutex<Option<Orchestrator>>,
    /// Held by who goes on from one run to the next.
    pub(super) conducting: Mutex<()>,
    /// The run whose own caller conducts when it is over; 0 for none.
    attended: AtomicU32,
    /// The places of runs whose tasks a late kernel may still use.
    pub(super) late: Mutex<Vec<usize>>,
    pub(super) supervisor: Bell,
    pub(super) graph: Arc<Graph>,
    pub(super) memory: Arc<dyn DeviceMemory>,
    pub(super) machine: Arc<dyn Drive>,
    /// The same machine, if it runs in virtual time.
    pub(super) virtual_time: Option<Arc<Machine<VirtualSim>>>,
    pub(super) waiting: WaitingPolicy,
    /// Whether a run is on: read under an instance's lock, so that taking all locks after clearing it is a barrier.
    pub(super) running: AtomicBool,
    pub(super) closing: AtomicBool,
    /// Whether the caller waits for what the instances do. Written at the ends of a wait only, so that looking costs nothing.
    awaited: CachePadded<AtomicBool>,
    /// Who drives the instance that has a stand-in.
    pub(super) shift: Shift,
    /// Buffers that were dropped and could not be freed at once: where they lie and how many bytes they are.
    discarded: Mutex<Vec<(u64, u64)>>,
    /// What is to be done when no run is in flight.
    afterwards: Mutex<Vec<Afterwards>>,
    /// What a late kernel keeps busy, if one does.
    busy: Mutex<Option<String>>,
}

/// Something to be done when no run is in flight.
type Afterwards = Box<dyn FnOnce() + Send>;

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("running", &self.running).finish_non_exhaustive()
    }
}

const POISON: &str = "no code panics while it holds this lock";

impl Shared {
    pub(super) fn new(
        facts: Facts,
        orchestrator: Orchestrator,
        graph: Arc<Graph>,
        memory: Arc<dyn DeviceMemory>,
        machine: Arc<dyn Drive>,
        virtual_time: Option<Arc<Machine<VirtualSim>>>,
        waiting: WaitingPolicy,
    ) -> Self {
        Shared {
            runs: Runs::new(facts.depth),
            facts,
            orchestrator: Mutex::new(Some(orchestrator)),
            conducting: Mutex::new(()),
            attended: AtomicU32::new(0),
            late: Mutex::new(Vec::new()),
            supervisor: Bell::default(),
            graph,
            memory,
            machine,
            virtual_time,
            waiting,
            running: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            awaited: CachePadded::new(AtomicBool::new(false)),
            shift: Shift::default(),
            discarded: Mutex::new(Vec::new()),
            afterwards: Mutex::new(Vec::new()),
            busy: Mutex::new(None),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// The caller begins to wait, or its wait is over.
    pub(super) fn set_awaited(&self, awaited: bool) {
        self.awaited.store(awaited, Ordering::Relaxed);
    }

    /// Whether the caller waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }

    /// How many submitted tasks are not over, as far as the parties have said.
    pub(super) fn tasks_behind(&self) -> u64 {
        self.graph.run.submitted().saturating_sub(self.graph.completed())
    }

    /// The caller of a run sees to its end itself; 0 for none.
    pub(super) fn set_attended(&self, run: u32) {
        self.attended.store(run, Ordering::Relaxed);
    }

    /// Whether the run's own caller sees to its end.
    pub(super) fn is_attended(&self, run: u32) -> bool {
        self.attended.load(Ordering::Relaxed) == run
    }

    /// Whether the run that is on is over, and its caller does not see to that.
    pub(super) fn wants_conductor(&self) -> bool {
        self.is_head_over() && self.graph.run.run() != self.attended.load(Ordering::Relaxed)
    }

    /// Takes every driver token once, with no run on: behind it no thread is inside a step and none will begin one. Gives up at the deadline and names
    /// an instance whose driver does not come back.
    pub(super) fn quiesce(&self, deadline: Instant) -> Result<(), usize> {
        debug_assert!(!self.is_running());
        for index in 0..self.machine.instances() {
            while self.machine.token(index) == Token::Taken {
                if Instant::now() >= deadline {
                    return Err(index);
                }
                sleep(Duration::from_micros(50));
            }
        }
        Ok(())
    }

    /// Cores that are inside a kernel.
    pub(super) fn busy_cores(&self) -> Vec<CoreId> {
        let chip = self.machine.chip();
        let cores = (0..chip.chip().cores()).map(CoreId);
        cores.filter(|&core| chip.pulse(core).running.is_some()).collect()
    }

    /// Records what a late kernel keeps busy, or that nothing does.
    pub(super) fn set_busy(&self, culprit: Option<String>) {
        *self.busy.lock().expect(POISON) = culprit;
    }

    /// Frees what was dropped while it could be in use, if it cannot be any more.
    pub(super) fn free_discarded(&self) {
        if self.still_busy().is_none() {
            let due = self.runs.if_quiet(|| std::mem::take(&mut *self.afterwards.lock().expect(POISON)));
            due.unwrap_or_default().into_iter().for_each(|body| body());
            let _in_flight = self.runs.if_quiet(|| {
                // With no run in flight whoever has it only registers a buffer, and the next run's end comes by here again.
                let Ok(mut orchestrator) = self.orchestrator.try_lock() else { return };
                for (address, bytes) in self.discarded.lock().expect(POISON).drain(..) {
                    // Tensors that outlive their buffer are refused from now on.
                    if let Some(orchestrator) = orchestrator.as_mut() {
                        orchestrator.unregister_external(address, bytes);
                    }
                    // SAFETY: its owner dropped the buffer, no run is in flight, no kernel is late, and no run can name it any more.
                    unsafe { self.memory.free(address) };
                }
            });
        }
    }

    /// Frees a buffer that nobody uses: no run is in flight, no kernel is late, and none is accepted meanwhile.
    pub(super) fn free_now(&self, address: u64, bytes: u64) {
        let mut orchestrator = self.orchestrator.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orchestrator) = orchestrator.as_mut() {
            orchestrator.unregister_external(address, bytes);
        }
        // SAFETY: by contract; no run can name it any more.
        unsafe { self.memory.free(address) };
    }

    pub(super) fn still_busy(&self) -> Option<String> {
        self.busy.lock().expect(POISON).clone()
    }

    /// Does something as soon as no run is in flight and no kernel is late.
    pub(super) fn do_afterwards(&self, body: Afterwards) {
        self.afterwards.lock().expect(POISON).push(body);
        self.free_discarded();
    }

    /// Frees a buffer's memory, or keeps it until the runs in flight and the late kernel that may use it have ended.
    pub(super) fn discard(&self, address: u64, bytes: u64) {
        self.discarded.lock().expect(POISON).push((address, bytes));
        self.free_discarded();
    }
}
