//! What can go wrong with a host runtime besides its runs.

use crate::runtime::BuildError;
use prewire_platform_host::crew::{CloseError, CommandError, StartError};
use prewire_platform_host::library::SymbolError;
use prewire_runtime_core::kernel::{KernelError, RegistrationError};
use thiserror::Error;

/// Why a host runtime was not built or started. Nothing of it is left.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum HostStartError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("level {level}: a host runtime has level 3 to 6, a chip level 2")]
    Level { level: u32 },
    #[error("no workers: ask for next-level workers, sub workers, or both")]
    NoWorkers,
    #[error("{count} {kind} workers: one runtime has at most {limit}")]
    TooMany { count: usize, kind: &'static str, limit: usize },
    #[error("{worker} is a thread worker, which cannot {what}; make it a process")]
    Thread { worker: String, what: &'static str },
    #[error("callable {callable} needs a {kind} worker, and there is none; add one or register it for the other kind")]
    NoWorkerFor { callable: String, kind: &'static str },
    #[error(transparent)]
    Callable(#[from] HostError),
    #[error(
        "{worker} is a program of its own and cannot be given what to do before it is ready; have the program do it, or let the worker be forked"
    )]
    SpawnedInitialise { worker: String },
    #[error("the start-up timeout must be positive")]
    Timeout,
    #[error("the board cannot be mapped: {0}")]
    Board(#[from] std::io::Error),
}

/// Why something was not done by a host runtime.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum HostError {
    #[error("the runtime is closed")]
    Closed,
    #[error("this is a forked process; the runtime and its workers belong to the original")]
    Forked,
    #[error(transparent)]
    Table(#[from] RegistrationError),
    #[error(
        "callable {name} is a function of this program and must be registered before start; what is registered later must be a library symbol"
    )]
    TooLate { name: String },
    #[error(
        "callable {name} is a function of this program, which {worker} does not have, being a program of its own; make it a library symbol"
    )]
    NotASymbol { name: String, worker: String },
    #[error(
        "{bytes} bytes at {address:#x} must be declared before start, with HostBuilder::inherit; use HostRuntime::buffer_from for memory that workers are to have now"
    )]
    TooLateToInherit { address: u64, bytes: u64 },
    #[error(
        "{bytes} bytes at {address:#x} were declared for another runtime; declare them with HostBuilder::inherit before start"
    )]
    NotInherited { address: u64, bytes: u64 },
    #[error("callable {callable} needs a {kind} worker, and there is none")]
    NoWorkerFor { callable: String, kind: &'static str },
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    #[error("callable {name} was registered nowhere: {}", each.join("; "))]
    Registration { name: String, each: Vec<String> },
    #[error("callable {name} is uncertain, because a worker may still have an earlier one: {}", each.join("; "))]
    Uncertain { name: String, each: Vec<String> },
    #[error(
        "callable {name} is uncertain since an earlier registration of its symbol could not be undone; use a copy of the library under another path, or a new runtime"
    )]
    StillUncertain { name: String },
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Close(#[from] CloseError),
    #[error("the runtime was to be closed inside one of its own callbacks; return from the callback first")]
    Inside,
    #[error(
        "closing timed out after {timeout_ms} ms with run {runs} in flight: {held}; close again when they are over, or let closing kill workers"
    )]
    CloseTimedOut { timeout_ms: u128, runs: String, held: String },
    #[error("tensor {argument} of the task cannot be handed to the level below: {reason}")]
    NotLent { argument: usize, reason: String },
    #[error("there is no {kind} worker with id {id}; there are {valid}")]
    UnknownWorker { kind: &'static str, id: u32, valid: String },
}

impl From<HostError> for KernelError {
    /// What the level below refuses fails the task above that asked for it.
    fn from(error: HostError) -> Self {
        KernelError::new(KernelError::ACCESS, error.to_string())
    }
}
