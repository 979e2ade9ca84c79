//! The chip in virtual time as its users hold it, and the loop that advances it.

use super::actors::{Actors, Injection};
use super::baton::{self, Baton};
use super::cores::Flight;
use super::cost;
use super::events::What;
use super::world::World;
use crate::config::{Engine, SimConfig};
use crate::core::POISON as CORE_POISON;
use crate::fault::Fault;
use crate::memory::SimMemory;
use crate::recorder::Execution;
use crate::sim::Sim;
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::{CoreId, KernelId};
use prewire_runtime_core::kernel::{KernelError, MAX_KERNELS};
use prewire_runtime_core::memory::OutOfMemory;
use prewire_runtime_core::port::Condition;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

const POISON: &str = "no code panics while it holds the virtual world";

/// A chip in virtual time. One thread at a time uses it.
pub struct VirtualSim {
    /// The chip's memory, kernels, faults and records are those of the other engines; its registers and its clock are not used.
    pub(super) sim: Sim,
    world: Mutex<World>,
    /// How long kernels last that do not last as long as their arguments say.
    times: Mutex<Vec<Option<u64>>>,
    /// What kernels run by that wait for one another.
    baton: Arc<Baton>,
    /// What such kernels came to, by core, from their return to the end of their dispatch.
    together: Mutex<BTreeMap<CoreId, baton::Result>>,
}

impl std::fmt::Debug for VirtualSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VirtualSim")
            .field("sim", &self.sim)
            .field("now_ns", &self.world().now_ns)
            .finish_non_exhaustive()
    }
}

/// What an event asks for once the world is let go of.
enum Due {
    Nothing,
    Compute(usize, Flight),
    /// Kernels that wait for one another go on.
    Together,
    Step(usize),
    Watch,
}

impl VirtualSim {
    /// A chip at time 0. The seed is that of the configuration's engine, or 0.
    ///
    /// # Errors
    /// If the memory for the cores' handshake cannot be had.
    pub fn new(config: SimConfig, graph: Arc<Graph>, memory: Arc<SimMemory>) -> Result<Self, OutOfMemory> {
        let seed = if let Engine::Virtual { seed } = config.engine { seed } else { 0 };
        let world = World::new(seed, config.chip.latencies, &graph, usize::from(config.chip.cores()));
        let sim = Sim::new(SimConfig { engine: Engine::InlineOnly, ..config }, graph, memory)?;
        Ok(VirtualSim {
            sim,
            world: Mutex::new(world),
            times: Mutex::new(vec![None; MAX_KERNELS]),
            baton: Arc::default(),
            together: Mutex::default(),
        })
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect(POISON)
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.sim.shared.graph
    }

    /// The chip's memory.
    pub fn memory(&self) -> &Arc<SimMemory> {
        self.sim.memory()
    }

    /// How long a kernel lasts on every core, or, with none, as long as its arguments say. Between runs.
    pub fn set_kernel_time(&self, kernel: KernelId, time: Option<Duration>) {
        if let Some(place) = self.times.lock().expect(POISON).get_mut(kernel.index()) {
            *place = time.map(|time| time.as_nanos() as u64);
        }
    }

    /// How often the watchdog looks.
    pub fn set_watch_interval(&self, interval: Duration) {
        self.world().watch_ns = (interval.as_nanos() as u64).max(1);
    }

    /// Has something go wrong in every run from the next one on.
    pub fn inject(&self, injection: Injection) {
        self.world().inject(injection);
    }

    /// Takes all injections back.
    pub fn forget_injections(&self) {
        self.world().forget_injections();
    }

    /// Gives a core a fault, or none. Between runs.
    ///
    /// # Panics
    /// If the chip has no such core.
    pub fn set_fault(&self, core: CoreId, fault: Option<Fault>) {
        self.sim.set_fault(core, fault);
    }

    /// As [`Sim::start_recording`], in virtual time.
    pub fn start_recording(&self, executions_per_core: usize) {
        self.sim.start_recording(executions_per_core);
    }

    /// As [`Sim::drain_recording`].
    pub fn drain_recording(&self, each: impl FnMut(Execution)) {
        self.sim.drain_recording(each);
    }

    /// What was seen of the last run that must never be: tokens out of turn, blocks dispatched twice, slots reused too early, wake-ups that were lost.
    pub fn take_findings(&self) -> Vec<String> {
        self.world().audit.take()
    }

