//! What goes wrong on the chip in virtual time, and how each of it ends.

mod common;

use common::{chain, increment};
use prewire::{
    Argument, BlockRecord, Builder, Chip, CoreId, DataType, Engine, ErrorCode, Failed, Fatal, Fault, Injection, Kernel,
    NewTensor, Report, RunError, Runtime, StallClass, StallReport, Task,
};
use std::time::Duration;

fn virtual_chip(chip: Chip, seed: u64) -> Builder {
    Runtime::builder()
        .platform(chip)
        .engine(Engine::Virtual { seed })
        .record_trace(true)
        .ring_task_window(256)
        .ring_heap(1 << 20)
        .ring_dep_pool(4096)
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn us(count: u64) -> Duration {
    Duration::from_micros(count)
}

fn stall(failed: &Failed) -> &StallReport {
    match &*failed.error {
        RunError::Fatal(Fatal::Stalled(report)) => report,
        other => panic!("{other}"),
    }
}

fn blocks(report: &Report) -> Vec<BlockRecord> {
    let mut blocks = report.blocks.clone().unwrap();
    blocks.sort_by_key(|block| (block.task, block.block));
    blocks
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Claims CHIP-169. That a run needs no wall time is said by the processor time of its one thread, which another load cannot lengthen.
#[test]
fn virtual_time_needs_no_wall_time_and_orders_everything() {
    // A hung core ends the run with the watchdog's default of ten seconds.
    let mut runtime = virtual_chip(Chip::A2a3, 1).build().unwrap();
    let kernel = runtime.register(increment()).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    (24..72).for_each(|core| runtime.set_fault(CoreId(core), Some(Fault::Hangs)));
    let before = processor_time();
    let failed = chain(&mut runtime, kernel, &cell, 3).unwrap_err();
    let spent = processor_time() - before;
    assert!(failed.report.elapsed >= Duration::from_secs(10), "{:?}", failed.report.elapsed);
    assert_eq!(failed.error.code(), Some(ErrorCode::SchedulerTimeout));
    assert!(spent < Duration::from_secs(1), "{spent:?}");

    // Submits of 1000 ns and tasks of 500 ns: submit k, counted from 1, returns at 1000 k.
    for seed in 0..20 {
        let mut chip = Chip::A2a3.spec();
        chip.latencies.submit_ns = 1000;
        let mut runtime = virtual_chip(Chip::A2a3, seed).chip(chip).build().unwrap();
        let kernel = runtime.register(Kernel::vector("short", |_| Ok(())).lasting(Duration::from_nanos(500))).unwrap();
        let report = runtime
            .run(|run| {
                for _ in 0..100 {
                    run.submit(&Task::vector(kernel))?;
                }
                Ok(())
            })
            .unwrap();
        for (k, block) in (1..).zip(blocks(&report)) {
            assert!(block.dispatch_ns > 1000 * k, "task {k} was dispatched before its submit returned");
            assert!(block.start_ns < 1000 * (k + 2), "seed {seed}: task {k} starts at {}", block.start_ns);
        }

        // Four slots, four long tasks on cores of their own; the fifth submit waits for the first of them, and its task follows at once.
        let mut runtime = virtual_chip(Chip::A2a3, seed).ring_task_window(4).build().unwrap();
        let kernel = runtime.register(Kernel::vector("long", |_| Ok(())).lasting(us(100))).unwrap();
        let report = runtime
            .run(|run| {
                for _ in 0..8 {
                    run.submit(&Task::vector(kernel))?;
                }
                Ok(())
            })
            .unwrap();
        let blocks = blocks(&report);
        for k in 4..8 {
            let waited = blocks[k].dispatch_ns - blocks[k - 4].end_ns;
            // Its end is visible within 600 ns; a round of looks at four cores or fewer finds it and takes it in, and another one finds the new task.
            let round = 4 * 105 + 115 + 350 + 5;
            assert!(
                waited <= 600 + 2 * round,
                "seed {seed}: task {k} was dispatched {waited} ns behind the end of its head"
            );
        }
    }
}

/// A chain and a crowd of tasks with a sum that says whether all ran, in order.
fn program(runtime: &mut Runtime) -> Result<(Report, Vec<u32>), Failed> {
    let kernel = runtime
        .register(
            Kernel::any("mix", |kernel| {
                let mut cells = kernel.output::<u32>(0)?;
                for cell in cells.as_mut_slice() {
                    *cell = cell.wrapping_mul(3).wrapping_add(1);
                }
                Ok(())
            })
            .lasting(us(20)),
        )
        .unwrap();
    let buffer = runtime.buffer(4 * 64).unwrap();
    let all = buffer.tensor(&[64], DataType::U32).unwrap();
    let report = runtime.run(|run| {
        for round in 0..4 {
            for tile in 0..64 {
                let tile = all.slice(0, tile, tile + 1, 1)?;
                let task = if round % 2 == 0 { Task::vector(kernel) } else { Task::cube(kernel) };
                run.submit(&task.arguments(&[Argument::InOut(&tile)]))?;
            }
            run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&all)]))?;
        }
        Ok(())
    })?;
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let values = runtime.read::<u32>(&buffer).unwrap();
    Ok((report, values))
}

