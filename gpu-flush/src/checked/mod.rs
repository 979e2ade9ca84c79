//! A wrapper around any device that proves the schedule's ordering from its record.
//!
//! [`Checked`] passes every call on and writes it down: queued operations with the ranges they declared, records, waits, host
//! accesses, publications, hand-overs to the sink and its fences. [`Checked::report`] then orders the record by happens-before and
//! looks for conflicting accesses that nothing orders, for cycles of waits (which happens-before cannot see), for waits
//! that nothing satisfies, and for host calls that break a rule. The record does not depend on which device ran it.

mod findings;
mod necessity;
mod order;
mod record;
mod trace;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use findings::{Conflict, Finding, Report, Site};
pub use necessity::{Necessity, WaitClass};

use crate::device::{
    Access, Allocation, BufferId, CounterId, Description, Device, DeviceError, EventId, HostView, Label, Memory, Note,
    Operation, Payload, StreamId, Tag, WaitOutcome,
};
use record::{Actor, Record, Step};

/// A device that keeps a record of everything it is asked to do.
#[derive(Debug)]
pub struct Checked<D> {
    inner: D,
    record: Mutex<Record>,
}

impl<D: Device> Checked<D> {
    /// Wraps `inner`.
    pub fn new(inner: D) -> Self {
        Self { inner, record: Mutex::default() }
    }

    /// The device inside.
    pub fn inner(&self) -> &D {
        &self.inner
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Analyses what was recorded so far.
    #[must_use]
    pub fn report(&self) -> Report {
        findings::report(&self.record(), &[])
    }

    /// As [`Checked::report`], as if no wait for these edges had ordered anything.
    #[must_use]
    pub fn report_without(&self, edges: &[&str]) -> Report {
        findings::report(&self.record(), edges)
    }

    /// Classifies every wait of the table as necessary, subsumed or idle in what was recorded so far.
    #[must_use]
    pub fn necessity(&self) -> Vec<Necessity> {
        necessity::classify(&self.record())
    }

    /// The ranges that operations called `name` declared, in the order they were queued: buffer, first byte, one past the last.
    #[must_use]
    pub fn accesses(&self, name: &str) -> Vec<(Label, u64, u64)> {
        let record = self.record();
        let nodes = record.nodes.iter().filter(|node| node.step.tag().is_some_and(|tag| tag.name == name));
        let accesses = nodes.flat_map(|node| node.step.accesses());
        let label = |access: &Access| record.buffers.get(&access.buffer).copied().unwrap_or(Label::new("buffer", 0));
        accesses.map(|access| (label(access), access.start, access.end)).collect()
    }

    /// How many operations called `name` were left out because device memory is host memory.
    #[must_use]
    pub fn elided(&self, name: &str) -> usize {
        let record = self.record();
        let left_out = |node: &&record::Node| match &node.step {
            Step::Operation { tag, elided, .. } => *elided && tag.name == name,
            _ => false,
        };
        record.nodes.iter().filter(left_out).count()
    }

    /// Every value the host published, in order.
    #[must_use]
    pub fn published_values(&self) -> Vec<u64> {
        let record = self.record();
        let publish = |node: &record::Node| match node.step {
            Step::Publish { value, .. } => Some(value),
            _ => None,
        };
        record.nodes.iter().filter_map(publish).collect()
    }

    /// How many streams the host synchronized with as its last steps.
    #[must_use]
    pub fn synchronized_at_end(&self) -> usize {
        let record = self.record();
        let host = record.nodes.iter().rev().filter(|node| node.actor == Actor::Host);
        host.take_while(|node| matches!(node.step, Step::Synchronize { .. })).count()
    }

    /// What `place` did, one line per step: `W EDGE[i]` waits, `R EDGE[i]` records, `P EDGE[i]` host waits, `V≥n` counter
    /// waits, names of operations. Uploads and the seeding of events are left out, runs of aggregation steps are one `AGGREGATE`.
    #[must_use]
    pub fn trace(&self, place: crate::edges::Place) -> Vec<String> {
        trace::trace(&self.record(), place)
    }
}

impl<D: Device> Device for Checked<D> {
    fn description(&self) -> Description {
        self.inner.description()
    }

