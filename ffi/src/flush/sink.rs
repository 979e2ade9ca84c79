//! A sink written in C: a table of callbacks.

use crate::error::Error;
use prewire_gpu_flush::Error as FlushError;
use prewire_gpu_flush::sink::{Fence, ShardFile, Sink, StableBytes};
use std::ffi::{CString, c_char, c_void};

/// Where shards and documents go, as callbacks. Each gets `context`, and returns 0 or a code of its own, which fails the array with
/// `PREWIRE_STATUS_FLUSH_SINK_FAILED` and stands in the message. What is NULL is not offered; `open`, `write` and `finalize` must be there. They may be called on any
/// thread, several at once, but one at a time for one file; none is called once `prewire_flush_destroy` has returned. None may unwind or call the writer.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_flush_sink {
    /// `sizeof(prewire_flush_sink)`.
    pub size: usize,
    /// Handed to every callback. It stays the caller's, who keeps it until the writer is destroyed.
    pub context: *mut c_void,
    /// The page size that every write of a shard but its last is aligned to; 0 for none.
    pub page_bytes: usize,
    /// Opens a new shard and leaves what the other callbacks know it by in `*file`. `key` is valid during the call.
    pub open: Option<unsafe extern "C" fn(context: *mut c_void, key: *const c_char, file: *mut *mut c_void) -> i32>,
    /// Writes bytes, which are valid during the call.
    pub write: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            file: *mut c_void,
            offset: u64,
            data: *const c_void,
            bytes: usize,
        ) -> i32,
    >,
    /// Writes bytes that stay unchanged until a fence that was recorded later has been waited for. NULL: `write` is called.
    pub write_direct: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            file: *mut c_void,
            offset: u64,
            data: *const c_void,
            bytes: usize,
        ) -> i32,
    >,
    /// Cuts a shard to its length; only asked of sinks with pages.
    pub truncate: Option<unsafe extern "C" fn(context: *mut c_void, file: *mut c_void, bytes: u64) -> i32>,
    /// Ends a shard, which becomes visible. `file` is not used again.
    pub finalize: Option<unsafe extern "C" fn(context: *mut c_void, file: *mut c_void) -> i32>,
    /// Gives up a shard that was not ended. `file` is not used again.
    pub abandon: Option<unsafe extern "C" fn(context: *mut c_void, file: *mut c_void)>,
    /// Replaces a document, such as `zarr.json`. NULL: documents are dropped.
    pub put: Option<
        unsafe extern "C" fn(context: *mut c_void, key: *const c_char, data: *const c_void, bytes: usize) -> i32,
    >,
    /// Marks the end of the writes queued so far, by a number. NULL: writes are done when they return.
    pub record_fence: Option<unsafe extern "C" fn(context: *mut c_void) -> u64>,
    /// Waits until all writes before a fence have ended, and says whether they succeeded.
    pub wait_fence: Option<unsafe extern "C" fn(context: *mut c_void, fence: u64) -> i32>,
    /// Bytes that are queued.
    pub pending_bytes: Option<unsafe extern "C" fn(context: *mut c_void) -> u64>,
    /// Makes everything as durable as the sink can.
    pub flush: Option<unsafe extern "C" fn(context: *mut c_void) -> i32>,
}

const _: () = assert!(size_of::<prewire_flush_sink>() == 112);

/// The sink behind the callbacks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallbackSink {
    table: prewire_flush_sink,
}

// SAFETY: whoever gave the callbacks promised that any thread may call them with the context.
unsafe impl Send for CallbackSink {}
// SAFETY: as above, several at once.
unsafe impl Sync for CallbackSink {}

impl CallbackSink {
    pub(crate) fn new(table: &prewire_flush_sink) -> Result<Self, Error> {
        let required =
            [("open", table.open.is_some()), ("write", table.write.is_some()), ("finalize", table.finalize.is_some())];
        if let Some((name, _)) = required.iter().find(|(_, offered)| !offered) {
            return Err(FlushError::invalid_config(format!("sink.{name}"), "a sink must have this callback").into());
        }
        if table.page_bytes != 0 && !table.page_bytes.is_power_of_two() {
            let reason = format!("{} is neither 0 nor a power of two", table.page_bytes);
            return Err(FlushError::invalid_config("sink.page_bytes", reason).into());
        }
        Ok(CallbackSink { table: *table })
    }

    /// The fences of this sink are told from those of others by its context, which lives as long as it does.
    fn number(&self) -> u64 {
        self.table.context as u64 | 1 << 63
    }
}

