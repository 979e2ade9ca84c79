//! Many runs, from several threads, and their end.

mod common;

use common::{Calls, Gate, increment};
use prewire::{Argument, DataType, Engine, Failed, Kernel, KernelError, RunError, Runtime, Task};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Schedulers with threads of their own, and cores with theirs, so that a held kernel holds nobody else.
fn runtime(depth: usize) -> Runtime {
    common::small().engine(Engine::Threads).threads(3).runs_in_flight(depth).build().unwrap()
}

/// The engine's part of HOST-035: callbacks of two threads never overlap, all runs are right, and a submit from inside a callback is refused.
#[test]
fn callbacks_never_overlap() {
    let mut runtime = runtime(2);
    let add = runtime.register(increment()).unwrap();
    let buffer = runtime.buffer(8).unwrap();
    let cells = [0, 4].map(|at| buffer.tensor_at(at, &[1], DataType::U32).unwrap());
    let inside = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for cell in &cells {
            let (runtime, inside) = (&runtime, &inside);
            scope.spawn(move || {
                for _ in 0..100 {
                    let handle = runtime.submit(|run| {
                        assert!(!inside.swap(true, Ordering::SeqCst), "two callbacks are open");
                        for _ in 0..5 {
                            run.submit(&Task::vector(add).arguments(&[Argument::InOut(cell)]))?;
                        }
                        let Failed { error, .. } = runtime.submit(|_| Ok(())).unwrap_err();
                        assert!(matches!(*error, RunError::Inside) && error.to_string().contains("inside"), "{error}");
                        assert!(matches!(runtime.close(), Err(RunError::Inside)));
                        inside.store(false, Ordering::SeqCst);
                        Ok(())
                    });
                    assert_eq!(handle.unwrap().wait().unwrap().completed, 5);
                }
            });
        }
    });
    assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [500, 500]);
}

/// The engine's part of HOST-131: a run without tasks completes, numbers only rise, and thousands of runs in a row, with a group in each, give the right bytes
/// and leave nothing.
#[test]
fn thousands_of_runs_in_a_row() {
    for engine in [Engine::Inline, Engine::Threads] {
        let mut runtime = common::small().engine(engine).threads(2).runs_in_flight(3).build().unwrap();
        let add = runtime.register(increment()).unwrap();
        let buffer = runtime.buffer(16).unwrap();
        let cells = [0, 4, 8, 12].map(|at| buffer.tensor_at(at, &[1], DataType::U32).unwrap());
        let rounds = if engine == Engine::Inline { 3000 } else { 1000 };
        let mut handles = std::collections::VecDeque::new();
        let mut last = 0;
        for round in 0..rounds {
            let handle = runtime
                .submit(|run| {
                    if round % 10 == 0 {
                        return Ok(());
                    }
                    for cell in &cells {
                        run.submit(&Task::vector(add).arguments(&[Argument::InOut(cell)]))?;
                        run.submit(&Task::vector(add).arguments(&[Argument::InOut(cell)]))?;
                    }
                    let own = [[Argument::InOut(&cells[0])], [Argument::InOut(&cells[1])]];
                    let members = own.each_ref().map(|own| prewire::Member::new(own));
                    run.submit(&Task::vector(add).group(&members)).map(|_| ())
                })
                .unwrap();
            assert!(handle.run() > last);
            last = handle.run();
            handles.push_back(handle);
            if handles.len() > 5 {
                let report = handles.pop_front().unwrap().wait().unwrap();
                assert_eq!(report.completed, if (report.run - 1).is_multiple_of(10) { 0 } else { 9 });
            }
        }
        for handle in &handles {
            handle.wait().unwrap();
        }
        let work = rounds - rounds / 10;
        assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [3 * work, 3 * work, 2 * work, 2 * work]);
        let report = runtime.run(|_| Ok(())).unwrap();
        assert!(report.rings.iter().all(|ring| ring.left == (0, 0, 0)), "{:?}", report.rings);
    }
}

