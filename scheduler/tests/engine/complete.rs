//! Completion: each task once, its consumers in order, its holds dropped, long walks in pieces.

use crate::chip::{Ended, Engine, TestChip};
use crate::world::{CUBE, New, VECTOR, WAIT, World, data, order, retain};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::slot::{Parts, SlotTable};
use prewire_scheduler::{SchedulerConfig, Step};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

#[test]
fn zero_tasks_are_a_valid_run() {
    let mut world = World::by_hand(2, 2);
    world.finish_orchestration();
    assert!(!world.step_all());
    assert!(!world.check());
    world.assert_quiet();
}

#[test]
fn a_chain_runs_in_order_on_every_engine() {
    for engine in [Engine::Inline, Engine::Threads] {
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = order.clone();
        let mut world = World::running(2, 1, engine, move |payload| {
            seen.lock().unwrap().push(payload.task.sequence());
            Ended::Ok
        });
        let mut last = None;
        for _ in 0..1000 {
            let producers: Vec<_> = last.into_iter().map(data).collect();
            last = Some(world.submit(New::of(VECTOR), &producers));
        }
        world.complete_all();
        world.assert_quiet();
        assert_eq!(*order.lock().unwrap(), (0..1000).collect::<Vec<_>>(), "{engine:?}");
    }
}

#[test]
fn a_diamond_waits_for_both_sides() {
    let mut world = World::by_hand(2, 1);
    let top = world.submit(New::of(CUBE), &[]);
    let left = world.submit(New::of(VECTOR), &[data(top)]);
    let right = world.submit(New::of(VECTOR), &[data(top)]);
    let bottom = world.submit(New::of(CUBE), &[data(left), data(right)]);
    world.settle();
    assert_eq!(world.running_tasks(), [0]);
    world.finish_task(top, Ended::Ok);
    world.settle();
    assert_eq!(world.running_tasks(), [1, 2]);
    world.finish_task(right, Ended::Ok);
    world.settle();
    assert_eq!(world.running_tasks(), [1], "one side is not enough");
    world.finish_task(left, Ended::Ok);
    world.settle();
    assert_eq!(world.running_tasks(), [3]);
    world.finish_task(bottom, Ended::Ok);
    world.settle();
    world.assert_quiet();
    assert_eq!(world.ending(bottom), Some(Ending::Ok));
}

/// Claims CHIP-100.
#[test]
fn a_task_completes_after_exactly_its_sub_tasks() {
    const AT_ONCE: usize = 200;
    let barrier = Barrier::new(9);
    let rounds = std::sync::RwLock::new(Vec::<SubTaskRound>::new());
    std::thread::scope(|scope| {
        for hand in 0..8usize {
            let (barrier, rounds) = (&barrier, &rounds);
            scope.spawn(move || {
                for _ in 0..10_000 / AT_ONCE {
                    barrier.wait();
                    for round in rounds.read().unwrap().iter() {
                        round.order.iter().skip(hand).step_by(8).for_each(|&share| round.end(share));
                    }
                    barrier.wait();
                }
            });
        }
        for batch in 0..10_000 / AT_ONCE {
            *rounds.write().unwrap() = (0..AT_ONCE).map(|at| SubTaskRound::new(batch * AT_ONCE + at)).collect();
            barrier.wait();
            barrier.wait();
            for round in rounds.read().unwrap().iter() {
                assert_eq!(round.finishers.load(Ordering::Relaxed), 1, "{} shares", round.written.len());
            }
        }
    });
}

/// One task whose sub-tasks are ended in a random order by eight hands.
struct SubTaskRound {
    slots: SlotTable,
    order: Vec<u32>,
    written: Vec<AtomicU32>,
    finishers: AtomicU32,
}

