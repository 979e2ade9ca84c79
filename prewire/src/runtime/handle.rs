//! A run that was submitted: waiting for it, asking whether it is over, cancelling it.

use super::caller::Caller;
use super::lifecycle::Failed;
use super::report::Report;
use super::runs::{Record, RunResult};
use super::shared::Shared;
use prewire_runtime_core::error::Fatal;
use prewire_runtime_core::sync::Instant;
use prewire_runtime_core::sync::pause::{self, Point};
use prewire_runtime_core::waiting::Blocking;
use std::sync::Arc;
use std::time::Duration;

/// A submitted run. Copies of a handle are handles of the same run, for any threads; dropping them does nothing to the run.
#[derive(Clone, Debug)]
pub struct RunHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) record: Arc<Record>,
}

impl RunHandle {
    /// The run's number within its runtime, from 1; numbers only rise.
    pub fn run(&self) -> u32 {
        self.record.id
    }

    /// Waits until the run is over. Everybody who waits for it is told the same.
    ///
    /// # Errors
    /// As [`super::Runtime::run`].
    pub fn wait(&self) -> Result<Report, Failed> {
        let result = self.shared.wait_for(&self.record, None);
        (*result.expect("a wait without a deadline ends with the run")).clone()
    }

    /// Waits until the run is over, or for `timeout`: nothing then, and nothing is lost.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<Report, Failed>> {
        // A deadline beyond what the clock can say is none.
        let result = self.shared.wait_for(&self.record, Instant::now().checked_add(timeout));
        result.map(|result| (*result).clone())
    }

    /// Whether the run is over.
    pub fn is_over(&self) -> bool {
        self.record.is_over()
    }

    /// Ends the run, unless it is over or has been ended: what runs is told to return, and nothing else of it is started. No other run is touched. True if this
    /// call ended it.
    pub fn cancel(&self, reason: impl Into<String>) -> bool {
        let first = self.latch_cancelled(reason.into());
        if first && self.shared.virtual_time.is_none() {
            self.shared.conduct();
        }
        first
    }

    /// The same without ending the run here and now, if that can be.
    pub(super) fn latch_cancelled(&self, reason: String) -> bool {
        let (shared, run) = (&self.shared, self.record.id);
        let fatal = Fatal::Cancelled { run, reason };
        pause::at(Point::CancelLatches);
        let first = shared.runs.if_in_flight(&self.record, || shared.state_of(&self.record).latch(fatal));
        if first == Some(true) {
            // Of a run that has not begun there is nothing to cancel, and the platform knows it by its number.
            shared.machine.chip().cancel(run);
            shared.graph.bells.ring_all();
            shared.supervisor.ring();
        }
        first == Some(true)
    }
}

/// How long a wait lasts before it looks at the deadline again.
const LOOK: Duration = Duration::from_millis(10);

impl Shared {
    /// Waits for a run: asleep where scheduler threads do everything, else by driving those that have none.
    pub(super) fn wait_for(&self, record: &Arc<Record>, deadline: Option<Instant>) -> Option<Arc<RunResult>> {
        if self.facts.driven_by_caller == 0 && self.virtual_time.is_none() {
            return record.wait(deadline);
        }
        if self.facts.stand_in && self.shift.has_driver() {
            // One caller is enough, and behind it there is the stand-in.
            return record.wait(deadline);
        }
        self.drive_until(deadline, || record.is_over());
        record.result()
    }

    /// Waits for a run without a deadline.
    pub(super) fn drive_or_wait(&self, record: &Arc<Record>) -> Option<Arc<RunResult>> {
        if self.virtual_time.is_none() {
            self.conduct();
        }
        self.wait_for(record, None)
    }

    /// Drives what has no thread of its own until `done`, or until the deadline. False if that came first.
    pub(super) fn drive_until(&self, deadline: Option<Instant>, done: impl Fn() -> bool) -> bool {
        let mut caller = Caller::new(self, self.facts.driven_by_caller);
        loop {
            if done() {
                caller.done();
                return true;
            }
            if self.is_head_over() {
                self.conduct();
                continue;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                caller.done();
                return false;
            }
            caller.round(&mut || self.is_head_over() || done());
        }
    }

    /// Waits until no run is in flight.
    pub(super) fn settle(&self) {
        self.settle_by(None);
    }

    /// Waits until no run is in flight, or until the deadline. False if that came first.
    pub(super) fn settle_by(&self, deadline: Option<Instant>) -> bool {
        if self.facts.driven_by_caller == 0 && self.virtual_time.is_none() {
            while self.runs.in_flight() > 0 {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return false;
                }
                self.runs.wait_until_quiet(LOOK);
            }
        } else if !self.drive_until(deadline, || self.runs.in_flight() == 0) {
            return false;
        }
        // Whoever took the last one out of the row has told its result, too.
        drop(self.conducting.lock());
        true
    }
}
