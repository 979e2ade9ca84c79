//! The whole chip in virtual time: one thread, a clock of its own, an order that the seed decides.

mod common;

use common::{chain, increment};
use prewire::graph_format::RecordedGraph;
use prewire::quality::Quality;
use prewire::replay::{KernelTimes, Replay};
use prewire::trace::Trace;
use prewire::{Argument, BlockRecord, Builder, Chip, DataType, Engine, Kernel, NewTensor, Report, Runtime, Task};
use std::time::Duration;

const A2A3_READ_NS: u64 = 105;
const A2A3_STEP_NS: u64 = 115;

fn virtual_chip(chip: Chip, seed: u64) -> Builder {
    Runtime::builder()
        .platform(chip)
        .engine(Engine::Virtual { seed })
        .record_trace(true)
        .ring_task_window(4096)
        .ring_heap(1 << 20)
        .ring_dep_pool(8192)
}

fn us(count: u64) -> Duration {
    Duration::from_micros(count)
}

/// Blocks in the order of the submission of their tasks.
fn in_order(report: &Report) -> Vec<BlockRecord> {
    let mut blocks = report.blocks.clone().unwrap();
    blocks.sort_by_key(|block| (block.task, block.block, block.part));
    blocks
}

/// Runs vector tasks of a length that all wait for one task which lasts until every submit has returned, and gives the blocks of the others.
fn released_at_once(chip: Chip, seed: u64, count: u64, length: Duration) -> Vec<BlockRecord> {
    let mut runtime = virtual_chip(chip, seed).build().unwrap();
    let first = runtime.register(Kernel::vector("first", |_| Ok(())).lasting(us(2 * count))).unwrap();
    let then = runtime.register(Kernel::vector("then", |_| Ok(())).lasting(length)).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    let report = runtime
        .run(|run| {
            run.submit(&Task::vector(first).arguments(&[Argument::OutputExisting(&cell)]))?;
            for _ in 0..count {
                run.submit(&Task::vector(then).arguments(&[Argument::Input(&cell)]))?;
            }
            Ok(())
        })
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let blocks = in_order(&report);
    assert_eq!(blocks.len() as u64, count + 1);
    blocks[1..].to_vec()
}

fn makespan_ns(blocks: &[BlockRecord]) -> u64 {
    let start_ns = blocks.iter().map(|block| block.start_ns).min().unwrap();
    blocks.iter().map(|block| block.end_ns).max().unwrap() - start_ns
}

/// A program with something of everything: overlapping tiles, a tree of sums, blocks, scopes, a get in the middle.
fn mixed_program(runtime: &mut Runtime) -> (Report, Vec<u32>) {
    let step = runtime
        .register(Kernel::any("step", |kernel| {
            let mut state = kernel.block_index().wrapping_mul(7) + 1;
            for value in kernel.input::<u32>(0)?.as_slice() {
                state = state.wrapping_mul(31).wrapping_add(*value);
            }
            let (block, blocks) = (kernel.block_index() as usize, kernel.block_count() as usize);
            for (at, value) in kernel.output::<u32>(1)?.as_mut_slice().iter_mut().enumerate() {
                if at % blocks == block {
                    *value = value.wrapping_mul(17).wrapping_add(state) ^ at as u32;
                }
            }
            Ok(())
        }))
        .unwrap();
    let values: Vec<u32> = (0..512).collect();
    let buffer = runtime.buffer_from(&values).unwrap();
    let all = buffer.tensor(&[512], DataType::U32).unwrap();
    let report = runtime
        .run(|run| {
            for round in 0..12u32 {
                run.scope(|run| {
                    let scratch = run.allocate(&[NewTensor::new(&[64], DataType::U32).filled(round)])?.outputs[0];
                    for tile in 0..6u32 {
                        let input = all.slice(0, tile * 64, tile * 64 + 96, 1)?;
                        let output = all.slice(0, 448 - tile * 64, 512 - tile * 64, 1)?;
                        let task = if tile % 2 == 0 { Task::cube(step) } else { Task::vector(step) };
                        run.submit(&task.arguments(&[Argument::Input(&scratch), Argument::InOut(&output)]))?;
                        let arguments = [Argument::Input(&input), Argument::InOut(&scratch)];
                        run.submit(&Task::vector(step).blocks(3).arguments(&arguments))?;
                    }
                    let _ = run.get::<u32>(&scratch, &[3])?;
                    Ok(())
                })?;
            }
            Ok(())
        })
        .unwrap();
    let bytes = runtime.read::<u32>(&buffer).unwrap();
    (report, bytes)
}

