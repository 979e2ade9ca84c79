//! Groups: tasks whose blocks have arguments, and perhaps cores, of their own and start together or not at all.

mod common;

use common::{Calls, Gate, eventually};
use prewire::{
    Argument, CoreId, DataType, Engine, Kernel, KernelError, KernelId, Member, NewTensor, Placement, RunError, Runtime,
    Scalar, Task,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A member's number, its core, where its arguments lie, and where its first tensor does.
type Seen = (u32, u16, usize, u64);

const ENGINES: [Engine; 2] = [Engine::Inline, Engine::Threads];

/// Four clusters over several schedulers: vector cores 4 to 11.
fn runtime(engine: Engine, threads: i64) -> Runtime {
    common::small().threads(threads).engine(engine).watchdog(Duration::from_secs(10)).build().unwrap()
}

fn vector(number: u16) -> CoreId {
    CoreId(4 + number)
}

fn check(right: bool, what: impl Into<String>) -> Result<(), KernelError> {
    if right { Ok(()) } else { Err(KernelError::new(1, what)) }
}

/// The engine's part of HOST-023 and HOST-045: member i has exactly its own arguments, which lie in the task's stored argument block, and runs on the core
/// that is named for it; what members depend on is waited for once, and a consumer of any member's output starts behind both.
#[test]
fn each_member_has_its_own_arguments_and_core() {
    for (engine, threads) in ENGINES.into_iter().flat_map(|engine| [(engine, 2), (engine, 4)]) {
        let mut runtime = runtime(engine, threads);
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let member = {
            let seen = seen.clone();
            runtime
                .register(Kernel::vector("member", move |kernel| {
                    let number = kernel.block_index();
                    check(kernel.tensors().len() == 1 + number as usize % 3, "as many tensors as it was given")?;
                    check(kernel.scalar_count() == number as usize * 3, "as many scalars as it was given")?;
                    for at in 0..kernel.scalar_count() {
                        check(kernel.scalar::<u32>(at)? == 100 * number + at as u32, "its own scalars")?;
                    }
                    let from = if number.is_multiple_of(3) { 0 } else { kernel.input::<u32>(1)?.get(&[0]) };
                    kernel.output::<u32>(0)?.set(&[0], 1000 + 10 * number + from);
                    kernel.barrier()?;
                    let payload = kernel.payload();
                    seen.lock().unwrap().push((
                        number,
                        payload.core.0,
                        payload.tensors as usize,
                        kernel.tensors()[0].first_byte(),
                    ));
                    Ok(())
                }))
                .unwrap()
        };
        let gate = Gate::new();
        let passed = gate.clone();
        let produces = runtime
            .register(Kernel::vector("produces", move |kernel| {
                passed.pass(kernel)?;
                kernel.output::<u32>(0)?.set(&[0], 7);
                Ok(())
            }))
            .unwrap();
        let adds = runtime
            .register(Kernel::vector("adds", |kernel| {
                let sum = (1..6).map(|at| kernel.input::<u32>(at).unwrap().get(&[0])).sum();
                kernel.output::<u32>(0)?.set(&[0], sum);
                Ok(())
            }))
            .unwrap();
        let (results, sum) = (runtime.buffer(20).unwrap(), runtime.buffer(4).unwrap());
        let results: Vec<_> = (0..5).map(|at| results.tensor_at(4 * at, &[1], DataType::U32).unwrap()).collect();
        let total = sum.tensor(&[1], DataType::U32).unwrap();
        let cores = [vector(5), vector(0), vector(3), vector(7), vector(2)];
        for _ in 0..20 {
            runtime
                .run(|run| {
                    let produced = run.submit(
                        &Task::vector(produces).arguments(&[Argument::Output(NewTensor::new(&[1], DataType::U32))]),
                    )?;
                    let produced = produced.outputs[0];
                    let arguments: Vec<Vec<Argument<'_>>> = (0..5)
                        .map(|number| {
                            let mut own = vec![Argument::OutputExisting(&results[number])];
                            own.extend((0..number % 3).map(|_| Argument::Input(&produced)));
                            own
                        })
                        .collect();
                    let scalars: Vec<Vec<Scalar>> = (0..5u32)
                        .map(|number| (0..3 * number).map(|at| Scalar::from(100 * number + at)).collect())
                        .collect();
                    let members: Vec<_> = arguments
                        .iter()
                        .zip(&scalars)
                        .map(|(own, scalars)| Member::new(own).scalars(scalars))
                        .collect();
                    run.submit(&Task::vector(member).group(&members).placement(Placement::Cores(&cores)))?;
                    let mut inputs = vec![Argument::OutputExisting(&total)];
                    inputs.extend(results.iter().map(Argument::Input));
                    run.submit(&Task::vector(adds).arguments(&inputs))?;
                    gate.open();
                    Ok(())
                })
                .unwrap();
            assert_eq!(runtime.read::<u32>(&sum).unwrap(), [5000 + 100 + 3 * 7]);
            let mut seen = std::mem::take(&mut *seen.lock().unwrap());
            seen.sort_unstable();
            let places: Vec<_> = seen.iter().map(|&(_, core, ..)| CoreId(core)).collect();
            assert_eq!(places, cores);
            let spans: Vec<_> = seen.iter().map(|&(_, _, span, _)| span).collect();
            // Members lie one behind the other, or the next one begins a new segment: so many units of 64 bytes for their tensors and scalars.
            let lengths = [1, 3, 4, 3];
            assert!(
                spans
                    .windows(2)
                    .zip(lengths)
                    .all(|(two, units)| two[1].wrapping_sub(two[0]) == 64 * units
                        || two[1].abs_diff(two[0]) > 64 * units),
                "{spans:x?}"
            );
            assert!(seen.iter().zip(&results).all(|(&(.., first), tensor)| first == tensor.first_byte()));
        }
    }
}

/// A group of two idle members on named cores whose kernel says that it has started and waits for its sibling.
fn meeting(calls: &Calls) -> Kernel {
    let calls = calls.clone();
    Kernel::vector("meets", move |kernel| {
        calls.one();
        kernel.barrier()
    })
}

fn pair(kernel: KernelId, cores: &[CoreId; 2]) -> Task<'_> {
    Task::vector(kernel).blocks(2).placement(Placement::Cores(cores))
}

