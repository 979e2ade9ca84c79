//! The stand-in: a thread that drives the first scheduler instance while no caller waits.
//!
//! Whoever waits drives the instance itself (architecture D17), so that between its submit and its result there are only the way to the worker and the way
//! back. A caller that does not wait, because its callback computes or its run was only submitted, has the stand-in. One party at a time is rung as the
//! instance: who sleeps as it holds the bed. While callers come and wait often the stand-in does not even lie down, as waking it would cost each of them
//! more than their run; it looks around now and then.

use super::machine::Driven;
use super::pace::Pace;
use super::shared::Shared;
use super::supervisor::Bell;
use prewire_runtime_core::sync::pause::{self, Point};
use prewire_runtime_core::sync::{AtomicU32, Mutex, MutexGuard, Ordering, sleep};
use prewire_runtime_core::waiting::{Patience, Wait};
use std::sync::{Arc, TryLockError};
use std::time::Duration;

/// The instance that callers and the stand-in share.
const INSTANCE: usize = 0;
/// How long the stand-in looks away while callers come and go: at most so long is a task held up whose caller computes on.
const NAP: Duration = Duration::from_micros(250);
/// After so many naps it lies down: without a caller and without work, or while one caller waits on.
const NAPS: u32 = 16;
/// How long it sleeps at most when nothing has to be polled, and when something has to.
const LONGEST_SLEEP: Duration = if cfg!(prewire_mutation = "schedulers_look_now_and_then") {
    Duration::from_millis(1)
} else {
    Duration::from_secs(3600)
};
const POLLING_SLEEP: Duration = Duration::from_millis(1);

/// Who drives the instance, and who sleeps as it.
#[derive(Debug, Default)]
pub(super) struct Shift {
    /// Callers that wait, and so drive.
    drivers: AtomicU32,
    /// How often a caller has begun to.
    turns: AtomicU32,
    bed: Mutex<()>,
    /// Of the stand-in, while a caller waits long.
    relief: Bell,
}

impl Shift {
    /// A caller waits from here on.
    pub(super) fn begin(&self) {
        self.drivers.fetch_add(1, Ordering::SeqCst);
        self.turns.fetch_add(1, Ordering::SeqCst);
    }

    /// The caller's wait is over.
    pub(super) fn end(&self) {
        self.drivers.fetch_sub(1, Ordering::SeqCst);
        self.relief.ring_if_dormant();
    }

    /// The runtime ends, which was made known before this call.
    pub(super) fn leave(&self) {
        self.relief.ring();
    }

    /// Whether any caller waits.
    pub(super) fn has_driver(&self) -> bool {
        self.drivers.load(Ordering::SeqCst) != 0
    }

    /// Whether more than one caller waits.
    pub(super) fn has_other_drivers(&self) -> bool {
        self.drivers.load(Ordering::SeqCst) > 1
    }

    /// The right to be rung as the instance, if nobody else has it.
    pub(super) fn bed(&self) -> Option<MutexGuard<'_, ()>> {
        match self.bed.try_lock() {
            Ok(bed) => Some(bed),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The thread's body.
pub(super) fn drive(shared: &Arc<Shared>) {
    let shift = &shared.shift;
    let (mut patience, mut pace) = (Patience::default(), Pace::default());
    let (mut turns, mut naps) = (0, NAPS);
    let (mut off_duty, mut seen_ring) = (0, 0);
    while !shared.closing.load(Ordering::Acquire) {
        if shift.has_driver() {
            if off_duty < NAPS {
                off_duty += 1;
                sleep(NAP);
            } else {
                shift
                    .relief
                    .lie_dormant(&mut seen_ring, || !shift.has_driver() || shared.closing.load(Ordering::Acquire));
            }
            continue;
        }
        off_duty = 0;
        let polling = match shared.machine.drive_until_idle(INSTANCE, shared, &mut pace) {
            Driven::Taken => {
                sleep(NAP);
                continue;
            }
            Driven::Idle { .. } if shared.wants_conductor() => {
                shared.conduct();
                continue;
            }
            Driven::Idle { worked: true, .. } => {
                // It is on duty.
                naps = NAPS;
                patience.reset();
                continue;
            }
            Driven::Idle { worked: false, polling } => polling,
            Driven::NoRun => false,
        };
        let seen = shift.turns.load(Ordering::SeqCst);
        if seen != turns {
            (turns, naps) = (seen, 0);
        }
        if naps < NAPS {
            naps += 1;
            sleep(NAP);
        } else if patience.wait(shared.waiting) == Wait::Sleep {
            patience.reset();
            lie_down(shared, polling);
        }
    }
}

/// Sleeps as the instance until it is rung.
fn lie_down(shared: &Shared, polling: bool) {
    let shift = &shared.shift;
    let Some(_bed) = shift.bed() else { return };
    let timeout = if polling { POLLING_SLEEP } else { LONGEST_SLEEP };
    // A caller that comes behind this look finds the bed taken and rings until it is free.
    shared.graph.bells.sleep(1 << INSTANCE, timeout, || {
        let found = shift.has_driver()
            || shared.closing.load(Ordering::Acquire)
            || shared.wants_conductor()
            || (shared.is_running() && shared.machine.has_work(INSTANCE));
        if !found {
            pause::at(Point::SchedulerSleeps);
        }
        found
    });
}
