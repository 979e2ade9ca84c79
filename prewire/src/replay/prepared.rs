//! What of a replay is the same in every run: which tensor each argument names, and how it comes to be.

use super::script::{Piece, Script, ScriptPredicate, ScriptTask, Source, Step, View, Work};
use super::{ReplayError, hoist};
use crate::graph_format::{ArgumentRecord, Event, RecordedGraph, TaskKind, TaskRecord};
use crate::{Buffer, DataType, KernelId, NewTensor, Scalar, ScopeMode, Tensor, TensorLayout};
use prewire_runtime_core::id::BufferId;
use prewire_runtime_core::tensor::ArgumentTag;
use std::collections::HashMap;

/// A buffer as one tensor of bytes, for views of other types.
pub(super) fn whole_buffer(buffer: &Buffer) -> Tensor {
    buffer.tensor(&[], DataType::U8).expect("every buffer has a byte")
}

struct Table<'a> {
    external: &'a [Option<Tensor>],
    tensors: Vec<Tensor>,
    /// Tensors by what they show, so that each is worked out once for each run.
    known: HashMap<(u32, u64, TensorLayout), u32>,
    /// By buffer of the runtime's: what the owning task has to fill in.
    views: HashMap<u32, Vec<View>>,
    /// By buffer: the layout that its owner allocates it with.
    allocated: HashMap<u32, TensorLayout>,
    script: Script,
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
            return Ok(Source::Output(append(&mut self.script.new_tensors, [new_tensor(argument)]).start));
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

/// Puts items behind those that are in a table.
fn append<T>(table: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Piece {
    let start = table.len() as u32;
    table.extend(items);
    start..table.len() as u32
}

fn new_tensor(argument: &ArgumentRecord) -> NewTensor {
    NewTensor::new(argument.layout.shape(), argument.layout.data_type())
}

/// Works everything out; `external` has the external buffers, by their numbers. Returns the tensors that arguments name, too.
pub(super) fn prepare(
    graph: &RecordedGraph,
    kernels: &HashMap<u16, KernelId>,
    external: &[Option<Tensor>],
) -> Result<(Script, Vec<Tensor>), ReplayError> {
    let mut table = Table {
        external,
        tensors: Vec::new(),
        known: HashMap::new(),
        views: HashMap::new(),
        allocated: HashMap::new(),
        script: Script::default(),
    };
    for task in graph.tasks() {
        for argument in task.arguments.iter().filter(|argument| argument.tag == ArgumentTag::Output) {
            table.allocated.insert(argument.buffer, argument.layout);
        }
    }
    let hoisted = hoist::allocations(graph)?;
    let mut steps = Vec::with_capacity(graph.events.len());
    for (place, event) in graph.events.iter().enumerate() {
        for task in hoisted.before(place) {
            steps.push(table.allocation(task));
        }
        steps.push(match event {
            Event::ScopeBegin { manual: false } => Step::Open(ScopeMode::Automatic),
            Event::ScopeBegin { manual: true } => Step::Open(ScopeMode::Manual),
            Event::ScopeEnd => Step::Close,
            Event::Task(task) if hoisted.contains(task.index) => continue,
            Event::Task(task) if task.kind == TaskKind::Allocation => table.allocation(task),
            Event::Task(task) => Step::Task(table.task(task, kernels)?),
        });
    }
    // Only now is it known what every buffer is seen as.
    let Table { tensors, mut views, mut script, .. } = table;
    let tasks: Vec<&TaskRecord> = graph.tasks().collect();
    for step in &mut steps {
        let (index, of_task) = match step {
            Step::Open(_) | Step::Close => continue,
            Step::Allocate { index, views, .. } => (*index, views),
            Step::Task(task) => (task.index, &mut task.views),
        };
        let outputs = tasks[index as usize].arguments.iter().filter(|argument| argument.tag == ArgumentTag::Output);
        let found = outputs.enumerate().flat_map(|(number, output)| {
            let of_buffer = views.remove(&output.buffer).unwrap_or_default();
            of_buffer.into_iter().map(move |view| View { output: number as u16, ..view })
        });
        *of_task = append(&mut script.views, found);
    }
    script.tasks = tasks.len();
    script.most_named = tasks.iter().map(|task| task.dependencies.len()).max().unwrap_or(0);
    script.steps = steps;
    Ok((script, tensors))
}

impl Table<'_> {
    fn allocation(&mut self, task: &TaskRecord) -> Step {
        let outputs = append(&mut self.script.new_tensors, task.arguments.iter().map(new_tensor));
        Step::Allocate { index: task.index, outputs, views: 0..0 }
    }

    fn task(&mut self, record: &TaskRecord, kernels: &HashMap<u16, KernelId>) -> Result<ScriptTask, ReplayError> {
        let mut sources = Vec::with_capacity(record.arguments.len());
        for (number, argument) in record.arguments.iter().enumerate() {
            let failed = |error| ReplayError::Tensor { task: record.index, argument: number, error };
            sources.push(self.source(argument).map_err(failed)?);
        }
        let mut predicate = None;
        if let Some(recorded) = &record.predicate {
            let failed = |error| ReplayError::Tensor { task: record.index, argument: record.arguments.len(), error };
            let lengths: Vec<u32> = recorded.indices.iter().map(|index| index + 1).collect();
            let layout = TensorLayout::row_major(&lengths, recorded.data_type).map_err(failed)?;
            let recorded = ScriptPredicate {
                tensor: self.place_of(recorded.buffer, recorded.start, layout).map_err(failed)?,
                indices: recorded.indices.clone(),
                comparison: recorded.comparison,
                target: recorded.target,
            };
            predicate = Some(append(&mut self.script.predicates, [recorded]).start);
        }
        let script = &mut self.script;
        Ok(ScriptTask {
            index: record.index,
            blocks: record.blocks,
            work: work(record, kernels),
            sync_start: record.sync_start,
            arguments: append(&mut script.arguments, sources),
            scalars: append(&mut script.scalars, record.scalars.iter().map(|&cell| Scalar(cell))),
            named: append(&mut script.named, record.dependencies.iter().map(|named| (named.task, named.flags))),
            predicate,
            views: 0..0,
        })
    }
}

fn work(record: &TaskRecord, kernels: &HashMap<u16, KernelId>) -> Work {
    match record.kernels.map(|kernel| kernel.map(|kernel| kernels[&kernel])) {
        [None, None, None] => Work::Dummy,
        [Some(cube), None, None] => Work::Cube(cube),
        [None, Some(vector), None] | [None, None, Some(vector)] => Work::Vector(vector),
        kernels => Work::Cluster(kernels),
    }
}
