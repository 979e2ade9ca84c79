//! Chips made for tests.

use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::{Condition as CompletionCondition, KernelError, KernelSet};
use prewire_runtime_core::platform::{
    BlockFailure, DeferError, DispatchPayload, Dispatched as AtOnce, Outcome, Platform, Pulse,
};
use prewire_runtime_core::port::{Condition, Token};
use prewire_runtime_core::tensor::DataType;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{JoinHandle, ThreadId};

/// How a kernel ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    Ok,
    Failed(i32, &'static str),
    Deferred(Vec<CompletionCondition>),
    WrongConditions(DeferError),
}

type BeforeDispatch = dyn Fn(&DispatchPayload) + Send + Sync;
type Kernel = dyn Fn(&DispatchPayload) -> Ended + Send + Sync;

/// How blocks are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// A test starts and ends them.
    Hand,
    /// `dispatch` runs them, unless they may wait for one another; those run on a thread of their own.
    Inline,
    /// A thread per core runs them.
    Threads,
}

/// A dispatch as it was given to a core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dispatched {
    pub(crate) core: CoreId,
    pub(crate) token: Token,
    pub(crate) payload: DispatchPayload,
}

#[derive(Debug, Default)]
struct Places {
    running: Option<Dispatched>,
    preloaded: Option<Dispatched>,
}

struct Core {
    condition: AtomicU32,
    /// Running token + 1, or 0.
    running: AtomicU64,
    beat: AtomicU64,
    places: Mutex<Places>,
    ended: Mutex<HashMap<Token, Ended>>,
    feed: OnceLock<Sender<Dispatched>>,
}

/// A chip made for tests.
pub(crate) struct TestChip {
    spec: ChipSpec,
    engine: Engine,
    pub(crate) preload: bool,
    kernel: Box<Kernel>,
    cores: Vec<Core>,
    pub(crate) now_ns: AtomicU64,
    cancelled: AtomicBool,
    pub(crate) counters: Mutex<HashMap<u64, u32>>,
    pub(crate) operands: Mutex<HashMap<u64, i128>>,
    /// Every dispatch, in the order of their tokens' stores.
    pub(crate) log: Mutex<Vec<Dispatched>>,
    pub(crate) logs: bool,
    /// Which thread touched which core's words.
    pub(crate) touched_by: Mutex<HashMap<(u16, ThreadId), u64>>,
    pub(crate) watch_touch: bool,
    /// Every how many-th end is reported again once the core has started its next dispatch.
    pub(crate) repeat_every: u64,
    /// Called on the scheduler's thread before it gives anything to a core.
    pub(crate) before_dispatch: Option<Box<BeforeDispatch>>,
    ends: AtomicU64,
    repeats: Vec<AtomicU32>,
    acknowledged: Vec<AtomicU32>,
    graph: OnceLock<Arc<Graph>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    me: OnceLock<std::sync::Weak<TestChip>>,
}

impl TestChip {
    pub(crate) fn new(
        spec: ChipSpec,
        engine: Engine,
        kernel: impl Fn(&DispatchPayload) -> Ended + Send + Sync + 'static,
    ) -> TestChip {
        let core = || Core {
            condition: AtomicU32::new(Condition::Idle.to_register()),
            running: AtomicU64::new(0),
            beat: AtomicU64::new(0),
            places: Mutex::new(Places::default()),
            ended: Mutex::new(HashMap::new()),
            feed: OnceLock::new(),
        };
        TestChip {
            cores: (0..spec.cores()).map(|_| core()).collect(),
            repeats: (0..spec.cores()).map(|_| AtomicU32::new(0)).collect(),
            acknowledged: (0..spec.cores()).map(|_| AtomicU32::new(u32::MAX)).collect(),
            spec,
            engine,
            preload: engine != Engine::Inline,
            kernel: Box::new(kernel),
            now_ns: AtomicU64::new(1),
            cancelled: AtomicBool::new(false),
            counters: Mutex::default(),
            operands: Mutex::default(),
            log: Mutex::default(),
            logs: true,
            touched_by: Mutex::default(),
            watch_touch: false,
            repeat_every: 0,
            before_dispatch: None,
            ends: AtomicU64::new(0),
            graph: OnceLock::new(),
            threads: Mutex::default(),
            me: OnceLock::new(),
        }
    }

