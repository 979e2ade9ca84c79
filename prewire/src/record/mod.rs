//! Records what an orchestration submits, as a graph that can be written and replayed.

mod external;

use crate::graph_format::{
    ArgumentRecord, BufferRecord, DependencyRecord, EdgeRecord, EdgeSource, Event, Header, KernelRecord,
    PredicateRecord, RecordedGraph, TaskKind, TaskRecord,
};
use crate::unrun::Unrun;
use crate::{
    Argument, ArgumentTag, ChipSpec, CoreKind, Dependency, Hazards, KernelId, NewTensor, Predicate, RingIndex,
    ScopeMode, SubmitError, Submitted, Task, TaskId, Tensor,
};
use external::External;
use prewire_orchestrator::{EdgeOrigin, OrchestratorConfig};
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::id::{BufferId, RING_COUNT};
use prewire_runtime_core::kernel::{KernelSet, MAX_KERNELS};
use prewire_runtime_core::memory::OutOfMemory;
use prewire_runtime_core::task::MAX_TENSORS;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Takes the calls of an orchestration as a [`crate::Run`] does, runs nothing, and keeps what was said.
///
/// The dependencies in the recording are those of [`Hazards::ReadAfterWrite`], as the format says, with no task ever finished.
#[derive(Debug)]
pub struct Recorder {
    unrun: Unrun,
    graph: RecordedGraph,
    /// External memory by its address.
    external: BTreeMap<u64, External>,
    /// Buffers of the runtime's own.
    owned: HashMap<BufferId, u32>,
    /// The number in the recording of each kernel that was used, for the kind of core it was used on.
    kernels: HashMap<(KernelId, CoreKind), u16>,
    set: Arc<KernelSet>,
    numbers: HashMap<TaskId, u32>,
    tasks: u32,
    depth: usize,
    logged: usize,
    outputs: Vec<Tensor>,
}

impl Recorder {
    /// A recorder with room for `tasks` tasks, for a chip with these kernels.
    ///
    /// # Errors
    /// If there is no memory for so many tasks.
    pub fn new(chip: &ChipSpec, kernels: &KernelSet, tasks: u64) -> Result<Self, OutOfMemory> {
        let tasks = tasks.max(1);
        let config = OrchestratorConfig {
            window: [(tasks + 1).next_power_of_two().max(64); RING_COUNT],
            heap_bytes: [1 << 44; RING_COUNT],
            edges: [(64 * tasks).next_power_of_two().min(1 << 28); RING_COUNT],
            index_entries: 16 * tasks + 1024,
            hazards: Hazards::ReadAfterWrite,
            no_progress: Duration::from_millis(10),
            record: true,
            ..OrchestratorConfig::default()
        };
        let header = Header { recorded_with: format!("prewire {}", env!("CARGO_PKG_VERSION")), ..Header::default() };
        let set = Arc::new(kernels.clone());
        Ok(Recorder {
            unrun: Unrun::new(config, chip, set.clone())?,
            graph: RecordedGraph { header, events: Vec::new() },
            external: BTreeMap::new(),
            owned: HashMap::new(),
            kernels: HashMap::new(),
            set,
            numbers: HashMap::new(),
            tasks: 0,
            depth: 0,
            logged: 0,
            outputs: Vec::with_capacity(MAX_TENSORS),
        })
    }

    /// Makes the external memory that a tensor lies in known under a name. Memory that nobody named gets one when it is first used; what is used in
    /// overlapping pieces has to be named as a whole before that.
    ///
    /// # Errors
    /// If part of the memory is known already.
    pub fn name(&mut self, tensor: &Tensor, name: impl Into<String>) -> Result<(), SubmitError> {
        self.register(tensor, name.into()).map(|_| ())
    }

    /// The header, for its texts.
    pub fn header_mut(&mut self) -> &mut Header {
        &mut self.graph.header
    }

