//! What the chip in virtual time needs of those who run on it.

/// What a step of a scheduler instance was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// It achieved something.
    pub worked: bool,
    /// Tasks wait for counters that nobody rings a bell for.
    pub must_poll: bool,
}

/// The scheduler instances and their watchdog, as whoever assembles them gives them.
pub trait Actors {
    /// One step of an instance.
    fn step(&mut self, instance: usize) -> Stepped;

    /// Whether a step of the instance would find something to do; asked before it sleeps.
    fn has_work(&mut self, instance: usize) -> bool;

    /// A look of the watchdog. True if it gave a verdict.
    fn check(&mut self, now_ns: u64) -> bool;
}

/// What goes wrong on purpose, beyond the faults of single cores. Times count from the beginning of each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Injection {
    /// A scheduler instance gets no processor for a while.
    StarvesScheduler {
        /// Which one.
        instance: usize,
        /// When that begins.
        after_ns: u64,
        /// How long it lasts.
        for_ns: u64,
    },
    /// The first ready task that is found in a queue from then on is taken out, and nobody hears of it.
    LosesReadyTask {
        /// From when on.
        after_ns: u64,
    },
    /// Instances that find nothing sleep until their bell rings, as threads do on a machine with few processors, instead of looking again and again.
    SchedulersSleep,
}
