//! Fatal errors: bounded, with a hint that works, and with a runtime that runs again afterwards.

mod common;

use common::{Gate, chain, increment, small};
use prewire::{
    Argument, Builder, Condition, CoreId, DataType, Engine, ErrorCode, Failed, Fault, Kernel, KernelError, KernelId,
    NewTensor, Run, Runtime, SubmitError, Task, Tensor,
};
use std::time::{Duration, Instant};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The kernels that the provoking programs use, and a cell.
struct Bench {
    runtime: Runtime,
    plain: KernelId,
    gated: KernelId,
    defers: KernelId,
    cell: Tensor,
    gate: Gate,
    _buffer: prewire::Buffer,
}

fn bench(builder: Builder) -> Bench {
    let mut runtime =
        builder.engine(Engine::Threads).watchdog(ms(150)).data_wait(ms(80)).no_progress(ms(60)).build().unwrap();
    let gate = Gate::new();
    let plain = runtime.register(Kernel::any("plain", |_| Ok(()))).unwrap();
    let gated = runtime.register(gate.kernel("gated")).unwrap();
    // Registers as many conditions as its scalar says; the counter is null if that is 0.
    let defers = runtime
        .register(Kernel::any("defers", |kernel| {
            let count = kernel.scalar::<u32>(0)?;
            let counter = kernel.tensors()[0].first_byte();
            if count == 0 {
                kernel.complete_when(Condition { counter: 0, expected: 1 });
            }
            for _ in 0..count {
                kernel.complete_when(Condition { counter, expected: 0 });
            }
            Ok(())
        }))
        .unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    Bench { runtime, plain, gated, defers, cell, gate, _buffer: buffer }
}

fn output(elements: u32) -> Argument<'static> {
    Argument::Output(NewTensor::new(&[elements], DataType::F32))
}

/// One scope that holds eight tasks with outputs.
fn eight_in_a_scope(run: &mut Run<'_>, kernel: KernelId) -> Result<(), SubmitError> {
    run.scope(|run| {
        for _ in 0..8 {
            run.submit(&Task::vector(kernel).arguments(&[output(4)]))?;
        }
        Ok(())
    })
}

/// Eight nested scopes of three tasks with outputs each.
fn eight_nested_scopes(run: &mut Run<'_>, kernel: KernelId, depth: usize) -> Result<(), SubmitError> {
    run.scope(|run| {
        for _ in 0..3 {
            run.submit(&Task::vector(kernel).arguments(&[output(4)]))?;
        }
        if depth == 1 { Ok(()) } else { eight_nested_scopes(run, kernel, depth - 1) }
    })
}

/// One task with 16 retained producers.
fn sixteen_producers(run: &mut Run<'_>, kernel: KernelId) -> Result<(), SubmitError> {
    run.scope(|run| {
        let mut outputs = Vec::new();
        for _ in 0..16 {
            outputs.push(run.submit(&Task::vector(kernel).arguments(&[output(4)]))?.outputs[0]);
        }
        let arguments: Vec<_> = outputs.iter().map(Argument::Input).collect();
        run.submit(&Task::vector(kernel).arguments(&arguments)).map(|_| ())
    })
}

/// Sixty-five regions of one buffer in one open scope, each written by a task that owns bytes and so stays.
fn many_regions(run: &mut Run<'_>, kernel: KernelId, cells: &Tensor) -> Result<(), SubmitError> {
    run.scope(|run| {
        for at in 0..65 {
            let cell = cells.view(&[1], &[at])?;
            run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&cell), output(4)]))?;
        }
        Ok(())
    })
}

