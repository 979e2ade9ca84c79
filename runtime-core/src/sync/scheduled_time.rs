//! Time where a seed decides who runs: it passes when somebody looks at it or sleeps, so that one seed is one schedule.

use std::cell::Cell;
use std::ops::{Add, Sub};
use std::time::Duration;

/// What a look costs.
const LOOK: Duration = Duration::from_micros(1);

std::thread_local! {
    /// All threads of a schedule are one thread of the system, so this is their common clock.
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A moment of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    /// This moment. Looking takes time.
    pub fn now() -> Self {
        let now = NOW.get() + LOOK;
        NOW.set(now);
        Instant(now)
    }

    /// How long ago this moment was.
    pub fn elapsed(&self) -> Duration {
        Self::now() - *self
    }

    /// The moment `time` after this one, if there is one.
    pub fn checked_add(&self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Instant)
    }

    /// The time since `earlier`, nothing if it is later.
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// The time since `earlier`, nothing if it is later.
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Instant(self.0 + time)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Lets `time` pass, and others run.
pub fn sleep(time: Duration) {
    NOW.set(NOW.get() + time);
    shuttle::thread::yield_now();
}
