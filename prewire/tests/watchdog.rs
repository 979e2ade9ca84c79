//! The watchdog on threads: what it finds, what it names, and what it leaves alone. Exact times are virtual time's; margins here are generous.

mod common;

use common::{Gate, chain, eventually, increment, small};
use prewire::{
    Argument, DataType, Engine, ErrorCode, Failed, Fatal, Kernel, KernelError, RunError, Runtime, StallClass,
    StallReport, Task,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A kernel that ends only when its run is cancelled.
fn hangs() -> Kernel {
    Kernel::any("hangs", |kernel| {
        while !kernel.is_cancelled() {
            kernel.relax();
            std::thread::sleep(ms(1));
        }
        Err(KernelError::new(KernelError::CANCELLED, "told to end"))
    })
}

/// A kernel that sleeps, for as many milliseconds as its scalar says.
fn sleeps() -> Kernel {
    Kernel::any("sleeps", |kernel| {
        std::thread::sleep(ms(kernel.scalar::<u64>(0)?));
        Ok(())
    })
}

fn stall(failed: &Failed) -> &StallReport {
    match &*failed.error {
        RunError::Fatal(Fatal::Stalled(report)) => report,
        other => panic!("{other}"),
    }
}

fn three_schedulers() -> Runtime {
    Runtime::builder()
        .threads(4)
        .engine(Engine::Threads)
        .clusters(6)
        .watchdog(ms(200))
        .ring_task_window(64)
        .build()
        .unwrap()
}

/// Claims CHIP-129.
#[test]
fn an_idle_thread_never_kills_a_working_sibling() {
    let mut runtime = three_schedulers();
    let kernel = runtime.register(sleeps()).unwrap();
    // Ten budgets per task in the row; here the same ratio with shorter times, thirty rounds.
    for round in 0..30 {
        let scalars = [if round == 0 { 2000u64 } else { 220 }.into()];
        let task = Task::vector(kernel).scalars(&scalars).budget(ms(5000));
        runtime.run(|run| run.submit(&task).map(|_| ())).unwrap_or_else(|failed| panic!("round {round}: {failed}"));
    }
}

/// Claims CHIP-131 and CHIP-140 (the latter with the inline engine, where the owner itself is inside the kernel).
#[test]
fn a_stuck_task_is_reported_in_time() {
    for engine in [Engine::Threads, Engine::Inline] {
        let mut runtime = small().engine(engine).watchdog(ms(100)).build().unwrap();
        let hang = runtime.register(hangs()).unwrap();
        let fine = runtime.register(increment()).unwrap();
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        for round in 0..30 {
            let begun = Instant::now();
            let failed = runtime.run(|run| run.submit(&Task::vector(hang)).map(|_| ())).unwrap_err();
            assert!(begun.elapsed() >= ms(100), "round {round}: latched before the budget was over");
            let report = stall(&failed);
            assert_eq!((report.class, report.running, report.budget_ms), (StallClass::RunningStalled, 1, 100));
            assert_eq!(report.running_tasks[0].kernel, "hangs");
            assert!(report.running_tasks[0].core.starts_with("AIV_"));
            assert!(report.running_tasks[0].running_ms >= 100);
            chain(&mut runtime, fine, &cell, 10).unwrap();
        }
        assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [300], "usable again each time");
    }
}

/// Claims CHIP-134 (on threads; `virtual_fairness.rs` has the row's own figures in virtual time).
#[test]
fn the_clock_of_a_task_starts_when_its_core_starts_it() {
    let mut runtime =
        Runtime::builder().threads(2).engine(Engine::Threads).clusters(1).watchdog(ms(250)).build().unwrap();
    let kernel = runtime.register(sleeps()).unwrap();
    let scalars = [200u64.into()];
    let long = [600u64.into()];
    runtime
        .run(|run| {
            // Two vector cores: behind each running task others are pre-loaded or wait in the queue far longer than the budget.
            for _ in 0..2 {
                run.submit(&Task::vector(kernel).scalars(&long).budget(ms(2000)))?;
            }
            for _ in 0..6 {
                run.submit(&Task::vector(kernel).scalars(&scalars))?;
            }
            Ok(())
        })
        .unwrap();
}

