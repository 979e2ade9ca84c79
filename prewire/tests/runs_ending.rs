//! Runs that end badly, and the runs behind them.

mod common;

use common::{Calls, Gate, eventually};
use prewire::{
    Argument, DataType, Engine, ErrorCode, Kernel, KernelError, NewTensor, RunError, Runtime, SubmitError, Task,
};
use std::time::Duration;

/// Schedulers with threads of their own, and cores with theirs, so that a held kernel holds nobody else.
fn runtime(depth: usize) -> Runtime {
    common::small().engine(Engine::Threads).threads(3).runs_in_flight(depth).build().unwrap()
}

/// The engine's part of HOST-129: however the first run ends, the one behind it runs completely and knows nothing of it.
#[test]
fn a_run_that_ends_badly_leaves_the_next_alone() {
    for round in 0..30 {
        let mut runtime = runtime(2);
        let (gate, ran) = (Gate::new(), Calls::default());
        let holds = {
            let gate = gate.clone();
            runtime
                .register(Kernel::any("holds", move |kernel| {
                    gate.pass(kernel)?;
                    Err(KernelError::new(1, "on purpose"))
                }))
                .unwrap()
        };
        let counts = runtime.register(ran.kernel("counts")).unwrap();
        let never = runtime.register(Kernel::any("never", |_| panic!("it depends on what fails"))).unwrap();
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        let first = runtime
            .submit(|run| {
                run.submit(&Task::vector(holds).arguments(&[Argument::InOut(&cell)]))?;
                for _ in 0..50 {
                    run.submit(&Task::vector(never).arguments(&[Argument::InOut(&cell)]))?;
                }
                Ok(())
            })
            .unwrap();
        eventually("held", || gate.arrived() == 1);
        let second = runtime
            .submit(|run| {
                for _ in 0..20 {
                    // The bytes that the first run's failed task was to write are nobody's failure here.
                    run.submit(&Task::vector(counts).arguments(&[Argument::InOut(&cell)]))?;
                }
                Ok(())
            })
            .unwrap();
        let cancelled = round % 2 == 0;
        if cancelled {
            assert!(first.cancel("no more of it") && !first.cancel("twice"));
        } else {
            gate.open();
        }
        let failed = first.wait().unwrap_err();
        if cancelled {
            assert_eq!(failed.error.code(), Some(ErrorCode::ExplicitFatal));
            assert!(failed.to_string().contains("run 1 was cancelled") && failed.to_string().contains("no more of it"));
        } else {
            assert!(matches!(&*failed.error, RunError::KernelFailed { failed: 1, unrun: 50, .. }), "{failed}");
        }
        let report = second.wait().unwrap();
        assert_eq!((report.run, report.completed, report.failed, report.unrun), (2, 20, 0, 0));
        assert!(report.notes.is_empty(), "{:?}", report.notes);
        assert_eq!(ran.count(), 20);
        assert!(!first.cancel("it is over") && !second.cancel("it is over"));
        gate.open();
        assert_eq!(runtime.run(|run| run.submit(&Task::vector(counts)).map(|_| ())).unwrap().run, 3);
    }
}

/// The engine's part of HOST-130: when the callback of the second run fails while the first is held, submit returns that error at once, nothing of the run ever
/// runs, its place in the depth is free, and the first completes. The same holds when the second run is cancelled.
#[test]
fn a_failed_callback_ends_only_its_run() {
    let mut runtime = runtime(2);
    let (gate, ran) = (Gate::new(), Calls::default());
    let holds = runtime.register(gate.kernel("holds")).unwrap();
    let counts = runtime.register(ran.kernel("counts")).unwrap();
    let first = runtime.submit(|run| run.submit(&Task::vector(holds)).map(|_| ())).unwrap();
    eventually("held", || gate.arrived() == 1);
    // What they had in the rings comes back in order, so behind the first run's.
    for _ in 0..8 {
        let failed = runtime
            .submit(|run| {
                for _ in 0..10 {
                    run.submit(&Task::vector(counts))?;
                }
                run.submit(&Task::vector(prewire::KernelId(77))).map(|_| ())
            })
            .unwrap_err();
        assert!(matches!(*failed.error, RunError::Refused(_)) && failed.to_string().contains("77"), "{failed}");
        assert_eq!((failed.report.tasks, failed.report.completed), (10, 0));
        let cancelled = runtime.submit(|run| run.submit(&Task::vector(counts)).map(|_| ())).unwrap();
        assert!(cancelled.cancel(""));
        assert!(cancelled.wait().unwrap_err().to_string().contains("was cancelled"));
    }
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.submit(|run| {
            run.submit(&Task::vector(counts))?;
            panic!("in a callback")
        })
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"in a callback"));
    let last = runtime.submit(|run| run.submit(&Task::vector(counts)).map(|_| ())).unwrap();
    assert!(ran.count() == 0 && !first.is_over());
    gate.open();
    assert_eq!(first.wait().unwrap().completed, 1);
    assert_eq!(last.wait().unwrap().completed, 1);
    assert_eq!(ran.count(), 1);
}

