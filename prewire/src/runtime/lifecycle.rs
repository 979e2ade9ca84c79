//! A runtime from its assembly to its end, and the life of one run.

use super::builder::{Builder, Plan};
use super::caller::Caller;
use super::kernel::{Kernel, RegisterError};
use super::report::Report;
use super::run::Run;
use super::shared::Shared;
use super::supervisor::Bell;
use prewire_orchestrator::Orchestrator;
use prewire_platform_sim::{Fault, Injection};
use prewire_runtime_core::error::{RunError, SubmitError};
use prewire_runtime_core::id::{CoreId, KernelId};
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::sync::thread::JoinHandle;
use prewire_runtime_core::sync::{Instant, Ordering, sleep};
use prewire_runtime_core::waiting::Blocking;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// A run that went wrong: why, and what it did until then.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct Failed {
    /// Why.
    pub error: Box<RunError>,
    /// What it did.
    pub report: Box<Report>,
}

/// A chip and everything that runs graphs on it. Made by [`Runtime::builder`]; runs one graph at a time, any number of times.
#[derive(Debug)]
pub struct Runtime {
    pub(super) shared: Arc<Shared>,
    /// Dropped by hand: a late kernel of an ended run may still use its heaps.
    pub(super) orchestrator: ManuallyDrop<Orchestrator>,
    pub(super) kernels: Arc<KernelSet>,
    pub(super) plan: Plan,
    pub(super) run: u32,
    pub(super) supervisor: Arc<Bell>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

/// How much longer than the chip's own exit deadline a run's end waits for threads inside kernels.
const GRACE: Duration = Duration::from_millis(200);

impl Runtime {
    /// A builder with every setting at its default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Registers a kernel at the first free id.
    ///
    /// # Errors
    /// If all 1024 places are taken.
    pub fn register(&mut self, kernel: Kernel) -> Result<KernelId, RegisterError> {
        let id = Arc::make_mut(&mut self.kernels).register(kernel.registered)?;
        self.declare(id, kernel.never_waits, kernel.lasts);
        Ok(id)
    }

    /// Registers a kernel at an id of the caller's choosing.
    ///
    /// # Errors
    /// If the id is beyond 1023 or taken.
    pub fn register_at(&mut self, id: u32, kernel: Kernel) -> Result<KernelId, RegisterError> {
        let id = Arc::make_mut(&mut self.kernels).register_at(id, kernel.registered)?;
        self.declare(id, kernel.never_waits, kernel.lasts);
        Ok(id)
    }

    /// Puts a kernel at an id as it is.
    pub(crate) fn place_kernel(
        &mut self,
        id: u32,
        kernel: prewire_runtime_core::kernel::Kernel,
    ) -> Result<KernelId, RegisterError> {
        Ok(Arc::make_mut(&mut self.kernels).register_at(id, kernel)?)
    }

    /// What is known about a kernel besides its function.
    fn declare(&mut self, id: KernelId, never_waits: bool, lasts: Option<Duration>) {
        if never_waits {
            Arc::make_mut(&mut self.kernels).declare_never_waits(id);
        }
        if let Some(machine) = &self.shared.virtual_time {
            machine.platform.set_kernel_time(id, lasts);
        }
    }

    /// Takes a kernel out. False if there was none with this id.
    pub fn unregister(&mut self, kernel: KernelId) -> bool {
        Arc::make_mut(&mut self.kernels).unregister(kernel)
    }

    /// The registered kernels.
    pub fn kernels(&self) -> &KernelSet {
        &self.kernels
    }

    /// What the chip is.
    pub fn chip(&self) -> &prewire_runtime_core::chip::ChipSpec {
        &self.plan.chip
    }

    /// Gives a core a fault from the next run on, or takes it away: for tests of what a program does when hardware fails.
    ///
    /// # Panics
    /// If the chip has no such core.
    pub fn set_fault(&mut self, core: CoreId, fault: Option<Fault>) {
        self.shared.machine.chip().set_fault(core, fault);
    }

    /// Whether runs take place in virtual time.
    pub fn is_virtual(&self) -> bool {
        self.shared.virtual_time.is_some()
    }

    /// Has something go wrong in every run from the next one on. Only in virtual time: false, and nothing done, elsewhere.
    pub fn inject(&mut self, injection: Injection) -> bool {
        let machine = self.shared.virtual_time.as_ref();
        machine.inspect(|machine| machine.platform.inject(injection)).is_some()
    }

