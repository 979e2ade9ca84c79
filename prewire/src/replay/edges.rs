//! The dependencies that our inference finds for a recorded graph, against those that were recorded.
//!
//! The graph goes through an orchestrator whose tasks never run, so that what is found does not depend on what had finished, with
//! `Hazards::ReadAfterWrite`, which infers what the recording runtime infers.

use super::script::{Script, State, Step};
use super::{ReplayError, hoist, prepared};
use crate::graph_format::{EdgeSource, RecordedGraph};
use crate::unrun::Unrun;
use crate::{ChipSpec, DataType, ErrorCode, Hazards, KernelId, SubmitError, TaskId, Tensor};
use prewire_orchestrator::{EdgeLog, EdgeOrigin, OrchestratorConfig};
use prewire_runtime_core::id::RING_COUNT;
use prewire_runtime_core::kernel::{Kernel, KernelFunction, KernelSet};
use prewire_runtime_core::tensor::{ArgumentTag, TensorLayout};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// A dependency that only one side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtraEdge {
    /// The task waited for, by its number in the recording.
    pub producer: u32,
    /// The task that waits.
    pub consumer: u32,
    /// How the side that has it found it.
    pub source: EdgeSource,
    /// The first argument it was found for, if it was found for one.
    pub argument: Option<u16>,
}

/// What the comparison gave, pair by pair of tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeComparison {
    /// Different pairs that our inference found.
    pub found: usize,
    /// Different pairs that were recorded.
    pub recorded: usize,
    /// Recorded and not found.
    pub missing: Vec<ExtraEdge>,
    /// Found and not recorded.
    pub extra: Vec<ExtraEdge>,
    /// Pairs that both sides have and that they found in different ways: by name, by the owner of an argument, by common bytes.
    pub other_source: Vec<ExtraEdge>,
}

impl EdgeComparison {
    /// Whether both sides have the same pairs.
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }
}

/// Infers the dependencies of `graph` and compares them with the recorded ones.
///
/// # Errors
/// If the graph cannot be submitted to an orchestrator for this chip.
pub fn compare_edges(graph: &RecordedGraph, chip: &ChipSpec) -> Result<EdgeComparison, ReplayError> {
    let named: usize = graph.tasks().map(|task| task.dependencies.len()).sum();
    let recorded: usize = graph.tasks().map(|task| task.edges.len()).sum();
    let mut edges = ((named + recorded) as u64 + 64).next_power_of_two();
    loop {
        match infer(graph, chip, edges) {
            Err(ReplayError::Inference { error: SubmitError::Fatal(fatal), .. })
                if fatal.code() == ErrorCode::EdgePoolOverflow && edges < 1 << 28 =>
            {
                edges *= 4;
            }
            Err(error) => return Err(error),
            Ok((log, ids)) => return Ok(compare(graph, &log, &ids)),
        }
    }
}

fn config(graph: &RecordedGraph, edges: u64) -> Result<OrchestratorConfig, ReplayError> {
    let hoisted = hoist::allocations(graph)?;
    let mut window = [1u64; RING_COUNT];
    let mut heap_bytes = [1u64 << 20; RING_COUNT];
    let mut entries = 64u64;
    for task in graph.tasks() {
        entries += 4 * task.arguments.len() as u64;
        let outputs = task.arguments.iter().filter(|argument| argument.tag == ArgumentTag::Output);
        // Outputs are padded within their task's packed buffer.
        let bytes: u64 = outputs.map(|output| output.layout.bytes() + 4096).sum();
        // An allocation that is made in an outer scope takes room in one of the rings further up.
        let rings = if hoisted.contains(task.index) { 0..=task.ring } else { task.ring..=task.ring };
        for ring in rings.map(usize::from) {
            window[ring] += 1;
            heap_bytes[ring] += bytes;
        }
    }
    Ok(OrchestratorConfig {
        window: window.map(|tasks| (tasks + 1).next_power_of_two().max(4)),
        heap_bytes: heap_bytes.map(u64::next_power_of_two),
        edges: [edges; RING_COUNT],
        index_entries: entries,
        hazards: Hazards::ReadAfterWrite,
        no_progress: Duration::from_millis(10),
        record: true,
        ..OrchestratorConfig::default()
    })
}

/// Kernels at the numbers they have in the recording.
fn kernel_set(graph: &RecordedGraph) -> Result<(Arc<KernelSet>, HashMap<u16, KernelId>), ReplayError> {
    let mut set = KernelSet::default();
    let mut ids = HashMap::new();
    for (&number, record) in &graph.header.kernels {
        let kernel = Kernel {
            name: record.name.clone(),
            kind: Some(record.kind),
            function: KernelFunction::Rust(Arc::new(|_| Ok(()))),
        };
        let failed =
            |error| ReplayError::Kernel { name: record.name.clone(), error: crate::RegisterError::Table(error) };
        ids.insert(number, set.register_at(u32::from(number), kernel).map_err(failed)?);
    }
    Ok((Arc::new(set), ids))
}