/// What a callback returned, for the shard or document that it was called for.
fn checked(key: &str, callback: &str, code: i32) -> Result<(), FlushError> {
    if code == 0 {
        return Ok(());
    }
    let reason = format!("the sink's {callback} returned {code}");
    Err(FlushError::SinkFailed { key: key.to_owned(), reason, os_error: Some(code) })
}

fn text(key: &str) -> CString {
    CString::new(key.replace('\0', "")).unwrap_or_default()
}

impl Sink for CallbackSink {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, FlushError> {
        let name = text(key);
        let mut file = std::ptr::null_mut();
        if let Some(open) = self.table.open {
            // SAFETY: whoever gave the callback vouched for it.
            let code = unsafe { open(self.table.context, name.as_ptr(), &raw mut file) };
            checked(key, "open", code)?;
        }
        Ok(Box::new(CallbackFile { sink: *self, file, key: key.to_owned(), ended: false }))
    }

    fn put(&self, key: &str, document: &[u8]) -> Result<(), FlushError> {
        let Some(put) = self.table.put else { return Ok(()) };
        let name = text(key);
        // SAFETY: whoever gave the callback vouched for it.
        let code = unsafe { put(self.table.context, name.as_ptr(), document.as_ptr().cast(), document.len()) };
        checked(key, "put", code)
    }

    fn page_bytes(&self) -> usize {
        self.table.page_bytes
    }

    fn record_fence(&self) -> Fence {
        let Some(record) = self.table.record_fence else { return Fence::RETIRED };
        // SAFETY: whoever gave the callback vouched for it.
        Fence { sink: self.number(), sequence: unsafe { record(self.table.context) } }
    }

    fn fence_retired(&self, fence: Fence) -> bool {
        // Nobody can be asked without waiting.
        fence == Fence::RETIRED || self.table.wait_fence.is_none()
    }

    fn wait_fence(&self, fence: Fence) -> Result<(), FlushError> {
        if fence == Fence::RETIRED {
            return Ok(());
        }
        let Some(wait) = self.table.wait_fence else { return Ok(()) };
        // SAFETY: whoever gave the callback vouched for it.
        checked("", "wait_fence", unsafe { wait(self.table.context, fence.sequence) })
    }

    fn pending_bytes(&self) -> u64 {
        // SAFETY: whoever gave the callback vouched for it.
        self.table.pending_bytes.map_or(0, |pending| unsafe { pending(self.table.context) })
    }

    fn flush(&self) -> Result<(), FlushError> {
        let Some(flush) = self.table.flush else { return Ok(()) };
        // SAFETY: whoever gave the callback vouched for it.
        checked("", "flush", unsafe { flush(self.table.context) })
    }
}

/// A shard of the sink.
#[derive(Debug)]
struct CallbackFile {
    sink: CallbackSink,
    file: *mut c_void,
    key: String,
    ended: bool,
}

// SAFETY: whoever gave the callbacks promised that any thread may call them with the file.
unsafe impl Send for CallbackFile {}

impl ShardFile for CallbackFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FlushError> {
        let table = &self.sink.table;
        let Some(write) = table.write else { return Ok(()) };
        // SAFETY: whoever gave the callback vouched for it.
        let code = unsafe { write(table.context, self.file, offset, bytes.as_ptr().cast(), bytes.len()) };
        checked(&self.key, "write", code)
    }

    fn write_stable(&mut self, offset: u64, bytes: StableBytes) -> Result<(), FlushError> {
        let table = &self.sink.table;
        let Some(write) = table.write_direct else { return self.write(offset, bytes.as_slice()) };
        // SAFETY: whoever gave the callback vouched for it.
        let code = unsafe { write(table.context, self.file, offset, bytes.as_ptr().cast(), bytes.len()) };
        checked(&self.key, "write_direct", code)
    }

    fn truncate(&mut self, length_bytes: u64) -> Result<(), FlushError> {
        let table = &self.sink.table;
        let Some(truncate) = table.truncate else { return Ok(()) };
        // SAFETY: whoever gave the callback vouched for it.
        checked(&self.key, "truncate", unsafe { truncate(table.context, self.file, length_bytes) })
    }

    fn finalize(&mut self) -> Result<(), FlushError> {
        self.ended = true;
        let table = &self.sink.table;
        let Some(finalize) = table.finalize else { return Ok(()) };
        // SAFETY: whoever gave the callback vouched for it.
        checked(&self.key, "finalize", unsafe { finalize(table.context, self.file) })
    }
}

impl Drop for CallbackFile {
    fn drop(&mut self) {
        if let (false, Some(abandon)) = (self.ended, self.sink.table.abandon) {
            // SAFETY: whoever gave the callback vouched for it, and the file was not ended.
            unsafe { abandon(self.sink.table.context, self.file) };
        }
    }
}
