//! The beginning and the end of runs, with cores that answer late or never and kernels that do not return.

use crate::rig::{RUN, Rig, chip, closure, payload, set, wait_until};
use prewire_platform_sim::{Engine, Fault};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::memory::DeviceMemory;
use prewire_runtime_core::platform::{DispatchPayload, Dispatched, Platform};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_core_that_never_answers_its_start_up_is_named_and_one_that_is_late_is_waited_for() {
    let rig = Rig::unstarted(chip(3), Engine::Inline);
    let kernels = set(vec![closure(|_| Ok(()))]);
    rig.sim.set_fault(CoreId(4), Some(Fault::NeverStarts));
    let error = rig.sim.begin_run(RUN, &kernels).unwrap_err();
    assert_eq!(error, "no answer to the start-up handshake within 200 ms from AIV_4");
    assert_eq!(rig.sim.exit(), [], "nothing was started");

    rig.sim.set_fault(CoreId(4), Some(Fault::StartsLate(Duration::from_millis(60))));
    let began = Instant::now();
    rig.sim.begin_run(RUN, &kernels).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(60), "the core was not up before");
}

#[test]
fn all_cores_share_one_exit_deadline() {
    for engine in [Engine::Inline, Engine::Threads] {
        let rig = Rig::new(ChipSpec { exit_deadline_ms: 500, ..chip(4) }, engine, vec![]);
        let silent = [CoreId(0), CoreId(5), CoreId(11)];
        for core in silent {
            rig.sim.set_fault(core, Some(Fault::NeverExits));
        }
        let began = Instant::now();
        assert_eq!(rig.sim.exit(), silent);
        let elapsed = began.elapsed();
        assert!(elapsed >= Duration::from_millis(500), "they had their time");
        assert!(elapsed < Duration::from_millis(1500), "one deadline each would be three");
        assert_eq!(rig.sim.exit(), [], "the cores have been told once");

        // Such a core is not busy: the next run may begin.
        for core in silent {
            rig.sim.set_fault(core, None);
        }
        rig.sim.begin_run(RUN + 1, &set(vec![])).unwrap();
        assert_eq!(rig.sim.exit(), []);
    }
}

/// A kernel that runs until it is let go, whatever it is told.
fn stubborn(go: &Arc<AtomicBool>, started: &Arc<AtomicBool>) -> prewire_runtime_core::kernel::Kernel {
    let (go, started) = (Arc::clone(go), Arc::clone(started));
    closure(move |context| {
        started.store(true, Ordering::Release);
        while !go.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let [address, value] = [context.scalar_bits(0)?, context.scalar_bits(1)?];
        // SAFETY: the test keeps the memory, or gives it back while the kernel is known to be lost.
        let word = unsafe { AtomicU32::from_ptr(address as *mut u32) };
        word.store(value as u32, Ordering::Release);
        Ok(())
    })
}

#[test]
fn a_kernel_that_ignores_its_cancellation_keeps_its_memory_and_its_core_until_it_returns() {
    let (go, started): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
    let mut rig = Rig::new(chip(2), Engine::Threads, vec![stubborn(&go, &started), closure(|_| Ok(()))]);
    let memory = Arc::clone(rig.sim.memory());
    let at_rest = memory.allocated_bytes();
    let address = memory.allocate(4096).unwrap();
    let scalars = [address, 99];
    let core = CoreId(3);
    let block = DispatchPayload { scalars: scalars.as_ptr(), scalar_count: 2, ..payload(core, 0, 1) };
    rig.dispatch(&block);
    wait_until("the kernel runs", || started.load(Ordering::Acquire));
    rig.sim.cancel(RUN);
    assert_eq!(rig.sim.exit(), [core]);

    // SAFETY: the owner has no more use for it; the lost kernel has, and that is the platform's business.
    unsafe { memory.free(address) };
    assert_eq!(memory.allocated_bytes(), at_rest + 4096, "the lost kernel still writes there");
    let error = rig.sim.begin_run(RUN + 1, &set(vec![])).unwrap_err();
    assert!(error.contains("AIV_3") && !error.contains("AIV_4"), "{error}");

    go.store(true, Ordering::Release);
    wait_until("the core is free", || rig.sim.pulse(core).running.is_none());
    wait_until("a run begins", || rig.sim.begin_run(RUN + 2, &set(vec![closure(|_| Ok(()))])).is_ok());
    assert_eq!(memory.allocated_bytes(), at_rest, "nobody writes there any more");
    rig.in_flight[core.index()] = Default::default();
    assert_eq!(rig.run(&DispatchPayload { run: RUN + 2, ..payload(core, 0, 2) }), Ok(()));
}

#[test]
fn a_chip_can_be_dropped_beside_a_kernel_that_does_not_return() {
    let (go, started): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
    let mut rig = Rig::new(chip(1), Engine::Threads, vec![stubborn(&go, &started)]);
    let memory = Arc::downgrade(rig.sim.memory());
    let address = rig.sim.memory().allocate(4096).unwrap();
    let scalars = [address, 7];
    let block = DispatchPayload { scalars: scalars.as_ptr(), scalar_count: 2, ..payload(CoreId(0), 0, 1) };
    rig.dispatch(&block);
    wait_until("the kernel runs", || started.load(Ordering::Acquire));
    drop(rig);
    assert!(memory.upgrade().is_some(), "the kernel's thread keeps the memory");
    go.store(true, Ordering::Release);
    wait_until("the memory goes with the kernel", || memory.upgrade().is_none());
}

