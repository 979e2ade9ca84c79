//! The caller of a run in virtual time: it plays the orchestrator, every scheduler instance and the watchdog, on one thread.

use super::machine::{Drive, Machine};
use prewire_platform_sim::{Actors, Stepped, VirtualSim};
use prewire_runtime_core::platform::Platform;
use prewire_scheduler::Step;

#[derive(Debug)]
pub(super) struct VirtualCaller<'a> {
    everybody: Everybody<'a>,
    submit_ns: u64,
    /// Whether the others know what the orchestrator did before it began to wait.
    shown: bool,
    /// Rounds of waiting in a row.
    rounds: u32,
}

/// Whoever waits looks again after this time, if nothing happens before; after many rounds less and less often.
const ROUND_NS: u64 = 1_000;
const SHORT_ROUNDS: u32 = 100;
const MOST_DOUBLINGS: u32 = 10;

struct Everybody<'a>(&'a Machine<VirtualSim>);

impl std::fmt::Debug for Everybody<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Everybody").field(&self.0.platform).finish()
    }
}

impl Actors for Everybody<'_> {
    fn step(&mut self, instance: usize) -> Stepped {
        match self.0.step(instance) {
            Some(Step::Idle { must_poll, .. }) => Stepped { worked: false, must_poll },
            Some(Step::Worked) => Stepped { worked: true, must_poll: false },
            None => unreachable!("nobody else drives an instance in virtual time"),
        }
    }

    fn has_work(&mut self, instance: usize) -> bool {
        self.0.has_work(instance)
    }

    fn check(&mut self, now_ns: u64) -> bool {
        self.0.check(now_ns)
    }
}

impl<'a> VirtualCaller<'a> {
    pub(super) fn new(machine: &'a Machine<VirtualSim>) -> Self {
        VirtualCaller {
            submit_ns: machine.platform.chip().latencies.submit_ns,
            everybody: Everybody(machine),
            shown: false,
            rounds: 0,
        }
    }

    fn sim(&self) -> &'a VirtualSim {
        &self.everybody.0.platform
    }

    /// One event.
    pub(super) fn advance(&mut self) -> bool {
        self.sim().advance(&mut self.everybody)
    }

    pub(super) fn charge_submit(&mut self) {
        self.done();
        self.sim().orchestrator_works(self.submit_ns, &mut self.everybody);
    }

    pub(super) fn show(&mut self) {
        self.sim().orchestrator_did();
        self.shown = true;
    }

    /// The orchestrator goes on.
    pub(super) fn done(&mut self) {
        self.shown = false;
        self.rounds = 0;
    }

    /// Others go on by one event, so that the wait ends at the moment at which what it waits for happens; or, where nothing happens, time goes on for a
    /// while.
    pub(super) fn round(&mut self, look: &mut dyn FnMut() -> bool) -> bool {
        if !self.shown {
            self.show();
            if look() {
                return false;
            }
        }
        // There may be something to look at that does not help, so time goes on all the same.
        let doublings = self.rounds.saturating_sub(SHORT_ROUNDS).min(MOST_DOUBLINGS);
        self.rounds = self.rounds.saturating_add(1);
        self.sim().advance_within(ROUND_NS << doublings, &mut self.everybody)
    }
}
