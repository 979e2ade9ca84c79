//! A run as its orchestration sees it: submit, scopes, data access.

use super::caller::Caller;
use super::cancel::Canceller;
use super::handle::RunHandle;
use super::runs::Record;
use super::shared::Shared;
use prewire_orchestrator::{Orchestrator, ScopeMode, Submitted};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::error::{Refusal, SubmitError};
use prewire_runtime_core::kernel::Element;
use prewire_runtime_core::task::{NewTensor, Scalar, Task};
use prewire_runtime_core::tensor::Tensor;
use prewire_runtime_core::waiting::Blocking;
use std::sync::Arc;
use std::time::Duration;

/// The run that an orchestration builds. Results mean what they would mean if every task ran at its submit, one after the other.
#[derive(Debug)]
pub struct Run<'r> {
    orchestrator: &'r mut Orchestrator,
    caller: Caller<'r>,
    shared: &'r Arc<Shared>,
    record: &'r Arc<Record>,
    begun_ns: u64,
}

impl<'r> Run<'r> {
    pub(super) fn new(
        orchestrator: &'r mut Orchestrator,
        caller: Caller<'r>,
        shared: &'r Arc<Shared>,
        record: &'r Arc<Record>,
    ) -> Self {
        Run { begun_ns: caller.now_ns(), orchestrator, caller, shared, record }
    }

    /// Submits a task. Waits while there is no room for it.
    ///
    /// # Errors
    /// [`SubmitError::Refused`] if an argument is wrong: nothing was done, and the run goes on. [`SubmitError::Fatal`] if the run has ended.
    #[inline]
    pub fn submit(&mut self, task: &Task<'_>) -> Result<Submitted<'_>, SubmitError> {
        if self.caller.is_virtual() {
            return self.submit_in_virtual_time(task);
        }
        self.orchestrator.submit(task, &mut self.caller)
    }

    #[cold]
    fn submit_in_virtual_time(&mut self, task: &Task<'_>) -> Result<Submitted<'_>, SubmitError> {
        self.caller.charge_submit();
        let submitted = self.orchestrator.submit(task, &mut self.caller);
        self.caller.show();
        submitted
    }

    /// Allocates tensors that no task writes first.
    ///
    /// # Errors
    /// As [`Run::submit`].
    pub fn allocate(&mut self, tensors: &[NewTensor]) -> Result<Submitted<'_>, SubmitError> {
        self.caller.charge_submit();
        self.orchestrator.allocate(tensors, &mut self.caller)
    }

    /// Runs `body` in a scope: what its tasks own is given back after its end, when the last user is done.
    ///
    /// # Errors
    /// What `body` returns, or that the scope cannot be opened. The scope is closed on every way out, a panic among them.
    pub fn scope<T>(&mut self, body: impl FnOnce(&mut Run<'_>) -> Result<T, SubmitError>) -> Result<T, SubmitError> {
        self.in_scope(ScopeMode::Automatic, body)
    }

    /// Runs `body` in a scope in which no dependency is inferred: only explicit ones count.
    ///
    /// # Errors
    /// As [`Run::scope`].
    ///
    /// # Safety
    /// Tasks that touch common bytes are ordered by explicit dependencies, or their kernels race.
    pub unsafe fn manual_scope<T>(
        &mut self,
        body: impl FnOnce(&mut Run<'_>) -> Result<T, SubmitError>,
    ) -> Result<T, SubmitError> {
        self.in_scope(ScopeMode::Manual, body)
    }

    fn in_scope<T>(
        &mut self,
        mode: ScopeMode,
        body: impl FnOnce(&mut Run<'_>) -> Result<T, SubmitError>,
    ) -> Result<T, SubmitError> {
        self.orchestrator.open_scope(mode)?;
        let guard = ScopeGuard(self);
        body(guard.0)
    }

    /// Opens a scope that [`Run::close_scope`] closes; for callers whose scopes are no blocks of code.
    ///
    /// # Errors
    /// If 64 scopes are open, an automatic one would be opened in a manual one, or the run has ended.
    pub fn open_scope(&mut self, mode: ScopeMode) -> Result<(), SubmitError> {
        self.orchestrator.open_scope(mode)
    }

    /// Closes the scope opened last.
    ///
    /// # Errors
    /// If none is open, or the run has ended.
    pub fn close_scope(&mut self) -> Result<(), SubmitError> {
        self.orchestrator.close_scope()
    }

    /// One element of a tensor, as it is after every task submitted so far that writes it.
    ///
    /// # Errors
    /// If an index is out of bounds, the type is another, the writer failed, or the wait took longer than its budget.
    pub fn get<T: Element>(&mut self, tensor: &Tensor, indices: &[u32]) -> Result<T, SubmitError> {
        expect_type::<T>(tensor)?;
        self.orchestrator.get(tensor, indices, &mut self.caller).map(|scalar| T::from_cell(scalar.0))
    }

    /// Overwrites one element of a tensor, behind every task submitted so far that uses it and before every later one.
    ///
    /// # Errors
    /// As [`Run::get`].
    pub fn set<T: Element + Into<Scalar>>(
        &mut self,
        tensor: &Tensor,
        indices: &[u32],
        value: T,
    ) -> Result<(), SubmitError> {
        expect_type::<T>(tensor)?;
        self.orchestrator.set(tensor, indices, value.into(), &mut self.caller)
    }

    /// Ends the run with code 9 and the caller's text. Every later call returns the same.
    pub fn fail(&mut self, text: impl Into<String>) -> SubmitError {
        let error = self.orchestrator.fail(text);
        // What was handed to a core and has not begun does not begin any more.
        self.caller.cancel(self.orchestrator.run_span().run());
        error
    }

    /// What another thread can end this run with, while the callback is still building it.
    pub fn canceller(&self) -> Canceller {
        Canceller(RunHandle { shared: self.shared.clone(), record: self.record.clone() })
    }

    /// Refuses a call on behalf of a caller in another language whose arguments could not even be read: like every refused call, the first one is the
    /// run's error if nothing worse happens.
    pub fn refuse(&mut self, refusal: Refusal) -> SubmitError {
        self.orchestrator.refuse(refusal)
    }

    /// How long the run has gone on, by the clock of the platform.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.caller.now_ns() - self.begun_ns)
    }

    /// Clusters of the chip: the most blocks of a gang of cube or cluster tasks.
    pub fn clusters(&self) -> u32 {
        self.chip().clusters as u32
    }

    /// Vector cores of the chip: the most blocks of a gang of vector tasks.
    pub fn vector_cores(&self) -> u32 {
        self.chip().vector_cores() as u32
    }

    /// What the chip is.
    pub fn chip(&self) -> &ChipSpec {
        &self.shared.facts.chip
    }
}

fn expect_type<T: Element>(tensor: &Tensor) -> Result<(), SubmitError> {
    if tensor.data_type() == T::DATA_TYPE {
        return Ok(());
    }
    let text = format!("the tensor holds {:?} and was accessed as {:?}", tensor.data_type(), T::DATA_TYPE);
    Err(SubmitError::Refused(Refusal::Other { text }))
}

/// Closes its scope on every way out.
struct ScopeGuard<'a, 'r>(&'a mut Run<'r>);

impl Drop for ScopeGuard<'_, '_> {
    fn drop(&mut self) {
        // The run may have ended meanwhile, which closes every scope.
        let _ended = self.0.orchestrator.close_scope();
    }
}
