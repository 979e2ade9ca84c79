//! Cores on pooled threads: pre-loading, sleeping kernels, wakes.

use crate::rig::{LONG, RUN, Rig, chip, closure, payload, set, wait_until};
use prewire_platform_sim::bus::{MemoryBus, RegisterBus};
use prewire_platform_sim::{Engine, SimConfig, SimMemory};
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::{DispatchPayload, Platform};
use prewire_runtime_core::port::{Condition, Transition};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[test]
fn a_pre_loaded_dispatch_follows_at_once() {
    let order: Arc<std::sync::Mutex<Vec<u64>>> = Arc::default();
    let kernel = {
        let order = Arc::clone(&order);
        closure(move |context| {
            std::thread::sleep(Duration::from_millis(2));
            order.lock().unwrap().push(context.payload().task.sequence());
            Ok(())
        })
    };
    let mut rig = Rig::new(chip(1), Engine::Threads, vec![kernel]);
    let core = CoreId(1);
    for pair in 0..20 {
        rig.dispatch(&payload(core, 0, 2 * pair));
        // On a busy machine the first may be over before anybody has looked.
        rig.until(core, |in_flight| in_flight.can_preload() || in_flight.running.is_none());
        rig.dispatch(&payload(core, 0, 2 * pair + 1));
        rig.drain(core);
    }
    assert_eq!(*order.lock().unwrap(), (0..40).collect::<Vec<_>>());
}

/// A task pre-loaded behind another one may be one whose siblings wait for it: it moves to a thread of its own, and the owner still learns that
/// the one before has ended.
#[test]
fn a_part_of_a_gang_may_be_pre_loaded_behind_a_plain_task() {
    let go = Arc::new(AtomicBool::new(false));
    let plain = {
        let go = Arc::clone(&go);
        closure(move |_| {
            while !go.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        })
    };
    let part = closure(|context| context.barrier());
    let mut rig = Rig::new(chip(1), Engine::Threads, vec![plain, part]);
    let cores = [CoreId(1), CoreId(2)];
    for core in cores {
        rig.dispatch(&payload(core, 0, u64::from(core.0)));
        rig.until(core, |in_flight| in_flight.can_preload());
    }
    for (block, core) in cores.into_iter().enumerate() {
        let gang = DispatchPayload { block: block as u32, blocks: 2, concurrent: true, ..payload(core, 1, 9) };
        rig.dispatch(&gang);
    }
    go.store(true, Ordering::Release);
    cores.into_iter().for_each(|core| rig.drain(core));
}

#[test]
fn kernels_that_sleep_all_get_a_thread() {
    let asleep = Arc::new(AtomicUsize::new(0));
    let cores = 72;
    let kernel = {
        let asleep = Arc::clone(&asleep);
        closure(move |_| {
            asleep.fetch_add(1, Ordering::AcqRel);
            wait_until("all cores sleep at once", || asleep.load(Ordering::Acquire) >= cores);
            Ok(())
        })
    };
    let mut rig = Rig::new(chip(24), Engine::Threads, vec![kernel]);
    for core in 0..cores {
        rig.dispatch(&payload(CoreId(core as u16), 0, core as u64));
    }
    for core in 0..cores {
        rig.drain(CoreId(core as u16));
    }
}

#[test]
fn kernels_that_compute_do_not_get_more_threads_than_processors() {
    let chip = chip(24);
    let bus = MemoryBus::new(chip.cores());
    let memory = Arc::new(SimMemory::new(&chip));
    let config = SimConfig { worker_threads: 1, ..SimConfig::new(chip, Engine::Threads) };
    let mut rig = Rig::with(config, memory, bus);
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let kernel = {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        closure(move |_| {
            most.fetch_max(running.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
            let mut sum = 0_u64;
            for number in 0..20_000_u64 {
                sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number));
            }
            running.fetch_sub(1, Ordering::AcqRel);
            Ok(())
        })
    };
    rig.sim.begin_run(crate::rig::RUN, &crate::rig::set(vec![kernel])).unwrap();
    for round in 0..20 {
        for core in (0..72).map(CoreId) {
            rig.dispatch(&payload(core, 0, round));
        }
        for core in (0..72).map(CoreId) {
            rig.drain(core);
        }
    }
    // One for the worker; a core that has waited too long may run beside it on a machine that is busy with other things.
    assert!(most.load(Ordering::Acquire) <= 4, "{} kernels ran at once", most.load(Ordering::Acquire));
    assert!(rig.sim.threads() <= 5, "{} threads were started", rig.sim.threads());
}

