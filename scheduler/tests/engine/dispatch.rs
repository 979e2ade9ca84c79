//! Single blocks on cores: whose cores, which token, idle before pre-loaded, directed ones in order.

use crate::chip::{Ended, Engine, TestChip};
use crate::world::{CUBE, MIX, New, VECTOR, World, data, wakes};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::port::Token;
use prewire_runtime_core::slot::TaskFlags;
use prewire_scheduler::{SchedulerConfig, Step};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Claims CHIP-073.
#[test]
fn a_core_holds_one_running_and_one_preloaded_dispatch_and_tokens_advance() {
    const TASKS: u64 = 100_000;
    const CLUSTERS: u16 = 8;
    // Between a core's dispatches and its ends there are never more than two.
    let chip = TestChip::new(ChipSpec::unit(CLUSTERS), Engine::Hand, |_| Ended::Ok);
    let config = SchedulerConfig { first_token: Token::starting_at(0x7FFF_FFE0).unwrap(), ..SchedulerConfig::new(2) };
    let mut world = World::sized(chip, config, 1 << 10, 4);
    let mut finished = 0;
    let mut preloaded_most = 0;
    while finished < TASKS {
        while world.submitted < TASKS && world.submitted - finished < 200 {
            world.submit(New::of(if world.submitted.is_multiple_of(3) { CUBE } else { VECTOR }), &[]);
        }
        world.settle();
        world.start_all();
        world.settle();
        preloaded_most = preloaded_most.max(world.chip.preloaded().len());
        // The chip itself asserts that no core is given a third dispatch.
        for one in world.chip.running() {
            world.chip.finish(one.core, Ended::Ok);
            finished += 1;
        }
    }
    world.settle();
    world.assert_quiet();
    assert_eq!(preloaded_most, 3 * CLUSTERS as usize, "every core was filled");
    let mut last: HashMap<CoreId, Token> = HashMap::new();
    let mut wrapped = 0;
    for one in world.chip.log.lock().unwrap().iter() {
        let register = one.token.to_register();
        assert!(register < 0x7FFF_FFF0, "{register:#x} is reserved");
        if let Some(before) = last.insert(one.core, one.token) {
            assert_eq!(one.token, before.next());
            assert_ne!(one.token.parity(), before.parity(), "payloads alternate across the skip");
            wrapped += (register < before.to_register()) as u32;
        } else {
            assert_eq!(register, 0x7FFF_FFE0);
        }
    }
    assert_eq!(wrapped, 3 * CLUSTERS as u32, "every core's tokens wrapped once");
}

#[test]
fn idle_beats_preloading_on_the_whole_chip() {
    let mut world = World::by_hand(4, 2);
    // Instance 0 owns clusters 0 and 2; its four vector cores run, the other instance's are idle.
    for core in [4, 5, 8, 9] {
        world.submit(New::of(VECTOR).on(CoreId(core)), &[]);
    }
    world.settle();
    world.start_all();
    world.settle();
    for _ in 0..6 {
        world.submit(New::of(VECTOR), &[]);
    }
    for _ in 0..10 {
        let _ = world.schedulers[0].step();
    }
    assert_eq!(world.chip.preloaded().len(), 0, "a core of the other instance is idle");
    while world.schedulers[1].step() == Step::Worked {}
    assert_eq!(world.chip.running().len(), 8);
    while world.schedulers[0].step() == Step::Worked {}
    assert_eq!(world.chip.preloaded().len(), 2, "now none is");
    for _ in 0..2 {
        for one in world.chip.running() {
            world.chip.finish(one.core, Ended::Ok);
        }
        world.settle();
    }
    world.assert_quiet();
}

/// Claims CHIP-077.
#[test]
fn a_core_is_touched_only_by_the_instance_that_owns_its_cluster() {
    for instances in [1, 2, 3, 4] {
        let mut chip = TestChip::new(ChipSpec::unit(24), Engine::Threads, |_| Ended::Ok);
        chip.watch_touch = true;
        let mut world = World::with(chip, SchedulerConfig::new(instances));
        let mut slots = Vec::new();
        for task in 0..2000usize {
            let parts = [CUBE, VECTOR, MIX][task % 3];
            let producers: Vec<_> = slots.get(task.wrapping_sub(40)).copied().into_iter().map(data).collect();
            slots.push(world.submit(New::of(parts), &producers));
        }
        world.drive(|driven| driven.wait_for(2000));
        world.assert_quiet();
        let touched = world.chip.touched_by.lock().unwrap();
        let mut thread_of_instance = HashMap::new();
        for &(core, thread) in touched.keys() {
            let (cluster, _) = world.chip.chip().place_of(CoreId(core));
            let owner = cluster as usize % instances;
            assert_eq!(owner, world.graph.owner_of(CoreId(core)));
            assert_eq!(*thread_of_instance.entry(owner).or_insert(thread), thread, "core {core}");
        }
        assert_eq!(thread_of_instance.values().collect::<HashSet<_>>().len(), instances);
        if instances == 3 {
            for instance in 0..3 {
                let owned = (0..24).filter(|&cluster| world.graph.owner_of(CoreId(cluster)) == instance);
                assert_eq!(owned.count(), 8);
            }
        }
    }
}

