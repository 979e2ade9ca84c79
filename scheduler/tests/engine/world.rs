//! A graph, a chip and its schedulers, and a hand that submits as an orchestrator would.

use crate::chip::{Ended, Engine, TestChip};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::consumers::{Ending, Pushed};
use prewire_runtime_core::edge::{EdgeBody, EdgeFlags};
use prewire_runtime_core::graph::{Graph, GraphSizes, Queue};
use prewire_runtime_core::id::{CoreId, EdgeIndex, KernelId, RingIndex, SlotIndex, TaskId};
use prewire_runtime_core::kernel::{Kernel, KernelFunction, KernelSet};
use prewire_runtime_core::platform::{DispatchPayload, Platform};
use prewire_runtime_core::slot::{NO_CAUSE, Parts, TaskBody, TaskExtra, TaskFlags};
use prewire_scheduler::{Scheduler, SchedulerConfig, SchedulerGroup, Step};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) const CUBE: Parts = Parts::CUBE;
pub(crate) const VECTOR: Parts = Parts::VECTOR_0;
pub(crate) const MIX: Parts = Parts(7);

/// A producer and what the edge from it means.
pub(crate) type Edge = (SlotIndex, EdgeFlags);

pub(crate) const WAIT: EdgeFlags = EdgeFlags::WAIT;

pub(crate) fn data(producer: SlotIndex) -> Edge {
    (producer, EdgeFlags::WAIT.union(EdgeFlags::DATA))
}

pub(crate) fn order(producer: SlotIndex) -> Edge {
    (producer, EdgeFlags::WAIT)
}

pub(crate) fn retain(producer: SlotIndex) -> Edge {
    (producer, EdgeFlags::WAIT.union(EdgeFlags::DATA).union(EdgeFlags::RETAIN))
}

/// A task to submit.
#[derive(Clone, Debug)]
pub(crate) struct New {
    pub(crate) parts: Parts,
    pub(crate) blocks: u32,
    pub(crate) flags: TaskFlags,
    pub(crate) extra: TaskExtra,
    pub(crate) kernel: u16,
}

impl New {
    pub(crate) fn of(parts: Parts) -> New {
        New { parts, blocks: 1, flags: TaskFlags(0), extra: TaskExtra::PLAIN, kernel: 0 }
    }

    pub(crate) fn blocks(mut self, blocks: u32) -> New {
        self.blocks = blocks;
        self
    }

    pub(crate) fn gang(mut self) -> New {
        self.flags = self.flags.with(TaskFlags::GANG).with(TaskFlags::CONCURRENT);
        self
    }

    pub(crate) fn kernel(mut self, kernel: u16) -> New {
        self.kernel = kernel;
        self
    }

    pub(crate) fn budget_ms(mut self, budget_ms: u64) -> New {
        self.flags = self.flags.with(TaskFlags::BUDGET);
        self.extra.budget_ns = budget_ms * 1_000_000;
        self
    }

    pub(crate) fn on(mut self, core: CoreId) -> New {
        self.flags = self.flags.with(TaskFlags::DIRECTED);
        self.extra.core = core;
        self
    }
}

pub(crate) struct World {
    pub(crate) graph: Arc<Graph>,
    pub(crate) chip: Arc<TestChip>,
    pub(crate) group: Arc<SchedulerGroup<TestChip>>,
    pub(crate) schedulers: Vec<Scheduler<TestChip>>,
    pub(crate) run: u32,
    next_slot: u32,
    next_edge: u32,
    next_ordinal: u64,
    pub(crate) submitted: u64,
}

impl World {
    /// Blocks that the test starts and ends by hand.
    pub(crate) fn by_hand(clusters: u16, instances: usize) -> World {
        World::with(
            TestChip::new(ChipSpec::unit(clusters), Engine::Hand, |_| Ended::Ok),
            SchedulerConfig::new(instances),
        )
    }

