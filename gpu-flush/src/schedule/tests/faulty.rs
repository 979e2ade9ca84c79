//! A device that fails at a chosen call.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::device::*;

/// Which call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// Queueing the operation of this name.
    Enqueue(&'static str),
    /// The host's wait for this edge.
    HostWait(&'static str),
    /// The record of this edge.
    Record(&'static str),
    /// The host's access of this name.
    HostAccess(&'static str),
}

/// Passes everything on except the `nth` (from 0) call that matches.
#[derive(Debug)]
pub(crate) struct Faulty<D> {
    inner: D,
    at: At,
    nth: u64,
    seen: AtomicU64,
    failed: Mutex<bool>,
}

impl<D: Device> Faulty<D> {
    pub(crate) fn new(inner: D, at: At, nth: u64) -> Self {
        Self { inner, at, nth, seen: AtomicU64::new(0), failed: Mutex::new(false) }
    }

    pub(crate) fn has_failed(&self) -> bool {
        *self.failed.lock().unwrap()
    }

    fn check(&self, call: At) -> Result<(), DeviceError> {
        if call == self.at && self.seen.fetch_add(1, Ordering::Relaxed) == self.nth {
            *self.failed.lock().unwrap() = true;
            return Err(DeviceError::failed(format!("{call:?}"), "a forced failure"));
        }
        Ok(())
    }
}

impl<D: Device> Device for Faulty<D> {
    fn description(&self) -> Description {
        self.inner.description()
    }
    fn create_stream(&self, name: &'static str) -> Result<StreamId, DeviceError> {
        self.inner.create_stream(name)
    }
    fn create_event(&self, label: Label) -> Result<EventId, DeviceError> {
        self.inner.create_event(label)
    }
    fn create_counter(&self, label: Label) -> Result<CounterId, DeviceError> {
        self.inner.create_counter(label)
    }
    fn allocate(&self, allocation: Allocation) -> Result<BufferId, DeviceError> {
        self.inner.allocate(allocation)
    }
    fn free(&self, buffer: BufferId) {
        self.inner.free(buffer);
    }
    unsafe fn enqueue(&self, stream: StreamId, operation: Operation<'_>) -> Result<(), DeviceError> {
        self.check(At::Enqueue(operation.tag.name))?;
        // SAFETY: passed on from the caller.
        unsafe { self.inner.enqueue(stream, operation) }
    }
    fn record(&self, stream: StreamId, event: EventId, edge: Label) -> Result<(), DeviceError> {
        self.check(At::Record(edge.name))?;
        self.inner.record(stream, event, edge)
    }
    fn wait(&self, stream: StreamId, event: EventId, edge: Label) -> Result<(), DeviceError> {
        self.inner.wait(stream, event, edge)
    }
    fn wait_counter(&self, stream: StreamId, counter: CounterId, value: u64, edge: Label) -> Result<(), DeviceError> {
        self.inner.wait_counter(stream, counter, value, edge)
    }
    fn publish(&self, counter: CounterId, value: u64, edge: Label) {
        self.inner.publish(counter, value, edge);
    }
    fn host_wait(&self, event: EventId, edge: Label) -> Result<WaitOutcome, DeviceError> {
        self.check(At::HostWait(edge.name))?;
        self.inner.host_wait(event, edge)
    }
    fn synchronize(&self, stream: StreamId) -> Result<(), DeviceError> {
        self.inner.synchronize(stream)
    }
    unsafe fn upload(&self, operation: Operation<'_>) -> Result<(), DeviceError> {
        // SAFETY: passed on from the caller.
        unsafe { self.inner.upload(operation) }
    }
    unsafe fn host_access(&self, tag: Tag, access: Access) -> Result<HostView, DeviceError> {
        self.check(At::HostAccess(tag.name))?;
        // SAFETY: passed on from the caller.
        unsafe { self.inner.host_access(tag, access) }
    }
    fn note(&self, note: Note) {
        self.inner.note(note);
    }
    fn allocated_bytes(&self, memory: Memory) -> u64 {
        self.inner.allocated_bytes(memory)
    }
    fn buffers(&self) -> Vec<Allocation> {
        self.inner.buffers()
    }
}
