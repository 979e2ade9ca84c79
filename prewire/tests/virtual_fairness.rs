//! Who waits for how long, in lengths of tasks: virtual time tells it exactly.

use prewire::{
    Argument, BlockRecord, Builder, Chip, CoreKind, DataType, Engine, Kernel, KernelId, Report, Runtime, Task, TaskId,
};
use std::time::Duration;

const LENGTH_NS: u64 = 50_000;
/// What passes between the end of one task and the start of the next on a core of a busy chip: an end that is seen late, a step that takes in the ends of all
/// cores of an instance, a token and a start. Not part of any task's length.
const HAND_OVER_NS: u64 = 12_000;

fn virtual_chip(seed: u64) -> Builder {
    let builder = Runtime::builder().platform(Chip::A2a3).engine(Engine::Virtual { seed }).record_trace(true);
    builder.ring_task_window(4096).ring_heap(1 << 20).ring_dep_pool(1 << 15)
}

fn lasting(runtime: &mut Runtime, time: Duration) -> KernelId {
    runtime.register(Kernel::any("lasts", |_| Ok(())).never_waits().lasting(time)).unwrap()
}

fn start_ns(report: &Report, task: TaskId) -> u64 {
    let of_task = report.blocks.iter().flatten().filter(|block| block.task == task);
    of_task.map(|block| block.start_ns).min().expect("the task ran")
}

/// When the submit with this number, counted from 1, of a runtime's first run has returned.
fn submitted_ns(number: u64) -> u64 {
    number * Chip::A2a3.spec().latencies.submit_ns
}

/// Claims CHIP-080 in virtual time.
#[test]
fn neither_mix_tasks_nor_single_blocks_are_starved() {
    for seed in 0..10 {
        let mut runtime = virtual_chip(seed).clusters(8).build().unwrap();
        let kernel = lasting(&mut runtime, Duration::from_nanos(LENGTH_NS));
        let mix = Task::cluster(Some(kernel), Some(kernel), Some(kernel));
        let mut mixed = None;
        let report = runtime
            .run(|run| {
                for number in 1..=1000 {
                    let task = if number % 3 == 0 { Task::cube(kernel) } else { Task::vector(kernel) };
                    let task = if number == 500 { mix } else { task };
                    let id = run.submit(&task)?.id;
                    mixed = if number == 500 { Some(id) } else { mixed };
                }
                Ok(())
            })
            .unwrap();
        let waited_ns = start_ns(&report, mixed.unwrap()) - submitted_ns(500);
        assert!(waited_ns <= 2 * (LENGTH_NS + HAND_OVER_NS), "seed {seed}: a MIX task waited {waited_ns} ns");

        let mut runtime = virtual_chip(seed).clusters(8).build().unwrap();
        let kernel = lasting(&mut runtime, Duration::from_nanos(LENGTH_NS));
        let mut single = None;
        let report = runtime
            .run(|run| {
                for number in 1..=400 {
                    let task = if number == 200 { Task::vector(kernel) } else { mix };
                    let id = run.submit(&task)?.id;
                    single = if number == 200 { Some(id) } else { single };
                }
                Ok(())
            })
            .unwrap();
        let waited_ns = start_ns(&report, single.unwrap()) - submitted_ns(200);
        assert!(waited_ns <= 2 * (LENGTH_NS + HAND_OVER_NS), "seed {seed}: a single block waited {waited_ns} ns");
    }
}

/// Claims CHIP-094 for its times; `gang.rs` claims it on threads.
#[test]
fn a_gang_is_not_starved_and_leaves_other_cores_alone() {
    for seed in 0..10 {
        let mut runtime = virtual_chip(seed).build().unwrap();
        let kernel = lasting(&mut runtime, Duration::from_nanos(2 * LENGTH_NS));
        let mut gang = None;
        let report = runtime
            .run(|run| {
                for number in 1..=1000 {
                    let task = match number {
                        300 => Task::vector(kernel).blocks(48).sync_start(),
                        // Cube cores have something to do all the while.
                        _ if number % 4 == 0 => Task::cube(kernel),
                        _ => Task::vector(kernel),
                    };
                    let id = run.submit(&task)?.id;
                    gang = if number == 300 { Some(id) } else { gang };
                }
                Ok(())
            })
            .unwrap();
        let ready_ns = submitted_ns(300);
        let start_ns = start_ns(&report, gang.unwrap());
        let waited_ns = start_ns - ready_ns;
        assert!(waited_ns <= 2 * (2 * LENGTH_NS + HAND_OVER_NS), "seed {seed}: the gang waited {waited_ns} ns");
        // While it gathered, tasks on cube cores started.
        let blocks = report.blocks.as_deref().unwrap();
        let cube = |block: &&BlockRecord| report.chip.kind_of(block.core) == CoreKind::Cube;
        let meanwhile =
            blocks.iter().filter(cube).filter(|block| (ready_ns..start_ns).contains(&block.start_ns)).count();
        assert!(meanwhile > 0, "seed {seed}: no cube task started while the gang gathered");
    }
}

