//! Verdicts on what stands still, by a clock that the tests move.

use crate::chip::{Ended, Engine, TestChip};
use crate::world::{CUBE, New, VECTOR, World, data};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::error::{Fatal, StallClass, StallReport};
use prewire_runtime_core::id::CoreId;
use prewire_scheduler::SchedulerConfig;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) fn world_with_watchdog(clusters: u16, instances: usize, watchdog_ms: u64) -> World {
    let config = SchedulerConfig { watchdog: Duration::from_millis(watchdog_ms), ..SchedulerConfig::new(instances) };
    World::with(TestChip::new(ChipSpec::unit(clusters), Engine::Hand, |_| Ended::Ok), config)
}

pub(crate) fn report(world: &World) -> StallReport {
    world.group.end_run(&|_| true);
    match world.graph.run.fatal() {
        Some(Fatal::Stalled(report)) => *report,
        other => panic!("no stall but {other:?}"),
    }
}

#[test]
fn a_stuck_task_is_reported_by_class_and_culprit() {
    let mut world = world_with_watchdog(8, 2, 500);
    // Three tasks of other budgets run beside it, one is ready behind it, and a thousand wait.
    for _ in 0..13 {
        world.submit(New::of(VECTOR).budget_ms(60_000), &[]);
    }
    let stuck = world.submit(New::of(VECTOR).kernel(3).on(CoreId(21)), &[]);
    world.settle();
    world.start_all();
    world.settle();
    let on = world.chip.running().into_iter().find(|one| one.payload.slot == stuck).unwrap().core;
    assert_eq!(on, CoreId(21));
    for _ in 0..1000 {
        world.submit(New::of(CUBE), &[data(stuck)]);
    }
    let verdict = world.milliseconds_to_verdict(1000).unwrap();
    assert!((500..=600).contains(&verdict), "{verdict} ms");
    assert!(world.chip.is_cancelled());
    let report = report(&world);
    assert_eq!((report.class, report.class as u8), (StallClass::RunningStalled, 1));
    assert_eq!((report.running, report.waiting, report.completed), (14, 1000, 0));
    let culprit = &report.running_tasks[0];
    assert_eq!((culprit.task.sequence(), culprit.kernel.as_str(), culprit.core.as_str()), (13, "delta", "AIV_21"));
    assert!((500..=600).contains(&culprit.running_ms) && culprit.budget_ms == 500);
    assert_eq!(report.running_tasks.len(), StallReport::MOST_RUNNING);
    assert_eq!(report.waiting_tasks.len(), StallReport::MOST_WAITING);
    assert!(report.waiting_tasks.iter().all(|task| task.missing.iter().map(|id| id.sequence()).eq([13])));

    // The cores are waited for, and the runtime goes on.
    world.settle();
    assert!(!world.schedulers[1].busy_cores().is_empty() || !world.schedulers[0].busy_cores().is_empty());
    for one in world.chip.running() {
        world.chip.finish(one.core, Ended::Ok);
    }
    world.settle();
    assert!(world.schedulers.iter().all(|scheduler| scheduler.busy_cores().is_empty()));
    world.begin_run();
    let next = world.submit(New::of(VECTOR), &[]);
    world.settle();
    world.finish_task(next, Ended::Ok);
    world.settle();
    world.assert_quiet();
}

