//! The end of a host runtime: its runs first, then its workers.

use super::error::HostError;
use super::runtime::HostRuntime;
use crate::runtime::Unsettled;
use prewire_runtime_core::sync::Instant;
use std::time::Duration;

/// How long workers that have nothing to do may take to end before they are killed.
const WORKERS_END: Duration = Duration::from_secs(10);

impl HostRuntime {
    /// With what the builder was told about workers that do not end.
    pub(super) fn killing_at_close(mut self, kill_at_close: Option<Duration>) -> Self {
        self.kill_at_close = kill_at_close;
        self
    }

    /// Accepts no more runs, waits for those that were accepted, and ends all workers, by force where they do not end by themselves. Any thread may close; whoever
    /// does so meanwhile or later is told the same.
    ///
    /// Tasks may take any time, so the wait for them has no limit, unless [`HostBuilder::kill_at_close`](super::HostBuilder::kill_at_close) sets one.
    ///
    /// # Errors
    /// If it is called inside a callback of this runtime. If a worker had to be killed, or ended with anything but status 0; all such are named.
    pub fn close(&self) -> Result<(), HostError> {
        self.close_by(self.kill_at_close, WORKERS_END)
    }

    /// The same with a limit: so long for the runs, and so long again for the workers' ends.
    ///
    /// # Errors
    /// As [`HostRuntime::close`]. If a run is still in flight then, its tasks and their workers are named, and everything goes on: close again. Where
    /// [`HostBuilder::kill_at_close`](super::HostBuilder::kill_at_close) allows it, they are killed instead.
    pub fn close_within(&self, patience: Duration) -> Result<(), HostError> {
        self.close_by(Some(patience), patience)
    }

    fn close_by(&self, runs: Option<Duration>, workers: Duration) -> Result<(), HostError> {
        if !self.crew.is_owner() {
            return Ok(());
        }
        self.runtime.refuse_runs().map_err(|_| HostError::Inside)?;
        let deadline = runs.and_then(|patience| Instant::now().checked_add(patience));
        if let Err(unsettled) = self.runtime.settle_by(deadline) {
            let patience = runs.unwrap_or_default();
            if self.kill_at_close.is_none() {
                return Err(timed_out(&unsettled, patience));
            }
            self.cut_short(patience)?;
        }
        Ok(self.crew.close(workers)?)
    }

    /// Ends the runs in flight with the workers that are inside their tasks.
    fn cut_short(&self, patience: Duration) -> Result<(), HostError> {
        let reason = format!("its task had not ended {} ms after the runtime was to be closed", patience.as_millis());
        // First, so that no other task begins behind a killed one.
        self.runtime.cancel_all("the runtime was closed");
        self.crew.kill_busy(&reason);
        // A callback that does not return holds its run, and cannot be killed.
        let deadline = Instant::now().checked_add(WORKERS_END);
        self.runtime.settle_by(deadline).map_err(|unsettled| timed_out(&unsettled, patience + WORKERS_END))
    }

    /// Ends the runs of a runtime that is dropped as those of one that is closed; its workers end with the engine.
    pub(super) fn end_runs_before_drop(&self) {
        if self.kill_at_close.is_some() && self.runtime.refuse_runs().is_ok() {
            let deadline = self.kill_at_close.and_then(|patience| Instant::now().checked_add(patience));
            if self.runtime.settle_by(deadline).is_err() {
                // Nobody is inside a callback of what is dropped, so nothing holds a run whose workers are gone.
                let _cut = self.cut_short(self.kill_at_close.unwrap_or_default());
            }
        }
    }
}

fn timed_out(unsettled: &Unsettled, patience: Duration) -> HostError {
    let held = unsettled.running.iter().map(|running| {
        format!("task {} ({}) has been on {} for {} ms", running.task, running.kernel, running.core, running.running_ms)
    });
    let held: Vec<String> = held.collect();
    let held = if held.is_empty() {
        "no task is on a worker, so a callback has not returned".to_owned()
    } else {
        held.join("; ")
    };
    let runs: Vec<String> = unsettled.runs.iter().map(ToString::to_string).collect();
    HostError::CloseTimedOut { timeout_ms: patience.as_millis(), runs: runs.join(", "), held }
}
