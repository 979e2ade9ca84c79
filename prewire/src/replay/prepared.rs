//! What of a replay is the same in every run: which tensor each argument names, and how it comes to be.

use super::{Kept, ReplayError, hoist};
use crate::graph_format::{ArgumentRecord, Event, RecordedGraph, TaskKind, TaskRecord};
use crate::{
    Argument, Buffer, DataType, EdgeFlags, KernelId, NewTensor, Scalar, ScopeMode, Task, Tensor, TensorLayout,
};
use prewire_runtime_core::id::BufferId;
use prewire_runtime_core::slot::Comparison;
use prewire_runtime_core::tensor::ArgumentTag;
use std::collections::HashMap;

/// One event of the recording.
#[derive(Debug)]
pub(super) enum Step {
    Open(ScopeMode),
    Close,
    Allocate { index: u32, outputs: Vec<NewTensor>, views: Vec<View> },
    Task(Box<PreparedTask>),
}

impl Step {
    /// The number of the task in the recording; 0 for a scope.
    pub(super) fn index(&self) -> u32 {
        match self {
            Step::Open(_) | Step::Close => 0,
            Step::Allocate { index, .. } => *index,
            Step::Task(task) => task.index,
        }
    }
}

/// A task without what changes from run to run.
#[derive(Debug)]
pub(super) struct PreparedTask {
    /// Its number in the recording.
    pub(super) index: u32,
    pub(super) task: Kept,
    pub(super) arguments: Vec<Source>,
    pub(super) scalars: Vec<Scalar>,
    /// The named producers by their numbers.
    pub(super) named: Vec<(u32, EdgeFlags)>,
    pub(super) predicate: Option<PreparedPredicate>,
    /// The tensors that lie in its outputs.
    pub(super) views: Vec<View>,
}

/// An argument: a place in the table of tensors, or a new tensor.
#[derive(Debug)]
pub(super) enum Source {
    Input(u32),
    InOut(u32),
    OutputExisting(u32),
    NoDependency(u32),
    Output(NewTensor),
}

impl Source {
    /// The argument, with its tensor out of the table.
    #[inline]
    pub(super) fn argument<'a>(&self, tensors: &'a [Tensor]) -> Argument<'a> {
        match self {
            Source::Input(tensor) => Argument::Input(&tensors[*tensor as usize]),
            Source::InOut(tensor) => Argument::InOut(&tensors[*tensor as usize]),
            Source::OutputExisting(tensor) => Argument::OutputExisting(&tensors[*tensor as usize]),
            Source::NoDependency(tensor) => Argument::NoDependency(&tensors[*tensor as usize]),
            Source::Output(new) => Argument::Output(*new),
        }
    }
}

#[derive(Debug)]
pub(super) struct PreparedPredicate {
    pub(super) tensor: u32,
    pub(super) indices: Vec<u32>,
    pub(super) comparison: Comparison,
    pub(super) target: i64,
}

/// A tensor of the table that lies in an output.
#[derive(Debug)]
pub(super) struct View {
    /// Its place in the table.
    pub(super) tensor: u32,
    /// Which of the task's outputs.
    pub(super) output: u16,
    /// Where in it; all of it if there is none.
    pub(super) part: Option<(u64, TensorLayout)>,
}

/// A whole graph.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) steps: Vec<Step>,
    pub(super) tensors: Vec<Tensor>,
    pub(super) tasks: usize,
    /// The most named producers that a task has.
    pub(super) most_named: usize,
}

/// A buffer as one tensor of bytes, for views of other types.
pub(super) fn whole_buffer(buffer: &Buffer) -> Tensor {
    buffer.tensor(&[], DataType::U8).expect("every buffer has a byte")
}

struct Table<'a> {
    graph: &'a RecordedGraph,
    external: &'a [Option<Tensor>],
    tensors: Vec<Tensor>,
    /// Tensors by what they show, so that each is worked out once for each run.
    known: HashMap<(u32, u64, TensorLayout), u32>,
    /// By buffer of the runtime's: what the owning task has to fill in.
    views: HashMap<u32, Vec<View>>,
    /// By buffer: the layout that its owner allocates it with.
    allocated: HashMap<u32, TensorLayout>,
}

impl Table<'_> {
    fn place_of(&mut self, buffer: u32, start: u64, layout: TensorLayout) -> Result<u32, crate::TensorError> {
        if let Some(&place) = self.known.get(&(buffer, start, layout)) {
            return Ok(place);
        }
        let place = self.tensors.len() as u32;
        match self.external[buffer as usize] {
            Some(whole) => self.tensors.push(whole.with_layout(start, layout)?),
            None => {
                let whole = self.allocated.get(&buffer);
                let part = if start == 0 && whole == Some(&layout) { None } else { Some((start, layout)) };
                // Until its owner is submitted the place holds something that no argument can have.
                self.tensors.push(placeholder());
                self.views.entry(buffer).or_default().push(View { tensor: place, output: 0, part });
            }
        }
        self.known.insert((buffer, start, layout), place);
        Ok(place)
    }

    fn source(&mut self, argument: &ArgumentRecord) -> Result<Source, crate::TensorError> {
        if argument.tag == ArgumentTag::Output {
            return Ok(Source::Output(NewTensor::new(argument.layout.shape(), argument.layout.data_type())));
        }
        let place = self.place_of(argument.buffer, argument.start, argument.layout)?;
        // An argument that the user kept out of the inference is ordered by its allocation only, whatever the task does with it.
        Ok(match argument.tag {
            _ if argument.manual => Source::NoDependency(place),
            ArgumentTag::Input => Source::Input(place),
            ArgumentTag::InOut => Source::InOut(place),
            ArgumentTag::OutputExisting => Source::OutputExisting(place),
            ArgumentTag::NoDependency | ArgumentTag::Output => Source::NoDependency(place),
        })
    }
}

