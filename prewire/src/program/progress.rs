//! A line on the terminal that says how far a run is. Where standard error is no terminal there is none, so that logs stay readable.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line changes at most.
const INTERVAL: Duration = Duration::from_millis(100);
/// How many tasks pass between two looks at the clock.
const STRIDE: u64 = 64;

/// The line.
#[derive(Debug)]
pub(super) struct Progress {
    all: u64,
    next_look: u64,
    shown: Instant,
    terminal: bool,
}

impl Progress {
    /// Nothing is shown before the first interval is over.
    pub(super) fn new(all: u64) -> Self {
        Progress { all, next_look: STRIDE, shown: Instant::now(), terminal: std::io::stderr().is_terminal() }
    }

    /// So many tasks have been submitted.
    pub(super) fn submitted(&mut self, tasks: u64) {
        if !self.terminal || tasks < self.next_look {
            return;
        }
        self.next_look = tasks + STRIDE;
        if self.shown.elapsed() >= INTERVAL {
            self.shown = Instant::now();
            let percent = 100 * tasks / self.all.max(1);
            // A terminal that cannot be written to is no reason to stop.
            let _ignored = write!(std::io::stderr(), "\r\x1b[K{tasks} of {} tasks submitted ({percent} %)", self.all);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        clear();
    }
}

/// Takes the line away.
pub(super) fn clear() {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ignored = write!(stderr, "\r\x1b[K");
    }
}
