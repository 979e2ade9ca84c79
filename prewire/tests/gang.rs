//! Gangs: all blocks start together or none, on every engine that can run them, and nobody is left hanging.

mod common;

use common::{Calls, Gate, chain, eventually, increment};
use prewire::{
    Argument, Builder, Chip, DataType, Engine, ErrorCode, Failed, Kernel, KernelError, RunError, Runtime, Task,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ENGINES: [Engine; 2] = [Engine::Inline, Engine::Threads];

/// Meets all its siblings three times and checks each time that all of them had come.
fn meets(count: Arc<AtomicU32>, members: u32) -> Kernel {
    Kernel::any("meets", move |kernel| {
        for meeting in 1..=3 {
            count.fetch_add(1, Ordering::AcqRel);
            kernel.barrier()?;
            let seen = count.load(Ordering::Acquire);
            if seen < meeting * members {
                return Err(KernelError::new(
                    1,
                    format!("meeting {meeting} began with {seen} of {}", meeting * members),
                ));
            }
            kernel.barrier()?;
        }
        Ok(())
    })
}

fn chip(clusters: u16) -> Builder {
    Runtime::builder().clusters(clusters).ring_task_window(256).ring_heap(1 << 20).watchdog(Duration::from_secs(5))
}

fn mix(kernel: prewire::KernelId) -> Task<'static> {
    Task::cluster(Some(kernel), Some(kernel), Some(kernel))
}

/// Claims CHIP-090.
#[test]
fn all_blocks_of_a_gang_run_at_the_same_time() {
    for engine in ENGINES {
        let mut runtime = Runtime::builder().engine(engine).watchdog(Duration::from_secs(20)).build().unwrap();
        let mixed = Arc::new(AtomicU32::new(0));
        let vectors = Arc::new(AtomicU32::new(0));
        let mix_kernel = runtime.register(meets(mixed.clone(), 72)).unwrap();
        let vector_kernel = runtime.register(meets(vectors.clone(), 48)).unwrap();
        runtime
            .run(|run| {
                assert_eq!((run.clusters(), run.vector_cores()), (24, 48));
                run.submit(&mix(mix_kernel).blocks(24).sync_start())?;
                run.submit(&Task::vector(vector_kernel).blocks(48).sync_start())?;
                Ok(())
            })
            .unwrap();
        assert_eq!((mixed.load(Ordering::Relaxed), vectors.load(Ordering::Relaxed)), (3 * 72, 3 * 48));
    }
}

/// Claims CHIP-091 (with CHIP-155's counts for the other chip).
#[test]
fn a_gang_larger_than_the_chip_is_refused() {
    for (chip_name, clusters) in [(Chip::A2a3, 24), (Chip::A2a3, 2), (Chip::A5, 36), (Chip::A5, 2)] {
        let mut runtime = Runtime::builder().platform(chip_name).clusters(clusters).build().unwrap();
        let calls = Calls::default();
        let kernel = runtime.register(calls.kernel("counts")).unwrap();
        let clusters = clusters as i64;
        for (task, most) in
            [(Task::vector(kernel), 2 * clusters), (Task::cube(kernel), clusters), (mix(kernel), clusters)]
        {
            runtime.run(|run| run.submit(&task.blocks(most).sync_start()).map(|_| ())).unwrap();
            for blocks in [most + 1, 1000] {
                let before = calls.count();
                let failed = runtime.run(|run| run.submit(&task.blocks(blocks).sync_start()).map(|_| ())).unwrap_err();
                assert_eq!(failed.error.code(), Some(ErrorCode::GangTooLarge));
                let text = failed.to_string();
                assert!(text.contains(&blocks.to_string()) && text.contains(&most.to_string()), "{text}");
                assert_eq!(calls.count(), before);
            }
            runtime.run(|run| run.submit(&task.blocks(1)).map(|_| ())).unwrap();
        }
    }
}