impl SubTaskRound {
    fn new(round: usize) -> Self {
        let (blocks, parts) = (1 + round as u32 % 64, [Parts(1), Parts(3), Parts(7)][round / 64 % 3]);
        let slots = SlotTable::new(1);
        // SAFETY: a fresh slot that only this round has.
        unsafe { slots.prepare(SlotIndex(0), crate::ready::body(parts, blocks), 0) };
        let mut order: Vec<u32> = (0..blocks * parts.count()).collect();
        let mut seed = round as u64 + 1;
        for at in (1..order.len()).rev() {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            order.swap(at, (seed >> 33) as usize % (at + 1));
        }
        let written = order.iter().map(|_| AtomicU32::new(0)).collect();
        SubTaskRound { slots, order, written, finishers: AtomicU32::new(0) }
    }

    fn end(&self, share: u32) {
        self.written[share as usize].store(1, Ordering::Relaxed);
        if self.slots.get(SlotIndex(0)).end_subtasks(1) {
            self.finishers.fetch_add(1, Ordering::Relaxed);
            let all = self.written.iter().all(|one| one.load(Ordering::Relaxed) == 1);
            assert!(all, "the finisher sees what all others wrote");
        }
    }
}

/// Claims CHIP-101.
#[test]
fn a_repeated_end_completes_nothing_twice() {
    let mut chip = TestChip::new(ChipSpec::unit(2), Engine::Hand, |_| Ended::Ok);
    chip.repeat_every = 10;
    let mut world = World::with(chip, SchedulerConfig::new(1));
    let mut slots = Vec::new();
    let mut completions = 0;
    for chain in 0..500 {
        slots.clear();
        for link in 0..20usize {
            let producers: Vec<_> = slots.last().copied().into_iter().map(data).collect();
            slots.push(world.submit(New::of(if link % 2 == 0 { VECTOR } else { CUBE }), &producers));
        }
        while world.graph.completed() < world.submitted {
            // A repeat is seen while the next dispatch of the core runs.
            world.start_all();
            world.settle();
            let running = world.running_tasks();
            for &task in &running {
                let place = (task - chain * 20) as usize;
                assert!(place == 0 || world.ending(slots[place - 1]).is_some(), "task {task} started early");
            }
            for one in world.chip.running() {
                world.chip.start(one.core);
                world.settle();
                world.chip.finish(one.core, Ended::Ok);
                completions += 1;
                world.settle();
            }
        }
    }
    assert_eq!(completions, 10_000);
    world.assert_quiet();
    let mut started = world.dispatches();
    started.sort_unstable();
    started.dedup_by_key(|one| one.0);
    assert_eq!(started.len(), 10_000, "each task was dispatched");
    let notes = world.graph.run.notes();
    if cfg!(debug_assertions) {
        assert!(!notes.is_empty());
        assert!(
            notes.iter().all(|note| note.contains("core AI") && note.contains("repeated the end of token")),
            "{notes:?}"
        );
    }
}

#[test]
fn holds_are_dropped_in_time() {
    let mut world = World::by_hand(1, 1);
    let producer = world.submit(New::of(CUBE), &[]);
    let consumer = world.submit(New::of(VECTOR), &[retain(producer)]);
    world.settle();
    world.finish_task(producer, Ended::Ok);
    world.settle();
    assert_eq!(world.graph.slots.holds(producer), 1, "the consumer still uses the producer's memory");
    world.finish_task(consumer, Ended::Ok);
    world.settle();
    assert!([producer, consumer].into_iter().all(|slot| world.graph.slots.is_free(slot)));
}

#[test]
fn a_long_list_of_consumers_is_walked_in_pieces() {
    let mut world = World::by_hand(1, 1);
    let producer = world.submit(New::of(CUBE), &[]);
    for _ in 0..1000 {
        world.submit(New::of(VECTOR), &[(producer, WAIT)]);
    }
    world.settle();
    world.finish_task(producer, Ended::Ok);
    let other = world.submit(New::of(CUBE), &[]);
    assert_eq!(world.schedulers[0].step(), Step::Worked);
    let released = world.queued();
    assert!((1..=128).contains(&released), "{released} consumers were released in one step");
    assert!(world.chip.running().iter().any(|one| one.payload.slot == other), "another task is dispatched meanwhile");
    assert!(!world.graph.slots.is_free(producer), "the walk is not over");
    world.settle();
    assert!(world.graph.slots.is_free(producer));
    world.finish_task(other, Ended::Ok);
    while world.graph.completed() < world.submitted {
        for one in world.chip.running() {
            world.chip.finish(one.core, Ended::Ok);
        }
        world.settle();
    }
    world.assert_quiet();
}

