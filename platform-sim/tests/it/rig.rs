//! A chip for tests, and the least that a scheduler does: it hands out tokens and waits for their ends.

use prewire_platform_sim::bus::{MemoryBus, RegisterBus};
use prewire_platform_sim::{Engine, Sim, SimConfig, SimMemory};
use prewire_runtime_core::chip::{ChipSpec, FastPath, RegisterMap};
use prewire_runtime_core::graph::{Graph, GraphSizes};
use prewire_runtime_core::id::{CoreId, KernelId, RingIndex, SlotIndex, TaskId};
use prewire_runtime_core::kernel::{Kernel, KernelContext, KernelError, KernelFunction, KernelSet};
use prewire_runtime_core::platform::{BlockFailure, DispatchPayload, Dispatched, Outcome, Platform};
use prewire_runtime_core::port::{Condition, InFlight, Token, Transition};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// The run that a rig begins with.
pub(crate) const RUN: u32 = 1;

/// A chip of so many clusters, with a window that opens and closes.
pub(crate) fn chip(clusters: u16) -> ChipSpec {
    ChipSpec {
        registers: RegisterMap {
            dispatch: 0x40,
            condition: 0x2084,
            fast_path: Some(FastPath { offset: 0x10, open: 7, close: 8 }),
            pages: &[(0, 0x1000), (0x2000, 0x1000)],
        },
        exit_deadline_ms: 200,
        handshake_deadline_ms: 200,
        ..ChipSpec::unit(clusters)
    }
}

pub(crate) fn graph(chip: &ChipSpec) -> Arc<Graph> {
    let sizes = GraphSizes { slots: 4, edges: 4, argument_units: 4, instances: 1, cores: usize::from(chip.cores()) };
    Arc::new(Graph::new(sizes, |_| 0))
}

pub(crate) fn set(kernels: Vec<Kernel>) -> Arc<KernelSet> {
    let mut set = KernelSet::default();
    for kernel in kernels {
        set.register(kernel).unwrap();
    }
    Arc::new(set)
}

pub(crate) fn closure(
    function: impl Fn(&KernelContext<'_>) -> Result<(), KernelError> + Send + Sync + 'static,
) -> Kernel {
    Kernel { name: "closure".to_owned(), kind: None, function: KernelFunction::Rust(Arc::new(function)) }
}

/// A payload of one block for one core.
pub(crate) fn payload(core: CoreId, kernel: u16, task: u64) -> DispatchPayload {
    DispatchPayload {
        task: TaskId::new(RingIndex(0), task),
        tensors: std::ptr::null(),
        scalars: std::ptr::null(),
        slot: SlotIndex(0),
        block: 0,
        blocks: 1,
        run: RUN,
        core,
        kernel: KernelId(kernel),
        part: 0,
        parts: 1,
        tensor_count: 0,
        scalar_count: 0,
        concurrent: false,
    }
}

pub(crate) struct Rig<B: RegisterBus = MemoryBus> {
    pub(crate) sim: Sim<B>,
    pub(crate) graph: Arc<Graph>,
    next: Vec<Token>,
    pub(crate) in_flight: Vec<InFlight>,
}

impl Rig {
    /// A chip with its run begun.
    pub(crate) fn new(chip: ChipSpec, engine: Engine, kernels: Vec<Kernel>) -> Self {
        let rig = Rig::unstarted(chip, engine);
        rig.sim.begin_run(RUN, &set(kernels)).unwrap();
        rig
    }

    pub(crate) fn unstarted(chip: ChipSpec, engine: Engine) -> Self {
        let bus = MemoryBus::new(chip.cores());
        let memory = Arc::new(SimMemory::new(&chip));
        Rig::with(SimConfig::new(chip, engine), memory, bus)
    }
}

impl<B: RegisterBus> Rig<B> {
    pub(crate) fn with(config: SimConfig, memory: Arc<SimMemory>, bus: B) -> Self {
        let graph = graph(&config.chip);
        let cores = usize::from(config.chip.cores());
        let sim = Sim::with_bus(config, Arc::clone(&graph), memory, bus).unwrap();
        Rig { sim, graph, next: vec![Token::FIRST; cores], in_flight: vec![InFlight::default(); cores] }
    }

    /// Lets the next token of every core be this one.
    pub(crate) fn preset_tokens(&mut self, token: Token) {
        self.next.fill(token);
    }

    /// Dispatches to the payload's core; true if the block has already ended.
    pub(crate) fn dispatch(&mut self, payload: &DispatchPayload) -> (Token, bool) {
        let core = payload.core;
        let token = self.next[core.index()];
        self.next[core.index()] = token.next();
        self.in_flight[core.index()].dispatched(token);
        // SAFETY: the rig keeps to one running and one pre-loaded dispatch, and its arguments live as long as the test.
        let dispatched = unsafe { self.sim.dispatch(core, token, payload) };
        (token, dispatched != Dispatched::Given)
    }

    /// Waits until the core has no dispatch left.
    pub(crate) fn drain(&mut self, core: CoreId) {
        self.until(core, |in_flight| in_flight.running.is_none());
    }

    /// Polls the core until what is known of it is as asked.
    pub(crate) fn until(&mut self, core: CoreId, done: impl Fn(&InFlight) -> bool) {
        let began = Instant::now();
        loop {
            let _ = self.poll(core);
            if done(&self.in_flight[core.index()]) {
                return;
            }
            assert!(began.elapsed() < LONG, "{core:?} stays at {:?}", self.in_flight[core.index()]);
            std::thread::yield_now();
        }
    }

    /// Polls the core once.
    pub(crate) fn poll(&mut self, core: CoreId) -> Transition {
        let condition = self.sim.poll(core);
        self.in_flight[core.index()].observe(condition)
    }

    /// Dispatches, waits and says how it went.
    pub(crate) fn run(&mut self, payload: &DispatchPayload) -> Result<(), BlockFailure> {
        let (token, _) = self.dispatch(payload);
        self.drain(payload.core);
        assert_eq!(self.sim.poll(payload.core), Condition::Finished(token));
        match self.sim.outcome(payload.core, token) {
            Outcome::Ok => Ok(()),
            Outcome::Failed => Err(self.sim.take_failure(payload.core, token)),
            Outcome::Deferred => panic!("the kernel registered conditions"),
        }
    }

    /// Dispatches a task of several blocks and parts to the cores that `place` names, all at once, and says how each went, in the order of dispatch.
    pub(crate) fn run_together(
        &mut self,
        kernel: u16,
        task: u64,
        blocks: u32,
        parts: u8,
        place: impl Fn(u32, u8) -> CoreId,
    ) -> Vec<Result<(), BlockFailure>> {
        let mut dispatched = Vec::new();
        for block in 0..blocks {
            for part in (0..3).filter(|part| parts >> part & 1 != 0) {
                let core = place(block, part);
                let payload =
                    DispatchPayload { block, blocks, part, parts, concurrent: true, ..payload(core, kernel, task) };
                dispatched.push((core, self.dispatch(&payload).0));
            }
        }
        dispatched
            .into_iter()
            .map(|(core, token)| {
                self.drain(core);
                match self.sim.outcome(core, token) {
                    Outcome::Ok => Ok(()),
                    Outcome::Failed => Err(self.sim.take_failure(core, token)),
                    Outcome::Deferred => panic!("the kernel registered conditions"),
                }
            })
            .collect()
    }
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < LONG, "waited in vain until {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}
