//! From one run to the next: whoever finds the first run of the row over ends it and begins the one behind it.
//!
//! One thread at a time conducts. Between two runs no scheduler steps; a run that is built meanwhile waits at its gate, so none of its tasks is in a queue, and
//! its thread touches no slot of the run that ends.

use super::caller::Caller;
use super::lifecycle::Failed;
use super::report::Report;
use super::runs::{Built, Record, RunResult, Started};
use super::shared::Shared;
use prewire_orchestrator::Usage;
use prewire_runtime_core::error::{Fatal, RunError, SubmitError};
use prewire_runtime_core::run::RunState;
use prewire_runtime_core::sync::{Instant, Ordering, sleep};
use prewire_runtime_core::waiting::Blocking;
use std::sync::Arc;
use std::time::Duration;

/// How much longer than the chip's own exit deadline a run's end waits for threads inside kernels.
const GRACE: Duration = Duration::from_millis(200);

/// What was done for a run.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    completed: u64,
    unrun: u64,
}

impl Shared {
    /// Whether the run that is on may be ended: its callback has returned, and everything submitted is retired or the run is cancelled.
    pub(super) fn is_head_over(&self) -> bool {
        let run = &self.graph.run;
        self.is_running()
            && run.orchestration_done()
            && (run.is_cancelled() || self.graph.completed() == run.submitted())
    }

    /// Ends what is over and begins what may begin.
    pub(super) fn conduct(&self) {
        let _one = self.conducting.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        loop {
            self.drop_cancelled();
            let Some(head) = self.runs.head() else { return };
            match (head.started(), head.built()) {
                (Started::NotYet, built) => match self.begin(&head) {
                    Ok(()) => head.set_started(Started::Yes),
                    Err(text) => {
                        if built.is_none() {
                            let text = format!("the run was not started: {text}");
                            self.state_of(&head).latch(Fatal::Explicit { text });
                        }
                        head.set_started(Started::Never(text));
                    }
                },
                (Started::Never(text), Some(built)) => self.end_unstarted(&head, &built, Some(text)),
                (Started::Yes, Some(built)) if self.is_head_over() => self.end(&head, &built),
                _ => return,
            }
        }
    }

    pub(super) fn state_of(&self, record: &Record) -> &RunState {
        self.graph.run.at(record.place)
    }

    /// Ends the runs that were cancelled before they began: nobody has ever seen their tasks.
    fn drop_cancelled(&self) {
        let cancelled = |record: &Record| record.built().is_some() && self.state_of(record).is_cancelled();
        while let Some(record) = self.runs.find_behind_head(cancelled) {
            if let Some(built) = record.built() {
                self.end_unstarted(&record, &built, None);
            }
        }
    }

    fn begin(&self, head: &Record) -> Result<(), String> {
        if let Err(instance) = self.quiesce(Instant::now() + GRACE) {
            return Err(format!(
                "scheduler {instance} is still inside a kernel of an earlier run that ignores its cancellation"
            ));
        }
        self.graph.run.set_head(head.place);
        self.machine.chip().begin_run(head.id, &head.kernels)?;
        if self.still_busy().is_some() {
            // The late kernel has returned: what its run left can be taken back now.
            self.graph.clear_queues();
            self.set_busy(None);
            self.end_late_runs();
        }
        self.graph.clear_queues();
        self.machine.begin_run(&head.kernels);
        self.running.store(true, Ordering::Release);
        // An instance is rung by the first task that is for it; whoever builds a run behind a gate may go on.
        self.graph.bells.ring(self.graph.orchestrator_bell());
        self.supervisor.ring_if_dormant();
        if let Some(slot) = self.state_of(head).gate.open()
            && self.graph.slots.get(slot).arrive()
        {
            // SAFETY: this arrival made the task ready.
            unsafe { self.graph.route(slot) };
        }
        Ok(())
    }

