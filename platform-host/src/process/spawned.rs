//! Worker processes that are programs of their own. Nothing is forked, so a runtime of many threads can have them at any time; what they call they load themselves.
//!
//! The program is started with its channel as standard input. The first message on it says which version of everything the runtime was built with, and brings the
//! descriptors of what both share.

use super::channel::Channel;
use super::launcher::ProcessParts;
use super::main_loop::{Birth, WorkerRecipe, run_worker};
use super::message::{Exit, Greeting, WorkerReport};
use crate::wire::{LAYOUT_HASH, VERSION};
use crate::worker::Callables;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::waiting::WaitingPolicy;
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, getpid, pidfd_open, waitid};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

/// A program whose main function is [`serve_spawned`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// What it is called with.
    pub arguments: Vec<OsString>,
}

/// A program that was started.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

impl Program {
    /// Starts the program with its end of a channel as standard input.
    pub(crate) fn spawn(&self, channel: Channel) -> io::Result<Spawned> {
        let mut command = std::process::Command::new(&self.path);
        command.args(&self.arguments).stdin(Stdio::from(channel.into_fd()));
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("program {} cannot be started: {error}", self.path.display()))
        })?;
        let pid = child.id() as i32;
        // The number is the child's until somebody waits for it, which only the watcher does.
        let pidfd = pidfd_open(Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?, PidfdFlags::empty())?;
        Ok(Spawned { pid, pidfd })
    }
}

/// Says to a worker that is about to be started what it is, and hands over what it shares with its runtime.
pub(crate) fn greet(recipe: &WorkerRecipe, to: &Channel, shared: [OwnedFd; 3]) -> io::Result<()> {
    let greeting = Greeting {
        version: VERSION.into(),
        layout: LAYOUT_HASH,
        core: recipe.core.0,
        id: recipe.birth.id,
        name: recipe.birth.name.clone(),
        patience: [recipe.waiting.spins, recipe.waiting.yields],
    };
    let parent = pidfd_open(getpid(), PidfdFlags::empty())?;
    let [mailbox, board, life] = &shared;
    to.send(&greeting.encode(), &[mailbox.as_fd(), board.as_fd(), life.as_fd(), parent.as_fd()])
}

/// How a program that was started has ended, if it has.
pub(crate) fn reap(pidfd: &OwnedFd) -> Option<Exit> {
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok()??;
    Some(match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Exit::Status(status),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    })
}

/// The life of a worker that is a program of its own, as its main function. Returns the status that the program is to end with.
///
/// # Errors
/// A sentence for whoever started the program by hand.
pub fn serve_spawned() -> Result<i32, String> {
    let channel = take_channel().map_err(|error| error.to_string())?;
    let received = channel.receive().map_err(|error| error.to_string())?;
    let Some((message, descriptors)) = received else { return Ok(106) };
    let theirs = Greeting::decode_version(&message).ok_or("the first message is no greeting of a host runtime")?;
    if theirs != [VERSION.into(), LAYOUT_HASH] {
        // The runtime compares, and says what is wrong where somebody reads it.
        let ours = WorkerReport::Ready { version: VERSION.into(), layout: LAYOUT_HASH };
        channel.send(&ours.encode(), &[]).map_err(|error| error.to_string())?;
        return Ok(109);
    }
    let greeting = Greeting::decode(&message).ok_or("the greeting of the host runtime is cut short")?;
    let parts = <[OwnedFd; 4]>::try_from(descriptors);
    let [mailbox, board, life, parent] = parts.map_err(|_| "the greeting of the host runtime lacks descriptors")?;
    let recipe = WorkerRecipe {
        core: CoreId(greeting.core),
        birth: Birth { id: greeting.id, name: greeting.name, deadline: None },
        callables: Callables::default(),
        initialise: None,
        waiting: WaitingPolicy { spins: greeting.patience[0], yields: greeting.patience[1] },
        inherited: Arc::default(),
    };
    Ok(run_worker(&recipe, ProcessParts { mailbox, board, control: channel, life }, parent))
}

/// Takes the channel out of standard input, which reads nothing from then on.
fn take_channel() -> io::Result<Channel> {
    let input = std::io::stdin();
    let by_hand = "standard input is no channel of a host runtime: this program is a worker, which a runtime starts";
    let by_hand = |_| io::Error::new(io::ErrorKind::InvalidInput, by_hand);
    let kind = rustix::net::sockopt::socket_type(&input).map_err(by_hand)?;
    if kind != rustix::net::SocketType::SEQPACKET {
        return Err(by_hand(rustix::io::Errno::NOTSOCK));
    }
    let channel = rustix::io::fcntl_dupfd_cloexec(&input, 3)?;
    let nothing = std::fs::File::open("/dev/null")?;
    // SAFETY: standard input is replaced as a whole, and is nobody's own.
    let replaced = unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&nothing), 0) };
    if replaced < 0 { Err(io::Error::last_os_error()) } else { Ok(Channel::from_fd(channel)) }
}
