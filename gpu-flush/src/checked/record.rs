//! The record of a run: every step of every actor, in the order in which each took its own.

use std::collections::HashMap;

use crate::device::{Access, BufferId, CounterId, EventId, Label, Note, StreamId, Tag};

/// Who takes a step. Each actor's steps are in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    Stream(StreamId),
    Host,
    Sink,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// On a stream, or the sink's read.
    Operation {
        tag: Tag,
        accesses: Vec<Access>,
        elided: bool,
    },
    Record {
        edge: Label,
    },
    Wait {
        edge: Label,
        on: Option<usize>,
    },
    CounterWait {
        edge: Label,
        counter: CounterId,
        at_least: u64,
    },
    /// On the host from here.
    HostWait {
        edge: Label,
        on: Option<usize>,
    },
    Synchronize {
        on: Option<usize>,
    },
    /// An operation that borrowed the host's memory has run.
    Returned {
        tag: Tag,
    },
    Publish {
        edge: Label,
        counter: CounterId,
        value: u64,
    },
    HostOperation {
        tag: Tag,
        accesses: Vec<Access>,
    },
    HandedOver {
        tag: Tag,
    },
    FenceRecord {
        edge: Label,
        direct_writes: u64,
        handed_over: u64,
    },
    FenceWait {
        edge: Label,
        on: Option<usize>,
    },
    Note(Note),
    /// The call that would have taken this step failed.
    Cancelled,
}

impl Step {
    /// The step on another actor that this one comes after, and the edge that says so.
    pub(super) fn waits_on(&self) -> (Option<usize>, Option<Label>) {
        match self {
            Step::Wait { edge, on } | Step::HostWait { edge, on } | Step::FenceWait { edge, on } => (*on, Some(*edge)),
            Step::Synchronize { on } => (*on, None),
            _ => (None, None),
        }
    }

    pub(super) fn accesses(&self) -> &[Access] {
        match self {
            Step::Operation { accesses, .. } | Step::HostOperation { accesses, .. } => accesses,
            _ => &[],
        }
    }

    pub(super) fn tag(&self) -> Option<Tag> {
        match self {
            Step::Operation { tag, .. } | Step::HostOperation { tag, .. } => Some(*tag),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) actor: Actor,
    pub(super) step: Step,
    /// The host step that queued this one, or the operation a borrowed call returned from.
    pub(super) after: Option<usize>,
}

/// Everything a device was asked to do, in the order of the calls.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) nodes: Vec<Node>,
    pub(super) streams: Vec<(StreamId, &'static str)>,
    pub(super) buffers: HashMap<BufferId, Label>,
    last_record: HashMap<EventId, usize>,
    last_of_stream: HashMap<StreamId, usize>,
    last_host: Option<usize>,
    last_sink: Option<usize>,
    fences: HashMap<Label, Option<usize>>,
    handed_over: u64,
}

impl Record {
    pub(super) fn add_stream(&mut self, stream: StreamId, name: &'static str) {
        self.streams.push((stream, name));
    }

    pub(super) fn add_buffer(&mut self, buffer: BufferId, label: Label) {
        self.buffers.insert(buffer, label);
    }

    pub(super) fn push(&mut self, actor: Actor, step: Step, after: Option<usize>) -> usize {
        self.nodes.push(Node { actor, step, after });
        let index = self.nodes.len() - 1;
        match actor {
            Actor::Host => self.last_host = Some(index),
            Actor::Sink => {
                self.last_sink = Some(index);
                self.handed_over += 1;
            }
            Actor::Stream(stream) => {
                self.last_of_stream.insert(stream, index);
            }
        }
        index
    }

    pub(super) fn queue(&mut self, stream: StreamId, step: Step) -> usize {
        self.push(Actor::Stream(stream), step, self.last_host)
    }

    pub(super) fn host(&mut self, step: Step) -> usize {
        self.push(Actor::Host, step, None)
    }

    pub(super) fn host_after(&mut self, step: Step, after: Option<usize>) {
        self.push(Actor::Host, step, after);
    }

    pub(super) fn cancel(&mut self, node: usize) {
        self.nodes[node].step = Step::Cancelled;
    }

    pub(super) fn set_last_record(&mut self, event: EventId, node: usize) {
        self.last_record.insert(event, node);
    }

    pub(super) fn last_record(&self, event: EventId) -> Option<usize> {
        self.last_record.get(&event).copied()
    }

    pub(super) fn last_of(&self, stream: StreamId) -> Option<usize> {
        self.last_of_stream.get(&stream).copied()
    }

    pub(super) fn fence(&mut self, edge: Label, direct_writes: u64) {
        let handed_over = std::mem::take(&mut self.handed_over);
        self.host(Step::FenceRecord { edge, direct_writes, handed_over });
        self.fences.insert(edge, self.last_sink);
    }

    pub(super) fn fence_wait(&mut self, edge: Label) {
        let on = self.fences.get(&edge).copied().flatten();
        self.host(Step::FenceWait { edge, on });
    }

    /// The name of an actor in reports.
    pub(super) fn actor_name(&self, actor: Actor) -> &'static str {
        match actor {
            Actor::Host => "host",
            Actor::Sink => "io",
            Actor::Stream(stream) => {
                self.streams.iter().find(|(id, _)| *id == stream).map_or("unknown stream", |(_, name)| name)
            }
        }
    }
}