    /// The time, in nanoseconds; within a step, that of the instance that steps.
    pub fn now_ns(&self) -> u64 {
        let world = self.world();
        if world.stepping.is_some() { world.clock_ns } else { world.now_ns }
    }

    /// The orchestrator is busy for so long: everything that others do meanwhile is done when the call returns.
    pub fn orchestrator_works(&self, for_ns: u64, actors: &mut dyn Actors) {
        let until_ns = self.world().now_ns + for_ns;
        // What happens at the very moment may come before or behind.
        let last_ns = until_ns - (self.world().random.next() & 1).min(for_ns);
        while self.world().next_ns().is_some_and(|next_ns| next_ns <= last_ns) {
            self.advance(actors);
        }
        let mut world = self.world();
        world.now_ns = world.now_ns.max(until_ns);
    }

    /// The orchestrator may have changed what the others see.
    pub fn orchestrator_did(&self) {
        self.world().stir(self.graph(), true);
    }

    /// The next event. True if it achieved something for the run.
    pub fn advance(&self, actors: &mut dyn Actors) -> bool {
        match self.next_due() {
            Due::Nothing => false,
            Due::Compute(core, flight) => {
                self.compute(core, flight);
                true
            }
            Due::Together => {
                self.go_round();
                true
            }
            Due::Step(instance) => self.step(instance, actors),
            Due::Watch => {
                self.go_round();
                let now_ns = self.now_ns();
                let verdict = actors.check(now_ns);
                let mut world = self.world();
                let again_ns = world.now_ns + world.watch_ns;
                world.push(again_ns, What::Watch);
                world.stir(self.graph(), verdict);
                world.look_everywhere();
                verdict
            }
        }
    }

    fn next_due(&self) -> Due {
        let mut world = self.world();
        let Some(what) = world.pop() else { return Due::Nothing };
        match what {
            What::Start { core, serial } if world.cores[core].serial == serial => {
                if self.start(&mut world, core) {
                    Due::Together
                } else {
                    Due::Nothing
                }
            }
            What::End { core, serial } if world.cores[core].serial == serial => {
                let flight = world.cores[core].running.expect("what ends has run");
                Due::Compute(core, flight)
            }
            What::Start { .. } | What::End { .. } => Due::Nothing,
            What::Visible { core } => {
                let owner = self.graph().owner_of(CoreId(core as u16));
                if world.sleeps() {
                    self.graph().bells.ring(owner);
                    world.stir(self.graph(), false);
                } else {
                    world.wake(owner);
                }
                Due::Nothing
            }
            What::Step { instance, serial } => match world.enter_step(self.graph(), instance, serial) {
                true => Due::Step(instance),
                false => Due::Nothing,
            },
            What::Alarm { instance, serial } => {
                if world.instances[instance].serial == serial && world.is_parked(instance) {
                    world.instances[instance].by_alarm = true;
                    let now_ns = world.now_ns;
                    world.schedule_step(instance, now_ns);
                }
                Due::Nothing
            }
            What::Watch => Due::Watch,
        }
    }

    fn step(&self, instance: usize, actors: &mut dyn Actors) -> bool {
        let stepped = actors.step(instance);
        self.world().leave_step(instance, stepped.worked, stepped.must_poll);
        let mut world = self.world();
        if world.is_parked(instance) {
            world.park(self.graph(), instance);
            if world.sleeps() {
                drop(world);
                let finds_work = actors.has_work(instance);
                world = self.world();
                if finds_work {
                    let now_ns = world.now_ns;
                    world.schedule_step(instance, now_ns);
                }
            }
        }
        world.stir(self.graph(), stepped.worked);
        stepped.worked
    }

    /// Kernels that wait for one another go on as far as they can. One that has returned ends when its time is over.
    pub(super) fn go_round(&self) {
        for (core, result) in self.baton.go_round() {
            let mut world = self.world();
            let flight = world.cores[core.index()].running.expect("what returns has run");
            let over_ns = flight.start_ns.saturating_add(self.duration_ns(&flight));
            let left_ns = over_ns.saturating_sub(world.now_ns);
            world.end_in(core.index(), Some(left_ns));
            self.together.lock().expect(POISON).insert(core, result);
        }
    }