    /// Cores are about to be used: whose bells to ring, and threads if the engine has some.
    pub(crate) fn attach(self: &Arc<Self>, graph: &Arc<Graph>) {
        self.graph.set(graph.clone()).map_err(|_| ()).expect("attached once");
        self.me.set(Arc::downgrade(self)).expect("attached once");
        if self.engine != Engine::Threads {
            return;
        }
        for (index, core) in self.cores.iter().enumerate() {
            let (feed, dispatches) = channel::<Dispatched>();
            core.feed.set(feed).expect("attached once");
            let chip = Arc::downgrade(self);
            let thread = std::thread::spawn(move || {
                for dispatched in dispatches {
                    let Some(chip) = chip.upgrade() else { return };
                    chip.execute(index, dispatched);
                }
            });
            self.threads.lock().unwrap().push(thread);
        }
    }

    fn execute(&self, core: usize, dispatched: Dispatched) {
        self.say_started(core, dispatched.token);
        let ended = (self.kernel)(&dispatched.payload);
        self.say_finished(core, dispatched.token, ended);
        if let Some(graph) = self.graph.get() {
            std::sync::atomic::fence(Ordering::SeqCst);
            graph.bells.ring(graph.owner_of(CoreId(core as u16)));
        }
    }

    fn say_started(&self, core: usize, token: Token) {
        let words = &self.cores[core];
        words.beat.fetch_add(1, Ordering::Relaxed);
        words.running.store(token.to_register() as u64 + 1, Ordering::Release);
        words.condition.store(Condition::Started(token).to_register(), Ordering::Release);
    }

    fn say_finished(&self, core: usize, token: Token, ended: Ended) {
        let words = &self.cores[core];
        if !matches!(ended, Ended::Ok) {
            words.ended.lock().unwrap().insert(token, ended);
        }
        words.running.store(0, Ordering::Release);
        words.condition.store(Condition::Finished(token).to_register(), Ordering::Release);
        let ends = self.ends.fetch_add(1, Ordering::Relaxed) + 1;
        if self.repeat_every > 0 && ends.is_multiple_of(self.repeat_every) {
            self.repeats[core].store(token.to_register() + 1, Ordering::Relaxed);
        }
    }

    /// By hand: the core says that it has started what it holds. Nothing if it holds nothing or has said so.
    pub(crate) fn start(&self, core: CoreId) {
        let running = self.cores[core.index()].places.lock().unwrap().running;
        if let Some(running) = running
            && self.pulse(core).running.is_none()
        {
            self.say_started(core.index(), running.token);
        }
    }

    /// By hand: what the core runs ends. It starts what is behind it, if anything is.
    pub(crate) fn finish(&self, core: CoreId, ended: Ended) {
        self.start(core);
        let mut places = self.cores[core.index()].places.lock().unwrap();
        let over = places.running.take().expect("the core runs nothing");
        places.running = places.preloaded.take();
        self.say_finished(core.index(), over.token, ended);
        if let Some(next) = places.running {
            self.say_started(core.index(), next.token);
        }
    }

    /// By hand: what each core holds.
    pub(crate) fn running(&self) -> Vec<Dispatched> {
        self.cores.iter().filter_map(|core| core.places.lock().unwrap().running).collect()
    }

    /// By hand: what is behind what a core runs.
    pub(crate) fn preloaded(&self) -> Vec<Dispatched> {
        self.cores.iter().filter_map(|core| core.places.lock().unwrap().preloaded).collect()
    }

    /// By hand: a sign of life.
    pub(crate) fn alive(&self, core: CoreId) {
        self.cores[core.index()].beat.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn touch(&self, core: CoreId) {
        if self.watch_touch {
            *self.touched_by.lock().unwrap().entry((core.0, std::thread::current().id())).or_default() += 1;
        }
    }
}

impl Drop for TestChip {
    fn drop(&mut self) {
        for core in &mut self.cores {
            core.feed.take();
        }
        for thread in self.threads.get_mut().unwrap().drain(..) {
            // The last reference may be dropped by one of the chip's own threads.
            if thread.thread().id() != std::thread::current().id() {
                thread.join().unwrap();
            }
        }
    }
}

impl Platform for TestChip {
    fn chip(&self) -> &ChipSpec {
        &self.spec
    }

