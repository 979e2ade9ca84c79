//! What the caller of a run does while it waits: it drives scheduler instances whose driver token is free, and sleeps as all the parties it plays.

use super::shared::Shared;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::waiting::{Blocking, Patience, Wait};
use prewire_scheduler::Step;
use std::time::Duration;

/// Most steps of one instance in one round: the caller looks whether its own wait is over in between.
const STEPS_PER_ROUND: usize = 4;
/// How long the caller sleeps before it looks at clocks and budgets again.
const LONGEST_SLEEP: Duration = Duration::from_millis(10);
/// The same while an instance that it plays has to poll.
const POLLING_SLEEP: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Caller<'a> {
    shared: &'a Shared,
    /// The first instances have no thread of their own.
    driven: usize,
    patience: Patience,
}

impl<'a> Caller<'a> {
    pub(super) fn new(shared: &'a Shared, driven: usize) -> Self {
        Caller { shared, driven, patience: Patience::default() }
    }

    /// One round of driving without a wait. True if something was achieved.
    pub(super) fn drive_once(&self) -> bool {
        self.drive().0
    }

    /// Drives every instance that this thread may. True if something was achieved, and whether anything has to be polled.
    fn drive(&self) -> (bool, bool) {
        let (mut worked, mut polling) = (false, false);
        for instance in &self.shared.instances[..self.driven] {
            let Ok(mut scheduler) = instance.try_lock() else { continue };
            for _ in 0..STEPS_PER_ROUND {
                match scheduler.step() {
                    Step::Worked => worked = true,
                    Step::Idle { must_poll, .. } => {
                        polling |= must_poll;
                        break;
                    }
                }
            }
        }
        (worked, polling)
    }
}

impl Blocking for Caller<'_> {
    fn round(&mut self, look: &mut dyn FnMut() -> bool) -> bool {
        let (worked, polling) = self.drive();
        if worked {
            self.patience.reset();
            return true;
        }
        if self.patience.wait(self.shared.waiting) == Wait::Sleep {
            self.patience.reset();
            let graph = &self.shared.graph;
            let parties = (1 << graph.orchestrator_bell()) | ((1 << self.driven) - 1);
            graph.bells.sleep(parties, if polling { POLLING_SLEEP } else { LONGEST_SLEEP }, || {
                look() || (0..self.driven).any(|index| super::instance::has_work(self.shared, index))
            });
        }
        false
    }

    fn done(&mut self) {
        self.patience.reset();
    }

    fn now_ns(&self) -> u64 {
        self.shared.platform.now_ns()
    }
}
