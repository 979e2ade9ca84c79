//! What a submit costs, in nanoseconds per task, on the four shapes: chain, independent, wavefront, tree. A retirer in the same thread stands where
//! schedulers stand: it closes a task's list, lets its consumers arrive, and releases it, with no kernel in between. Submits and retirements are
//! timed apart, in batches. `cargo run --release -p prewire-orchestrator --example submit_cost [SHAPE] [BATCH] [ROUNDS]`.

use prewire_orchestrator::{Orchestrator, OrchestratorConfig};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::graph::{Graph, Queue};
use prewire_runtime_core::id::{KernelId, SlotIndex};
use prewire_runtime_core::kernel::{Kernel, KernelFunction, KernelSet};
use prewire_runtime_core::memory::{DeviceMemory, OutOfMemory};
use prewire_runtime_core::sync::Ordering;
use prewire_runtime_core::task::{Argument, Scalar, Task};
use prewire_runtime_core::tensor::{DataType, Tensor, TensorError, TensorLayout};
use prewire_runtime_core::waiting::Blocking;
use std::sync::Arc;
use std::time::{Duration, Instant};

const KERNEL: KernelId = KernelId(0);

/// Addresses without bytes behind them; nothing here reads or writes a tensor.
struct NoMemory;

impl DeviceMemory for NoMemory {
    fn allocate(&self, _: u64) -> Result<u64, OutOfMemory> {
        Ok(1 << 20)
    }
    unsafe fn free(&self, _: u64) {}
    unsafe fn read(&self, _: u64, _: &mut [u8]) {}
    unsafe fn write(&self, _: u64, _: &[u8]) {}
    unsafe fn fill(&self, _: u64, _: Scalar, _: u64, _: u64) {}
}

struct Retirer(Arc<Graph>);

impl Retirer {
    /// Ends every ready task and those that become ready by that. Returns how many.
    fn run(&self) -> u64 {
        let graph = &*self.0;
        let mut batch = [SlotIndex(0); 8];
        let mut ended = 0;
        loop {
            let count = graph.queue(Queue::Vector).pop_batch(&mut batch);
            if count == 0 {
                match graph.queue(Queue::Retire).pop() {
                    Some(slot) => ended += Self::end(graph, slot),
                    None => break,
                }
            }
            for &slot in &batch[..count] {
                ended += Self::end(graph, slot);
            }
        }
        graph.progress[0].completed.fetch_add(ended, Ordering::Release);
        graph.progress[0].epoch.fetch_add(ended, Ordering::Release);
        ended
    }

    fn end(graph: &Graph, first: SlotIndex) -> u64 {
        let mut next = Some(first);
        let mut ended = 0;
        while let Some(slot) = next.take() {
            let slot = graph.slots.get(slot);
            // SAFETY: each task is ended once.
            for edge in unsafe { slot.consumers.close(&graph.edges, Ending::Ok) } {
                if graph.slots.get(edge.consumer).arrive() {
                    if next.is_none() {
                        next = Some(edge.consumer);
                    } else {
                        // SAFETY: this arrival made it ready.
                        unsafe { graph.route(edge.consumer) };
                    }
                }
            }
            graph.release(slot);
            ended += 1;
        }
        ended
    }
}

impl Blocking for Retirer {
    fn round(&mut self, _: &mut dyn FnMut() -> bool) -> bool {
        panic!("a batch is smaller than the window");
    }
    fn done(&mut self) {}
    fn now_ns(&self) -> u64 {
        0
    }
}

/// The tensors of a shape, cell by cell, and the tasks over them in the order of submission: the cells each reads, and the one it updates.
fn shape(name: &str) -> (usize, Vec<(Vec<usize>, usize)>) {
    match name {
        "chain" => (1, vec![(vec![], 0); 100_000]),
        "independent" => (100_000, (0..100_000).map(|task| (vec![], task)).collect()),
        "wavefront" => {
            let side = 256;
            let tasks = (0..side * side).map(|cell| {
                let (row, column) = (cell / side, cell % side);
                let up = (row > 0).then(|| cell - side);
                let left = (column > 0).then(|| cell - 1);
                (up.into_iter().chain(left).collect(), cell)
            });
            (side * side, tasks.collect())
        }
        "tree" => {
            let count = (1 << 17) - 1;
            let tasks = (1..=count).map(|node: usize| ((node > 1).then_some(node / 2).into_iter().collect(), node));
            (count + 1, tasks.collect())
        }
        other => panic!("{other} is none of chain, independent, wavefront, tree"),
    }
}