    fn create_stream(&self, name: &'static str) -> Result<StreamId, DeviceError> {
        let stream = self.inner.create_stream(name)?;
        self.record().add_stream(stream, name);
        Ok(stream)
    }

    fn create_event(&self, label: Label) -> Result<EventId, DeviceError> {
        self.inner.create_event(label)
    }

    fn create_counter(&self, label: Label) -> Result<CounterId, DeviceError> {
        self.inner.create_counter(label)
    }

    fn allocate(&self, allocation: Allocation) -> Result<BufferId, DeviceError> {
        let buffer = self.inner.allocate(allocation)?;
        self.record().add_buffer(buffer, allocation.label);
        Ok(buffer)
    }

    fn free(&self, buffer: BufferId) {
        self.inner.free(buffer);
    }

    unsafe fn enqueue(&self, stream: StreamId, operation: Operation<'_>) -> Result<(), DeviceError> {
        let tag = operation.tag;
        let accesses: Vec<Access> = operation.accesses.iter().collect();
        let elided = matches!(operation.payload, Payload::Elided);
        let borrowed = operation.source.is_some();
        // Written down first: the operation may run before the call returns.
        let node = self.record().queue(stream, Step::Operation { tag, accesses, elided });
        // SAFETY: passed on from the caller.
        let result = unsafe { self.inner.enqueue(stream, operation) };
        let mut record = self.record();
        match result {
            Ok(()) if borrowed => record.host_after(Step::Returned { tag }, Some(node)),
            Ok(()) => {}
            Err(_) => record.cancel(node),
        }
        result
    }

    fn record(&self, stream: StreamId, event: EventId, edge: Label) -> Result<(), DeviceError> {
        let node = self.record().queue(stream, Step::Record { edge });
        let result = self.inner.record(stream, event, edge);
        let mut record = self.record();
        match result {
            Ok(()) => record.set_last_record(event, node),
            Err(_) => record.cancel(node),
        }
        result
    }

    fn wait(&self, stream: StreamId, event: EventId, edge: Label) -> Result<(), DeviceError> {
        let result = self.inner.wait(stream, event, edge);
        if result.is_ok() {
            let mut record = self.record();
            let on = record.last_record(event);
            record.queue(stream, Step::Wait { edge, on });
        }
        result
    }

    fn wait_counter(
        &self,
        stream: StreamId,
        counter: CounterId,
        at_least: u64,
        edge: Label,
    ) -> Result<(), DeviceError> {
        let result = self.inner.wait_counter(stream, counter, at_least, edge);
        if result.is_ok() {
            self.record().queue(stream, Step::CounterWait { edge, counter, at_least });
        }
        result
    }

    fn publish(&self, counter: CounterId, value: u64, edge: Label) {
        self.record().host(Step::Publish { edge, counter, value });
        self.inner.publish(counter, value, edge);
    }

    fn host_wait(&self, event: EventId, edge: Label) -> Result<WaitOutcome, DeviceError> {
        // Written down first, with the record it waits for: a wait that never ends is part of the cycle to report.
        {
            let mut record = self.record();
            let on = record.last_record(event);
            record.host(Step::HostWait { edge, on });
        }
        self.inner.host_wait(event, edge)
    }

    fn synchronize(&self, stream: StreamId) -> Result<(), DeviceError> {
        {
            let mut record = self.record();
            let on = record.last_of(stream);
            record.host(Step::Synchronize { on });
        }
        self.inner.synchronize(stream)
    }

    unsafe fn upload(&self, operation: Operation<'_>) -> Result<(), DeviceError> {
        let accesses = operation.accesses.iter().collect();
        self.record().host(Step::HostOperation { tag: operation.tag, accesses });
        // SAFETY: passed on from the caller.
        unsafe { self.inner.upload(operation) }
    }

