//! The watchdog: finds what stands still, and only that.
//!
//! The clock is per task on a core, from the moment the core starts it: each check compares the core's pulse with the one it saw before, and a pulse that has
//! not changed for the task's budget is a verdict. A thread that has nothing to do is never a reason, and neither is a slow orchestration. The second
//! verdict is for a run in which nothing runs, nobody has a task in hand, tasks remain, and nothing has moved for a budget; a core that was given
//! a dispatch and does not start it counts as standing still once its owner has looked at it again. The third is for a task that waits for a counter
//! beyond its budget.
//!
//! Whoever checks does not own the cores and may not touch slots; what it needs is in words that the owners write with each dispatch.

use crate::gang::KeptSince;
use crate::{POISON, SchedulerGroup};
use prewire_runtime_core::error::{Fatal, RunningTask, StallClass, StallReport, WaitingTask};
use prewire_runtime_core::graph::Queue;
use prewire_runtime_core::id::{CoreId, KernelId, TaskId};
use prewire_runtime_core::platform::{Platform, Pulse};
use prewire_runtime_core::port::Token;
use prewire_runtime_core::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// What an owner says about the dispatches of a core, one set of words per parity of the token.
#[derive(Debug, Default)]
pub(crate) struct WatchedCore {
    by_parity: [WatchedDispatch; 2],
    /// The token (plus 1) that the core runs or is about to, as its owner knows it; 0 for none, and for blocks that end before their dispatch returns.
    held: AtomicU64,
}

#[derive(Debug, Default)]
struct WatchedDispatch {
    task: AtomicU64,
    /// Token above, kernel below.
    about: AtomicU64,
    /// The task's own budget, or 0.
    budget_ns: AtomicU64,
}

/// What is known about a dispatch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dispatched {
    pub(crate) task: TaskId,
    pub(crate) kernel: KernelId,
    pub(crate) budget_ns: Option<u64>,
}

impl WatchedCore {
    /// Says what `token` is about to start. The words of a token are written again only after its dispatch has ended.
    #[inline]
    pub(crate) fn set(&self, token: Token, task: TaskId, kernel: KernelId, budget_ns: u64) {
        let words = &self.by_parity[token.parity()];
        words.task.store(task.to_bits(), Ordering::Relaxed);
        words.about.store((token.to_register() as u64) << 32 | kernel.0 as u64, Ordering::Relaxed);
        words.budget_ns.store(budget_ns, Ordering::Relaxed);
    }

    /// Says what the core runs or is about to.
    #[inline]
    pub(crate) fn hold(&self, token: Option<Token>) {
        self.held.store(token.map_or(0, |token| token.to_register() as u64 + 1), Ordering::Relaxed);
    }

    fn held(&self) -> Option<Token> {
        let held = self.held.load(Ordering::Relaxed);
        Token::from_register(held.checked_sub(1)? as u32)
    }

    /// What `token` started, if the words are still its own.
    pub(crate) fn get(&self, token: Token) -> Option<Dispatched> {
        let words = &self.by_parity[token.parity()];
        let (task, about) = (words.task.load(Ordering::Relaxed), words.about.load(Ordering::Relaxed));
        let budget_ns = words.budget_ns.load(Ordering::Relaxed);
        (about >> 32 == token.to_register() as u64).then_some(Dispatched {
            task: TaskId::from_bits(task),
            kernel: KernelId(about as u16),
            budget_ns: (budget_ns != 0).then_some(budget_ns),
        })
    }
}

/// What a check remembers of the one before.
#[derive(Debug)]
pub(crate) struct Sampler {
    cores: Vec<Sample>,
    still: Option<Still>,
    /// How many steps each instance had made when everything was found to stand still.
    steps: Vec<u64>,
    /// What ran at the last check; kept for its room.
    running: Vec<Seen>,
    /// For whom each instance keeps cores idle, and since when.
    kept: Vec<KeptSince>,
    verdict: bool,
}

/// Everything was found to stand still.
#[derive(Clone, Copy, Debug)]
struct Still {
    epoch: u64,
    since_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    pulse: Pulse,
    since_ns: u64,
}

impl Sample {
    const NONE: Sample = Sample { pulse: Pulse { running: None, beat: 0 }, since_ns: 0 };
}

impl Sampler {
    pub(crate) fn new(cores: usize, instances: usize) -> Self {
        // Every core may run something, and there are at most as many instances as cores, so that no list grows later.
        Sampler {
            cores: vec![Sample::NONE; cores],
            still: None,
            steps: Vec::with_capacity(cores),
            running: Vec::with_capacity(cores),
            kept: vec![KeptSince::default(); instances],
            verdict: false,
        }
    }

    pub(crate) fn begin_run(&mut self) {
        self.cores.fill(Sample::NONE);
        self.still = None;
        self.kept.fill(KeptSince::default());
        self.verdict = false;
    }
}

