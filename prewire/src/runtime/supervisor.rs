//! The supervisor: a thread that looks at the cores' pulses now and then, so that a hang is found even when the thread that owns the core is the one
//! that hangs in it. While no run is on it sleeps; runs that follow one another within an interval do not wake it for that.

use super::shared::Shared;
use prewire_runtime_core::sync::{Condvar, Mutex, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// How a runtime tells a thread of its own that something has begun or ended, or that there is something to see at once.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rings: u64,
    /// Whether the thread sleeps until it is rung.
    dormant: bool,
}

const POISON: &str = "no code panics while it holds a bell's lock";

impl Bell {
    pub(super) fn ring(&self) {
        self.state.lock().expect(POISON).rings += 1;
        self.changed.notify_all();
    }

    /// Something is so that the thread may sleep no longer, which was made known before this call. If it looks again soon by itself it is left alone: waking a
    /// thread costs more than a whole small run.
    pub(super) fn ring_if_dormant(&self) {
        let mut state = self.state.lock().expect(POISON);
        if state.dormant {
            state.rings += 1;
            self.changed.notify_all();
        }
    }

    fn sleep(&self, seen: &mut u64, timeout: Duration) {
        let state = self.state.lock().expect(POISON);
        let (state, _) = self.changed.wait_timeout_while(state, timeout, |state| state.rings == *seen).expect(POISON);
        *seen = state.rings;
    }

    /// Sleeps until rung, unless `look` finds a reason not to. Whoever makes one behind that look finds the thread dormant.
    pub(super) fn lie_dormant(&self, seen: &mut u64, look: impl FnOnce() -> bool) {
        let mut state = self.state.lock().expect(POISON);
        if !look() {
            state.dormant = true;
            state = self.changed.wait_while(state, |state| state.rings == *seen).expect(POISON);
            state.dormant = false;
        }
        *seen = state.rings;
    }
}

/// The thread's body.
pub(super) fn supervise(shared: &Arc<Shared>) {
    let bell = &shared.supervisor;
    let (mut seen, mut quiet) = (0, true);
    while !shared.closing.load(Ordering::Acquire) {
        if shared.is_running() {
            quiet = false;
            shared.machine.check(shared.machine.chip().now_ns());
            if shared.wants_conductor() {
                shared.conduct();
            }
            bell.sleep(&mut seen, shared.machine.check_interval());
        } else if quiet {
            bell.lie_dormant(&mut seen, || shared.is_running() || shared.closing.load(Ordering::Acquire));
        } else {
            // The next run may begin at any moment.
            quiet = true;
            bell.sleep(&mut seen, shared.machine.check_interval());
        }
    }
}