/// The engine's part of HOST-079: a callback that returns an error behind ten submits, two of which run, makes submit return it when those two have ended; the
/// others never run, nothing is left in use, and the next run succeeds. A panic goes the same way.
#[test]
fn a_failed_callback_waits_for_what_runs() {
    for panics in [false, true] {
        let mut runtime = runtime(2);
        let (gate, ended, never) = (Gate::new(), Calls::default(), Calls::default());
        let holds = {
            let (gate, ended) = (gate.clone(), ended.clone());
            runtime
                .register(Kernel::any("holds", move |kernel| {
                    let passed = gate.pass(kernel);
                    std::thread::sleep(Duration::from_millis(10));
                    ended.one();
                    passed
                }))
                .unwrap()
        };
        let counts = runtime.register(never.kernel("never")).unwrap();
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.submit(|run| {
                run.open_scope(prewire::ScopeMode::Automatic)?;
                let own = [Argument::Input(&cell), Argument::Output(NewTensor::new(&[64], DataType::U32))];
                run.submit(&Task::vector(holds).arguments(&own))?;
                run.submit(&Task::vector(holds).arguments(&own))?;
                for _ in 0..8 {
                    run.submit(&Task::vector(counts).arguments(&[Argument::InOut(&cell)]))?;
                }
                eventually("two run", || gate.arrived() == 2);
                assert!(!panics, "a panic in a callback");
                Err(SubmitError::Refused(prewire::Refusal::Other { text: "of my own".to_owned() }))
            })
        }));
        assert_eq!((ended.count(), never.count()), (2, 0));
        match result {
            Ok(submitted) => {
                let failed = submitted.unwrap_err();
                assert!(!panics && failed.to_string().contains("of my own"), "{failed}");
                assert!(failed.report.rings.iter().all(|ring| ring.left == (0, 0, 0)), "{:?}", failed.report.rings);
                assert_eq!(failed.report.scopes_left_open, 1);
            }
            Err(_) => assert!(panics),
        }
        let report = runtime.submit(|run| run.submit(&Task::vector(counts)).map(|_| ())).unwrap().wait().unwrap();
        assert_eq!((report.run, report.completed, never.count()), (2, 1, 1));
    }
}

/// A tensor that outlives its buffer names no memory any more: it is refused, and the bytes of a buffer that is dropped while a run uses it stay until then.
#[test]
fn a_dropped_buffer_is_freed_behind_its_runs() {
    let mut runtime = runtime(2);
    let (gate, seen) = (Gate::new(), Calls::default());
    let reads = {
        let (gate, seen) = (gate.clone(), seen.clone());
        runtime
            .register(Kernel::any("reads", move |kernel| {
                gate.pass(kernel)?;
                if kernel.input::<u32>(0)?.as_slice().iter().all(|&value| value == 9) {
                    seen.one();
                }
                Ok(())
            }))
            .unwrap()
    };
    let buffer = runtime.buffer_from(&[9u32; 4096]).unwrap();
    let tensor = buffer.tensor(&[4096], DataType::U32).unwrap();
    let held =
        runtime.submit(|run| run.submit(&Task::vector(reads).arguments(&[Argument::Input(&tensor)])).map(|_| ()));
    eventually("held", || gate.arrived() == 1);
    drop(buffer);
    let others: Vec<_> = (0..8).map(|_| runtime.buffer(4 * 4096).unwrap()).collect();
    gate.open();
    held.unwrap().wait().unwrap();
    assert_eq!(seen.count(), 1);
    drop(others);
    let failed = runtime
        .run(|run| run.submit(&Task::vector(reads).arguments(&[Argument::Input(&tensor)])).map(|_| ()))
        .unwrap_err();
    assert!(failed.to_string().contains("no memory of this runtime"), "{failed}");
}