/// Claims CHIP-078.
#[test]
fn one_instance_uses_all_clusters() {
    for clusters in [24, 36] {
        let mut world = World::by_hand(clusters, 1);
        for _ in 0..clusters {
            world.submit(New::of(MIX), &[]);
        }
        world.settle();
        let mut at: Vec<(u64, u16)> = world
            .chip
            .running()
            .iter()
            .map(|one| (one.payload.task.sequence(), world.chip.chip().place_of(one.core).0))
            .collect();
        at.sort_unstable();
        at.dedup();
        assert_eq!(at.len(), clusters as usize, "one task per cluster, all at the same time");
        assert_eq!(at.iter().map(|one| one.1).collect::<HashSet<_>>().len(), clusters as usize);
    }
}

#[test]
fn directed_tasks_run_on_their_core_in_order() {
    let mut world = World::by_hand(4, 2);
    let core = CoreId(4 + 3);
    let gate = world.submit(New::of(CUBE), &[]);
    world.settle();
    // Half of them become ready later than the other half, and in reverse.
    let mut gated: Vec<_> = (0..50).map(|_| world.prepare(New::of(VECTOR).on(core), &[data(gate)])).collect();
    gated.reverse();
    gated.into_iter().for_each(|task| world.publish(task));
    for _ in 0..50 {
        world.submit(New::of(VECTOR).on(core), &[]);
    }
    for _ in 0..30 {
        world.submit(New::of(VECTOR), &[]);
    }
    world.finish_task(gate, Ended::Ok);
    let mut order = Vec::new();
    while world.graph.completed() < world.submitted {
        world.settle();
        for one in world.chip.running() {
            let task = one.payload.task.sequence();
            if (1..=100).contains(&task) {
                assert_eq!(one.core, core);
                order.push(task);
            }
            world.chip.finish(one.core, Ended::Ok);
        }
    }
    world.assert_quiet();
    assert_eq!(order.len(), 100);
    let late: Vec<_> = order.iter().copied().filter(|&task| task <= 50).collect();
    assert!(late.is_sorted() && order.iter().copied().filter(|&task| task > 50).is_sorted(), "{order:?}");
}

#[test]
fn a_directed_task_of_many_blocks_takes_them_one_by_one() {
    let mut world = World::by_hand(2, 1);
    let task = world.submit(New::of(VECTOR).blocks(5).on(CoreId(4)), &[]);
    let mut blocks = Vec::new();
    while world.ending(task).is_none() {
        world.settle();
        let running = world.chip.running();
        assert_eq!((running.len(), running[0].core), (1, CoreId(4)));
        blocks.push(running[0].payload.block);
        world.chip.finish(CoreId(4), Ended::Ok);
        world.settle();
    }
    assert_eq!(blocks, [0, 1, 2, 3, 4]);
    world.assert_quiet();
}

/// Claims CHIP-080 (in turns of equal length, as virtual time would have them).
#[test]
fn no_kind_of_task_is_starved() {
    // A MIX task among singles without end.
    let mut world = World::by_hand(8, 2);
    let mut turns_waited = None;
    let mut mix = None;
    let mut ready_at = 0;
    for turn in 0..30 {
        while world.queued() < 60 {
            world.submit(New::of(if world.submitted.is_multiple_of(3) { CUBE } else { VECTOR }), &[]);
        }
        if turn == 10 {
            mix = Some(world.submit(New::of(MIX), &[]));
            ready_at = turn;
        }
        world.settle();
        world.start_all();
        world.settle();
        let started = mix.is_some_and(|mix| world.chip.running().iter().any(|one| one.payload.slot == mix));
        if started && turns_waited.is_none() {
            turns_waited = Some(turn - ready_at);
        }
        // Cores end at different moments, so no cluster is ever idle by chance.
        for one in world.chip.running() {
            world.chip.finish(one.core, Ended::Ok);
            world.settle();
        }
    }
    assert!(turns_waited.is_some_and(|turns| turns <= 2), "{turns_waited:?}");

    // A single vector task among MIX tasks without end.
    let mut world = World::by_hand(8, 2);
    let (mut single, mut turns_waited) = (None, None);
    for turn in 0..30 {
        while world.queued() < 20 {
            world.submit(New::of(MIX), &[]);
        }
        if turn == 10 {
            single = Some(world.submit(New::of(VECTOR), &[]));
        }
        world.settle();
        world.start_all();
        world.settle();
        let started = single.is_some_and(|single| world.chip.running().iter().any(|one| one.payload.slot == single));
        if started && turns_waited.is_none() {
            turns_waited = Some(turn - 10);
        }
        for one in world.chip.running() {
            world.chip.finish(one.core, Ended::Ok);
            world.settle();
        }
    }
    assert!(turns_waited.is_some_and(|turns| turns <= 2), "{turns_waited:?}");
}

