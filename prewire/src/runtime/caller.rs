//! What the caller of a run does while it waits: it drives scheduler instances whose driver token is free, and sleeps as all the parties it plays.

use super::shared::Shared;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::waiting::{Blocking, Patience, Wait};
use prewire_scheduler::Step;
use std::time::Duration;

/// Most steps of one instance in one round: the caller looks whether its own wait is over in between.
const STEPS_PER_ROUND: usize = 4;
/// Looks of a round before the caller of it counts the round, and the processor's hints between two: what is looked at is on lines that others write.
const LOOKS_PER_ROUND: usize = 8;
const HINTS_PER_LOOK: usize = 8;
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
    /// Whether the instances have been told that it waits.
    waits: bool,
}

impl<'a> Caller<'a> {
    pub(super) fn new(shared: &'a Shared, driven: usize) -> Self {
        shared.set_awaited(false);
        Caller { shared, driven, patience: Patience::default(), waits: false }
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
        if !self.waits {
            self.waits = true;
            self.shared.set_awaited(true);
        }
        let (worked, polling) = self.drive();
        if worked {
            self.patience.reset();
            return true;
        }
        for _ in 0..LOOKS_PER_ROUND {
            if look() {
                return false;
            }
            for _ in 0..HINTS_PER_LOOK {
                std::hint::spin_loop();
            }
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
        self.waits = false;
        self.shared.set_awaited(false);
        self.patience.reset();
    }

    fn now_ns(&self) -> u64 {
        self.shared.platform.now_ns()
    }
}
