//! What a failed kernel takes with it: what needs its data, and nothing that merely comes behind it.

mod common;

use common::{Calls, Gate, everywhere, increment, small};
use prewire::{Argument, DataType, Dependency, Kernel, KernelError, Run, RunError, SubmitError, Task, TaskId, Tensor};

/// A kernel that passes the gate and then fails.
fn fails(gate: &Gate) -> Kernel {
    let gate = gate.clone();
    Kernel::any("fails", move |kernel| {
        gate.pass(kernel)?;
        Err(KernelError::new(77, "on purpose"))
    })
}

/// Fills its only tensor.
fn fill(value: u32) -> Kernel {
    Kernel::any("fill", move |kernel| {
        kernel.output::<u32>(0)?.as_mut_slice().fill(value);
        Ok(())
    })
}

/// Why the bytes are lost, waiting for whoever should have written them.
fn lost(run: &mut Run<'_>, tensor: &Tensor) -> TaskId {
    match run.get::<u32>(tensor, &[0]) {
        Err(SubmitError::DataLost(failure)) => {
            assert_eq!((failure.code, failure.text.as_str()), (77, "on purpose"));
            failure.task
        }
        other => panic!("the data should be lost, not {other:?}"),
    }
}

/// Claims CHIP-108.
#[test]
fn whether_a_producer_failed_does_not_depend_on_when_one_asks() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Submitted {
        BeforeTheFailure,
        AfterTheFailure,
        AfterTheSlotWasUsedAgain,
    }
    use Submitted::*;
    for (chip, engine) in everywhere() {
        for when in [BeforeTheFailure, AfterTheFailure, AfterTheSlotWasUsedAgain] {
            for explicit in [true, false] {
                let mut runtime = small().platform(chip).engine(engine).ring_task_window(4).build().unwrap();
                let (gate, calls) = (Gate::new(), Calls::default());
                let failing = runtime.register(fails(&gate)).unwrap();
                let counts = runtime.register(calls.kernel("counts")).unwrap();
                let other = runtime.register(increment()).unwrap();
                let buffer = runtime.buffer(12).unwrap();
                let [written, result, beside] = [0, 4, 8].map(|at| buffer.tensor_at(at, &[1], DataType::U32).unwrap());
                let mut tasks = (TaskId::NONE, TaskId::NONE);
                let failed = runtime
                    .run(|run| {
                        let arguments = [Argument::OutputExisting(&written)];
                        tasks.0 = run.submit(&Task::vector(failing).arguments(&arguments))?.id;
                        if when != BeforeTheFailure {
                            gate.open();
                            assert_eq!(lost(run, &written), tasks.0);
                        }
                        if when == AfterTheSlotWasUsedAgain {
                            // Four slots, and twenty tasks behind it: every slot has had others.
                            for _ in 0..20 {
                                run.submit(&Task::vector(other).arguments(&[Argument::InOut(&beside)]))?;
                            }
                        }
                        let output = Argument::OutputExisting(&result);
                        let named = [Dependency::wait_only(tasks.0)];
                        let read = [Argument::Input(&written), output];
                        let consumer = match explicit {
                            true => Task::vector(counts).dependencies(&named).arguments(&read[1..]),
                            false => Task::vector(counts).arguments(&read),
                        };
                        run.submit(&consumer)?;
                        gate.open();
                        tasks.1 = lost(run, &result);
                        Ok(())
                    })
                    .unwrap_err();
                let case = format!("{chip}, {engine:?}, {when:?}, explicit: {explicit}");
                let RunError::KernelFailed { first, failed: count, unrun } = &*failed.error else {
                    panic!("{case}: {failed}")
                };
                assert_eq!((first.task, first.code, *count, *unrun), (tasks.0, 77, 1, 1), "{case}");
                assert_eq!(tasks.1, tasks.0, "{case}: the consumer has another root cause");
                assert_eq!(calls.count(), 0, "{case}: the consumer ran");
            }
        }
    }
}

/// Claims CHIP-109.
#[test]
fn failure_follows_data_and_not_order() {
    for (chip, engine) in everywhere() {
        for failed_before in [true, false] {
            let case = format!("{chip}, {engine:?}, dependents submitted after the failure: {failed_before}");
            let mut runtime = small().platform(chip).engine(engine).build().unwrap();
            let gate = Gate::new();
            let failing = runtime.register(fails(&gate)).unwrap();
            let five = runtime.register(fill(5)).unwrap();
            let copy = Kernel::any("copy", |kernel| {
                let from = kernel.input::<u32>(0)?.as_slice().to_vec();
                kernel.output::<u32>(1)?.as_mut_slice().copy_from_slice(&from);
                Ok(())
            });
            let copy = runtime.register(copy).unwrap();
            let buffer = runtime.buffer_from(&[1u32; 6 * 4]).unwrap();
            let rows = [0, 1, 2, 3, 4, 5].map(|row| buffer.tensor_at(16 * row, &[4], DataType::U32).unwrap());
            let [read, overwritten, copied, updated, unread, never] = rows;
            let failed = runtime
                .run(|run| {
                    // A reader fails, and two writers.
                    run.submit(&Task::vector(failing).arguments(&[Argument::Input(&read)]))?;
                    run.submit(&Task::vector(failing).arguments(&[Argument::OutputExisting(&overwritten)]))?;
                    run.submit(&Task::vector(failing).arguments(&[Argument::OutputExisting(&updated)]))?;
                    if failed_before {
                        gate.open();
                        lost(run, &overwritten);
                        lost(run, &updated);
                        run.set::<u32>(&read, &[3], 9)?;
                    }
                    // The bytes that were only read, and all of those that were to be written: both are written, and can be read.
                    run.submit(&Task::vector(five).arguments(&[Argument::OutputExisting(&read)]))?;
                    run.submit(&Task::vector(five).arguments(&[Argument::OutputExisting(&overwritten)]))?;
                    run.submit(
                        &Task::cube(copy)
                            .arguments(&[Argument::Input(&overwritten), Argument::OutputExisting(&copied)]),
                    )?;
                    // Whoever needs what was to be written does not run.
                    run.submit(&Task::vector(five).arguments(&[Argument::InOut(&updated)]))?;
                    run.submit(
                        &Task::cube(copy).arguments(&[Argument::Input(&updated), Argument::OutputExisting(&never)]),
                    )?;
                    let part = updated.view(&[2], &[1])?;
                    run.submit(&Task::cube(five).arguments(&[Argument::InOut(&unread), Argument::Input(&part)]))?;
                    gate.open();
                    Ok(())
                })
                .unwrap_err();
            let RunError::KernelFailed { failed: count, unrun, .. } = &*failed.error else {
                panic!("{case}: {failed}")
            };
            assert_eq!((*count, *unrun), (3, 3), "{case}");
            let values = runtime.read::<u32>(&buffer).unwrap();
            let rows: Vec<_> = values.chunks(4).collect();
            assert_eq!(rows[..3], [[5; 4]; 3], "{case}: read, overwritten, copied");
            assert_eq!(rows[3..], [[1; 4]; 3], "{case}: updated, unread, never");
        }
    }
}
