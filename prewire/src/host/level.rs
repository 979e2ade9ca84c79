//! What a next-level worker holds: a runtime of the level below, made in the worker's own process.

use super::{HostBuilder, HostRuntime};
use crate::runtime::{Builder, Failed, Runtime};
use prewire_platform_host::process::{Birth, Initialise};
use prewire_runtime_core::kernel::KernelError;
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex};
use thiserror::Error;

/// The runtime that a next-level worker holds.
#[derive(Debug)]
pub enum Level {
    /// A chip, and whatever was made with it, such as its registered kernels.
    Chip(Box<Runtime>, Kept),
    /// A host of its own.
    Host(Box<HostRuntime>, Kept),
}

/// What was made together with a level.
pub struct Kept(Box<dyn Any>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

/// Why a worker's level is not what its callable takes it for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum LevelError {
    #[error("the worker holds no chip; ask for next-level workers with chips")]
    NoChip,
    #[error("the worker holds no host; ask for next-level workers with hosts")]
    NoHost,
    #[error("the worker's level was made with another type")]
    OtherType,
}

impl From<LevelError> for KernelError {
    fn from(error: LevelError) -> Self {
        KernelError::new(KernelError::ACCESS, error.to_string())
    }
}

impl From<Failed> for KernelError {
    /// The failure of a run of the level below becomes the failure of the task above that started it, with its whole text.
    fn from(failed: Failed) -> Self {
        KernelError::new(KernelError::BELOW, failed.to_string())
    }
}

impl Level {
    /// The chip, and what was made with it.
    ///
    /// # Errors
    /// If the worker holds no chip, or something else was made with it.
    pub fn chip<T: 'static>(&mut self) -> Result<(&mut Runtime, &mut T), LevelError> {
        match self {
            Level::Chip(runtime, kept) => Ok((runtime, kept.0.downcast_mut().ok_or(LevelError::OtherType)?)),
            Level::Host(..) => Err(LevelError::NoChip),
        }
    }

    /// The host, and what was made with it.
    ///
    /// # Errors
    /// If the worker holds no host, or something else was made with it.
    pub fn host<T: 'static>(&mut self) -> Result<(&mut HostRuntime, &mut T), LevelError> {
        match self {
            Level::Host(runtime, kept) => Ok((runtime, kept.0.downcast_mut().ok_or(LevelError::OtherType)?)),
            Level::Chip(..) => Err(LevelError::NoHost),
        }
    }
}

thread_local! {
    /// The level of the worker that this thread is.
    static LEVEL: RefCell<Option<Level>> = const { RefCell::new(None) };
}

/// Calls `body` with the level of the worker that this thread is.
pub(super) fn with(body: impl FnOnce(&mut Level) -> Result<(), KernelError>) -> Result<(), KernelError> {
    LEVEL.with_borrow_mut(|level| match level {
        Some(level) => {
            let settled = Settled(level);
            body(settled.0)
        }
        None => Err(KernelError::new(KernelError::ACCESS, "the worker holds no level below; ask for chips or hosts")),
    })
}

/// A level whose runs are over when this is dropped: what a task has handed down is used by nobody behind the task's end.
struct Settled<'a>(&'a mut Level);

impl Drop for Settled<'_> {
    fn drop(&mut self) {
        match self.0 {
            Level::Chip(runtime, _) => runtime.settle(),
            Level::Host(host, _) => host.runtime.settle(),
        }
    }
}

fn hold(level: Level) -> Box<dyn FnOnce()> {
    LEVEL.set(Some(level));
    // In order, while the worker's process is still whole.
    Box::new(|| drop(LEVEL.take()))
}

/// What makes a chip in a worker.
pub(super) fn chips<T: 'static>(
    builder: impl Fn(u32) -> Builder + Send + Sync + 'static,
    make: impl Fn(&mut Runtime) -> Result<T, String> + Send + Sync + 'static,
) -> Initialise {
    Arc::new(move |birth: &Birth| {
        let mut runtime = builder(birth.id).build().map_err(|error| error.to_string())?;
        let kept = make(&mut runtime)?;
        Ok(hold(Level::Chip(Box::new(runtime), Kept(Box::new(kept)))))
    })
}

/// What makes a host in a worker.
pub(super) fn hosts<T: 'static>(builder: impl Fn(u32) -> (HostBuilder, T) + Send + Sync + 'static) -> Initialise {
    // One at a time where several workers are threads of one process: each forks.
    let turn = Mutex::new(());
    Arc::new(move |birth: &Birth| {
        let _turn = turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (builder, kept) = builder(birth.id);
        let host = builder.deadline(birth.deadline).start().map_err(|error| error.to_string())?;
        Ok(hold(Level::Host(Box::new(host), Kept(Box::new(kept)))))
    })
}
