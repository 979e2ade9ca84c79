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

/// Claims CHIP-054 (Rust's ways out; closing what is not open is asserted through the calls that are no blocks).
#[test]
fn a_scope_closes_exactly_once_on_every_way_out() {
    let mut runtime = small().ring_task_window(4).build().unwrap();
    let kernel = runtime.register(increment()).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    let owner = |run: &mut prewire::Run<'_>| {
        let output = Argument::Output(NewTensor::new(&[4], DataType::U32));
        run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&cell), output])).map(|_| ())
    };
    for _ in 0..20 {
        // Were a hold dropped too late or never, the fifth owner in a window of four would be one too many.
        runtime
            .run(|run| {
                for _ in 0..20 {
                    run.scope(|run| (0..3).try_for_each(|_| owner(run)))?;
                    let early: Result<(), SubmitError> = run.scope(|run| {
                        owner(run)?;
                        Err(SubmitError::from(prewire::TensorLayout::strided(&[1], &[0], DataType::U32).unwrap_err()))
                    });
                    assert!(early.is_err());
                }
                Ok(())
            })
            .unwrap();
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.run(|run| {
                run.scope(|run| {
                    owner(run)?;
                    panic!("in a scope")
                })
            })
        }));
        assert!(panic.is_err());
    }
    let failed = runtime
        .run(|run| {
            assert!(run.close_scope().is_err(), "the root cannot be closed");
            Ok(())
        })
        .unwrap_err();
    assert_eq!(failed.error.code(), Some(ErrorCode::InvalidArguments));
    let report = runtime
        .run(|run| {
            run.open_scope(prewire::ScopeMode::Automatic)?;
            run.open_scope(prewire::ScopeMode::Automatic)?;
            owner(run)
        })
        .unwrap();
    assert_eq!(report.scopes_left_open, 2);
    assert!(report.notes.iter().any(|note| note.contains('2') && note.contains("scopes")), "{:?}", report.notes);
    chain(&mut runtime, kernel, &cell, 100).unwrap();
}

/// Claims CHIP-105 (run with the memory rungs, too).
#[test]
fn a_run_returns_when_nobody_touches_it_any_more() {
    for (chip, engine) in everywhere() {
        let mut runtime = small().platform(chip).clusters(4).threads(3).engine(engine).build().unwrap();
        let kernel = runtime.register(increment()).unwrap();
        let buffer = runtime.buffer(4 * 16).unwrap();
        let cells: Vec<_> = (0..16).map(|at| buffer.tensor_at(4 * at, &[1], DataType::U32).unwrap()).collect();
        for round in 1..=2500u32 {
            runtime
                .run(|run| {
                    for cell in &cells {
                        run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(cell)]))?;
                    }
                    Ok(())
                })
                .unwrap();
            assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [round; 16]);
        }
    }
    for _ in 0..100 {
        let mut runtime = small().build().unwrap();
        let kernel = runtime.register(increment()).unwrap();
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        chain(&mut runtime, kernel, &cell, 5).unwrap();
        drop(runtime);
    }
}

fn threads_of_this_process() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Claims CHIP-187 (threads are counted here; memory is the leak checker's).
#[test]
fn building_and_dropping_is_clean() {
    let before = threads_of_this_process();
    for round in 0..100 {
        let mut runtime = small().build().unwrap();
        match round % 3 {
            0 => {}
            1 => {
                let kernel = runtime.register(Kernel::any("fine", |_| Ok(()))).unwrap();
                runtime.run(|run| run.submit(&Task::vector(kernel)).map(|_| ())).unwrap();
            }
            _ => {
                let kernel = runtime.register(Kernel::any("fails", |_| Err(KernelError::new(1, "no")))).unwrap();
                runtime.run(|run| run.submit(&Task::vector(kernel)).map(|_| ())).unwrap_err();
            }
        }
    }
    // A chip whose core never answers is found when a run begins; the error names the core, and dropping it is clean as well.
    let mut chip = prewire::Chip::A2a3.spec();
    chip.handshake_deadline_ms = 20;
    let mut runtime = Runtime::builder().chip(chip).clusters(4).threads(2).build().unwrap();
    runtime.set_fault(prewire::CoreId(5), Some(prewire::Fault::NeverStarts));
    let failed = runtime.run(|_| Ok(())).unwrap_err();
    assert!(matches!(*failed.error, RunError::NotStarted { .. }) && failed.to_string().contains("AIV_5"), "{failed}");
    drop(runtime);
    common::eventually("the end of every thread", || threads_of_this_process() <= before);
}

/// Claims CHIP-120 (64 conditions in any order complete a task; the wrong ones are provoked with the other fatal errors).
#[test]
fn sixty_four_conditions_complete_a_task_in_any_order() {
    for (chip, engine) in everywhere() {
        let mut runtime = small().platform(chip).clusters(4).engine(engine).build().unwrap();
        let defers = runtime
            .register(Kernel::vector("defers", |kernel| {
                let counters = kernel.tensors()[0];
                for at in 0..64 {
                    kernel.complete_when(prewire::Condition { counter: counters.first_byte() + 4 * at, expected: 1 });
                }
                Ok(())
            }))
            .unwrap();
        let raises = runtime
            .register(Kernel::cube("raises", |kernel| {
                // The counters are the other task's to wait for, so they are written without a dependency on it, as another engine would.
                let mut counters = kernel.output::<u32>(0)?;
                let at = kernel.scalar::<u32>(1)? as usize;
                counters.set(&[at], 1);
                Ok(())
            }))
            .unwrap();
        let after = Calls::default();
        let consumer = runtime.register(after.kernel("after")).unwrap();
        let buffer = runtime.buffer(4 * 64).unwrap();
        let counters = buffer.tensor(&[64], DataType::U32).unwrap();
        let token = runtime.buffer(4).unwrap();
        let done = token.tensor(&[1], DataType::U32).unwrap();
        runtime
            .run(|run| {
                run.submit(
                    &Task::vector(defers).arguments(&[Argument::NoDependency(&counters), Argument::InOut(&done)]),
                )?;
                run.submit(&Task::vector(consumer).arguments(&[Argument::Input(&done)]))?;
                for at in (0..64u32).map(|at| (at * 37 + 11) % 64) {
                    assert_eq!(after.count(), 0);
                    let scalars = [0u32.into(), at.into()];
                    run.submit(&Task::cube(raises).scalars(&scalars).arguments(&[Argument::NoDependency(&counters)]))?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(after.count(), 1);
    }
}
