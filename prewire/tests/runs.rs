//! Several runs in flight: they are built while others run, and run whole and in order.

mod common;

use common::{Calls, Gate, eventually, increment};
use prewire::{Argument, CoreId, DataType, Engine, Kernel, KernelError, NewTensor, Placement, Runtime, Task};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Schedulers with threads of their own, and cores with theirs, so that a held kernel holds nobody else.
fn runtime(depth: usize) -> Runtime {
    common::small().engine(Engine::Threads).threads(3).runs_in_flight(depth).build().unwrap()
}

/// A kernel that notes its scalar in a common list.
fn notes(list: &Arc<Mutex<Vec<u32>>>) -> Kernel {
    let list = list.clone();
    Kernel::any("notes", move |kernel| {
        list.lock().unwrap().push(kernel.scalar(0)?);
        Ok(())
    })
}

/// The engine's part of HOST-126: submit returns while the run goes on; a wait that is too short loses nothing, and all who wait are told the same.
#[test]
fn whoever_waits_is_told_the_same() {
    for failing in [false, true] {
        let mut runtime = runtime(2);
        let gate = Gate::new();
        let hold = {
            let gate = gate.clone();
            runtime
                .register(Kernel::any("holds", move |kernel| {
                    gate.pass(kernel)?;
                    if failing { Err(KernelError::new(42, "in the end")) } else { Ok(()) }
                }))
                .unwrap()
        };
        let handle = runtime.submit(|run| run.submit(&Task::vector(hold)).map(|_| ())).unwrap();
        eventually("held", || gate.arrived() == 1);
        assert!(handle.wait_timeout(Duration::from_millis(10)).is_none() && !handle.is_over());
        let told: Vec<String> = std::thread::scope(|scope| {
            let waiters: Vec<_> = (0..8)
                .map(|_| {
                    let handle = handle.clone();
                    scope.spawn(move || match handle.wait() {
                        Ok(report) => format!("{} of {}", report.completed, report.run),
                        Err(failed) => failed.to_string(),
                    })
                })
                .collect();
            gate.open();
            waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect()
        });
        assert!(told.iter().all(|text| *text == told[0]), "{told:?}");
        assert!(if failing { told[0].contains("in the end") } else { told[0] == "1 of 1" }, "{told:?}");
        assert_eq!(handle.wait_timeout(Duration::ZERO).unwrap().is_err(), failing);
    }
}

/// The engine's part of HOST-127: with a depth of 2 the second run is built while the first is held, the third is not; and the second's tasks start as soon as
/// the first is over although its own callback is still open.
#[test]
fn the_next_run_is_built_while_one_runs() {
    let mut runtime = runtime(2);
    let (first, second) = (Gate::new(), Calls::default());
    let holds = runtime.register(first.kernel("holds")).unwrap();
    let counts = runtime.register(second.kernel("counts")).unwrap();
    let (third_begun, built) = (AtomicBool::new(false), AtomicBool::new(false));
    let handle = runtime.submit(|run| run.submit(&Task::vector(holds)).map(|_| ())).unwrap();
    eventually("held", || first.arrived() == 1);
    std::thread::scope(|scope| {
        let runtime = &runtime;
        let (second, first, third_begun, built) = (&second, &first, &third_begun, &built);
        scope.spawn(move || {
            let handle = runtime
                .submit(|run| {
                    for _ in 0..10 {
                        run.submit(&Task::vector(counts))?;
                    }
                    built.store(true, Ordering::Release);
                    // Its tasks run while the callback waits for them.
                    eventually("the second run goes on", || second.count() == 10);
                    run.submit(&Task::vector(counts)).map(|_| ())
                })
                .unwrap();
            assert_eq!(handle.wait().unwrap().completed, 11);
        });
        eventually("built", || built.load(Ordering::Acquire));
        let third = scope.spawn(move || {
            runtime
                .submit(|run| {
                    third_begun.store(true, Ordering::Release);
                    run.submit(&Task::vector(counts)).map(|_| ())
                })
                .unwrap()
                .wait()
                .unwrap()
        });
        std::thread::sleep(Duration::from_millis(20));
        assert!(!third_begun.load(Ordering::Acquire) && second.count() == 0 && !handle.is_over());
        first.open();
        assert_eq!(handle.wait().unwrap().run, 1);
        assert_eq!(third.join().unwrap().run, 3);
    });
    assert_eq!(second.count(), 12);
}

