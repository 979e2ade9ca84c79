//! How a host runtime is put together: which workers, which callables, how long they may take.

use super::callable::{Callable, CallableId, Issuer, MadeOf};
use super::error::HostStartError;
use super::level;
use super::register::{Callables, registration};
use super::runtime::HostRuntime;
use crate::runtime::{Builder, Runtime};
use prewire_platform_host::crew::{CancelToken, CrewConfig, Origin, WorkerPlan, worker_name};
use prewire_platform_host::library;
use prewire_platform_host::own::Inherited;
use prewire_platform_host::process::{Command, Initialise, Program};
use prewire_runtime_core::chip::{ChipSpec, CoreKind, MissingCores};
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::task::ArgumentLimits;
use prewire_runtime_core::waiting::WaitingPolicy;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Next-level workers that one runtime may have; it may have twice as many sub workers.
const MOST_NEXT_LEVEL: usize = 64;
/// A host's tasks may take any time, unless they have a budget of their own.
const NO_BUDGET: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
const EXIT_DEADLINE_MS: u64 = 5000;
/// How often a party yields before it sleeps: about as long as it takes to wake a process that sleeps, so that whoever waits loses no more than that.
const YIELDS: u32 = 100;

/// Builds a [`HostRuntime`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HostBuilder {
    level: u32,
    origin: Origin,
    /// What the workers of a kind are, if they are programs of their own.
    pub(super) programs: [Option<Program>; 2],
    restarts: u32,
    kill_at_close: Option<Duration>,
    pub(super) next_level: Vec<u32>,
    pub(super) subs: Vec<u32>,
    pub(super) initialise: [Option<InitialiseOf>; 2],
    pub(super) callables: KernelSet,
    /// The library symbols among the callables, as workers are told of them that are not born with them.
    pub(super) symbols: Vec<Command>,
    issuer: Issuer,
    /// Ordinary memory that was declared.
    pub(super) inherited: Vec<Inherited>,
    engine: Builder,
    startup_timeout: Duration,
    command_timeout: Duration,
    cancel: CancelToken,
    deadline: Option<Instant>,
    waiting: Option<WaitingPolicy>,
}

/// An initialisation that can be shown.
#[derive(Clone)]
pub(super) struct InitialiseOf(Initialise);

impl std::fmt::Debug for InitialiseOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Initialise")
    }
}

impl Default for HostBuilder {
    fn default() -> Self {
        HostBuilder {
            level: 3,
            origin: Origin::Fork,
            programs: [None, None],
            restarts: 0,
            kill_at_close: None,
            next_level: Vec::new(),
            subs: Vec::new(),
            initialise: [None, None],
            callables: KernelSet::default(),
            symbols: Vec::new(),
            issuer: Issuer::new(),
            inherited: Vec::new(),
            engine: Runtime::builder(),
            startup_timeout: Duration::from_secs(300),
            command_timeout: Duration::from_secs(30),
            cancel: CancelToken::default(),
            deadline: None,
            waiting: None,
        }
    }
}

impl HostBuilder {
    /// The level that the runtime says it is: 3 to 6. Nothing depends on it.
    pub fn level(mut self, level: u32) -> Self {
        self.level = level;
        self
    }

    /// So many next-level workers, with ids from 0.
    pub fn next_level(self, count: u32) -> Self {
        let ids: Vec<u32> = (0..count).collect();
        self.next_level_ids(&ids)
    }

    /// Next-level workers with these ids.
    pub fn next_level_ids(mut self, ids: &[u32]) -> Self {
        self.next_level = ids.to_vec();
        self
    }

    /// So many sub workers, with ids from 0.
    pub fn subs(mut self, count: u32) -> Self {
        self.subs = (0..count).collect();
        self
    }

    /// Workers are threads of this process: for tests, and where processes cannot be had. They share everything, so that a crash of one is a crash of all,
    /// and none can be killed or replaced.
    pub fn threads(mut self) -> Self {
        self.origin = Origin::Thread;
        self
    }

    /// A worker process that dies is replaced so often.
    pub fn restarts(mut self, restarts: u32) -> Self {
        self.restarts = restarts;
        self
    }