/// Claims CHIP-135.
#[test]
fn a_kernel_can_prove_that_it_lives_and_a_task_may_have_a_budget() {
    for engine in [Engine::Threads, Engine::Inline] {
        let mut runtime = small().engine(engine).watchdog(ms(150)).build().unwrap();
        let alive = runtime
            .register(Kernel::any("alive", |kernel| {
                let (beats, then_hang) = (kernel.scalar::<u32>(0)?, kernel.scalar::<u32>(1)? != 0);
                for _ in 0..beats {
                    std::thread::sleep(ms(40));
                    kernel.alive();
                }
                while then_hang && !kernel.is_cancelled() {
                    std::thread::sleep(ms(1));
                }
                Ok(())
            }))
            .unwrap();
        let sleep = runtime.register(sleeps()).unwrap();
        runtime.run(|run| run.submit(&Task::vector(alive).scalars(&[15u32.into(), 0u32.into()])).map(|_| ())).unwrap();

        let begun = Instant::now();
        let failed = runtime
            .run(|run| run.submit(&Task::vector(alive).scalars(&[10u32.into(), 1u32.into()])).map(|_| ()))
            .unwrap_err();
        assert!(begun.elapsed() >= ms(400 + 150), "latched a budget after the last sign of life, not before");
        assert_eq!(stall(&failed).running_tasks[0].budget_ms, 150);

        runtime
            .run(|run| run.submit(&Task::vector(sleep).scalars(&[500u64.into()]).budget(ms(2000))).map(|_| ()))
            .unwrap();
        let failed = runtime
            .run(|run| run.submit(&Task::vector(alive).scalars(&[0u32.into(), 1u32.into()]).budget(ms(60))).map(|_| ()))
            .unwrap_err();
        assert!(failed.to_string().contains("budget 60 ms"), "{failed}");

        let failed =
            runtime.run(|run| run.submit(&Task::vector(sleep).budget(Duration::ZERO)).map(|_| ())).unwrap_err();
        assert_eq!(failed.error.code(), Some(ErrorCode::InvalidArguments));
    }
}

/// Claims CHIP-136.
#[test]
fn a_slow_orchestration_is_no_stall() {
    for engine in [Engine::Threads, Engine::Inline] {
        let mut runtime = small().engine(engine).watchdog(ms(100)).build().unwrap();
        let kernel = runtime.register(sleeps()).unwrap();
        runtime
            .run(|run| {
                run.submit(&Task::vector(kernel).scalars(&[0u64.into()]))?;
                std::thread::sleep(ms(500));
                run.submit(&Task::vector(kernel).scalars(&[700u64.into()]).budget(ms(5000)))?;
                std::thread::sleep(ms(500));
                run.submit(&Task::vector(kernel).scalars(&[0u64.into()]))?;
                Ok(())
            })
            .unwrap();
    }
}

/// Claims CHIP-138 (the class of a running stall and what the report lists; the other classes are asserted beside the watchdog itself).
#[test]
fn the_report_names_the_culprit_and_a_few_of_those_that_wait() {
    let mut runtime = small().engine(Engine::Threads).watchdog(ms(150)).ring_task_window(2048).build().unwrap();
    let hang = runtime.register(hangs()).unwrap();
    let fine = runtime.register(increment()).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    let failed = runtime
        .run(|run| {
            run.submit(&Task::vector(hang).arguments(&[Argument::InOut(&cell)]))?;
            for _ in 0..1000 {
                run.submit(&Task::vector(fine).arguments(&[Argument::InOut(&cell)]))?;
            }
            Ok(())
        })
        .unwrap_err();
    let report = stall(&failed);
    assert_eq!((report.running, report.waiting, report.submitted, report.completed), (1, 1000, 1001, 0));
    assert!(report.orchestration_done);
    assert_eq!((report.running_tasks.len(), report.waiting_tasks.len()), (1, 4));
    let culprit = report.running_tasks[0].task;
    assert!(report.waiting_tasks[0].missing.contains(&culprit), "{report}");
    assert!(failed.to_string().contains(&culprit.to_string()));
}

/// Claims CHIP-139.
#[test]
fn the_root_cause_surfaces_while_the_orchestrator_is_blocked() {
    for blocked_on in ["edges", "heap", "window", "get"] {
        let mut builder = small().engine(Engine::Threads).watchdog(ms(120)).no_progress(ms(25));
        builder = match blocked_on {
            "edges" => builder.ring_dep_pool(8),
            "heap" => builder.ring_heap(4096),
            "window" => builder.ring_task_window(4),
            _ => builder,
        };
        let mut runtime = builder.build().unwrap();
        let hang = runtime.register(hangs()).unwrap();
        let fine = runtime.register(Kernel::any("fine", |_| Ok(()))).unwrap();
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        for round in 0..30 {
            let failed = runtime
                .run(|run| {
                    run.submit(&Task::vector(hang).arguments(&[Argument::InOut(&cell)]))?;
                    if blocked_on == "get" {
                        return run.get::<u32>(&cell, &[0]).map(|_| ());
                    }
                    for _ in 0..100 {
                        run.scope(|run| {
                            let output = Argument::Output(prewire::NewTensor::new(&[256], DataType::F32));
                            run.submit(&Task::vector(fine).arguments(&[Argument::Input(&cell), output])).map(|_| ())
                        })?;
                    }
                    Ok(())
                })
                .unwrap_err();
            assert_eq!(failed.error.code(), Some(ErrorCode::SchedulerTimeout), "{blocked_on}, round {round}: {failed}");
        }
    }
}

