//! From a callback to its run: the turn to build it, the building, and what comes of it.

use super::caller::Caller;
use super::conduct;
use super::handle::RunHandle;
use super::lifecycle::{ALIVE, Failed, Runtime};
use super::report::Report;
use super::run::Run;
use super::runs::{Built, NotAccepted, Record, RunResult, Started};
use prewire_runtime_core::error::{Fatal, RunError, SubmitError};
use prewire_runtime_core::sync::Instant;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long who waits for a turn sleeps at most before it looks again.
const TURN: Duration = Duration::from_millis(10);

impl Runtime {
    /// Runs the graph that `orchestration` builds, and returns when no thread touches it any more. Runs that were submitted before come first.
    ///
    /// What the orchestration has submitted is run even if it returns an error.
    ///
    /// # Errors
    /// A fatal cause that ended the run, else the first refused call, else the first submitted task whose kernel failed; with the report of what was
    /// done.
    ///
    /// # Panics
    /// With the orchestration's own panic, once the run has ended.
    pub fn run(
        &mut self,
        orchestration: impl FnOnce(&mut Run<'_>) -> Result<(), SubmitError>,
    ) -> Result<Report, Failed> {
        let record = self.accept()?;
        self.shared().set_attended(record.id);
        let panic = self.build(&record, orchestration, OnError::Complete);
        self.shared().drive_until(None, || record.is_over());
        self.shared().set_attended(0);
        let result = record.result();
        // Nobody else has the record, so the report is not copied.
        drop(record);
        finished(result, panic)
    }

    /// Has `callback` build a graph and returns while it runs. Callbacks never overlap and runs neither: a run that was submitted behind others is built while
    /// they run, and its tasks start when they are over. Several threads may submit; with as many runs in flight as the runtime takes the call waits.
    ///
    /// In virtual time, where there is no thread but the caller's, the run is over when the call returns.
    ///
    /// # Errors
    /// What the callback returned, or a fatal cause that came before: the run has ended, what ran was waited for, and the rest of it never runs. Or the run was
    /// not accepted: the call was made inside a callback of this runtime, or the runtime is closed.
    ///
    /// # Panics
    /// With the callback's own panic, once the run has ended.
    pub fn submit(&self, callback: impl FnOnce(&mut Run<'_>) -> Result<(), SubmitError>) -> Result<RunHandle, Failed> {
        let record = self.accept()?;
        let panic = self.build(&record, callback, OnError::End);
        let failed = record.built().is_some_and(|built| built.ended_by.is_some());
        if panic.is_some() || failed || self.is_virtual() {
            // The run ends without its tasks, or is driven by nobody else.
            let result = self.shared().drive_or_wait(&record);
            if panic.is_some() || failed {
                return finished(result, panic).map(|_| RunHandle { shared: self.shared().clone(), record });
            }
        } else {
            self.shared().conduct();
        }
        Ok(RunHandle { shared: self.shared().clone(), record })
    }

    /// Waits for a place in the row of runs and for the turn to build one.
    fn accept(&self) -> Result<Arc<Record>, Failed> {
        let shared = self.shared();
        loop {
            let now_ns = shared.machine.chip().now_ns();
            match shared.runs.accept(&shared.graph, self.kernels_shared(), now_ns) {
                Ok(record) => {
                    shared.conduct();
                    return Ok(record);
                }
                Err(NotAccepted::Refused(error)) => return Err(self.refused(error)),
                Err(NotAccepted::Wait) if self.shared().facts.driven_by_caller == 0 => shared.runs.wait_for_turn(TURN),
                Err(NotAccepted::Wait) => {
                    // Nobody else may be there to end a run that comes first.
                    shared.drive_until(Some(Instant::now() + TURN), || shared.runs.in_flight() < shared.facts.depth);
                    shared.runs.wait_for_turn(Duration::from_micros(100));
                }
            }
        }
    }

    /// Has the callback build the run that has the turn. Returns the callback's panic.
    fn build(
        &self,
        record: &Arc<Record>,
        callback: impl FnOnce(&mut Run<'_>) -> Result<(), SubmitError>,
        on_error: OnError,
    ) -> Option<Box<dyn Any + Send>> {
        let shared = self.shared();
        let state = shared.state_of(record);
        if let Started::Never(_) = record.started() {
            record.set_built(Built::nothing());
            shared.runs.end_turn();
            shared.conduct();
            return None;
        }
        let mut orchestrator = shared.orchestrator.lock().unwrap_or_else(PoisonError::into_inner);
        let orchestrator_in_use = orchestrator.as_mut().expect(ALIVE);
        orchestrator_in_use.begin_run(record.id, record.kernels.clone(), shared.machine.chip().runs_concurrently());
        let outcome = {
            let caller = Caller::new(shared, self.shared().facts.driven_by_caller);
            let mut run = Run::new(orchestrator_in_use, caller, shared, record);
            catch_unwind(AssertUnwindSafe(|| callback(&mut run)))
        };
        let mut ended_by = None;
        if !state.is_cancelled() {
            match &outcome {
                Err(_) => {
                    orchestrator_in_use.fail("the orchestration panicked");
                }
                Ok(Err(error)) if on_error == OnError::End => {
                    ended_by = Some(match &orchestrator_in_use.report().refused {
                        Some(refusal) => RunError::Refused(refusal.clone()),
                        None => conduct::error_of(error, 0),
                    });
                    state.latch(Fatal::Cancelled { run: record.id, reason: format!("its callback returned: {error}") });
                }
                Ok(_) => {}
            }
        } else if let (Ok(Err(error)), OnError::End) = (&outcome, on_error) {
            ended_by = Some(state.fatal().map_or_else(|| conduct::error_of(error, 0), RunError::Fatal));
        }
        let mut caller = Caller::new(shared, self.shared().facts.driven_by_caller);
        let scopes_left_open = orchestrator_in_use.end_run(&mut caller);
        let (returned, panic) = match outcome {
            Ok(returned) => (returned, None),
            Err(panic) => (Ok(()), Some(panic)),
        };
        record.set_built(Built {
            orchestrated: orchestrator_in_use.report(),
            span: Some(orchestrator_in_use.run_span()),
            scopes_left_open,
            log: self.records_graph().then(|| orchestrator_in_use.log().clone()),
            returned,
            ended_by,
        });
        drop(orchestrator);
        shared.runs.end_turn();
        if !shared.is_attended(record.id) {
            // With no more submits to come, whoever sleeps may have to see that the run is complete. An attended run's caller sees it by itself.
            shared.graph.bells.ring_all();
        }
        if state.is_cancelled() {
            // It may be over although nothing of it has begun.
            shared.conduct();
        }
        panic
    }

    /// The answer to a run that was not accepted.
    fn refused(&self, error: RunError) -> Failed {
        let report = Report::of_nothing(&self.shared().facts.chip, self.shared().facts.watchdog);
        Failed { error: Box::new(error), report: Box::new(report) }
    }
}

/// What an error that the callback returns does to its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnError {
    /// What was submitted runs.
    Complete,
    /// The run ends.
    End,
}

/// Hands out what a run came to, or its callback's panic.
fn finished(result: Option<Arc<RunResult>>, panic: Option<Box<dyn Any + Send>>) -> RunResult {
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    let result = result.expect("the run was waited for without a deadline");
    Arc::try_unwrap(result).unwrap_or_else(|shared| (*shared).clone())
}
