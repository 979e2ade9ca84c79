//! Tasks of many blocks and of several parts.

use crate::chip::{Ended, Engine, TestChip};
use crate::world::{CUBE, MIX, New, VECTOR, World, wakes};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::slot::{Parts, TaskFlags};
use prewire_scheduler::{SchedulerConfig, Step};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

fn pairs() -> [Parts; 4] {
    [Parts(3), Parts(6), Parts(5), Parts(7)]
}

/// Claims CHIP-084.
#[test]
fn a_block_knows_itself_and_stays_in_one_cluster() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let mut world = World::running(4, 2, Engine::Threads, move |payload| {
        record.lock().unwrap().push((payload.block, payload.blocks, payload.part, payload.core.0));
        Ended::Ok
    });
    world.submit(New::of(MIX).blocks(12), &[]);
    world.complete_all();
    let mut combinations = seen.lock().unwrap().clone();
    combinations.sort_unstable();
    assert_eq!(combinations.len(), 36);
    for (at, &(block, blocks, part, _)) in combinations.iter().enumerate() {
        assert_eq!((block, blocks, part), (at as u32 / 3, 12, (at % 3) as u8));
    }

    let mut world = World::running(6, 3, Engine::Inline, |_| Ended::Ok);
    world.submit(New::of(MIX).blocks(10_000), &[]);
    world.complete_all();
    world.assert_quiet();
    let clusters = 6;
    let mut cores = vec![[u16::MAX; 3]; 10_000];
    for one in world.chip.log.lock().unwrap().iter() {
        cores[one.payload.block as usize][one.payload.part as usize] = one.core.0;
    }
    for [cube, first, second] in cores {
        assert_eq!((first, second), (clusters + 2 * cube, clusters + 2 * cube + 1));
    }
}

/// Claims CHIP-085 (sums of what kernels compute are asserted with real kernels).
#[test]
fn blocks_below_at_and_above_the_width_of_the_chip_run_once_each() {
    for clusters in [24u16, 8] {
        let mut world = World::running(clusters, 3, Engine::Inline, |_| Ended::Ok);
        let vector = [4, 16, 24, 48, 96].map(|blocks| (VECTOR, blocks));
        let mix = [2, 8, 12, 24, 48].map(|blocks| (MIX, blocks));
        for (parts, blocks) in vector.into_iter().chain(mix) {
            let before = world.dispatches().len();
            world.submit(New::of(parts).blocks(blocks), &[]);
            world.complete_all();
            let mut ran: Vec<u32> = world.dispatches()[before..].iter().map(|one| one.1).collect();
            ran.sort_unstable();
            let once: Vec<u32> = (0..blocks).flat_map(|block| vec![block; parts.count() as usize]).collect();
            assert_eq!(ran, once);
        }
        world.assert_quiet();
    }
    // Over many rounds: disjoint, complete, and on cores of every instance.
    let mut chip = TestChip::new(ChipSpec::unit(24), Engine::Inline, |_| Ended::Ok);
    chip.logs = true;
    let mut world = World::with(chip, SchedulerConfig::new(3));
    for _ in 0..1000 {
        world.chip.log.lock().unwrap().clear();
        world.submit(New::of(VECTOR).blocks(96), &[]);
        world.complete_all();
        let dispatches = world.dispatches();
        let blocks: HashSet<u32> = dispatches.iter().map(|one| one.1).collect();
        assert_eq!((dispatches.len(), blocks.len(), blocks.iter().max()), (96, 96, Some(&95)));
        let log = world.chip.log.lock().unwrap();
        let owners: HashSet<usize> = log.iter().map(|one| world.graph.owner_of(one.core)).collect();
        assert_eq!(owners.len(), 3);
    }
    // And by real threads, which claim at the same time.
    let mut world = World::running(24, 3, Engine::Threads, |_| Ended::Ok);
    for _ in 0..50 {
        world.submit(New::of(VECTOR).blocks(96), &[]);
    }
    world.drive(|driven| driven.wait_for(50));
    let ran: HashSet<(u64, u32)> = world.dispatches().iter().map(|one| (one.0, one.1)).collect();
    assert_eq!((ran.len(), world.dispatches().len()), (50 * 96, 50 * 96));
}

