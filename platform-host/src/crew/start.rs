//! Making workers, and the barrier: every one of them is READY before anything is dispatched, or none is left.

use super::incarnation::{Incarnation, Stage, Wires};
use super::{BORN, Crew, CrewConfig, Events, Lane, Origin, POISON, Roster, UP, worker_name};
use crate::board::BoardMemory;
use crate::mailbox::Mailbox;
use crate::memory::{HostMemory, SharedBuffer};
use crate::process::{Birth, Channel, Command, ForkOrder, Launcher, ProcessParts, WorkerRecipe, greet, uncopied};
use crate::shared::SharedMemory;
use crate::worker::{Buffers, Callables, Worker};
use prewire_runtime_core::id::CoreId;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::Instant;
use thiserror::Error;

/// Why the workers did not come up. None of them is left.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error("workers cannot be made: {0}")]
    System(#[from] io::Error),
    #[error("{worker} failed to start: {reason}")]
    Failed { worker: String, reason: String },
    #[error("the start-up deadline of {timeout_ms} ms passed before these workers were ready: {missing}")]
    Deadline { timeout_ms: u128, missing: String },
    #[error("the start was cancelled")]
    Cancelled,
}

/// Cancels a start from another thread.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<Cancel>);

#[derive(Debug, Default)]
struct Cancel {
    cancelled: AtomicBool,
    crew: Mutex<Weak<Crew>>,
}

impl CancelToken {
    /// Ends the start that the token was given to, now or when it begins.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        if let Some(crew) = self.0.crew.lock().expect(POISON).upgrade() {
            crew.events.happened();
        }
    }

    /// Whether it was used.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }
}

/// A thread worker finds buffers where its runtime has them.
struct OwnBuffers(Arc<HostMemory>);

impl Buffers for OwnBuffers {
    fn find(&self, buffer: u64) -> Option<(u64, u64)> {
        let Some(buffer) = self.0.by_id(buffer) else { return self.0.unshared.find(buffer) };
        Some((buffer.address(), buffer.memory.bytes() as u64))
    }

    fn around(&self, address: u64) -> Option<Arc<SharedBuffer>> {
        self.0.around(address)
    }
}

/// How many threads this process has, if the system says.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

