//! The sink as a drain sees it: every range handed over by reference is noted, with its place in the payload.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::device::{Access, Device, Note, Tag, Unit};
use crate::error::Error;
use crate::sink::{Fence, ShardFile, Sink, StableBytes};

/// Which payload is being delivered. Shared with the shards that stay open between batches.
#[derive(Debug)]
pub(crate) struct Payload {
    device: Arc<dyn Device>,
    batch: AtomicU64,
    base: AtomicU64,
    buffer: AtomicU64,
    held: AtomicU64,
    hide: bool,
}

impl Payload {
    pub(crate) fn new(device: Arc<dyn Device>, hide: bool) -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        Arc::new(Self { device, batch: zero(), base: zero(), buffer: zero(), held: zero(), hide })
    }

    /// Starts a delivery from the payload whose first byte is at `base` and which `access` names.
    pub(crate) fn begin(&self, batch: u64, base: *const u8, access: Access) {
        self.batch.store(batch, Ordering::Relaxed);
        self.base.store((base as u64).wrapping_sub(access.start), Ordering::Relaxed);
        self.buffer.store(u64::from(access.buffer.0), Ordering::Relaxed);
    }

    /// Ranges handed over since the last call.
    pub(crate) fn take_held(&self) -> u64 {
        self.held.swap(0, Ordering::Relaxed)
    }

    fn hand_over(&self, bytes: StableBytes) {
        self.held.fetch_add(1, Ordering::Relaxed);
        if self.hide {
            return;
        }
        let start = (bytes.as_ptr() as u64).wrapping_sub(self.base.load(Ordering::Relaxed));
        let buffer = crate::device::BufferId(self.buffer.load(Ordering::Relaxed) as u32);
        let end = start + bytes.len() as u64;
        let access = Access { buffer, start, end, mode: crate::device::Mode::Read };
        let tag = Tag::new("WRITE", Unit::Batch(self.batch.load(Ordering::Relaxed)));
        self.device.note(Note::HandOver { tag, access });
    }
}

/// A sink that notes hand-overs on their way to the real one.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) payload: Arc<Payload>,
}

impl Sink for Noted {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error> {
        let file = self.sink.open(key)?;
        Ok(Box::new(NotedFile { file, payload: Arc::clone(&self.payload) }))
    }

    fn put(&self, key: &str, document: &[u8]) -> Result<(), Error> {
        self.sink.put(key, document)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.sink.get(key)
    }

    fn prepare(&self, overwrite: bool) -> Result<(), Error> {
        self.sink.prepare(overwrite)
    }

    fn page_bytes(&self) -> usize {
        self.sink.page_bytes()
    }

    fn record_fence(&self) -> Fence {
        self.sink.record_fence()
    }

    fn fence_retired(&self, fence: Fence) -> bool {
        self.sink.fence_retired(fence)
    }

    fn wait_fence(&self, fence: Fence) -> Result<(), Error> {
        self.sink.wait_fence(fence)
    }

    fn error(&self) -> Option<Error> {
        self.sink.error()
    }

    fn pending_bytes(&self) -> u64 {
        self.sink.pending_bytes()
    }

    fn flush(&self) -> Result<(), Error> {
        self.sink.flush()
    }
}

#[derive(Debug)]
struct NotedFile {
    file: Box<dyn ShardFile>,
    payload: Arc<Payload>,
}

impl ShardFile for NotedFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file.write(offset, bytes)
    }

    fn write_stable(&mut self, offset: u64, bytes: StableBytes) -> Result<(), Error> {
        self.payload.hand_over(bytes);
        self.file.write_stable(offset, bytes)
    }

    fn truncate(&mut self, length_bytes: u64) -> Result<(), Error> {
        self.file.truncate(length_bytes)
    }

    fn finalize(&mut self) -> Result<(), Error> {
        self.file.finalize()
    }
}
