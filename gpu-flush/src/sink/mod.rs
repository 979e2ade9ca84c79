//! Where shards and documents go: file system, memory, object store.
//!
//! A sink is a small set of operations on keys. Writes may be queued; their order is kept per shard, and a [`Fence`] says when all
//! writes queued before it have retired. A minimal sink implements [`Sink::open`] and the two calls of [`ShardFile`] without a default.

mod discard;
mod file;
mod memory;
#[cfg(feature = "s3")]
mod object;
mod stable;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use discard::DiscardSink;
pub use file::{FileOptions, FileSink};
pub use memory::MemorySink;
#[cfg(feature = "s3")]
pub use object::{ObjectSettings, ObjectSink};
pub use stable::StableBytes;

use crate::error::Error;

/// A place in a sink's queue of writes. A fence belongs to the sink that recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The sink's number, unique in the process; 0 for sinks whose writes are done when they return.
    pub sink: u64,
    /// Writes queued before it.
    pub sequence: u64,
}

impl Fence {
    /// The fence of a sink whose writes are done when they return.
    pub const RETIRED: Fence = Fence { sink: 0, sequence: 0 };
}

/// A store for shards and documents, addressed by keys such as `0/c/1/2` and `zarr.json`.
pub trait Sink: Send + Sync + fmt::Debug {
    /// Opens a new shard. Folders on the way to it are made now, not earlier.
    ///
    /// # Errors
    ///
    /// [`Error::SinkFailed`] with the key.
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error>;

    /// Replaces a document atomically: a reader sees the old one or the new one. A sink without documents drops it.
    ///
    /// # Errors
    ///
    /// [`Error::SinkFailed`] with the key.
    fn put(&self, key: &str, document: &[u8]) -> Result<(), Error> {
        let _ = (key, document);
        Ok(())
    }

    /// Reads a whole document or shard back; `None` when there is none or the sink cannot read.
    ///
    /// # Errors
    ///
    /// [`Error::SinkFailed`] with the key.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let _ = key;
        Ok(None)
    }

    /// Called once, also for a sink of several arrays, before anything is written: refuses a store that already holds a node, or clears it when `overwrite`.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`], or [`Error::SinkFailed`] when the look-up or the clearing fails.
    fn prepare(&self, overwrite: bool) -> Result<(), Error> {
        let _ = overwrite;
        Ok(())
    }

    /// The page size every write of a shard but its last must be aligned to, in offset, length and pointer; 0 for none.
    fn page_bytes(&self) -> usize {
        0
    }

    /// Marks the end of the writes queued so far.
    fn record_fence(&self) -> Fence {
        Fence::RETIRED
    }

    /// Whether all writes before `fence` have retired and succeeded, without waiting.
    fn fence_retired(&self, fence: Fence) -> bool {
        let _ = fence;
        true
    }

    /// Waits until all writes before `fence` have retired, also when some of them failed.
    ///
    /// # Errors
    ///
    /// The sink's sticky error, or [`Error::InvalidInput`] for a fence of another sink.
    fn wait_fence(&self, fence: Fence) -> Result<(), Error> {
        let _ = fence;
        Ok(())
    }

    /// The first error of a queued write, if there was one; it stays.
    fn error(&self) -> Option<Error> {
        None
    }

    /// Bytes queued and not yet retired, over every kind of write.
    fn pending_bytes(&self) -> u64 {
        0
    }

    /// Waits for every queued write and makes it as durable as the sink can.
    ///
    /// # Errors
    ///
    /// The sink's sticky error.
    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// One shard being written. Dropping it without [`ShardFile::finalize`] abandons it.
pub trait ShardFile: Send + fmt::Debug {
    /// Writes `bytes` at `offset`; the sink copies them if it needs them after it returns.
    ///
    /// # Errors
    ///
    /// [`Error::SinkFailed`] with the key.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Writes bytes that stay unchanged until a fence recorded after this call retires; a sink may keep the pointer.
    ///
    /// # Errors
    ///
    /// [`Error::SinkFailed`] with the key.
    fn write_stable(&mut self, offset: u64, bytes: StableBytes) -> Result<(), Error> {
        self.write(offset, bytes.as_slice())
    }

    /// Cuts the shard to its logical length. Only sinks with pages are asked to.
    ///
    /// # Errors
    ///
    /// [`Error::SinkFailed`] with the key.
    fn truncate(&mut self, length_bytes: u64) -> Result<(), Error> {
        let _ = length_bytes;
        Ok(())
    }

    /// Ends the shard; it becomes visible, at the latest when the next fence retires.
    ///
    /// # Errors
    ///
    /// [`Error::SinkFailed`] with the key.
    fn finalize(&mut self) -> Result<(), Error>;
}

/// Runs one call of a sink and turns a panic of it into [`Error::SinkFailed`] with the panic's text.
///
/// # Errors
///
/// The call's own error, or the panic's.
pub fn guarded<T>(key: &str, call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        Err(Error::SinkFailed {
            key: key.to_owned(),
            reason: format!("the sink panicked: {}", panic_text(&*panic)),
            os_error: None,
        })
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