/// Claims CHIP-170 for faults of cores and lost wake-ups.
#[test]
fn every_fault_leads_to_its_end() {
    for (chip, seed) in Chip::ALL.into_iter().zip(0..) {
        let (plain, expected) = program(&mut virtual_chip(chip, seed).build().unwrap()).unwrap();
        assert_eq!(expected, [(0..8).fold(0u32, |value, _| value.wrapping_mul(3).wrapping_add(1)); 64]);

        // A core ten times slower: the same result, later.
        let slow = CoreId(chip.spec().cube_cores());
        let mut runtime = virtual_chip(chip, seed).build().unwrap();
        runtime.set_fault(slow, Some(Fault::SlowBy(10)));
        let (report, values) = program(&mut runtime).unwrap();
        assert_eq!(values, expected);
        assert!(report.makespan() > plain.makespan());
        for block in blocks(&report) {
            let expected_ns = if block.core == slow { 200_000 } else { 20_000 };
            assert_eq!(block.end_ns - block.start_ns, expected_ns);
        }
        assert!(blocks(&report).iter().any(|block| block.core == slow));

        // A hung core: the watchdog names it.
        let mut runtime = virtual_chip(chip, seed).build().unwrap();
        runtime.set_fault(slow, Some(Fault::Hangs));
        let failed = program(&mut runtime).unwrap_err();
        let report = stall(&failed);
        assert_eq!(
            (failed.error.code(), report.class),
            (Some(ErrorCode::SchedulerTimeout), StallClass::RunningStalled)
        );
        assert_eq!(report.running_tasks[0].core, chip.spec().core_name(slow));
        // And the chip works again without the fault.
        runtime.set_fault(slow, None);
        assert_eq!(program(&mut runtime).unwrap().1, expected);

        // A kernel that fails: its code, its core.
        let mut runtime = virtual_chip(chip, seed).build().unwrap();
        runtime.set_fault(slow, Some(Fault::Fails(77)));
        let failed = program(&mut runtime).unwrap_err();
        match &*failed.error {
            RunError::KernelFailed { first, .. } => {
                assert_eq!((first.code, &first.core), (77, &chip.spec().core_name(slow)));
            }
            other => panic!("{other}"),
        }

        // Late ends: the same result.
        let mut runtime = virtual_chip(chip, seed).build().unwrap();
        runtime.set_fault(slow, Some(Fault::CompletesLate(ms(2))));
        let (report, values) = program(&mut runtime).unwrap();
        assert_eq!(values, expected);
        assert!(report.elapsed > ms(2));

        // A scheduler without a processor: the same result, later.
        let mut runtime = virtual_chip(chip, seed).build().unwrap();
        assert!(runtime.inject(Injection::StarvesScheduler { instance: 0, after_ns: 10_000, for_ns: 5_000_000 }));
        let (report, values) = program(&mut runtime).unwrap();
        assert_eq!(values, expected);
        assert!(report.elapsed > ms(5), "{:?}", report.elapsed);

        // A ready task of which nobody hears: nothing is ready, nothing runs, and tasks wait.
        let mut runtime = virtual_chip(chip, seed).build().unwrap();
        assert!(runtime.inject(Injection::LosesReadyTask { after_ns: 20_000 }));
        let failed = program(&mut runtime).unwrap_err();
        let class = stall(&failed).class;
        assert_eq!((failed.error.code(), class), (Some(ErrorCode::SchedulerTimeout), StallClass::DependencyDeadlock));
        runtime.forget_injections();
        assert_eq!(program(&mut runtime).unwrap().1, expected);
    }
    let mut elsewhere = Runtime::builder().clusters(1).threads(2).build().unwrap();
    assert!(!elsewhere.inject(Injection::SchedulersSleep), "only virtual time has injections");
}

