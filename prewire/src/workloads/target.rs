//! What an orchestration submits to: a run, or a recorder.

use prewire::record::Recorder;
use prewire::{NewTensor, Run, ScopeMode, SubmitError, Submitted, Task};

/// What takes tasks.
pub(crate) trait Target {
    fn submit(&mut self, task: &Task<'_>) -> Result<Submitted<'_>, SubmitError>;
    fn allocate(&mut self, tensors: &[NewTensor]) -> Result<Submitted<'_>, SubmitError>;
    fn open_scope(&mut self) -> Result<(), SubmitError>;
    fn close_scope(&mut self) -> Result<(), SubmitError>;
}

impl Target for Run<'_> {
    fn submit(&mut self, task: &Task<'_>) -> Result<Submitted<'_>, SubmitError> {
        Run::submit(self, task)
    }

    fn allocate(&mut self, tensors: &[NewTensor]) -> Result<Submitted<'_>, SubmitError> {
        Run::allocate(self, tensors)
    }

    fn open_scope(&mut self) -> Result<(), SubmitError> {
        Run::open_scope(self, ScopeMode::Automatic)
    }

    fn close_scope(&mut self) -> Result<(), SubmitError> {
        Run::close_scope(self)
    }
}

impl Target for Recorder {
    fn submit(&mut self, task: &Task<'_>) -> Result<Submitted<'_>, SubmitError> {
        Recorder::submit(self, task)
    }

    fn allocate(&mut self, tensors: &[NewTensor]) -> Result<Submitted<'_>, SubmitError> {
        Recorder::allocate(self, tensors)
    }

    fn open_scope(&mut self) -> Result<(), SubmitError> {
        Recorder::open_scope(self, ScopeMode::Automatic)
    }

    fn close_scope(&mut self) -> Result<(), SubmitError> {
        Recorder::close_scope(self)
    }
}

/// Runs `body` in a scope. A scope that is left by an error stays open for the run to close: whatever comes after the error is the run's end.
pub(super) fn scope<T>(
    target: &mut dyn Target,
    body: impl FnOnce(&mut dyn Target) -> Result<T, SubmitError>,
) -> Result<T, SubmitError> {
    target.open_scope()?;
    let result = body(target)?;
    target.close_scope()?;
    Ok(result)
}