    unsafe fn host_access(&self, tag: Tag, access: Access) -> Result<HostView, DeviceError> {
        self.record().host(Step::HostOperation { tag, accesses: vec![access] });
        // SAFETY: passed on from the caller.
        unsafe { self.inner.host_access(tag, access) }
    }

    fn note(&self, note: Note) {
        let mut record = self.record();
        match note {
            Note::HandOver { tag, access } => {
                let from = record.host(Step::HandedOver { tag });
                record.push(Actor::Sink, Step::Operation { tag, accesses: vec![access], elided: false }, Some(from));
            }
            Note::FenceRecord { edge, direct_writes } => record.fence(edge, direct_writes),
            Note::FenceWait { edge } => record.fence_wait(edge),
            other => {
                record.host(Step::Note(other));
            }
        }
        drop(record);
        self.inner.note(note);
    }

    fn allocated_bytes(&self, memory: Memory) -> u64 {
        self.inner.allocated_bytes(memory)
    }

    fn buffers(&self) -> Vec<Allocation> {
        self.inner.buffers()
    }
}

/// A checked device can be shared between the writer that uses it and the test that asks for its report.
impl<D: Device + ?Sized> Device for Arc<D> {
    fn description(&self) -> Description {
        (**self).description()
    }
    fn create_stream(&self, name: &'static str) -> Result<StreamId, DeviceError> {
        (**self).create_stream(name)
    }
    fn create_event(&self, label: Label) -> Result<EventId, DeviceError> {
        (**self).create_event(label)
    }
    fn create_counter(&self, label: Label) -> Result<CounterId, DeviceError> {
        (**self).create_counter(label)
    }
    fn allocate(&self, allocation: Allocation) -> Result<BufferId, DeviceError> {
        (**self).allocate(allocation)
    }
    fn free(&self, buffer: BufferId) {
        (**self).free(buffer);
    }
    unsafe fn enqueue(&self, stream: StreamId, operation: Operation<'_>) -> Result<(), DeviceError> {
        // SAFETY: passed on from the caller.
        unsafe { (**self).enqueue(stream, operation) }
    }
    fn record(&self, stream: StreamId, event: EventId, edge: Label) -> Result<(), DeviceError> {
        (**self).record(stream, event, edge)
    }
    fn wait(&self, stream: StreamId, event: EventId, edge: Label) -> Result<(), DeviceError> {
        (**self).wait(stream, event, edge)
    }
    fn wait_counter(
        &self,
        stream: StreamId,
        counter: CounterId,
        at_least: u64,
        edge: Label,
    ) -> Result<(), DeviceError> {
        (**self).wait_counter(stream, counter, at_least, edge)
    }
    fn publish(&self, counter: CounterId, value: u64, edge: Label) {
        (**self).publish(counter, value, edge);
    }
    fn host_wait(&self, event: EventId, edge: Label) -> Result<WaitOutcome, DeviceError> {
        (**self).host_wait(event, edge)
    }
    fn synchronize(&self, stream: StreamId) -> Result<(), DeviceError> {
        (**self).synchronize(stream)
    }
    unsafe fn upload(&self, operation: Operation<'_>) -> Result<(), DeviceError> {
        // SAFETY: passed on from the caller.
        unsafe { (**self).upload(operation) }
    }
    unsafe fn host_access(&self, tag: Tag, access: Access) -> Result<HostView, DeviceError> {
        // SAFETY: passed on from the caller.
        unsafe { (**self).host_access(tag, access) }
    }
    fn note(&self, note: Note) {
        (**self).note(note);
    }
    fn allocated_bytes(&self, memory: Memory) -> u64 {
        (**self).allocated_bytes(memory)
    }
    fn buffers(&self) -> Vec<Allocation> {
        (**self).buffers()
    }
}