    pub(crate) fn running(
        clusters: u16,
        instances: usize,
        engine: Engine,
        kernel: impl Fn(&DispatchPayload) -> Ended + Send + Sync + 'static,
    ) -> World {
        World::with(TestChip::new(ChipSpec::unit(clusters), engine, kernel), SchedulerConfig::new(instances))
    }

    pub(crate) fn with(chip: TestChip, config: SchedulerConfig) -> World {
        // Miri takes its time with each of them.
        let (slots, edges) = if cfg!(miri) { (64, 256) } else { (4096, 16384) };
        World::sized(chip, config, slots, edges)
    }

    pub(crate) fn sized(chip: TestChip, config: SchedulerConfig, slots: usize, edges: usize) -> World {
        let cores = chip.chip().cores() as usize;
        let sizes = GraphSizes { slots, edges, argument_units: 1, instances: config.instances, cores };
        let graph = Arc::new(Graph::new(sizes, |core| config.owner_of(chip.chip(), core)));
        let chip = Arc::new(chip);
        chip.attach(&graph);
        let group = SchedulerGroup::new(config, graph.clone(), chip.clone());
        let schedulers = group.instances();
        let (next_slot, next_edge, next_ordinal, submitted) = (0, 0, 0, 0);
        let mut world = World { graph, chip, group, schedulers, run: 0, next_slot, next_edge, next_ordinal, submitted };
        world.begin_run();
        world
    }

    /// A new run, as the assembly begins it: the slots are all free again.
    pub(crate) fn begin_run(&mut self) {
        self.run += 1;
        self.graph.run.begin(self.run);
        self.graph.clear_queues();
        let mut kernels = KernelSet::default();
        for name in ["alpha", "beta", "gamma", "delta"] {
            let function = KernelFunction::Rust(Arc::new(|_| Ok(())));
            kernels.register(Kernel { name: name.to_owned(), kind: None, function }).unwrap();
        }
        let kernels = Arc::new(kernels);
        self.chip.begin_run(self.run, &kernels).unwrap();
        for slot in (0..self.graph.slots.len() as u32).map(SlotIndex) {
            while self.graph.slots.holds(slot) > 0 {
                self.graph.slots.get(slot).release();
            }
        }
        (self.next_slot, self.next_edge, self.next_ordinal, self.submitted) = (0, 0, 0, 0);
        self.group.begin_run(&kernels);
        for scheduler in &mut self.schedulers {
            scheduler.begin_run();
        }
    }

    /// Prepares a task whose producers are linked but which is not published: it stays unready until [`World::publish`].
    pub(crate) fn prepare(&mut self, new: New, producers: &[Edge]) -> (SlotIndex, u32) {
        let slot = self.free_slot();
        let (edges, edge_count) = (self.next_edge as usize % self.graph.edges.len(), producers.len() as u32);
        let edges = if edges + producers.len() > self.graph.edges.len() { 0 } else { edges } as u32;
        self.next_edge = edges + edge_count;
        let (ordinal, mut flags) = (self.next_ordinal, new.flags);
        self.next_ordinal += 1;
        self.submitted += 1;
        if producers.iter().any(|(_, edge)| edge.contains(EdgeFlags::RETAIN)) {
            flags = flags.with(TaskFlags::RETAINS);
        }
        let body = TaskBody {
            id: TaskId::new(RingIndex(0), ordinal),
            kernels: [KernelId(new.kernel); 3],
            flags,
            edges,
            edge_count,
            ..crate::ready::body(new.parts, new.blocks)
        };
        let task = self.graph.slots.get(slot);
        // SAFETY: the slot is free, and this is the only thread that submits.
        unsafe { self.graph.slots.prepare(slot, body, ordinal) };
        // One share more than it has edges, which is given back when it is published.
        task.expect(body.edge_count + 1);
        // SAFETY: as above.
        unsafe { task.set_extra(new.extra) };
        let mut shares = 1;
        for (at, &(producer, flags)) in producers.iter().enumerate() {
            let from = self.graph.slots.get(producer);
            if flags.contains(EdgeFlags::RETAIN) {
                self.graph.slots.hold(producer);
            }
            // SAFETY: the edge belongs to the task that is being wired; tests name producers that are not reclaimed.
            let pushed =
                unsafe { self.graph.link(EdgeIndex(edges + at as u32), EdgeBody { consumer: slot, producer, flags }) };
            match pushed {
                Pushed::Linked => shares += !flags.contains(EdgeFlags::WAIT) as u32,
                Pushed::Closed(ending) => {
                    shares += 1;
                    if ending == Ending::Failed && flags.contains(EdgeFlags::DATA) {
                        task.blame(from.cause());
                    }
                }
            }
        }
        (slot, shares)
    }

