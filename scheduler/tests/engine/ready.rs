//! Readiness: once, in order, whatever completes at the same moment.

use crate::chip::{Ended, Engine, TestChip};
use crate::world::{CUBE, New, VECTOR, World, data};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::id::{KernelId, SlotIndex, TaskId};
use prewire_runtime_core::slot::{Parts, SlotTable, TaskBody, TaskFlags};
use prewire_scheduler::SchedulerConfig;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A task without arguments and edges.
pub(crate) fn body(parts: Parts, blocks: u32) -> TaskBody {
    TaskBody {
        id: TaskId::from_bits(0),
        kernels: [KernelId(0); 3],
        parts,
        flags: TaskFlags(0),
        blocks,
        arguments: 0,
        edges: 0,
        edge_count: 0,
        tensors: 0,
        scalars: 0,
    }
}

/// Claims CHIP-067.
#[test]
fn eight_producers_at_once_route_their_consumer_once() {
    const ROUNDS: usize = 100_000;
    const AT_ONCE: usize = 500;
    let slots = SlotTable::new(AT_ONCE);
    let routed: Vec<AtomicU32> = (0..AT_ONCE).map(|_| AtomicU32::new(0)).collect();
    let gate = Barrier::new(9);
    let (slots, routed, gate) = (&slots, &routed, &gate);
    std::thread::scope(|scope| {
        for thread in 0..8usize {
            scope.spawn(move || {
                for _ in 0..ROUNDS / AT_ONCE {
                    gate.wait();
                    // Every thread goes its own way through the consumers, so that each of them meets several threads at the same moment.
                    for at in 0..AT_ONCE {
                        let consumer = (at + thread % 2) % AT_ONCE;
                        if slots.get(SlotIndex(consumer as u32)).arrive() {
                            routed[consumer].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    gate.wait();
                }
            });
        }
        for _ in 0..ROUNDS / AT_ONCE {
            for (at, routed) in routed.iter().enumerate() {
                routed.store(0, Ordering::Relaxed);
                let index = SlotIndex(at as u32);
                let slot = slots.get(index);
                while slots.holds(index) > 0 {
                    slot.release();
                }
                // SAFETY: the other threads wait at the gate.
                unsafe { slots.prepare(index, body(Parts::CUBE, 1), 0) };
                slot.expect(8);
            }
            gate.wait();
            gate.wait();
            assert!(routed.iter().all(|routed| routed.load(Ordering::Relaxed) == 1));
        }
    });
}

/// Claims CHIP-069.
#[test]
fn all_tasks_of_all_windows_may_be_ready_at_once() {
    const WINDOWS: usize = 4 * 65_536;
    const TASKS: usize = 262_000;
    for clusters in [8, 36] {
        let ran: Arc<Vec<AtomicU32>> = Arc::new((0..TASKS).map(|_| AtomicU32::new(0)).collect());
        let count = ran.clone();
        let mut chip = TestChip::new(ChipSpec::unit(clusters), Engine::Inline, move |payload| {
            count[payload.task.sequence() as usize].fetch_add(1, Ordering::Relaxed);
            Ended::Ok
        });
        chip.logs = false;
        let mut world = World::sized(chip, SchedulerConfig::new(2), WINDOWS, 4);
        for task in 0..TASKS {
            world.submit(New::of(if task % 3 == 0 { CUBE } else { VECTOR }), &[]);
        }
        for queue in prewire_runtime_core::graph::Queue::ALL {
            assert!(world.graph.queue(queue).capacity() >= WINDOWS);
        }
        assert_eq!(world.queued(), TASKS, "all are ready before the first step");
        world.complete_all();
        world.assert_quiet();
        assert!(ran.iter().all(|one| one.load(Ordering::Relaxed) == 1), "{} cores", 3 * clusters);
    }
}

/// Claims CHIP-071.
#[test]
fn a_run_inherits_nothing_from_one_that_was_ended() {
    let ran = Arc::new(AtomicU64::new(0));
    let count = ran.clone();
    let mut world = World::running(2, 1, Engine::Inline, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ended::Ok
    });
    for _ in 0..1000 {
        world.submit(New::of(VECTOR), &[]);
    }
    world.graph.run.latch(prewire_runtime_core::error::Fatal::Explicit { text: "enough".to_owned() });
    world.settle();
    assert_eq!((ran.load(Ordering::Relaxed), world.queued()), (0, 1000), "they are left where they are");

    world.begin_run();
    let mut last = world.submit(New::of(CUBE), &[]);
    for _ in 0..99 {
        last = world.submit(New::of(CUBE), &[data(last)]);
    }
    world.complete_all();
    world.assert_quiet();
    assert_eq!(ran.load(Ordering::Relaxed), 100, "its own tasks and none of the leftovers");
}
