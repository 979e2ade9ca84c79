//! What ends a run, and what is wrong with a run that ended by itself.

use super::{ErrorCode, Refusal, StallReport};
use crate::id::{KernelId, RingIndex, TaskId};
use thiserror::Error;

/// What stands in the way of a resource's reclaim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockedOn {
    /// The oldest task of the ring, which must go first.
    pub head: TaskId,
    /// The depth of the open scope that keeps it, if one does.
    pub scope_depth: Option<usize>,
}

impl std::fmt::Display for BlockedOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.scope_depth {
            Some(depth) => write!(f, "its head, task {}, is kept by the open scope at depth {depth}", self.head),
            None => write!(f, "its head, task {}, is not finished", self.head),
        }
    }
}

/// The first fatal cause of a run. It ends the run and is never replaced by a later one.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Fatal {
    /// Code 1.
    #[error(
        "scope deadlock (code 1): the scope at depth {depth} holds {held} tasks with outputs, all that ring {} has room for (window {window}); \
         set PREWIRE_RING_TASK_WINDOW to at least {sufficient}, or close scopes earlier", ring.0
    )]
    #[allow(missing_docs)]
    ScopeDeadlock { depth: usize, ring: RingIndex, window: u64, held: u64, sufficient: u64 },
    /// Code 2.
    #[error(
        "heap deadlock (code 2): ring {} cannot make room for {requested} bytes, {used} of {capacity} are in use and {blocked}; \
         set PREWIRE_RING_HEAP to at least {sufficient}, or close scopes earlier", ring.0
    )]
    #[allow(missing_docs)]
    HeapDeadlock { ring: RingIndex, requested: u64, used: u64, capacity: u64, blocked: BlockedOn, sufficient: u64 },
    /// Code 2, for a request that no reclaim can help.
    #[error(
        "heap too small (code 2): a task of ring {} needs {requested} bytes at once and the heap has {capacity}; set PREWIRE_RING_HEAP to at least {sufficient}",
        ring.0
    )]
    #[allow(missing_docs)]
    HeapTooSmall { ring: RingIndex, requested: u64, capacity: u64, sufficient: u64 },
    /// Code 3.
    #[error(
        "task window deadlock (code 3): ring {} has {used} of {window} slots in use and {blocked}; \
         set PREWIRE_RING_TASK_WINDOW to at least {sufficient}, or close scopes earlier", ring.0
    )]
    #[allow(missing_docs)]
    WindowDeadlock { ring: RingIndex, used: u64, window: u64, blocked: BlockedOn, sufficient: u64 },
    /// Code 4.
    #[error(
        "edge pool overflow (code 4): a task of ring {} needs {needed} edges, {used} of {capacity} are in use{}; \
         set PREWIRE_RING_DEP_POOL to at least {sufficient}", ring.0, blocked.map(|blocked| format!(" and {blocked}")).unwrap_or_default()
    )]
    #[allow(missing_docs)]
    EdgePoolOverflow {
        ring: RingIndex,
        needed: u64,
        used: u64,
        capacity: u64,
        blocked: Option<BlockedOn>,
        sufficient: u64,
    },
    /// Code 7.
    #[error("gang too large (code 7): {requested} blocks are to start together and the chip has room for {available}")]
    #[allow(missing_docs)]
    GangTooLarge { requested: u64, available: u64 },
    /// Code 8.
    #[error(
        "data wait timed out (code 8): after {budget_ms} ms the access still waits for task {task}, which is {doing}; raise PREWIRE_DATA_WAIT_MS if that is expected"
    )]
    #[allow(missing_docs)]
    DataWaitTimeout { task: TaskId, doing: String, budget_ms: u64 },
    /// Code 9.
    #[error("ended by the orchestration (code 9): {text}")]
    #[allow(missing_docs)]
    Explicit { text: String },
    /// Code 9, from outside of the orchestration.
    #[error("run {run} was cancelled (code 9){}", if reason.is_empty() { String::new() } else { format!(": {reason}") })]
    #[allow(missing_docs)]
    Cancelled { run: u32, reason: String },
    /// Code 11.
    #[error(
        "dependency index full (code 11): {needed} more entries are needed and {used} of {capacity} are in use; set PREWIRE_INDEX_ENTRIES to at least {sufficient}, or close scopes earlier"
    )]
    #[allow(missing_docs)]
    IndexOverflow { needed: u64, used: u64, capacity: u64, sufficient: u64 },
    /// Code 100.
    #[error("scheduler timeout (code 100): {0}")]
    Stalled(Box<StallReport>),
    /// Codes 101 to 103.
    #[error("deferred completion ({}): task {task}, kernel {kernel}, core {core}: {text}", *code as u16)]
    #[allow(missing_docs)]
    Deferred { code: ErrorCode, task: TaskId, kernel: String, core: String, text: String },
}

