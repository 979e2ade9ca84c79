//! The supervisor: a thread that looks at the cores' pulses now and then, so that a hang is found even when the thread that owns the core is the one
//! that hangs in it. It sleeps while no run is on.

use super::shared::Shared;
use prewire_runtime_core::sync::{Condvar, Mutex, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// How a runtime tells its supervisor that a run begins or ends.
#[derive(Debug, Default)]
pub(super) struct Bell {
    generation: Mutex<u64>,
    changed: Condvar,
}

const POISON: &str = "no code panics while it holds the supervisor's lock";
const NO_RUN: Duration = Duration::from_secs(3600);

impl Bell {
    pub(super) fn ring(&self) {
        *self.generation.lock().expect(POISON) += 1;
        self.changed.notify_all();
    }

    fn sleep(&self, seen: &mut u64, timeout: Duration) {
        let generation = self.generation.lock().expect(POISON);
        let (generation, _) = self.changed.wait_timeout_while(generation, timeout, |now| now == seen).expect(POISON);
        *seen = *generation;
    }
}

/// The thread's body.
pub(super) fn supervise(shared: &Arc<Shared>) {
    let bell = &shared.supervisor;
    let mut seen = 0;
    while !shared.closing.load(Ordering::Acquire) {
        if shared.is_running() {
            shared.machine.check(shared.machine.chip().now_ns());
            if shared.wants_conductor() {
                shared.conduct();
            }
            bell.sleep(&mut seen, shared.machine.check_interval());
        } else {
            bell.sleep(&mut seen, NO_RUN);
        }
    }
}