    /// Ends the wiring of a prepared task.
    pub(crate) fn publish(&mut self, (slot, shares): (SlotIndex, u32)) {
        if self.graph.slots.get(slot).give_back(shares) {
            // SAFETY: this thread's subtraction made the task ready.
            unsafe { self.graph.route(slot) };
        }
    }

    pub(crate) fn submit(&mut self, new: New, producers: &[Edge]) -> SlotIndex {
        let prepared = self.prepare(new, producers);
        self.publish(prepared);
        prepared.0
    }

    /// The next slot in order that nobody holds; steps the schedulers while there is none.
    fn free_slot(&mut self) -> SlotIndex {
        loop {
            for _ in 0..self.graph.slots.len() {
                let slot = SlotIndex(self.next_slot % self.graph.slots.len() as u32);
                self.next_slot = self.next_slot.wrapping_add(1);
                if self.graph.slots.is_free(slot) {
                    return slot;
                }
            }
            assert!(self.step_all(), "no slot is free and nothing moves");
        }
    }

    /// What the orchestrator says when it has submitted everything.
    pub(crate) fn finish_orchestration(&self) {
        self.graph.run.publish_submitted(self.submitted);
        self.graph.run.finish_orchestration();
    }

    /// One step of each instance. True if any achieved something.
    pub(crate) fn step_all(&mut self) -> bool {
        let mut worked = false;
        for scheduler in &mut self.schedulers {
            worked |= scheduler.step() == Step::Worked;
        }
        worked
    }

    /// Steps until nothing moves.
    pub(crate) fn settle(&mut self) {
        while self.step_all() {}
    }

    /// Steps until all submitted tasks are complete, for engines that end blocks by themselves.
    pub(crate) fn complete_all(&mut self) {
        while self.graph.completed() < self.submitted && !self.graph.run.is_cancelled() {
            if !self.step_all() {
                std::thread::yield_now();
            }
        }
    }