/// Tasks with outputs that a later task reads, in scopes of a size: rings that are too small end with a code from 1 to 4.
fn scopes(runtime: &mut Runtime, tasks: u32) -> Result<Report, Failed> {
    let kernel = runtime
        .register(
            Kernel::any("write", |kernel| {
                kernel.output::<u32>(0)?.as_mut_slice().fill(7);
                Ok(())
            })
            .lasting(us(5)),
        )
        .unwrap();
    let sum = runtime.register(Kernel::any("sum", |_| Ok(())).lasting(us(5))).unwrap();
    runtime.run(|run| {
        for _ in 0..3 {
            run.scope(|run| {
                let mut outputs = Vec::new();
                for _ in 0..tasks {
                    let output = Argument::Output(NewTensor::new(&[64], DataType::U32));
                    outputs.push(run.submit(&Task::vector(kernel).arguments(&[output]))?.outputs[0]);
                }
                let inputs: Vec<Argument<'_>> = outputs.iter().map(Argument::Input).collect();
                run.submit(&Task::vector(sum).arguments(&inputs)).map(|_| ())
            })?;
        }
        Ok(())
    })
}

/// Claims CHIP-170 for rings of the smallest legal sizes: the right result, or a code from 1 to 4 whose hint works.
#[test]
fn the_smallest_rings_give_the_result_or_a_hint_that_works() {
    for seed in 0..20 {
        for tasks in [1u32, 2, 6, 12] {
            let (mut window, mut heap, mut edges) = (4u64, 1024u64, 4u64);
            let mut hints = 0;
            loop {
                let builder = virtual_chip(Chip::ALL[seed as usize % 2], seed);
                let builder = builder.ring_task_window(window).ring_heap(heap).ring_dep_pool(edges);
                let mut runtime = builder.index_entries(1 << 12).build().unwrap();
                let failed = match scopes(&mut runtime, tasks) {
                    Ok(report) => {
                        assert_eq!(report.completed, 3 * u64::from(tasks + 1));
                        break;
                    }
                    Err(failed) => failed,
                };
                let before = (window, heap, edges);
                match &*failed.error {
                    RunError::Fatal(
                        Fatal::ScopeDeadlock { sufficient, .. } | Fatal::WindowDeadlock { sufficient, .. },
                    ) => window = (*sufficient).max(window),
                    RunError::Fatal(
                        Fatal::HeapDeadlock { sufficient, .. } | Fatal::HeapTooSmall { sufficient, .. },
                    ) => {
                        heap = (*sufficient).max(heap);
                    }
                    RunError::Fatal(Fatal::EdgePoolOverflow { sufficient, .. }) => edges = (*sufficient).max(edges),
                    other => panic!("{tasks} tasks in {before:?}: {other}"),
                }
                assert_ne!(before, (window, heap, edges), "a hint that changes nothing");
                hints += 1;
                assert!(hints <= 6, "{tasks} tasks: the hints lead nowhere, at {before:?}: {}", failed.error);
            }
            assert_eq!(hints > 0, tasks > 2, "{tasks} tasks needed {hints} hints");
        }
    }
}

