//! How long the kernels of a recording take, where nobody says so: what the sizes of their arguments make likely on a chip.
//!
//! A recording has the tensors that tasks name, which are often far larger than what one block works on: a block of a projection names all of a weight
//! matrix and is told by a scalar which part is its own. So a tensor that is larger than a core's own memory is taken to be shared out evenly among
//! all blocks that name it, over the whole recording. What is smaller is shared out among the blocks of its task, and all of it
//! among the parts of a block. Every block of a kernel takes the mean.

use crate::graph_format::{RecordedGraph, TaskRecord};
use crate::{ChipSpec, TensorLayout};
use prewire_platform_sim::{Shape, model_ns};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The first-level memory of a cube core (Liao et al., HPCA 2021).
const LOCAL_BYTES: u64 = 1 << 20;

/// A tensor as tasks name it.
type Named = (u32, u64, TensorLayout);

/// The time of one block of each kernel, by its number in the recording.
pub(super) fn times(graph: &RecordedGraph, chip: &ChipSpec) -> BTreeMap<u16, Duration> {
    let mut sharers: HashMap<Named, u64> = HashMap::new();
    for task in graph.tasks() {
        for argument in &task.arguments {
            *sharers.entry((argument.buffer, argument.start, argument.layout)).or_default() += u64::from(task.blocks);
        }
    }
    let mut sums: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
    for task in graph.tasks() {
        for &number in task.kernels.iter().flatten() {
            let Some(kernel) = graph.header.kernels.get(&number) else { continue };
            let block_ns = model_ns(&chip.rates, kernel.kind, shapes(task, &sharers));
            let (ns, blocks) = sums.entry(number).or_default();
            *ns += block_ns * u64::from(task.blocks);
            *blocks += u64::from(task.blocks);
        }
    }
    sums.into_iter().map(|(number, (ns, blocks))| (number, Duration::from_nanos(ns / blocks.max(1)))).collect()
}

/// What one block of a task works on.
fn shapes<'a>(task: &'a TaskRecord, sharers: &'a HashMap<Named, u64>) -> impl Iterator<Item = Shape> + 'a {
    let parts = task.kernels.iter().flatten().count().max(1) as f64;
    task.arguments.iter().map(move |argument| {
        let sharers = match argument.layout.bytes() > LOCAL_BYTES {
            true => sharers[&(argument.buffer, argument.start, argument.layout)],
            false => u64::from(task.blocks),
        };
        let elements: f64 = argument.layout.shape().iter().map(|&length| f64::from(length)).product();
        Shape {
            tag: argument.tag,
            elements: elements / (sharers.max(1) as f64 * parts),
            element_bytes: argument.layout.data_type().bytes() as f64,
        }
    })
}