/// Claims CHIP-086.
#[test]
fn only_the_cores_that_a_task_uses_matter() {
    // All shapes side by side.
    let mut world = World::running(4, 2, Engine::Threads, |_| Ended::Ok);
    for _ in 0..100 {
        for parts in [CUBE, VECTOR, Parts(3), Parts(6), MIX] {
            world.submit(New::of(parts), &[]);
        }
    }
    world.complete_all();
    world.assert_quiet();
    let mut parts_run = vec![0u8; 500];
    for one in world.chip.log.lock().unwrap().iter() {
        parts_run[one.payload.task.sequence() as usize] |= 1 << one.payload.part;
        if one.payload.parts == 1 {
            assert!(one.core.0 < 4);
        }
    }
    for (task, &run) in parts_run.iter().enumerate() {
        let expected = [1, run, 3, 6, 7][task % 5];
        assert_eq!(run, expected, "task {task}");
        assert!(task % 5 != 1 || run == 2 || run == 4, "a vector task runs on any vector core");
    }

    // A task that names only the second vector kernel is a plain vector task: here on a first vector core, as the second is busy.
    let mut world = World::by_hand(1, 1);
    world.submit(New::of(VECTOR).on(CoreId(2)), &[]);
    world.settle();
    let plain = world.submit(New::of(Parts::VECTOR_1), &[]);
    world.settle();
    let on = world.chip.running().into_iter().find(|one| one.payload.slot == plain).unwrap();
    assert_eq!((on.core.0, on.payload.part), (1, 1));

    // A cube and first vector block starts where the second vector core is busy, and leaves it alone.
    let mut world = World::by_hand(2, 1);
    world.submit(New::of(VECTOR).on(CoreId(3)), &[]);
    world.settle();
    let mix = world.submit(New::of(Parts(3)), &[]);
    world.settle();
    let cores: Vec<u16> =
        world.chip.running().iter().filter(|one| one.payload.slot == mix).map(|one| one.core.0).collect();
    assert_eq!(cores, [0, 2], "the cluster whose second vector core is busy; the whole one stays free");

    // It is not put where a core it uses has a pre-loaded dispatch, nor where one runs at all.
    let mut world = World::by_hand(1, 1);
    for _ in 0..2 {
        world.submit(New::of(CUBE), &[]);
        world.settle();
        world.start_all();
        world.settle();
    }
    assert_eq!(world.chip.preloaded().len(), 1);
    let mix = world.submit(New::of(Parts(3)), &[]);
    world.settle();
    world.chip.finish(CoreId(0), Ended::Ok);
    world.settle();
    assert!(world.chip.running().iter().all(|one| one.payload.slot != mix), "the pre-loaded one runs now");
    world.chip.finish(CoreId(0), Ended::Ok);
    world.settle();
    assert_eq!(world.chip.running().iter().filter(|one| one.payload.slot == mix).count(), 2);
}

/// Claims CHIP-088.
#[test]
fn communicating_blocks_never_deadlock_by_the_way_they_are_queued() {
    // A part waits until all parts of its block have come; that is how they exchange a value.
    let met = Arc::new((Mutex::new(std::collections::HashMap::<(u64, u32), u8>::new()), std::sync::Condvar::new()));
    let meet = met.clone();
    let mut world = World::running(2, 2, Engine::Threads, move |payload| {
        let key = (payload.task.sequence(), payload.block);
        if payload.parts.count_ones() == 1 {
            // A plain vector task meets nobody.
            return Ended::Ok;
        }
        let (here, came) = &*meet;
        let mut here = here.lock().unwrap();
        *here.entry(key).or_default() |= 1 << payload.part;
        came.notify_all();
        while here[&key] != payload.parts {
            here = came.wait(here).unwrap();
        }
        Ended::Ok
    });
    for task in 0..1000 {
        let mut new = New::of(pairs()[task % 4]);
        new.flags = new.flags.with(TaskFlags::CONCURRENT);
        world.submit(new, &[]);
        if task % 5 == 0 {
            world.submit(New::of(VECTOR).kernel(1), &[]);
        }
    }
    world.drive(|driven| driven.wait_for(1200));
    world.assert_quiet();
    // On every core that two blocks share they come in the same order.
    let log = world.chip.log.lock().unwrap();
    let clusters: HashSet<u16> = log.iter().map(|one| world.chip.chip().place_of(one.core).0).collect();
    assert_eq!(clusters.len(), 2);
}