fn placeholder() -> Tensor {
    let layout = TensorLayout::row_major(&[0], DataType::U8).expect("an empty tensor is always possible");
    Tensor::external(0, 0, BufferId::external(0), 0, layout).expect("an empty tensor is always possible")
}

/// Works everything out; `external` has the external buffers, by their numbers.
pub(super) fn prepare(
    graph: &RecordedGraph,
    kernels: &HashMap<u16, KernelId>,
    external: &[Option<Tensor>],
) -> Result<Prepared, ReplayError> {
    let mut table = Table {
        graph,
        external,
        tensors: Vec::new(),
        known: HashMap::new(),
        views: HashMap::new(),
        allocated: HashMap::new(),
    };
    for task in graph.tasks() {
        for argument in task.arguments.iter().filter(|argument| argument.tag == ArgumentTag::Output) {
            table.allocated.insert(argument.buffer, argument.layout);
        }
    }
    let hoisted = hoist::allocations(graph)?;
    let mut steps = Vec::with_capacity(graph.events.len());
    for (place, event) in graph.events.iter().enumerate() {
        steps.extend(hoisted.before(place).map(allocation));
        steps.push(match event {
            Event::ScopeBegin { manual: false } => Step::Open(ScopeMode::Automatic),
            Event::ScopeBegin { manual: true } => Step::Open(ScopeMode::Manual),
            Event::ScopeEnd => Step::Close,
            Event::Task(task) if hoisted.contains(task.index) => continue,
            Event::Task(task) if task.kind == TaskKind::Allocation => allocation(task),
            Event::Task(task) => Step::Task(Box::new(prepare_task(&mut table, task, kernels)?)),
        });
    }
    // Only now is it known what every buffer is seen as.
    let tasks: Vec<&TaskRecord> = table.graph.tasks().collect();
    let mut most_named = 0;
    for step in &mut steps {
        let (index, views) = match step {
            Step::Open(_) | Step::Close => continue,
            Step::Allocate { index, views, .. } => (*index, views),
            Step::Task(task) => {
                most_named = most_named.max(task.named.len());
                (task.index, &mut task.views)
            }
        };
        let outputs = tasks[index as usize].arguments.iter().filter(|argument| argument.tag == ArgumentTag::Output);
        for (number, output) in outputs.enumerate() {
            let of_buffer = table.views.remove(&output.buffer).unwrap_or_default();
            views.extend(of_buffer.into_iter().map(|view| View { output: number as u16, ..view }));
        }
    }
    Ok(Prepared { steps, tasks: tasks.len(), tensors: table.tensors, most_named })
}

fn allocation(task: &TaskRecord) -> Step {
    let outputs = task.arguments.iter();
    let outputs = outputs.map(|output| NewTensor::new(output.layout.shape(), output.layout.data_type())).collect();
    Step::Allocate { index: task.index, outputs, views: Vec::new() }
}

fn prepare_task(
    table: &mut Table<'_>,
    record: &TaskRecord,
    kernels: &HashMap<u16, KernelId>,
) -> Result<PreparedTask, ReplayError> {
    let mut arguments = Vec::with_capacity(record.arguments.len());
    for (number, argument) in record.arguments.iter().enumerate() {
        let failed = |error| ReplayError::Tensor { task: record.index, argument: number, error };
        arguments.push(table.source(argument).map_err(failed)?);
    }
    let predicate = match &record.predicate {
        None => None,
        Some(predicate) => {
            let failed = |error| ReplayError::Tensor { task: record.index, argument: record.arguments.len(), error };
            let lengths: Vec<u32> = predicate.indices.iter().map(|index| index + 1).collect();
            let layout = TensorLayout::row_major(&lengths, predicate.data_type).map_err(failed)?;
            Some(PreparedPredicate {
                tensor: table.place_of(predicate.buffer, predicate.start, layout).map_err(failed)?,
                indices: predicate.indices.clone(),
                comparison: predicate.comparison,
                target: predicate.target,
            })
        }
    };
    Ok(PreparedTask {
        index: record.index,
        task: kept(record, kernels),
        arguments,
        scalars: record.scalars.iter().map(|&cell| Scalar(cell)).collect(),
        named: record.dependencies.iter().map(|dependency| (dependency.task, dependency.flags)).collect(),
        predicate,
        views: Vec::new(),
    })
}

/// The parts of a task that name no tensor.
fn kept(record: &TaskRecord, kernels: &HashMap<u16, KernelId>) -> Kept {
    let [cube, vector_0, vector_1] = record.kernels.map(|kernel| kernel.map(|kernel| kernels[&kernel]));
    let mut task = match (cube, vector_0, vector_1) {
        (None, None, None) => return Task::dummy(),
        (Some(cube), None, None) => Task::cube(cube),
        (None, Some(vector), None) | (None, None, Some(vector)) => Task::vector(vector),
        (cube, vector_0, vector_1) => Task::cluster(cube, vector_0, vector_1),
    };
    task = task.blocks(i64::from(record.blocks));
    if record.sync_start { task.sync_start() } else { task }
}
