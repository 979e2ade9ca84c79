//! A worker process from its birth to its end: it watches its parent, maps what it is told to map, initialises, says READY, and serves its mailbox.

use super::channel::Channel;
use super::launcher::{ProcessParts, leave};
use super::message::{Command, WorkerReport};
use crate::board::BoardMemory;
use crate::library;
use crate::memory::SharedBuffer;
use crate::own::{Inherited, OwnMemory};
use crate::shared::SharedMemory;
use crate::wire::{LAYOUT_HASH, VERSION};
use crate::worker::{Buffers, Callables, Worker};
use prewire_runtime_core::id::{CoreId, KernelId};
use prewire_runtime_core::waiting::WaitingPolicy;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Instant;

/// What a worker does before it is READY, in its own process or thread: `Ok` with what it does at its orderly end.
pub type Initialise = Arc<dyn Fn(&Birth) -> Result<Box<dyn FnOnce()>, String> + Send + Sync>;

/// What a worker knows when it initialises.
#[derive(Clone, Debug)]
pub struct Birth {
    /// Its number among the workers of its kind, as the user chose it.
    pub id: u32,
    /// What messages call it.
    pub name: String,
    /// When its runtime gives up waiting for it.
    pub deadline: Option<Instant>,
}

/// How a worker is made. The launcher inherits it.
#[derive(Clone)]
pub(crate) struct WorkerRecipe {
    pub(crate) core: CoreId,
    pub(crate) birth: Birth,
    pub(crate) callables: Callables,
    pub(crate) initialise: Option<Initialise>,
    pub(crate) waiting: WaitingPolicy,
    /// What a copy of the runtime's process has.
    pub(crate) inherited: Arc<[Inherited]>,
}

impl std::fmt::Debug for WorkerRecipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerRecipe").field("birth", &self.birth).finish_non_exhaustive()
    }
}

/// The buffers that a worker process has mapped.
#[derive(Debug)]
struct Imported {
    shared: RwLock<BTreeMap<u64, Arc<SharedBuffer>>>,
    own: RwLock<BTreeMap<u64, OwnMemory>>,
    inherited: Arc<[Inherited]>,
}

const POISON: &str = "no code panics while it holds a worker's table";

impl Buffers for Imported {
    fn find(&self, buffer: u64) -> Option<(u64, u64)> {
        let table = self.shared.read().expect(POISON);
        let shared = table.get(&buffer).map(|buffer| (buffer.address(), buffer.memory.bytes() as u64));
        drop(table);
        shared.or_else(|| self.find_unshared(buffer))
    }

    fn around(&self, address: u64) -> Option<Arc<SharedBuffer>> {
        let table = self.shared.read().expect(POISON);
        // Where one buffer ends another may begin.
        table.values().filter(|buffer| buffer.reaches(address)).max_by_key(|buffer| buffer.address()).cloned()
    }
}

impl Imported {
    #[cold]
    fn find_unshared(&self, buffer: u64) -> Option<(u64, u64)> {
        let inherited = self.inherited.iter().find(|known| known.buffer == buffer);
        let own = || self.own.read().expect(POISON).get(&buffer).map(OwnMemory::place);
        inherited.map(|known| (known.address, known.bytes)).or_else(own)
    }
}

/// The worker's life. Returns the status that its process ends with.
pub(crate) fn run_worker(recipe: &WorkerRecipe, parts: ProcessParts, parent: OwnedFd) -> i32 {
    let ProcessParts { mailbox, board, control, life } = parts;
    // Held open until this process ends, and inherited by all that it makes.
    std::mem::forget(life);
    let mapped = (|| {
        let mailbox = SharedMemory::map(mailbox, size_of::<crate::mailbox::Mailbox>())?;
        Ok::<_, std::io::Error>((mailbox, BoardMemory::map(board)?))
    })();
    let (mailbox, board) = match mapped {
        Ok(mapped) => mapped,
        Err(error) => {
            let _sent = control.send(&WorkerReport::Failed { reason: error.to_string() }.encode(), &[]);
            return 103;
        }
    };
    let control = Arc::new(control);
    let imported = Imported { shared: RwLock::default(), own: RwLock::default(), inherited: recipe.inherited.clone() };
    let imported = Arc::new(imported);
    let attendant =
        Attendant { control: control.clone(), parent, imported: imported.clone(), callables: recipe.callables.clone() };
    let started = std::thread::Builder::new().name("control".to_owned()).spawn(move || attendant.serve());
    let ended = match (started, &recipe.initialise) {
        (Err(error), _) => Err(format!("its control thread cannot be started: {error}")),
        (Ok(_), None) => Ok(None),
        (Ok(_), Some(initialise)) => initialise(&recipe.birth).map(Some),
    };
    let finish = match ended {
        Ok(finish) => finish,
        Err(reason) => {
            let _sent = control.send(&WorkerReport::Failed { reason }.encode(), &[]);
            return 1;
        }
    };
    let worker = Worker {
        name: recipe.birth.name.clone(),
        core: recipe.core,
        mailbox: Arc::new(mailbox),
        board,
        callables: recipe.callables.clone(),
        buffers: imported,
        waiting: recipe.waiting,
    };
    let ready = WorkerReport::Ready { version: VERSION.into(), layout: LAYOUT_HASH };
    if control.send(&ready.encode(), &[]).is_err() {
        return 104;
    }
    worker.serve();
    if let Some(finish) = finish {
        finish();
    }
    0
}