/// Claims CHIP-092.
#[test]
fn gangs_of_all_sizes_again_and_again() {
    for engine in ENGINES {
        let mut runtime = chip(6).engine(engine).build().unwrap();
        let calls = Calls::default();
        let counts = {
            let calls = calls.clone();
            runtime
                .register(Kernel::any("meets and counts", move |kernel| {
                    kernel.barrier()?;
                    calls.one();
                    kernel.barrier()
                }))
                .unwrap()
        };
        let plain = runtime.register(increment()).unwrap();
        let n = 6i64;
        runtime
            .run(|run| {
                for blocks in [1, n / 3, n / 3 + 1, n - 1, n, 1] {
                    run.submit(&mix(counts).blocks(blocks).sync_start())?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(calls.count(), 3 * (1 + 2 + 3 + 5 + 6 + 1));

        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        for _ in 0..100 {
            runtime
                .run(|run| {
                    // Six rounds of nine: gangs of clusters and of vector cores beside plain tasks.
                    for _ in 0..6 {
                        for blocks in [2, 4, 6] {
                            run.submit(&mix(counts).blocks(blocks).sync_start())?;
                            run.submit(&Task::vector(counts).blocks(2 * blocks).sync_start())?;
                            run.submit(&Task::vector(plain).arguments(&[Argument::InOut(&cell)]))?;
                        }
                    }
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [1800]);
    }
}

/// Claims CHIP-093.
#[test]
fn two_gangs_of_more_than_half_the_chip_never_hold_half_each() {
    for (engine, rounds) in [(Engine::Inline, 100), (Engine::Threads, 100)] {
        let mut runtime = chip(6).threads(4).engine(engine).build().unwrap();
        let inside = Arc::new(AtomicU32::new(0));
        let kernel = {
            let inside = inside.clone();
            runtime
                .register(Kernel::any("alone", move |kernel| {
                    inside.fetch_or(1 << kernel.scalar::<u32>(0)?, Ordering::AcqRel);
                    kernel.barrier()?;
                    let seen = inside.load(Ordering::Acquire);
                    kernel.barrier()?;
                    inside.fetch_and(!(1 << kernel.scalar::<u32>(0)?), Ordering::AcqRel);
                    if seen.count_ones() == 1 {
                        Ok(())
                    } else {
                        Err(KernelError::new(1, "two gangs at once on too small a chip"))
                    }
                }))
                .unwrap()
        };
        for _ in 0..rounds {
            runtime
                .run(|run| {
                    for gang in 0..2u32 {
                        run.submit(&mix(kernel).blocks(5).sync_start().scalars(&[gang.into()]))?;
                    }
                    Ok(())
                })
                .unwrap();
        }
    }
}

/// Claims CHIP-094 (on threads: nothing is starved; `virtual_fairness.rs` has the figure in task lengths).
#[test]
fn a_gang_is_not_starved_and_does_not_starve() {
    for engine in ENGINES {
        let mut runtime = chip(6).threads(4).engine(engine).build().unwrap();
        let calls = Calls::default();
        let plain = runtime.register(calls.kernel("plain")).unwrap();
        let met = Arc::new(AtomicU64::new(0));
        let gang = {
            let (met, calls) = (met.clone(), calls.clone());
            runtime
                .register(Kernel::any("gang", move |kernel| {
                    kernel.barrier()?;
                    met.store(calls.count(), Ordering::Release);
                    Ok(())
                }))
                .unwrap()
        };
        runtime
            .run(|run| {
                for at in 0..2000 {
                    run.submit(&Task::vector(plain))?;
                    if at == 100 {
                        run.submit(&Task::vector(gang).blocks(12).sync_start())?;
                        run.submit(&mix(gang).blocks(6).sync_start())?;
                    }
                    if at % 100 == 0 {
                        run.submit(&mix(plain))?;
                    }
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(calls.count(), 2000 + 3 * 20);
        assert!(met.load(Ordering::Acquire) < calls.count(), "the gangs did not wait for the end of the supply");
    }
}

/// Claims CHIP-097.
#[test]
fn a_gang_member_that_fails_does_not_hang_its_siblings() {
    for engine in ENGINES {
        let mut runtime = chip(8).engine(engine).build().unwrap();
        let told = Calls::default();
        let kernel = {
            let told = told.clone();
            runtime
                .register(Kernel::any("member", move |kernel| {
                    if kernel.block_index() == 5 && kernel.part() == 0 {
                        return Err(KernelError::new(77, "no more paper"));
                    }
                    match kernel.barrier() {
                        Ok(()) => Ok(()),
                        Err(error) => {
                            told.one();
                            Err(error)
                        }
                    }
                }))
                .unwrap()
        };
        let begun = Instant::now();
        let failed = runtime.run(|run| run.submit(&mix(kernel).blocks(8).sync_start()).map(|_| ())).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(2), "bounded: {:?}", begun.elapsed());
        let RunError::KernelFailed { first, failed: count, .. } = &*failed.error else { panic!("{failed}") };
        assert_eq!((first.code, first.text.as_str(), first.block, *count), (77, "no more paper", 5, 1));
        assert_eq!(told.count(), 23, "every sibling's barrier returned an error");
    }
}

/// Claims CHIP-098.
#[test]
fn a_gang_waits_for_a_long_task_and_the_rest_goes_on() {
    for engine in ENGINES {
        let mut runtime = chip(4).threads(3).engine(engine).watchdog(Duration::from_millis(150)).build().unwrap();
        let gate = Gate::new();
        let long = runtime.register(gate.kernel("long")).unwrap();
        let calls = Calls::default();
        let cube = runtime.register(calls.kernel("cube")).unwrap();
        let members = Calls::default();
        let gang = runtime.register(members.kernel("gang")).unwrap();
        let opener = {
            let (gate, calls, members) = (gate.clone(), calls.clone(), members.clone());
            std::thread::spawn(move || {
                eventually("the cube tasks", || calls.count() == 50);
                std::thread::sleep(Duration::from_millis(400));
                assert_eq!(members.count(), 0, "no member starts before the last vector core is free");
                gate.open();
            })
        };
        runtime
            .run(|run| {
                run.submit(&Task::vector(long).budget(Duration::from_secs(10)))?;
                eventually("the long task", || gate.arrived() == 1);
                run.submit(&Task::vector(gang).blocks(8).sync_start())?;
                for _ in 0..50 {
                    run.submit(&Task::cube(cube))?;
                }
                Ok(())
            })
            .unwrap();
        opener.join().unwrap();
        assert_eq!(members.count(), 8);
    }
}

/// Claims CHIP-095.
#[test]
fn gathering_cores_can_be_interrupted() {
    for engine in ENGINES {
        let mut runtime = chip(4).threads(4).engine(engine).build().unwrap();
        let gate = Gate::new();
        let long = runtime.register(gate.kernel("long")).unwrap();
        let members = Calls::default();
        let gang = runtime.register(members.kernel("gang")).unwrap();
        let plain = runtime.register(increment()).unwrap();
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        for _ in 0..20 {
            let begun = Instant::now();
            let failed: Failed = runtime
                .run(|run| {
                    let arrived = gate.arrived();
                    run.submit(&Task::vector(long))?;
                    eventually("the long task", || gate.arrived() > arrived);
                    run.submit(&Task::vector(gang).blocks(8).sync_start())?;
                    std::thread::sleep(Duration::from_micros(200 * (arrived % 5)));
                    run.fail("enough");
                    Ok(())
                })
                .unwrap_err();
            assert_eq!(failed.error.code(), Some(ErrorCode::ExplicitFatal));
            assert!(begun.elapsed() < Duration::from_secs(2));
            assert_eq!(members.count(), 0);
            chain(&mut runtime, plain, &cell, 3).unwrap();
        }
        runtime.run(|run| run.submit(&Task::vector(gang).blocks(8).sync_start()).map(|_| ())).unwrap();
        assert_eq!(members.count(), 8, "no core stayed reserved");
    }
}
