//! The assembly's parts driven by one thread, step by step: an orchestrator and schedulers that meet on a simulated chip, with every queue, core and
//! slot in sight.

use prewire::Engine;
use prewire_orchestrator::{Orchestrator, OrchestratorConfig, ScopeMode};
use prewire_platform_sim::{Sim, SimConfig, SimMemory};
use prewire_runtime_core::graph::{Graph, Queue};
use prewire_runtime_core::id::{CoreId, KernelId, SlotIndex, TaskId};
use prewire_runtime_core::kernel::{Condition, Kernel, KernelContext, KernelError, KernelFunction, KernelSet};
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::slot::Comparison;
use prewire_runtime_core::task::{Argument, Dependency, NewTensor, Placement, Predicate, Task};
use prewire_runtime_core::tensor::DataType;
use prewire_runtime_core::waiting::Blocking;
use prewire_scheduler::{Scheduler, SchedulerConfig, SchedulerGroup, Step};
use std::sync::Arc;

type Body = fn(&KernelContext<'_>) -> Result<(), KernelError>;

struct Stepped {
    orchestrator: Orchestrator,
    graph: Arc<Graph>,
    platform: Arc<Sim>,
    group: Arc<SchedulerGroup<Sim>>,
    schedulers: Schedulers,
    kernels: Arc<KernelSet>,
}

/// The schedulers, and what happened while the orchestrator waited.
struct Schedulers {
    all: Vec<Scheduler<Sim>>,
    graph: Arc<Graph>,
    platform: Arc<Sim>,
    /// How often each made a step while the orchestrator waited.
    rounds: u64,
    /// A slot to watch, and the round after which nobody held it any more.
    watched: Option<SlotIndex>,
    freed_in_round: Option<u64>,
}

impl Schedulers {
    fn step(&mut self) -> bool {
        self.all.iter_mut().fold(false, |worked, scheduler| worked | (scheduler.step() == Step::Worked))
    }
}

impl Blocking for Schedulers {
    fn round(&mut self, _: &mut dyn FnMut() -> bool) -> bool {
        self.rounds += 1;
        let worked = self.step();
        if let Some(watched) = self.watched
            && self.freed_in_round.is_none()
            && self.graph.slots.is_free(watched)
        {
            self.freed_in_round = Some(self.rounds);
        }
        worked
    }

    fn done(&mut self) {}

    fn now_ns(&self) -> u64 {
        self.platform.now_ns()
    }
}

impl Stepped {
    fn new(instances: usize, config: OrchestratorConfig, kernels: &[(&str, Body)]) -> Self {
        let chip = prewire::Chip::A2a3.spec().with_clusters(4);
        let graph = Arc::new(Graph::new(config.graph_sizes(instances, &chip), |core| {
            chip.place_of(core).0 as usize % instances
        }));
        let memory = Arc::new(SimMemory::new(&chip));
        let sim = Sim::new(SimConfig::new(chip.clone(), Engine::Inline), graph.clone(), memory.clone());
        let platform = Arc::new(sim.expect("there is memory"));
        let group = SchedulerGroup::new(SchedulerConfig::new(instances), graph.clone(), platform.clone());
        let orchestrator = Orchestrator::new(config, graph.clone(), memory, &chip).expect("there is memory");
        let mut set = KernelSet::default();
        for &(name, body) in kernels {
            let function = KernelFunction::Rust(Arc::new(body));
            set.register(Kernel { name: name.to_owned(), kind: None, function }).expect("there is room");
        }
        let schedulers = Schedulers {
            all: group.instances(),
            graph: graph.clone(),
            platform: platform.clone(),
            rounds: 0,
            watched: None,
            freed_in_round: None,
        };
        Stepped { orchestrator, graph, platform, group, schedulers, kernels: Arc::new(set) }
    }

    fn begin(&mut self, run: u32) {
        self.platform.begin_run(run, &self.kernels).expect("every core answers");
        self.graph.clear_queues();
        self.graph.run.begin(run);
        self.group.begin_run(&self.kernels);
        for scheduler in &mut self.schedulers.all {
            scheduler.begin_run();
        }
        self.orchestrator.begin_run(run, self.kernels.clone(), true);
    }

    fn submit(&mut self, task: &Task<'_>) -> TaskId {
        self.orchestrator.submit(task, &mut self.schedulers).expect("it is well formed").id
    }

    /// Ends the orchestration and steps until everything is complete.
    fn complete(&mut self) {
        self.orchestrator.end_run(&mut self.schedulers);
        while self.graph.completed() < self.graph.run.submitted() {
            if !self.schedulers.step() {
                std::thread::yield_now();
            }
            assert!(!self.graph.run.is_cancelled(), "{:?}", self.graph.run.fatal());
        }
    }

    fn end(&mut self) {
        self.group.end_run(&|_| true);
        self.orchestrator.after_run();
    }
}

fn small() -> OrchestratorConfig {
    OrchestratorConfig {
        window: [4096, 8, 64, 64],
        heap_bytes: [64 << 10; 4],
        edges: [4096; 4],
        index_entries: 4096,
        ..OrchestratorConfig::default()
    }
}

const NOTHING: KernelId = KernelId(0);

fn nothing(_: &KernelContext<'_>) -> Result<(), KernelError> {
    Ok(())
}

/// Claims CHIP-103 (a window of 8).
#[test]
fn a_waiting_submit_gets_its_slot_in_the_step_of_the_release() {
    const BUSY: usize = 3000;
    let mut stepped = Stepped::new(1, small(), &[("nothing", nothing)]);
    for round in 1..=20 {
        stepped.begin(round);
        // Work for many steps, all of it ready, on the cores beside those that the tasks of the small window use.
        for _ in 0..BUSY {
            stepped.submit(&Task::vector(NOTHING));
        }
        stepped.orchestrator.open_scope(ScopeMode::Automatic).unwrap();
        let mut last = stepped.submit(&Task::cube(NOTHING));
        let mut head = last;
        let mut waits = 0;
        for _ in 1..200 {
            while stepped.orchestrator.slot_of(head).is_none() {
                head = TaskId::new(head.ring(), head.sequence() + 1);
            }
            let watched = stepped.orchestrator.slot_of(head).expect("it is not reclaimed");
            let full = stepped.orchestrator.usage().rings[1].slots == 8 && !stepped.graph.slots.is_free(watched);
            let schedulers = &mut stepped.schedulers;
            (schedulers.rounds, schedulers.freed_in_round, schedulers.watched) = (0, None, Some(watched));
            let behind = [Dependency::on(last)];
            last = stepped.submit(&Task::cube(NOTHING).dependencies(&behind));
            assert_eq!(stepped.schedulers.rounds > 0, full, "a submit waits if the window is full, and only then");
            if full {
                let freed = stepped.schedulers.freed_in_round.expect("nothing else makes room");
                assert_eq!(stepped.schedulers.rounds, freed, "the slot came steps after its release");
                waits += u32::from(stepped.graph.completed() < BUSY as u64);
            }
            stepped.schedulers.watched = None;
        }
        assert!(waits >= 5, "only {waits} submits waited while the scheduler was busy");
        stepped.complete();
        stepped.end();
    }
}

/// Claims CHIP-103 (a million tasks in a window of 4; that each edge a release touches is its own task's is asserted by the scheduler in debug builds).
#[test]
fn a_million_tasks_release_only_their_own_edges() {
    const TASKS: u64 = 1_000_000;
    let config = OrchestratorConfig { window: [4; 4], edges: [4; 4], ..small() };
    let mut stepped = Stepped::new(2, config, &[("nothing", nothing)]);
    stepped.begin(1);
    let mut last = stepped.submit(&Task::vector(NOTHING));
    for at in 1..TASKS {
        // From core to core, so that now one scheduler releases the producer and now the other.
        let named = [Dependency::on(last)];
        let core = CoreId(4 + (at % 8) as u16);
        last = stepped.submit(&Task::vector(NOTHING).dependencies(&named).placement(Placement::Core(core)));
    }
    stepped.complete();
    assert_eq!((stepped.graph.completed(), last.sequence()), (TASKS, TASKS - 1));
    assert!((0..stepped.graph.slots.len() as u32).all(|slot| stepped.graph.slots.is_free(SlotIndex(slot))));
    stepped.end();
}

/// Claims CHIP-104.
#[test]
fn after_a_successful_run_nothing_is_left() {
    fn meets(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
        kernel.barrier()
    }
    fn defers(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
        kernel.complete_when(Condition { counter: kernel.tensors()[0].first_byte(), expected: 1 });
        Ok(())
    }
    fn raises(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
        kernel.output::<u32>(0)?.set(&[0], 1);
        Ok(())
    }
    const MEETS: KernelId = KernelId(1);
    const DEFERS: KernelId = KernelId(2);
    const RAISES: KernelId = KernelId(3);
    let kernels: [(&str, Body); 4] = [("nothing", nothing), ("meets", meets), ("defers", defers), ("raises", raises)];
    let config = OrchestratorConfig { window: [256; 4], ..small() };
    let mut stepped = Stepped::new(2, config, &kernels);
    let mut before = [0; 4];
    for run in 1..=50 {
        stepped.begin(run);
        let mut submitted = [0u64; 4];
        for (depth, submitted) in submitted.iter_mut().enumerate() {
            let mut submit = |stepped: &mut Stepped, task: &Task<'_>| {
                *submitted += 1;
                stepped.submit(task)
            };
            let new = NewTensor::new(&[4], DataType::U32).filled(0u32);
            let made = stepped.orchestrator.allocate(&[new, new], &mut stepped.schedulers).expect("there is room");
            let (counter, cell) = (made.outputs[0], made.outputs[1]);
            let head = submit(&mut stepped, &Task::cube(NOTHING).arguments(&[Argument::InOut(&cell)]));
            let named = [Dependency::on(head)];
            submit(&mut stepped, &Task::vector(NOTHING).blocks(20).dependencies(&named));
            submit(&mut stepped, &Task::vector(MEETS).blocks(8).sync_start());
            let mix = Task::cluster(Some(MEETS), Some(MEETS), Some(MEETS));
            submit(&mut stepped, &mix.blocks(3).sync_start().arguments(&[Argument::Output(new)]));
            submit(&mut stepped, &Task::cube(NOTHING).placement(Placement::Core(CoreId(2))));
            let never = Predicate { operand: &cell, indices: &[0], comparison: Comparison::Equal, target: 9 };
            submit(&mut stepped, &Task::vector(NOTHING).predicate(never));
            submit(&mut stepped, &Task::vector(DEFERS).arguments(&[Argument::NoDependency(&counter)]));
            submit(&mut stepped, &Task::vector(RAISES).arguments(&[Argument::NoDependency(&counter)]));
            submit(&mut stepped, &Task::dummy().dependencies(&named));
            for _ in 0..40 {
                submit(&mut stepped, &Task::vector(NOTHING).arguments(&[Argument::Input(&cell)]));
            }
            submit(&mut stepped, &Task::cube(NOTHING).arguments(&[Argument::OutputExisting(&cell)]));
            if depth < 3 {
                stepped.orchestrator.open_scope(ScopeMode::Automatic).unwrap();
            }
        }
        stepped.complete();

        let graph = &stepped.graph;
        for queue in Queue::ALL {
            assert_eq!(graph.queue(queue).len(), 0, "{queue:?}");
        }
        for core in (0..stepped.platform.chip().cores()).map(CoreId) {
            let mut directed = 0;
            graph.directed(core).take_all(&graph.slots, |_| directed += 1);
            assert_eq!(directed, 0, "tasks wait for core {core:?}");
            assert_eq!(stepped.platform.pulse(core).running, None, "core {core:?} runs something");
        }
        for scheduler in &mut stepped.schedulers.all {
            assert_eq!(scheduler.busy_cores(), []);
            assert!(!scheduler.has_work(), "scheduler {} has something in a list of its own", scheduler.index());
        }
        let report = stepped.group.stall_report(stepped.platform.now_ns());
        assert_eq!((report.running, report.ready, report.waiting), (0, 0, 0));
        for slot in (0..graph.slots.len() as u32).map(SlotIndex) {
            assert!(graph.slots.is_free(slot), "{slot:?} is held");
        }
        stepped.end();
        // Nobody held anything, so what was taken back was taken back in the ordinary way, and it was everything.
        assert_eq!(stepped.orchestrator.usage(), Default::default());
        let joins = stepped.orchestrator.report().joins;
        stepped.begin(1000 + run);
        let mut taken = 0;
        for (depth, submitted) in submitted.into_iter().enumerate() {
            let position = stepped.orchestrator.next_task().sequence();
            assert!(position - before[depth] >= submitted, "ring {depth}");
            taken += position - before[depth] - submitted;
            before[depth] = position;
            stepped.orchestrator.open_scope(ScopeMode::Automatic).unwrap();
        }
        assert_eq!(taken, joins, "the reclaimed position is what was submitted");
        stepped.complete();
        stepped.end();
    }
}
