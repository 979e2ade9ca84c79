//! Runtimes and runs from beginning to end: empty runs, many runs, runs after failures, panics.

mod common;

use common::{Calls, chain, everywhere, increment, small};
use prewire::{Argument, DataType, ErrorCode, Kernel, KernelError, NewTensor, RunError, Runtime, SubmitError, Task};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Claims CHIP-184.
#[test]
fn a_run_without_tasks_succeeds_at_once() {
    for (chip, engine) in everywhere() {
        let mut runtime = Runtime::builder().platform(chip).engine(engine).build().unwrap();
        for round in 0..1000 {
            let begun = Instant::now();
            let report = match round % 3 {
                0 => runtime.run(|_| Ok(())),
                1 => runtime.run(|run| run.scope(|run| run.scope(|_| Ok(())))),
                _ => runtime.run(|run| run.allocate(&[NewTensor::new(&[8], DataType::F32)]).map(|_| ())),
            }
            .unwrap();
            assert!(begun.elapsed() < Duration::from_millis(100), "round {round} on {chip}");
            assert_eq!((report.tasks, report.completed), if round % 3 == 2 { (1, 1) } else { (0, 0) });
        }
        let fail = AtomicBool::new(true);
        let fail = Arc::new(fail);
        let failing = {
            let fail = fail.clone();
            runtime
                .register(Kernel::any("fails once", move |_| {
                    if fail.swap(false, Ordering::AcqRel) { Err(KernelError::new(1, "asked to")) } else { Ok(()) }
                }))
                .unwrap()
        };
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        let failed = runtime
            .run(|run| {
                run.allocate(&[NewTensor::new(&[8], DataType::F32)])?;
                run.submit(&Task::dummy())?;
                for _ in 0..3 {
                    run.submit(&Task::vector(failing).arguments(&[Argument::InOut(&cell)]))?;
                }
                Ok(())
            })
            .unwrap_err();
        assert_eq!(
            (failed.report.tasks, failed.report.completed, failed.report.failed, failed.report.unrun),
            (5, 5, 1, 2)
        );
    }
}

/// Claims CHIP-185 (results and statistics of 1000 runs; memory is watched by the allocation test).
#[test]
fn a_runtime_runs_again_and_again() {
    for (chip, engine) in everywhere() {
        let mut runtime = small().platform(chip).engine(engine).build().unwrap();
        let kernel = runtime.register(increment()).unwrap();
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        for round in 1..=1000u32 {
            let report = chain(&mut runtime, kernel, &cell, 100).unwrap();
            assert_eq!((report.run, report.tasks, report.completed), (round, 100, 100));
            assert!(report.rings.iter().all(|ring| ring.left == (0, 0, 0)), "run {round} left {:?}", report.rings);
        }
        assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [100_000]);
    }
}

/// Claims CHIP-144.
#[test]
fn an_explicit_fatal_ends_the_run_and_everything_says_so() {
    let mut runtime = small().build().unwrap();
    let kernel = runtime.register(increment()).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    let failed = runtime
        .run(|run| {
            run.fail("the input is not a picture");
            let is_it = |result: Result<(), SubmitError>| match result {
                Err(SubmitError::Fatal(fatal)) => {
                    assert_eq!(fatal.code(), ErrorCode::ExplicitFatal);
                    assert!(fatal.to_string().contains("the input is not a picture"));
                }
                other => panic!("{other:?}"),
            };
            is_it(run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&cell)])).map(|_| ()));
            is_it(run.allocate(&[NewTensor::new(&[1], DataType::U32)]).map(|_| ()));
            is_it(run.scope(|_| Ok(())));
            is_it(run.get::<u32>(&cell, &[0]).map(|_| ()));
            is_it(run.set::<u32>(&cell, &[0], 1));
            Ok(())
        })
        .unwrap_err();
    assert_eq!(failed.error.code(), Some(ErrorCode::ExplicitFatal));
    assert_eq!((failed.report.tasks, runtime.read::<u32>(&buffer).unwrap()[0]), (0, 0), "nothing was done");
    chain(&mut runtime, kernel, &cell, 10).unwrap();
}

