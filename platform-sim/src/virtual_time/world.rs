//! Everything that virtual time is made of, and how each event changes it.

use super::actors::Injection;
use super::audit::Audit;
use super::cores::{CoreLine, Flight};
use super::events::{Events, What};
use super::instances::{Doing, InstanceLine};
use crate::random::Random;
use prewire_runtime_core::chip::Latencies;
use prewire_runtime_core::graph::{Graph, Queue};
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::DispatchPayload;
use prewire_runtime_core::port::{Condition, Token};

/// How long an instance sleeps in a run before it looks by itself, where instances sleep; and while conditions have to be polled.
const SLEEP_NS: u64 = 10_000_000;
const POLLING_SLEEP_NS: u64 = 1_000_000;

/// How long a sleeping thread takes to be woken.
const WAKE_NS: (u64, u64) = (1_000, 50_000);

#[derive(Debug)]
pub(super) struct World {
    pub(super) latencies: Latencies,
    seed: u64,
    pub(super) random: Random,
    events: Events,
    pub(super) now_ns: u64,
    began_ns: u64,
    pub(super) cores: Vec<CoreLine>,
    pub(super) instances: Vec<InstanceLine>,
    /// The instance that steps, and its clock.
    pub(super) stepping: Option<usize>,
    pub(super) clock_ns: u64,
    pub(super) watch_ns: u64,
    pub(super) cancelled: bool,
    injections: Vec<Injection>,
    sleeps: bool,
    loses_ready_after: Option<u64>,
    pub(super) audit: Audit,
}

impl World {
    pub(super) fn new(seed: u64, latencies: Latencies, graph: &Graph, cores: usize) -> Self {
        let owned = |instance| (0..cores).filter(|&core| graph.owner_of(CoreId(core as u16)) == instance).collect();
        World {
            latencies,
            seed,
            random: Random::new(seed),
            events: Events::default(),
            now_ns: 0,
            began_ns: 0,
            cores: (0..cores).map(|_| CoreLine::new()).collect(),
            instances: (0..graph.progress.len()).map(|instance| InstanceLine::new(owned(instance))).collect(),
            stepping: None,
            clock_ns: 0,
            watch_ns: 5_000_000,
            cancelled: false,
            injections: Vec::new(),
            sleeps: false,
            loses_ready_after: None,
            audit: Audit::new(cores),
        }
    }

    pub(super) fn inject(&mut self, injection: Injection) {
        self.injections.push(injection);
    }

    pub(super) fn forget_injections(&mut self) {
        self.injections.clear();
    }

    /// A run begins: every instance takes a first step, at moments of the seed's choosing.
    pub(super) fn begin_run(&mut self) {
        self.random = Random::new(self.seed);
        self.events.clear();
        self.began_ns = self.now_ns;
        self.cancelled = false;
        self.stepping = None;
        self.cores.iter_mut().for_each(CoreLine::begin_run);
        self.audit.begin_run();
        self.sleeps = self.injections.contains(&Injection::SchedulersSleep);
        self.loses_ready_after = None;
        for instance in &mut self.instances {
            (instance.starved, instance.by_alarm, instance.must_poll) = (None, false, false);
        }
        for at in 0..self.injections.len() {
            match self.injections[at] {
                Injection::StarvesScheduler { instance, after_ns, for_ns } => {
                    let from = self.began_ns + after_ns;
                    if let Some(instance) = self.instances.get_mut(instance) {
                        instance.starved = Some((from, from.saturating_add(for_ns)));
                    }
                }
                Injection::LosesReadyTask { after_ns } => self.loses_ready_after = Some(self.began_ns + after_ns),
                Injection::SchedulersSleep => {}
            }
        }
        for instance in 0..self.instances.len() {
            let start_ns = self.now_ns + self.random.within((0, self.latencies.step_ns));
            self.schedule_step(instance, start_ns);
        }
        self.push(self.now_ns + self.watch_ns, What::Watch);
    }

    pub(super) fn push(&mut self, at_ns: u64, what: What) {
        self.events.push(at_ns, what, &mut self.random);
    }

    pub(super) fn next_ns(&self) -> Option<u64> {
        self.events.next_ns()
    }

    pub(super) fn pop(&mut self) -> Option<What> {
        let (at_ns, what) = self.events.pop()?;
        self.now_ns = self.now_ns.max(at_ns);
        Some(what)
    }

    /// How long reading the registers of an instance's busy cores takes.
    fn sweep_ns(&self, instance: usize) -> u64 {
        let (least, most) = self.latencies.register_read_ns;
        let busy = self.instances[instance].cores.iter().filter(|&&core| self.cores[core].held.is_some()).count();
        busy as u64 * (least + most) / 2
    }

    /// An instance begins a step, whose sweep starts then.
    pub(super) fn schedule_step(&mut self, instance: usize, start_ns: u64) {
        let sweep_ns = self.sweep_ns(instance);
        let line = &mut self.instances[instance];
        line.start_ns = line.when_awake(start_ns);
        line.serial += 1;
        line.doing = Doing::Sweeping;
        let (at_ns, serial) = (line.start_ns + sweep_ns, line.serial);
        self.push(at_ns.max(self.now_ns), What::Step { instance, serial });
    }

    /// The sweep of a step has ended. False if the step was called off.
    pub(super) fn enter_step(&mut self, graph: &Graph, instance: usize, serial: u64) -> bool {
        let line = &self.instances[instance];
        if line.serial != serial {
            return false;
        }
        self.clock_ns = line.start_ns;
        self.stepping = Some(instance);
        graph.bells.withdraw(1 << instance);
        true
    }

