//! The state of each run that every party looks at: whether it is cancelled and why, what failed, how much there is to do. One run at a time has tasks in
//! queues and on cores, the head; others may be built behind it and wait at their gates.

use crate::error::{Fatal, KernelFailure};
use crate::gate::RunGate;
use crate::kernel::KernelError;
use crate::slot::{NO_CAUSE, Ordinal};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, CachePadded, Mutex, Ordering};
use std::collections::BTreeMap;

/// The cancellation word and what belongs to it.
///
/// The word carries the run's number in its upper half and the first fatal's code below. A kernel that comes back late compares the number with its
/// own, so it is cancelled by its own run's end and never by the next run's.
#[derive(Debug)]
pub struct RunState {
    word: CachePadded<AtomicU64>,
    orchestration_done: AtomicBool,
    /// The last run in this place that nothing touches any more.
    ended: AtomicU32,
    /// What the run's roots wait for.
    pub gate: RunGate,
    submitted: CachePadded<AtomicU64>,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    fatal: Option<Fatal>,
    notes: Vec<String>,
    failures: BTreeMap<Ordinal, KernelFailure>,
}

impl Default for RunState {
    fn default() -> Self {
        RunState {
            word: CachePadded::new(AtomicU64::new(0)),
            orchestration_done: AtomicBool::new(false),
            ended: AtomicU32::new(0),
            gate: RunGate::default(),
            submitted: CachePadded::new(AtomicU64::new(0)),
            record: Mutex::new(Record::default()),
        }
    }
}

/// Runs that may be accepted and not over at one time.
pub const RUNS_MOST: usize = 8;

/// The states of the runs that are accepted and not over, each in a place of its own. Taken for one run, this is the head's.
#[derive(Debug)]
pub struct Runs {
    head: CachePadded<AtomicUsize>,
    states: [RunState; RUNS_MOST],
}

impl Default for Runs {
    fn default() -> Self {
        Runs { head: CachePadded::new(AtomicUsize::new(0)), states: std::array::from_fn(|_| RunState::default()) }
    }
}

impl std::ops::Deref for Runs {
    type Target = RunState;

    #[inline]
    fn deref(&self) -> &RunState {
        self.at(self.head())
    }
}

impl Runs {
    /// The place of the head.
    #[inline]
    pub fn head(&self) -> usize {
        self.head.load(Ordering::Relaxed)
    }

    /// Makes the run in a place the head. Only when no scheduler steps.
    pub fn set_head(&self, place: usize) {
        self.head.store(place, Ordering::Relaxed);
    }

    /// The state of the run in a place.
    #[inline]
    pub fn at(&self, place: usize) -> &RunState {
        &self.states[place % RUNS_MOST]
    }

    /// Where a run that has begun and is not over has its state.
    pub fn place_of(&self, run: u32) -> Option<usize> {
        self.states.iter().position(|state| state.run() == run)
    }
}

const POISON: &str = "no code panics while it holds a run's record";

impl RunState {
    /// Begins run `run`, with an open gate. Only when no party looks.
    pub fn begin(&self, run: u32) {
        self.begin_at_gate(run, true);
    }

    /// Begins run `run`, whose roots wait at its gate unless that is `open`. Only when no party looks at this place.
    pub fn begin_at_gate(&self, run: u32, open: bool) {
        self.gate.begin(open);
        // The lock keeps a late cause of the run before away until the word is this one's.
        let mut record = self.record.lock().expect(POISON);
        *record = Record::default();
        self.orchestration_done.store(false, Ordering::Relaxed);
        self.submitted.store(0, Ordering::Relaxed);
        self.word.store((run as u64) << 32, Ordering::Release);
    }

    /// Says that nothing touches the run's tasks any more, so that the orchestrator may take back what they have.
    pub fn end(&self) {
        self.ended.store(self.run(), Ordering::Release);
    }

    /// Whether nothing touches the tasks of run `run` any more, which has or had this place.
    pub fn has_ended(&self, run: u32) -> bool {
        self.ended.load(Ordering::Acquire) >= run
    }

    /// The present run's number.
    pub fn run(&self) -> u32 {
        (self.word.load(Ordering::Relaxed) >> 32) as u32
    }

