//! The launcher: a process forked before the runtime starts a thread, which makes the workers and their replacements, and says how they ended.
//!
//! A process with threads cannot fork safely at any later time: the copy has one thread, and locks that the others held stay held. The launcher has one
//! thread, so it can. The launcher itself may be copied from a program that has threads, one of which may just then be inside a lock that no program can ask
//! for, such as the one that the standard library holds while a thread begins. So a fresh launcher starts a thread before anything else, and one that
//! cannot is replaced.

use super::channel::Channel;
use super::main_loop::{WorkerRecipe, run_worker};
use super::message::{Exit, LauncherReport, Reader, Writer};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, pidfd_open, pidfd_send_signal,
    waitid, waitpid,
};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a worker process is made with.
#[derive(Debug)]
pub(crate) struct ProcessParts {
    pub(crate) mailbox: OwnedFd,
    pub(crate) board: OwnedFd,
    pub(crate) control: Channel,
    /// The writing end of a pipe that everything below the worker inherits: its reader sees the end when the last of them is gone.
    pub(crate) life: OwnedFd,
}

/// An order for a worker process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForkOrder {
    pub(crate) incarnation: u64,
    /// Which of the recipes.
    pub(crate) recipe: usize,
}

/// The runtime's end.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) channel: Channel,
    pub(crate) pid: Pid,
}

/// Held while this process is copied, and while it has descriptors whose end somebody waits for: a copy that another thread made meanwhile would keep them open.
static COPYING: Mutex<()> = Mutex::new(());

/// Keeps other threads from copying this process for a launcher.
pub(crate) fn uncopied() -> MutexGuard<'static, ()> {
    COPYING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a launcher says once it has started a thread.
const SOUND: &[u8] = b"sound";
/// How long it may take for that, far longer than on a busy machine, and how many are tried.
const PROBE: Duration = Duration::from_secs(2);
const COPIES: u32 = 5;

struct Child {
    incarnation: u64,
    pidfd: OwnedFd,
}