/// Claims CHIP-065: stepped by hand, so that "meanwhile" is a number of steps, as it would be in virtual time.
#[test]
fn unrelated_tasks_do_not_wait_for_the_end_of_a_long_walk() {
    const CONSUMERS: usize = 10_000;
    const UNRELATED: usize = 100;
    let chip = TestChip::new(ChipSpec::unit(24), Engine::Hand, |_| Ended::Ok);
    let mut world = World::sized(chip, SchedulerConfig::new(3), 1 << 14, 1 << 14);
    let producer = world.submit(New::of(CUBE), &[]);
    for _ in 0..CONSUMERS {
        world.submit(New::of(VECTOR), &[data(producer)]);
    }
    world.settle();
    let owner = world.graph.owner_of(world.chip.running()[0].core);
    assert_eq!(world.dispatches().len(), 1, "no consumer starts before its producer has ended");
    let unrelated: Vec<_> =
        (0..UNRELATED).map(|at| world.submit(New::of(if at % 2 == 0 { CUBE } else { VECTOR }), &[])).collect();
    world.finish_task(producer, Ended::Ok);
    let mut left: Vec<_> = unrelated.clone();
    let mut steps = 0;
    while !left.is_empty() {
        world.step_all();
        steps += 1;
        // The cores are given back at once, to whatever is ready.
        for one in world.chip.running() {
            left.retain(|&slot| slot != one.payload.slot);
            world.chip.finish(one.core, Ended::Ok);
        }
        assert!(!world.graph.slots.is_free(producer), "the walk ended in step {steps}, with {} left", left.len());
    }
    let walked = world.graph.progress[owner].completed.load(Ordering::Relaxed);
    assert!(walked < CONSUMERS as u64, "its owner is not through");
    while world.graph.completed() < world.submitted {
        world.settle();
        for one in world.chip.running() {
            world.chip.finish(one.core, Ended::Ok);
        }
    }
    world.settle();
    world.assert_quiet();
    let mut ran: Vec<_> = world.dispatches().iter().map(|one| one.0).collect();
    ran.sort_unstable();
    let all: Vec<_> = (0..(1 + CONSUMERS + UNRELATED) as u64).collect();
    assert_eq!(ran, all, "each exactly once");
}

/// Claims CHIP-072.
#[test]
fn a_kept_successor_obeys_the_rules() {
    // It is dispatched in the step in which its producer completed, on the core that this freed.
    let mut world = World::by_hand(1, 1);
    let first = world.submit(New::of(VECTOR), &[]);
    let second = world.submit(New::of(VECTOR), &[data(first)]);
    world.settle();
    let core = world.chip.running()[0].core;
    world.finish_task(first, Ended::Ok);
    assert_eq!(world.schedulers[0].step(), Step::Worked);
    let now = world.chip.running();
    assert_eq!((now.len(), now[0].payload.slot, now[0].core), (1, second, core));
    // A stall's report would count it.
    let report = world.group.stall_report(0);
    assert_eq!((report.completed, report.running, report.ready, report.waiting), (1, 1, 0, 0));
    assert_eq!(report.running_tasks[0].task.sequence(), 1);
    world.finish_task(second, Ended::Ok);
    world.settle();

    // It takes no core that a waiting gang needs.
    let producers: Vec<_> = (0..2).map(|_| world.submit(New::of(VECTOR), &[])).collect();
    let successor = world.submit(New::of(VECTOR), &[data(producers[0])]);
    world.settle();
    let gang = world.submit(New::of(VECTOR).blocks(2).gang(), &[]);
    world.settle();
    world.finish_task(producers[0], Ended::Ok);
    world.settle();
    assert_eq!(world.running_tasks(), [3], "the freed core waits for the gang");
    world.finish_task(producers[1], Ended::Ok);
    world.settle();
    assert_eq!(world.chip.running().iter().filter(|one| one.payload.slot == gang).count(), 2);
    world.finish_task(gang, Ended::Ok);
    world.settle();
    assert_eq!(world.chip.running()[0].payload.slot, successor, "it was put back and not lost");
    world.finish_task(successor, Ended::Ok);
    world.settle();
    world.assert_quiet();
}