fn provoke(code: ErrorCode, bench: &mut Bench, cells: &Tensor) -> Result<prewire::Report, Failed> {
    let Bench { runtime, plain, gated, defers, cell, .. } = bench;
    let (plain, gated, defers) = (*plain, *gated, *defers);
    match code {
        ErrorCode::ScopeDeadlock => runtime.run(|run| eight_in_a_scope(run, plain)),
        ErrorCode::HeapDeadlock => {
            runtime.run(|run| run.submit(&Task::vector(plain).arguments(&[output(8192)])).map(|_| ()))
        }
        ErrorCode::WindowDeadlock => runtime.run(|run| eight_nested_scopes(run, plain, 8)),
        ErrorCode::EdgePoolOverflow => runtime.run(|run| sixteen_producers(run, plain)),
        ErrorCode::InvalidArguments => runtime.run(|run| run.submit(&Task::vector(KernelId(77))).map(|_| ())),
        ErrorCode::GangTooLarge => {
            runtime.run(|run| run.submit(&Task::vector(plain).blocks(1000).sync_start()).map(|_| ()))
        }
        ErrorCode::DataWaitTimeout => runtime.run(|run| {
            run.submit(&Task::vector(gated).arguments(&[Argument::InOut(cell)]))?;
            run.get::<u32>(cell, &[0]).map(|_| ())
        }),
        ErrorCode::ExplicitFatal => runtime.run(|run| {
            run.fail("asked to");
            Ok(())
        }),
        ErrorCode::IndexOverflow => runtime.run(|run| many_regions(run, plain, cells)),
        ErrorCode::SchedulerTimeout => {
            let hangs = runtime
                .register(Kernel::any("hangs", |kernel| {
                    while !kernel.is_cancelled() {
                        std::thread::sleep(ms(1));
                    }
                    Err(KernelError::new(KernelError::CANCELLED, "told to"))
                }))
                .unwrap();
            let result = runtime.run(|run| run.submit(&Task::vector(hangs)).map(|_| ()));
            runtime.unregister(hangs);
            result
        }
        ErrorCode::DeferredInvalid | ErrorCode::DeferredOverflow => {
            let count = if code == ErrorCode::DeferredInvalid { 0u32 } else { 65 };
            runtime.run(|run| {
                let (scalars, arguments) = ([count.into()], [Argument::InOut(cell)]);
                run.submit(&Task::vector(defers).scalars(&scalars).arguments(&arguments)).map(|_| ())
            })
        }
        ErrorCode::DeferredMalformed => {
            let cores: Vec<CoreId> = (0..runtime.chip().cores()).map(CoreId).collect();
            for &core in &cores {
                runtime.set_fault(core, Some(Fault::DamagesConditionKind));
            }
            let result = runtime.run(|run| {
                let (scalars, arguments) = ([1u32.into()], [Argument::InOut(cell)]);
                run.submit(&Task::vector(defers).scalars(&scalars).arguments(&arguments)).map(|_| ())
            });
            for &core in &cores {
                runtime.set_fault(core, None);
            }
            result
        }
    }
}

fn builder_for(code: ErrorCode) -> Builder {
    let builder = small();
    match code {
        ErrorCode::ScopeDeadlock | ErrorCode::WindowDeadlock => builder.ring_task_window(4),
        ErrorCode::HeapDeadlock => builder.ring_heap(1024),
        ErrorCode::EdgePoolOverflow => builder.ring_dep_pool(4),
        ErrorCode::IndexOverflow => builder.index_entries(64),
        _ => builder,
    }
}

/// Claims CHIP-146.
#[test]
fn after_every_fatal_the_same_runtime_runs_again() {
    for code in ErrorCode::ALL {
        let mut bench = bench(builder_for(code));
        let regions = bench.runtime.buffer(4 * 65).unwrap();
        let cells = regions.tensor(&[65], DataType::U32).unwrap();
        let increments = bench.runtime.register(increment()).unwrap();
        for round in 0..2 {
            let failed = provoke(code, &mut bench, &cells).unwrap_err();
            assert_eq!(failed.error.code(), Some(code), "{failed}");
            assert!(failed.to_string().contains(&code.number().to_string()), "{failed}");
            let before = bench.runtime.read::<u32>(&bench._buffer).unwrap()[0];
            let cell = bench.cell;
            let report = chain(&mut bench.runtime, increments, &cell, 1000)
                .unwrap_or_else(|next| panic!("after {code}, round {round}: {next}"));
            assert_eq!(report.completed, 1000);
            assert!(report.rings.iter().all(|ring| ring.left == (0, 0, 0)), "after {code}: {:?}", report.rings);
            assert_eq!(bench.runtime.read::<u32>(&bench._buffer).unwrap()[0], before + 1000, "after {code}");
        }
    }
}

