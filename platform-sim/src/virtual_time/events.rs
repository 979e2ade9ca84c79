//! What is going to happen, in the order in which it does.

use crate::random::Random;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that happens at a moment. A number that is no longer its owner's says that it was called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A core's kernel starts.
    Start { core: usize, serial: u64 },
    /// A core's kernel ends.
    End { core: usize, serial: u64 },
    /// A core's answer can be read.
    Visible { core: usize },
    /// An instance ends the sweep of a step.
    Step { instance: usize, serial: u64 },
    /// A sleeping instance looks by itself.
    Alarm { instance: usize, serial: u64 },
    /// The watchdog looks.
    Watch,
}

/// The events to come. Of two at one moment the seed decides which comes first.
#[derive(Debug, Default)]
pub(super) struct Events(BinaryHeap<Reverse<(u64, u64, What)>>);

impl Events {
    pub(super) fn push(&mut self, at_ns: u64, what: What, random: &mut Random) {
        self.0.push(Reverse((at_ns, random.next(), what)));
    }

    pub(super) fn next_ns(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at_ns, ..))| *at_ns)
    }

    pub(super) fn pop(&mut self) -> Option<(u64, What)> {
        self.0.pop().map(|Reverse((at_ns, _, what))| (at_ns, what))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