/// Claims CHIP-072.
#[test]
fn kept_successors_overtake_an_older_task_at_most_64_times() {
    const CHAIN: u64 = 100_000;
    for engine in [Engine::Inline, Engine::Hand] {
        let ran = Arc::new(AtomicU64::new(0));
        let older_ran_at = Arc::new(AtomicU64::new(u64::MAX));
        let older = Arc::new(AtomicU64::new(u64::MAX));
        let kernel = {
            let (ran, older_ran_at, older) = (ran.clone(), older_ran_at.clone(), older.clone());
            move |payload: &prewire_runtime_core::platform::DispatchPayload| {
                let at = ran.fetch_add(1, Ordering::Relaxed);
                if payload.task.sequence() == older.load(Ordering::Relaxed) {
                    older_ran_at.store(at, Ordering::Relaxed);
                }
                Ended::Ok
            }
        };
        let mut chip = TestChip::new(ChipSpec::unit(1), engine, kernel);
        chip.logs = false;
        chip.preload = false;
        let mut world = World::sized(chip, SchedulerConfig::new(1), 1 << 10, 1 << 11);
        let tasks = if engine == Engine::Inline { CHAIN } else { 1000 };
        let mut last = world.submit(New::of(CUBE), &[]);
        // The chain is kept alive by a window of links; in its middle a task becomes ready that needs the same only core.
        let mut submitted = 1;
        let mut asked = None;
        let mut dispatched_by_hand = 0u64;
        while world.graph.completed() < world.submitted || submitted < tasks {
            while submitted < tasks && world.submitted - world.graph.completed() < 500 {
                last = world.submit(New::of(CUBE), &[data(last)]);
                submitted += 1;
            }
            if asked.is_none() && submitted > tasks / 2 {
                older.store(world.submitted, Ordering::Relaxed);
                let slot = world.submit(New::of(CUBE), &[]);
                asked = Some((slot, ran.load(Ordering::Relaxed), dispatched_by_hand));
            }
            world.step_all();
            for one in world.chip.running() {
                if Some(one.payload.slot) == asked.map(|asked| asked.0)
                    && older_ran_at.load(Ordering::Relaxed) == u64::MAX
                {
                    older_ran_at.store(dispatched_by_hand, Ordering::Relaxed);
                }
                dispatched_by_hand += 1;
                world.chip.finish(one.core, Ended::Ok);
            }
        }
        let (_, ran_before, by_hand_before) = asked.unwrap();
        let before = if engine == Engine::Inline { ran_before } else { by_hand_before };
        let overtaken = older_ran_at.load(Ordering::Relaxed) - before;
        assert!(overtaken <= 64, "{engine:?}: {overtaken} dispatches of the chain came first");
        assert_eq!(world.graph.completed(), tasks + 1, "{engine:?}: no task is lost");
        world.assert_quiet();
    }
}

#[test]
fn a_run_by_many_threads_loses_nothing() {
    let ran: Arc<Vec<AtomicU32>> = Arc::new((0..3000).map(|_| AtomicU32::new(0)).collect());
    let count = ran.clone();
    let mut world = World::running(6, 3, Engine::Threads, move |payload| {
        count[payload.task.sequence() as usize].fetch_add(1, Ordering::Relaxed);
        Ended::Ok
    });
    let mut slots = Vec::new();
    for task in 0..3000usize {
        let kind = if task % 3 == 0 { CUBE } else { VECTOR };
        let producers: Vec<_> = [task / 2, task / 3, task.saturating_sub(7)]
            .into_iter()
            .filter(|&producer| producer < task)
            .map(|producer| order(slots[producer]))
            .collect();
        slots.push(world.submit(New::of(kind), &producers));
    }
    world.drive(|driven| driven.wait_for(3000));
    world.assert_quiet();
    assert!(ran.iter().all(|one| one.load(Ordering::Relaxed) == 1));
}
