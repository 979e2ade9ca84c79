//! What the caller of a run does while it waits: it drives scheduler instances whose driver token is free, and sleeps as all the parties it plays; in
//! virtual time it advances the clock.

use super::machine::Token;
use super::shared::Shared;
use super::virtual_caller::VirtualCaller;
use prewire_runtime_core::sync::pause::{self, Point};
use prewire_runtime_core::sync::{Instant, sleep, spin_hint, thread};
use prewire_runtime_core::waiting::{Blocking, Patience, Wait};
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
    /// Whoever plays everybody, in virtual time.
    everybody: Option<VirtualCaller<'a>>,
}

impl<'a> Caller<'a> {
    pub(super) fn new(shared: &'a Shared, driven: usize) -> Self {
        let everybody = shared.virtual_time.as_deref().map(VirtualCaller::new);
        shared.set_awaited(false);
        Caller { shared, driven, patience: Patience::default(), waits: false, everybody }
    }

    /// One round of driving without a wait. True if something was achieved.
    pub(super) fn drive_once(&mut self) -> bool {
        match &mut self.everybody {
            Some(everybody) => everybody.advance(),
            None => self.drive().0,
        }
    }

    #[inline]
    pub(super) fn is_virtual(&self) -> bool {
        self.everybody.is_some()
    }

    /// In virtual time, the orchestrator has worked for as long as a submit takes, and others have gone on meanwhile.
    pub(super) fn charge_submit(&mut self) {
        if let Some(everybody) = &mut self.everybody {
            everybody.charge_submit();
        }
    }

    /// In virtual time, others see what the orchestrator did.
    pub(super) fn show(&mut self) {
        if let Some(everybody) = &mut self.everybody {
            everybody.show();
        }
    }

    /// The run has ended; the cores are told.
    pub(super) fn cancel(&self, run: u32) {
        self.shared.machine.chip().cancel(run);
    }

    /// A platform that wants to be watched seldom has tasks that are long.
    #[cold]
    fn longest_sleep(&self) -> Duration {
        self.shared.machine.chip().watch_interval().map_or(LONGEST_SLEEP, |interval| 2 * interval)
    }

    /// Drives every instance that this thread may. True if something was achieved, and whether anything has to be polled.
    fn drive(&self) -> (bool, bool) {
        self.shared.machine.drive(0..self.driven, STEPS_PER_ROUND, self.shared)
    }
}

impl Caller<'_> {
    /// Sleeps as all the parties that it plays.
    fn sleep(&self, look: &mut dyn FnMut() -> bool, timeout: Duration) {
        let graph = &self.shared.graph;
        let bed = self.shared.facts.stand_in.then(|| self.shared.shift.bed());
        if let Some(None) = bed {
            if self.shared.shift.has_other_drivers() {
                // Another caller sleeps there, and will do for both.
                return sleep(POLLING_SLEEP);
            }
            // The stand-in sees that a caller waits, and gets up if it was rung. It sleeps as the first instance.
            graph.bells.ring(0);
            return thread::yield_now();
        }
        let parties = (1 << graph.orchestrator_bell()) | ((1 << self.driven) - 1);
        let machine = &self.shared.machine;
        graph.bells.sleep(parties, timeout, || {
            // A stand-in that is still driving leaves what comes behind its last look to this caller.
            let left = bed.is_some() && machine.token(0) == Token::Taken;
            let found = left || look() || (0..self.driven).any(|index| machine.has_work(index));
            if !found {
                pause::at(Point::CallerSleeps);
            }
            found
        });
    }

    fn stop_waiting(&mut self) {
        if self.waits {
            self.waits = false;
            self.shared.set_awaited(false);
            if self.shared.facts.stand_in {
                self.shared.shift.end();
                if self.shared.wants_conductor() || self.shared.machine.has_work(0) {
                    // It took in what a stand-in that sleeps would have been rung for.
                    self.shared.graph.bells.ring(0);
                }
            }
        }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.stop_waiting();
    }
}

impl Blocking for Caller<'_> {
    fn round(&mut self, look: &mut dyn FnMut() -> bool) -> bool {
        if let Some(everybody) = &mut self.everybody {
            return everybody.round(look);
        }
        if self.shared.wants_conductor() {
            // Not its own run, whose callback may be waiting here, but one before it.
            self.shared.conduct();
            return true;
        }
        if !self.waits {
            self.waits = true;
            self.shared.set_awaited(true);
            if self.shared.facts.stand_in {
                self.shared.shift.begin();
            }
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
                spin_hint();
            }
        }
        if self.patience.wait(self.shared.waiting) == Wait::Sleep {
            let timeout = if polling { POLLING_SLEEP } else { self.longest_sleep() };
            let begun = Instant::now();
            self.sleep(look, timeout);
            // Whom nobody woke has nothing to spin for.
            if begun.elapsed() < timeout {
                self.patience.reset();
            }
        }
        false
    }

    fn done(&mut self) {
        self.stop_waiting();
        self.patience.reset();
        if let Some(everybody) = &mut self.everybody {
            everybody.done();
        }
    }

    fn now_ns(&self) -> u64 {
        self.shared.machine.chip().now_ns()
    }
}