/// Claims CHIP-138.
#[test]
fn the_class_follows_what_there_is() {
    assert_eq!(StallClass::of(1, 5, 5, false), StallClass::RunningStalled);
    assert_eq!(StallClass::of(0, 5, 5, false), StallClass::ReadyIdle);
    assert_eq!(StallClass::of(0, 0, 5, false), StallClass::DependencyDeadlock);
    assert_eq!(StallClass::of(0, 0, 0, false), StallClass::OrchestratorStarvation);
    assert_eq!(StallClass::of(0, 0, 0, true), StallClass::Unknown);
    let numbers = [1, 3, 4, 5, 99].map(Some);
    let classes = [
        StallClass::RunningStalled,
        StallClass::ReadyIdle,
        StallClass::DependencyDeadlock,
        StallClass::OrchestratorStarvation,
        StallClass::Unknown,
    ];
    assert_eq!(classes.map(|class| Some(class as u8)), numbers);

    // As the run itself shows them: nothing yet, then waiting, ready, running.
    let mut world = world_with_watchdog(8, 1, 500);
    let now = |world: &World| world.group.stall_report(world.chip.now_ns.load(Ordering::Relaxed));
    assert_eq!(now(&world).class, StallClass::OrchestratorStarvation);
    let gate = world.prepare(New::of(CUBE), &[]);
    for _ in 0..1000 {
        world.submit(New::of(CUBE), &[data(gate.0)]);
    }
    world.graph.run.publish_submitted(world.submitted);
    let report_now = now(&world);
    assert_eq!((report_now.class, report_now.waiting), (StallClass::DependencyDeadlock, 1001));
    for _ in 0..20 {
        world.submit(New::of(VECTOR), &[]);
    }
    world.graph.run.publish_submitted(world.submitted);
    let report_now = now(&world);
    assert_eq!((report_now.class, report_now.ready), (StallClass::ReadyIdle, 20));
    // Nobody dispatches: a verdict of that class, with the first eight of them.
    let verdict = world.milliseconds_to_verdict(1000).unwrap();
    assert!((500..=600).contains(&verdict));
    let ended = report(&world);
    assert_eq!((ended.class, ended.ready, ended.waiting), (StallClass::ReadyIdle, 20, 1001));
    assert_eq!(ended.ready_tasks.iter().map(|id| id.sequence()).collect::<Vec<_>>(), (1001..1009).collect::<Vec<_>>());
    assert_eq!(ended.waiting_tasks.len(), 4);
    assert_eq!(ended.waiting_tasks[1].missing.iter().map(|id| id.sequence()).collect::<Vec<_>>(), [0]);
    world.begin_run();
    world.finish_orchestration();
    assert_eq!(now(&world).class, StallClass::Unknown);

    // A hung kernel on AIV 13.
    let hung = world.submit(New::of(VECTOR).kernel(1).on(CoreId(13)), &[]);
    world.settle();
    world.start_all();
    world.milliseconds_to_verdict(1000).unwrap();
    let ended = report(&world);
    let culprit = &ended.running_tasks[0];
    assert_eq!(culprit.task.sequence(), hung.0 as u64);
    assert_eq!((culprit.kernel.as_str(), culprit.core.as_str()), ("beta", "AIV_13"));
    assert!((500..=600).contains(&culprit.running_ms));
    assert_eq!(ended.class, StallClass::RunningStalled);
    assert!(ended.to_string().contains("task r0t0, kernel beta, on AIV_13"));
}

/// Claims CHIP-129 (by a clock that the test moves, which asks more than threads would).
#[test]
fn an_idle_instance_never_kills_a_working_sibling() {
    for _ in 0..30 {
        let mut world = world_with_watchdog(24, 3, 200);
        let task = world.submit(New::of(VECTOR).budget_ms(5000), &[]);
        world.finish_orchestration();
        world.settle();
        world.start_all();
        for _ in 0..400 {
            world.advance_ms(5);
            world.settle();
            assert!(!world.check());
        }
        world.finish_task(task, Ended::Ok);
        world.settle();
        world.assert_quiet();
        assert!(world.graph.run.fatal().is_none());
    }
}

/// Claims CHIP-130.
#[test]
fn the_budget_is_time_and_not_iterations() {
    let mut world = world_with_watchdog(2, 1, 500);
    let task = world.submit(New::of(CUBE), &[]);
    world.finish_orchestration();
    world.settle();
    world.start_all();
    for iteration in 0..1_000_000 {
        if iteration % 10_000 == 0 {
            world.advance_ms(1);
        }
        world.step_all();
        if iteration % 100 == 0 {
            assert!(!world.check(), "after {iteration} idle iterations within 100 ms");
        }
    }
    world.finish_task(task, Ended::Ok);
    world.settle();
    world.assert_quiet();

    let mut world = world_with_watchdog(2, 2, 1000);
    let _stuck = world.submit(New::of(CUBE), &[]);
    world.finish_orchestration();
    world.settle();
    world.start_all();
    // Ten steps a second, looked at by whoever checks.
    let mut passed = 0;
    while !world.check() {
        world.advance_ms(5);
        passed += 5;
        if passed % 100 == 0 {
            world.step_all();
        }
        assert!(passed < 2000);
    }
    assert!((1000..=1200).contains(&passed), "{passed} ms");
}