#[test]
fn threads_end_with_the_chip_and_idle_ones_are_joined() {
    let mut rig = Rig::new(chip(4), Engine::Threads, vec![closure(|_| Ok(()))]);
    for task in 0..100 {
        rig.dispatch(&payload(CoreId(task as u16 % 12), 0, task));
        rig.drain(CoreId(task as u16 % 12));
    }
    assert!(rig.sim.threads() > 0);
    let memory = Arc::downgrade(rig.sim.memory());
    drop(rig);
    assert!(memory.upgrade().is_none(), "a thread that lives would keep the memory");
}

#[test]
fn a_pre_loaded_dispatch_is_not_run_by_a_core_that_was_told_to_leave() {
    let (go, started): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
    let ran = Arc::new(AtomicBool::new(false));
    let second = {
        let ran = Arc::clone(&ran);
        closure(move |_| {
            ran.store(true, Ordering::Release);
            Ok(())
        })
    };
    let mut rig = Rig::new(
        ChipSpec { exit_deadline_ms: 20_000, ..chip(1) },
        Engine::Threads,
        vec![stubborn(&go, &started), second],
    );
    let address = rig.sim.memory().allocate(4096).unwrap();
    let scalars = [address, 7];
    let core = CoreId(2);
    let block = DispatchPayload { scalars: scalars.as_ptr(), scalar_count: 2, ..payload(core, 0, 1) };
    rig.dispatch(&block);
    rig.until(core, |in_flight| in_flight.started);
    rig.dispatch(&payload(core, 1, 2));
    std::thread::scope(|scope| {
        let exit = scope.spawn(|| rig.sim.exit());
        std::thread::sleep(Duration::from_millis(20));
        go.store(true, Ordering::Release);
        assert_eq!(exit.join().unwrap(), [], "it left when its kernel had returned");
    });
    assert!(!ran.load(Ordering::Acquire));
}

#[test]
fn cancelling_a_run_is_seen_by_its_own_kernels_only() {
    let kernel = closure(|context| {
        let began = Instant::now();
        while !context.is_cancelled() && began.elapsed() < crate::rig::LONG {
            context.relax();
        }
        assert!(context.is_cancelled());
        Ok(())
    });
    let seen = closure(|context| {
        assert!(!context.is_cancelled());
        Ok(())
    });
    let mut rig = Rig::new(chip(1), Engine::Threads, vec![kernel, seen]);
    rig.sim.cancel(RUN + 7);
    assert_eq!(rig.run(&payload(CoreId(1), 1, 1)), Ok(()), "another run's cancellation is none of its business");
    rig.dispatch(&payload(CoreId(0), 0, 2));
    rig.sim.cancel(RUN);
    rig.drain(CoreId(0));
}

#[test]
fn an_inline_kernel_that_outlives_its_run_keeps_its_core_until_it_returns() {
    let (go, started): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
    let mut rig = Rig::new(chip(1), Engine::Inline, vec![stubborn(&go, &started)]);
    let address = rig.sim.memory().allocate(4096).unwrap();
    let scalars = [address, 7];
    let core = CoreId(1);
    let block = DispatchPayload { scalars: scalars.as_ptr(), scalar_count: 2, ..payload(core, 0, 1) };
    let sim = &rig.sim;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: the core is idle, and the arguments outlive the scope.
            let ended = unsafe { sim.dispatch(core, prewire_runtime_core::port::Token::FIRST, &block) };
            assert_ne!(ended, Dispatched::Given);
        });
        wait_until("the kernel runs", || started.load(Ordering::Acquire));
        sim.cancel(RUN);
        assert_eq!(sim.exit(), [core]);
        assert!(sim.begin_run(RUN + 1, &set(vec![])).unwrap_err().contains("AIV_1"));
        go.store(true, Ordering::Release);
    });
    sim.begin_run(RUN + 1, &set(vec![closure(|_| Ok(()))])).unwrap();
    assert_eq!(rig.run(&DispatchPayload { run: RUN + 1, ..payload(core, 0, 2) }), Ok(()));
}

/// Each way to end a chip, over and over: no thread and no mapping stays. Memory is counted by its owner, whose last reference goes with the chip.
#[test]
fn building_and_dropping_leaves_nothing_behind() {
    let kernels = || vec![closure(|context| context.barrier()), closure(|_| panic!("on purpose"))];
    let mut memories = Vec::new();
    for round in 0..60_u16 {
        let engine = [Engine::Inline, Engine::Threads][usize::from(round) % 2];
        let mut rig = Rig::unstarted(ChipSpec { handshake_deadline_ms: 1, ..chip(2) }, engine);
        memories.push(Arc::downgrade(rig.sim.memory()));
        match round / 2 % 3 {
            0 => {}
            1 => {
                rig.sim.set_fault(CoreId(3), Some(Fault::NeverStarts));
                assert!(rig.sim.begin_run(RUN, &set(kernels())).unwrap_err().contains("AIV_3"));
            }
            _ => {
                rig.sim.begin_run(RUN, &set(kernels())).unwrap();
                let ends = rig.run_together(0, 1, 2, 7, |block, part| chip(2).core(block as u16, usize::from(part)));
                assert!(ends.iter().all(Result::is_ok), "{ends:?}");
                assert!(rig.run(&payload(CoreId(1), 1, 2)).is_err());
            }
        }
    }
    assert!(memories.iter().all(|memory| memory.upgrade().is_none()));
    let own_threads = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        threads.filter_map(Result::ok).filter(|thread| {
            let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
            name.starts_with("prewire-")
        })
    };
    // Other tests of this process may run beside this one; their threads go as well.
    wait_until("no thread is left", || own_threads().next().is_none());
}
