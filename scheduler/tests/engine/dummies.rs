//! Tasks that need no core: dummies, and tasks whose predicate does not hold.

use crate::chip::{Ended, Engine};
use crate::world::{CUBE, MIX, New, VECTOR, World, data, order};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::slot::{Comparison, Parts, TaskFlags};
use prewire_runtime_core::tensor::DataType;
use std::sync::atomic::Ordering;

fn dummy() -> New {
    New::of(Parts(0))
}

fn predicated(mut new: New, comparison: Comparison, target: i64, data_type: DataType) -> New {
    new.flags = new.flags.with(TaskFlags::PREDICATE);
    new.extra.predicate = comparison;
    new.extra.predicate_target = target;
    new.extra.predicate_data_type = data_type as u8;
    new.extra.predicate_address = 64;
    new
}

/// Claims CHIP-110 (inferred and explicit dependencies are seen in the whole runtime).
#[test]
fn a_dummy_orders_and_runs_nothing() {
    let mut world = World::by_hand(4, 1);
    let producers: Vec<_> = (0..3).map(|_| world.submit(New::of(CUBE), &[])).collect();
    let mut ignored = dummy();
    ignored.flags = TaskFlags::PREDICATE;
    let edges: Vec<_> = producers.iter().copied().map(data).collect();
    let join = world.submit(ignored, &edges);
    let consumers: Vec<_> = (0..4).map(|_| world.submit(New::of(VECTOR), &[order(join)])).collect();
    world.settle();
    for &producer in &producers {
        assert_eq!(world.ending(join), None, "not all producers are done");
        assert!(consumers.iter().all(|consumer| !world.running_tasks().contains(&(consumer.0 as u64))));
        world.finish_task(producer, Ended::Ok);
        world.settle();
    }
    assert_eq!(world.ending(join), Some(Ending::Ok));
    assert_eq!(world.running_tasks(), [4, 5, 6, 7]);
    assert!(world.dispatches().iter().all(|&(task, ..)| task != 3), "no core received the dummy");
}

