//! The workers of one runtime, from the runtime's side: they are made, waited for, told things, watched, replaced and ended here.

mod close;
mod incarnation;
mod order;
mod start;
mod watch;

pub use close::CloseError;
pub use incarnation::{Incarnation, Stage};
pub use order::CommandError;
pub use start::{CancelToken, StartError};

use crate::board::BoardMemory;
use crate::memory::{HostMemory, SharedBuffer};
use crate::process::{Initialise, Launcher, Program, WorkerRecipe};
use crate::worker::Callables;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::waiting::WaitingPolicy;
use rustix::fd::OwnedFd;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a worker comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A thread of the runtime's own process.
    Thread,
    /// A process forked by the launcher.
    Fork,
    /// A program of its own.
    Spawn,
}

/// One worker, as it is asked for.
#[derive(Clone)]
pub struct WorkerPlan {
    /// Its number, unique among the workers of its kind.
    pub id: u32,
    /// Cube for a next-level worker, vector for a sub worker.
    pub kind: CoreKind,
    /// Thread or process.
    pub origin: Origin,
    /// What is started, if it is a program of its own.
    pub program: Option<Program>,
    /// What it does before it is READY.
    pub initialise: Option<Initialise>,
    /// How often it is replaced when it dies.
    pub restarts: u32,
}

impl fmt::Debug for WorkerPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPlan").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What a worker is called in messages.
pub fn worker_name(kind: CoreKind, id: u32) -> String {
    match kind {
        CoreKind::Cube => format!("next-level worker {id}"),
        CoreKind::Vector => format!("sub worker {id}"),
    }
}

const UP: u8 = 0;
const DOWN: u8 = 1;
const GONE: u8 = 2;
/// It was not READY yet, or the others were not.
const BORN: u8 = 3;

/// One worker's place: the same through all its incarnations.
#[derive(Debug)]
pub struct Lane {
    /// The core that the worker is.
    pub core: CoreId,
    /// What messages call it.
    pub name: String,
    /// What was asked for.
    pub plan: WorkerPlan,
    recipe: WorkerRecipe,
    current: RwLock<Option<Arc<Incarnation>>>,
    next: Mutex<Option<Arc<Incarnation>>>,
    availability: AtomicU8,
    restarts: AtomicU32,
}

/// A counter that those who wait for workers sleep on.
#[derive(Debug, Default)]
pub(crate) struct Events {
    count: Mutex<u64>,
    changed: Condvar,
}

const POISON: &str = "no code panics while it holds a lock of the crew";

impl Events {
    pub(crate) fn happened(&self) {
        *self.count.lock().expect(POISON) += 1;
        self.changed.notify_all();
    }

    /// Waits until `done` gives something, which is asked again after every event, or until the deadline.
    pub(crate) fn wait_for<T>(&self, deadline: Option<Instant>, mut done: impl FnMut() -> Option<T>) -> Option<T> {
        let mut count = self.count.lock().expect(POISON);
        loop {
            let seen = *count;
            drop(count);
            if let Some(result) = done() {
                return Some(result);
            }
            count = self.count.lock().expect(POISON);
            while *count == seen {
                let Some(deadline) = deadline else {
                    count = self.changed.wait(count).expect(POISON);
                    continue;
                };
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    drop(count);
                    return done();
                }
                count = self.changed.wait_timeout(count, left).expect(POISON).0;
            }
        }
    }
}

/// Who must be told what, so that whoever is made later learns it as well.
#[derive(Default)]
struct Roster {
    living: Vec<Arc<Incarnation>>,
    buffers: Vec<Arc<SharedBuffer>>,
    /// What was registered before the start, which those that are forked are born with.
    inborn: Vec<crate::process::Command>,
    registrations: Vec<crate::process::Command>,
}