    /// A kernel starts: from here on it is known when it ends, unless it waits for others. True if it does.
    fn start(&self, world: &mut World, core: usize) -> bool {
        let shared = &self.sim.shared;
        let id = CoreId(core as u16);
        let fault = shared.fault(id);
        let line = &mut world.cores[core];
        let flight = line.running.as_mut().expect("what starts was picked up");
        flight.started = true;
        let flight = *flight;
        shared.cores[core].start(flight.token);
        if let (Some(Fault::RepeatsFin), Some(last)) = (fault, line.last_finished) {
            world.answer(core, Condition::Finished(last), 0);
        }
        world.answer(core, Condition::Started(flight.token), 0);
        let runs = !world.cancelled && !matches!(fault, Some(Fault::Hangs | Fault::Fails(_)));
        if flight.payload.concurrent && runs {
            // SAFETY: a run began, and the payload's arguments are valid until the end has been seen.
            unsafe { self.baton.enter(shared, &flight.payload) };
            return true;
        }
        let duration_ns = match fault {
            _ if world.cancelled => Some(0),
            Some(Fault::Hangs) => None,
            _ => Some(self.duration_ns(&flight)),
        };
        world.end_in(core, duration_ns);
        false
    }

    fn duration_ns(&self, flight: &Flight) -> u64 {
        let payload = &flight.payload;
        let fixed = self.times.lock().expect(POISON).get(payload.kernel.index()).copied().flatten();
        let chip = &self.sim.shared.chip;
        // SAFETY: the payload's arguments are valid until its end has been seen.
        let plain =
            fixed.unwrap_or_else(|| unsafe { cost::of_payload(&chip.rates, chip.kind_of(payload.core), payload) });
        match self.sim.shared.fault(payload.core) {
            Some(Fault::Slow(time)) => plain.saturating_add(time.as_nanos() as u64),
            Some(Fault::SlowBy(times)) => plain.saturating_mul(u64::from(times)),
            _ => plain,
        }
    }

    /// A kernel ends: it computes, and says so.
    fn compute(&self, core: usize, flight: Flight) {
        let shared = &self.sim.shared;
        let (id, token, payload) = (CoreId(core as u16), flight.token, &flight.payload);
        let fault = shared.fault(id);
        let cancelled = self.world().cancelled;
        let ran = self.together.lock().expect(POISON).remove(&id);
        let result = match fault {
            _ if let Some(result) = ran => result,
            _ if cancelled => Err(Box::new(KernelError::new(KernelError::CANCELLED, "the run was ended"))),
            Some(Fault::Fails(code)) => Err(shared.failing(id, code)),
            // SAFETY: a run began, and the payload's arguments are valid until the end has been seen.
            _ => unsafe { shared.call(payload) },
        };
        // One that ran with others has left them already.
        shared.leave_cohort(payload, result.as_ref().err().map(|error| error.text.as_str()));
        let outcome = shared.settle(id, token, result);
        let state = &shared.cores[core];
        match fault {
            Some(Fault::DamagesConditionCount) => {
                state.aside(token).lock().expect(CORE_POISON).conditions.damage_count();
            }
            Some(Fault::DamagesConditionKind) => {
                state.aside(token).lock().expect(CORE_POISON).conditions.damage_kinds();
            }
            _ => {}
        }
        state.set_outcome(token, outcome);
        state.end();
        let mut world = self.world();
        self.audit_slot(&mut world, &flight);
        if shared.recording.load(std::sync::atomic::Ordering::Relaxed) {
            shared.recorder.push(Execution {
                core: id,
                task: payload.task,
                kernel: payload.kernel,
                block: payload.block,
                part: payload.part,
                token,
                dispatch_ns: flight.written_ns,
                start_ns: flight.start_ns,
                end_ns: world.now_ns,
            });
        }
        let late_ns = if let Some(Fault::CompletesLate(time)) = fault { time.as_nanos() as u64 } else { 0 };
        world.answer(core, Condition::Finished(token), late_ns);
        let line = &mut world.cores[core];
        line.last_finished = Some(token);
        line.running = line.behind.take();
        if line.running.is_some() {
            let now_ns = world.now_ns;
            world.pick_up(core, now_ns);
        }
        world.wake_pollers();
    }

    /// A slot stays its task's while a block of it runs.
    fn audit_slot(&self, world: &mut World, flight: &Flight) {
        // SAFETY: nobody writes the slot: one thread runs everything, and the task is not released before its end was seen.
        let owner = unsafe { self.graph().slots.get(flight.payload.slot).body() }.id;
        if owner != flight.payload.task && !world.cancelled {
            world
                .audit
                .find(format!("the slot of task {} was given to task {owner} while it ran", flight.payload.task));
        }
    }
}