/// Claims CHIP-167.
#[test]
fn a_run_is_a_function_of_its_seed() {
    for chip in Chip::ALL {
        let run = |seed| {
            let mut runtime = virtual_chip(chip, seed).record_graph(true).build().unwrap();
            let (report, values) = mixed_program(&mut runtime);
            assert!(report.findings.is_empty(), "{:?}", report.findings);
            let mut trace = Vec::new();
            Trace::of(&report, runtime.kernels()).unwrap().write(&mut trace).unwrap();
            (trace, values)
        };
        let (trace, values) = run(1);
        for _ in 1..100 {
            let again = run(1);
            assert!(again.0 == trace, "the trace of the same seed differs on {chip}");
            assert_eq!(again.1, values);
        }
        let mut traces = std::collections::HashSet::from([trace]);
        for seed in 2..102 {
            let (trace, other) = run(seed);
            assert_eq!(other, values, "seed {seed} on {chip}");
            traces.insert(trace);
        }
        assert!(traces.len() > 90, "seeds hardly change anything: {} different traces of 101", traces.len());
    }
}

/// Claims CHIP-168, with `platform-a2a3/tests/virtual_time.rs`.
#[test]
fn makespans_are_those_of_the_latencies() {
    let length_ns = 100_000;
    for seed in 0..10 {
        let one = makespan_ns(&released_at_once(Chip::A2a3, seed, 48, us(100)));
        // All are released by one walk at 100 ns each, dispatched at 5 ns each, and start within 350 ns of each other's.
        let overheads = 48 * 100 + 48 * 5 + 350 + 16 * A2A3_READ_NS + A2A3_STEP_NS;
        let expected = length_ns + overheads;
        assert!(one >= length_ns && one.abs_diff(expected) * 20 <= expected, "seed {seed}: {one} and not {expected}");
        let two = makespan_ns(&released_at_once(Chip::A2a3, seed, 96, us(100)));
        assert!(two >= 2 * length_ns, "seed {seed}: {two}");
        assert!(two.abs_diff(2 * expected) * 20 <= 2 * expected, "seed {seed}: {two} and not twice {expected}");

        let mut runtime = virtual_chip(Chip::A2a3, seed).build().unwrap();
        let kernel = runtime.register(increment().lasting(us(10))).unwrap();
        let buffer = runtime.buffer(4).unwrap();
        let cell = buffer.tensor(&[1], DataType::U32).unwrap();
        let report = chain(&mut runtime, kernel, &cell, 10).unwrap();
        assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [10]);
        let blocks = in_order(&report);
        let mut handed_over_ns = 0;
        for pair in blocks.windows(2) {
            let gap = pair[1].start_ns - pair[0].end_ns;
            // The end is visible after 180 to 600 ns and read within a round; then a completion of 350 ns with one consumer of 100 ns, a token of 5 ns,
            // 140 ns until it is seen, and 280 to 350 ns until the kernel starts.
            let fixed = 350 + 100 + 5 + 140;
            let round = A2A3_READ_NS + A2A3_STEP_NS;
            let (least, most) = (180 + 95 + fixed + 280, 600 + round + A2A3_READ_NS + fixed + 350);
            assert!((least..=most).contains(&gap), "seed {seed}: a hand-over of {gap} ns, not {least} to {most}");
            handed_over_ns += gap;
        }
        assert_eq!(makespan_ns(&blocks), 10 * 10_000 + handed_over_ns);
    }
}