/// What a crew is made with.
#[derive(Clone, Debug)]
pub struct CrewConfig {
    /// The workers.
    pub workers: Vec<WorkerPlan>,
    /// How long all of them together may take to be READY.
    pub startup_timeout: Duration,
    /// How long one command to a worker may take.
    pub command_timeout: Duration,
    /// How a worker waits for its next task.
    pub waiting: WaitingPolicy,
    /// The library symbols that were registered before the start, for workers that are not born with them.
    pub symbols: Vec<crate::process::Command>,
    /// Ordinary memory that workers have as of their fork.
    pub inherited: Arc<[crate::own::Inherited]>,
}

/// The workers of one runtime.
pub struct Crew {
    lanes: Vec<Lane>,
    board: BoardMemory,
    memory: Arc<HostMemory>,
    callables: Callables,
    config: CrewConfig,
    launcher: Mutex<Option<Launcher>>,
    roster: Mutex<Roster>,
    events: Events,
    incarnations: AtomicU64,
    /// Changes with the availability of any worker.
    epoch: AtomicU32,
    closing: AtomicBool,
    /// How it ended, once it has.
    closed: Mutex<Option<Result<(), CloseError>>>,
    /// Who was killed inside a task so that the crew could be closed.
    killed: Mutex<Vec<Arc<Incarnation>>>,
    /// Wakes the watcher to look at another set of descriptors.
    nudge: OwnedFd,
    watcher: Mutex<Option<JoinHandle<()>>>,
    owner: rustix::process::Pid,
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

impl Lane {
    /// The incarnation that takes tasks now.
    #[inline]
    pub fn current(&self) -> Option<Arc<Incarnation>> {
        self.current.read().expect(POISON).clone()
    }

    /// The newest incarnation that is or was READY: a replacement takes tasks from its first dispatch on.
    pub fn latest(&self) -> Option<Arc<Incarnation>> {
        self.next.lock().expect(POISON).clone().or_else(|| self.current())
    }

    /// Calls `body` with the incarnation that takes tasks now.
    #[inline]
    pub(crate) fn with_current<R>(&self, body: impl FnOnce(Option<&Incarnation>) -> R) -> R {
        body(self.current.read().expect(POISON).as_deref())
    }

    /// How the present worker ended, if it did.
    pub(crate) fn death(&self) -> String {
        match self.current().map(|worker| worker.stage()) {
            Some(Stage::Dead(text)) => format!("{} {text}", self.name),
            _ => format!("{} is no more", self.name),
        }
    }

    /// A replacement takes over, if one is READY. Only while the old one has no task that was not taken in.
    pub(crate) fn take_over(&self) {
        if let Some(next) = self.next.lock().expect(POISON).take() {
            *self.current.write().expect(POISON) = Some(next);
        }
    }

    /// Whether the worker takes tasks.
    pub fn availability(&self) -> prewire_runtime_core::platform::Availability {
        use prewire_runtime_core::platform::Availability;
        match self.availability.load(Ordering::Acquire) {
            UP => Availability::Up,
            DOWN | BORN => Availability::Down,
            _ => Availability::Gone,
        }
    }
}

impl Crew {
    /// The workers' places.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The board that all share.
    pub fn board(&self) -> &BoardMemory {
        &self.board
    }

    /// The shared buffers.
    pub fn memory(&self) -> &Arc<HostMemory> {
        &self.memory
    }

    /// A number that changes with the availability of any worker.
    #[inline]
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether the crew is about to end, or has.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether this process is the one that made the crew, and not a copy of it.
    pub fn is_owner(&self) -> bool {
        rustix::process::getpid() == self.owner
    }

    fn set_availability(&self, lane: &Lane, availability: u8) {
        lane.availability.store(availability, Ordering::Release);
        self.tell_availability();
    }

    fn tell_availability(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.board.ring_scheduler();
    }

    fn nudge_watcher(&self) {
        // A full counter wakes the watcher as well.
        let _written = rustix::io::write(&self.nudge, &1u64.to_ne_bytes());
    }
}
