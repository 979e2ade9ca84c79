//! What a running task may ask of its worker.

use crate::board::{Board, Meeting, Met};
use crate::mailbox::Mailbox;
use prewire_runtime_core::kernel::{Condition, KernelError, KernelServices};
use prewire_runtime_core::platform::DispatchPayload;
use std::time::Duration;

/// The services of one running task.
#[derive(Debug)]
pub struct WorkerServices<'a> {
    pub(super) mailbox: &'a Mailbox,
    pub(super) board: &'a Board,
    pub(super) meeting: Option<&'a Meeting>,
}

/// How long a task that polls gives its processor away.
const NAP: Duration = Duration::from_micros(50);

impl KernelServices for WorkerServices<'_> {
    fn is_cancelled(&self, payload: &DispatchPayload) -> bool {
        self.board.is_over(payload.run)
    }

    fn alive(&self, _: &DispatchPayload) {
        let (running, _) = self.mailbox.pulse();
        self.mailbox.beat(running);
    }

    fn barrier(&self, payload: &DispatchPayload) -> Result<(), KernelError> {
        let Some(meeting) = self.meeting else {
            if payload.blocks == 1 {
                return Ok(());
            }
            let text = format!(
                "task {} uses a barrier between its blocks, which need not run at the same time; submit it as a group",
                payload.task
            );
            return Err(KernelError::new(KernelError::ACCESS, text));
        };
        match meeting.wait(payload.blocks, || self.board.is_over(payload.run)) {
            Met::Together => Ok(()),
            Met::SiblingFailed => Err(KernelError::new(KernelError::CANCELLED, "a sibling failed")),
            Met::RunOver => Err(KernelError::new(KernelError::CANCELLED, "the run has ended")),
        }
    }

    fn sibling_failed(&self, _: &DispatchPayload) -> bool {
        self.meeting.is_some_and(Meeting::has_failed)
    }

    fn send(&self, payload: &DispatchPayload, _: usize, _: u64) -> Result<(), KernelError> {
        Err(no_pipe(payload))
    }

    fn receive(&self, payload: &DispatchPayload, _: usize) -> Result<u64, KernelError> {
        Err(no_pipe(payload))
    }

    fn defer(&self, payload: &DispatchPayload, _: Condition) {
        // A worker's kernel has a process of its own to wait in; the panic becomes the task's failure.
        panic!(
            "task {} registered a counter to wait for, and a worker's tasks wait for nothing behind their end",
            payload.task
        );
    }

    fn relax(&self) {
        std::thread::sleep(NAP);
    }
}

fn no_pipe(payload: &DispatchPayload) -> KernelError {
    let text = format!("task {} uses a pipe, and the workers of a host have none; use a buffer", payload.task);
    KernelError::new(KernelError::ACCESS, text)
}