/// The engine's part of HOST-132: at a depth of 1 a thread that waits to submit always gets its turn when another's run ends.
#[test]
fn a_waiting_submit_always_proceeds() {
    let mut runtime = common::small().engine(Engine::Inline).threads(2).runs_in_flight(1).build().unwrap();
    let add = runtime.register(increment()).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..700 {
                    runtime
                        .submit(|run| run.submit(&Task::vector(add).arguments(&[Argument::InOut(&cell)])).map(|_| ()))
                        .unwrap();
                }
            });
        }
    });
    runtime.close().unwrap();
    assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [2100]);
}

/// Closing drains what was accepted and refuses the rest, whoever comes first; buffers are not looked at while runs are in flight.
#[test]
fn closing_drains_and_refuses() {
    for round in 0..50 {
        let mut runtime = runtime(2);
        let (gate, ran, accepted) = (Gate::new(), Calls::default(), AtomicU64::new(0));
        let passes = {
            let (gate, ran) = (gate.clone(), ran.clone());
            runtime
                .register(Kernel::any("passes", move |kernel| {
                    gate.pass(kernel)?;
                    ran.one();
                    Ok(())
                }))
                .unwrap()
        };
        let buffer = runtime.buffer(4).unwrap();
        std::thread::scope(|scope| {
            let (runtime, accepted) = (&runtime, &accepted);
            let first = runtime.submit(|run| run.submit(&Task::vector(passes)).map(|_| ())).unwrap();
            accepted.fetch_add(1, Ordering::Relaxed);
            assert!(runtime.read::<u32>(&buffer).unwrap_err().to_string().contains("in flight"));
            for _ in 0..2 {
                scope.spawn(move || {
                    for _ in 0..5 {
                        match runtime.submit(|run| run.submit(&Task::vector(passes)).map(|_| ())) {
                            Ok(_) => accepted.fetch_add(1, Ordering::Relaxed),
                            Err(failed) => {
                                assert!(matches!(*failed.error, RunError::Closed), "{failed}");
                                0
                            }
                        };
                    }
                });
            }
            let closer = scope.spawn(|| runtime.close().unwrap());
            for _ in 0..round % 5 {
                std::thread::yield_now();
            }
            gate.open();
            closer.join().unwrap();
            assert!(first.is_over());
        });
        assert_eq!(ran.count(), accepted.load(Ordering::Relaxed));
        assert!(runtime.run(|_| Ok(())).unwrap_err().to_string().contains("closed"));
    }
}

/// The engine's part of HOST-133: with the numbers of tasks preset to just below 2³², runs with dependencies and a failure go across that boundary, and what is
/// of an earlier run is refused.
#[test]
fn numbers_run_on_across_runs() {
    let mut runtime = common::small().threads(2).first_sequence((1 << 32) - 50).build().unwrap();
    let add = runtime.register(increment()).unwrap();
    let fails = runtime.register(Kernel::any("fails", |_| Err(KernelError::new(3, "once")))).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    let ids = Mutex::new(Vec::new());
    let submit = |failing: bool| {
        runtime
            .submit(|run| {
                for number in 0..25 {
                    let kernel = if failing && number == 12 { fails } else { add };
                    let cells = [Argument::InOut(&cell)];
                    let id =
                        run.submit(&Task::vector(kernel).arguments(if kernel == fails { &[] } else { &cells }))?.id;
                    ids.lock().unwrap().push(id);
                }
                Ok(())
            })
            .unwrap()
    };
    let results: Vec<bool> = (0..4).map(|at| submit(at == 2).wait().is_ok()).collect();
    assert_eq!(results, [true, true, false, true]);
    let ids = ids.into_inner().unwrap();
    assert!(ids.windows(2).all(|two| two[0] < two[1]) && ids[99].sequence() > 1 << 32);
    let stale = [prewire::Dependency::on(ids[99])];
    let failed = runtime.submit(|run| run.submit(&Task::vector(add).dependencies(&stale)).map(|_| ())).unwrap_err();
    assert!(failed.to_string().contains(&ids[99].to_string()), "{failed}");
    assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [99]);
}