    /// The step is over: the instance goes on, or finds something to sleep on.
    pub(super) fn leave_step(&mut self, instance: usize, worked: bool, must_poll: bool) {
        self.stepping = None;
        let end_ns = self.clock_ns.max(self.now_ns) + self.latencies.step_ns;
        let news = self.instances[instance].cores.iter().any(|&core| self.cores[core].has_news(self.now_ns));
        let line = &mut self.instances[instance];
        line.must_poll = must_poll;
        if std::mem::take(&mut line.by_alarm) && worked && !must_poll {
            let text = format!("instance {instance} slept although there was something to do");
            self.audit.find(text);
        }
        if worked || news {
            return self.schedule_step(instance, end_ns);
        }
        line.origin_ns = end_ns;
        line.doing = Doing::Parked;
        let round_ns = self.sweep_ns(instance) + self.latencies.step_ns;
        self.instances[instance].round_ns = round_ns;
    }

    /// An instance that found nothing says so, and sleeps if instances do.
    pub(super) fn park(&mut self, graph: &Graph, instance: usize) {
        graph.bells.announce(1 << instance);
        if self.sleeps {
            let line = &mut self.instances[instance];
            line.serial += 1;
            let serial = line.serial;
            let sleep_ns = if line.must_poll { POLLING_SLEEP_NS } else { SLEEP_NS };
            self.push(self.now_ns + sleep_ns, What::Alarm { instance, serial });
        }
    }

    pub(super) fn is_parked(&self, instance: usize) -> bool {
        self.instances[instance].doing == Doing::Parked
    }

    pub(super) fn sleeps(&self) -> bool {
        self.sleeps
    }

    /// A parked instance acts in the first of its rounds that sees this moment.
    pub(super) fn wake(&mut self, instance: usize) {
        if !self.is_parked(instance) {
            return;
        }
        let start_ns = if self.sleeps {
            self.now_ns + self.random.within(WAKE_NS)
        } else {
            let sweep_ns = self.sweep_ns(instance);
            self.instances[instance].round_that_sees(self.now_ns, sweep_ns)
        };
        self.schedule_step(instance, start_ns);
    }

    /// Somebody did something: whoever looks again and again sees it, and whoever sleeps if its bell rang.
    pub(super) fn stir(&mut self, graph: &Graph, worked: bool) {
        self.lose_ready_task(graph);
        let idle = graph.bells.idle();
        for instance in 0..self.instances.len() {
            if self.is_parked(instance) && (worked && !self.sleeps || idle >> instance & 1 == 0) {
                self.wake(instance);
            }
        }
    }

    fn lose_ready_task(&mut self, graph: &Graph) {
        if self.loses_ready_after.is_some_and(|after_ns| self.now_ns >= after_ns) {
            let queues = [Queue::Vector, Queue::Cube, Queue::Cluster];
            if queues.into_iter().any(|queue| graph.queue(queue).pop().is_some()) {
                self.loses_ready_after = None;
            }
        }
    }

    /// Every instance that looks again and again has looked many times since the last watch.
    pub(super) fn look_everywhere(&mut self) {
        if !self.sleeps {
            (0..self.instances.len()).for_each(|instance| self.wake(instance));
        }
    }

    /// Instances that poll conditions see what a kernel wrote.
    pub(super) fn wake_pollers(&mut self) {
        if !self.sleeps {
            for instance in 0..self.instances.len() {
                if self.instances[instance].must_poll {
                    self.wake(instance);
                }
            }
        }
    }

    /// A token is written to a core.
    pub(super) fn dispatch(&mut self, core: CoreId, token: Token, payload: &DispatchPayload) {
        self.audit.dispatch(core, token, payload);
        self.clock_ns = self.clock_ns.max(self.now_ns) + self.latencies.register_write_ns;
        let written_ns = self.clock_ns;
        let flight = Flight { token, payload: *payload, written_ns, start_ns: 0, started: false };
        let line = &mut self.cores[core.index()];
        line.held = Some(token);
        if line.running.is_none() {
            line.running = Some(flight);
            self.pick_up(core.index(), written_ns);
        } else {
            if line.behind.is_some() {
                self.audit.find(format!("core {} got a third dispatch", core.0));
            }
            self.cores[core.index()].behind = Some(flight);
        }
    }

    /// The core sees the token of what it is to run, once it has nothing else to do.
    pub(super) fn pick_up(&mut self, core: usize, free_ns: u64) {
        let line = &mut self.cores[core];
        let flight = line.running.as_mut().expect("there is something to run");
        let seen_ns = free_ns.max(flight.written_ns + self.latencies.dispatch_ns);
        let start_ns = seen_ns + self.random.within(self.latencies.start_ns);
        flight.start_ns = start_ns;
        line.serial += 1;
        let serial = line.serial;
        self.push(start_ns, What::Start { core, serial });
    }

    /// The core writes its register.
    pub(super) fn answer(&mut self, core: usize, condition: Condition, late_ns: u64) {
        let arrives_ns = self.now_ns + late_ns + self.random.within(self.latencies.completion_ns);
        let visible_ns = self.cores[core].answer(condition, arrives_ns);
        self.push(visible_ns, What::Visible { core });
    }

    /// The running dispatch of a core ends now, or never if there is no time.
    pub(super) fn end_in(&mut self, core: usize, duration_ns: Option<u64>) {
        let line = &mut self.cores[core];
        line.serial += 1;
        let serial = line.serial;
        if let Some(duration_ns) = duration_ns {
            self.push(self.now_ns.saturating_add(duration_ns), What::End { core, serial });
        }
    }

    /// The run is ended: kernels that run are told, and return.
    pub(super) fn cancel(&mut self) {
        if !std::mem::replace(&mut self.cancelled, true) {
            for core in 0..self.cores.len() {
                if self.cores[core].running.is_some_and(|flight| flight.started) {
                    self.end_in(core, Some(0));
                }
            }
        }
    }
}