/// The engine's part of HOST-047 and HOST-048: while one of its cores is busy no member of a group starts, and its other core takes nothing that became
/// ready behind the group, while a third core goes on; then both members start, and the others behind them.
#[test]
fn a_waiting_group_keeps_its_cores() {
    for (engine, threads) in [(Engine::Threads, 2), (Engine::Threads, 4)] {
        let mut runtime = runtime(engine, threads);
        let (gate, met, behind, beside) = (Gate::new(), Calls::default(), Calls::default(), Calls::default());
        let holds = runtime.register(gate.kernel("holds")).unwrap();
        let meets = runtime.register(meeting(&met)).unwrap();
        let early = Arc::new(AtomicBool::new(false));
        let follows = {
            let (met, behind, early) = (met.clone(), behind.clone(), early.clone());
            runtime
                .register(Kernel::vector("follows", move |_| {
                    early.fetch_or(met.count() < 2, Ordering::Relaxed);
                    behind.one();
                    Ok(())
                }))
                .unwrap()
        };
        let counts = runtime.register(beside.kernel("beside")).unwrap();
        let cores = [vector(0), vector(1)];
        runtime
            .run(|run| {
                run.submit(&Task::vector(holds).placement(Placement::Core(vector(1))))?;
                eventually("gate", || gate.arrived() == 1);
                run.submit(&pair(meets, &cores))?;
                // The group is ready. What is directed at its idle core from here on stands behind it.
                std::thread::sleep(Duration::from_millis(5));
                for _ in 0..100 {
                    run.submit(&Task::vector(follows).placement(Placement::Core(vector(0))))?;
                    run.submit(&Task::vector(counts).placement(Placement::Core(vector(2))))?;
                }
                eventually("beside", || beside.count() == 100);
                assert_eq!((met.count(), behind.count()), (0, 0));
                gate.open();
                Ok(())
            })
            .unwrap();
        assert_eq!((met.count(), behind.count(), early.load(Ordering::Relaxed)), (2, 100, false));
    }
}

/// The engine's part of HOST-050: groups that have no core in common with the one that waits start at once, however many they are.
#[test]
fn a_waiting_group_blocks_only_those_that_share_a_core() {
    for (engine, threads) in [(Engine::Inline, 2), (Engine::Threads, 2), (Engine::Threads, 4)] {
        let mut runtime = runtime(engine, threads);
        let (gate, first, others) = (Gate::new(), Calls::default(), Calls::default());
        let holds = runtime.register(gate.kernel("holds")).unwrap();
        let meets = runtime.register(meeting(&first)).unwrap();
        let pass = runtime.register(meeting(&others)).unwrap();
        let wait = [vector(0), vector(1)];
        let pairs = [[vector(2), vector(3)], [vector(7), vector(4)], [vector(6), vector(5)]];
        runtime
            .run(|run| {
                // A gate's kernel in the inline engine would keep its scheduler, so it is one that may wait for a sibling.
                run.submit(&Task::vector(holds).communicates().blocks(1).placement(Placement::Core(vector(0))))?;
                if engine == Engine::Inline {
                    gate.open();
                }
                eventually("gate", || gate.arrived() == 1);
                run.submit(&pair(meets, &wait))?;
                for cores in &pairs {
                    run.submit(&pair(pass, cores))?;
                }
                eventually("others", || others.count() == 6);
                assert!(engine == Engine::Inline || first.count() == 0);
                gate.open();
                Ok(())
            })
            .unwrap();
        assert_eq!((first.count(), others.count()), (2, 6));
    }
}