    /// Takes all injections back.
    pub fn forget_injections(&mut self) {
        if let Some(machine) = &self.shared.virtual_time {
            machine.platform.forget_injections();
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn orchestrator_mut(&mut self) -> &mut Orchestrator {
        &mut self.orchestrator
    }

    /// Runs the graph that `orchestration` builds, and returns when no thread touches it any more.
    ///
    /// # Errors
    /// A fatal cause that ended the run, else the first refused call, else the first submitted task whose kernel failed; with the report of what was
    /// done.
    ///
    /// # Panics
    /// With the orchestration's own panic, once the run has ended.
    pub fn run(
        &mut self,
        orchestration: impl FnOnce(&mut Run<'_>) -> Result<(), SubmitError>,
    ) -> Result<Report, Failed> {
        self.run += 1;
        let begun_ns = self.shared.machine.chip().now_ns();
        if let Err(text) = self.begin() {
            let elapsed = self.since(begun_ns);
            return Err(Failed {
                error: Box::new(RunError::NotStarted { text }),
                report: Box::new(self.report(elapsed, 0)),
            });
        }
        let outcome = {
            let caller = Caller::new(&self.shared, self.plan.driven_by_caller);
            let mut run = Run::new(&mut self.orchestrator, caller, &self.plan.chip);
            catch_unwind(AssertUnwindSafe(|| orchestration(&mut run)))
        };
        if outcome.is_err() && !self.shared.graph.run.is_cancelled() {
            self.orchestrator.fail("the orchestration panicked");
        }
        let mut caller = Caller::new(&self.shared, self.plan.driven_by_caller);
        let scopes_left_open = self.orchestrator.end_run(&mut caller);
        // With no more submits to come, whoever sleeps may have to see that the run is complete.
        self.shared.graph.bells.ring_all();
        while !self.shared.is_complete() && !self.shared.graph.run.is_cancelled() {
            caller.round(&mut || self.shared.is_complete() || self.shared.graph.run.is_cancelled());
        }
        let elapsed = self.since(begun_ns);
        self.finish();
        let report = self.report(elapsed, scopes_left_open);
        match outcome {
            Err(panic) => resume_unwind(panic),
            Ok(result) => self.verdict(report, result),
        }
    }

    /// The memory of buffers that were dropped is nobody's any more, so that a handle to it is refused and an address that comes again is a new buffer's.
    pub(super) fn forget_dropped(&mut self) {
        let orchestrator = &mut self.orchestrator;
        self.shared.take_dropped(|address, bytes| {
            orchestrator.unregister_external(address, bytes);
        });
    }

    /// By the platform's clock.
    fn since(&self, begun_ns: u64) -> Duration {
        Duration::from_nanos(self.shared.machine.chip().now_ns() - begun_ns)
    }

    fn begin(&mut self) -> Result<(), String> {
        self.forget_dropped();
        let run = self.run;
        let shared = &self.shared;
        if let Err(instance) = shared.quiesce(Instant::now() + GRACE) {
            return Err(format!(
                "scheduler {instance} is still inside a kernel of an earlier run that ignores its cancellation"
            ));
        }
        shared.machine.chip().begin_run(run, &self.kernels)?;
        if shared.still_busy().is_some() {
            // The late kernel has returned: what its run left can be taken back now.
            shared.set_busy(None);
            self.orchestrator.after_run();
        }
        shared.graph.clear_queues();
        shared.graph.run.begin(run);
        shared.machine.begin_run(&self.kernels);
        self.orchestrator.begin_run(run, self.kernels.clone(), shared.machine.chip().runs_concurrently());
        shared.running.store(true, Ordering::Release);
        shared.graph.bells.ring_all();
        self.supervisor.ring();
        Ok(())
    }

    /// Ends a run: nobody steps any more, cores are told to stop if the run was cut short, and everything is taken back. A thread that does not come out
    /// of its kernel is left behind; the next run says so.
    fn finish(&mut self) {
        let shared = &self.shared;
        let deadline = Instant::now() + Duration::from_millis(self.plan.chip.exit_deadline_ms) + GRACE;
        let cancelled = shared.graph.run.is_cancelled();
        if cancelled {
            shared.machine.chip().cancel(self.run);
            // Instances take what their cores still say; threads of their own do so by themselves.
            let mut caller = Caller::new(shared, self.plan.driven_by_caller);
            if shared.virtual_time.is_some() {
                // By the run's own clock, so that a busy machine changes nothing.
                let began_ns = caller.now_ns();
                let patience = Duration::from_millis(self.plan.chip.exit_deadline_ms) + GRACE;
                while !shared.machine.is_quiet() && u128::from(caller.now_ns() - began_ns) < patience.as_nanos() {
                    caller.drive_once();
                }
            }
            while !shared.machine.is_quiet() && Instant::now() < deadline {
                if !caller.drive_once() {
                    sleep(Duration::from_micros(50));
                }
            }
        }
        shared.running.store(false, Ordering::Release);
        shared.graph.bells.ring_all();
        self.supervisor.ring();
        let stuck = shared.quiesce(deadline).err();
        let lost = if cancelled { shared.busy_cores() } else { Vec::new() };
        if stuck.is_some() || !lost.is_empty() {
            let cores: Vec<_> = lost.iter().map(|&core| self.plan.chip.core_name(core)).collect();
            let text = format!("a kernel of run {} ignores its cancellation on {}", self.run, cores.join(", "));
            shared.graph.run.note(text.clone());
            shared.set_busy(Some(text));
        } else {
            shared.machine.end_run();
            self.orchestrator.after_run();
        }
    }

    fn verdict(&mut self, report: Report, result: Result<(), SubmitError>) -> Result<Report, Failed> {
        let run = &self.shared.graph.run;
        let error = if let Some(fatal) = run.fatal() {
            RunError::Fatal(fatal)
        } else if let Some(refusal) = self.orchestrator.report().refused {
            RunError::Refused(refusal)
        } else if let Some((first, failed)) = run.first_failure() {
            RunError::KernelFailed { first, failed, unrun: report.unrun }
        } else {
            match result {
                Ok(()) => return Ok(report),
                // An error of the orchestration's own making.
                Err(SubmitError::Refused(refusal)) => RunError::Refused(refusal),
                Err(SubmitError::Fatal(fatal)) => RunError::Fatal(fatal),
                Err(SubmitError::DataLost(first)) => RunError::KernelFailed { first, failed: 1, unrun: report.unrun },
            }
        };
        Err(Failed { error: Box::new(error), report: Box::new(report) })
    }

    fn report(&mut self, elapsed: Duration, scopes_left_open: usize) -> Report {
        let graph = &self.shared.graph;
        let orchestrated = self.orchestrator.report();
        let mut notes = graph.run.notes();
        if scopes_left_open > 0 {
            notes.push(format!("{scopes_left_open} scopes were left open by the orchestration and were closed"));
        }
        Report {
            run: self.run,
            chip: self.plan.chip.clone(),
            tasks: orchestrated.tasks + orchestrated.allocations,
            allocations: orchestrated.allocations,
            completed: graph.completed() + orchestrated.allocations - orchestrated.joins.min(graph.completed()),
            failed: graph.run.first_failure().map_or(0, |(_, failed)| failed),
            unrun: graph.progress.iter().map(|progress| progress.unrun.load(Ordering::Acquire)).sum(),
            elapsed,
            rings: Report::rings_of(&orchestrated, &self.orchestrator.usage()),
            index_entries: (orchestrated.index_peak, orchestrated.index_capacity),
            watchdog: self.plan.watchdog,
            scopes_left_open,
            notes,
            findings: self
                .shared
                .virtual_time
                .as_ref()
                .map_or_else(Vec::new, |machine| machine.platform.take_findings()),
            blocks: self.plan.record_trace.then(|| {
                let mut blocks = Vec::new();
                self.shared.machine.chip().drain_recording(&mut |block| blocks.push(block));
                blocks
            }),
            graph: self.plan.record_graph.then(|| self.orchestrator.log().clone()),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.graph.bells.ring_all();
        self.supervisor.ring();
        let stuck = self.shared.still_busy().is_some();
        for thread in self.threads.drain(..) {
            // A thread that is lost in a kernel keeps what it uses alive by itself; waiting for it could take for ever.
            if !stuck {
                let _panicked = thread.join();
            }
        }
        if !stuck {
            self.shared.machine.chip().exit();
            // SAFETY: dropped once, here; no kernel runs any more.
            unsafe { ManuallyDrop::drop(&mut self.orchestrator) };
        }
    }
}