    fn end_late_runs(&self) {
        for place in self.late.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).drain(..) {
            self.graph.run.at(place).end();
            self.runs.free_place(place);
        }
        self.reclaim();
    }

    /// Takes back what ended runs have left, if no run is being built; else that one's thread does.
    fn reclaim(&self) -> Usage {
        let Ok(mut orchestrator) = self.orchestrator.try_lock() else { return Usage::default() };
        let Some(orchestrator) = orchestrator.as_mut() else { return Usage::default() };
        // A run that has not begun to be built has nothing yet.
        let others = self.runs.find_behind_head(|record| record.built().is_some()).is_some();
        // What a late kernel may use stays.
        if others || self.still_busy().is_some() {
            orchestrator.after_some_runs();
        } else {
            orchestrator.after_run();
        }
        orchestrator.usage()
    }

    /// Ends a run: nobody steps any more, cores are told to stop if the run was cut short, and everything is taken back. A thread that does not come out
    /// of its kernel is left behind; the next run says so.
    fn end(&self, head: &Arc<Record>, built: &Built) {
        let elapsed = self.since(head.begun_ns);
        let state = self.state_of(head);
        let exit = Duration::from_millis(self.facts.chip.exit_deadline_ms) + GRACE;
        let deadline = Instant::now() + exit;
        let cancelled = state.is_cancelled();
        if cancelled {
            self.wind_down(head.id, exit, deadline);
        }
        self.running.store(false, Ordering::Release);
        let stuck = self.quiesce(deadline).err();
        let lost = if cancelled { self.busy_cores() } else { Vec::new() };
        let late = stuck.is_some() || !lost.is_empty();
        let done = Done {
            completed: self.graph.completed(),
            unrun: self.graph.progress.iter().map(|progress| progress.unrun.load(Ordering::Acquire)).sum(),
        };
        let mut usage = Usage::default();
        if late {
            let cores: Vec<_> = lost.iter().map(|&core| self.facts.chip.core_name(core)).collect();
            let text = format!("a kernel of run {} ignores its cancellation on {}", head.id, cores.join(", "));
            state.note(text.clone());
            self.set_busy(Some(text));
            self.late.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(head.place);
            if let Ok(orchestrator) = self.orchestrator.try_lock()
                && let Some(orchestrator) = orchestrator.as_ref()
            {
                usage = orchestrator.usage();
            }
        } else {
            if let (Ok(_alone), Some(span)) = (self.orchestrator.try_lock(), &built.span) {
                self.machine.end_run(&|task| span.reaches(task));
            }
            self.graph.clear_queues();
            state.end();
            usage = self.reclaim();
        }
        let report = self.report(head, built, elapsed, done, &usage);
        self.conclude(head, verdict(state, built, None, report), late);
    }

    /// Has every core end what it runs, and takes in what they say.
    fn wind_down(&self, run: u32, exit: Duration, deadline: Instant) {
        self.machine.chip().cancel(run);
        let mut caller = Caller::new(self, self.machine.instances());
        if self.virtual_time.is_some() {
            // By the run's own clock, so that a busy machine changes nothing.
            let began_ns = caller.now_ns();
            while !self.machine.is_quiet() && u128::from(caller.now_ns() - began_ns) < exit.as_nanos() {
                caller.drive_once();
            }
        }
        // Threads of their own take in what their cores say, too, but one of them may be here.
        while !self.machine.is_quiet() && Instant::now() < deadline {
            if !caller.drive_once() {
                sleep(Duration::from_micros(50));
            }
        }
    }

    /// Ends a run none of whose tasks was ever seen by a scheduler.
    fn end_unstarted(&self, record: &Arc<Record>, built: &Built, why: Option<String>) {
        let state = self.state_of(record);
        state.end();
        let usage = self.reclaim();
        let report = self.report(record, built, self.since(record.begun_ns), Done::default(), &usage);
        self.conclude(record, verdict(state, built, why, report), false);
    }

    fn conclude(&self, record: &Arc<Record>, result: RunResult, keep_place: bool) {
        self.runs.remove(record, keep_place);
        self.free_discarded();
        record.set_result(result);
        // Somebody may drive only until this.
        self.graph.bells.ring(self.graph.orchestrator_bell());
    }

    /// By the platform's clock.
    fn since(&self, begun_ns: u64) -> Duration {
        Duration::from_nanos(self.machine.chip().now_ns() - begun_ns)
    }

    fn report(&self, record: &Record, built: &Built, elapsed: Duration, done: Done, usage: &Usage) -> Report {
        let (state, orchestrated) = (self.state_of(record), &built.orchestrated);
        let mut notes = state.notes();
        if built.scopes_left_open > 0 {
            notes
                .push(format!("{} scopes were left open by the orchestration and were closed", built.scopes_left_open));
        }
        Report {
            run: record.id,
            chip: self.facts.chip.clone(),
            tasks: orchestrated.tasks + orchestrated.allocations,
            allocations: orchestrated.allocations,
            completed: done.completed + orchestrated.allocations - orchestrated.joins.min(done.completed),
            failed: state.first_failure().map_or(0, |(_, failed)| failed),
            unrun: done.unrun,
            elapsed,
            rings: Report::rings_of(orchestrated, usage),
            index_entries: (orchestrated.index_peak, orchestrated.index_capacity),
            watchdog: self.facts.watchdog,
            scopes_left_open: built.scopes_left_open,
            notes,
            findings: self.virtual_time.as_ref().map_or_else(Vec::new, |machine| machine.platform.take_findings()),
            blocks: self.facts.record_trace.then(|| {
                let mut blocks = Vec::new();
                self.machine.chip().drain_recording(&mut |block| blocks.push(block));
                blocks
            }),
            graph: built.log.clone(),
        }
    }
}

/// What a run came to: why it was not started, else the error of the callback that ended it, else a fatal cause, else the first refusal, else the first
/// failure.
fn verdict(state: &RunState, built: &Built, not_started: Option<String>, report: Report) -> RunResult {
    let error = if let Some(text) = not_started {
        RunError::NotStarted { text }
    } else if let Some(error) = &built.ended_by {
        error.clone()
    } else if let Some(fatal) = state.fatal() {
        RunError::Fatal(fatal)
    } else if let Some(refusal) = &built.orchestrated.refused {
        RunError::Refused(refusal.clone())
    } else if let Some((first, failed)) = state.first_failure() {
        RunError::KernelFailed { first, failed, unrun: report.unrun }
    } else {
        match &built.returned {
            Ok(()) => return Ok(report),
            // An error of the orchestration's own making.
            Err(error) => error_of(error, report.unrun),
        }
    };
    Err(Failed { error: Box::new(error), report: Box::new(report) })
}

/// A callback's error as a run's.
pub(super) fn error_of(error: &SubmitError, unrun: u64) -> RunError {
    match error {
        SubmitError::Refused(refusal) => RunError::Refused(refusal.clone()),
        SubmitError::Fatal(fatal) => RunError::Fatal(fatal.clone()),
        SubmitError::DataLost(first) => RunError::KernelFailed { first: first.clone(), failed: 1, unrun },
    }
}
