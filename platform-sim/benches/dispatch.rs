//! What one dispatch costs beyond its kernel: prints nanoseconds per dispatch, best and median of rounds, for an empty kernel called directly and
//! through the chip, by the thread that dispatches and by pooled threads.

use prewire_platform_sim::{Engine, Sim, SimConfig, SimMemory};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::graph::{Graph, GraphSizes};
use prewire_runtime_core::id::{CoreId, KernelId, RingIndex, SlotIndex, TaskId};
use prewire_runtime_core::kernel::{
    Condition, Kernel, KernelContext, KernelError, KernelFunction, KernelServices, KernelSet, RustKernel,
};
use prewire_runtime_core::platform::{DispatchPayload, Dispatched, Outcome, Platform};
use prewire_runtime_core::port::{Condition as Answer, InFlight, Token, Transition};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DISPATCHES: u32 = 1_000_000;
const ROUNDS: usize = 15;

/// Services that nobody asks anything of.
struct Nothing;

impl KernelServices for Nothing {
    fn is_cancelled(&self, _: &DispatchPayload) -> bool {
        false
    }
    fn alive(&self, _: &DispatchPayload) {}
    fn barrier(&self, _: &DispatchPayload) -> Result<(), KernelError> {
        Ok(())
    }
    fn send(&self, _: &DispatchPayload, _: usize, _: u64) -> Result<(), KernelError> {
        Ok(())
    }
    fn receive(&self, _: &DispatchPayload, _: usize) -> Result<u64, KernelError> {
        Ok(0)
    }
    fn defer(&self, _: &DispatchPayload, _: Condition) {}
    fn relax(&self) {}
}

fn measure(name: &str, mut round: impl FnMut()) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            round();
            began.elapsed().as_secs_f64() * 1e9 / f64::from(DISPATCHES)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:40} best {:6.2} ns, median {:6.2} ns", times[0], times[ROUNDS / 2]);
}

fn empty_payload() -> DispatchPayload {
    DispatchPayload {
        task: TaskId::new(RingIndex(0), 0),
        tensors: std::ptr::null(),
        scalars: std::ptr::null(),
        slot: SlotIndex(0),
        block: 0,
        blocks: 1,
        run: 1,
        core: CoreId(0),
        kernel: KernelId(0),
        part: 0,
        parts: 1,
        tensor_count: 0,
        scalar_count: 0,
        concurrent: false,
    }
}

fn main() {
    let kernel: Arc<RustKernel> = Arc::new(|context: &KernelContext<'_>| {
        black_box(context.block_index());
        Ok(())
    });
    let mut set = KernelSet::default();
    let function = KernelFunction::Rust(Arc::clone(&kernel));
    set.register(Kernel { name: "empty".to_owned(), kind: None, function }).expect("the set is empty");
    let sizes = GraphSizes { slots: 4, edges: 4, argument_units: 4, instances: 1, cores: 72 };
    let graph = Arc::new(Graph::new(sizes, |_| 0));
    let memory = Arc::new(SimMemory::new(&ChipSpec::unit(24)));
    let sim =
        Sim::new(SimConfig::new(ChipSpec::unit(24), Engine::Inline), graph, memory).expect("memory for the handshake");
    sim.begin_run(1, &Arc::new(set)).expect("the cores answer");

    let mut payload = empty_payload();
    measure("the kernel called directly", || {
        for block in 0..DISPATCHES {
            payload.block = block;
            // SAFETY: there are no arguments.
            let context = unsafe { KernelContext::new(black_box(&payload), &Nothing) };
            assert!(black_box(&kernel)(&context).is_ok());
        }
    });
    for cores in [1_u16, 8, 72] {
        let mut tokens = vec![Token::FIRST; 72];
        measure(&format!("dispatch, poll and outcome, {cores} cores"), || {
            let mut core = 0;
            for block in 0..DISPATCHES {
                let token = tokens[usize::from(core)];
                tokens[usize::from(core)] = token.next();
                payload.block = block;
                payload.core = CoreId(core);
                // SAFETY: there are no arguments, and every dispatch ends before the next.
                let ended = unsafe { sim.dispatch(CoreId(core), token, &payload) };
                assert!(ended == Dispatched::Well && sim.poll(CoreId(core)) == Answer::Finished(token));
                assert_eq!(sim.outcome(CoreId(core), token), Outcome::Ok);
                core = if core + 1 == cores { 0 } else { core + 1 };
            }
        });
    }
    for cores in [4, 72] {
        pooled(cores);
    }
}

/// Keeps so many cores of the threaded engine busy, two dispatches each, with kernels of a few microseconds.
fn pooled(cores: u16) {
    const DISPATCHES: u32 = 100_000;
    let function = KernelFunction::Rust(Arc::new(|_: &KernelContext<'_>| {
        let mut sum = 0_u64;
        for number in 0..2_000_u64 {
            sum = black_box(sum.wrapping_mul(31).wrapping_add(number));
        }
        Ok(())
    }));
    let mut set = KernelSet::default();
    set.register(Kernel { name: "short".to_owned(), kind: None, function }).expect("the set is empty");
    let sizes = GraphSizes { slots: 4, edges: 4, argument_units: 4, instances: 1, cores: 72 };
    let graph = Arc::new(Graph::new(sizes, |_| 0));
    let memory = Arc::new(SimMemory::new(&ChipSpec::unit(24)));
    let config = SimConfig::new(ChipSpec::unit(24), Engine::Threads);
    let sim = Sim::new(config, Arc::clone(&graph), memory).expect("memory for the handshake");
    sim.begin_run(1, &Arc::new(set)).expect("the cores answer");
    let mut states = vec![(Token::FIRST, InFlight::default()); usize::from(cores)];
    let mut payload = empty_payload();
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            let (mut left, mut in_flight) = (DISPATCHES, 0_u32);
            while left > 0 || in_flight > 0 {
                let mut achieved = false;
                for core in (0..cores).map(CoreId) {
                    let (next, state) = &mut states[core.index()];
                    match state.observe(sim.poll(core)) {
                        Transition::RunningEnded | Transition::Promoted => in_flight -= 1,
                        Transition::BothEnded => in_flight -= 2,
                        Transition::None | Transition::Started => {}
                    }
                    if left > 0 && (state.running.is_none() || state.can_preload()) {
                        payload.core = core;
                        state.dispatched(*next);
                        // SAFETY: there are no arguments, and the core has a free place.
                        unsafe { sim.dispatch(core, *next, &payload) };
                        *next = next.next();
                        left -= 1;
                        in_flight += 1;
                        achieved = true;
                    }
                }
                if !achieved {
                    let news = || {
                        states.iter().enumerate().any(|(core, (_, state))| {
                            let mut state = *state;
                            state.observe(sim.poll(CoreId(core as u16))) != Transition::None
                        })
                    };
                    graph.bells.sleep(1, Duration::from_millis(10), news);
                }
            }
            began.elapsed().as_secs_f64() * 1e9 / f64::from(DISPATCHES)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{:40} best {:6.0} ns, median {:6.0} ns",
        format!("pooled threads, {cores} cores"),
        times[0],
        times[ROUNDS / 2]
    );
    println!("{:40} {} threads", "", sim.threads());
}
