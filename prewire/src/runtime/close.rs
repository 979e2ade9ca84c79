//! The end of a runtime's runs: no more are accepted, and those that were are waited for, or cut short.

use super::handle::RunHandle;
use super::lifecycle::Runtime;
use prewire_runtime_core::error::{RunError, RunningTask};
use prewire_runtime_core::sync::Instant;

/// What is still going on when a wait for all runs is given up.
#[derive(Debug)]
pub(crate) struct Unsettled {
    /// The runs that are accepted and not over.
    pub(crate) runs: Vec<u32>,
    /// Tasks that cores are inside of.
    pub(crate) running: Vec<RunningTask>,
}

impl Runtime {
    /// Accepts no more runs, and waits for those that were accepted. Later calls of [`Runtime::submit`] and [`Runtime::run`] are refused.
    ///
    /// # Errors
    /// If the call is made inside a callback of this runtime, which it could only wait for.
    pub fn close(&self) -> Result<(), RunError> {
        self.refuse_runs()?;
        self.shared().settle();
        Ok(())
    }

    /// Accepts no more runs.
    pub(crate) fn refuse_runs(&self) -> Result<(), RunError> {
        if self.shared().runs.close() { Ok(()) } else { Err(RunError::Inside) }
    }

    /// Waits until no run is in flight.
    pub(crate) fn settle(&self) {
        self.shared().settle();
    }

    /// Waits until no run is in flight, or until the deadline.
    pub(crate) fn settle_by(&self, deadline: Option<Instant>) -> Result<(), Unsettled> {
        if self.shared().settle_by(deadline) {
            return Ok(());
        }
        let running = self.shared().machine.stall_report().running_tasks;
        let runs: Vec<u32> = self.shared().runs.accepted().iter().map(|record| record.id).collect();
        if runs.is_empty() { Ok(()) } else { Err(Unsettled { runs, running }) }
    }

    /// Ends every run that is in flight: what runs is told to return, and nothing else is started. Does not wait for what runs.
    pub(crate) fn cancel_all(&self, reason: &str) {
        for record in self.shared().runs.accepted() {
            RunHandle { shared: self.shared().clone(), record }.latch_cancelled(reason.to_owned());
        }
    }
}