/// Claims CHIP-132.
#[test]
fn a_deadlock_with_nothing_running_is_reported() {
    let mut world = world_with_watchdog(2, 2, 1000);
    let producer = world.submit(New::of(CUBE), &[]);
    // The lost wake-up: the task waits for one arrival more than there are producers.
    let (lost, shares) = world.prepare(New::of(VECTOR), &[data(producer)]);
    world.publish((lost, shares - 1));
    world.finish_orchestration();
    world.settle();
    world.start_all();
    world.settle();
    assert_eq!(world.milliseconds_to_verdict(900), None, "it merely waits for a running task");
    world.finish_task(producer, Ended::Ok);
    world.settle();
    let verdict = world.milliseconds_to_verdict(2000).unwrap();
    assert!((1000..=1200).contains(&verdict), "{verdict} ms after the last progress");
    let report = report(&world);
    assert_eq!(report.class, StallClass::DependencyDeadlock);
    assert_eq!((report.running, report.ready, report.waiting), (0, 0, 1));
    assert_eq!(report.waiting_tasks[0].task.sequence(), 1);
    assert!(report.waiting_tasks[0].missing.is_empty(), "all its producers are done");
}

/// Claims CHIP-134.
#[test]
fn a_tasks_clock_starts_when_its_core_starts_it() {
    let mut world = world_with_watchdog(1, 1, 500);
    let first = world.submit(New::of(CUBE), &[]);
    world.settle();
    world.start_all();
    world.settle();
    let second = world.submit(New::of(CUBE), &[]);
    world.settle();
    assert_eq!(world.chip.preloaded().len(), 1);
    assert_eq!(world.milliseconds_to_verdict(400), None);
    world.finish_task(first, Ended::Ok);
    world.settle();
    assert_eq!(world.milliseconds_to_verdict(400), None, "800 ms behind its token, 400 ms behind its start");
    world.finish_task(second, Ended::Ok);
    world.settle();

    let long = world.submit(New::of(CUBE).budget_ms(5000), &[]);
    let behind = world.submit(New::of(CUBE).budget_ms(5000), &[]);
    world.settle();
    world.start_all();
    world.settle();
    let queued = world.submit(New::of(CUBE), &[]);
    world.settle();
    assert_eq!(world.queued(), 1);
    assert_eq!(world.milliseconds_to_verdict(1000), None);
    world.finish_task(long, Ended::Ok);
    world.settle();
    assert_eq!(world.milliseconds_to_verdict(1000), None, "it waited two seconds in a queue");
    world.finish_task(behind, Ended::Ok);
    world.settle();
    world.start_all();
    assert_eq!(world.milliseconds_to_verdict(400), None);
    world.finish_task(queued, Ended::Ok);
    world.settle();
    world.assert_quiet();
}

#[test]
fn a_sign_of_life_starts_the_clock_anew() {
    let mut world = world_with_watchdog(2, 1, 300);
    let task = world.submit(New::of(CUBE), &[]);
    let patient = world.submit(New::of(CUBE).budget_ms(3000), &[]);
    world.settle();
    world.start_all();
    let core = world.chip.running().into_iter().find(|one| one.payload.slot == task).unwrap().core;
    for _ in 0..10 {
        assert_eq!(world.milliseconds_to_verdict(100), None);
        world.chip.alive(core);
    }
    let verdict = world.milliseconds_to_verdict(1000).unwrap();
    assert!((300..=360).contains(&verdict), "{verdict} ms behind the last sign");
    assert_eq!(report(&world).running_tasks[0].budget_ms, 300);

    world.finish_task(task, Ended::Ok);
    world.finish_task(patient, Ended::Ok);
    world.settle();
    world.begin_run();
    let _hangs = world.submit(New::of(CUBE).budget_ms(100), &[]);
    world.settle();
    world.start_all();
    let verdict = world.milliseconds_to_verdict(1000).unwrap();
    assert!((100..=120).contains(&verdict), "{verdict} ms");
    assert!(world.graph.run.fatal().unwrap().to_string().contains("budget of 100 ms"));
}

#[test]
fn a_slow_orchestration_is_no_stall() {
    let mut world = world_with_watchdog(2, 2, 200);
    let done = world.submit(New::of(CUBE), &[]);
    world.settle();
    world.finish_task(done, Ended::Ok);
    world.settle();
    world.graph.run.publish_submitted(world.submitted);
    assert_eq!(world.milliseconds_to_verdict(2000), None, "all submitted tasks are done");
    let running = world.submit(New::of(CUBE).budget_ms(5000), &[]);
    world.graph.run.publish_submitted(world.submitted);
    world.settle();
    world.start_all();
    assert_eq!(world.milliseconds_to_verdict(2000), None, "one runs within its own budget");
    world.finish_task(running, Ended::Ok);
    world.settle();
    world.assert_quiet();
}
