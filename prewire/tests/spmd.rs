//! SPMD and MIX tasks: every block once, in one cluster, with its own index; parts that talk; blocks that fail.

mod common;

use common::{Calls, Gate, eventually};
use prewire::{Argument, Builder, Chip, DataType, Engine, Kernel, KernelError, KernelId, RunError, Runtime, Task};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const ENGINES: [Engine; 2] = [Engine::Inline, Engine::Threads];

fn chip(clusters: u16) -> Builder {
    Runtime::builder().clusters(clusters).ring_task_window(256).ring_heap(1 << 20)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Seen {
    block: u32,
    blocks: u32,
    part: usize,
    core: u16,
}

/// Records what each call of the kernel saw.
fn records() -> (Arc<Mutex<Vec<Seen>>>, Kernel) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kernel = {
        let seen = seen.clone();
        Kernel::any("records", move |kernel| {
            let core = kernel.payload().core.0;
            seen.lock().unwrap().push(Seen {
                block: kernel.block_index(),
                blocks: kernel.block_count(),
                part: kernel.part(),
                core,
            });
            Ok(())
        })
    };
    (seen, kernel)
}

fn mix(kernel: KernelId) -> Task<'static> {
    Task::cluster(Some(kernel), Some(kernel), Some(kernel))
}

/// Claims CHIP-084.
#[test]
fn each_block_knows_itself_and_stays_in_one_cluster() {
    for engine in ENGINES {
        let mut runtime = chip(5).engine(engine).build().unwrap();
        let (seen, kernel) = records();
        let kernel = runtime.register(kernel).unwrap();
        for (blocks, clusters) in [(12u32, 5u16), (10_000, 5)] {
            seen.lock().unwrap().clear();
            runtime.run(|run| run.submit(&mix(kernel).blocks(blocks as i64)).map(|_| ())).unwrap();
            let seen = seen.lock().unwrap();
            assert!(seen.iter().all(|seen| seen.blocks == blocks));
            let combinations: HashSet<_> = seen.iter().map(|seen| (seen.block, seen.part)).collect();
            assert_eq!((seen.len(), combinations.len()), (3 * blocks as usize, 3 * blocks as usize));
            let mut cluster_of = HashMap::new();
            for seen in seen.iter() {
                let (cluster, part) = if seen.core < clusters {
                    (seen.core, 0)
                } else {
                    ((seen.core - clusters) / 2, 1 + (seen.core - clusters) as usize % 2)
                };
                assert_eq!(part, seen.part, "the part runs on its own core of the cluster");
                assert_eq!(
                    *cluster_of.entry(seen.block).or_insert(cluster),
                    cluster,
                    "block {} is in one cluster",
                    seen.block
                );
            }
        }
    }
}

/// Claims CHIP-085.
#[test]
fn block_counts_below_at_and_above_the_width_of_the_chip() {
    for (engine, clusters) in [(Engine::Inline, 24), (Engine::Threads, 24), (Engine::Inline, 8), (Engine::Threads, 8)] {
        let mut runtime = chip(clusters).threads(4).engine(engine).build().unwrap();
        let (seen, kernel) = records();
        let kernel = runtime.register(kernel).unwrap();
        for (task, counts, parts) in
            [(Task::vector(kernel), [4, 16, 24, 48, 96], 1), (mix(kernel), [2, 8, 12, 24, 48], 3)]
        {
            for blocks in counts {
                seen.lock().unwrap().clear();
                runtime.run(|run| run.submit(&task.blocks(blocks)).map(|_| ())).unwrap();
                // A single vector block may run on either vector core of a cluster.
                let part_of = |seen: &Seen| if parts == 1 { 0 } else { seen.part };
                let mut indices: Vec<_> = seen.lock().unwrap().iter().map(|seen| (seen.block, part_of(seen))).collect();
                indices.sort_unstable();
                let expected: Vec<_> =
                    (0..blocks as u32).flat_map(|block| (0..parts).map(move |part| (block, part))).collect();
                assert_eq!(indices, expected, "{blocks} blocks on {clusters} clusters");
            }
        }
        // Wide enough to need every thread's cores; over many rounds each index once.
        if clusters == 24 {
            let sum = Arc::new(AtomicU64::new(0));
            let adds = {
                let sum = sum.clone();
                runtime
                    .register(Kernel::vector("adds", move |kernel| {
                        sum.fetch_add(1 + kernel.block_index() as u64, Ordering::Relaxed);
                        Ok(())
                    }))
                    .unwrap()
            };
            for _ in 0..1000 {
                runtime.run(|run| run.submit(&Task::vector(adds).blocks(96)).map(|_| ())).unwrap();
            }
            assert_eq!(sum.load(Ordering::Relaxed), 1000 * 96 * 97 / 2);
        }
    }
}

