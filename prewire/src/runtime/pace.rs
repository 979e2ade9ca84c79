//! How an instance keeps its distance from an orchestrator that is submitting.
//!
//! Two processors pass a cache line between them in the time of a whole small task. An instance that runs right behind the orchestrator takes from it, task after
//! task, the very lines that it is writing: the queue's, the slot's, the arguments'. Some tasks behind, both work out of their own caches, on lines that were
//! passed on in bulk. So an instance that found little, with nothing running on its cores, waits a moment for more; the moment grows while there is
//! more each time, is short again once there was nothing, and is over at once when the caller waits for anything.

use std::time::{Duration, Instant};

/// Tasks achieved in one step from which on the instance is far enough behind.
pub(super) const ENOUGH: u64 = 24;
/// An idle core waits for a task no longer than this while tasks come slowly.
const SHORTEST: Duration = Duration::from_micros(1);
/// Longer pauses gained nothing on a machine that passes a line on in 30 to 170 ns.
const LONGEST: Duration = Duration::from_micros(8);

/// How long the next pause is.
#[derive(Debug)]
pub(super) struct Pace {
    next: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { next: SHORTEST }
    }
}

impl Pace {
    /// Waits a moment behind a step that found little. `is_awaited` ends it.
    pub(super) fn pause(&mut self, is_awaited: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_awaited() && begin.elapsed() < self.next {
            std::hint::spin_loop();
        }
        self.next = (2 * self.next).min(LONGEST);
    }

    /// There was nothing behind the last pause.
    pub(super) fn slow_down(&mut self) {
        self.next = SHORTEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_pause_grows_to_a_bound_and_ends_when_the_caller_waits() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            pace.pause(|| false);
        }
        assert_eq!(pace.next, LONGEST);
        let asked = Cell::new(0);
        pace.pause(|| {
            asked.set(asked.get() + 1);
            true
        });
        assert_eq!(asked.get(), 1, "a caller that waits is seen at the first look");
        pace.slow_down();
        assert_eq!(pace.next, SHORTEST);
    }
}