#[test]
fn what_one_instance_cannot_place_wakes_another() {
    let mut world = World::by_hand(2, 2);
    for core in [2, 3] {
        world.submit(New::of(VECTOR).on(CoreId(core)), &[]);
    }
    world.settle();
    assert_eq!(world.chip.running().len(), 2);
    let graph = world.graph.clone();
    // The task goes into the queue without a wake, as if it had gone to instance 0, which is full.
    let (slot, shares) = world.prepare(New::of(VECTOR), &[]);
    assert!(graph.slots.get(slot).give_back(shares));
    graph.queue(prewire_runtime_core::graph::Queue::Vector).push(slot, || false).unwrap();
    assert!(wakes(&graph, 1, || _ = world.schedulers[0].step()));
    let _ = world.schedulers[1].step();
    assert_eq!(world.chip.running().len(), 3);
}

#[test]
fn a_look_finds_what_a_step_would() {
    let mut world = World::by_hand(1, 1);
    assert!(!world.schedulers[0].has_work());
    let task = world.submit(New::of(VECTOR), &[]);
    assert!(world.schedulers[0].has_work());
    world.settle();
    assert!(!world.schedulers[0].has_work(), "the core has said nothing yet");
    assert_eq!(world.schedulers[0].step(), Step::Idle { cores_busy: true, must_poll: false });
    world.finish_task(task, Ended::Ok);
    assert!(world.schedulers[0].has_work());
    world.settle();
    world.submit(New::of(VECTOR).on(CoreId(1)), &[]);
    assert!(world.schedulers[0].has_work());
    world.settle();
    // Nothing fits any more: no core is free, and none has started what it holds.
    let mut full = World::by_hand(1, 1);
    for _ in 0..4 {
        full.submit(New::of(VECTOR), &[]);
    }
    full.settle();
    assert!(full.queued() > 0 && !full.schedulers[0].has_work());
}

#[test]
fn all_cores_take_turns_where_blocks_end_at_once() {
    let used: Arc<Vec<AtomicU64>> = Arc::new((0..12).map(|_| AtomicU64::new(0)).collect());
    let count = used.clone();
    let mut world = World::running(4, 1, Engine::Inline, move |payload| {
        count[payload.core.index()].fetch_add(1, Ordering::Relaxed);
        Ended::Ok
    });
    for _ in 0..400 {
        world.submit(New::of(VECTOR), &[]);
    }
    world.complete_all();
    assert!(used[4..].iter().all(|core| core.load(Ordering::Relaxed) >= 40), "{used:?}");
    let mut sixteen = New::of(VECTOR).blocks(8);
    sixteen.flags = TaskFlags(0);
    let before: Vec<u64> = used.iter().map(|core| core.load(Ordering::Relaxed)).collect();
    world.submit(sixteen, &[]);
    world.complete_all();
    for core in 4..12 {
        assert_eq!(used[core].load(Ordering::Relaxed), before[core] + 1, "each core took one block");
    }
}

#[test]
fn an_instance_without_clusters_does_what_needs_no_core() {
    let mut world = World::by_hand(1, 3);
    let first = world.submit(New::of(MIX), &[]);
    for _ in 0..20 {
        world.submit(New::of(prewire_runtime_core::slot::Parts(0)), &[]);
    }
    for _ in 0..10 {
        let _ = world.schedulers[2].step();
    }
    assert_eq!(world.graph.completed(), 20);
    let gang = world.submit(New::of(VECTOR).blocks(2).gang(), &[data(first)]);
    world.settle();
    world.finish_task(first, Ended::Ok);
    world.settle();
    assert_eq!(world.chip.running().len(), 2);
    world.finish_task(gang, Ended::Ok);
    world.settle();
    world.assert_quiet();
}