/// The engine's part of HOST-049: three groups that share a core with each other, again and again, and members that wait for each other.
#[test]
fn groups_in_a_ring_never_hold_half_each() {
    for (engine, threads) in ENGINES.into_iter().flat_map(|engine| [(engine, 2), (engine, 4)]) {
        let mut runtime = runtime(engine, threads);
        let met = Calls::default();
        let meets = runtime.register(meeting(&met)).unwrap();
        let single = runtime.register(Kernel::vector("single", |_| Ok(()))).unwrap();
        let [a, b, c] = [vector(0), vector(1), vector(2)];
        let pairs = [[a, b], [b, c], [c, a]];
        let rounds = 330;
        runtime
            .run(|run| {
                for round in 0..rounds {
                    for (at, cores) in pairs.iter().enumerate() {
                        run.submit(&pair(meets, cores))?;
                        if (round + at) % 4 == 0 {
                            run.submit(&Task::vector(single).placement(Placement::Core(cores[0])))?;
                            run.submit(&Task::vector(single))?;
                        }
                    }
                    run.submit(&Task::vector(meets).blocks(2).sync_start())?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(met.count(), 8 * rounds as u64);
    }
}

/// The engine's part of HOST-051: when a member fails its siblings run to their end, the error has its number and its text, and consumers are not run.
#[test]
fn a_member_that_fails_lets_its_siblings_end() {
    for engine in ENGINES {
        let mut runtime = runtime(engine, 3);
        let (ended, consumed) = (Calls::default(), Calls::default());
        let member = {
            let ended = ended.clone();
            runtime
                .register(Kernel::vector("member", move |kernel| {
                    if kernel.block_index() == 1 {
                        return Err(KernelError::new(51, "the second of three"));
                    }
                    // The barrier breaks when the sibling has failed.
                    let broken = kernel.barrier().unwrap_err();
                    check(kernel.sibling_failed(), "a sibling is known to have failed")?;
                    check(broken.text.contains("block 1 failed"), broken.text)?;
                    std::thread::sleep(Duration::from_millis(5));
                    ended.one();
                    Ok(())
                }))
                .unwrap()
        };
        let consumer = runtime.register(consumed.kernel("consumer")).unwrap();
        let buffer = runtime.buffer(12).unwrap();
        let tensors: Vec<_> = (0..3).map(|at| buffer.tensor_at(4 * at, &[1], DataType::U32).unwrap()).collect();
        let failed = runtime
            .run(|run| {
                let own: Vec<_> = tensors.iter().map(|tensor| [Argument::OutputExisting(tensor)]).collect();
                let members: Vec<_> = own.iter().map(|own| Member::new(own)).collect();
                run.submit(&Task::vector(member).group(&members))?;
                for tensor in &tensors {
                    run.submit(&Task::vector(consumer).arguments(&[Argument::Input(tensor)]))?;
                }
                Ok(())
            })
            .unwrap_err();
        let RunError::KernelFailed { first, failed: count, unrun } = &*failed.error else { panic!("{failed}") };
        assert_eq!((first.block, first.code, &*first.text, *count, *unrun), (1, 51, "the second of three", 1, 3));
        assert_eq!((ended.count(), consumed.count()), (2, 0));
    }
}

/// The engine's part of HOST-052: a group takes any cores of the kind at once, and single tasks do not overtake it for ever.
#[test]
fn a_group_takes_any_cores_and_is_not_overtaken_for_ever() {
    for engine in ENGINES {
        let mut runtime = common::small().clusters(2).threads(2).engine(engine).build().unwrap();
        let (met, singles, before) = (Calls::default(), Calls::default(), Calls::default());
        let meets = {
            let (met, singles, before) = (met.clone(), singles.clone(), before.clone());
            runtime
                .register(Kernel::vector("meets", move |kernel| {
                    kernel.barrier()?;
                    met.one();
                    if kernel.block_index() == 0 && singles.count() < 900 {
                        before.one();
                    }
                    Ok(())
                }))
                .unwrap()
        };
        let single = runtime.register(singles.kernel("single")).unwrap();
        let members = [Member::default(); 3];
        runtime
            .run(|run| {
                for round in 0..1000 {
                    run.submit(&Task::vector(single))?;
                    if round == 20 {
                        run.submit(&Task::vector(meets).group(&members))?;
                    }
                }
                Ok(())
            })
            .unwrap();
        assert_eq!((met.count(), singles.count(), before.count()), (3, 1000, 1));
    }
}
