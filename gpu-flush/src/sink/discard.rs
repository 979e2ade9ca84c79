//! A sink that counts and forgets, for measuring everything before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{ShardFile, Sink, StableBytes};
use crate::error::Error;

/// Counts bytes, writes and shards, and keeps nothing. Clones share the counters.
#[derive(Debug, Clone, Default)]
pub struct DiscardSink {
    counts: Arc<Counts>,
    page_bytes: usize,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    writes: AtomicU64,
    shards: AtomicU64,
}

impl DiscardSink {
    /// A sink that asks for writes aligned to `page_bytes`; 0 for any.
    #[must_use]
    pub fn new(page_bytes: usize) -> Self {
        DiscardSink { counts: Arc::default(), page_bytes }
    }

    /// Bytes written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    /// Writes made.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.counts.writes.load(Ordering::Relaxed)
    }

    /// Shards ended.
    #[must_use]
    pub fn shards(&self) -> u64 {
        self.counts.shards.load(Ordering::Relaxed)
    }
}

impl Sink for DiscardSink {
    fn open(&self, _key: &str) -> Result<Box<dyn ShardFile>, Error> {
        Ok(Box::new(DiscardFile { counts: Arc::clone(&self.counts) }))
    }

    fn page_bytes(&self) -> usize {
        self.page_bytes
    }
}

#[derive(Debug)]
struct DiscardFile {
    counts: Arc<Counts>,
}

impl ShardFile for DiscardFile {
    fn write(&mut self, _offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.counts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn write_stable(&mut self, offset: u64, bytes: StableBytes) -> Result<(), Error> {
        self.write(offset, bytes.as_slice())
    }

    fn finalize(&mut self) -> Result<(), Error> {
        self.counts.shards.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
