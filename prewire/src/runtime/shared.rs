//! What the threads of a runtime share: the graph, the platform, the scheduler instances behind their driver tokens, and whether a run is on.

use super::machine::{Drive, Machine, Token};
use prewire_platform_sim::VirtualSim;
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::memory::DeviceMemory;
use prewire_runtime_core::sync::{AtomicBool, CachePadded, Instant, Mutex, Ordering, sleep};
use prewire_runtime_core::waiting::WaitingPolicy;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Shared {
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
    /// Buffers dropped while a late kernel may still use them.
    discarded: Mutex<Vec<u64>>,
    /// Registered memory whose buffer was dropped: address and bytes. The orchestrator forgets it when no run is on.
    dropped: Mutex<Vec<(u64, u64)>>,
    /// What a late kernel keeps busy, if one does.
    busy: Mutex<Option<String>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("running", &self.running).finish_non_exhaustive()
    }
}

const POISON: &str = "no code panics while it holds this lock";

impl Shared {
    pub(super) fn new(
        graph: Arc<Graph>,
        memory: Arc<dyn DeviceMemory>,
        machine: Arc<dyn Drive>,
        virtual_time: Option<Arc<Machine<VirtualSim>>>,
        waiting: WaitingPolicy,
    ) -> Self {
        Shared {
            graph,
            memory,
            machine,
            virtual_time,
            waiting,
            running: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            awaited: CachePadded::new(AtomicBool::new(false)),
            discarded: Mutex::new(Vec::new()),
            dropped: Mutex::new(Vec::new()),
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

    /// Whether everything submitted has been retired and no more comes.
    pub(super) fn is_complete(&self) -> bool {
        self.graph.run.orchestration_done() && self.graph.completed() == self.graph.run.submitted()
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

    /// Records what a late kernel keeps busy, or that nothing does; then memory given up meanwhile is free.
    pub(super) fn set_busy(&self, culprit: Option<String>) {
        let quiet = culprit.is_none();
        *self.busy.lock().expect(POISON) = culprit;
        if quiet {
            for address in self.discarded.lock().expect(POISON).drain(..) {
                // SAFETY: its owner dropped the buffer and no kernel runs any more.
                unsafe { self.memory.free(address) };
            }
        }
    }

    pub(super) fn still_busy(&self) -> Option<String> {
        self.busy.lock().expect(POISON).clone()
    }

    /// Calls `each` with the address and the bytes of every buffer dropped since.
    pub(super) fn take_dropped(&self, mut each: impl FnMut(u64, u64)) {
        let dropped = std::mem::take(&mut *self.dropped.lock().expect(POISON));
        dropped.into_iter().for_each(|(address, bytes)| each(address, bytes));
    }

    /// Frees a buffer's memory, or keeps it until the late kernel that may use it has ended.
    pub(super) fn discard(&self, address: u64, bytes: u64) {
        self.dropped.lock().expect(POISON).push((address, bytes));
        if self.still_busy().is_some() || self.is_running() {
            self.discarded.lock().expect(POISON).push(address);
        } else {
            // SAFETY: its owner drops the buffer, no run is on and no kernel is late.
            unsafe { self.memory.free(address) };
        }
    }
}