impl Crew {
    /// Makes all workers and waits until every one is READY. `places` says which core each worker is, in their order.
    ///
    /// # Errors
    /// The first thing that goes wrong. Then every process, thread and descriptor is gone again.
    pub fn start(
        config: CrewConfig,
        places: &[CoreId],
        callables: Callables,
        board: BoardMemory,
        memory: Arc<HostMemory>,
        cancel: &CancelToken,
        deadline: Option<Instant>,
    ) -> Result<Arc<Crew>, StartError> {
        let own = Instant::now().checked_add(config.startup_timeout);
        let deadline = [own, deadline].into_iter().flatten().min();
        let lanes: Vec<Lane> = config
            .workers
            .iter()
            .zip(places)
            .map(|(plan, &core)| {
                let name = worker_name(plan.kind, plan.id);
                let birth = Birth { id: plan.id, name: name.clone(), deadline };
                Lane {
                    core,
                    recipe: WorkerRecipe {
                        core,
                        birth,
                        callables: callables.clone(),
                        initialise: plan.initialise.clone(),
                        waiting: config.waiting,
                        inherited: config.inherited.clone(),
                    },
                    name,
                    current: RwLock::new(None),
                    next: Mutex::new(None),
                    availability: AtomicU8::new(BORN),
                    restarts: AtomicU32::new(plan.restarts),
                    plan: plan.clone(),
                }
            })
            .collect();
        let launcher = if lanes.iter().any(|lane| lane.plan.origin == Origin::Fork) {
            if let Some(others) = threads().map(|threads| threads - 1).filter(|&others| others > 0) {
                tracing::warn!(
                    "workers are forked from a process with {others} other threads; what those hold locked stays locked in the workers"
                );
            }
            let recipes: Vec<_> = lanes.iter().map(|lane| lane.recipe.clone()).collect();
            Some(Launcher::start(&recipes)?)
        } else {
            None
        };
        let roster = Roster { buffers: memory.all(), inborn: config.symbols.clone(), ..Roster::default() };
        let crew = Arc::new(Crew {
            lanes,
            board,
            memory,
            callables,
            config,
            launcher: Mutex::new(launcher),
            roster: Mutex::new(roster),
            events: Events::default(),
            incarnations: AtomicU64::new(0),
            epoch: AtomicU32::new(1),
            closing: AtomicBool::new(false),
            closed: Mutex::new(None),
            killed: Mutex::new(Vec::new()),
            nudge: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from)?,
            watcher: Mutex::new(None),
            owner: rustix::process::getpid(),
        });
        *cancel.0.crew.lock().expect(POISON) = Arc::downgrade(&crew);
        let started = crew.start_all(deadline, cancel);
        if let Err(error) = started {
            crew.roll_back();
            return Err(error);
        }
        let sharers: Weak<Crew> = Arc::downgrade(&crew);
        crew.memory.tell(sharers);
        Ok(crew)
    }

    fn start_all(self: &Arc<Self>, deadline: Option<Instant>, cancel: &CancelToken) -> Result<(), StartError> {
        self.start_watching()?;
        for lane in 0..self.lanes.len() {
            let worker = self.embody(lane).map_err(|error| match self.lanes[lane].plan.origin {
                Origin::Spawn => {
                    StartError::Failed { worker: self.lanes[lane].name.clone(), reason: error.to_string() }
                }
                Origin::Fork | Origin::Thread => error.into(),
            })?;
            *self.lanes[lane].current.write().expect(POISON) = Some(worker);
        }
        let outcome = self.events.wait_for(deadline, || self.barrier(cancel));
        outcome.unwrap_or_else(|| {
            let missing = self.lanes.iter().filter(|lane| !lane.is_ready());
            Err(StartError::Deadline {
                timeout_ms: self.config.startup_timeout.as_millis(),
                missing: missing.map(|lane| lane.name.clone()).collect::<Vec<_>>().join(", "),
            })
        })?;
        for lane in &self.lanes {
            // One that has died since the barrier was passed is being replaced.
            let _dead = lane.availability.compare_exchange(BORN, UP, Ordering::AcqRel, Ordering::Relaxed);
        }
        self.tell_availability();
        Ok(())
    }

    /// What there is to say about the start: nothing yet, that all are READY, or what went wrong first.
    fn barrier(&self, cancel: &CancelToken) -> Option<Result<(), StartError>> {
        if cancel.is_cancelled() || self.is_closing() {
            return Some(Err(StartError::Cancelled));
        }
        let mut all = true;
        for lane in &self.lanes {
            let stage = lane.with_current(|worker| worker.map_or(Stage::Starting, Incarnation::stage));
            match stage {
                Stage::Ready => all &= lane.is_ready(),
                Stage::Starting => all = false,
                Stage::Failed(reason) | Stage::Dead(reason) => {
                    return Some(Err(StartError::Failed { worker: lane.name.clone(), reason }));
                }
            }
        }
        all.then_some(Ok(()))
    }

    /// Makes one life of a worker, and tells it all that the others know.
    pub(super) fn embody(self: &Arc<Self>, lane: usize) -> io::Result<Arc<Incarnation>> {
        let number = self.incarnations.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(SharedMemory::create("prewire-mailbox", size_of::<Mailbox>())?);
        match self.lanes[lane].plan.origin {
            Origin::Thread => self.embody_thread(number, lane, mailbox),
            Origin::Fork | Origin::Spawn => self.embody_process(number, lane, mailbox),
        }
    }

    fn embody_process(&self, number: u64, lane: usize, mailbox: Arc<SharedMemory>) -> io::Result<Arc<Incarnation>> {
        let alone = uncopied();
        let (ours, theirs) = Channel::pair()?;
        ours.set_patience(self.config.command_timeout)?;
        let (life, held) = pipe_with(PipeFlags::CLOEXEC)?;
        let (shared, board) = (mailbox.fd().try_clone_to_owned()?, self.board.memory().fd().try_clone_to_owned()?);
        let worker = Arc::new(Incarnation::new(number, lane, mailbox, Some(Wires { control: ours, life })));
        let is_forked = self.lanes[lane].plan.origin == Origin::Fork;
        {
            // Held until it is told all: what is announced meanwhile comes behind it. It reads from its birth on, and what it is told is not answered, so
            // that there may be any number of buffers.
            let mut roster = self.roster.lock().expect(POISON);
            if is_forked {
                let parts = ProcessParts { mailbox: shared, board, control: theirs, life: held };
                let launcher = self.launcher.lock().expect(POISON);
                let launcher = launcher.as_ref().ok_or_else(|| io::Error::other("the launcher is gone"))?;
                launcher.order(ForkOrder { incarnation: number, recipe: lane }, &parts)?;
            } else {
                self.spawn(&worker, theirs, [shared, board, held])?;
            }
            for buffer in &roster.buffers {
                worker.tell(&buffer.import(), &[buffer.memory.fd()]);
            }
            // What was registered before the start comes with a fork.
            let inborn = if is_forked { &[] } else { roster.inborn.as_slice() };
            inborn.iter().chain(&roster.registrations).for_each(|command| worker.tell(command, &[]));
            // Its answer says that all of this is done.
            worker.send(&Command::Status, &[], false);
            roster.living.push(worker.clone());
        }
        drop(alone);
        self.nudge_watcher();
        Ok(worker)
    }

    /// Starts the program that a worker is.
    fn spawn(&self, worker: &Incarnation, theirs: Channel, shared: [OwnedFd; 3]) -> io::Result<()> {
        let lane = &self.lanes[worker.lane];
        let program = lane.plan.program.as_ref().ok_or_else(|| io::Error::other("no program was named"))?;
        let wires = worker.wires.as_ref().expect("a process");
        greet(&lane.recipe, &wires.control, shared)?;
        let spawned = program.spawn(theirs)?;
        let mut facts = worker.facts.lock().expect(POISON);
        (facts.pid, facts.pidfd) = (Some(spawned.pid), Some(spawned.pidfd));
        Ok(())
    }

    fn embody_thread(
        self: &Arc<Self>,
        number: u64,
        lane: usize,
        mailbox: Arc<SharedMemory>,
    ) -> io::Result<Arc<Incarnation>> {
        let incarnation = Arc::new(Incarnation::new(number, lane, mailbox.clone(), None));
        self.roster.lock().expect(POISON).living.push(incarnation.clone());
        let recipe = &self.lanes[lane].recipe;
        let worker = Worker {
            name: recipe.birth.name.clone(),
            core: recipe.core,
            mailbox,
            board: self.board.clone(),
            callables: self.callables.clone(),
            buffers: Arc::new(OwnBuffers(self.memory.clone())),
            waiting: recipe.waiting,
        };
        let (initialise, birth) = (recipe.initialise.clone(), recipe.birth.clone());
        let (crew, life) = (Arc::downgrade(self), incarnation.clone());
        let tell = move |stage: Stage| {
            let ended = matches!(stage, Stage::Dead(_) | Stage::Failed(_));
            life.facts.lock().expect(POISON).stage = stage;
            life.dead.store(ended, Ordering::Release);
            if let Some(crew) = crew.upgrade() {
                crew.events.happened();
            }
        };
        let body = move || {
            let finish = match initialise.map(|initialise| initialise(&birth)).transpose() {
                Ok(finish) => finish,
                Err(reason) => return tell(Stage::Failed(reason)),
            };
            tell(Stage::Ready);
            worker.serve();
            if let Some(finish) = finish {
                finish();
            }
            tell(Stage::Dead("it was shut down".to_owned()));
        };
        let thread = std::thread::Builder::new().name(self.lanes[lane].name.clone()).spawn(body)?;
        *incarnation.thread.lock().expect(POISON) = Some(thread);
        Ok(incarnation)
    }
}

impl Lane {
    /// Whether its worker takes tasks.
    pub(super) fn is_ready(&self) -> bool {
        self.with_current(|worker| worker.is_some_and(Incarnation::is_settled))
    }
}
