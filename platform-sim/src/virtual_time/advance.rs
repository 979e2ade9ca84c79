//! How the chip in virtual time gets from one event to the next.

use super::VirtualSim;
use super::actors::Actors;
use super::cores::Flight;
use super::cost;
use super::events::What;
use super::world::World;
use crate::core::POISON as CORE_POISON;
use crate::fault::Fault;
use crate::recorder::Execution;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::KernelError;
use prewire_runtime_core::port::Condition;

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
    /// The next event, if there is one within this time; otherwise the time passes. True if it achieved something for the run.
    pub fn advance_within(&self, for_ns: u64, actors: &mut dyn Actors) -> bool {
        let mut world = self.world();
        let until_ns = world.now_ns + for_ns;
        if world.next_ns().is_none_or(|next_ns| next_ns > until_ns) {
            world.now_ns = until_ns;
            return false;
        }
        drop(world);
        self.advance(actors)
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
            self.together().insert(core, result);
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
        let fixed = self.kernel_time(payload.kernel);
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
        let ran = self.together().remove(&id);
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
