//! What stands still without a core that runs: stopped and sleeping owners, cores that start nothing, counters.

use crate::chip::{Ended, Engine, TestChip};
use crate::watchdog::{report, world_with_watchdog};
use crate::world::{CUBE, New, VECTOR, World, wakes};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::error::{Fatal, StallClass};
use prewire_runtime_core::kernel::Condition;
use prewire_runtime_core::slot::Parts;
use prewire_scheduler::SchedulerConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Claims CHIP-137.
#[test]
fn an_instance_stopped_with_a_task_in_hand_causes_no_verdict() {
    const WATCHDOG: Duration = Duration::from_millis(300);
    // The scheduler's thread stops between taking the first task from its queue and dispatching it.
    let (stopped, go_on) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (say, wait) = (stopped.clone(), go_on.clone());
    let mut chip = TestChip::new(ChipSpec::unit(2), Engine::Inline, |_| Ended::Ok);
    chip.before_dispatch = Some(Box::new(move |payload| {
        if payload.task.sequence() == 0 {
            say.store(true, Ordering::Release);
            while !wait.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
        }
    }));
    let config = SchedulerConfig { watchdog: WATCHDOG, ..SchedulerConfig::new(2) };
    let mut world = World::with(chip, config);
    world.submit(New::of(CUBE), &[]);
    world.submit(New::of(CUBE), &[]);
    world.finish_orchestration();
    let (chip, group) = (world.chip.clone(), world.group.clone());
    world.drive(|driven| {
        while !stopped.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        // The other instance has run the second task and has nothing more to do: what it runs would be found standing still on a clock as fast as this one.
        driven.wait_for(1);
        // Twice the budget and more, while nothing runs.
        let quiet = (0..700).all(|_| !group.check(chip.now_ns.fetch_add(1_000_000, Ordering::Relaxed)));
        go_on.store(true, Ordering::Release);
        driven.wait_for(2);
        assert!(quiet, "a verdict although a task is in hand");
    });
    assert!(world.graph.run.fatal().is_none());
    world.assert_quiet();
}

#[test]
fn a_core_that_never_starts_its_dispatch_is_found() {
    let mut world = world_with_watchdog(1, 1, 400);
    world.submit(New::of(VECTOR).kernel(2), &[]);
    world.finish_orchestration();
    world.settle();
    let mut passed = 0;
    while !world.check() {
        world.advance_ms(1);
        passed += 1;
        world.step_all();
        assert!(passed < 1000);
    }
    assert!((400..=480).contains(&passed), "{passed} ms");
    let report = report(&world);
    assert_eq!((report.class, report.running), (StallClass::RunningStalled, 1));
    assert_eq!((report.running_tasks[0].kernel.as_str(), report.running_tasks[0].core.as_str()), ("gamma", "AIV_1"));
}

#[test]
fn an_owner_that_sleeps_is_woken_to_look_at_a_core_that_does_not_start() {
    let mut world = world_with_watchdog(1, 1, 400);
    world.submit(New::of(VECTOR), &[]);
    world.finish_orchestration();
    world.settle();
    assert_eq!(world.milliseconds_to_verdict(190), None);
    let graph = world.graph.clone();
    let woken = wakes(&graph, 0, || assert_eq!(world.milliseconds_to_verdict(100), None));
    assert!(woken);
}

#[test]
fn a_core_whose_stopped_owner_has_not_looked_is_no_verdict() {
    let mut world = world_with_watchdog(1, 1, 400);
    let task = world.submit(New::of(VECTOR), &[]);
    world.finish_orchestration();
    world.settle();
    world.finish_task(task, Ended::Ok);
    assert_eq!(world.milliseconds_to_verdict(2000), None, "it has ended, and its owner has been stopped since");
    world.settle();
    world.assert_quiet();
}

#[test]
fn tasks_that_wait_for_counters_are_listed_with_them() {
    let mut world = world_with_watchdog(1, 1, 300);
    let waits = world.submit(New::of(CUBE).budget_ms(60_000), &[]);
    let hangs = world.submit(New::of(VECTOR), &[]);
    world.settle();
    world.finish_task(waits, Ended::Deferred(vec![Condition { counter: 0x80, expected: 2 }]));
    world.settle();
    world.start_all();
    world.milliseconds_to_verdict(1000).unwrap();
    let report = report(&world);
    assert_eq!((report.class, report.running, report.waiting), (StallClass::RunningStalled, 1, 1));
    assert_eq!(report.running_tasks[0].task.sequence(), hangs.0 as u64);
    assert!(report.waiting_tasks[0].condition.as_deref().unwrap().contains("0x80, which is 0 and should reach 2"));
}

#[test]
fn a_hung_kernel_of_the_stepping_thread_itself_is_found() {
    let watched = Arc::new(AtomicBool::new(false));
    let waits = watched.clone();
    let config = SchedulerConfig { watchdog: Duration::from_millis(200), ..SchedulerConfig::new(1) };
    let chip = TestChip::new(ChipSpec::unit(1), Engine::Inline, move |_| {
        while !waits.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        Ended::Ok
    });
    let mut world = World::with(chip, config);
    for _ in 0..4 {
        world.submit(New::of(Parts::VECTOR_1).kernel(1), &[]);
    }
    let (chip, group) = (world.chip.clone(), world.group.clone());
    let graph = world.graph.clone();
    world.drive(|_| {
        while chip.log.lock().unwrap().is_empty() {
            std::thread::yield_now();
        }
        let mut passed = 0;
        while !group.check(chip.now_ns.fetch_add(1_000_000, Ordering::Relaxed)) {
            passed += 1;
            assert!(passed < 1000);
        }
        assert!((200..=240).contains(&passed), "{passed} ms");
        let Some(Fatal::Stalled(report)) = graph.run.fatal() else { panic!("no stall") };
        assert_eq!((report.class, report.running), (StallClass::RunningStalled, 1));
        assert_eq!((report.ready, report.waiting), (3, 0), "two are in the hand of the thread inside the kernel");
        watched.store(true, Ordering::Release);
    });
    assert_eq!(world.graph.completed(), 0, "a cancelled run completes nothing more");
}
