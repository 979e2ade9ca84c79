//! Tasks that wait for counters after their kernels returned.

use crate::chip::{Ended, Engine, TestChip};
use crate::world::{CUBE, New, VECTOR, World, data};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::error::Fatal;
use prewire_runtime_core::kernel::Condition;
use prewire_runtime_core::platform::DeferError;
use prewire_scheduler::{SchedulerConfig, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn reaches(counter: u64, expected: u32) -> Condition {
    Condition { counter, expected }
}

impl World {
    fn set_counter(&self, counter: u64, value: u32) {
        self.chip.counters.lock().unwrap().insert(counter, value);
    }
}

/// Claims CHIP-118 (the bytes written before the increment are the platform's to order: `condition_holds` is an acquire by contract).
#[test]
fn a_kernel_may_finish_before_its_task_does() {
    let mut world = World::by_hand(1, 1);
    let waiting = world.submit(New::of(CUBE), &[]);
    let consumer = world.submit(New::of(VECTOR), &[data(waiting)]);
    world.settle();
    world.finish_task(waiting, Ended::Deferred(vec![reaches(8, 3)]));
    world.settle();
    let second = world.submit(New::of(CUBE), &[]);
    world.settle();
    assert_eq!(world.running_tasks(), [2], "its core is free at once");
    world.set_counter(8, 2);
    world.settle();
    assert_eq!(world.ending(waiting), None);
    assert_eq!(world.schedulers[0].step(), Step::Idle { cores_busy: true, must_poll: true });
    world.set_counter(8, 3);
    world.settle();
    assert_eq!(world.running_tasks(), [1, 2]);
    world.finish_task(consumer, Ended::Ok);
    world.finish_task(second, Ended::Ok);
    world.settle();
    world.assert_quiet();
}

/// Claims CHIP-119.
#[test]
fn a_counter_that_is_there_already_delays_nothing() {
    let mut world = World::by_hand(1, 1);
    for (at_registration, at_poll) in [(3, 3), (5, 5), (0, 3), (0, 5)] {
        let counter = 8 * (1 + at_registration as u64 * 10 + at_poll as u64);
        world.set_counter(counter, at_registration);
        let task = world.submit(New::of(CUBE), &[]);
        world.settle();
        world.finish_task(task, Ended::Deferred(vec![reaches(counter, 3)]));
        if at_registration >= 3 {
            let _ = world.schedulers[0].step();
            assert_eq!(world.ending(task), Some(Ending::Ok), "the step that saw the end completes the task");
        } else {
            world.set_counter(counter, at_poll);
            let _ = world.schedulers[0].step();
            let _ = world.schedulers[0].step();
            assert_eq!(world.ending(task), Some(Ending::Ok), "the first poll completes the task");
        }
    }
    world.settle();
    world.assert_quiet();
}

#[test]
fn conditions_come_true_in_any_order() {
    let mut world = World::by_hand(1, 1);
    let task = world.submit(New::of(CUBE), &[]);
    world.settle();
    world.finish_task(task, Ended::Deferred((0..64).map(|at| reaches(8 + at * 4, 1)).collect()));
    world.settle();
    for at in (0..64).rev() {
        assert_eq!(world.ending(task), None, "{at} is open");
        world.set_counter(8 + at * 4, 1);
        world.settle();
    }
    assert_eq!(world.ending(task), Some(Ending::Ok));
    world.assert_quiet();
}

#[test]
fn wrong_registrations_end_the_run_with_their_code() {
    let cases = [
        (DeferError::Invalid("counter 0x0 is null".to_owned()), 101),
        (DeferError::TooMany("65 conditions, the limit is 64".to_owned()), 102),
        (DeferError::Malformed("kind 9 is unknown".to_owned()), 103),
    ];
    let mut world = World::by_hand(1, 1);
    for (error, code) in cases {
        let task = world.submit(New::of(VECTOR).kernel(2), &[]);
        world.settle();
        let core = world.chip.running()[0].core;
        world.finish_task(task, Ended::WrongConditions(error.clone()));
        world.settle();
        let fatal = world.graph.run.fatal().unwrap();
        assert_eq!(fatal.code().number(), code);
        let text = fatal.to_string();
        assert!(text.contains("r0t0") && text.contains("gamma") && text.contains(&world.chip_name(core)), "{text}");
        assert!(world.chip.is_cancelled(), "kernels are told");
        assert!(world.schedulers[0].busy_cores().is_empty());
        world.begin_run();
        let again = world.submit(New::of(VECTOR), &[]);
        world.settle();
        world.finish_task(again, Ended::Ok);
        world.settle();
        world.assert_quiet();
        world.begin_run();
    }
}

/// Claims CHIP-121.
#[test]
fn blocks_and_conditions_complete_a_task_together_and_once() {
    const ROUNDS: u64 = 1000;
    let returned = Arc::new(AtomicU32::new(0));
    let raised: Arc<Vec<AtomicU32>> = Arc::new((0..96).map(|_| AtomicU32::new(0)).collect());
    let (count, raise) = (returned.clone(), raised.clone());
    let kernel = move |payload: &prewire_runtime_core::platform::DispatchPayload| {
        let block = payload.block;
        // A condition of an earlier block comes true while others still run.
        raise[(block as usize * 7) % 96].store(1, Ordering::Release);
        raise[(block as usize * 7 + 48) % 96].store(1, Ordering::Release);
        count.fetch_add(1, Ordering::Release);
        let mut conditions = vec![reaches(block as u64, 1)];
        if block.is_multiple_of(2) {
            conditions.push(reaches(48 + block as u64, 1));
        }
        Ended::Deferred(conditions)
    };
    let mut chip = TestChip::new(ChipSpec::unit(24), Engine::Hand, |_| Ended::Ok);
    chip.logs = false;
    let mut world = World::with(chip, SchedulerConfig::new(3));
    for round in 0..ROUNDS {
        world.chip.counters.lock().unwrap().clear();
        raised.iter().for_each(|one| one.store(0, Ordering::Relaxed));
        returned.store(0, Ordering::Relaxed);
        let task = world.submit(New::of(VECTOR).blocks(48), &[]);
        world.settle();
        let mut running = world.chip.running();
        assert_eq!(running.len(), 48);
        let turn = round as usize % running.len();
        running.rotate_left(turn);
        for one in &running {
            world.chip.finish(one.core, kernel(&one.payload));
            for (counter, value) in raised.iter().enumerate() {
                world.set_counter(counter as u64, value.load(Ordering::Acquire));
            }
            if round % 3 == 0 {
                world.step_all();
            }
            if returned.load(Ordering::Acquire) < 48 {
                assert_eq!(world.ending(task), None, "round {round}: blocks are still running");
            }
        }
        world.settle();
        assert_eq!(world.ending(task), Some(Ending::Ok), "round {round}");
        assert_eq!(world.graph.completed(), round + 1, "once");
    }
    world.assert_quiet();
}

/// Claims CHIP-122.
#[test]
fn many_tasks_may_wait_at_once() {
    let mut chip = TestChip::new(ChipSpec::unit(2), Engine::Inline, |payload| {
        Ended::Deferred(vec![reaches(4 * payload.task.sequence() + 4, payload.run)])
    });
    chip.logs = false;
    let mut world = World::sized(chip, SchedulerConfig::new(2), 1 << 14, 16);
    for run in 1..=2u32 {
        for tasks in [1000u64, 10_000] {
            let before = world.submitted;
            let slots: Vec<_> = (0..tasks).map(|_| world.submit(New::of(VECTOR), &[])).collect();
            world.settle();
            assert_eq!(world.graph.completed(), before, "none is completed by a counter of an earlier run");
            assert!(world.schedulers.iter().all(|scheduler| scheduler.busy_cores().is_empty()), "no core is held");
            let mut order: Vec<u64> = (before..before + tasks).collect();
            let mut seed = 99u64;
            for at in (1..order.len()).rev() {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                order.swap(at, (seed >> 33) as usize % (at + 1));
            }
            for (raised, task) in order.into_iter().enumerate() {
                world.set_counter(4 * task + 4, run);
                if raised % 500 == 0 {
                    world.step_all();
                }
            }
            world.settle();
            assert_eq!(world.graph.completed(), before + tasks);
            assert!(slots.iter().all(|&slot| world.ending(slot) == Some(Ending::Ok)));
        }
        world.assert_quiet();
        world.begin_run();
    }
}

/// Claims CHIP-123.
#[test]
fn waiting_for_a_counter_is_no_deadlock_until_its_budget_is_over() {
    for comes in [true, false] {
        let config = SchedulerConfig { watchdog: Duration::from_millis(500), ..SchedulerConfig::new(1) };
        let mut world = World::with(TestChip::new(ChipSpec::unit(1), Engine::Hand, |_| Ended::Ok), config);
        let task = world.submit(New::of(CUBE).budget_ms(5000), &[]);
        world.finish_orchestration();
        world.settle();
        world.finish_task(task, Ended::Deferred(vec![reaches(0x40, 3)]));
        world.set_counter(0x40, 2);
        world.settle();
        assert_eq!(world.milliseconds_to_verdict(2000), None, "nothing runs for two seconds, and that is no deadlock");
        if comes {
            world.set_counter(0x40, 3);
            world.settle();
            assert_eq!(world.ending(task), Some(Ending::Ok));
            assert_eq!(world.milliseconds_to_verdict(6000), None);
            world.assert_quiet();
            continue;
        }
        let verdict = 2000 + world.milliseconds_to_verdict(6000).unwrap();
        assert!((5000..=6000).contains(&verdict), "{verdict} ms");
        world.group.end_run(&|_| true);
        let Some(Fatal::Stalled(report)) = world.graph.run.fatal() else { panic!("no stall") };
        assert_eq!(report.budget_ms, 5000);
        assert_eq!(report.waiting_tasks[0].task.sequence(), 0);
        let condition = report.waiting_tasks[0].condition.as_deref().unwrap();
        assert!(
            condition.contains("0x40") && condition.contains("is 2") && condition.contains("reach 3"),
            "{condition}"
        );
    }
}
