//! Cancelling a run whose callback is still open, and so has no handle yet.

use super::handle::RunHandle;

/// Cancels one run. Its callback takes it out of its [`Run`](super::Run) and gives it to whoever may want to end the run; it may be sent and copied, and does nothing to
/// the run until it is asked to.
#[derive(Clone, Debug)]
pub struct Canceller(pub(super) RunHandle);

impl Canceller {
    /// As [`RunHandle::cancel`]. Where the callback waits for room or for data, its call returns the cancellation.
    pub fn cancel(&self, reason: impl Into<String>) -> bool {
        self.0.cancel(reason)
    }
}