/// Submits the whole graph, and returns what was found and the ids that the tasks got.
fn infer(graph: &RecordedGraph, chip: &ChipSpec, edges: u64) -> Result<(EdgeLog, Vec<TaskId>), ReplayError> {
    let (kernels, ids) = kernel_set(graph)?;
    let mut unrun = Unrun::new(config(graph, edges)?, chip, kernels)?;
    let mut external = Vec::with_capacity(graph.header.buffers.len());
    for (number, record) in graph.header.buffers.iter().enumerate() {
        if record.producer.is_some() {
            external.push(None);
            continue;
        }
        let byte = TensorLayout::row_major(&[], DataType::U8).expect("one element is a layout");
        let (address, id) = unrun.external(record.bytes.max(1))?;
        let whole = Tensor::external(address, record.bytes.max(1), id, 0, byte);
        let failed = |error| ReplayError::Tensor { task: 0, argument: number, error };
        external.push(Some(whole.map_err(failed)?));
    }
    let (script, tensors) = prepared::prepare(graph, &ids, &external)?;
    let mut state = State::new(&script, tensors);
    for step in &script.steps {
        submit(&mut unrun, &script, step, &mut state)
            .map_err(|error| ReplayError::Inference { task: step.index(), error })?;
    }
    Ok((unrun.orchestrator.log().clone(), state.ids))
}

fn submit(unrun: &mut Unrun, script: &Script, step: &Step, state: &mut State) -> Result<(), SubmitError> {
    let Unrun { orchestrator, nobody, .. } = unrun;
    match step {
        Step::Open(mode) => orchestrator.open_scope(*mode),
        Step::Close => orchestrator.close_scope(),
        Step::Allocate { index, outputs, views } => {
            script.allocate((*index, outputs, views), state, |outputs| orchestrator.allocate(outputs, nobody))
        }
        Step::Task(task) => script.submit(task, state, |task| orchestrator.submit(task, nobody)),
    }
}

/// How a pair was found, and the first argument it was found for.
type Finding = (BTreeSet<EdgeSource>, Option<u16>);

/// The findings by producer and consumer.
type Pairs = BTreeMap<(u32, u32), Finding>;

fn compare(graph: &RecordedGraph, log: &EdgeLog, ids: &[TaskId]) -> EdgeComparison {
    let mut recorded = Pairs::new();
    for task in graph.tasks() {
        for edge in &task.edges {
            let pair = recorded.entry((edge.producer, task.index)).or_insert((BTreeSet::new(), edge.argument));
            pair.0.insert(edge.source);
        }
    }
    let numbers: HashMap<TaskId, u32> = ids.iter().enumerate().map(|(number, &id)| (id, number as u32)).collect();
    let mut found = Pairs::new();
    for edge in &log.edges {
        let source = match edge.origin {
            EdgeOrigin::Explicit => EdgeSource::Explicit,
            EdgeOrigin::Creator => EdgeSource::Creator,
            EdgeOrigin::ReadAfterWrite | EdgeOrigin::WriteAfterWrite | EdgeOrigin::WriteAfterRead => {
                EdgeSource::Overlap
            }
        };
        let argument = edge.argument;
        let pair =
            found.entry((numbers[&edge.producer], numbers[&edge.consumer])).or_insert((BTreeSet::new(), argument));
        pair.0.insert(source);
    }
    let only_in = |some: &Pairs, other: &Pairs| {
        let only = some.iter().filter(|(pair, _)| !other.contains_key(pair));
        only.map(|(&pair, (sources, argument))| edge(pair, sources, *argument)).collect()
    };
    let differs = |(pair, (sources, argument)): (&(u32, u32), &Finding)| {
        let (others, _) = found.get(pair)?;
        (others != sources).then(|| edge(*pair, others, *argument))
    };
    EdgeComparison {
        found: found.len(),
        recorded: recorded.len(),
        missing: only_in(&recorded, &found),
        extra: only_in(&found, &recorded),
        other_source: recorded.iter().filter_map(differs).collect(),
    }
}

fn edge((producer, consumer): (u32, u32), sources: &BTreeSet<EdgeSource>, argument: Option<u16>) -> ExtraEdge {
    let source = *sources.first().expect("an edge has a source");
    ExtraEdge { producer, consumer, source, argument }
}
