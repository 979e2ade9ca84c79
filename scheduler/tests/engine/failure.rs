//! Failed kernels: their dependents by data are retired unrun, everything else runs.

use crate::chip::{CANCELLED, Ended, Engine, TestChip};
use crate::world::{CUBE, New, VECTOR, World, data, order};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::error::Fatal;
use prewire_runtime_core::platform::DeferError;
use prewire_scheduler::SchedulerConfig;

/// Claims CHIP-106.
#[test]
fn a_failed_kernel_retires_what_depends_on_its_data_and_nothing_else() {
    let mut world = World::by_hand(2, 1);
    let a = world.submit(New::of(CUBE), &[]);
    let b = world.submit(New::of(VECTOR), &[data(a)]);
    let c = world.submit(New::of(CUBE), &[data(b)]);
    let d = world.submit(New::of(VECTOR), &[]);
    let e = world.submit(New::of(CUBE), &[data(d)]);
    world.settle();
    world.finish_task(a, Ended::Failed(7, "no luck"));
    world.settle();
    world.finish_task(d, Ended::Ok);
    world.settle();
    world.finish_task(e, Ended::Ok);
    world.settle();
    world.assert_quiet();
    assert_eq!((world.ending(b), world.ending(c)), (Some(Ending::Failed), Some(Ending::Failed)));
    assert_eq!((world.ending(d), world.ending(e)), (Some(Ending::Ok), Some(Ending::Ok)));
    assert_eq!(world.unrun(), 2, "B and C");
    assert_eq!((world.graph.slots.get(b).cause(), world.graph.slots.get(c).cause()), (0, 0), "because of A");
    let (first, failed) = world.graph.run.first_failure().unwrap();
    assert_eq!((first.code, first.text.as_str(), failed), (7, "no luck", 1));
    assert_eq!((first.kernel_name.as_str(), first.block), ("alpha", 0));
    let mut ran: Vec<u64> = world.dispatches().iter().map(|one| one.0).collect();
    ran.sort_unstable();
    assert_eq!(ran, [0, 3, 4], "B and C were never dispatched");

    let run = || {
        let mut chip = TestChip::new(ChipSpec::unit(1), Engine::Hand, |_| Ended::Ok);
        chip.logs = false;
        let mut world = World::sized(chip, SchedulerConfig::new(1), 1 << 17, 1 << 17);
        let head = world.submit(New::of(CUBE), &[]);
        let mut last = head;
        for _ in 1..100_000 {
            last = world.submit(New::of(CUBE), &[data(last)]);
        }
        world.settle();
        world.finish_task(head, Ended::Failed(1, "head"));
        // Half-way through the chain other tasks are dispatched at once.
        while world.graph.completed() < 50_000 {
            assert!(world.step_all());
        }
        let before = world.graph.completed();
        let other = world.submit(New::of(VECTOR), &[]);
        world.step_all();
        assert!(world.chip.running().iter().any(|one| one.payload.slot == other), "dispatched in one step");
        assert!(world.graph.completed() - before < 1000, "and a step retires a bounded number");
        world.finish_task(other, Ended::Ok);
        world.settle();
        world.assert_quiet();
        assert_eq!(world.unrun(), 99_999);
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn the_earliest_cause_is_the_one_that_counts() {
    let mut world = World::by_hand(2, 1);
    let early = world.submit(New::of(CUBE), &[]);
    let late = world.submit(New::of(CUBE), &[]);
    let both = world.submit(New::of(VECTOR), &[data(early), data(late)]);
    world.settle();
    world.finish_task(late, Ended::Failed(2, "late"));
    world.settle();
    assert_eq!(world.ending(both), None, "it stays until the other producer is done");
    world.finish_task(early, Ended::Failed(1, "early"));
    world.settle();
    assert_eq!(world.graph.slots.get(both).cause(), 0);
    assert_eq!(world.graph.run.first_failure().unwrap().0.code, 1);
    world.assert_quiet();
}

/// Claims CHIP-107.
#[test]
fn a_task_with_a_failed_and_an_unfinished_producer_stays_alive() {
    let chip = TestChip::new(ChipSpec::unit(4), Engine::Hand, |_| Ended::Ok);
    let mut world = World::sized(chip, SchedulerConfig::new(1), 4, 8);
    let failing = world.submit(New::of(CUBE), &[]);
    let gated = world.submit(New::of(CUBE), &[]);
    let consumer = world.submit(New::of(VECTOR), &[data(failing), data(gated)]);
    world.settle();
    world.finish_task(failing, Ended::Failed(3, "first"));
    world.settle();
    // The window's other two slots are used over and over; the consumer's is not.
    for _ in 0..20 {
        let other = world.submit(New::of(VECTOR), &[]);
        assert!(![gated, consumer].contains(&other), "a live task's slot was reused");
        world.settle();
        world.finish_task(other, Ended::Ok);
        world.settle();
        assert!(!world.graph.slots.is_free(consumer));
        assert_eq!(world.ending(consumer), None);
    }
    let before = world.dispatches().len();
    world.finish_task(gated, Ended::Ok);
    world.settle();
    assert_eq!((world.ending(consumer), world.unrun()), (Some(Ending::Failed), 1));
    assert_eq!(world.dispatches().len(), before, "it was retired unrun");
    // Its slot goes to another task, which nothing of the past touches.
    let tasks: Vec<_> = (0..4).map(|_| world.submit(New::of(VECTOR), &[])).collect();
    assert!(tasks.contains(&consumer));
    world.settle();
    for &task in &tasks {
        assert_eq!((world.ending(task), world.failed(task)), (None, false));
        world.finish_task(task, Ended::Ok);
    }
    world.settle();
    world.assert_quiet();
}

/// Claims CHIP-143 (the returned status is the run's record, which all look at).
#[test]
fn the_first_fatal_wins_whichever_side_saw_it() {
    let mut world = World::by_hand(1, 1);
    for round in 0..10_000 {
        world.begin_run();
        let task = world.submit(New::of(VECTOR), &[]);
        world.settle();
        world.finish_task(task, Ended::WrongConditions(DeferError::TooMany("65 conditions".to_owned())));
        let graph = world.graph.clone();
        let scheduler = &mut world.schedulers[0];
        let gate = std::sync::Barrier::new(2);
        let first = std::thread::scope(|scope| {
            let orchestrator = scope.spawn(|| {
                gate.wait();
                graph.run.latch(Fatal::Explicit { text: "by hand".to_owned() })
            });
            gate.wait();
            if round % 2 == 0 {
                std::hint::spin_loop();
            }
            let _ = scheduler.step();
            orchestrator.join().unwrap()
        });
        let code = graph.run.fatal().unwrap().code().number();
        assert_eq!(code, if first { 9 } else { 102 });
        assert!(graph.run.is_cancelled());
        let notes = graph.run.notes();
        assert_eq!(notes.len(), 1, "the later one is a note");
        assert!(notes[0].contains(if first { "(102)" } else { "code 9" }), "{notes:?}");
        world.settle();
        assert!(world.schedulers[0].busy_cores().is_empty());
    }
}

#[test]
fn order_alone_carries_no_failure() {
    let mut world = World::by_hand(1, 1);
    let failing = world.submit(New::of(CUBE), &[]);
    let after = world.submit(New::of(VECTOR), &[order(failing)]);
    world.settle();
    world.finish_task(failing, Ended::Failed(1, "x"));
    world.settle();
    assert_eq!(world.running_tasks(), [1]);
    world.finish_task(after, Ended::Ok);
    world.settle();
    assert_eq!((world.ending(after), world.unrun()), (Some(Ending::Ok), 0));
}

/// Claims CHIP-089.
#[test]
fn one_failing_block_fails_its_task_once() {
    let mut world = World::by_hand(4, 1);
    let task = world.submit(New::of(VECTOR).blocks(96).kernel(1), &[]);
    let dependent = world.submit(New::of(CUBE), &[data(task)]);
    world.settle();
    assert_eq!(world.chip.running().len(), 8);
    let fifth = world.chip.running().into_iter().find(|one| one.payload.block == 5).unwrap();
    world.chip.finish(fifth.core, Ended::Failed(9, "block five"));
    world.settle();
    let running = world.chip.running();
    assert_eq!(running.len(), 7, "the others go on and nothing new is dispatched");
    assert_eq!(world.ending(task), None);
    for one in running {
        world.chip.finish(one.core, Ended::Ok);
    }
    world.settle();
    assert_eq!((world.ending(task), world.ending(dependent)), (Some(Ending::Failed), Some(Ending::Failed)));
    assert_eq!(world.graph.completed(), 2, "once each");
    assert_eq!(world.dispatches().len(), 8, "88 blocks were skipped");
    let (failure, failed) = world.graph.run.first_failure().unwrap();
    assert_eq!((failure.block, failure.code, failure.kernel_name.as_str(), failed), (5, 9, "beta", 1));
    assert_eq!(failure.core, world.chip_name(fifth.core));
    let next = world.submit(New::of(VECTOR).blocks(8), &[]);
    world.settle();
    assert_eq!(world.chip.running().len(), 8, "the cores take the next task");
    world.finish_task(next, Ended::Ok);
    world.settle();
    world.assert_quiet();
}

#[test]
fn the_culprit_is_reported_and_not_a_sibling_that_gave_up() {
    let mut world = World::by_hand(2, 1);
    let gang = world.submit(New::of(VECTOR).blocks(4).gang(), &[]);
    world.settle();
    let blocks = world.chip.running();
    for one in &blocks {
        let ended =
            if one.payload.block == 2 { Ended::Failed(5, "culprit") } else { Ended::Failed(CANCELLED, "gave up") };
        world.chip.finish(one.core, ended);
        world.settle();
    }
    assert_eq!(world.ending(gang), Some(Ending::Failed));
    let (failure, failed) = world.graph.run.first_failure().unwrap();
    assert_eq!((failure.code, failure.block, failed), (5, 2, 1));
}
