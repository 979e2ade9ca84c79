//! What it costs to take a ready task from its queue, run an empty kernel, and complete it: ns per task over pre-built graphs, one instance, blocks that
//! end before their dispatch returns.
//!
//!     cargo run --release -p prewire-scheduler --example retire_cost
//!
//! Each figure is a median over rounds, with the minimum beside it. The graphs are built outside the measured time, as the orchestrator would have them
//! wired; `direct` is the same kernel called through the same platform without any scheduler, for what the platform itself costs.

use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::consumers::Pushed;
use prewire_runtime_core::edge::{EdgeBody, EdgeFlags};
use prewire_runtime_core::graph::{Graph, GraphSizes};
use prewire_runtime_core::id::{CoreId, EdgeIndex, KernelId, RingIndex, SlotIndex, TaskId};
use prewire_runtime_core::kernel::{Condition as CompletionCondition, KernelSet};
use prewire_runtime_core::platform::{BlockFailure, DeferError, DispatchPayload, Dispatched, Outcome, Platform, Pulse};
use prewire_runtime_core::port::{Condition, Token};
use prewire_runtime_core::slot::{Parts, TaskBody, TaskFlags};
use prewire_runtime_core::tensor::DataType;
use prewire_scheduler::{SchedulerConfig, SchedulerGroup, Step};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// The window: as many tasks as are in flight in a running program.
const WINDOW: u32 = 1 << 11;
const ROUNDS: usize = 401;

#[repr(align(64))]
struct Core {
    condition: AtomicU32,
    running: AtomicU64,
    payloads: [std::cell::UnsafeCell<std::mem::MaybeUninit<DispatchPayload>>; 2],
}

// SAFETY: the payloads are written and read by the one thread that owns the core.
unsafe impl Sync for Core {}

/// The least that a platform can be: a payload, a token, a kernel call, a condition.
struct Inline {
    spec: ChipSpec,
    cores: Vec<Core>,
    kernel: fn(&DispatchPayload),
}

impl Platform for Inline {
    fn chip(&self) -> &ChipSpec {
        &self.spec
    }

    #[inline]
    unsafe fn dispatch(&self, core: CoreId, token: Token, payload: &DispatchPayload) -> Dispatched {
        let core = &self.cores[core.index()];
        let place = core.payloads[token.parity()].get().cast::<DispatchPayload>();
        // SAFETY: the core has ended what used this place, and one thread owns the core.
        unsafe { place.write(*payload) };
        core.running.store(token.to_register() as u64 + 1, Ordering::Release);
        // SAFETY: written above.
        (self.kernel)(unsafe { &*place });
        core.running.store(0, Ordering::Relaxed);
        core.condition.store(Condition::Finished(token).to_register(), Ordering::Release);
        Dispatched::Well
    }

    #[inline]
    fn poll(&self, core: CoreId) -> Condition {
        Condition::from_register(self.cores[core.index()].condition.load(Ordering::Acquire))
    }

    #[inline]
    fn outcome(&self, _: CoreId, _: Token) -> Outcome {
        Outcome::Ok
    }

    fn take_failure(&self, _: CoreId, _: Token) -> BlockFailure {
        unreachable!("no kernel fails")
    }

    fn take_conditions(&self, _: CoreId, _: Token, _: &mut dyn FnMut(CompletionCondition)) -> Result<(), DeferError> {
        Ok(())
    }

    fn condition_holds(&self, _: &CompletionCondition) -> bool {
        true
    }

    fn counter_value(&self, _: &CompletionCondition) -> u32 {
        0
    }

    fn can_preload(&self) -> bool {
        false
    }

    fn runs_concurrently(&self) -> bool {
        false
    }

    fn read_operand(&self, _: u64, _: DataType) -> i128 {
        0
    }

    fn now_ns(&self) -> u64 {
        0
    }

    fn pulse(&self, core: CoreId) -> Pulse {
        let running = self.cores[core.index()].running.load(Ordering::Acquire);
        Pulse { running: running.checked_sub(1).and_then(|token| Token::from_register(token as u32)), beat: running }
    }

    fn begin_run(&self, _: u32, _: &Arc<KernelSet>) -> Result<(), String> {
        Ok(())
    }

    fn cancel(&self, _: u32) {}

    fn exit(&self) -> Vec<CoreId> {
        Vec::new()
    }
}

