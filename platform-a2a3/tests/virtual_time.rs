//! The chip's latencies, as a scheduler that does nothing but look sees them.

use prewire_platform_sim::{Actors, Engine, SimConfig, SimMemory, Stepped, VirtualSim};
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::graph::{Graph, GraphSizes};
use prewire_runtime_core::id::{CoreId, KernelId, RingIndex, SlotIndex, TaskId};
use prewire_runtime_core::kernel::{Kernel, KernelFunction, KernelSet};
use prewire_runtime_core::platform::{DispatchPayload, Platform};
use prewire_runtime_core::port::{Condition, Token};
use std::sync::Arc;
use std::time::Duration;

const CORE: CoreId = CoreId(30);
const KERNEL_NS: u64 = 10_000;

/// A scheduler of one task: it writes its token once and then reads the register, and notes when.
struct Looker<'a> {
    sim: &'a VirtualSim,
    token: Token,
    written_ns: Option<u64>,
    /// When each read began and ended, and what it gave.
    reads: Vec<(u64, u64, Condition)>,
}

impl Actors for Looker<'_> {
    fn step(&mut self, instance: usize) -> Stepped {
        if instance != 0 {
            return Stepped { worked: false, must_poll: false };
        }
        if self.written_ns.is_none() {
            let payload = DispatchPayload {
                task: TaskId::new(RingIndex(0), 0),
                tensors: std::ptr::null(),
                scalars: std::ptr::null(),
                slot: SlotIndex(0),
                block: 0,
                blocks: 1,
                run: 1,
                core: CORE,
                kernel: KernelId(0),
                part: 1,
                parts: 2,
                tensor_count: 0,
                scalar_count: 0,
                concurrent: false,
            };
            // SAFETY: the core has nothing to do, and there are no arguments.
            unsafe { self.sim.dispatch(CORE, self.token, &payload) };
            self.written_ns = Some(self.sim.now_ns());
            return Stepped { worked: true, must_poll: false };
        }
        let began_ns = self.sim.now_ns();
        let condition = self.sim.poll(CORE);
        self.reads.push((began_ns, self.sim.now_ns(), condition));
        Stepped { worked: true, must_poll: false }
    }

    fn has_work(&mut self, _: usize) -> bool {
        false
    }

    fn check(&mut self, _: u64) -> bool {
        false
    }
}

/// Claims CHIP-168 for the latencies of one task; `prewire/tests/virtual_time.rs` claims it for what they come to.
#[test]
fn a_token_is_seen_and_an_end_is_read_after_the_times_of_the_chip() {
    for seed in 0..50 {
        let chip = prewire_platform_a2a3::chip();
        assert_eq!(chip.kind_of(CORE), CoreKind::Vector);
        let sizes = GraphSizes { slots: 4, edges: 4, argument_units: 4, instances: 1, cores: 72 };
        let graph = Arc::new(Graph::new(sizes, |_| 0));
        let memory = Arc::new(SimMemory::new(&chip));
        let sim = VirtualSim::new(SimConfig::new(chip, Engine::Virtual { seed }), graph, memory).unwrap();
        sim.set_kernel_time(KernelId(0), Some(Duration::from_nanos(KERNEL_NS)));
        let mut kernels = KernelSet::default();
        let function = KernelFunction::Rust(Arc::new(|_| Ok(())));
        kernels.register(Kernel { name: "nothing".to_owned(), kind: None, function }).unwrap();
        sim.start_recording(1);
        sim.begin_run(1, &Arc::new(kernels)).unwrap();

        let token = Token::FIRST;
        let finished = Condition::Finished(token);
        let mut looker = Looker { sim: &sim, token, written_ns: None, reads: Vec::new() };
        // Outside of a step the register is free to look at, so that the moment at which it changes is known.
        let mut visible_ns = None;
        while looker.reads.last().is_none_or(|&(.., condition)| condition != finished) {
            sim.advance(&mut looker);
            if visible_ns.is_none() && sim.poll(CORE) == finished {
                visible_ns = Some(sim.now_ns());
            }
        }
        let mut executions = Vec::new();
        sim.drain_recording(|execution| executions.push(execution));
        let [execution] = executions[..] else { panic!("{executions:?}") };

        let written_ns = looker.written_ns.unwrap();
        assert_eq!(execution.dispatch_ns, written_ns);
        // The core sees the token after 140 ns and then prepares its kernel for 280 to 350 ns.
        let seen_ns = written_ns + 140;
        assert!((280..=350).contains(&(execution.start_ns - seen_ns)), "{execution:?}");
        assert_eq!(execution.end_ns - execution.start_ns, KERNEL_NS);
        let visible_ns = visible_ns.unwrap();
        assert!((180..=600).contains(&(visible_ns - execution.end_ns)), "visible at {visible_ns}: {execution:?}");
        for &(began_ns, ended_ns, _) in &looker.reads {
            assert!((95..=105).contains(&(ended_ns - began_ns)), "a read of {} ns", ended_ns - began_ns);
        }
        // The read that sees it is the first one that could.
        let (last, before) = looker.reads.split_last().unwrap();
        assert!(
            last.1 >= visible_ns && before.iter().all(|&(began_ns, ..)| began_ns < visible_ns),
            "{visible_ns} {last:?}"
        );
    }
}