/// Claims CHIP-111.
#[test]
fn chains_and_meshes_of_dummies_finish() {
    // A small stack: retirement must not recurse.
    let run = || {
        let mut world = World::by_hand(1, 1);
        let mut last: Option<SlotIndex> = None;
        let head = world.prepare(dummy(), &[]);
        for link in 0..10_000 {
            let producer = last.unwrap_or(head.0);
            last = Some(world.submit(dummy(), &[data(producer)]));
            // The window is smaller than the chain, so its head is let go before the window is full.
            if link == 4000 {
                world.publish(head);
            }
        }
        world.settle();
        assert_eq!(world.graph.completed(), 10_001, "every task is counted once");
        world.assert_quiet();

        let mut world = World::by_hand(8, 1);
        let producers: Vec<_> =
            (0..18).map(|at| world.submit(New::of(if at % 2 == 0 { CUBE } else { VECTOR }), &[])).collect();
        let edges: Vec<_> = producers.iter().copied().map(order).collect();
        let join = world.submit(dummy(), &edges);
        for _ in 0..18 {
            world.submit(New::of(VECTOR), &[order(join)]);
        }
        while world.graph.completed() < 37 {
            world.settle();
            for one in world.chip.running() {
                assert!(one.payload.task.sequence() < 18 || world.ending(join).is_some());
                world.chip.finish(one.core, Ended::Ok);
            }
        }
        world.settle();
        world.assert_quiet();
        assert_eq!(world.graph.completed(), 37);
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}

/// Claims CHIP-112.
#[test]
fn dummies_are_drained_by_every_instance() {
    const DUMMIES: u64 = 30_000;
    let chip = crate::chip::TestChip::new(ChipSpec::unit(3), Engine::Hand, |_| Ended::Ok);
    let mut world = World::sized(chip, prewire_scheduler::SchedulerConfig::new(3), 1 << 16, 1 << 16);
    // One instance owns a producer with a list that takes many steps to walk.
    let producer = world.submit(New::of(CUBE), &[]);
    for _ in 0..DUMMIES / 2 {
        world.submit(dummy(), &[order(producer)]);
    }
    world.settle();
    let owner = world.graph.owner_of(world.chip.running()[0].core);
    for _ in 0..DUMMIES / 2 {
        world.submit(dummy(), &[]);
    }
    world.finish_task(producer, Ended::Ok);
    let _ = world.schedulers[owner].step();
    let walking = world.graph.progress[owner].completed.load(Ordering::Relaxed);
    assert!(!world.graph.slots.is_free(producer), "its owner is busy with a long walk");
    let other = (owner + 1) % 3;
    for _ in 0..100 {
        let _ = world.schedulers[other].step();
    }
    assert!(world.graph.progress[other].completed.load(Ordering::Relaxed) >= 800, "the others drain meanwhile");
    assert_eq!(world.graph.progress[owner].completed.load(Ordering::Relaxed), walking);

    world.drive(|driven| driven.wait_for(DUMMIES + 1));
    world.assert_quiet();
    let retired: Vec<u64> =
        world.graph.progress.iter().map(|progress| progress.completed.load(Ordering::Relaxed)).collect();
    assert_eq!(retired.iter().sum::<u64>(), DUMMIES + 1, "each exactly once");
    assert!(retired.iter().filter(|&&count| count > 0).count() >= 2, "{retired:?}");
}

/// Claims CHIP-114.
#[test]
fn predicates_compare_as_integers_do() {
    use Comparison::*;
    let types = [
        (DataType::U8, 0, u8::MAX as i128),
        (DataType::I8, i8::MIN as i128, i8::MAX as i128),
        (DataType::U16, 0, u16::MAX as i128),
        (DataType::I16, i16::MIN as i128, i16::MAX as i128),
        (DataType::U32, 0, u32::MAX as i128),
        (DataType::I32, i32::MIN as i128, i32::MAX as i128),
        (DataType::U64, 0, u64::MAX as i128),
        (DataType::I64, i64::MIN as i128, i64::MAX as i128),
    ];
    let mut world = World::running(1, 1, Engine::Inline, |_| Ended::Ok);
    for (data_type, lowest, highest) in types {
        for operand in [lowest, highest, 0, 1, 100] {
            world.chip.operands.lock().unwrap().insert(64, operand);
            for target in [operand - 1, operand, operand + 1, -1] {
                let Ok(target) = i64::try_from(target) else { continue };
                for comparison in [None, Equal, NotEqual, Greater, Less, GreaterOrEqual, LessOrEqual] {
                    let wide = target as i128;
                    let runs = match comparison {
                        None => true,
                        Equal => operand == wide,
                        NotEqual => operand != wide,
                        Greater => operand > wide,
                        Less => operand < wide,
                        GreaterOrEqual => operand >= wide,
                        LessOrEqual => operand <= wide,
                    };
                    let before = world.dispatches().len();
                    world.submit(predicated(New::of(VECTOR), comparison, target, data_type), &[]);
                    world.complete_all();
                    let ran = world.dispatches().len() > before;
                    assert_eq!(ran, runs, "{operand} {comparison:?} {target} as {data_type}");
                }
            }
        }
    }
    world.assert_quiet();
}

#[test]
fn a_predicate_is_evaluated_when_its_task_is_ready() {
    let mut world = World::by_hand(2, 1);
    let writer = world.submit(New::of(CUBE), &[]);
    let guarded = world.submit(predicated(New::of(VECTOR), Comparison::Equal, 1, DataType::I32), &[data(writer)]);
    let dependent = world.submit(New::of(CUBE), &[data(guarded)]);
    world.settle();
    world.chip.operands.lock().unwrap().insert(64, 1);
    world.finish_task(writer, Ended::Ok);
    world.settle();
    assert_eq!(world.running_tasks(), [1]);
    world.finish_task(guarded, Ended::Ok);
    world.settle();
    world.finish_task(dependent, Ended::Ok);
    world.settle();
    world.assert_quiet();
}

/// Claims CHIP-117.
#[test]
fn a_false_predicate_retires_a_task_as_a_whole() {
    let mut world = World::by_hand(24, 3);
    world.chip.operands.lock().unwrap().insert(64, 0);
    // All cores of one cluster are taken, so a gang of full width could not start at once.
    let busy = world.submit(New::of(MIX), &[]);
    world.settle();
    let before = world.dispatches().len();
    let flavours = [New::of(VECTOR).blocks(48), New::of(MIX).blocks(24).gang(), New::of(CUBE)];
    for flavour in flavours {
        let task = world.submit(predicated(flavour, Comparison::Greater, 0, DataType::U32), &[]);
        let dependent = world.submit(New::of(VECTOR), &[data(task)]);
        world.settle();
        assert_eq!(world.ending(task), Some(Ending::Ok));
        // Its dependents run, and no core is kept for it.
        assert!(world.chip.running().iter().any(|one| one.payload.slot == dependent));
        world.finish_task(dependent, Ended::Ok);
        world.settle();
    }
    assert_eq!(world.dispatches().len() - before, 3, "only the three dependents were dispatched");
    assert_eq!(world.graph.completed(), 6, "each was counted once");
    world.finish_task(busy, Ended::Ok);
    world.settle();
    world.assert_quiet();
}