    /// Whether the present run has been ended by a fatal.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.word.load(Ordering::Relaxed) as u32 != 0
    }

    /// Whether run `run` has been ended, or is over.
    #[inline]
    pub fn is_over(&self, run: u32) -> bool {
        self.word.load(Ordering::Relaxed) != (run as u64) << 32
    }

    /// Ends the run, unless an earlier cause has: the first one wins and is never overwritten. True if this was the first. The caller then wakes
    /// everybody.
    pub fn latch(&self, fatal: Fatal) -> bool {
        self.latch_of(self.run(), fatal)
    }

    /// As [`RunState::latch`], if the present run is still `run`: a cause that is found late is none of the next run's.
    pub fn latch_of(&self, run: u32, fatal: Fatal) -> bool {
        let code = fatal.code().number() as u64;
        let mut record = self.record.lock().expect(POISON);
        let open = (run as u64) << 32;
        if self.run() != run {
            return false;
        }
        let first = if cfg!(prewire_mutation = "latch_overwrites") {
            self.word.store(open | code, Ordering::Release);
            true
        } else {
            self.word.compare_exchange(open, open | code, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if first {
            record.fatal = Some(fatal);
        } else {
            record.notes.push(format!("later: {fatal}"));
        }
        first
    }

    /// The fatal that ended the run, if one did.
    pub fn fatal(&self) -> Option<Fatal> {
        self.record.lock().expect(POISON).fatal.clone()
    }

    /// Adds to the facts of the fatal that ended the run, such as what a stall's report can only say once everything is quiet.
    pub fn amend_fatal(&self, amend: impl FnOnce(&mut Fatal)) {
        if let Some(fatal) = &mut self.record.lock().expect(POISON).fatal {
            amend(fatal);
        }
    }

    /// What else was noticed: causes that came later, and warnings.
    pub fn notes(&self) -> Vec<String> {
        self.record.lock().expect(POISON).notes.clone()
    }

    /// Leaves a note for the report.
    pub fn note(&self, note: String) {
        self.record.lock().expect(POISON).notes.push(note);
    }

    /// Records a kernel's failure under its task's order of submission. The first report of a task stays, unless it only says that a block gave up
    /// waiting for a sibling: then the sibling's own report replaces it.
    pub fn record_failure(&self, ordinal: Ordinal, failure: KernelFailure) {
        debug_assert_ne!(ordinal, NO_CAUSE);
        let mut record = self.record.lock().expect(POISON);
        let kept = record.failures.entry(ordinal).or_insert_with(|| failure.clone());
        if kept.code == KernelError::CANCELLED && failure.code != KernelError::CANCELLED {
            *kept = failure;
        }
    }

    /// The failure of the task submitted as number `ordinal`.
    pub fn failure(&self, ordinal: Ordinal) -> Option<KernelFailure> {
        self.record.lock().expect(POISON).failures.get(&ordinal).cloned()
    }

    /// The first submitted task that failed, and how many failed.
    pub fn first_failure(&self) -> Option<(KernelFailure, u64)> {
        let record = self.record.lock().expect(POISON);
        let first = record.failures.first_key_value()?.1.clone();
        Some((first, record.failures.len() as u64))
    }

    /// How many tasks have been submitted, as last published by the orchestrator.
    #[inline]
    pub fn submitted(&self) -> u64 {
        self.submitted.load(Ordering::Acquire)
    }

    /// Publishes how many tasks have been submitted. Only the orchestrator.
    #[inline]
    pub fn publish_submitted(&self, count: u64) {
        self.submitted.store(count, Ordering::Release);
    }

    /// Says that no more tasks will come. Only the orchestrator, behind its last [`RunState::publish_submitted`].
    pub fn finish_orchestration(&self) {
        self.orchestration_done.store(true, Ordering::Release);
    }

    /// Whether no more tasks will come; the submitted count is then final.
    #[inline]
    pub fn orchestration_done(&self) -> bool {
        self.orchestration_done.load(Ordering::Acquire)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::id::{KernelId, TaskId};

    fn failure(code: i32) -> KernelFailure {
        KernelFailure {
            task: TaskId::from_bits(4),
            kernel: KernelId(0),
            kernel_name: "k".to_owned(),
            block: 0,
            core: "AIV_1".to_owned(),
            code,
            text: String::new(),
        }
    }

    #[test]
    fn a_sibling_that_gave_up_does_not_hide_the_culprit() {
        let run = RunState::default();
        run.begin(1);
        for code in [KernelError::CANCELLED, 7, 8, KernelError::CANCELLED] {
            run.record_failure(4, failure(code));
        }
        assert_eq!(run.failure(4).map(|failure| failure.code), Some(7));
        assert_eq!(run.first_failure().map(|(_, count)| count), Some(1));
    }
}