    /// As [`crate::Run::submit`].
    ///
    /// # Errors
    /// What a run would refuse.
    pub fn submit(&mut self, task: &Task<'_>) -> Result<Submitted<'_>, SubmitError> {
        let mut tensors = Vec::with_capacity(task.tensors_named().len());
        for argument in task.tensors_named() {
            tensors.push(match argument {
                Argument::Output(_) => None,
                Argument::Input(tensor)
                | Argument::InOut(tensor)
                | Argument::OutputExisting(tensor)
                | Argument::NoDependency(tensor) => Some(self.translate(tensor)?),
            });
        }
        let arguments: Vec<Argument<'_>> = task
            .tensors_named()
            .iter()
            .zip(&tensors)
            .map(|(argument, tensor)| match (argument, tensor) {
                (Argument::Input(_), Some(tensor)) => Argument::Input(tensor),
                (Argument::InOut(_), Some(tensor)) => Argument::InOut(tensor),
                (Argument::OutputExisting(_), Some(tensor)) => Argument::OutputExisting(tensor),
                (Argument::NoDependency(_), Some(tensor)) => Argument::NoDependency(tensor),
                (other, _) => *other,
            })
            .collect();
        let operand = task.predicated().map(|predicate| self.translate(predicate.operand)).transpose()?;
        let mut translated = task.arguments(&arguments);
        if let (Some(predicate), Some(operand)) = (task.predicated(), &operand) {
            translated = translated.predicate(Predicate { operand, ..*predicate });
        }
        let submitted = self.unrun.orchestrator.submit(&translated, &mut self.unrun.nobody)?;
        let id = submitted.id;
        self.outputs.clear();
        self.outputs.extend_from_slice(submitted.outputs);
        self.keep(&translated, id, TaskKind::Kernel);
        Ok(Submitted { id, outputs: &self.outputs })
    }

    /// As [`crate::Run::allocate`].
    ///
    /// # Errors
    /// What a run would refuse.
    pub fn allocate(&mut self, tensors: &[NewTensor]) -> Result<Submitted<'_>, SubmitError> {
        let submitted = self.unrun.orchestrator.allocate(tensors, &mut self.unrun.nobody)?;
        let id = submitted.id;
        self.outputs.clear();
        self.outputs.extend_from_slice(submitted.outputs);
        let arguments: Vec<Argument<'_>> = tensors.iter().copied().map(Argument::Output).collect();
        self.keep(&Task::dummy().arguments(&arguments), id, TaskKind::Allocation);
        Ok(Submitted { id, outputs: &self.outputs })
    }

    /// As [`crate::Run::open_scope`].
    ///
    /// # Errors
    /// What a run would refuse.
    pub fn open_scope(&mut self, mode: ScopeMode) -> Result<(), SubmitError> {
        self.unrun.orchestrator.open_scope(mode)?;
        self.depth += 1;
        self.graph.events.push(Event::ScopeBegin { manual: mode == ScopeMode::Manual });
        Ok(())
    }

    /// As [`crate::Run::close_scope`].
    ///
    /// # Errors
    /// What a run would refuse.
    pub fn close_scope(&mut self) -> Result<(), SubmitError> {
        self.unrun.orchestrator.close_scope()?;
        self.depth -= 1;
        self.graph.events.push(Event::ScopeEnd);
        Ok(())
    }

    /// The recording.
    pub fn finish(self) -> RecordedGraph {
        self.graph
    }

    fn new_buffer(&mut self, bytes: u64, producer: Option<u32>) -> u32 {
        let number = self.graph.header.buffers.len() as u32;
        self.graph.header.buffers.push(BufferRecord { bytes, producer });
        number
    }

