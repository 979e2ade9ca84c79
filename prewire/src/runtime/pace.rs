//! How an instance keeps its distance from an orchestrator that is submitting.
//!
//! Two processors pass a cache line between them in the time of a whole small task, and ask for the lines behind it as well. An instance that runs right behind
//! the orchestrator takes from it, task after task, the very lines that it is writing: the queue's, the slot's, the arguments'. Some tasks behind, both
//! work out of their own caches, on lines that were passed on in bulk. So an instance that has come near, with small tasks and nothing running on its
//! cores, waits a moment until it is far enough behind; the moment grows while there is more each time, is short again once there was nothing, and is
//! over at once when the caller waits for anything.

use prewire_runtime_core::sync::{Instant, spin_hint};
use std::time::Duration;

/// Fewer tasks behind the orchestrator than this an instance is too near, and this many behind it is far enough.
pub(super) const NEAR: u64 = 128;
pub(super) const FAR: u64 = 512;
/// Tasks that take longer, on average, are not held up for the sake of a cache line.
const SMALL: Duration = Duration::from_micros(1);
/// An idle core waits for a task no longer than this while tasks come slowly.
const SHORTEST: Duration = Duration::from_micros(1);
/// Longer pauses gained little on a machine that passes a line on in 30 to 170 ns; shorter ones cost up to a tenth.
const LONGEST: Duration = Duration::from_micros(64);

/// How long the next pause is.
#[derive(Debug)]
pub(crate) struct Pace {
    next: Duration,
    /// When the last pause was over, and how many tasks the instance had completed by then.
    resumed: Option<(Instant, u64)>,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { next: SHORTEST, resumed: None }
    }
}

impl Pace {
    /// Waits a moment behind a step that achieved something, unless tasks took long since the last pause. `completed` counts them over the run; `is_over` ends
    /// the wait.
    pub(super) fn pause(&mut self, completed: u64, is_over: impl Fn() -> bool) {
        let begin = Instant::now();
        if let Some((resumed, before)) = self.resumed {
            let tasks = u32::try_from(completed.saturating_sub(before)).unwrap_or(u32::MAX).max(1);
            if (begin - resumed) / tasks > SMALL {
                *self = Pace { next: SHORTEST, resumed: Some((begin, completed)) };
                return;
            }
        }
        let mut now = begin;
        while !is_over() && now - begin < self.next {
            spin_hint();
            now = Instant::now();
        }
        *self = Pace { next: (2 * self.next).min(LONGEST), resumed: Some((now, completed)) };
    }

    /// There was nothing behind the last pause.
    pub(super) fn slow_down(&mut self) {
        *self = Pace::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_pause_grows_to_a_bound_and_ends_when_the_caller_waits() {
        let mut pace = Pace::default();
        // As if many tasks had been completed since the last one, so that the time that a busy machine takes is not theirs.
        for round in 1..=10 {
            pace.pause(round << 20, || false);
        }
        assert_eq!(pace.next, LONGEST);
        let asked = Cell::new(0);
        pace.pause(11 << 20, || {
            asked.set(asked.get() + 1);
            true
        });
        assert_eq!(asked.get(), 1, "a caller that waits is seen at the first look");
        pace.slow_down();
        assert_eq!(pace.next, SHORTEST);
    }

    #[test]
    fn long_tasks_are_not_held_up() {
        let mut pace = Pace { next: LONGEST, resumed: Some((Instant::now(), 40)) };
        std::thread::sleep(20 * SMALL);
        pace.pause(42, || panic!("nobody waits, so nobody asks"));
        assert_eq!(pace.next, SHORTEST);
    }
}