impl Fatal {
    /// The error's number.
    pub fn code(&self) -> ErrorCode {
        match self {
            Fatal::ScopeDeadlock { .. } => ErrorCode::ScopeDeadlock,
            Fatal::HeapDeadlock { .. } | Fatal::HeapTooSmall { .. } => ErrorCode::HeapDeadlock,
            Fatal::WindowDeadlock { .. } => ErrorCode::WindowDeadlock,
            Fatal::EdgePoolOverflow { .. } => ErrorCode::EdgePoolOverflow,
            Fatal::GangTooLarge { .. } => ErrorCode::GangTooLarge,
            Fatal::DataWaitTimeout { .. } => ErrorCode::DataWaitTimeout,
            Fatal::Explicit { .. } | Fatal::Cancelled { .. } => ErrorCode::ExplicitFatal,
            Fatal::IndexOverflow { .. } => ErrorCode::IndexOverflow,
            Fatal::Stalled(_) => ErrorCode::SchedulerTimeout,
            Fatal::Deferred { code, .. } => *code,
        }
    }
}

/// A kernel that failed. The graph around it completes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("kernel {kernel_name} failed in block {block} of task {task} on core {core}: code {code}: {text}")]
pub struct KernelFailure {
    /// The task.
    pub task: TaskId,
    /// The kernel's number.
    pub kernel: KernelId,
    /// The kernel's name.
    pub kernel_name: String,
    /// The block that failed first, as far as was seen.
    pub block: u32,
    /// The core it ran on, such as `AIV_37`.
    pub core: String,
    /// The kernel's own code.
    pub code: i32,
    /// The kernel's own text, or the text of its panic.
    pub text: String,
}

/// How a run went wrong. A fatal takes precedence; then the first refused call; then the first submitted task that failed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The run was ended.
    #[error("{0}")]
    Fatal(#[from] Fatal),
    /// A call was refused; the rest of the run completed.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The run did not begin: a core does not answer, or is still inside a kernel of an earlier run.
    #[error("the run was not started: {text}")]
    #[allow(missing_docs)]
    NotStarted { text: String },
    /// The run was asked for from inside of a callback of the same runtime, which it could only wait for.
    #[error("the run was asked for inside a callback of the same runtime; return from the callback first")]
    Inside,
    /// The runtime is closed.
    #[error("the runtime is closed and accepts no more runs")]
    Closed,
    /// Kernels failed; the rest of the graph completed. Results were not copied back.
    #[error("{first}; {failed} tasks failed and {unrun} were not run for it; results were not copied back")]
    #[allow(missing_docs)]
    KernelFailed { first: KernelFailure, failed: u64, unrun: u64 },
}

impl RunError {
    /// The number of the error; a kernel's failure has the kernel's own code instead.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            RunError::Fatal(fatal) => Some(fatal.code()),
            RunError::Refused(_) => Some(ErrorCode::InvalidArguments),
            RunError::NotStarted { .. } | RunError::KernelFailed { .. } | RunError::Inside | RunError::Closed => None,
        }
    }
}
