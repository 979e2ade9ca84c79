//! Streams as queues: the state both host devices share, without threads.

use std::collections::VecDeque;

use super::operation::Payload;
use super::views::RawViews;
use super::{CounterId, DeviceError, EventId, Label, StreamId, Tag};
use crate::metrics::TimerHandle;

/// An operation that waits in a queue.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) tag: Tag,
    pub(super) payload: Payload,
    pub(super) views: RawViews,
    pub(super) timer: Option<TimerHandle>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "boxing an operation would allocate for each one queued")]
pub(super) enum Item {
    Run(Task),
    Record { event: EventId, generation: u64 },
    Wait { event: EventId, generation: u64, edge: Label },
    WaitCounter { counter: CounterId, at_least: u64, edge: Label },
}

#[derive(Debug)]
struct Stream {
    name: &'static str,
    queue: VecDeque<Item>,
    /// A thread is inside an operation of this stream.
    busy: bool,
}

#[derive(Debug)]
struct Event {
    recorded: u64,
    completed: u64,
}

/// Every stream, event and counter of one device.
#[derive(Debug, Default)]
pub(super) struct Queues {
    streams: Vec<Stream>,
    events: Vec<Event>,
    counters: Vec<u64>,
    failed: Option<DeviceError>,
    closed: bool,
}

impl Queues {
    pub(super) fn add_stream(&mut self, name: &'static str) -> StreamId {
        self.streams.push(Stream { name, queue: VecDeque::with_capacity(64), busy: false });
        StreamId(self.streams.len() as u32 - 1)
    }

    pub(super) fn add_event(&mut self) -> EventId {
        self.events.push(Event { recorded: 0, completed: 0 });
        EventId(self.events.len() as u32 - 1)
    }

    pub(super) fn add_counter(&mut self) -> CounterId {
        self.counters.push(0);
        CounterId(self.counters.len() as u32 - 1)
    }

    pub(super) fn stream_count(&self) -> u32 {
        self.streams.len() as u32
    }

    /// The first failure; nothing runs after it, and nothing waits for ever either.
    pub(super) fn failure(&self) -> Option<&DeviceError> {
        self.failed.as_ref()
    }

    pub(super) fn fail(&mut self, error: DeviceError) {
        self.failed.get_or_insert(error);
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn push(&mut self, stream: StreamId, item: Item) {
        self.streams[stream.0 as usize].queue.push_back(item);
    }

    /// Counts a record of `event` and returns its generation.
    pub(super) fn begin_record(&mut self, event: EventId) -> u64 {
        let event = &mut self.events[event.0 as usize];
        event.recorded += 1;
        event.recorded
    }

    pub(super) fn recorded(&self, event: EventId) -> u64 {
        self.events[event.0 as usize].recorded
    }

    pub(super) fn is_complete(&self, event: EventId, generation: u64) -> bool {
        self.events[event.0 as usize].completed >= generation
    }

    pub(super) fn set_counter(&mut self, counter: CounterId, value: u64) {
        self.counters[counter.0 as usize] = value;
    }

    /// Whether nothing is queued nor running anywhere.
    pub(super) fn is_quiet(&self) -> bool {
        self.streams.iter().all(|stream| stream.queue.is_empty() && !stream.busy)
    }

    /// Records `event` as complete: for a stream with nothing before it.
    pub(super) fn complete_now(&mut self, event: EventId) {
        let event = &mut self.events[event.0 as usize];
        event.recorded += 1;
        event.completed = event.recorded;
    }

    /// Whether nothing is queued on `stream` nor running from it.
    pub(super) fn is_idle(&self, stream: StreamId) -> bool {
        let stream = &self.streams[stream.0 as usize];
        stream.queue.is_empty() && !stream.busy
    }

    pub(super) fn set_busy(&mut self, stream: StreamId, busy: bool) {
        self.streams[stream.0 as usize].busy = busy;
    }

    /// Whether the head of `stream` is an operation that may run now.
    pub(super) fn has_task(&self, stream: StreamId) -> bool {
        let stream = &self.streams[stream.0 as usize];
        !stream.busy && matches!(stream.queue.front(), Some(Item::Run(_)))
    }

    /// Takes the operation at the head of `stream` and marks the stream busy.
    pub(super) fn take_task(&mut self, stream: StreamId) -> Option<Task> {
        if !self.has_task(stream) {
            return None;
        }
        let stream = &mut self.streams[stream.0 as usize];
        match stream.queue.pop_front() {
            Some(Item::Run(task)) => {
                stream.busy = true;
                Some(task)
            }
            Some(other) => {
                stream.queue.push_front(other);
                None
            }
            None => None,
        }
    }

    /// Whether the head of `stream` is a record or a satisfied wait.
    pub(super) fn can_settle(&self, stream: StreamId) -> bool {
        let stream = &self.streams[stream.0 as usize];
        if stream.busy {
            return false;
        }
        match stream.queue.front() {
            None => false,
            Some(Item::Run(task)) => self.failed.is_some() || matches!(task.payload, Payload::Elided),
            Some(Item::Record { .. }) => true,
            Some(Item::Wait { event, generation, .. }) => {
                self.failed.is_some() || self.is_complete(*event, *generation)
            }
            Some(Item::WaitCounter { counter, at_least, .. }) => {
                self.failed.is_some() || self.counters[counter.0 as usize] >= *at_least
            }
        }
    }

    /// Passes the head of `stream` if that takes no work. Returns whether it did.
    pub(super) fn settle_one(&mut self, stream: StreamId) -> bool {
        if !self.can_settle(stream) {
            return false;
        }
        if let Some(Item::Record { event, generation }) = self.streams[stream.0 as usize].queue.pop_front() {
            let event = &mut self.events[event.0 as usize];
            event.completed = event.completed.max(generation);
        }
        true
    }

    /// Passes every head that takes no work, on all streams, until none is left. Returns whether anything moved.
    pub(super) fn settle(&mut self) -> bool {
        let mut moved = false;
        loop {
            let mut again = false;
            for stream in 0..self.streams.len() as u32 {
                while self.settle_one(StreamId(stream)) {
                    again = true;
                }
            }
            if !again {
                return moved;
            }
            moved = true;
        }
    }

    /// What the head of each non-empty stream is, for a deadlock report.
    pub(super) fn describe_heads(&self) -> String {
        let heads = self.streams.iter().filter_map(|stream| {
            let head = match stream.queue.front()? {
                Item::Run(task) => task.tag.to_string(),
                Item::Record { .. } => "a record".to_owned(),
                Item::Wait { edge, .. } => format!("waits for {edge}"),
                Item::WaitCounter { at_least, edge, .. } => format!("waits for {edge} to reach {at_least}"),
            };
            Some(format!("{} {head}", stream.name))
        });
        heads.collect::<Vec<_>>().join("; ")
    }
}
