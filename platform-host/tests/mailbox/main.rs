//! The mailbox between two processes.

#![cfg(target_os = "linux")]

mod rounds;
mod serving;

use prewire_platform_host::board::BoardMemory;
use prewire_platform_host::mailbox::Mailbox;
use prewire_platform_host::shared::SharedMemory;
use prewire_runtime_core::waiting::Doorbell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(120);

/// The run that all tasks here are of.
const RUN: u32 = 1;

/// What a parent and a worker share.
#[derive(Clone)]
struct Shared {
    memory: Arc<SharedMemory>,
    board: BoardMemory,
}

impl Shared {
    fn new() -> Self {
        let memory = Arc::new(SharedMemory::create("mailbox-test", size_of::<Mailbox>()).expect("there is memory"));
        let board = BoardMemory::create().expect("there is memory");
        board.begin(RUN);
        Shared { memory, board }
    }

    fn mailbox(&self) -> &Mailbox {
        // SAFETY: zeroed memory is a mailbox, and its protocol orders every access.
        unsafe { self.memory.as_value() }
    }

    /// Waits as a scheduler does: on the board's first word, which the worker rings.
    fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < LONG, "{what} did not happen");
            self.board.arm(0);
            if !done() {
                self.board.doze(0, Duration::from_secs(5));
            }
            self.board.disarm(0);
        }
    }
}

/// A process that does something and ends.
struct Forked(libc::pid_t);

impl Forked {
    fn new(body: impl FnOnce()) -> Self {
        // SAFETY: the test's process has no other thread that holds a lock which the child needs: the child computes on memory that it has.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "a process can be made");
        if pid == 0 {
            let status = if catch_unwind(AssertUnwindSafe(body)).is_ok() { 0 } else { 1 };
            // SAFETY: it ends the child without running what belongs to the parent.
            unsafe { libc::_exit(status) };
        }
        Forked(pid)
    }

    /// The status that it ended with.
    fn join(self) -> i32 {
        let mut status = 0;
        // SAFETY: a child of this process that nobody else waits for.
        let ended = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!(ended, self.0);
        std::mem::forget(self);
        status
    }
}

impl Drop for Forked {
    /// A test that fails leaves no process.
    fn drop(&mut self) {
        // SAFETY: a child of this process that nobody has waited for.
        let _killed = unsafe { libc::kill(self.0, libc::SIGKILL) };
        // SAFETY: as above.
        let _ended = unsafe { libc::waitpid(self.0, std::ptr::null_mut(), 0) };
    }
}