/// Claims CHIP-147.
#[test]
fn a_failing_kernel_is_reported_with_its_facts() {
    for (chip, engine) in everywhere() {
        let mut runtime = small().platform(chip).engine(engine).build().unwrap();
        let calls = Calls::default();
        let counts = runtime.register(calls.kernel("counts")).unwrap();
        let slow = runtime
            .register(Kernel::any("fails late", |kernel| {
                std::thread::sleep(Duration::from_millis(20));
                Err(KernelError::new(41, format!("late in block {}", kernel.block_index())))
            }))
            .unwrap();
        let fast = runtime.register(Kernel::any("fails soon", |_| Err(KernelError::new(42, "soon")))).unwrap();
        let panics = runtime.register(Kernel::any("panics", |_| panic!("out of ideas"))).unwrap();
        let buffer = runtime.buffer(16).unwrap();
        let cells: Vec<_> = (0..4).map(|at| buffer.tensor_at(4 * at, &[1], DataType::U32).unwrap()).collect();
        let failed = runtime
            .run(|run| {
                run.submit(&Task::vector(slow).arguments(&[Argument::InOut(&cells[0])]))?;
                run.submit(&Task::vector(fast).arguments(&[Argument::InOut(&cells[1])]))?;
                run.submit(&Task::vector(panics).arguments(&[Argument::InOut(&cells[2])]))?;
                for cell in &cells {
                    run.submit(&Task::vector(counts).arguments(&[Argument::InOut(cell)]))?;
                }
                Ok(())
            })
            .unwrap_err();
        let RunError::KernelFailed { first, failed: count, unrun } = &*failed.error else {
            panic!("{:?}", failed.error)
        };
        assert_eq!(
            (first.code, first.text.as_str(), first.block),
            (41, "late in block 0", 0),
            "the one submitted first"
        );
        assert_eq!(first.kernel_name, "fails late");
        assert!(first.core.starts_with("AIV_"), "{}", first.core);
        assert_eq!((*count, *unrun, calls.count()), (3, 3, 1));

        let failed = runtime.run(|run| run.submit(&Task::vector(panics)).map(|_| ())).unwrap_err();
        assert!(failed.error.to_string().contains("out of ideas"), "{}", failed.error);

        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.run(|run| {
                run.scope(|run| {
                    run.submit(&Task::vector(counts).arguments(&[Argument::InOut(&cells[0])]))?;
                    panic!("the orchestration gives up")
                })
            })
        }));
        assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"the orchestration gives up"));
        let before = calls.count();
        runtime.run(|run| run.submit(&Task::vector(counts)).map(|_| ())).unwrap();
        assert_eq!(calls.count(), before + 1, "the runtime is usable again");
    }
}

/// Claims CHIP-188.
#[test]
fn kernels_come_and_go_between_runs() {
    let mut runtime = small().build().unwrap();
    let (a, b) = (Calls::default(), Calls::default());
    let shared = a.kernel("one name");
    let first = runtime.register(shared.clone()).unwrap();
    let second = runtime.register(shared).unwrap();
    assert_ne!(first, second);
    assert!(runtime.unregister(first) && !runtime.unregister(first));
    runtime.run(|run| run.submit(&Task::vector(second)).map(|_| ())).unwrap();
    assert_eq!(a.count(), 1, "the other name still works");

    let failed = runtime.run(|run| run.submit(&Task::vector(first)).map(|_| ())).unwrap_err();
    assert_eq!(failed.error.code(), Some(ErrorCode::InvalidArguments));
    assert!(failed.error.to_string().contains(&format!("kernel {}", first.0)), "{}", failed.error);

    let again = runtime.register(b.kernel("another kernel")).unwrap();
    assert_eq!(again, first, "the place is free again");
    runtime.run(|run| run.submit(&Task::vector(again)).map(|_| ())).unwrap();
    assert_eq!((a.count(), b.count()), (1, 1));
    runtime.unregister(second);
    assert_eq!(
        runtime.kernels().iter().map(|(_, kernel)| kernel.name.clone()).collect::<Vec<_>>(),
        ["another kernel"],
        "no stale entry"
    );
}