/// Claims CHIP-141.
#[test]
fn the_budget_is_configurable_and_checked() {
    let nothing = |_: &str| None;
    for chip in prewire::Chip::ALL {
        let mut runtime = Runtime::builder().platform(chip).build_in(&nothing).unwrap();
        assert_eq!(runtime.run(|_| Ok(())).unwrap().watchdog, ms(10_000));
    }
    let from = |value: &'static str| move |name: &str| (name == "PREWIRE_WATCHDOG_MS").then(|| value.to_owned());
    let mut runtime = small().build_in(&from("2500")).unwrap();
    assert_eq!(runtime.run(|_| Ok(())).unwrap().watchdog, ms(2500));
    let mut runtime = small().watchdog(ms(700)).build_in(&from("2500")).unwrap();
    assert_eq!(runtime.run(|_| Ok(())).unwrap().watchdog, ms(700), "the builder beats the environment");
    for wrong in ["0", "-5", "abc"] {
        let error = small().build_in(&from(wrong)).unwrap_err().to_string();
        assert!(error.contains("PREWIRE_WATCHDOG_MS") && error.contains(wrong), "{error}");
    }
}

/// Claims CHIP-133 (its run-time half: two chips whose kernels wait for each other start apart; the late handshake is asserted with the platform).
#[test]
fn start_up_skew_is_survived() {
    let meet = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let wait_for = |me: usize, meet: Arc<[AtomicU32; 2]>| {
        Kernel::any("meets the other chip", move |kernel| {
            meet[me].fetch_add(1, Ordering::AcqRel);
            let mine = meet[me].load(Ordering::Acquire);
            while meet[1 - me].load(Ordering::Acquire) < mine {
                if kernel.is_cancelled() {
                    return Err(KernelError::new(KernelError::CANCELLED, "cancelled"));
                }
                std::thread::sleep(ms(1));
            }
            Ok(())
        })
    };
    let mut chips: Vec<Runtime> =
        (0..2).map(|_| small().engine(Engine::Threads).watchdog(ms(2000)).build().unwrap()).collect();
    let kernels: Vec<_> =
        chips.iter_mut().enumerate().map(|(me, chip)| chip.register(wait_for(me, meet.clone())).unwrap()).collect();
    for skew in std::iter::repeat_n(ms(49), 30).chain([ms(750)]) {
        std::thread::scope(|threads| {
            for (me, (chip, kernel)) in chips.iter_mut().zip(&kernels).enumerate() {
                threads.spawn(move || {
                    std::thread::sleep(skew * me as u32);
                    chip.run(|run| run.submit(&Task::vector(*kernel)).map(|_| ())).unwrap();
                });
            }
        });
    }
}

/// Claims CHIP-165.
#[test]
fn a_kernel_that_ignores_cancel_cannot_hang_the_caller() {
    for engine in [Engine::Threads, Engine::Inline] {
        let gate = Gate::new();
        let mut runtime = small().engine(engine).watchdog(ms(150)).build().unwrap();
        let stubborn = {
            let gate = gate.clone();
            let started = Instant::now();
            runtime
                .register(Kernel::any("stubborn", move |kernel| {
                    let mut cells = kernel.output::<u32>(0)?;
                    while !gate.is_open() && started.elapsed() < Duration::from_secs(20) {
                        for cell in cells.as_mut_slice() {
                            *cell = cell.wrapping_add(1);
                        }
                        std::thread::sleep(ms(1));
                    }
                    Ok(())
                }))
                .unwrap()
        };
        let fine = runtime.register(increment()).unwrap();
        let buffer = runtime.buffer(4096).unwrap();
        let cells = buffer.tensor(&[1024], DataType::U32).unwrap();
        let begun = Instant::now();
        let failed = runtime
            .run(|run| run.submit(&Task::vector(stubborn).arguments(&[Argument::InOut(&cells)])).map(|_| ()))
            .unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(4), "the caller came back");
        assert_eq!(failed.error.code(), Some(ErrorCode::SchedulerTimeout));
        // The buffer's owner goes; its bytes must stay, since the kernel still writes them.
        drop(buffer);
        let other = runtime.buffer(4).unwrap();
        let cell = other.tensor(&[1], DataType::U32).unwrap();
        match chain(&mut runtime, fine, &cell, 10) {
            Ok(_) => {}
            Err(failed) => {
                assert!(matches!(*failed.error, RunError::NotStarted { .. }), "{failed}");
                assert!(failed.to_string().contains("AIV_") || failed.to_string().contains("scheduler"), "{failed}");
            }
        }
        gate.open();
        eventually("a run after the kernel's end", || chain(&mut runtime, fine, &cell, 10).is_ok());
    }
}