/// The engine's part of HOST-128: runs execute whole and in order: nothing of the second starts while the first is held, and a task of the first that becomes
/// ready late comes before all of them.
#[test]
fn runs_execute_whole_and_in_order() {
    let mut runtime = runtime(2);
    let (gate, order) = (Gate::new(), Arc::new(Mutex::new(Vec::new())));
    let holds = runtime.register(gate.kernel("holds")).unwrap();
    let notes = runtime.register(notes(&order)).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    let idle = Placement::Core(CoreId(5));
    let first = runtime
        .submit(|run| {
            run.submit(
                &Task::vector(holds).arguments(&[Argument::InOut(&cell)]).placement(Placement::Core(CoreId(4))),
            )?;
            run.submit(
                &Task::vector(notes).arguments(&[Argument::Input(&cell)]).scalars(&[0u32.into()]).placement(idle),
            )?;
            Ok(())
        })
        .unwrap();
    let second = runtime
        .submit(|run| {
            let own = run.allocate(&[NewTensor::new(&[1], DataType::U32)])?.outputs[0];
            for number in 1..=100u32 {
                let scalars = [number.into()];
                let task = Task::vector(notes).scalars(&scalars).placement(idle);
                // Some of them wait for nothing, some for an allocation, some for one another.
                match number % 3 {
                    0 => run.submit(&task)?,
                    1 => run.submit(&task.arguments(&[Argument::InOut(&own)]))?,
                    _ => run.submit(&task.arguments(&[Argument::Input(&own)]))?,
                };
            }
            Ok(())
        })
        .unwrap();
    eventually("held", || gate.arrived() == 1);
    std::thread::sleep(Duration::from_millis(20));
    assert!(order.lock().unwrap().is_empty() && !second.is_over());
    gate.open();
    assert_eq!((first.wait().unwrap().completed, second.wait().unwrap().completed), (2, 101));
    let order = order.lock().unwrap();
    assert_eq!((order.len(), order[0]), (101, 0));
}

/// What a waiting run is built of is its own: it looks at data only when the runs before it are over, and more tasks than its window has room for wait for them.
#[test]
fn a_waiting_run_waits_for_data_and_for_room() {
    for get in [true, false] {
        let mut runtime = runtime(2);
        let gate = Gate::new();
        let slow = {
            let gate = gate.clone();
            runtime
                .register(Kernel::any("slow", move |kernel| {
                    gate.pass(kernel)?;
                    kernel.output::<u32>(0)?.set(&[0], 7);
                    Ok(())
                }))
                .unwrap()
        };
        let add = runtime.register(increment()).unwrap();
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        let first = runtime
            .submit(|run| run.submit(&Task::vector(slow).arguments(&[Argument::InOut(&cell)])).map(|_| ()))
            .unwrap();
        eventually("held", || gate.arrived() == 1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                gate.open();
            });
            let second = runtime
                .submit(|run| {
                    if get {
                        assert_eq!(run.get::<u32>(&cell, &[0])?, 7);
                        assert!(first.is_over());
                    }
                    for _ in 0..1000 {
                        run.submit(&Task::vector(add).arguments(&[Argument::InOut(&cell)]))?;
                    }
                    Ok(())
                })
                .unwrap();
            assert_eq!(second.wait().unwrap().completed, 1000);
        });
        assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [1007]);
    }
}

/// Where no scheduler has a thread whoever waits drives, and in virtual time a run is over when its submit returns.
#[test]
fn runs_without_threads() {
    let virtual_time = Engine::Virtual { seed: 1 };
    for (engine, single) in [(Engine::Inline, true), (Engine::Threads, true), (virtual_time, false)] {
        let mut runtime =
            common::small().engine(engine).threads(3).single_thread(single).runs_in_flight(2).build().unwrap();
        let add = runtime.register(increment()).unwrap();
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        let mut handles = Vec::new();
        for _ in 0..20 {
            let submitted = runtime.submit(|run| {
                for _ in 0..10 {
                    run.submit(&Task::vector(add).arguments(&[Argument::InOut(&cell)]))?;
                }
                Ok(())
            });
            handles.push(submitted.unwrap());
            assert!(single || handles.iter().all(|handle| handle.is_over()));
        }
        assert!(handles.iter().rev().all(|handle| handle.wait().unwrap().completed == 10));
        assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [200]);
        let failed = runtime.submit(|run| Err(run.fail("enough"))).unwrap_err();
        assert!(failed.to_string().contains("enough"), "{failed}");
    }
}
