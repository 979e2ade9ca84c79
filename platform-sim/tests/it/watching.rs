//! What a watchdog sees of a core, and cores that hang or are slow.

use crate::rig::{RUN, Rig, chip, closure, payload, wait_until};
use prewire_platform_sim::{Engine, Fault};
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::KernelError;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::port::Token;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

#[test]
fn a_pulse_changes_with_each_start_and_each_sign_of_life() {
    for engine in [Engine::Inline, Engine::Threads] {
        // A weak one: the chip keeps its kernels.
        let shared: Arc<OnceLock<Weak<Rig>>> = Arc::default();
        let kernel = {
            let shared = Arc::clone(&shared);
            closure(move |context| {
                let Some(rig) = shared.get().and_then(Weak::upgrade) else { return Ok(()) };
                let before = rig.sim.pulse(CoreId(1));
                assert!(before.running.is_some());
                context.alive();
                let after = rig.sim.pulse(CoreId(1));
                assert_eq!(after.running, before.running);
                assert_ne!(after.beat, before.beat);
                assert_eq!(rig.sim.pulse(CoreId(1)), after, "nothing else changes it");
                Ok(())
            })
        };
        let mut rig = Rig::new(chip(1), engine, vec![kernel]);
        let at_rest = rig.sim.pulse(CoreId(1));
        assert_eq!(at_rest.running, None);
        rig.run(&payload(CoreId(1), 0, 1)).unwrap();
        let after = rig.sim.pulse(CoreId(1));
        assert_eq!(after.running, None);
        assert_ne!(after.beat, at_rest.beat);
        // Once more, now that the kernel can look at its own core.
        let rig = Arc::new(rig);
        shared.set(Arc::downgrade(&rig)).unwrap();
        // SAFETY: the core is idle and there are no arguments.
        unsafe { rig.sim.dispatch(CoreId(1), Token::FIRST.next(), &payload(CoreId(1), 0, 2)) };
        let token = Token::FIRST.next();
        let finished = prewire_runtime_core::port::Condition::Finished(token);
        wait_until("it ends", || rig.sim.poll(CoreId(1)) == finished);
        assert_eq!(rig.sim.outcome(CoreId(1), token), prewire_runtime_core::platform::Outcome::Ok);
    }
}

#[test]
fn a_core_that_hangs_runs_until_the_run_is_cancelled() {
    let ran = Arc::new(AtomicU32::new(0));
    let kernel = {
        let ran = Arc::clone(&ran);
        closure(move |_| {
            ran.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    };
    let mut rig = Rig::new(chip(1), Engine::Threads, vec![kernel]);
    let core = CoreId(2);
    rig.sim.set_fault(core, Some(Fault::Hangs));
    let (token, ended) = rig.dispatch(&payload(core, 0, 1));
    assert!(!ended);
    rig.until(core, |in_flight| in_flight.started);
    let pulse = rig.sim.pulse(core);
    assert_eq!(pulse.running, Some(token));
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(rig.sim.pulse(core), pulse, "no sign of life");
    rig.sim.cancel(RUN);
    rig.drain(core);
    assert_eq!(rig.sim.take_failure(core, token).code, KernelError::CANCELLED);
    assert_eq!(ran.load(Ordering::Relaxed), 0);
}

#[test]
fn a_slow_core_takes_longer() {
    for engine in [Engine::Inline, Engine::Threads] {
        let mut rig = Rig::new(chip(1), engine, vec![closure(|_| Ok(()))]);
        rig.sim.set_fault(CoreId(0), Some(Fault::Slow(Duration::from_millis(30))));
        let began = Instant::now();
        rig.run(&payload(CoreId(0), 0, 1)).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(30));
    }
}
