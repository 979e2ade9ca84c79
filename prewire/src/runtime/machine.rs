//! The platform and the scheduler instances that drive it, whichever platform it is.

use super::pace::{FAR, NEAR, Pace};
use super::shared::Shared;
use prewire_platform_sim::{Execution, Fault, Sim, VirtualSim};
use prewire_runtime_core::error::StallReport;
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::{CoreId, TaskId};
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::sync::Mutex;
use prewire_scheduler::{Scheduler, SchedulerConfig, SchedulerGroup, Step};
use std::ops::Range;
use std::sync::{Arc, TryLockError};
use std::time::Duration;

/// What simulated chips can do beyond what the engine asks of them; on other platforms nothing of it happens.
pub(crate) trait Simulated: Platform {
    fn start_recording(&self, _executions_per_core: usize) {}
    fn drain_recording(&self, _each: &mut dyn FnMut(Execution)) {}
    fn set_fault(&self, _core: CoreId, _fault: Option<Fault>) {}
}

impl Simulated for Sim {
    fn start_recording(&self, executions_per_core: usize) {
        Sim::start_recording(self, executions_per_core);
    }

    fn drain_recording(&self, each: &mut dyn FnMut(Execution)) {
        Sim::drain_recording(self, each);
    }

    fn set_fault(&self, core: CoreId, fault: Option<Fault>) {
        Sim::set_fault(self, core, fault);
    }
}

impl Simulated for VirtualSim {
    fn start_recording(&self, executions_per_core: usize) {
        VirtualSim::start_recording(self, executions_per_core);
    }

    fn drain_recording(&self, each: &mut dyn FnMut(Execution)) {
        VirtualSim::drain_recording(self, each);
    }

    fn set_fault(&self, core: CoreId, fault: Option<Fault>) {
        VirtualSim::set_fault(self, core, fault);
    }
}

/// A platform with its schedulers. An instance's lock is the driver token: who holds it drives, and nobody holds it while asleep.
pub(crate) struct Machine<P: Platform> {
    pub(super) platform: Arc<P>,
    pub(super) group: Arc<SchedulerGroup<P>>,
    instances: Box<[Mutex<Scheduler<P>>]>,
}

/// How a thread that drives an instance came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driven {
    /// Somebody else drives it.
    Taken,
    /// There is nothing more to do.
    Idle { worked: bool, polling: bool },
    /// No run is on.
    NoRun,
}

/// The driver token of an instance, tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Free,
    Taken,
}

/// A machine without the type of its platform. Nothing in here is called for each task.
pub(crate) trait Drive: Send + Sync {
    fn chip(&self) -> &dyn Simulated;
    fn instances(&self) -> usize;
    /// Every part of the machine begins a run that the platform and the graph have begun.
    fn begin_run(&self, kernels: &Arc<KernelSet>);
    /// No instance steps any more.
    /// `is_of_run` tells the tasks of the run from those of later ones.
    fn end_run(&self, is_of_run: &dyn Fn(TaskId) -> bool);
    fn check(&self, now_ns: u64) -> bool;
    fn check_interval(&self) -> Duration;
    fn stall_report(&self) -> StallReport;
    /// Steps every instance whose token is free, each a few times. Whether something was achieved, and whether anything has to be polled.
    /// Nothing if no run is on.
    fn drive(&self, instances: Range<usize>, most_steps: usize, shared: &Shared) -> (bool, bool);
    /// Steps an instance until it has nothing to do or no run is on.
    fn drive_until_idle(&self, instance: usize, shared: &Shared, pace: &mut Pace) -> Driven;
    /// Whether the instance would find something to do. If somebody else drives it, that one looks.
    fn has_work(&self, instance: usize) -> bool;
    fn token(&self, instance: usize) -> Token;
    /// Whether no core runs anything and every instance has taken in what its cores said.
    fn is_quiet(&self) -> bool;
}

impl<P: Simulated> Machine<P> {
    pub(crate) fn new(config: SchedulerConfig, graph: Arc<Graph>, platform: Arc<P>) -> Self {
        let group = SchedulerGroup::new(config, graph, platform.clone());
        let instances = group.instances().into_iter().map(Mutex::new).collect();
        Machine { platform, group, instances }
    }

    /// One step of an instance that nobody else drives.
    pub(super) fn step(&self, instance: usize) -> Option<Step> {
        self.instances[instance].try_lock().ok().map(|mut scheduler| scheduler.step())
    }
}

impl<P: Simulated> Drive for Machine<P> {
    fn chip(&self) -> &dyn Simulated {
        &*self.platform
    }

    fn instances(&self) -> usize {
        self.instances.len()
    }

    fn begin_run(&self, kernels: &Arc<KernelSet>) {
        self.group.begin_run(kernels);
        for instance in &self.instances {
            instance.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).begin_run();
        }
    }

    fn end_run(&self, is_of_run: &dyn Fn(TaskId) -> bool) {
        self.group.end_run(is_of_run);
    }

    fn check(&self, now_ns: u64) -> bool {
        self.group.check(now_ns)
    }

    fn check_interval(&self) -> Duration {
        self.group.check_interval()
    }

    fn stall_report(&self) -> StallReport {
        self.group.stall_report(self.platform.now_ns())
    }

    fn drive(&self, instances: Range<usize>, most_steps: usize, shared: &Shared) -> (bool, bool) {
        let (mut worked, mut polling) = (false, false);
        for instance in &self.instances[instances] {
            let Ok(mut scheduler) = instance.try_lock() else { continue };
            if !shared.is_running() {
                break;
            }
            for _ in 0..most_steps {
                match scheduler.step() {
                    Step::Worked => worked = true,
                    Step::Idle { must_poll, .. } => {
                        polling |= must_poll;
                        break;
                    }
                }
            }
        }
        (worked, polling)
    }

    fn drive_until_idle(&self, instance: usize, shared: &Shared, pace: &mut Pace) -> Driven {
        let Ok(mut scheduler) = self.instances[instance].try_lock() else { return Driven::Taken };
        let mut worked = false;
        while shared.is_running() {
            match scheduler.step() {
                Step::Worked => {
                    worked = true;
                    if scheduler.is_quiet() && shared.tasks_behind() < NEAR {
                        pace.pause(scheduler.completed(), || shared.is_awaited() || shared.tasks_behind() >= FAR);
                    }
                }
                Step::Idle { must_poll: polling, .. } => {
                    pace.slow_down();
                    return Driven::Idle { worked, polling };
                }
            }
        }
        Driven::NoRun
    }

    fn has_work(&self, instance: usize) -> bool {
        self.instances[instance].try_lock().is_ok_and(|mut scheduler| scheduler.has_work())
    }

    fn token(&self, instance: usize) -> Token {
        match self.instances[instance].try_lock() {
            Ok(_) | Err(TryLockError::Poisoned(_)) => Token::Free,
            Err(TryLockError::WouldBlock) => Token::Taken,
        }
    }

    fn is_quiet(&self) -> bool {
        let quiet = |instance: &Mutex<Scheduler<P>>| {
            instance.try_lock().is_ok_and(|scheduler| scheduler.busy_cores().is_empty())
        };
        self.instances.iter().all(quiet)
    }
}