/// Sleeps as the owner of all cores until polling the core says something new.
fn sleep_until_news<B: RegisterBus>(rig: &mut Rig<B>, core: CoreId) -> Transition {
    let began = std::time::Instant::now();
    loop {
        let seen = rig.poll(core);
        if seen != Transition::None {
            return seen;
        }
        let (sim, graph, mut in_flight) = (&rig.sim, &rig.graph, rig.in_flight[core.index()]);
        graph.bells.sleep(1, LONG, || in_flight.observe(sim.poll(core)) != Transition::None);
        assert!(began.elapsed() < LONG / 2, "a wake was lost");
    }
}

#[test]
fn an_owner_that_sleeps_is_woken_by_every_end() {
    let mut rig = Rig::new(chip(1), Engine::Threads, vec![closure(|_| Ok(()))]);
    for task in 0..2000 {
        let core = CoreId(task % 3);
        rig.dispatch(&payload(core, 0, u64::from(task)));
        while sleep_until_news(&mut rig, core) != Transition::RunningEnded {}
    }
}

/// Registers of a core that takes its time between two dispatches: until its owner, woken by the end of the first one, sleeps again.
#[derive(Debug)]
struct UnhurriedBus {
    registers: MemoryBus,
    owner: OnceLock<Arc<Graph>>,
    /// Whether the next start takes that time.
    armed: AtomicBool,
}

impl RegisterBus for UnhurriedBus {
    fn write_dispatch(&self, core: CoreId, value: u64) {
        self.registers.write_dispatch(core, value);
    }

    fn read_condition(&self, core: CoreId) -> u32 {
        self.registers.read_condition(core)
    }

    fn write_fast_path(&self, core: CoreId, value: u32) {
        self.registers.write_fast_path(core, value);
    }

    fn read_dispatch(&self, core: CoreId) -> u64 {
        self.registers.read_dispatch(core)
    }

    fn write_condition(&self, core: CoreId, value: u32) {
        let starts = matches!(Condition::from_register(value), Condition::Started(_));
        if starts && self.armed.swap(false, Ordering::AcqRel) {
            let graph = self.owner.get().expect("it was set before anything ran");
            wait_until("the owner has woken and sleeps again", || {
                // Its last look comes right behind its announcement, and it must not find the start.
                let announced = graph.bells.idle() & 1 != 0;
                std::thread::sleep(Duration::from_micros(500));
                announced && graph.bells.idle() & 1 != 0
            });
        }
        self.registers.write_condition(core, value);
    }
}

/// The first dispatch's end is not plain before the second one's start, so that has to wake the owner too.
#[test]
fn an_owner_that_sleeps_is_woken_when_a_pre_loaded_dispatch_starts() {
    let allowed = Arc::new(AtomicUsize::new(0));
    let kernel = {
        let allowed = Arc::clone(&allowed);
        closure(move |context| {
            let number = context.payload().task.sequence() as usize;
            wait_until("the owner allows it", || allowed.load(Ordering::Acquire) >= number);
            Ok(())
        })
    };
    let chip = chip(1);
    let registers = MemoryBus::new(chip.cores());
    let bus = UnhurriedBus { registers, owner: OnceLock::new(), armed: AtomicBool::new(false) };
    let memory = Arc::new(SimMemory::new(&chip));
    let mut rig = Rig::with(SimConfig::new(chip, Engine::Threads), memory, bus);
    rig.sim.bus().owner.set(Arc::clone(&rig.graph)).expect("it is set once");
    rig.sim.begin_run(RUN, &set(vec![kernel])).unwrap();
    let core = CoreId(1);
    for first in (1..100).step_by(2) {
        rig.dispatch(&payload(core, 0, first));
        rig.until(core, |in_flight| in_flight.can_preload());
        rig.dispatch(&payload(core, 0, first + 1));
        rig.sim.bus().armed.store(true, Ordering::Release);
        allowed.store(first as usize, Ordering::Release);
        assert_eq!(sleep_until_news(&mut rig, core), Transition::Promoted);
        allowed.store(first as usize + 1, Ordering::Release);
        assert_eq!(sleep_until_news(&mut rig, core), Transition::RunningEnded);
    }
}
