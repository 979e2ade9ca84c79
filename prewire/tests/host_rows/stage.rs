//! Tasks that say that they have started and wait until they are let go, on words that all workers share.

use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, CallableId, HostBuilder, HostRuntime};
use prewire::{Argument, Buffer, CoreId, CoreKind, DataType, KernelContext, KernelError, Run, Tensor};
use prewire::{Dependency, Placement, Scalar, SubmitError, Submitted, Task, TaskId};
use std::sync::atomic::Ordering;

/// Words of a stage.
const WORDS: u32 = 4096;
/// Words from here on are a list of what ended, in its order; this one is its length.
const LIST: usize = 2048;
/// Word 2 · actor counts its starts, the next one lets it go.
const fn started(actor: u64) -> usize {
    2 * actor as usize
}

/// Actors from this number on wait for nobody.
pub(crate) const FREE: u64 = 512;

/// An actor that is not noted when it ends.
const PROBE: u64 = 1000;

/// Runs a test with worker processes and with worker threads.
pub(crate) fn on_both(test: impl Fn(HostBuilder)) {
    test(HostRuntime::builder());
    test(HostRuntime::builder().threads());
}

/// Says that an actor has started, waits until it may go on, and notes its end. The stage is the last tensor.
pub(crate) fn act(task: &KernelContext<'_>, actor: u64) -> Result<(), KernelError> {
    let stage = task_words(task, task.tensors().len() - 1);
    stage[started(actor)].fetch_add(1, Ordering::SeqCst);
    if actor < FREE {
        hold(task, || get(&stage[started(actor) + 1]) != 0)?;
    }
    if actor == PROBE {
        return Ok(());
    }
    let at = stage[LIST].fetch_add(1, Ordering::SeqCst) as usize;
    set(&stage[LIST + 1 + at], actor + 1);
    Ok(())
}

/// A host with a stage, and a callable that acts.
pub(crate) struct Stage {
    pub(crate) host: HostRuntime,
    pub(crate) play: Play,
}

/// What an orchestration needs of a stage.
pub(crate) struct Play {
    words: Buffer,
    pub(crate) all: Tensor,
    act: CallableId,
    /// The further callables.
    pub(crate) ids: Vec<CallableId>,
}

impl Stage {
    /// A stage with further callables.
    pub(crate) fn new(builder: HostBuilder, callables: Vec<Callable>) -> Stage {
        let mut all = vec![Callable::any("act", |task| act(task, task.scalar::<u64>(0)?))];
        all.extend(callables);
        let (mut host, mut ids) = host(builder, all);
        let words = host.buffer(u64::from(WORDS) * 8).expect("a buffer");
        let all = words.tensor(&[WORDS], DataType::U64).expect("a tensor");
        let act = ids.remove(0);
        Stage { host, play: Play { words, all, act, ids } }
    }

    pub(crate) fn subs(builder: HostBuilder, count: u32) -> Stage {
        Stage::new(builder.subs(count), Vec::new())
    }

    /// A tensor of bytes over a new buffer.
    pub(crate) fn bytes(&mut self, count: u32) -> (Buffer, Tensor) {
        let buffer = self.host.buffer(count.into()).expect("a buffer");
        let tensor = buffer.tensor(&[count], DataType::U8).expect("a tensor");
        (buffer, tensor)
    }

    /// The core of a sub worker.
    pub(crate) fn sub(&self, id: u32) -> CoreId {
        self.host.worker(CoreKind::Vector, id).expect("it is there")
    }
}

impl Play {
    /// The callable that acts.
    pub(crate) fn act(&self) -> CallableId {
        self.act
    }

    /// How often an actor has started.
    pub(crate) fn starts(&self, actor: u64) -> u64 {
        get(&words(&self.words)[started(actor)])
    }

    /// Waits until an actor has started.
    pub(crate) fn wait_for(&self, actor: u64) {
        wait_until(&format!("the start of actor {actor}"), || self.starts(actor) > 0);
    }

    /// Lets an actor go.
    pub(crate) fn release(&self, actor: u64) {
        set(&words(&self.words)[started(actor) + 1], 1);
    }

    /// Who has ended, in that order.
    pub(crate) fn ended(&self) -> Vec<u64> {
        let words = words(&self.words);
        let noted = (0..get(&words[LIST]) as usize).map(|at| get(&words[LIST + 1 + at]));
        noted.take_while(|&noted| noted != 0).map(|noted| noted - 1).collect()
    }

    /// Waits until so many have ended.
    pub(crate) fn wait_for_ends(&self, count: usize) {
        wait_until(&format!("{count} ends"), || self.ended().len() >= count);
    }

    /// A word that callables of a test's own use.
    pub(crate) fn word(&self, at: usize) -> u64 {
        get(&words(&self.words)[at])
    }

    pub(crate) fn set_word(&self, at: usize, value: u64) {
        set(&words(&self.words)[at], value);
    }

    /// Forgets everything that has happened.
    pub(crate) fn clear(&self) {
        words(&self.words).iter().for_each(|word| set(word, 0));
    }

    /// Submits an actor that uses these tensors.
    pub(crate) fn submit<'r>(
        &self,
        run: &'r mut Run<'_>,
        actor: u64,
        uses: &[Argument<'_>],
    ) -> Result<Submitted<'r>, SubmitError> {
        self.submit_at(run, actor, uses, Placement::Any)
    }

    /// The same on a worker of the caller's choice.
    pub(crate) fn submit_at<'r>(
        &self,
        run: &'r mut Run<'_>,
        actor: u64,
        uses: &[Argument<'_>],
        placement: Placement<'_>,
    ) -> Result<Submitted<'r>, SubmitError> {
        let mut arguments = uses.to_vec();
        arguments.push(Argument::NoDependency(&self.all));
        let scalars: [Scalar; 1] = [actor.into()];
        let task: Task<'_> = host::sub(self.act).arguments(&arguments).scalars(&scalars);
        run.submit(&task.placement(placement))
    }

    /// Submits an actor that waits for these tasks.
    pub(crate) fn submit_behind(&self, run: &mut Run<'_>, actor: u64, after: &[TaskId]) -> Result<(), SubmitError> {
        let dependencies: Vec<_> = after.iter().map(|&task| Dependency::wait_only(task)).collect();
        let (arguments, scalars): (_, [Scalar; 1]) = ([Argument::NoDependency(&self.all)], [actor.into()]);
        let task = host::sub(self.act).arguments(&arguments).scalars(&scalars);
        run.submit(&task.dependencies(&dependencies)).map(drop)
    }

    /// Submits an actor behind `after` and waits for its end, twice: whatever was ready before, or became so with the ends of those, and could have a worker
    /// has been given one.
    pub(crate) fn probe(&self, run: &mut Run<'_>, after: &[TaskId]) -> Result<(), SubmitError> {
        for _ in 0..2 {
            let before = self.starts(PROBE);
            self.submit_behind(run, PROBE, after)?;
            wait_until("the start of a probe", || self.starts(PROBE) > before);
        }
        Ok(())
    }
}
