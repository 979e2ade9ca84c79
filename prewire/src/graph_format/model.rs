//! What a recorded graph says.

use super::Statistics;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::slot::Comparison;
use prewire_runtime_core::tensor::{ArgumentTag, DataType, Tensor, TensorError, TensorLayout};
use std::collections::BTreeMap;

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Header {
    /// What was recorded.
    pub model: String,
    /// Which case of it.
    pub case: String,
    /// The parameters of the case.
    pub params: BTreeMap<String, String>,
    /// What recorded it.
    pub recorded_with: String,
    /// The kernels by their numbers.
    pub kernels: BTreeMap<u16, KernelRecord>,
    /// The external tensors by the order in which the orchestration got them.
    pub entry: Vec<EntryRecord>,
    /// Every buffer.
    pub buffers: Vec<BufferRecord>,
}

/// A kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRecord {
    /// Its name.
    pub name: String,
    /// The kind of core it runs on.
    pub kind: CoreKind,
    /// How long one block of it takes, in nanoseconds, if that is known.
    pub duration_ns: Option<u64>,
}

/// An external tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRecord {
    /// Its name.
    pub name: String,
    /// Its buffer.
    pub buffer: u32,
    /// Its element type.
    pub data_type: DataType,
    /// Its shape.
    pub shape: Vec<u32>,
}

/// A buffer: external memory, or an output of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferRecord {
    /// Its size.
    pub bytes: u64,
    /// The task that owns it, or none for external memory.
    pub producer: Option<u32>,
}

/// A line behind the header.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A scope begins.
    ScopeBegin {
        /// Whether nothing is inferred in it.
        manual: bool,
    },
    /// The innermost open scope ends.
    ScopeEnd,
    /// A task is submitted.
    Task(Box<TaskRecord>),
}

/// What kind of task it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// It runs kernels (`K`).
    Kernel,
    /// It only orders others (`D`).
    Dummy,
    /// It only allocates outputs and is complete at once (`A`).
    Allocation,
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    /// Its number in the order of submission, from 0.
    pub index: u32,
    /// What kind of task it is.
    pub kind: TaskKind,
    /// The ring of its scope's depth.
    pub ring: u8,
    /// The kernels for the cube core and the two vector cores of a cluster.
    pub kernels: [Option<u16>; 3],
    /// Its blocks.
    pub blocks: u32,
    /// Whether all blocks start together.
    pub sync_start: bool,
    /// Whether upstream was allowed to resolve it early. Kept, and without meaning here.
    pub early_resolve: bool,
    /// The tensor arguments.
    pub arguments: Vec<ArgumentRecord>,
    /// The scalar arguments.
    pub scalars: Vec<u64>,
    /// The dependencies that the orchestration named.
    pub dependencies: Vec<DependencyRecord>,
    /// The dependencies that were found.
    pub edges: Vec<EdgeRecord>,
    /// When it is to run at all.
    pub predicate: Option<PredicateRecord>,
}

/// A tensor argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentRecord {
    /// What the task does with it.
    pub tag: ArgumentTag,
    /// Its buffer.
    pub buffer: u32,
    /// Its first element, counted from the buffer's first byte.
    pub start: u64,
    /// Shape, strides and element type.
    pub layout: TensorLayout,
    /// Whether it was kept out of the inference by the user.
    pub manual: bool,
}

impl ArgumentRecord {
    /// The argument for a tensor of a buffer.
    pub fn new(tag: ArgumentTag, buffer: u32, tensor: &Tensor) -> Self {
        ArgumentRecord { tag, buffer, start: tensor.start(), layout: *tensor.layout(), manual: false }
    }

    /// The argument's tensor in the buffer that `whole` covers.
    ///
    /// # Errors
    /// If it reaches past the buffer.
    pub fn tensor(&self, whole: &Tensor) -> Result<Tensor, TensorError> {
        whole.with_layout(self.start, self.layout)
    }
}

/// A dependency that the orchestration named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DependencyRecord {
    /// The producer.
    pub task: u32,
    /// [`EdgeFlags::WAIT`] and perhaps [`EdgeFlags::RETAIN`].
    pub flags: EdgeFlags,
}

/// Where a dependency comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeSource {
    /// The orchestration named it (0).
    Explicit,
    /// The producer owns the buffer (1).
    Creator,
    /// The producer writes bytes that the consumer uses (2).
    Overlap,
}

/// A dependency that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeRecord {
    /// The task waited for.
    pub producer: u32,
    /// How it was found.
    pub source: EdgeSource,
    /// [`EdgeFlags::WAIT`] and perhaps [`EdgeFlags::RETAIN`].
    pub flags: EdgeFlags,
    /// The argument it was found for; none for a named dependency.
    pub argument: Option<u16>,
}

/// A condition on a tensor's element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredicateRecord {
    /// How the element is compared.
    pub comparison: Comparison,
    /// With what.
    pub target: i64,
    /// The buffer of the element.
    pub buffer: u32,
    /// The tensor's first element.
    pub start: u64,
    /// The tensor's element type.
    pub data_type: DataType,
    /// The element's indices within the tensor.
    pub indices: Vec<u32>,
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct RecordedGraph {
    /// Its first line.
    pub header: Header,
    /// The others.
    pub events: Vec<Event>,
}

impl RecordedGraph {
    /// The tasks in the order of submission.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskRecord> {
        self.events.iter().filter_map(|event| match event {
            Event::Task(task) => Some(&**task),
            _ => None,
        })
    }

    /// What the header of a file counts.
    pub fn statistics(&self) -> Statistics {
        Statistics::of(&self.header, &self.events)
    }
}