    /// Closing or dropping the runtime waits so long for the tasks of accepted runs, and then kills the workers that are still inside one. Without this it waits
    /// for as long as they take.
    pub fn kill_at_close(mut self, patience: Duration) -> Self {
        self.kill_at_close = Some(patience);
        self
    }

    /// Every next-level worker holds a chip, built by `chip` (which is given the worker's id) in the worker's process; what `make` returns, such as the ids of
    /// the kernels that it registers, is kept beside it for [`Callable::level`].
    pub fn chips<T: 'static>(
        mut self,
        chip: impl Fn(u32) -> Builder + Send + Sync + 'static,
        make: impl Fn(&mut Runtime) -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        self.initialise[CoreKind::Cube as usize] = Some(InitialiseOf(level::chips(chip, make)));
        self
    }

    /// Every next-level worker holds a host of its own, built by `host` (which is given the worker's id) in the worker's process, with what belongs to it.
    pub fn hosts<T: 'static>(mut self, host: impl Fn(u32) -> (HostBuilder, T) + Send + Sync + 'static) -> Self {
        self.initialise[CoreKind::Cube as usize] = Some(InitialiseOf(level::hosts(host)));
        self
    }

    /// What every worker of a kind does before it is READY; an error fails the start with its text.
    pub fn initialise(self, kind: CoreKind, body: impl Fn(u32) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.initialise_with_end(kind, move |id| body(id).map(|()| || {}))
    }

    /// The same with what the worker does at its orderly end.
    pub fn initialise_with_end<E: FnOnce() + 'static>(
        mut self,
        kind: CoreKind,
        body: impl Fn(u32) -> Result<E, String> + Send + Sync + 'static,
    ) -> Self {
        let initialise: Initialise = Arc::new(move |birth| {
            let end: Box<dyn FnOnce()> = Box::new(body(birth.id)?);
            Ok(end)
        });
        self.initialise[kind as usize] = Some(InitialiseOf(initialise));
        self
    }

    /// How the engine is set up: rings, heaps, budgets. Its chip and its threads are the host's own.
    pub fn engine(mut self, engine: impl FnOnce(Builder) -> Builder) -> Self {
        self.engine = engine(self.engine);
        self
    }

    /// How long all workers together, with everything below them, may take to be READY.
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.startup_timeout = timeout;
        self
    }

    /// How long one command to a worker may take before the worker is ended.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// A token with which another thread can cancel the start.
    pub fn cancel_with(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// How everybody waits; by default what fits the machine.
    pub fn waiting(mut self, policy: WaitingPolicy) -> Self {
        self.waiting = Some(policy);
        self
    }

    pub(super) fn deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Registers a callable that workers have from their birth.
    ///
    /// # Errors
    /// If all 1024 places are taken, or a library or symbol cannot be loaded.
    pub fn register(&mut self, callable: Callable) -> Result<CallableId, super::HostError> {
        let Callable { name, kind, made_of } = callable;
        let (kernel, symbol) = match made_of {
            MadeOf::Function(function) => {
                if let Some(worker) = self.spawned_worker(kind) {
                    return Err(super::HostError::NotASymbol { name, worker });
                }
                (Callable::kernel(name, kind, function), None)
            }
            MadeOf::Symbol { library, symbol } => {
                // SAFETY: whoever made the callable vouched for the symbol.
                let kernel = unsafe { library::load(&name, kind, &library, &symbol, None) }?;
                (kernel, Some((name, library, symbol)))
            }
        };
        let id = self.issuer.issue(self.callables.register(kernel)?);
        self.callables.issue(id.kernel, id.issue);
        if let Some((name, library, symbol)) = symbol {
            self.symbols.push(registration(id.kernel, &name, &library, &symbol));
        }
        Ok(id)
    }

    /// Makes the workers, waits until every one is READY, and starts the engine.
    ///
    /// # Errors
    /// Whatever is wrong with what was asked for, or goes wrong until then. Nothing is left in either case.
    pub fn start(self) -> Result<HostRuntime, HostStartError> {
        self.check()?;
        let plans = self.plans();
        let next_level = self.next_level.len() as u16;
        let subs = self.subs.len() as u16;
        let clusters = next_level.max(subs.div_ceil(2)).max(1);
        let missing = MissingCores { cubes: clusters - next_level, vectors: 2 * clusters - subs };
        let mut names = vec![String::new(); 3 * clusters as usize];
        let cores = (0..next_level).chain(clusters..clusters + subs).map(CoreId);
        let places: Vec<CoreId> = cores.collect();
        for (plan, core) in plans.iter().zip(&places) {
            names[core.index()] = worker_name(plan.kind, plan.id);
        }
        let chip = ChipSpec {
            name: "host",
            missing,
            kinds: ["next-level workers", "sub workers"],
            core_names: Some(names.into()),
            arguments: ArgumentLimits::HOST,
            exit_deadline_ms: EXIT_DEADLINE_MS,
            ..ChipSpec::unit(clusters)
        };
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
        // The scheduler, the caller and every worker may be awake at once.
        let fitting = WaitingPolicy::for_machine(processors, plans.len() + 2);
        let waiting = self.waiting.unwrap_or(WaitingPolicy { yields: YIELDS, ..fitting });
        let config = CrewConfig {
            workers: plans,
            startup_timeout: self.startup_timeout,
            command_timeout: self.command_timeout,
            waiting,
            symbols: self.symbols,
            inherited: self.inherited.into(),
        };
        let engine = self.engine.chip(chip).threads(2).stand_in().watchdog(NO_BUDGET).waiting(waiting);
        let callables = Callables { set: self.callables, issuer: self.issuer };
        let host = HostRuntime::assemble(self.level, engine, config, places, callables, &self.cancel, self.deadline)?;
        Ok(host.killing_at_close(self.kill_at_close))
    }

    fn check(&self) -> Result<(), HostStartError> {
        if !(3..=6).contains(&self.level) {
            return Err(HostStartError::Level { level: self.level });
        }
        if self.next_level.is_empty() && self.subs.is_empty() {
            return Err(HostStartError::NoWorkers);
        }
        let counts =
            [("next-level", self.next_level.len(), MOST_NEXT_LEVEL), ("sub", self.subs.len(), 2 * MOST_NEXT_LEVEL)];
        for (kind, count, limit) in counts {
            if count > limit {
                return Err(HostStartError::TooMany { count, kind, limit });
            }
        }
        if self.startup_timeout.is_zero() {
            return Err(HostStartError::Timeout);
        }
        let of_processes = [(self.restarts > 0, "be replaced"), (self.kill_at_close.is_some(), "be killed")];
        let asked = of_processes.into_iter().find(|&(asked, _)| asked);
        if let (Origin::Thread, Some((_, what))) = (self.origin, asked) {
            let worker = match (self.next_level.first(), self.subs.first()) {
                (Some(&id), _) => worker_name(CoreKind::Cube, id),
                (None, id) => worker_name(CoreKind::Vector, id.copied().unwrap_or_default()),
            };
            return Err(HostStartError::Thread { worker, what });
        }
        self.check_spawned()?;
        for (_, kernel) in self.callables.iter() {
            if let Some(kind) = missing_kind(kernel.kind, self.next_level.len(), self.subs.len()) {
                return Err(HostStartError::NoWorkerFor { callable: kernel.name.clone(), kind });
            }
        }
        Ok(())
    }

    fn plans(&self) -> Vec<WorkerPlan> {
        let plan = |kind: CoreKind, id: u32| WorkerPlan {
            id,
            kind,
            origin: if self.programs[kind as usize].is_some() { Origin::Spawn } else { self.origin },
            program: self.programs[kind as usize].clone(),
            initialise: self.initialise[kind as usize].as_ref().map(|initialise| initialise.0.clone()),
            restarts: self.restarts,
        };
        let next_level = self.next_level.iter().map(|&id| plan(CoreKind::Cube, id));
        next_level.chain(self.subs.iter().map(|&id| plan(CoreKind::Vector, id))).collect()
    }
}

/// The kind of worker that a callable needs and that there is none of.
pub(super) fn missing_kind(kind: Option<CoreKind>, next_level: usize, subs: usize) -> Option<&'static str> {
    match kind {
        Some(CoreKind::Cube) if next_level == 0 => Some("next-level"),
        Some(CoreKind::Vector) if subs == 0 => Some("sub"),
        _ => None,
    }
}
