//! The tasks and edges of a run, as they were inferred, for export and comparison.

use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::id::TaskId;
use prewire_runtime_core::slot::Ordinal;

/// What kind of task it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// It runs kernels.
    Kernel,
    /// It only orders.
    Dummy,
    /// It only allocates.
    Allocation,
    /// The orchestrator put it in to stand for many readers of one region.
    Join,
}

/// A logged task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedTask {
    /// The task.
    pub id: TaskId,
    /// The order of submission within the run.
    pub ordinal: Ordinal,
    /// What kind of task it is.
    pub kind: TaskKind,
}

/// Where an edge comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeOrigin {
    /// The producer allocated the argument.
    Creator,
    /// The producer writes bytes that the consumer reads.
    ReadAfterWrite,
    /// The producer writes bytes that the consumer overwrites.
    WriteAfterWrite,
    /// The producer reads bytes that the consumer overwrites.
    WriteAfterRead,
    /// The user named the producer.
    Explicit,
}

/// A logged edge. One pair of tasks may have several, with different origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedEdge {
    /// The task waited for.
    pub producer: TaskId,
    /// The task that waits.
    pub consumer: TaskId,
    /// Where the edge comes from.
    pub origin: EdgeOrigin,
    /// The argument that led to it, counted from 0; a predicate's operand comes behind the last argument. None for an explicit one.
    pub argument: Option<u16>,
    /// What the edge means.
    pub flags: EdgeFlags,
}

/// The tasks and edges of a run in the order of submission.
#[derive(Clone, Debug, Default)]
pub struct EdgeLog {
    /// The tasks.
    pub tasks: Vec<LoggedTask>,
    /// The edges; those of one consumer lie together. Edges to producers that had already finished are there, too.
    pub edges: Vec<LoggedEdge>,
}

impl EdgeLog {
    /// The different pairs of producer and consumer that have an edge, ascending.
    pub fn pairs(&self) -> Vec<(TaskId, TaskId)> {
        let mut pairs: Vec<_> = self.edges.iter().map(|edge| (edge.producer, edge.consumer)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    pub(crate) fn clear(&mut self) {
        self.tasks.clear();
        self.edges.clear();
    }
}