/// One submit; a function of its own, so that an instruction counter finds it.
#[inline(never)]
fn submit(orchestrator: &mut Orchestrator, arguments: &[Argument<'_>], retirer: &mut Retirer) {
    if let Err(error) = orchestrator.submit(&Task::vector(KERNEL).arguments(arguments), retirer) {
        panic!("{error}");
    }
}

fn measure(name: &str, batch: usize, rounds: u32) -> Result<(), TensorError> {
    let config = OrchestratorConfig::default();
    let chip = ChipSpec::unit(1);
    let graph = Arc::new(Graph::new(config.graph_sizes(1, &chip), |_| 0));
    let Ok(mut orchestrator) = Orchestrator::new(config, Arc::clone(&graph), Arc::new(NoMemory), &chip) else {
        panic!("no memory was needed");
    };
    let mut retirer = Retirer(Arc::clone(&graph));
    let mut kernels = KernelSet::default();
    let function = KernelFunction::Rust(Arc::new(|_| Ok(())));
    if let Err(error) = kernels.register(Kernel { name: "empty".to_owned(), kind: None, function }) {
        panic!("{error}");
    }
    let kernels = Arc::new(kernels);

    let (cells, tasks) = shape(name);
    let bytes = cells as u64 * 4;
    let buffer = orchestrator.register_external(1 << 40, bytes);
    let layout = TensorLayout::row_major(&[cells as u32], DataType::U32)?;
    let whole = Tensor::external(1 << 40, bytes, buffer, 0, layout)?;
    let tiles = (0..cells as u32).map(|cell| whole.view(&[1], &[cell])).collect::<Result<Vec<_>, _>>()?;

    let (mut submitting, mut retiring) = (Vec::new(), Vec::new());
    for run in 0..=rounds {
        graph.run.begin(run + 1);
        orchestrator.begin_run(run + 1, Arc::clone(&kernels), true);
        let mut ended = 0;
        for some in tasks.chunks(batch) {
            let start = Instant::now();
            for (reads, update) in some {
                let mut arguments = [Argument::InOut(&tiles[*update]); 3];
                for (argument, &read) in arguments.iter_mut().zip(reads) {
                    *argument = Argument::Input(&tiles[read]);
                }
                submit(&mut orchestrator, &arguments[..=reads.len()], &mut retirer);
            }
            let middle = Instant::now();
            ended += retirer.run();
            let end = Instant::now();
            // The first run finds every page and every cache line cold.
            if run > 0 {
                let per_task = |time: Duration| time.as_nanos() as f64 / some.len() as f64;
                submitting.push(per_task(middle - start));
                retiring.push(per_task(end - middle));
            }
        }
        assert_eq!(orchestrator.end_run(&mut retirer), 0);
        let report = orchestrator.report();
        assert_eq!(report.tasks, tasks.len() as u64);
        assert_eq!(ended, report.tasks + report.joins, "every task ended once");
        orchestrator.after_run();
    }
    submitting.sort_by(f64::total_cmp);
    retiring.sort_by(f64::total_cmp);
    let at = |samples: &[f64], part: usize| samples[samples.len() * part / 100];
    println!(
        "{name:12} submit {:6.1} (tenth percentile {:6.1}) retire {:6.1} ns per task, median of {} batches of {batch}",
        at(&submitting, 50),
        at(&submitting, 10),
        at(&retiring, 50),
        submitting.len()
    );
    Ok(())
}

fn main() -> Result<(), TensorError> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next();
    let batch = arguments.next().and_then(|batch| batch.parse().ok()).unwrap_or(256);
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(15);
    for known in ["chain", "independent", "wavefront", "tree"] {
        if name.as_deref().is_none_or(|name| name == known || name == "all") {
            measure(known, batch, rounds.max(1))?;
        }
    }
    Ok(())
}