/// Claims CHIP-129 in virtual time, thirty rounds of thirty.
#[test]
fn an_idle_scheduler_never_kills_a_working_sibling() {
    for round in 0..30 {
        let mut runtime = virtual_chip(Chip::A2a3, round).watchdog(ms(200)).build().unwrap();
        // Ten budgets of the watchdog, in one task with a budget of its own.
        let kernel = runtime.register(Kernel::vector("works", |_| Ok(())).lasting(ms(2000))).unwrap();
        let task = Task::vector(kernel).budget(ms(5000));
        let report = runtime.run(|run| run.submit(&task).map(|_| ())).unwrap();
        assert!(report.elapsed >= ms(2000));
    }
}

/// Claims CHIP-131 in virtual time: not before the budget, and within a fifth of it.
#[test]
fn a_stuck_task_is_found_within_its_budget_and_a_fifth() {
    for seed in 0..30 {
        for budget in [10, 100, 1000, 10_000] {
            let mut runtime = virtual_chip(Chip::A5, seed).watchdog(ms(budget)).build().unwrap();
            let kernel = runtime.register(Kernel::vector("stuck", |_| Ok(())).lasting(Duration::MAX)).unwrap();
            let failed = runtime.run(|run| run.submit(&Task::vector(kernel)).map(|_| ())).unwrap_err();
            let report = stall(&failed);
            assert_eq!((report.class, report.running, report.budget_ms), (StallClass::RunningStalled, 1, budget));
            assert_eq!(failed.error.code().map(|code| code.number()), Some(100));
            let elapsed = failed.report.elapsed;
            assert!(elapsed >= ms(budget), "latched after {elapsed:?} of {budget} ms");
            // Where the budget is a few milliseconds, the watchdog's own rounds of one millisecond count.
            assert!(elapsed <= ms(budget) * 6 / 5 + ms(2), "latched after {elapsed:?} of {budget} ms");
        }
    }
}

/// A scheduler's time-out is the run's error although the orchestrator waits for edges when it comes; a pool that really is too small is said to be.
#[test]
fn a_time_out_behind_a_full_edge_pool_stays_a_time_out() {
    for seed in 0..10 {
        for hangs in [true, false] {
            let mut runtime =
                virtual_chip(Chip::A2a3, seed).ring_dep_pool(8).watchdog(ms(1000)).no_progress(ms(50)).build().unwrap();
            let length = if hangs { Duration::MAX } else { ms(100) };
            let first = runtime.register(Kernel::vector("first", |_| Ok(())).lasting(length)).unwrap();
            let then = runtime.register(Kernel::vector("then", |_| Ok(())).lasting(us(1))).unwrap();
            let buffer = runtime.buffer(4).unwrap();
            let cell = buffer.tensor(&[1], DataType::U32).unwrap();
            let outcome = runtime.run(|run| {
                run.submit(&Task::vector(first).arguments(&[Argument::OutputExisting(&cell)]))?;
                for _ in 0..50 {
                    run.submit(&Task::vector(then).arguments(&[Argument::Input(&cell)]))?;
                }
                Ok(())
            });
            match outcome {
                Ok(report) => assert!(!hangs && report.rings[0].edges.0 == 8, "{:?}", report.rings[0]),
                Err(failed) => {
                    assert!(hangs, "{failed}");
                    assert_eq!(failed.error.code().map(|code| code.number()), Some(100), "{failed}");
                    assert_eq!(stall(&failed).class, StallClass::RunningStalled);
                }
            }
        }
        // Nine tensors of nine tasks of the open scope, kept by edges that no end of a task frees.
        let mut runtime = virtual_chip(Chip::A2a3, seed).ring_dep_pool(8).build().unwrap();
        let failed = scopes(&mut runtime, 9).unwrap_err();
        assert_eq!(failed.error.code().map(|code| code.number()), Some(4), "{failed}");
    }
}
