//! A worker: it takes tasks out of its mailbox one by one, runs them, and sleeps when there are none.

mod call;
mod services;

pub use services::WorkerServices;

use crate::board::BoardMemory;
use crate::mailbox::{Mailbox, oldest_published, sleep_on};
use crate::memory::SharedBuffer;
use crate::shared::SharedMemory;
use crate::wire::{FrameHeader, TaskArgsView, WireError};
use prewire_runtime_core::id::{CoreId, KernelId, SlotIndex, TaskId};
use prewire_runtime_core::kernel::{KernelError, KernelSet};
use prewire_runtime_core::platform::DispatchPayload;
use prewire_runtime_core::port::Token;
use prewire_runtime_core::sync::pause::{self, Point};
use prewire_runtime_core::tensor::TensorArgument;
use prewire_runtime_core::waiting::{Patience, Wait, WaitingPolicy};
use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, RwLock};

/// What a worker calls by number. Its control thread adds and takes away while tasks run.
pub type Callables = Arc<RwLock<KernelSet>>;

/// Where a worker finds the shared buffers that frames name.
pub trait Buffers: Send + Sync {
    /// Where a buffer is mapped here, and how many bytes it has.
    fn find(&self, buffer: u64) -> Option<(u64, u64)>;
    /// The buffer that is mapped here around an address.
    fn around(&self, address: u64) -> Option<Arc<SharedBuffer>>;
}

thread_local! {
    /// The buffers of the worker that this thread is.
    static GIVEN: RefCell<Option<Arc<dyn Buffers>>> = const { RefCell::new(None) };
}

/// The shared buffer around an address, as the worker that this thread is was given it: what a task of it may hand on to a level below.
pub fn given(address: u64) -> Option<Arc<SharedBuffer>> {
    GIVEN.with_borrow(|buffers| buffers.as_ref()?.around(address))
}

/// Everything that a worker needs to serve its mailbox.
pub struct Worker {
    /// What messages call it.
    pub name: String,
    /// The core that it is.
    pub core: CoreId,
    /// Its mailbox.
    pub mailbox: Arc<SharedMemory>,
    /// The board of its runtime.
    pub board: BoardMemory,
    /// What it can call.
    pub callables: Callables,
    /// The buffers it can reach.
    pub buffers: Arc<dyn Buffers>,
    /// How it waits for the next task.
    pub waiting: WaitingPolicy,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The mailbox in its memory.
pub(crate) fn mailbox_in(memory: &SharedMemory) -> &Mailbox {
    // SAFETY: a mailbox is atomics, and cells that its frames' state words guard; zeroed memory is one.
    unsafe { memory.as_value() }
}

impl Worker {
    /// Serves the mailbox until it is shut down.
    pub fn serve(&self) {
        GIVEN.set(Some(self.buffers.clone()));
        let mailbox = mailbox_in(&self.mailbox);
        let mut room = Room::new();
        let mut patience = Patience::default();
        loop {
            if let Some(token) = next_task(mailbox) {
                patience.reset();
                if mailbox.frames[token.parity()].state.start(token) {
                    self.run(mailbox, token, &mut room);
                }
            } else if mailbox.is_shut_down() {
                // A task that was published before the end was asked for may have come behind the first look; behind this one none does.
                if next_task(mailbox).is_none() {
                    return;
                }
            } else if patience.wait(self.waiting) == Wait::Sleep && !cfg!(prewire_mutation = "workers_spin") {
                patience.reset();
                sleep_on(&mailbox.bell, None, || mailbox.is_shut_down() || next_task(mailbox).is_some());
            }
        }
    }

    fn run(&self, mailbox: &Mailbox, token: Token, room: &mut Room) {
        mailbox.beat(token.to_register());
        let frame = &mailbox.frames[token.parity()];
        // SAFETY: this worker has started the frame, and finishes it only below.
        let blob = unsafe { frame.blob() };
        let mut meeting = FrameHeader::NO_MEETING;
        let result = match room.materialise(blob, &*self.buffers) {
            Ok(view) => {
                meeting = view.header().meeting;
                self.call(mailbox, &view, room)
            }
            Err(error) => Err(KernelError::new(KernelError::ACCESS, error.to_string())),
        };
        if let Err(error) = &result {
            // SAFETY: as above.
            unsafe { frame.write_failure(error.code, &error.text) };
            if let Some(meeting) = self.board.meeting(meeting) {
                meeting.fail();
            }
        }
        mailbox.beat(Token::IDLE);
        pause::at(Point::WorkerFinishes);
        frame.state.finish(token, result.is_ok());
        pause::at(Point::WorkerRings);
        self.board.ring_scheduler();
    }

    fn call(&self, mailbox: &Mailbox, view: &TaskArgsView<'_>, room: &Room) -> Result<(), KernelError> {
        let header = view.header();
        if self.board.is_over(header.run) && !cfg!(prewire_mutation = "staged_tasks_outlive_their_run") {
            // It was staged behind a task that its run did not outlive.
            return Err(KernelError::new(KernelError::CANCELLED, "its run ended before it began"));
        }
        let kernel = KernelId(header.callable as u16);
        let payload = DispatchPayload {
            task: TaskId::from_bits(header.task),
            tensors: room.tensors.as_ptr(),
            scalars: view.scalars().as_ptr(),
            slot: SlotIndex(header.slot),
            block: header.block,
            blocks: header.blocks,
            run: header.run,
            core: self.core,
            kernel,
            part: header.part,
            parts: header.parts,
            tensor_count: header.tensors,
            scalar_count: header.scalars,
            concurrent: header.meeting != FrameHeader::NO_MEETING,
        };
        let services = WorkerServices { mailbox, board: &self.board, meeting: self.board.meeting(header.meeting) };
        // Held while the task runs, by reference count, so that what it calls stays loaded.
        let function = self
            .callables
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .get(kernel)
            .map(|known| known.function.clone());
        let Some(function) = function else {
            let text = format!("callable {} is not registered on {}", kernel.0, self.name);
            return Err(KernelError::new(KernelError::ACCESS, text));
        };
        // SAFETY: the payload's arguments are the room's and the frame's, which stay as they are until the task is over; the dependencies order who
        // touches the memory.
        unsafe { call::call(&function, &payload, &services) }
    }
}

/// The frame to start next.
fn next_task(mailbox: &Mailbox) -> Option<Token> {
    let [even, odd] = &mailbox.frames;
    oldest_published(&even.state, &odd.state)
}

/// Room for the tensors of the largest task, so that receiving one allocates nothing.
struct Room {
    tensors: Vec<TensorArgument>,
}

impl Room {
    fn new() -> Self {
        Room { tensors: Vec::with_capacity(crate::wire::MAX_WIRE_TENSORS) }
    }

    fn materialise<'a>(&mut self, blob: &'a [u8], buffers: &dyn Buffers) -> Result<TaskArgsView<'a>, WireError> {
        let view = TaskArgsView::new(blob)?;
        self.tensors.clear();
        for argument in 0..view.tensors().len() {
            self.tensors.push(view.materialise(argument, |buffer| buffers.find(buffer))?);
        }
        Ok(view)
    }
}