/// A task on a core, as a check sees it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    core: CoreId,
    dispatched: Dispatched,
    /// How long it has run, or how long the core has not started it.
    for_ns: u64,
    started: bool,
}

const MILLISECOND_NS: u64 = 1_000_000;

impl<P: Platform> SchedulerGroup<P> {
    /// How often [`SchedulerGroup::check`] is to be called, at least: a verdict comes later than its budget by up to this.
    pub fn check_interval(&self) -> Duration {
        let usual = (self.config.watchdog / 100).clamp(Duration::from_millis(1), Duration::from_millis(5));
        self.platform.watch_interval().map_or(usual, |interval| interval.max(usual))
    }

    /// The watchdog: looks at the pulse of every core, at conditions that are waited for, and at whether anything moves at all. Gives the verdict if one
    /// is due: ends the run, tells its kernels to return and wakes everybody. True if it did. Any thread may call it, with the platform's time.
    pub fn check(&self, now_ns: u64) -> bool {
        let mut sampler = self.sampler.lock().expect(POISON);
        // The verdict is this run's, even if the next one has begun when it is given.
        let place = self.graph.run.head();
        let run = self.graph.run.at(place).run();
        if self.graph.run.at(place).is_cancelled() {
            if !std::mem::replace(&mut sampler.verdict, true) {
                self.platform.cancel(run);
            }
            return false;
        }
        self.ask_for_warnings(&mut sampler.kept, now_ns);
        // The list is kept from check to check, so that looking allocates nothing.
        let mut running = std::mem::take(&mut sampler.running);
        self.sample(&mut sampler, now_ns, &mut running);
        let report = self.verdict(&mut sampler, &running, now_ns);
        sampler.running = running;
        let Some(report) = report else { return false };
        sampler.verdict = true;
        drop(sampler);
        self.end_for(place, run, Fatal::Stalled(Box::new(report)))
    }

    /// The report of a run that is to be ended, if one is due.
    fn verdict(&self, sampler: &mut Sampler, running: &[Seen], now_ns: u64) -> Option<StallReport> {
        let stuck = running
            .iter()
            .copied()
            .filter(|seen| seen.started && seen.for_ns > self.budget_of(seen) && self.still_runs(seen, sampler))
            // What the platform ends by itself is no verdict on the run.
            .find(|seen| !self.platform.end_overdue(seen.core, self.budget_of(seen)));
        if let Some(stuck) = stuck {
            let mut report = self.report(running, self.budget_of(&stuck));
            self.put_first(&mut report, &stuck);
            Some(report)
        } else if let Some((waiting, budget_ns)) = self.overdue_condition(now_ns) {
            let mut report = self.report(running, budget_ns);
            report.waiting = report.waiting.max(1);
            report.class = StallClass::of(report.running, report.ready, report.waiting, report.orchestration_done);
            report.waiting_tasks.push(waiting);
            Some(report)
        } else if self.stands_still(sampler, running, now_ns) {
            Some(self.report(running, self.watchdog_ns()))
        } else {
            None
        }
    }

    /// How the run stands, in the form of a stall's report: the counts, and the tasks on cores.
    pub fn stall_report(&self, now_ns: u64) -> StallReport {
        let mut sampler = self.sampler.lock().expect(POISON);
        let mut running = Vec::new();
        self.sample(&mut sampler, now_ns, &mut running);
        self.report(&running, self.watchdog_ns())
    }

    fn watchdog_ns(&self) -> u64 {
        self.config.watchdog.as_nanos() as u64
    }

    fn budget_of(&self, seen: &Seen) -> u64 {
        seen.dispatched.budget_ns.unwrap_or(self.watchdog_ns())
    }

    /// Takes the pulse of every core, and lists what runs, by core.
    fn sample(&self, sampler: &mut Sampler, now_ns: u64, running: &mut Vec<Seen>) {
        running.clear();
        for (core, sample) in sampler.cores.iter_mut().enumerate() {
            let core = CoreId(core as u16);
            let pulse = self.platform.pulse(core);
            if pulse != sample.pulse {
                *sample = Sample { pulse, since_ns: now_ns };
            }
            let watched = &self.watched[core.index()];
            if let Some(token) = pulse.running.or_else(|| watched.held())
                && let Some(dispatched) = watched.get(token)
            {
                let for_ns = now_ns.saturating_sub(sample.since_ns);
                running.push(Seen { core, dispatched, for_ns, started: pulse.running.is_some() });
            }
        }
    }

    /// Looks once more at a core before its task is declared stuck.
    fn still_runs(&self, seen: &Seen, sampler: &Sampler) -> bool {
        self.platform.pulse(seen.core) == sampler.cores[seen.core.index()].pulse
    }