    /// Runs each instance on a thread of its own, as the assembly does, until all tasks are complete or the run is ended; `meanwhile` runs here.
    pub(crate) fn drive<R>(&mut self, meanwhile: impl FnOnce(&mut Driven<'_>) -> R) -> R {
        let (graph, submitted) = (self.graph.clone(), self.submitted);
        graph.run.publish_submitted(submitted);
        let mut schedulers = std::mem::take(&mut self.schedulers);
        let result = std::thread::scope(|scope| {
            for scheduler in &mut schedulers {
                let graph = &graph;
                scope.spawn(move || drive_one(graph, scheduler));
            }
            let result = meanwhile(&mut Driven { graph: &graph });
            graph.run.finish_orchestration();
            graph.bells.ring_all();
            result
        });
        self.schedulers = schedulers;
        result
    }

    /// What each task's dispatches were, in order: (task, block, core).
    pub(crate) fn dispatches(&self) -> Vec<(u64, u32, u16)> {
        let log = self.chip.log.lock().unwrap();
        log.iter().map(|one| (one.payload.task.sequence(), one.payload.block, one.core.0)).collect()
    }

    /// The tasks on cores now, by hand.
    pub(crate) fn running_tasks(&self) -> Vec<u64> {
        let mut tasks: Vec<u64> = self.chip.running().iter().map(|one| one.payload.task.sequence()).collect();
        tasks.sort_unstable();
        tasks.dedup();
        tasks
    }

    /// By hand: ends whatever this task has on cores.
    pub(crate) fn finish_task(&self, slot: SlotIndex, ended: Ended) {
        for one in self.chip.running().into_iter().filter(|one| one.payload.slot == slot) {
            self.chip.finish(one.core, ended.clone());
        }
    }

    /// By hand: every core says that it has started what it holds.
    pub(crate) fn start_all(&self) {
        for one in self.chip.running() {
            self.chip.start(one.core);
        }
    }

    pub(crate) fn ending(&self, slot: SlotIndex) -> Option<Ending> {
        self.graph.slots.get(slot).consumers.ending()
    }

    pub(crate) fn failed(&self, slot: SlotIndex) -> bool {
        self.graph.slots.get(slot).cause() != NO_CAUSE
    }

    pub(crate) fn unrun(&self) -> u64 {
        self.graph.progress.iter().map(|progress| progress.unrun.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn queued(&self) -> usize {
        Queue::ALL.into_iter().map(|queue| self.graph.queue(queue).len()).sum()
    }

    /// All is over and nothing is left: every queue empty, every core idle, nobody busy.
    pub(crate) fn assert_quiet(&self) {
        assert_eq!(self.graph.completed(), self.submitted);
        assert_eq!(self.queued(), 0);
        for (scheduler, progress) in self.schedulers.iter().zip(&self.graph.progress) {
            assert_eq!(scheduler.busy_cores(), []);
            assert_eq!(progress.busy.load(Ordering::Relaxed), 0, "instance {}", scheduler.index());
        }
    }

    pub(crate) fn chip_name(&self, core: CoreId) -> String {
        self.chip.chip().core_name(core)
    }

    pub(crate) fn advance_ms(&self, milliseconds: u64) {
        self.chip.now_ns.fetch_add(milliseconds * 1_000_000, Ordering::Relaxed);
    }

    /// A look of the watchdog at the chip's time. True if it ended the run.
    pub(crate) fn check(&self) -> bool {
        self.group.check(self.chip.now_ns())
    }

    /// Looks of the watchdog every millisecond; how many passed until it ended the run, if it did within `most`.
    pub(crate) fn milliseconds_to_verdict(&self, most: u64) -> Option<u64> {
        (0..=most).find(|&passed| {
            if passed > 0 {
                self.advance_ms(1);
            }
            self.check()
        })
    }
}

/// Whether `act` wakes a thread that sleeps as `party` and does not look by itself.
pub(crate) fn wakes(graph: &Graph, party: usize, act: impl FnOnce()) -> bool {
    std::thread::scope(|scope| {
        scope.spawn(|| graph.bells.sleep(1 << party, Duration::from_secs(3600), || false));
        while graph.bells.idle() >> party & 1 == 0 {
            std::thread::yield_now();
        }
        act();
        let woken = graph.bells.idle() >> party & 1 == 0;
        graph.bells.ring(party);
        woken
    })
}

/// What a thread that drives nothing can do meanwhile.
pub(crate) struct Driven<'a> {
    graph: &'a Graph,
}

impl Driven<'_> {
    pub(crate) fn wait_for(&self, completed: u64) {
        while self.graph.completed() < completed && !self.graph.run.is_cancelled() {
            std::thread::yield_now();
        }
    }
}

/// Sleeps until it is rung, and an hour at most: a wake-up that is lost is a test that does not end.
fn drive_one(graph: &Graph, scheduler: &mut Scheduler<TestChip>) {
    let over =
        || graph.run.is_cancelled() || graph.run.orchestration_done() && graph.completed() >= graph.run.submitted();
    loop {
        if let Step::Idle { cores_busy, must_poll } = scheduler.step() {
            if over() && !cores_busy {
                graph.bells.ring_all();
                return;
            }
            let timeout = if must_poll { Duration::from_millis(1) } else { Duration::from_secs(3600) };
            graph.bells.sleep(1 << scheduler.index(), timeout, || scheduler.has_work() || !cores_busy && over());
        }
    }
}