/// Claims CHIP-087.
#[test]
fn kernels_of_one_block_talk_through_a_pipe() {
    const TILES: u64 = 1000;
    for clusters in [1, 8, 24] {
        let mut runtime = chip(clusters).build().unwrap();
        let sum = Arc::new(AtomicU64::new(0));
        let cube = runtime
            .register(Kernel::cube("streams", |kernel| {
                for tile in 0..TILES {
                    kernel.send(1 + (tile % 2) as usize, tile * tile)?;
                }
                Ok(())
            }))
            .unwrap();
        let vector = {
            let sum = sum.clone();
            runtime
                .register(Kernel::vector("takes", move |kernel| {
                    for _ in 0..TILES / 2 {
                        sum.fetch_add(kernel.receive(0)?, Ordering::Relaxed);
                    }
                    Ok(())
                }))
                .unwrap()
        };
        let blocks = clusters as i64;
        runtime
            .run(|run| run.submit(&Task::cluster(Some(cube), Some(vector), Some(vector)).blocks(blocks)).map(|_| ()))
            .unwrap();
        assert_eq!(sum.load(Ordering::Relaxed), blocks as u64 * (0..TILES).map(|tile| tile * tile).sum::<u64>());
    }
}

/// Claims CHIP-088.
#[test]
fn communicating_blocks_never_deadlock_by_their_placement() {
    for engine in ENGINES {
        let mut runtime = chip(2).threads(3).engine(engine).build().unwrap();
        let calls = Calls::default();
        let kernel = {
            let calls = calls.clone();
            runtime
                .register(Kernel::any("exchanges", move |kernel| {
                    let parts = kernel.payload().parts;
                    let others: Vec<usize> =
                        (0..3).filter(|&part| parts >> part & 1 != 0 && part != kernel.part()).collect();
                    for &other in &others {
                        kernel.send(other, 10 * kernel.part() as u64 + other as u64)?;
                    }
                    for &other in &others {
                        let value = kernel.receive(other)?;
                        if value != 10 * other as u64 + kernel.part() as u64 {
                            return Err(KernelError::new(
                                1,
                                format!("part {} got {value} from {other}", kernel.part()),
                            ));
                        }
                    }
                    calls.one();
                    Ok(())
                }))
                .unwrap()
        };
        let some = Some(kernel);
        let masks = [[some, some, None], [None, some, some], [some, None, some], [some, some, some]];
        runtime
            .run(|run| {
                for at in 0..1000 {
                    let [cube, vector_0, vector_1] = masks[at % 4];
                    run.submit(&Task::cluster(cube, vector_0, vector_1))?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(calls.count(), 250 * (2 + 2 + 2 + 3));
    }
}

/// Claims CHIP-089.
#[test]
fn one_failing_block_fails_its_task_once() {
    for engine in ENGINES {
        let mut runtime = chip(4).engine(engine).build().unwrap();
        let calls = Calls::default();
        let kernel = {
            let calls = calls.clone();
            runtime
                .register(Kernel::vector("block five fails", move |kernel| {
                    calls.one();
                    if kernel.block_index() == 5 {
                        return Err(KernelError::new(5, "five"));
                    }
                    if kernel.block_index() > 5 {
                        // So that the few cores cannot get through all the others before a busy machine has shown the failure to the scheduler.
                        std::thread::sleep(std::time::Duration::from_millis(50));
                    }
                    Ok(())
                }))
                .unwrap()
        };
        let after = runtime.register(Calls::default().kernel("after")).unwrap();
        let failed = runtime
            .run(|run| {
                run.submit(&Task::vector(kernel).blocks(96))?;
                for _ in 0..16 {
                    run.submit(&Task::vector(after))?;
                }
                Ok(())
            })
            .unwrap_err();
        let RunError::KernelFailed { first, failed: count, unrun } = &*failed.error else { panic!("{failed}") };
        assert_eq!((first.block, first.code, *count, *unrun), (5, 5, 1, 0));
        assert_eq!((failed.report.tasks, failed.report.completed), (17, 17), "the task is complete once");
        assert!(calls.count() < 96, "blocks not yet dispatched were skipped; {} ran", calls.count());
    }
}

/// Claims CHIP-086 (the shapes side by side; the placement of a partly used cluster is asserted with the tracker).
#[test]
fn all_shapes_work_side_by_side() {
    for (chip_name, engine) in common::everywhere() {
        let mut runtime = chip(6).platform(chip_name).clusters(6).engine(engine).build().unwrap();
        let kernel = runtime
            .register(Kernel::any("adds one", |kernel| {
                // Parts of one block share the argument: each adds to its own element.
                let mut cells = kernel.output::<u32>(0)?;
                let part = kernel.part();
                let now = cells.get(&[part]);
                cells.set(&[part], now + 1);
                Ok(())
            }))
            .unwrap();
        let buffer = runtime.buffer(12).unwrap();
        let cells = buffer.tensor(&[3], DataType::U32).unwrap();
        let some = Some(kernel);
        runtime
            .run(|run| {
                for _ in 0..100 {
                    for task in [
                        Task::cube(kernel),
                        Task::vector(kernel),
                        Task::cluster(some, some, None),
                        Task::cluster(None, some, some),
                        mix(kernel),
                        // Only the second vector kernel named: a plain vector task, which any vector core takes as part 1.
                        Task::cluster(None, None, some),
                    ] {
                        run.submit(&task.arguments(&[Argument::InOut(&cells)]))?;
                    }
                }
                Ok(())
            })
            .unwrap();
        let cells = runtime.read::<u32>(&buffer).unwrap();
        assert_eq!((cells[0], cells[1] + cells[2]), (300, 100 * (1 + 1 + 2 + 2 + 1)));
    }
}

/// Claims CHIP-005 (its first half; refused counts are asserted with the orchestrator).
#[test]
fn block_arithmetic_is_wide() {
    for engine in ENGINES {
        let mut runtime = chip(8).engine(engine).build().unwrap();
        let calls = Calls::default();
        let kernel = runtime.register(calls.kernel("counts")).unwrap();
        let report = runtime.run(|run| run.submit(&mix(kernel).blocks(20_000)).map(|_| ())).unwrap();
        assert_eq!((calls.count(), report.completed), (60_000, 1));
    }
}

/// Claims CHIP-078.
#[test]
fn one_scheduler_thread_uses_all_clusters() {
    for chip in Chip::ALL {
        let mut runtime = Runtime::builder().platform(chip).threads(2).engine(Engine::Threads).build().unwrap();
        let clusters = runtime.chip().clusters as usize;
        let gate = Gate::new();
        let (seen, recorder) = records();
        let recorder = recorder;
        let held = {
            let (gate, seen) = (gate.clone(), seen.clone());
            runtime
                .register(Kernel::any("held", move |kernel| {
                    seen.lock().unwrap().push(Seen {
                        block: 0,
                        blocks: 1,
                        part: kernel.part(),
                        core: kernel.payload().core.0,
                    });
                    gate.pass(kernel)
                }))
                .unwrap()
        };
        drop(recorder);
        let opener = {
            let gate = gate.clone();
            std::thread::spawn(move || {
                eventually("all parts at once", || gate.arrived() == 3 * clusters as u64);
                gate.open();
            })
        };
        runtime
            .run(|run| {
                for _ in 0..clusters {
                    run.submit(&mix(held))?;
                }
                Ok(())
            })
            .unwrap();
        opener.join().unwrap();
        let cores: HashSet<_> = seen.lock().unwrap().iter().map(|seen| seen.core).collect();
        assert_eq!(cores.len(), 3 * clusters, "one task per cluster, on every core of the chip");
    }
}

/// Claims CHIP-079.
#[test]
fn a_directed_task_runs_on_its_core_and_nowhere_else() {
    for engine in ENGINES {
        let mut runtime = chip(8).threads(4).engine(engine).build().unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let kernel = {
            let order = order.clone();
            runtime
                .register(Kernel::vector("directed", move |kernel| {
                    order.lock().unwrap().push((kernel.payload().core.0, kernel.scalar::<u32>(0)?));
                    Ok(())
                }))
                .unwrap()
        };
        let calls = Calls::default();
        let plain = runtime.register(calls.kernel("plain")).unwrap();
        let core = prewire::CoreId(8 + 7);
        runtime
            .run(|run| {
                for at in 0..100u32 {
                    run.submit(&Task::vector(kernel).scalars(&[at.into()]).placement(prewire::Placement::Core(core)))?;
                    run.submit(&Task::vector(plain))?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(*order.lock().unwrap(), (0..100).map(|at| (core.0, at)).collect::<Vec<_>>());
        assert_eq!(calls.count(), 100);
        for wrong in [24, 2] {
            let placement = prewire::Placement::Core(prewire::CoreId(wrong));
            let failed = runtime.run(|run| run.submit(&Task::vector(plain).placement(placement)).map(|_| ()));
            if wrong == 24 {
                let failed = failed.unwrap_err();
                assert_eq!(failed.error.code(), Some(prewire::ErrorCode::InvalidArguments));
                assert!(failed.to_string().contains("24"), "{failed}");
            } else {
                // The core exists and is a cube core; a kernel for either kind, placed as a vector task, does not fit it.
                let failed = failed.unwrap_err();
                assert!(failed.to_string().contains("core 2"), "{failed}");
            }
        }
    }
}
