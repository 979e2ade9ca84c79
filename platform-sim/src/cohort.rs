//! What the blocks and parts of one task do together: a barrier for all of them, and pipes between the parts of one block.
//!
//! Every wait ends: when what it waits for comes, when a sibling fails or returns without it, or when the run is over.

use crate::virtual_time;
use prewire_runtime_core::id::TaskId;
use prewire_runtime_core::kernel::KernelError;
use prewire_runtime_core::platform::DispatchPayload;
use prewire_runtime_core::sync::{Condvar, Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Values a pipe holds before its sender waits.
const PIPE_ENTRIES: usize = 64;

/// Parts of a cluster.
const PARTS: usize = 3;

/// How long a wait lasts before it looks again whether its run has been ended by somebody who did not say so here.
const LOOK: Duration = Duration::from_millis(20);

const POISON: &str = "no code panics while it holds a cohort";

/// The live tasks whose blocks or parts may wait for one another.
#[derive(Debug, Default)]
pub(crate) struct Cohorts(Mutex<HashMap<TaskId, Arc<Cohort>>>);

/// One task's blocks and parts.
#[derive(Debug)]
struct Cohort {
    task: TaskId,
    /// Blocks times parts.
    size: u32,
    barrier: Mutex<Barrier>,
    passed: Condvar,
    links: Mutex<HashMap<u32, Arc<Link>>>,
}

#[derive(Debug, Default)]
struct Barrier {
    arrived: u32,
    generation: u64,
    ended: u32,
    /// Who failed first, for the siblings' errors.
    failed: Option<String>,
}

/// What the parts of one block share.
#[derive(Debug, Default)]
struct Link {
    state: Mutex<LinkState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LinkState {
    /// By sender and receiver.
    pipes: [[VecDeque<u64>; PARTS]; PARTS],
    ended: [bool; PARTS],
    failed: [bool; PARTS],
}

/// One block's part in its cohort.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    cohort: Arc<Cohort>,
    link: Arc<Link>,
    block: u32,
    part: usize,
    parts: u8,
}

impl Cohorts {
    /// Counts a dispatch into its task's cohort.
    pub(crate) fn join(&self, payload: &DispatchPayload) -> Member {
        let size = payload.blocks * u32::from(payload.parts.count_ones() as u8).max(1);
        let mut cohorts = self.0.lock().expect(POISON);
        let cohort = cohorts.entry(payload.task).or_insert_with(|| {
            Arc::new(Cohort {
                task: payload.task,
                size,
                barrier: Mutex::default(),
                passed: Condvar::new(),
                links: Mutex::default(),
            })
        });
        let link = Arc::clone(cohort.links.lock().expect(POISON).entry(payload.block).or_default());
        Member {
            cohort: Arc::clone(cohort),
            link,
            block: payload.block,
            part: usize::from(payload.part),
            parts: payload.parts,
        }
    }

    /// The member's kernel has returned. The siblings that wait for it learn of it.
    pub(crate) fn leave(&self, member: &Member, failure: Option<&str>) {
        {
            let mut state = member.link.state.lock().expect(POISON);
            state.ended[member.part] = true;
            state.failed[member.part] = failure.is_some();
            member.link.changed.notify_all();
        }
        let ended = {
            let mut barrier = member.cohort.barrier.lock().expect(POISON);
            barrier.ended += 1;
            if let (Some(text), None) = (failure, &barrier.failed) {
                barrier.failed = Some(format!("block {} failed: {text}", member.block));
            }
            member.cohort.passed.notify_all();
            barrier.ended
        };
        if ended == member.cohort.size {
            self.0.lock().expect(POISON).remove(&member.cohort.task);
        }
    }

    /// Wakes everybody who waits, to look whether the run is over.
    pub(crate) fn wake_all(&self) {
        for cohort in self.0.lock().expect(POISON).values() {
            drop(cohort.barrier.lock().expect(POISON));
            cohort.passed.notify_all();
            for link in cohort.links.lock().expect(POISON).values() {
                drop(link.state.lock().expect(POISON));
                link.changed.notify_all();
            }
        }
    }

    /// Forgets all cohorts, those of tasks whose last blocks were never dispatched among them. Only between runs.
    pub(crate) fn clear(&self) {
        self.0.lock().expect(POISON).clear();
    }
}

fn ended(text: impl Into<String>) -> KernelError {
    KernelError::new(KernelError::CANCELLED, text)
}

/// Waits for a change, or for a while. A kernel in virtual time hands its baton on instead; `first` says that this is the first time in one call.
fn sleep<'a, T>(place: &'a Mutex<T>, guard: MutexGuard<'a, T>, changed: &Condvar, first: bool) -> MutexGuard<'a, T> {
    if !virtual_time::is_by_baton() {
        return changed.wait_timeout(guard, LOOK).expect(POISON).0;
    }
    drop(guard);
    virtual_time::pass_on(first);
    place.lock().expect(POISON)
}

const RUN_OVER: &str = "the run was ended";

impl Member {
    /// Waits until all blocks and parts of the task have come here as often.
    pub(crate) fn barrier(&self, is_over: impl Fn() -> bool) -> Result<(), KernelError> {
        let cohort = &*self.cohort;
        let mut barrier = cohort.barrier.lock().expect(POISON);
        barrier.arrived += 1;
        if barrier.arrived == cohort.size {
            barrier.arrived = 0;
            barrier.generation += 1;
            cohort.passed.notify_all();
            return Ok(());
        }
        let generation = barrier.generation;
        let mut first = true;
        loop {
            if barrier.generation != generation {
                return Ok(());
            }
            if is_over() {
                return Err(ended(RUN_OVER));
            }
            if let Some(failed) = &barrier.failed {
                return Err(ended(format!("the barrier of task {} is broken: {failed}", cohort.task)));
            }
            if barrier.ended > 0 {
                return Err(ended(format!(
                    "the barrier of task {} cannot be reached by all: {} of its {} parts have returned",
                    cohort.task, barrier.ended, cohort.size
                )));
            }
            barrier = sleep(&cohort.barrier, barrier, &cohort.passed, std::mem::take(&mut first));
        }
    }

    /// Whether a block or part of the task has failed.
    pub(crate) fn sibling_failed(&self) -> bool {
        self.cohort.barrier.lock().expect(POISON).failed.is_some()
    }

    /// Sends a value to another part of the block.
    pub(crate) fn send(&self, to: usize, value: u64, is_over: impl Fn() -> bool) -> Result<(), KernelError> {
        self.check(to)?;
        self.wait(to, is_over, |state| {
            let pipe = &mut state.pipes[self.part][to];
            if pipe.len() == PIPE_ENTRIES {
                return None;
            }
            pipe.push_back(value);
            Some(())
        })
    }

    /// Receives the oldest value that another part of the block has sent.
    pub(crate) fn receive(&self, from: usize, is_over: impl Fn() -> bool) -> Result<u64, KernelError> {
        self.check(from)?;
        self.wait(from, is_over, |state| state.pipes[from][self.part].pop_front())
    }

    fn check(&self, other: usize) -> Result<(), KernelError> {
        if other >= PARTS || self.parts >> other & 1 == 0 {
            return Err(KernelError::new(
                KernelError::ACCESS,
                format!("part {other} is not part of task {}", self.cohort.task),
            ));
        }
        if other == self.part {
            return Err(KernelError::new(KernelError::ACCESS, format!("part {other} has no pipe to itself")));
        }
        Ok(())
    }

    /// Waits until `step` achieves something with the block's pipes; `other` is the part at the far end.
    fn wait<T>(
        &self,
        other: usize,
        is_over: impl Fn() -> bool,
        mut step: impl FnMut(&mut LinkState) -> Option<T>,
    ) -> Result<T, KernelError> {
        let link = &*self.link;
        let mut state = link.state.lock().expect(POISON);
        let mut first = true;
        loop {
            if is_over() {
                return Err(ended(RUN_OVER));
            }
            if state.failed[other] {
                return Err(ended(format!("part {other} of block {} of task {} failed", self.block, self.cohort.task)));
            }
            if let Some(done) = step(&mut state) {
                link.changed.notify_all();
                return Ok(done);
            }
            if state.ended[other] {
                return Err(ended(format!(
                    "part {other} of block {} of task {} has returned",
                    self.block, self.cohort.task
                )));
            }
            state = sleep(&link.state, state, &link.changed, std::mem::take(&mut first));
        }
    }
}