/// Claims CHIP-149 (its second half: following a size hint helps; that names exist is checked by `cargo xtask tidy`).
#[test]
fn following_the_hint_makes_the_program_pass() {
    for code in [
        ErrorCode::ScopeDeadlock,
        ErrorCode::HeapDeadlock,
        ErrorCode::WindowDeadlock,
        ErrorCode::EdgePoolOverflow,
        ErrorCode::IndexOverflow,
    ] {
        let mut settings: Option<(String, String)> = None;
        // A hint is what the program is known to need so far; a program that needs more is told so again, each time nearer.
        for attempt in 0.. {
            assert!(attempt < 8, "{code}: the hints lead nowhere, last {settings:?}");
            let builder = match &settings {
                None => builder_for(code),
                Some((name, value)) => {
                    let value = value.parse::<u64>().unwrap();
                    match name.as_str() {
                        "PREWIRE_RING_TASK_WINDOW" => small().ring_task_window(value.next_power_of_two()),
                        "PREWIRE_RING_HEAP" => small().ring_heap(value),
                        "PREWIRE_RING_DEP_POOL" => small().ring_dep_pool(value),
                        "PREWIRE_INDEX_ENTRIES" => small().index_entries(value),
                        other => panic!("{code} names {other}"),
                    }
                }
            };
            let mut bench = bench(builder);
            let regions = bench.runtime.buffer(4 * 65).unwrap();
            let cells = regions.tensor(&[65], DataType::U32).unwrap();
            let Err(failed) = provoke(code, &mut bench, &cells) else { break };
            let text = failed.to_string();
            let hint = text.split("set PREWIRE_").nth(1).unwrap_or_else(|| panic!("{code} has no hint: {text}"));
            let name = format!("PREWIRE_{}", hint.split_whitespace().next().unwrap());
            let value = hint.split("at least ").nth(1).unwrap();
            settings = Some((name, value.chars().take_while(char::is_ascii_digit).collect()));
        }
    }
}

/// Claims CHIP-145 (kernels that obey cancel, orchestrators blocked on each resource; margins are generous).
#[test]
fn after_a_fatal_every_party_ends_in_bounded_time() {
    for blocked_on in ["window", "heap", "edges", "index", "get", "barrier"] {
        for engine in [Engine::Threads, Engine::Inline] {
            let builder = match blocked_on {
                "window" => small().ring_task_window(4),
                "heap" => small().ring_heap(4096),
                "edges" => small().ring_dep_pool(8),
                "index" => small().index_entries(8),
                _ => small(),
            };
            let mut runtime = builder.threads(4).engine(engine).watchdog(ms(20_000)).build().unwrap();
            let gate = Gate::new();
            let gated = runtime.register(gate.kernel("gated")).unwrap();
            let plain = runtime.register(Kernel::any("plain", |_| Ok(()))).unwrap();
            let (told, tell) = std::sync::mpsc::channel();
            // A kernel is the other thread that raises the fatal, with a registration that means nothing.
            let fatal = runtime
                .register(Kernel::any("fatal", move |kernel| {
                    std::thread::sleep(ms(30));
                    told.send(Instant::now()).unwrap();
                    kernel.complete_when(Condition { counter: 0, expected: 1 });
                    Ok(())
                }))
                .unwrap();
            let waits = runtime
                .register(Kernel::any("waits", move |kernel| {
                    if kernel.block_index() == 0 {
                        while !kernel.is_cancelled() {
                            std::thread::sleep(ms(1));
                        }
                    }
                    kernel.barrier()
                }))
                .unwrap();
            let buffer = runtime.buffer(4096).unwrap();
            let cells = buffer.tensor(&[1024], DataType::U32).unwrap();
            let cell = cells.view(&[1], &[0]).unwrap();
            let failed = runtime
                .run(|run| {
                    if blocked_on == "barrier" {
                        run.submit(&Task::vector(waits).blocks(4).sync_start())?;
                    }
                    run.submit(&Task::vector(fatal))?;
                    run.submit(&Task::vector(gated).arguments(&[Argument::InOut(&cell)]))?;
                    match blocked_on {
                        "get" => return run.get::<u32>(&cell, &[0]).map(|_| ()),
                        "barrier" => return Ok(()),
                        _ => {}
                    }
                    for at in 1..1000 {
                        let other = cells.view(&[1], &[at])?;
                        let arguments = [Argument::Input(&cell), Argument::InOut(&other), output(64)];
                        run.scope(|run| run.submit(&Task::vector(plain).arguments(&arguments)).map(|_| ()))?;
                    }
                    Ok(())
                })
                .unwrap_err();
            let since = tell.recv().unwrap().elapsed();
            assert_eq!(failed.error.code(), Some(ErrorCode::DeferredInvalid), "blocked on {blocked_on}: {failed}");
            assert!(since < ms(1000), "blocked on {blocked_on} with {engine:?}: {since:?}");
        }
    }
}

