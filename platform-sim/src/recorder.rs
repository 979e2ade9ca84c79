//! Which kernel ran where and when.

use prewire_runtime_core::id::{CoreId, KernelId, TaskId};
use prewire_runtime_core::port::Token;
use prewire_runtime_core::sync::Mutex;

/// One block's run on one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The core.
    pub core: CoreId,
    /// The task.
    pub task: TaskId,
    /// The kernel.
    pub kernel: KernelId,
    /// The block.
    pub block: u32,
    /// The core's part of its cluster: 0 cube, 1 and 2 vector.
    pub part: u8,
    /// The dispatch's token.
    pub token: Token,
    /// When its token was written, in virtual time; elsewhere when the kernel started.
    pub dispatch_ns: u64,
    /// When the kernel started, by the platform's clock, in nanoseconds.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
}

const POISON: &str = "no code panics while it holds a core's record";

/// Each core's executions. One lock per core, taken by the thread that runs the core's kernels and, between runs, by the reader.
#[derive(Debug)]
pub(crate) struct Recorder(Box<[Mutex<Vec<Execution>>]>);

impl Recorder {
    pub(crate) fn new(cores: u16) -> Self {
        Recorder((0..cores).map(|_| Mutex::default()).collect())
    }

    /// Makes room for so many executions on every core; beyond it the record grows.
    pub(crate) fn reserve(&self, per_core: usize) {
        for core in &self.0 {
            let mut core = core.lock().expect(POISON);
            let missing = per_core.saturating_sub(core.len());
            core.reserve(missing);
        }
    }

    pub(crate) fn push(&self, execution: Execution) {
        self.0[execution.core.index()].lock().expect(POISON).push(execution);
    }

    /// Gives all executions to `each`, core by core in the order of their end, and forgets them; the room stays.
    pub(crate) fn drain(&self, mut each: impl FnMut(Execution)) {
        for core in &self.0 {
            core.lock().expect(POISON).drain(..).for_each(&mut each);
        }
    }
}