    /// Whether nothing runs, nobody has a task in hand, tasks remain, and nothing has moved for a budget.
    fn stands_still(&self, sampler: &mut Sampler, running: &[Seen], now_ns: u64) -> bool {
        let told = || self.told.iter().zip(&self.graph.progress);
        let in_hand = told()
            .any(|(told, progress)| progress.busy.load(Ordering::Acquire) != told.on_cores.load(Ordering::Relaxed));
        let remaining = self.graph.completed() < self.graph.run.submitted() || self.ready() > 0 || !running.is_empty();
        let in_hand = in_hand && !cfg!(prewire_mutation = "ownership_gate_removed");
        if in_hand || running.iter().any(|seen| seen.started) || !remaining {
            sampler.still = None;
            return false;
        }
        let epoch = self.graph.epoch();
        let steps = || self.told.iter().map(|told| told.steps.load(Ordering::Acquire));
        let Some(still) = sampler.still.filter(|still| still.epoch == epoch) else {
            sampler.still = Some(Still { epoch, since_ns: now_ns });
            sampler.steps.clear();
            sampler.steps.extend(steps());
            return false;
        };
        let for_ns = now_ns.saturating_sub(still.since_ns);
        // A core whose owner has been stopped may have ended its dispatch without anybody's knowing. An owner that only sleeps is woken to look.
        let mut unknown = 0;
        for (instance, ((told, now), &then)) in self.told.iter().zip(steps()).zip(&sampler.steps).enumerate() {
            if told.on_cores.load(Ordering::Relaxed) > 0 && now.wrapping_sub(then) < 2 {
                unknown |= 1 << instance;
            }
        }
        if unknown != 0 && for_ns >= self.watchdog_ns() / 2 {
            self.wake(unknown);
        }
        unknown == 0 && for_ns >= self.watchdog_ns()
    }

    /// A condition that a task waits for beyond its budget, and that budget.
    fn overdue_condition(&self, now_ns: u64) -> Option<(WaitingTask, u64)> {
        for waits in &self.deferred {
            let waits = waits.lock().expect(POISON);
            let overdue = waits.iter().find(|wait| {
                now_ns.saturating_sub(wait.since_ns) > wait.budget_ns && !self.platform.condition_holds(&wait.condition)
            });
            if let Some(wait) = overdue {
                let condition = Some(self.condition_in_words(wait));
                return Some((WaitingTask { task: wait.task, missing: Vec::new(), condition }, wait.budget_ns));
            }
        }
        None
    }

    /// Tasks that are ready: in queues, in the list of gangs, in a thread's hand, or pre-loaded behind a running one.
    fn ready(&self) -> u64 {
        let dispatches: u64 = self.told.iter().map(|told| told.dispatches.load(Ordering::Relaxed)).sum();
        let held = self.watched.iter().filter(|watched| watched.held().is_some()).count() as u64;
        let queued: usize = Queue::ALL.into_iter().map(|queue| self.graph.queue(queue).len()).sum();
        let in_hand: u64 = self.told.iter().map(|told| told.in_hand.load(Ordering::Relaxed)).sum();
        queued as u64 + in_hand + self.gangs.waiting() as u64 + dispatches.saturating_sub(held)
    }

    /// The counts, and the tasks on cores.
    fn report(&self, running: &[Seen], budget_ns: u64) -> StallReport {
        let mut tasks: Vec<TaskId> = running.iter().map(|seen| seen.dispatched.task).collect();
        tasks.sort_unstable();
        tasks.dedup();
        let (completed, ready) = (self.graph.completed(), self.ready());
        let submitted = self.graph.run.submitted().max(completed + tasks.len() as u64 + ready);
        let waiting = submitted - completed - tasks.len() as u64 - ready;
        let orchestration_done = self.graph.run.orchestration_done();
        StallReport {
            class: StallClass::of(tasks.len() as u64, ready, waiting, orchestration_done),
            budget_ms: budget_ns / MILLISECOND_NS,
            submitted,
            completed,
            running: tasks.len() as u64,
            ready,
            waiting,
            orchestration_done,
            running_tasks: running.iter().take(StallReport::MOST_RUNNING).map(|seen| self.in_words(seen)).collect(),
            ready_tasks: Vec::new(),
            waiting_tasks: Vec::new(),
        }
    }

    /// The stuck task leads the list.
    fn put_first(&self, report: &mut StallReport, stuck: &Seen) {
        let stuck = self.in_words(stuck);
        report.running_tasks.retain(|task| task.core != stuck.core);
        report.running_tasks.insert(0, stuck);
        report.running_tasks.truncate(StallReport::MOST_RUNNING);
    }

    fn in_words(&self, seen: &Seen) -> RunningTask {
        RunningTask {
            task: seen.dispatched.task,
            kernel: self.kernel_name(seen.dispatched.kernel),
            core: self.platform.chip().core_name(seen.core),
            running_ms: seen.for_ns / MILLISECOND_NS,
            budget_ms: self.budget_of(seen) / MILLISECOND_NS,
        }
    }
}
