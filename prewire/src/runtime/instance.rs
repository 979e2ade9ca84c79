//! A scheduler instance's own thread: it drives the instance while a run is on, waits by the policy when there is nothing to do, and never sleeps
//! with the driver token in its hand.

use super::pace::{ENOUGH, Pace};
use super::shared::Shared;
use prewire_runtime_core::waiting::{Patience, Wait};
use prewire_scheduler::Step;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
                    shared.closing.load(Ordering::Acquire) || (shared.is_running() && has_work(shared, index))
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
    let mut scheduler = match shared.instances[index].try_lock() {
        Ok(scheduler) => scheduler,
        // The caller drives it at the moment; it is not needed twice.
        Err(_) => return wait(shared, patience, false),
    };
    let mut worked = false;
    while shared.is_running() {
        let before = scheduler.completed();
        match scheduler.step() {
            Step::Worked => {
                worked = true;
                let achieved = scheduler.completed() - before;
                if achieved < ENOUGH && scheduler.is_quiet() {
                    pace.pause(achieved, || shared.is_awaited());
                }
            }
            Step::Idle { must_poll: polling, .. } => {
                drop(scheduler);
                pace.slow_down();
                if worked {
                    patience.reset();
                    return Round::Worked;
                }
                return wait(shared, patience, polling);
            }
        }
    }
    Round::Sleep { polling: false }
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

/// Whether the instance would find something to do. If somebody else drives it, that one looks.
pub(super) fn has_work(shared: &Shared, index: usize) -> bool {
    shared.instances[index].try_lock().is_ok_and(|mut scheduler| scheduler.has_work())
}
