//! A scheduler instance's own thread: it drives the instance while a run is on, goes on to the next run when that one is over and nobody else does, waits by the policy when there is nothing to do, and never sleeps
//! with the driver token in its hand.

use super::machine::Driven;
use super::pace::Pace;
use super::shared::Shared;
use prewire_runtime_core::sync::Ordering;
use prewire_runtime_core::sync::pause::{self, Point};
use prewire_runtime_core::waiting::{Patience, Wait};
use std::sync::Arc;
use std::time::Duration;

/// How long a thread sleeps at most when nothing has to be polled: whoever has something for it wakes it.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
/// While cores run something on other threads, the watchdog's and deferred conditions' polling interval.
const POLLING_SLEEP: Duration = Duration::from_millis(1);

/// The thread's body.
pub(super) fn drive(shared: &Arc<Shared>, index: usize) {
    let mut patience = Patience::default();
    let mut pace = Pace::default();
    while !shared.closing.load(Ordering::Acquire) {
        match round(shared, index, &mut patience, &mut pace) {
            Round::Worked | Round::Again => {}
            Round::Sleep { polling } => {
                let timeout = if polling { POLLING_SLEEP } else { LONGEST_SLEEP };
                shared.graph.bells.sleep(1 << index, timeout, || {
                    let found = shared.closing.load(Ordering::Acquire)
                        || shared.wants_conductor()
                        || (shared.is_running() && shared.machine.has_work(index));
                    if !found {
                        pause::at(Point::SchedulerSleeps);
                    }
                    found
                });
            }
        }
    }
}

enum Round {
    Worked,
    Again,
    Sleep { polling: bool },
}

/// Steps the instance until it has nothing to do, then waits one round.
fn round(shared: &Shared, index: usize, patience: &mut Patience, pace: &mut Pace) -> Round {
    match shared.machine.drive_until_idle(index, shared, pace) {
        // The caller drives it at the moment; it is not needed twice.
        Driven::Taken => wait(shared, patience, false),
        Driven::Idle { .. } if shared.wants_conductor() => {
            shared.conduct();
            patience.reset();
            Round::Worked
        }
        Driven::Idle { worked: true, .. } => {
            patience.reset();
            Round::Worked
        }
        Driven::Idle { worked: false, polling } => wait(shared, patience, polling),
        Driven::NoRun => Round::Sleep { polling: false },
    }
}

fn wait(shared: &Shared, patience: &mut Patience, polling: bool) -> Round {
    match patience.wait(shared.waiting) {
        Wait::Again => Round::Again,
        Wait::Sleep => {
            patience.reset();
            Round::Sleep { polling }
        }
    }
}