/// Forks. Zero in the copy.
fn fork() -> io::Result<i32> {
    // SAFETY: the copy has this thread only. It calls nothing that needs another, and the C library makes its own locks usable in it.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

/// Ends this process at once, without what a library or the language does at an orderly end: buffers and handlers are the original's.
pub(crate) fn leave(status: i32) -> ! {
    // SAFETY: it does not return and touches no memory of ours.
    unsafe { libc::_exit(status) }
}

impl Launcher {
    /// Forks the launcher. Its workers are made by `recipes`, which it inherits with everything that they capture.
    ///
    /// # Errors
    /// If there can be no more processes or descriptors.
    pub(crate) fn start(recipes: &[WorkerRecipe]) -> io::Result<Launcher> {
        for _ in 0..COPIES {
            let launcher = Launcher::copy(recipes)?;
            if launcher.is_sound() {
                return Ok(launcher);
            }
            tracing::debug!(
                "a copy of this process cannot start threads, as another thread was starting or ending one; it is made anew"
            );
            launcher.abandon();
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!(
                "{COPIES} copies of this process could not start a thread each; start the workers while fewer threads come and go"
            ),
        ))
    }

    fn copy(recipes: &[WorkerRecipe]) -> io::Result<Launcher> {
        let alone = uncopied();
        let (ours, theirs) = Channel::pair()?;
        let parent = pidfd_open(getpid(), PidfdFlags::empty())?;
        match fork()? {
            0 => {
                // Workers may hold levels of their own, whose launchers are copies of them.
                drop(alone);
                drop(ours);
                let status = catch_unwind(AssertUnwindSafe(|| {
                    // Joined, so that the launcher has one thread again and what a thread's end locks is free as well.
                    let started = std::thread::Builder::new().spawn(|| ()).is_ok_and(|probe| probe.join().is_ok());
                    if started && theirs.send(SOUND, &[]).is_ok() { serve(&theirs, &parent, recipes) } else { 105 }
                }));
                leave(status.unwrap_or(101))
            }
            pid => {
                drop(theirs);
                drop(alone);
                let pid = Pid::from_raw(pid).expect("a process has a number");
                Ok(Launcher { channel: ours, pid })
            }
        }
    }

    /// Waits until the copy has shown that it can start threads. False if it does not.
    fn is_sound(&self) -> bool {
        let mut events = [PollFd::new(&self.channel, PollFlags::IN)];
        let deadline = Instant::now() + PROBE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut events, Some(&timeout)) {
                Ok(0) => return false,
                Ok(_) => return matches!(self.channel.receive(), Ok(Some((message, _))) if message == SOUND),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Ends a copy that is of no use.
    fn abandon(self) {
        // It is this process's child and was not waited for, so the number is its own.
        let _sent = kill_process(self.pid, Signal::KILL);
        while let Err(rustix::io::Errno::INTR) = waitpid(Some(self.pid), WaitOptions::empty()) {}
    }

    /// Orders a worker process.
    pub(crate) fn order(&self, order: ForkOrder, parts: &ProcessParts) -> io::Result<()> {
        let message = Writer::default().number(order.incarnation).number(order.recipe as u64).done();
        self.channel
            .send(&message, &[parts.mailbox.as_fd(), parts.board.as_fd(), parts.control.as_fd(), parts.life.as_fd()])
    }
}

/// The launcher's life: until its runtime closes the channel or dies.
fn serve(channel: &Channel, parent: &OwnedFd, recipes: &[WorkerRecipe]) -> i32 {
    let mut children: Vec<Child> = Vec::new();
    loop {
        let mut events = vec![PollFd::new(channel, PollFlags::IN), PollFd::new(parent, PollFlags::IN)];
        events.extend(children.iter().map(|child| PollFd::new(&child.pidfd, PollFlags::IN)));
        match poll(&mut events, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return end(&children),
        }
        let happened: Vec<bool> = events.iter().map(|event| !event.revents().is_empty()).collect();
        drop(events);
        let mut at = 1;
        children.retain(|child| {
            at += 1;
            let ended = happened[at];
            if ended {
                let report = LauncherReport::Exited { incarnation: child.incarnation, exit: reap(child) };
                // A runtime that is gone needs no report.
                let _sent = channel.send(&report.encode(), &[]);
            }
            !ended
        });
        if happened[1] {
            return end(&children);
        }
        if happened[0] {
            match channel.receive() {
                Ok(Some((message, descriptors))) => {
                    if let Some(child) = make(channel, parent, recipes, &message, descriptors, &mut children) {
                        children.push(child);
                    }
                }
                Ok(None) | Err(_) => return end(&children),
            }
        }
    }
}

/// The runtime is gone: so are its workers.
fn end(children: &[Child]) -> i32 {
    for child in children {
        // One that is gone already needs no signal.
        let _sent = pidfd_send_signal(&child.pidfd, Signal::KILL);
    }
    for child in children {
        reap(child);
    }
    0
}

fn reap(child: &Child) -> Exit {
    loop {
        match waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => {
                return match (status.exit_status(), status.terminating_signal()) {
                    (Some(status), _) => Exit::Status(status),
                    (None, Some(signal)) => Exit::Signal(signal),
                    (None, None) => Exit::Unknown,
                };
            }
            Err(rustix::io::Errno::INTR) => {}
            Ok(None) | Err(_) => return Exit::Unknown,
        }
    }
}

fn make(
    channel: &Channel,
    parent: &OwnedFd,
    recipes: &[WorkerRecipe],
    message: &[u8],
    descriptors: Vec<OwnedFd>,
    children: &mut Vec<Child>,
) -> Option<Child> {
    let mut reader = Reader::new(message);
    let (incarnation, recipe) = (reader.number()?, usize::try_from(reader.number()?).ok()?);
    let [mailbox, board, control, life] = <[OwnedFd; 4]>::try_from(descriptors).ok()?;
    let failed = |error: &io::Error| {
        tracing::error!("a worker process cannot be made: {error}");
        let report = LauncherReport::Exited { incarnation, exit: Exit::Unknown };
        let _sent = channel.send(&report.encode(), &[]);
    };
    let pid = match fork() {
        Ok(0) => {
            // What the launcher has open for others is not this worker's.
            children.clear();
            let parts = ProcessParts { mailbox, board, control: Channel::from_fd(control), life };
            let parent = parent.as_fd().try_clone_to_owned();
            let status = match parent {
                Ok(parent) => {
                    catch_unwind(AssertUnwindSafe(|| run_worker(&recipes[recipe], parts, parent))).unwrap_or(101)
                }
                Err(_) => 102,
            };
            leave(status)
        }
        Ok(pid) => Pid::from_raw(pid)?,
        Err(error) => {
            failed(&error);
            return None;
        }
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => {
            let report = LauncherReport::Started { incarnation, pid: pid.as_raw_nonzero().get() };
            let _sent = channel.send(&report.encode(), &[pidfd.as_fd()]);
            Some(Child { incarnation, pidfd })
        }
        Err(error) => {
            failed(&error.into());
            None
        }
    }
}
