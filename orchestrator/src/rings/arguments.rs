//! Where the arguments of live tasks lie: spans of 64-byte units within segments. A segment whose tasks are all gone is used again first, so the
//! memory in use is as small as the live tasks. There is room for as many tasks as the window has, so arguments are never what is short.

use prewire_runtime_core::task::ArgumentLimits;
use std::collections::VecDeque;

/// Units per segment: 16 KiB, or more where the largest task would use up most of that.
fn segment_units(limits: ArgumentLimits) -> u64 {
    (4 * u64::from(limits.units())).next_power_of_two().max(256)
}

/// How many segments hold the arguments of `window` tasks, however large.
///
/// Full segments miss less than one of the largest tasks each; two more are begun or not yet left.
fn segments(window: u64, limits: ArgumentLimits) -> u64 {
    let most = u64::from(limits.units());
    (window * most).div_ceil(segment_units(limits) - most + 1) + 2
}

/// The argument units of a ring with this window, for tasks within `limits`.
pub(crate) fn argument_units(window: u64, limits: ArgumentLimits) -> u64 {
    segments(window, limits) * segment_units(limits)
}

/// The argument units of one ring.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// The next unit of the present segment, and its end.
    next: u32,
    end: u32,
    present: u32,
    /// Left segments with the first sequence number that is not in them, oldest first.
    left: VecDeque<(u64, u32)>,
    /// When the tail gets here, the oldest left segment is free.
    oldest_until: u64,
    free: Vec<u32>,
    segment_units: u32,
}

impl Arguments {
    /// The units of a ring with this window, from `first`.
    pub(crate) fn new(first: u64, window: u64, limits: ArgumentLimits) -> Self {
        let (count, segment_units) = (segments(window, limits), segment_units(limits));
        let mut free: Vec<u32> = (0..count).rev().map(|segment| (first + segment * segment_units) as u32).collect();
        let present = free.pop().expect("there are at least two segments");
        Arguments {
            next: present,
            end: present + segment_units as u32,
            segment_units: segment_units as u32,
            present,
            left: VecDeque::with_capacity(count as usize),
            oldest_until: u64::MAX,
            free,
        }
    }

    /// Takes `units` units for the task with number `sequence`.
    #[inline]
    pub(crate) fn take(&mut self, units: u32, sequence: u64) -> u32 {
        if units > self.end - self.next {
            self.enter_segment(sequence);
        }
        let first = self.next;
        self.next += units;
        first
    }

    /// The unit that will most likely be the next but `ahead`.
    #[inline]
    pub(crate) fn likely_unit(&self, ahead: u32) -> u32 {
        let unit = self.next + ahead;
        match self.free.last() {
            Some(&segment) if unit >= self.end => segment + (unit - self.end),
            _ => unit,
        }
    }

    #[cold]
    fn enter_segment(&mut self, sequence: u64) {
        let segment = self.free.pop().expect("there are segments for a full window of the largest tasks");
        if self.left.is_empty() {
            self.oldest_until = sequence;
        }
        self.left.push_back((sequence, self.present));
        self.present = segment;
        self.next = segment;
        self.end = segment + self.segment_units;
    }

    /// Says that all tasks before `tail` are gone.
    #[inline]
    pub(crate) fn leave(&mut self, tail: u64) {
        if tail >= self.oldest_until {
            self.leave_segments(tail);
        }
    }

    #[cold]
    fn leave_segments(&mut self, tail: u64) {
        while let Some(&(until, segment)) = self.left.front() {
            if tail < until {
                self.oldest_until = until;
                return;
            }
            self.left.pop_front();
            self.free.push(segment);
        }
        self.oldest_until = u64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full window of the largest tasks has room, and nobody's units are anybody else's.
    #[test]
    fn a_full_window_of_the_largest_tasks_has_room() {
        let limits = [ArgumentLimits::CHIP, ArgumentLimits::HOST, ArgumentLimits { tensors: 1, scalars: 0 }];
        for (window, limits) in [4u64, 64, 1024].into_iter().flat_map(|window| limits.map(|limits| (window, limits))) {
            let most = limits.units();
            let mut arguments = Arguments::new(1000, window, limits);
            let mut owner = vec![None; argument_units(window, limits) as usize];
            let mut live: VecDeque<(u64, u32, u32)> = VecDeque::new();
            for sequence in 0..window * 10 {
                if live.len() as u64 == window {
                    let (gone, first, units) = live.pop_front().unwrap();
                    for unit in first..first + units {
                        assert_eq!(owner[unit as usize - 1000], Some(gone));
                        owner[unit as usize - 1000] = None;
                    }
                    arguments.leave(gone + 1);
                }
                let units = if sequence % 3 == 0 { most } else { sequence as u32 % (most + 1) };
                let first = arguments.take(units, sequence);
                for unit in first..first + units {
                    let unit = &mut owner[unit as usize - 1000];
                    assert_eq!(*unit, None, "task {sequence} got a unit of a live task");
                    *unit = Some(sequence);
                }
                live.push_back((sequence, first, units));
            }
        }
    }

    /// A stream with few tasks alive stays within few segments.
    #[test]
    fn few_live_tasks_use_few_segments() {
        let mut arguments = Arguments::new(0, 16_384, ArgumentLimits::CHIP);
        let mut most = 0;
        for sequence in 0..100_000u64 {
            most = most.max(arguments.take(2, sequence));
            arguments.leave(sequence.saturating_sub(100));
        }
        assert!(most < 4 * segment_units(ArgumentLimits::CHIP) as u32, "unit {most} was used for 100 live tasks");
    }
}