    unsafe fn dispatch(&self, core: CoreId, token: Token, payload: &DispatchPayload) -> AtOnce {
        self.touch(core);
        if let Some(before) = &self.before_dispatch {
            before(payload);
        }
        let dispatched = Dispatched { core, token, payload: *payload };
        if self.logs {
            self.log.lock().unwrap().push(dispatched);
        }
        match self.engine {
            Engine::Hand => {
                let mut places = self.cores[core.index()].places.lock().unwrap();
                if places.running.is_none() {
                    places.running = Some(dispatched);
                } else {
                    assert!(places.preloaded.is_none(), "a third dispatch to core {}", core.0);
                    places.preloaded = Some(dispatched);
                }
                AtOnce::Given
            }
            Engine::Inline if payload.concurrent => {
                let chip = self.me.get().and_then(std::sync::Weak::upgrade).expect("attached");
                std::thread::spawn(move || chip.execute(core.index(), dispatched));
                AtOnce::Given
            }
            Engine::Inline => {
                self.say_started(core.index(), token);
                let ended = (self.kernel)(payload);
                self.say_finished(core.index(), token, ended);
                AtOnce::Ended
            }
            Engine::Threads => {
                self.cores[core.index()].feed.get().expect("attached").send(dispatched).unwrap();
                AtOnce::Given
            }
        }
    }

    fn poll(&self, core: CoreId) -> Condition {
        self.touch(core);
        let now = Condition::from_register(self.cores[core.index()].condition.load(Ordering::Acquire));
        if let Condition::Started(token) = now {
            let repeat = self.repeats[core.index()].load(Ordering::Relaxed);
            // Once, when the scheduler has seen the ACK of the next dispatch.
            if repeat != 0 && repeat - 1 != token.to_register() {
                let acknowledged = self.acknowledged[core.index()].swap(token.to_register(), Ordering::Relaxed);
                if acknowledged == token.to_register() {
                    self.repeats[core.index()].store(0, Ordering::Relaxed);
                    return Condition::Finished(Token::from_register(repeat - 1).unwrap());
                }
            }
        }
        now
    }

    fn outcome(&self, core: CoreId, token: Token) -> Outcome {
        match self.cores[core.index()].ended.lock().unwrap().get(&token) {
            None | Some(Ended::Ok) => Outcome::Ok,
            Some(Ended::Failed(..)) => Outcome::Failed,
            Some(Ended::Deferred(_) | Ended::WrongConditions(_)) => Outcome::Deferred,
        }
    }

    fn take_failure(&self, core: CoreId, token: Token) -> BlockFailure {
        match self.cores[core.index()].ended.lock().unwrap().remove(&token) {
            Some(Ended::Failed(code, text)) => BlockFailure { code, text: text.to_owned() },
            other => panic!("no failure but {other:?}"),
        }
    }

    fn take_conditions(
        &self,
        core: CoreId,
        token: Token,
        each: &mut dyn FnMut(CompletionCondition),
    ) -> Result<(), DeferError> {
        match self.cores[core.index()].ended.lock().unwrap().remove(&token) {
            Some(Ended::Deferred(conditions)) => conditions.into_iter().for_each(each),
            Some(Ended::WrongConditions(error)) => return Err(error),
            other => panic!("no conditions but {other:?}"),
        }
        Ok(())
    }

    fn condition_holds(&self, condition: &CompletionCondition) -> bool {
        self.counter_value(condition) >= condition.expected
    }

    fn counter_value(&self, condition: &CompletionCondition) -> u32 {
        self.counters.lock().unwrap().get(&condition.counter).copied().unwrap_or(0)
    }

    fn can_preload(&self) -> bool {
        self.preload
    }

    fn runs_concurrently(&self) -> bool {
        true
    }

    fn read_operand(&self, address: u64, data_type: DataType) -> i128 {
        let value = self.operands.lock().unwrap()[&address];
        match data_type {
            DataType::U8 => value as u8 as i128,
            DataType::I8 => value as i8 as i128,
            DataType::U16 => value as u16 as i128,
            DataType::I16 => value as i16 as i128,
            DataType::U32 => value as u32 as i128,
            DataType::I32 => value as i32 as i128,
            DataType::U64 => value as u64 as i128,
            _ => value as i64 as i128,
        }
    }

    fn now_ns(&self) -> u64 {
        self.now_ns.load(Ordering::Relaxed)
    }

    fn pulse(&self, core: CoreId) -> Pulse {
        let words = &self.cores[core.index()];
        let running = words.running.load(Ordering::Acquire);
        let running = (running != 0).then(|| Token::from_register(running as u32 - 1).unwrap());
        Pulse { running, beat: words.beat.load(Ordering::Relaxed) }
    }

    fn begin_run(&self, _: u32, _: &Arc<KernelSet>) -> Result<(), String> {
        self.cancelled.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn cancel(&self, _: u32) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn exit(&self) -> Vec<CoreId> {
        Vec::new()
    }
}

/// The code of a kernel that gave up waiting for a sibling.
pub(crate) const CANCELLED: i32 = KernelError::CANCELLED;