/// The thread of a worker that carries out commands and watches the parent, while the main thread runs tasks.
struct Attendant {
    control: Arc<Channel>,
    parent: OwnedFd,
    imported: Arc<Imported>,
    callables: Callables,
}

impl Attendant {
    fn serve(&self) {
        loop {
            let mut events = [PollFd::new(&self.control, PollFlags::IN), PollFd::new(&self.parent, PollFlags::IN)];
            if poll(&mut events, None).is_err() {
                continue;
            }
            let [control, parent] = events.map(|event| !event.revents().is_empty());
            // An orphan has nobody to work for, whatever it is doing.
            if parent {
                leave(105);
            }
            if control {
                match self.control.receive() {
                    Ok(Some((message, descriptors))) => self.obey(&message, descriptors),
                    Ok(None) | Err(_) => leave(106),
                }
            }
        }
    }

    fn obey(&self, message: &[u8], descriptors: Vec<OwnedFd>) {
        let Some((sequence, command)) = Command::decode(message) else { leave(107) };
        let report = match self.carry_out(command, descriptors) {
            Ok(_) if sequence == Command::UNANSWERED => return,
            Ok(text) => WorkerReport::Done { sequence, text },
            Err(reason) => WorkerReport::Refused { sequence, reason },
        };
        if self.control.send(&report.encode(), &[]).is_err() {
            leave(106);
        }
    }

    fn carry_out(&self, command: Command, descriptors: Vec<OwnedFd>) -> Result<String, String> {
        match command {
            Command::Import { buffer, bytes } => {
                let fd = descriptors.into_iter().next().ok_or("no descriptor came with the buffer")?;
                let bytes = usize::try_from(bytes).map_err(|error| error.to_string())?;
                let memory = SharedMemory::map(fd, bytes).map_err(|error| error.to_string())?;
                let shared = Arc::new(SharedBuffer { id: buffer, memory });
                self.imported.shared.write().expect(POISON).insert(buffer, shared);
            }
            Command::Release { buffer } => {
                self.imported.shared.write().expect(POISON).remove(&buffer);
                self.imported.own.write().expect(POISON).remove(&buffer);
            }
            Command::Register { callable, name, library, symbol, digest } => {
                // SAFETY: whoever registered the symbol vouched for it, in every worker that it is sent to.
                let kernel = unsafe { library::load(&name, None, library.as_ref(), &symbol, Some(digest)) };
                let kernel = kernel.map_err(|error| error.to_string())?;
                let mut callables = self.callables.write().unwrap_or_else(|poisoned| poisoned.into_inner());
                callables.register_at(callable.into(), kernel).map_err(|error| error.to_string())?;
            }
            Command::Unregister { callable } => {
                self.callables.write().unwrap_or_else(|poisoned| poisoned.into_inner()).unregister(KernelId(callable));
            }
            Command::Allocate { buffer, bytes, near } => {
                let bytes = usize::try_from(bytes).map_err(|error| error.to_string())?;
                let memory = OwnMemory::map(near, bytes).map_err(|error| error.to_string())?;
                let (address, _) = memory.place();
                self.imported.own.write().expect(POISON).insert(buffer, memory);
                return Ok(address.to_string());
            }
            Command::Status => {
                let buffers = self.imported.shared.read().expect(POISON).len();
                return Ok(format!("{buffers} buffers"));
            }
        }
        Ok(String::new())
    }
}
