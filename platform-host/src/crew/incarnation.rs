//! One life of a worker.

use crate::mailbox::Mailbox;
use crate::process::{Channel, Exit};
use crate::shared::SharedMemory;
use crate::worker::mailbox_in;
use prewire_runtime_core::sync::pause::{self, Point};
use rustix::fd::OwnedFd;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// How far an incarnation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is being made, or initialises.
    Starting,
    /// It takes tasks.
    Ready,
    /// Its initialisation failed, for this reason.
    Failed(String),
    /// It has ended, and nothing of it can touch memory any more.
    Dead(String),
}

/// What is known about an incarnation.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) pid: Option<i32>,
    pub(super) pidfd: Option<OwnedFd>,
    pub(super) stage: Stage,
    pub(super) exit: Option<Exit>,
    /// When the last process below it went.
    pub(super) quiet: Option<std::time::Instant>,
    /// Why we ended it, if we did.
    pub(super) condemned: Option<String>,
    pub(super) replies: BTreeMap<u64, Result<String, String>>,
    /// Commands that nobody waits for, of which a refusal ends it.
    pub(super) unawaited: Vec<u64>,
    pub(super) next_sequence: u64,
}

/// A process's connections.
#[derive(Debug)]
pub(super) struct Wires {
    pub(super) control: Channel,
    pub(super) life: OwnedFd,
}

/// One life of a worker, as a process or a thread.
#[derive(Debug)]
pub struct Incarnation {
    pub(super) number: u64,
    pub(super) lane: usize,
    pub(super) mailbox: Arc<SharedMemory>,
    pub(super) wires: Option<Wires>,
    pub(super) facts: Mutex<Facts>,
    pub(super) thread: Mutex<Option<JoinHandle<()>>>,
    /// A copy of the stage that the scheduler can look at for nothing.
    pub(super) dead: AtomicBool,
    /// Whether it is a process that we ended, or are about to.
    given_up: AtomicBool,
}

impl Incarnation {
    pub(super) fn new(number: u64, lane: usize, mailbox: Arc<SharedMemory>, wires: Option<Wires>) -> Self {
        let facts = Facts {
            pid: None,
            pidfd: None,
            stage: Stage::Starting,
            exit: None,
            quiet: None,
            condemned: None,
            replies: BTreeMap::new(),
            unawaited: Vec::new(),
            next_sequence: 0,
        };
        Incarnation {
            number,
            lane,
            mailbox,
            wires,
            facts: Mutex::new(facts),
            thread: Mutex::new(None),
            dead: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
        }
    }

    /// Its mailbox.
    #[inline]
    pub fn mailbox(&self) -> &Mailbox {
        mailbox_in(&self.mailbox)
    }

    /// Whether it has ended and can touch no memory any more.
    #[inline]
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Whether it is a process that we ended, or are about to: what it says counts again once it is dead.
    #[inline]
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// Whether it is a process, which can be ended from outside.
    pub fn is_process(&self) -> bool {
        self.wires.is_some()
    }

    /// Its process, if it has one and it was made.
    pub fn pid(&self) -> Option<i32> {
        self.facts.lock().expect(super::POISON).pid
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.facts.lock().expect(super::POISON).stage.clone()
    }

    /// Whether it takes tasks, has done all that it was told before, and is known by its number, which somebody else tells.
    pub(super) fn is_settled(&self) -> bool {
        let facts = self.facts.lock().expect(super::POISON);
        facts.stage == Stage::Ready && facts.unawaited.is_empty() && (facts.pid.is_some() || !self.is_process())
    }

    /// Ends its process for a reason. A thread cannot be ended.
    pub fn kill(&self, reason: &str) {
        let mut facts = self.facts.lock().expect(super::POISON);
        facts.condemned.get_or_insert_with(|| reason.to_owned());
        // Before the signal: whatever it stores in between is looked at once it is dead.
        let is_heard = cfg!(prewire_mutation = "given_up_workers_are_heard");
        self.given_up.store(self.is_process() && !is_heard, Ordering::Release);
        drop(facts);
        pause::at(Point::WorkerIsKilled);
        if let Some(pidfd) = &self.facts.lock().expect(super::POISON).pidfd {
            // One that has ended needs no signal.
            let _sent = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
        }
    }
}
