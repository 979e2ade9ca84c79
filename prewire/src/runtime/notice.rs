//! A condition that costs nothing to signal while nobody waits for it.

use prewire_runtime_core::sync::{AtomicU32, Condvar, MutexGuard, Ordering};
use std::time::Duration;

const POISON: &str = "no code panics while it holds what it waits for";

/// A condition variable that knows how many wait, as telling the system costs a call even when nobody does.
#[derive(Debug, Default)]
pub(super) struct Notice {
    changed: Condvar,
    /// Written under the lock of what is waited for.
    waiting: AtomicU32,
}

impl Notice {
    /// Sleeps until told, or for `timeout`; it may wake early.
    pub(super) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, timeout: Option<Duration>) -> MutexGuard<'a, T> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = match timeout {
            None => self.changed.wait(guard).expect(POISON),
            Some(timeout) => self.changed.wait_timeout(guard, timeout).expect(POISON).0,
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        guard
    }

    /// Tells whoever waits that something has changed. To be called behind a change made under the lock: who has not seen that change was counted under the
    /// same lock before it.
    pub(super) fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) != 0 {
            self.changed.notify_all();
        }
    }
}