/// Claims CHIP-076.
#[test]
fn idle_cores_come_before_pre_loading() {
    for seed in 0..10 {
        let blocks = released_at_once(Chip::A2a3, seed, 1000, us(100));
        let mut by_core: std::collections::BTreeMap<u16, Vec<BlockRecord>> = std::collections::BTreeMap::new();
        for block in blocks {
            by_core.entry(block.core.0).or_default().push(block);
        }
        assert_eq!(by_core.len(), 48);
        by_core.values_mut().for_each(|blocks| blocks.sort_by_key(|block| block.start_ns));
        // When blocks wait behind running ones: from their dispatch to the end of the one before.
        let mut waits = Vec::new();
        // When cores have nothing to do.
        let mut idle = Vec::new();
        for (&core, blocks) in &by_core {
            let mut end_ns = 0;
            for block in blocks {
                if block.dispatch_ns < end_ns {
                    waits.push((core, block.dispatch_ns, end_ns));
                } else {
                    idle.push((core, end_ns, block.dispatch_ns));
                }
                end_ns = block.end_ns;
            }
            idle.push((core, end_ns, u64::MAX));
        }
        assert!(waits.len() > 800, "seed {seed}: {} blocks were pre-loaded", waits.len());
        let mut longest = 0;
        for &(waiting, dispatch_ns, until_ns) in &waits {
            for &(_, from_ns, to_ns) in idle.iter().filter(|&&(free, ..)| free != waiting) {
                let idle_ns = until_ns.min(to_ns).saturating_sub(dispatch_ns.max(from_ns));
                longest = longest.max(idle_ns);
            }
        }
        // A step in which all 16 vector cores of an instance have ended reads each register, takes each end in and writes each token; and while the first
        // task's consumers are released, it releases a piece of 64.
        let step_ns = 16 * (A2A3_READ_NS + 350 + 5) + 64 * 100 + A2A3_STEP_NS;
        assert!(longest <= step_ns, "seed {seed}: a core idled for {longest} ns, longer than a step of {step_ns} ns");
    }
}

/// The quality of a run is reported for what was recorded.
#[test]
fn quality_of_a_chain_is_that_of_its_hand_overs() {
    let mut runtime = virtual_chip(Chip::A5, 3).record_graph(true).build().unwrap();
    let kernel = runtime.register(increment().lasting(us(50))).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    let report = chain(&mut runtime, kernel, &cell, 20).unwrap();
    let quality = Quality::of(&report).unwrap();
    assert_eq!(quality.critical_path_ns, 20 * 50_000);
    assert_eq!(quality.bound_ns(), quality.critical_path_ns);
    assert_eq!(quality.makespan_ns, report.makespan().unwrap().as_nanos() as u64);
    let lost_ns = quality.makespan_ns - quality.bound_ns();
    // All that is lost passes between the end of one and the token of the next, but for the time until that token's kernel starts.
    let share = quality.overhead.vector * quality.makespan_ns as f64;
    let starts = 19.0 * (140.0 + 280.0)..=19.0 * (140.0 + 350.0);
    assert!(starts.contains(&(lost_ns as f64 - share)), "{lost_ns} {share}");
    assert_eq!(quality.overhead.cube, 0.0);
}

/// The decode step of a model keeps the chip as busy as it is meant to: the share of the makespan in which a core idles while a task that it could run is
/// ready is under 5 % for each kind, and the makespan is within 10 % of the least that any schedule could take. These are no wall-clock times.
#[test]
fn a_model_keeps_the_chip_busy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/graphs/qwen3_14b_decode.StressBatch16Seq3500.jsonl.xz");
    let packed = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let text = std::io::BufReader::new(lzma_rust2::XzReader::new(packed, false));
    let graph = RecordedGraph::read(text).unwrap();
    for seed in 0..3 {
        let builder = Runtime::builder().platform(Chip::A2a3).engine(Engine::Virtual { seed });
        let mut runtime = builder.record_trace(true).record_graph(true).build().unwrap();
        let mut replay = Replay::new(&mut runtime, &graph, KernelTimes::Recorded).unwrap();
        let report = runtime.run(|run| replay.submit(run)).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let quality = Quality::of(&report).unwrap();
        assert!(quality.overhead.cube < 0.05 && quality.overhead.vector < 0.05, "seed {seed}: {quality:?}");
        assert!(quality.makespan_ns * 10 <= quality.bound_ns() * 11, "seed {seed}: {quality:?}");
    }
}
