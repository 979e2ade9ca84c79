//! Where the arguments of live tasks lie: spans of 64-byte units within segments. A segment whose tasks are all gone is used again first, so the
//! memory in use is as small as the live tasks. There is room for as many tasks as the window has, so arguments are never what is short.
//!
//! Tasks with few arguments, which most are, have a row of a segment each, and the next task's row is not beside it but on another page. Whoever runs a task reads
//! its arguments one after the other, and a processor that sees this fetches the lines behind them as well. Were these the next task's, they would be taken
//! from the thread that is just writing them, and each line would go to and fro.

use prewire_runtime_core::arguments::ENTRIES_PER_UNIT;
use prewire_runtime_core::chip::ChipSpec;
use std::collections::VecDeque;

/// Units of a row.
pub(crate) const ROW: u32 = 4;

/// So many rows lie from one task's to the next one's: more than a page of 4 KiB, and odd, so that each row of a segment has its turn.
const STEP: u32 = 29;

const _: () = assert!(STEP * ROW * 64 > 4096 && STEP % 2 == 1);

/// No segment.
const NONE: u32 = u32::MAX;

/// What the argument units of a ring must suffice for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArgumentSizes {
    window: u64,
    /// The largest span: the arguments of a task, or the directory of a group.
    span: u64,
    /// What all live groups together may have.
    groups: u64,
}

impl ArgumentSizes {
    /// For a ring with this window and tasks of a chip: the largest group has room, and for many of them there is an eighth of what all tasks may take.
    pub(crate) fn new(window: u64, chip: &ChipSpec) -> Self {
        let cores = u64::from(chip.cores());
        let directory = cores.div_ceil(ENTRIES_PER_UNIT as u64);
        let task = u64::from(chip.arguments.units());
        ArgumentSizes {
            window,
            span: task.max(directory).max(u64::from(ROW)),
            groups: (directory + cores * task).max(window * task / 8),
        }
    }

    /// Units per segment: 16 KiB, or more where the largest span would use up most of that.
    fn segment_units(self) -> u64 {
        (4 * self.span).next_power_of_two().max(256)
    }

    /// How many segments hold the arguments of a window of tasks, however large, and of groups.
    ///
    /// Full segments of long spans miss less than one of the largest each, and those of rows have served so many tasks that the largest spans of these would have
    /// filled them; of each kind two more are begun or not yet left.
    fn segments(self) -> u64 {
        (self.window * self.span + self.groups).div_ceil(self.segment_units() - self.span + 1) + 4
    }

    /// The argument units of the ring.
    pub(crate) fn units(self) -> u64 {
        self.segments() * self.segment_units()
    }
}

/// The argument units of one ring.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// The row that comes next and the one behind it, and how many of their segment are taken.
    row: u32,
    row_ahead: u32,
    rows_taken: u32,
    /// Rows in a segment; a power of two.
    rows: u32,
    /// The next unit for a long span, and the end of its segment.
    next: u32,
    end: u32,
    /// The segments that rows and long spans are taken from at present; [`NONE`] before the first.
    row_segment: u32,
    long_segment: u32,
    /// Left segments with the first sequence number that is not in them, oldest first.
    left: VecDeque<(u64, u32)>,
    /// When the tail gets here, the oldest left segment is free.
    oldest_until: u64,
    free: Vec<u32>,
    segment_units: u32,
    /// The live groups with their units, and what these sum up to; the oldest are taken off when the next one asks.
    groups: VecDeque<(u64, u64)>,
    in_groups: u64,
    groups_most: u64,
}

impl Arguments {
    /// The units of a ring, from `first`.
    pub(crate) fn new(first: u64, sizes: ArgumentSizes) -> Self {
        let (count, segment_units) = (sizes.segments(), sizes.segment_units());
        let rows = segment_units as u32 / ROW;
        Arguments {
            row: first as u32,
            row_ahead: first as u32,
            rows_taken: rows,
            rows,
            next: first as u32,
            end: first as u32,
            row_segment: NONE,
            long_segment: NONE,
            segment_units: segment_units as u32,
            left: VecDeque::with_capacity(count as usize),
            oldest_until: u64::MAX,
            free: (0..count).rev().map(|segment| (first + segment * segment_units) as u32).collect(),
            groups: VecDeque::new(),
            in_groups: 0,
            groups_most: sizes.groups,
        }
    }

    /// Takes `units` units for the task with number `sequence`. A task that has units already takes more under the number behind its own: the segment that
    /// it leaves is in use until then.
    #[inline(always)]
    pub(crate) fn take(&mut self, units: u32, sequence: u64) -> u32 {
        if units > ROW {
            return self.take_long(units, sequence);
        }
        if self.rows_taken == self.rows {
            self.enter_rows(sequence);
        }
        let first = self.row;
        self.rows_taken += 1;
        self.row = self.row_ahead;
        // Behind the last row of the segment comes its first one again, which nobody is given.
        self.row_ahead = self.row_of(self.rows_taken + 1);
        first
    }