#[test]
fn a_mix_task_in_hand_goes_to_an_instance_with_a_free_cluster() {
    let mut world = World::by_hand(2, 2);
    // Instance 0's only cluster has a busy cube core, so a pair of vector cores looks promising.
    let busy = world.submit(New::of(CUBE).on(CoreId(0)), &[]);
    let other = world.submit(New::of(MIX), &[]);
    world.settle();
    assert!(world.chip.running().iter().any(|one| one.payload.slot == other && one.core.0 == 1));
    let mix = world.submit(New::of(MIX), &[]);
    world.settle();
    assert_eq!(world.queued(), 0, "an instance holds it and keeps its cluster for it");
    let single = world.submit(New::of(VECTOR), &[]);
    world.settle();
    assert!(world.chip.running().iter().all(|one| one.payload.slot != single));
    world.finish_task(other, Ended::Ok);
    world.settle();
    assert!(
        world.chip.running().iter().any(|one| one.payload.slot == mix && one.core.0 == 1),
        "it went where there was room"
    );
    assert!(world.chip.running().iter().any(|one| one.payload.slot == single), "and the kept cores are free again");
    for slot in [busy, mix, single] {
        world.finish_task(slot, Ended::Ok);
    }
    world.settle();
    world.assert_quiet();
}

#[test]
fn who_keeps_a_cluster_in_vain_is_woken() {
    let mut world = World::by_hand(2, 2);
    let busy = [0, 1].map(|core| world.submit(New::of(CUBE).on(CoreId(core)), &[]));
    world.settle();
    let mix = world.submit(New::of(MIX), &[]);
    world.settle();
    let single = world.submit(New::of(VECTOR), &[]);
    world.settle();
    assert_eq!(world.running_tasks(), [0, 1], "both keep their clusters, one of them holds the task");
    assert!(!world.schedulers[0].has_work() && !world.schedulers[1].has_work());
    // The holder's cluster becomes whole, so the other's is kept in vain.
    world.finish_task(busy[0], Ended::Ok);
    let graph = world.graph.clone();
    assert!(wakes(&graph, 1, || while world.schedulers[0].step() == Step::Worked {}));
    assert!(world.chip.running().iter().any(|one| one.payload.slot == mix));
    assert!(world.schedulers[1].has_work());
    world.settle();
    assert!(world.chip.running().iter().any(|one| one.payload.slot == single && one.core.0 > 3));
    for slot in [busy[1], mix, single] {
        world.finish_task(slot, Ended::Ok);
    }
    world.settle();
    world.assert_quiet();
}

#[test]
fn who_holds_a_task_is_woken_when_another_has_a_cluster_for_it() {
    let mut world = World::by_hand(2, 2);
    let busy = [0, 1].map(|core| world.submit(New::of(CUBE).on(CoreId(core)), &[]));
    world.settle();
    let mix = world.submit(New::of(MIX), &[]);
    world.settle();
    world.finish_task(busy[1], Ended::Ok);
    let graph = world.graph.clone();
    assert!(wakes(&graph, 0, || while world.schedulers[1].step() == Step::Worked {}), "instance 0 holds the task");
    world.settle();
    assert!(world.chip.running().iter().any(|one| one.payload.slot == mix && one.core.0 == 1));
    world.finish_task(mix, Ended::Ok);
    world.finish_task(busy[0], Ended::Ok);
    world.settle();
    world.assert_quiet();
}