/// Wires a window of tasks; a task's producers are given by its number.
fn build(graph: &Graph, producers: impl Fn(u32) -> Vec<u32>) -> Vec<SlotIndex> {
    let mut edge = 0;
    let mut ready = Vec::new();
    for number in 0..WINDOW {
        let slot = graph.slots.get(SlotIndex(number));
        let from = producers(number);
        let body = TaskBody {
            id: TaskId::new(RingIndex(0), number as u64),
            kernels: [KernelId(0); 3],
            parts: Parts::VECTOR_0,
            flags: TaskFlags(0),
            blocks: 1,
            arguments: number,
            edges: edge,
            edge_count: from.len() as u32,
            tensors: 1,
            scalars: 0,
        };
        // SAFETY: all tasks of the round before are complete, and this is the only thread.
        unsafe { graph.slots.prepare(SlotIndex(number), body, number as u64) };
        let (mut shares, mut linked) = (from.len() as u32, 0);
        for producer in from {
            let flags = EdgeFlags::WAIT.union(EdgeFlags::DATA);
            let body = EdgeBody { consumer: SlotIndex(number), producer: SlotIndex(producer), flags };
            // SAFETY: as above; the producer was prepared before.
            match unsafe { graph.link(EdgeIndex(edge), body) } {
                Pushed::Linked => linked += 1,
                Pushed::Closed(_) => {}
            }
            edge += 1;
        }
        shares -= linked;
        if linked == 0 || shares != 0 && slot.give_back(shares) {
            ready.push(SlotIndex(number));
        }
    }
    ready
}

fn main() {
    let config = SchedulerConfig::new(1);
    let spec = ChipSpec::unit(24);
    let sizes = GraphSizes {
        slots: WINDOW as usize,
        edges: 2 * WINDOW as usize,
        argument_units: WINDOW as usize,
        instances: 1,
        cores: spec.cores() as usize,
    };
    let graph = Arc::new(Graph::new(sizes, |_| 0));
    let core = || Core {
        condition: AtomicU32::new(0),
        running: AtomicU64::new(0),
        payloads: std::array::from_fn(|_| std::cell::UnsafeCell::new(std::mem::MaybeUninit::uninit())),
    };
    let cores = (0..spec.cores()).map(|_| core()).collect();
    let kernel = |payload: &DispatchPayload| {
        black_box(payload.tensors);
    };
    let platform = Arc::new(Inline { spec, cores, kernel });
    let group = SchedulerGroup::new(config, graph.clone(), platform.clone());
    let mut scheduler = group.instances().remove(0);

    type Producers = fn(u32) -> Vec<u32>;
    let side = 45;
    let shapes: [(&str, Producers); 4] = [
        ("independent", |_| Vec::new()),
        ("chain", |number| number.checked_sub(1).into_iter().collect()),
        ("tree", |number| if number == 0 { Vec::new() } else { vec![(number - 1) / 2] }),
        ("wavefront", |number| {
            let (row, column) = (number / 45, number % 45);
            let above = (row > 0).then(|| number - 45);
            above.into_iter().chain((column > 0).then(|| number - 1)).collect()
        }),
    ];
    assert_eq!(side, 45);
    let mut figures: Vec<(&str, Vec<f64>)> = shapes.iter().map(|&(name, _)| (name, Vec::new())).collect();
    let mut direct = Vec::new();
    let mut run = 0;
    for _ in 0..ROUNDS {
        for (&(_, producers), (_, figures)) in shapes.iter().zip(&mut figures) {
            run += 1;
            graph.run.begin(run);
            group.begin_run(&Arc::new(KernelSet::default()));
            scheduler.begin_run();
            let ready = build(&graph, producers);
            for slot in ready {
                // SAFETY: the wiring of this task ended with nothing to wait for.
                unsafe { graph.route(slot) };
            }
            let started = Instant::now();
            while scheduler.step() == Step::Worked {}
            figures.push(started.elapsed().as_nanos() as f64 / WINDOW as f64);
            assert_eq!(graph.completed(), WINDOW as u64);
        }
        let mut token = Token::FIRST;
        let started = Instant::now();
        for number in 0..WINDOW {
            let payload = DispatchPayload {
                task: TaskId::new(RingIndex(0), number as u64),
                tensors: graph.arguments.pointer(number).cast(),
                scalars: std::ptr::null(),
                slot: SlotIndex(number),
                block: 0,
                blocks: 1,
                run: 1,
                core: CoreId(30),
                kernel: KernelId(0),
                part: 1,
                parts: 2,
                tensor_count: 1,
                scalar_count: 0,
                concurrent: false,
            };
            // SAFETY: this thread has the core to itself.
            black_box(unsafe { platform.dispatch(CoreId(30), token, &payload) });
            token = token.next();
        }
        direct.push(started.elapsed().as_nanos() as f64 / WINDOW as f64);
    }
    println!("{:12} {:>8} {:>8}   ns per task, {WINDOW} tasks, {ROUNDS} rounds", "", "median", "min");
    for (name, mut figures) in figures.into_iter().chain([("direct", direct)]) {
        figures.sort_by(f64::total_cmp);
        println!("{name:12} {:>8.1} {:>8.1}", figures[figures.len() / 2], figures[0]);
    }
}
