//! Gangs: all blocks together or none, in order, starving nobody and starved by nobody.

use crate::chip::{Ended, Engine, TestChip};
use crate::world::{CUBE, MIX, New, VECTOR, World};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::error::Fatal;
use prewire_runtime_core::id::{CoreId, SlotIndex};
use prewire_runtime_core::platform::DispatchPayload;
use prewire_runtime_core::slot::Parts;
use prewire_scheduler::SchedulerConfig;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A kernel whose blocks and parts meet at a barrier `times` times. Tasks of one block and part meet nobody.
fn meeting(times: u32) -> impl Fn(&DispatchPayload) -> Ended + Send + Sync + 'static {
    let came = Arc::new((Mutex::new(HashMap::<(u64, u32), u32>::new()), Condvar::new()));
    move |payload| {
        let all = payload.blocks * u32::from(payload.parts).count_ones();
        if payload.concurrent {
            let (counts, changed) = &*came;
            for time in 0..times {
                let key = (payload.task.sequence(), time);
                let mut counts = counts.lock().unwrap();
                *counts.entry(key).or_default() += 1;
                changed.notify_all();
                while counts[&key] < all {
                    counts = changed.wait(counts).unwrap();
                }
            }
        }
        Ended::Ok
    }
}

fn blocks_of(world: &World, task: SlotIndex) -> usize {
    world.chip.running().iter().filter(|one| one.payload.slot == task).count()
}

/// Claims CHIP-090.
#[test]
fn all_blocks_run_at_the_same_time() {
    for engine in [Engine::Threads, Engine::Inline] {
        let mut world = World::running(24, 3, engine, meeting(3));
        world.submit(New::of(MIX).blocks(24).gang(), &[]);
        world.submit(New::of(VECTOR).blocks(48).gang(), &[]);
        world.drive(|driven| driven.wait_for(2));
        world.assert_quiet();
        assert_eq!(world.dispatches().len(), 72 + 48, "{engine:?}");
    }
}

/// Claims CHIP-092.
#[test]
fn sizes_and_repetition_work() {
    let clusters = 6u32;
    let config = SchedulerConfig { watchdog: Duration::from_secs(5), ..SchedulerConfig::new(3) };
    let mut chip = TestChip::new(ChipSpec::unit(6), Engine::Threads, meeting(1));
    chip.logs = false;
    let mut world = World::with(chip, config);
    for blocks in [1, clusters / 3, clusters / 3 + 1, clusters - 1, clusters, 1] {
        world.submit(New::of(MIX).blocks(blocks).gang(), &[]);
    }
    world.drive(|driven| driven.wait_for(6));
    world.assert_quiet();
    for _ in 0..100 {
        world.begin_run();
        for round in 0..6 {
            for task in 0..9u32 {
                let (parts, most) = if (task + round) % 2 == 0 { (MIX, clusters) } else { (VECTOR, 2 * clusters) };
                let new = New::of(parts).blocks(1 + (task * 5 + round) % most);
                world.submit(if task % 3 == 0 { New::of(parts) } else { new.gang() }, &[]);
            }
        }
        let (group, graph) = (world.group.clone(), world.graph.clone());
        world.drive(|driven| {
            driven.wait_for(54);
            assert!(!group.check(0) && graph.run.fatal().is_none());
        });
        world.assert_quiet();
    }
}

#[test]
fn two_gangs_never_hold_half_each() {
    // Three instances, two gangs of more than half of the chip, ready at the same moment: one, then the other.
    for round in 0..1000 {
        let mut world = World::by_hand(24, 3);
        let gangs = [0, 1].map(|_| world.submit(New::of(MIX).blocks(20).gang(), &[]));
        // The instances step in a different order each round.
        for step in 0..30 {
            let _ = world.schedulers[(step * (1 + round % 2) + round) % 3].step();
        }
        let running = gangs.map(|gang| blocks_of(&world, gang));
        assert_eq!(running, [60, 0], "round {round}: complete, and the first one first");
        world.finish_task(gangs[0], Ended::Ok);
        world.settle();
        assert_eq!(blocks_of(&world, gangs[1]), 60);
        world.finish_task(gangs[1], Ended::Ok);
        world.settle();
        world.assert_quiet();
    }
}