    /// Where the units of the task behind the next one will be, if neither has more than a row and no other segment is begun for them.
    #[inline(always)]
    pub(crate) fn row_ahead(&self) -> u32 {
        self.row_ahead
    }

    #[inline]
    fn row_of(&self, taken: u32) -> u32 {
        // There is no segment before the first row is taken, and then this names nothing that is used.
        self.row_segment.wrapping_add(ROW * (taken.wrapping_mul(STEP) & (self.rows - 1)))
    }

    #[inline(never)]
    fn take_long(&mut self, units: u32, sequence: u64) -> u32 {
        if units > self.end - self.next {
            let segment = self.enter_segment(self.long_segment, sequence);
            self.long_segment = segment;
            self.next = segment;
            self.end = segment + self.segment_units;
        }
        let first = self.next;
        self.next += units;
        first
    }

    #[cold]
    fn enter_rows(&mut self, sequence: u64) {
        let segment = self.enter_segment(self.row_segment, sequence);
        self.row_segment = segment;
        self.row = segment;
        self.row_ahead = self.row_of(1);
        self.rows_taken = 0;
    }

    /// Leaves a segment and takes another.
    fn enter_segment(&mut self, present: u32, sequence: u64) -> u32 {
        if present != NONE {
            if self.left.is_empty() {
                self.oldest_until = sequence;
            }
            self.left.push_back((sequence, present));
        }
        self.free.pop().expect("there are segments for a full window of the largest tasks")
    }

    /// Whether a group of so many units has room beside the live ones. `tail` is the oldest task that is not gone.
    pub(crate) fn has_room_for_group(&mut self, units: u64, tail: u64) -> bool {
        while let Some(&(sequence, units)) = self.groups.front()
            && sequence < tail
        {
            self.groups.pop_front();
            self.in_groups -= units;
        }
        self.in_groups + units <= self.groups_most
    }

    /// Counts the units of the group with number `sequence`, which has room.
    pub(crate) fn enter_group(&mut self, units: u64, sequence: u64) {
        self.groups.push_back((sequence, units));
        self.in_groups += units;
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
    use prewire_runtime_core::task::ArgumentLimits;

    fn sizes(window: u64, arguments: ArgumentLimits) -> ArgumentSizes {
        ArgumentSizes::new(window, &ChipSpec { arguments, ..ChipSpec::unit(24) })
    }

    /// Groups of the largest size come and go beside a window of the largest tasks, and never take their room.
    #[test]
    fn groups_leave_the_room_of_tasks_alone() {
        let chip = ChipSpec::unit(24);
        let sizes = ArgumentSizes::new(64, &chip);
        let (task, members) = (chip.arguments.units(), u64::from(chip.cores()));
        let mut arguments = Arguments::new(0, sizes);
        let mut owner = vec![u64::MAX; sizes.units() as usize];
        let (mut tail, mut groups) = (0, 0);
        for sequence in 0..5000u64 {
            if sequence - tail == 64 {
                tail += 1 + sequence % 7;
                arguments.leave(tail);
            }
            let units = 18 + members * u64::from(task);
            let mut spans = vec![task];
            if sequence % 3 == 0 && arguments.has_room_for_group(units, tail) {
                arguments.enter_group(units, sequence);
                spans.extend((0..members).map(|_| task));
                groups += 1;
            }
            for (at, span) in spans.into_iter().enumerate() {
                let first = arguments.take(span, sequence + (at > 0) as u64);
                for unit in &mut owner[first as usize..(first + span) as usize] {
                    assert!(*unit == u64::MAX || *unit < tail, "a unit of live task {unit} was given to {sequence}");
                    *unit = sequence;
                }
            }
        }
        assert!(groups > 50, "{groups} groups had room");
    }

    /// A full window of the largest tasks has room, and nobody's units are anybody else's.
    #[test]
    fn a_full_window_of_the_largest_tasks_has_room() {
        let limits = [
            ArgumentLimits::CHIP,
            ArgumentLimits::HOST,
            ArgumentLimits { tensors: 1, scalars: 0, overlapping_writes: true },
        ];
        for (window, limits) in [4u64, 64, 1024].into_iter().flat_map(|window| limits.map(|limits| (window, limits))) {
            let most = limits.units();
            let sizes = sizes(window, limits);
            let mut arguments = Arguments::new(1000, sizes);
            let mut owner = vec![None; sizes.units() as usize];
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
        let mut arguments = Arguments::new(0, sizes(16_384, ArgumentLimits::CHIP));
        let mut most = 0;
        for sequence in 0..100_000u64 {
            most = most.max(arguments.take(2, sequence));
            arguments.leave(sequence.saturating_sub(100));
        }
        assert!(most < 4 * 256, "unit {most} was used for 100 live tasks");
    }
}