    /// Puts down a task that was accepted.
    fn keep(&mut self, task: &Task<'_>, id: TaskId, kind: TaskKind) {
        let index = self.tasks;
        self.tasks += 1;
        self.numbers.insert(id, index);
        let mut arguments = Vec::with_capacity(task.tensors_named().len());
        let mut outputs = std::mem::take(&mut self.outputs).into_iter();
        let mut kept = Vec::with_capacity(MAX_TENSORS);
        for argument in task.tensors_named() {
            let (tag, tensor) = match argument {
                Argument::Input(tensor) => (ArgumentTag::Input, **tensor),
                Argument::InOut(tensor) => (ArgumentTag::InOut, **tensor),
                Argument::OutputExisting(tensor) => (ArgumentTag::OutputExisting, **tensor),
                Argument::NoDependency(tensor) => (ArgumentTag::NoDependency, **tensor),
                Argument::Output(_) => {
                    let tensor = outputs.next().expect("every new tensor has been allocated");
                    kept.push(tensor);
                    let number = self.new_buffer(tensor.buffer_bytes(), Some(index));
                    self.owned.insert(tensor.buffer(), number);
                    (ArgumentTag::Output, tensor)
                }
            };
            arguments.push(ArgumentRecord::new(tag, self.number_of(&tensor), &tensor));
        }
        self.outputs = kept;
        let predicate = task.predicated().map(|predicate| PredicateRecord {
            comparison: predicate.comparison,
            target: predicate.target,
            buffer: self.number_of(predicate.operand),
            // The operand's shape is not part of the format, so the element itself is named.
            start: predicate.operand.start()
                + predicate
                    .indices
                    .iter()
                    .zip(predicate.operand.strides())
                    .map(|(&i, &s)| u64::from(i) * u64::from(s))
                    .sum::<u64>(),
            data_type: predicate.operand.data_type(),
            indices: vec![0],
        });
        let mut kernels = [None; 3];
        for (part, kernel) in task.kernels_named().into_iter().enumerate() {
            let kind = if part == 0 { CoreKind::Cube } else { CoreKind::Vector };
            kernels[part] = kernel.map(|kernel| self.number_of_kernel(kernel, kind));
        }
        let dummy = kernels.iter().all(Option::is_none) && kind == TaskKind::Kernel;
        let edges = self.edges_of(id);
        let record = TaskRecord {
            index,
            kind: if dummy { TaskKind::Dummy } else { kind },
            ring: RingIndex::of_depth(self.depth).0,
            kernels,
            blocks: task.block_count(),
            sync_start: task.is_gang(),
            early_resolve: false,
            arguments,
            scalars: task.scalars_named().iter().map(|scalar| scalar.0).collect(),
            dependencies: task.dependencies_named().iter().filter_map(|named| self.named(named)).collect(),
            edges,
            predicate,
        };
        self.graph.events.push(Event::Task(Box::new(record)));
    }

    /// The number of a kernel in the recording. A kernel for both kinds of core that is used on both has two.
    fn number_of_kernel(&mut self, kernel: KernelId, kind: CoreKind) -> u16 {
        if let Some(&number) = self.kernels.get(&(kernel, kind)) {
            return number;
        }
        let listed = &mut self.graph.header.kernels;
        let free = |number: &u16| !listed.contains_key(number);
        let number =
            std::iter::once(kernel.0).chain((0..MAX_KERNELS as u16).rev()).find(free).expect("numbers do not run out");
        let name = self.set.get(kernel).map_or_else(String::new, |kernel| kernel.name.clone());
        listed.insert(number, KernelRecord { name, kind, duration_ns: None });
        self.kernels.insert((kernel, kind), number);
        number
    }

    fn number_of(&self, tensor: &Tensor) -> u32 {
        match self.owned.get(&tensor.buffer()) {
            Some(&number) => number,
            None => self.external[&tensor.address()].number,
        }
    }

    fn named(&self, dependency: &Dependency) -> Option<DependencyRecord> {
        let task = *self.numbers.get(&dependency.task)?;
        Some(DependencyRecord { task, flags: without_data(dependency.flags) })
    }

    /// The edges that the last submit found.
    fn edges_of(&mut self, id: TaskId) -> Vec<EdgeRecord> {
        let edges = &self.unrun.orchestrator.log().edges;
        let mut new: Vec<EdgeRecord> = edges[self.logged..]
            .iter()
            .filter(|edge| edge.consumer == id)
            .map(|edge| EdgeRecord {
                producer: self.numbers[&edge.producer],
                source: match edge.origin {
                    EdgeOrigin::Explicit => EdgeSource::Explicit,
                    EdgeOrigin::Creator => EdgeSource::Creator,
                    _ => EdgeSource::Overlap,
                },
                flags: without_data(edge.flags),
                argument: edge.argument,
            })
            .collect();
        self.logged = edges.len();
        new.sort_by_key(|edge| (edge.producer, edge.argument));
        new
    }
}

/// Upstream's flags have no mark for data.
fn without_data(flags: EdgeFlags) -> EdgeFlags {
    [EdgeFlags::WAIT, EdgeFlags::RETAIN]
        .into_iter()
        .filter(|&flag| flags.contains(flag))
        .fold(EdgeFlags::NONE, EdgeFlags::union)
}
