//! One scheduler instance's line through time.

/// What an instance is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// A step is on its way.
    Sweeping,
    /// It found nothing. It looks again in rounds that change nothing, or sleeps.
    Parked,
}

#[derive(Debug)]
pub(super) struct InstanceLine {
    /// Its cores.
    pub(super) cores: Vec<usize>,
    pub(super) doing: Doing,
    /// When the sweep that is on its way began.
    pub(super) start_ns: u64,
    /// While it is parked: when its first round began, and how long each takes.
    pub(super) origin_ns: u64,
    pub(super) round_ns: u64,
    /// The number of its next step or alarm; others were called off.
    pub(super) serial: u64,
    pub(super) must_poll: bool,
    /// It woke because it had slept long enough, not because its bell rang.
    pub(super) by_alarm: bool,
    /// From when to when it gets no processor.
    pub(super) starved: Option<(u64, u64)>,
}

impl InstanceLine {
    pub(super) fn new(cores: Vec<usize>) -> Self {
        InstanceLine {
            cores,
            doing: Doing::Sweeping,
            start_ns: 0,
            origin_ns: 0,
            round_ns: 1,
            serial: 0,
            must_poll: false,
            by_alarm: false,
            starved: None,
        }
    }

    /// The first moment from `at_ns` on at which it has a processor.
    pub(super) fn when_awake(&self, at_ns: u64) -> u64 {
        match self.starved {
            Some((from, until)) if (from..until).contains(&at_ns) => until,
            _ => at_ns,
        }
    }

    /// When the round begins whose sweep, of `sweep_ns`, is the first to end at or behind a moment.
    pub(super) fn round_that_sees(&self, at_ns: u64, sweep_ns: u64) -> u64 {
        let missed = at_ns.saturating_sub(self.origin_ns + sweep_ns).div_ceil(self.round_ns.max(1));
        self.origin_ns + missed * self.round_ns
    }
}