/// Claims CHIP-134 in virtual time, with the row's own figures.
#[test]
fn the_clock_of_a_task_starts_when_its_core_starts_it() {
    let ms = Duration::from_millis;
    let mut runtime = virtual_chip(1).clusters(1).watchdog(ms(500)).build().unwrap();
    let (short, long) = (lasting(&mut runtime, ms(400)), lasting(&mut runtime, ms(1000)));
    let report = runtime
        .run(|run| {
            // Pre-loaded behind one of 400 ms.
            for _ in 0..2 {
                run.submit(&Task::cube(short))?;
            }
            // Two seconds in the queue behind tasks with larger budgets.
            for _ in 0..2 {
                run.submit(&Task::cube(long).budget(ms(2000)))?;
            }
            run.submit(&Task::cube(short)).map(|_| ())
        })
        .unwrap();
    let mut blocks = report.blocks.unwrap();
    blocks.sort_by_key(|block| block.task);
    assert!(blocks[1].dispatch_ns < blocks[0].end_ns, "the second one is pre-loaded");
    assert!(blocks[4].start_ns > 2_800_000_000);
    // And one that is pre-loaded and then takes longer than its budget is found, counted from its own start.
    let failed = runtime
        .run(|run| {
            run.submit(&Task::cube(short))?;
            run.submit(&Task::cube(long)).map(|_| ())
        })
        .unwrap_err();
    assert_eq!(failed.error.code().map(|code| code.number()), Some(100));
    assert!(failed.report.elapsed >= ms(900), "{:?}", failed.report.elapsed);
}

/// Claims CHIP-065 for what goes on during a long walk: of a hundred ready tasks that have nothing to do with it, none waits for its end.
#[test]
fn a_long_walk_of_consumers_holds_nobody_up() {
    for seed in 0..5 {
        let mut runtime = virtual_chip(seed).ring_task_window(1 << 14).build().unwrap();
        let first = lasting(&mut runtime, Duration::from_millis(12));
        let then = lasting(&mut runtime, Duration::from_nanos(100));
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        let mut unrelated = Vec::new();
        let mut producer = None;
        let report = runtime
            .run(|run| {
                producer = Some(run.submit(&Task::cube(first).arguments(&[Argument::OutputExisting(&cell)]))?.id);
                for _ in 0..10_000 {
                    // Dependencies that are named are not gathered in joins.
                    let needs = [prewire::Dependency::on(producer.expect("it was submitted"))];
                    run.submit(&Task::cube(then).dependencies(&needs))?;
                }
                // The producer ends at 12 ms, while these are submitted from 8.7 ms on.
                for _ in 0..4000 {
                    let task = run.submit(&Task::vector(then))?.id;
                    unrelated.push((task, run.elapsed().as_nanos() as u64));
                }
                Ok(())
            })
            .unwrap();
        let blocks = report.blocks.as_deref().unwrap();
        let end_ns = blocks.iter().find(|block| Some(block.task) == producer).unwrap().end_ns;
        // The walk takes 100 ns for each of 10 000, one millisecond.
        let walk = end_ns..end_ns + 1_000_000;
        let mut during = 0;
        for &(task, ready_ns) in &unrelated {
            if walk.contains(&ready_ns) {
                during += 1;
                let waited_ns = start_ns(&report, task) - ready_ns;
                // A piece of the walk is 64 consumers.
                assert!(
                    waited_ns < 100_000,
                    "seed {seed}: a task that was ready during the walk waited {waited_ns} ns"
                );
            }
        }
        assert!(during >= 100, "{during} tasks were submitted during the walk");
        assert_eq!(report.completed, report.tasks);
    }
}