/// Claims CHIP-148.
#[test]
fn results_of_a_failed_run_are_not_copied_back() {
    let mut runtime = small().build().unwrap();
    let adds = runtime.register(increment()).unwrap();
    let fails = runtime.register(Kernel::any("fails", |_| Err(KernelError::new(3, "no")))).unwrap();
    let mut host = [1u32, 2, 3];
    runtime
        .run_staged(&mut [&mut host], |run, tensors| {
            run.submit(&Task::vector(adds).arguments(&[Argument::InOut(&tensors[0])])).map(|_| ())
        })
        .unwrap();
    assert_eq!(host, [2, 3, 4]);
    let error = runtime
        .run_staged(&mut [&mut host], |run, tensors| {
            run.submit(&Task::vector(adds).arguments(&[Argument::InOut(&tensors[0])]))?;
            run.submit(&Task::vector(fails)).map(|_| ())
        })
        .unwrap_err();
    assert_eq!(host, [2, 3, 4], "the host keeps what it had");
    assert!(error.to_string().contains("not copied back"), "{error}");
}

/// Claims CHIP-126 (the whole of it with a runtime: the message names what the awaited task is doing).
#[test]
fn a_data_wait_that_takes_too_long_says_what_it_waits_for() {
    let mut bench = bench(small());
    let cell = bench.cell;
    let gated = bench.gated;
    let failed = provoke(ErrorCode::DataWaitTimeout, &mut bench, &cell.view(&[1], &[0]).unwrap()).unwrap_err();
    assert_eq!(failed.error.code(), Some(ErrorCode::DataWaitTimeout));
    let text = failed.to_string();
    assert!(text.contains("80 ms") && text.contains("AIV_"), "{text}");
    bench.gate.open();
    bench.runtime.run(|run| run.submit(&Task::vector(gated)).map(|_| ())).unwrap();
}

/// A call that is refused on behalf of a caller in another language is the run's error, as every refused call is.
#[test]
fn a_refusal_on_behalf_of_somebody_is_the_runs() {
    let mut runtime = small().build().unwrap();
    let failed = runtime.run(|run| {
        let refused = run.refuse(prewire::Refusal::Other { text: "argument 3 is no pointer".to_owned() });
        assert!(matches!(&refused, prewire::SubmitError::Refused(_)), "{refused}");
        // The run goes on.
        run.submit(&prewire::Task::dummy()).map(|_| ())
    });
    let failed = failed.unwrap_err();
    assert_eq!(failed.error.code(), Some(prewire::ErrorCode::InvalidArguments));
    assert!(failed.error.to_string().contains("argument 3 is no pointer"), "{}", failed.error);
    assert_eq!((failed.report.tasks, failed.report.completed), (1, 1));
}