/// Claims CHIP-093.
#[test]
fn two_gangs_with_barriers_finish_one_after_the_other() {
    let mut chip = TestChip::new(ChipSpec::unit(24), Engine::Threads, meeting(1));
    chip.logs = false;
    let mut world = World::with(chip, SchedulerConfig::new(3));
    for _ in 0..1000 {
        world.begin_run();
        world.submit(New::of(MIX).blocks(20).gang(), &[]);
        world.submit(New::of(MIX).blocks(20).gang(), &[]);
        world.drive(|driven| driven.wait_for(2));
        world.assert_quiet();
    }
}

#[test]
fn a_gang_is_not_starved_and_stops_only_the_cores_it_needs() {
    let mut world = World::by_hand(8, 2);
    let mut gang = None;
    let mut started = None;
    let mut cubes_while_gathering = 0;
    for turn in 0..12 {
        while world.queued() < 40 {
            world.submit(New::of(if world.submitted.is_multiple_of(3) { CUBE } else { VECTOR }), &[]);
        }
        if turn == 3 {
            gang = Some(world.submit(New::of(VECTOR).blocks(16).gang(), &[]));
        }
        world.settle();
        world.start_all();
        world.settle();
        if let Some(gang) = gang
            && started.is_none()
        {
            match blocks_of(&world, gang) {
                0 => cubes_while_gathering += world.chip.running().iter().filter(|one| one.core.0 < 8).count(),
                16 => started = Some(turn),
                some => panic!("{some} of 16 blocks started"),
            }
        }
        for one in world.chip.running() {
            world.chip.finish(one.core, Ended::Ok);
            world.settle();
        }
    }
    assert!(started.is_some_and(|turn| turn <= 3 + 2), "{started:?}");
    assert!(cubes_while_gathering >= 8, "tasks for cores it does not need keep running");
}

#[test]
fn gangs_without_end_starve_nobody() {
    let mut world = World::by_hand(2, 1);
    let (mut single, mut mix, mut turns) = (None, None, 0);
    for turn in 0..20 {
        while world.queued() + world.chip.running().len() < 30 {
            world.submit(New::of(VECTOR).blocks(4).gang(), &[]);
        }
        if turn == 5 {
            single = Some(world.submit(New::of(VECTOR), &[]));
            mix = Some(world.submit(New::of(MIX), &[]));
        }
        world.settle();
        if let (Some(single), Some(mix)) = (single, mix)
            && (world.ending(single).is_none() || world.ending(mix).is_none())
        {
            turns += 1;
        }
        for one in world.chip.running() {
            world.chip.finish(one.core, Ended::Ok);
        }
    }
    assert!(turns <= 4, "both ran within {turns} turns");
}

#[test]
fn a_gang_passes_one_that_needs_other_cores() {
    let mut world = World::by_hand(4, 2);
    let busy = world.submit(New::of(VECTOR).on(CoreId(4)), &[]);
    world.settle();
    let first = world.submit(New::of(VECTOR).blocks(8).gang(), &[]);
    let second = world.submit(New::of(VECTOR).blocks(2).gang(), &[]);
    let other = world.submit(New::of(CUBE).blocks(3).gang(), &[]);
    let mixed = world.submit(New::of(Parts(3)).gang(), &[]);
    world.settle();
    assert_eq!([first, second, other, mixed].map(|gang| blocks_of(&world, gang)), [0, 0, 3, 0]);
    world.finish_task(busy, Ended::Ok);
    world.settle();
    assert_eq!([first, second, other, mixed].map(|gang| blocks_of(&world, gang)), [8, 0, 3, 0]);
    world.finish_task(first, Ended::Ok);
    world.settle();
    assert_eq!([first, second, other, mixed].map(|gang| blocks_of(&world, gang)), [0, 2, 3, 2]);
    for gang in [second, other, mixed] {
        world.finish_task(gang, Ended::Ok);
    }
    world.settle();
    world.assert_quiet();
}

#[test]
fn nothing_is_preloaded_on_cores_that_a_gang_gathers() {
    let mut world = World::by_hand(2, 1);
    for core in 2..6 {
        world.submit(New::of(VECTOR).on(CoreId(core)), &[]);
    }
    world.settle();
    world.start_all();
    world.settle();
    let gang = world.submit(New::of(VECTOR).blocks(4).gang(), &[]);
    world.settle();
    let single = world.submit(New::of(VECTOR), &[]);
    let directed = world.submit(New::of(VECTOR).on(CoreId(3)), &[]);
    world.settle();
    assert_eq!(world.chip.preloaded().len(), 0);
    for core in 2..6 {
        world.chip.finish(CoreId(core), Ended::Ok);
        world.settle();
    }
    assert_eq!(blocks_of(&world, gang), 4);
    world.finish_task(gang, Ended::Ok);
    world.settle();
    world.finish_task(single, Ended::Ok);
    world.finish_task(directed, Ended::Ok);
    world.settle();
    world.assert_quiet();
}

/// Claims CHIP-095 (bounded by steps: an instance leaves with its next one).
#[test]
fn gathering_can_be_interrupted_at_any_point() {
    for steps in 0..40 {
        let mut world = World::by_hand(6, 3);
        let busy = world.submit(New::of(VECTOR).on(CoreId(6)), &[]);
        world.settle();
        world.submit(New::of(VECTOR).blocks(12).gang(), &[]);
        for step in 0..steps {
            let _ = world.schedulers[step % 3].step();
            if step == 20 {
                world.finish_task(busy, Ended::Ok);
            }
        }
        world.graph.run.latch(Fatal::Explicit { text: "stop".to_owned() });
        world.settle();
        for one in world.chip.running() {
            world.chip.finish(one.core, Ended::Ok);
        }
        world.settle();
        assert!(world.schedulers.iter().all(|scheduler| scheduler.busy_cores().is_empty()));
        world.begin_run();
        let gang = world.submit(New::of(VECTOR).blocks(12).gang(), &[]);
        world.settle();
        assert_eq!(blocks_of(&world, gang), 12, "after {steps} steps");
        world.finish_task(gang, Ended::Ok);
        let single = world.submit(New::of(VECTOR), &[]);
        world.settle();
        world.finish_task(single, Ended::Ok);
        world.settle();
        world.assert_quiet();
    }
}

/// Claims CHIP-098.
#[test]
fn a_gang_that_waits_for_a_long_task_stops_nothing_else() {
    let config = SchedulerConfig { watchdog: Duration::from_millis(500), ..SchedulerConfig::new(3) };
    let mut world = World::with(TestChip::new(ChipSpec::unit(24), Engine::Hand, |_| Ended::Ok), config);
    let long = world.submit(New::of(VECTOR).budget_ms(10_000), &[]);
    world.settle();
    world.start_all();
    world.settle();
    let gang = world.submit(New::of(VECTOR).blocks(48).gang(), &[]);
    let mut cubes = 0;
    for _ in 0..30 {
        world.submit(New::of(CUBE), &[]);
        world.settle();
        world.start_all();
        assert_eq!(world.milliseconds_to_verdict(100), None);
        assert_eq!(blocks_of(&world, gang), 0);
        for one in world.chip.running().into_iter().filter(|one| one.core.0 < 24) {
            world.chip.finish(one.core, Ended::Ok);
            cubes += 1;
        }
    }
    assert_eq!(cubes, 30);
    world.finish_task(long, Ended::Ok);
    world.settle();
    assert_eq!(blocks_of(&world, gang), 48);
    world.finish_task(gang, Ended::Ok);
    world.settle();
    world.assert_quiet();
    assert!(world.graph.run.fatal().is_none());
}
