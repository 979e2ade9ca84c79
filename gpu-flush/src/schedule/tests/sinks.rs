//! A sink with a queue and one thread, that can be slow, held, or fail, and that remembers what was asked of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::sink::{Fence, ShardFile, Sink, StableBytes};

/// What the sink does wrong, if anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Queued writes to the n-th opened shard (from 0) fail with ENOSPC.
    FullAtShard(u64),
    /// The n-th write call (from 0) is refused.
    RefuseWrite(u64),
    /// The n-th write call panics.
    PanicAtWrite(u64),
}

/// One call, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Open(String),
    Write { key: String, offset: u64, bytes: u64, stable: bool, aligned: bool },
    Truncate { key: String, bytes: u64 },
    Finalize(String),
    Fence(u64),
    WaitFence(u64),
    Put(String),
    Flush,
}

#[derive(Debug)]
enum Bytes {
    Copied(Vec<u8>),
    Stable { bytes: StableBytes, checksum: u32 },
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Stable { bytes, .. } => bytes.as_slice(),
        }
    }
}

#[derive(Debug)]
enum Job {
    Write { key: String, shard: u64, offset: u64, bytes: Bytes },
    Truncate { key: String, bytes: u64 },
    Finalize { key: String, shard: u64 },
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    queued: u64,
    retired: u64,
    pending_bytes: u64,
    held: bool,
    closed: bool,
    error: Option<Error>,
    /// Jobs that had retired when the error came.
    error_at: u64,
    open: BTreeMap<String, Vec<u8>>,
    stored: BTreeMap<String, Vec<u8>>,
    log: Vec<Call>,
    opened: u64,
    writes: u64,
    fault: Fault,
    delay: Duration,
    /// Bytes that changed between hand-over and write.
    unstable: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    page_bytes: usize,
    number: u64,
}

static NUMBER: AtomicU64 = AtomicU64::new(1 << 40);

/// Clones share the queue; the thread ends with the last of them.
#[derive(Debug, Clone)]
pub(crate) struct QueueSink {
    shared: Arc<Shared>,
    _thread: Arc<Thread>,
}

#[derive(Debug)]
struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.closed = true;
        state.held = false;
        drop(state);
        self.shared.changed.notify_all();
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            handle.join().unwrap();
        }
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_space(key: &str) -> Error {
    Error::sink(key, &std::io::Error::from_raw_os_error(28))
}

impl QueueSink {
    pub(crate) fn new(page_bytes: usize) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), page_bytes, number });
        let worker = Arc::clone(&shared);
        let handle = std::thread::spawn(move || work(&worker));
        let thread = Arc::new(Thread { shared: Arc::clone(&shared), handle: Mutex::new(Some(handle)) });
        Self { shared, _thread: thread }
    }

    pub(crate) fn with_fault(self, fault: Fault) -> Self {
        lock(&self.shared).fault = fault;
        self
    }

    pub(crate) fn with_delay(self, delay: Duration) -> Self {
        lock(&self.shared).delay = delay;
        self
    }

    pub(crate) fn hold(&self) {
        lock(&self.shared).held = true;
    }

    pub(crate) fn release(&self) {
        lock(&self.shared).held = false;
        self.shared.changed.notify_all();
    }

    /// Releases `delay` after the first bytes are pending, from another thread.
    pub(crate) fn release_when_pending(&self, delay: Duration) -> std::thread::JoinHandle<()> {
        let sink = self.clone();
        std::thread::spawn(move || {
            while sink.pending_bytes() == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(delay);
            sink.release();
        })
    }

    /// Releases after `delay`, from another thread.
    pub(crate) fn release_after(&self, delay: Duration) -> std::thread::JoinHandle<()> {
        let sink = self.clone();
        std::thread::spawn(move || {
            std::thread::sleep(delay);
            sink.release();
        })
    }

    pub(crate) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.shared).stored.clone()
    }

    pub(crate) fn log(&self) -> Vec<Call> {
        lock(&self.shared).log.clone()
    }

    pub(crate) fn unstable(&self) -> u64 {
        lock(&self.shared).unstable
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        lock(&self.shared).fault = fault;
    }

    /// Makes the sink report an error from now on.
    pub(crate) fn fail_now(&self) {
        let mut state = lock(&self.shared);
        state.error_at = state.retired;
        state.error.get_or_insert(no_space("c/0/0/0"));
    }

    fn push(&self, job: Job) {
        let mut state = lock(&self.shared);
        state.queued += 1;
        if let Job::Write { bytes, .. } = &job {
            state.pending_bytes += bytes.as_slice().len() as u64;
        }
        state.jobs.push_back(job);
        drop(state);
        self.shared.changed.notify_all();
    }
}

fn work(shared: &Shared) {
    let mut state = lock(shared);
    loop {
        if state.jobs.is_empty() || (state.held && !state.closed) {
            if state.closed && state.jobs.is_empty() {
                return;
            }
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let delay = state.delay;
        let Some(job) = state.jobs.pop_front() else { continue };
        if !delay.is_zero() && matches!(job, Job::Write { .. }) {
            drop(state);
            std::thread::sleep(delay);
            state = lock(shared);
        }
        let fault = state.fault;
        let full = |shard: u64| fault == Fault::FullAtShard(shard);
        match job {
            Job::Write { key, shard, offset, bytes } => {
                state.pending_bytes -= bytes.as_slice().len() as u64;
                if full(shard) {
                    if state.error.is_none() {
                        state.error_at = state.retired;
                        state.error = Some(no_space(&key));
                    }
                } else {
                    if let Bytes::Stable { bytes, checksum } = &bytes {
                        let now = crc32c::crc32c(bytes.as_slice());
                        state.unstable += u64::from(now != *checksum);
                    }
                    let file = state.open.entry(key).or_default();
                    let bytes = bytes.as_slice();
                    let end = offset as usize + bytes.len();
                    file.resize(file.len().max(end), 0);
                    file[offset as usize..end].copy_from_slice(bytes);
                }
            }
            Job::Truncate { key, bytes } => {
                if let Some(file) = state.open.get_mut(&key) {
                    file.truncate(bytes as usize);
                }
            }
            Job::Finalize { key, shard } if full(shard) => drop(state.open.remove(&key)),
            Job::Finalize { key, .. } => {
                if let Some(file) = state.open.remove(&key) {
                    state.stored.insert(key, file);
                }
            }
        }
        state.retired += 1;
        shared.changed.notify_all();
    }
}

impl Sink for QueueSink {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error> {
        let mut state = lock(&self.shared);
        state.log.push(Call::Open(key.to_owned()));
        let shard = state.opened;
        state.opened += 1;
        Ok(Box::new(QueueFile { sink: self.clone(), key: key.to_owned(), shard }))
    }

    fn put(&self, key: &str, document: &[u8]) -> Result<(), Error> {
        let mut state = lock(&self.shared);
        state.log.push(Call::Put(key.to_owned()));
        state.stored.insert(key.to_owned(), document.to_vec());
        Ok(())
    }

    fn page_bytes(&self) -> usize {
        self.shared.page_bytes
    }

    fn record_fence(&self) -> Fence {
        let mut state = lock(&self.shared);
        let sequence = state.queued;
        state.log.push(Call::Fence(sequence));
        Fence { sink: self.shared.number, sequence }
    }

    fn fence_retired(&self, fence: Fence) -> bool {
        let state = lock(&self.shared);
        state.retired >= fence.sequence && (state.error.is_none() || state.error_at >= fence.sequence)
    }

    fn wait_fence(&self, fence: Fence) -> Result<(), Error> {
        if fence.sink != self.shared.number {
            return Err(Error::invalid_input("the fence is another sink's"));
        }
        let mut state = lock(&self.shared);
        state.log.push(Call::WaitFence(fence.sequence));
        while state.retired < fence.sequence {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.error.clone().map_or(Ok(()), Err)
    }

    fn error(&self) -> Option<Error> {
        lock(&self.shared).error.clone()
    }

    fn pending_bytes(&self) -> u64 {
        lock(&self.shared).pending_bytes
    }

    fn flush(&self) -> Result<(), Error> {
        let mut state = lock(&self.shared);
        state.log.push(Call::Flush);
        while state.retired < state.queued {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.error.clone().map_or(Ok(()), Err)
    }
}

#[derive(Debug)]
struct QueueFile {
    sink: QueueSink,
    key: String,
    shard: u64,
}

impl QueueFile {
    fn queue(&self, offset: u64, bytes: Bytes) -> Result<(), Error> {
        let mut state = lock(&self.sink.shared);
        let (number, fault) = (state.writes, state.fault);
        state.writes += 1;
        let stable = matches!(bytes, Bytes::Stable { .. });
        let slice = bytes.as_slice();
        let aligned = (slice.as_ptr() as usize).is_multiple_of(4096);
        let bytes_written = slice.len() as u64;
        state.log.push(Call::Write { key: self.key.clone(), offset, bytes: bytes_written, stable, aligned });
        drop(state);
        match fault {
            Fault::RefuseWrite(at) if at == number => return Err(no_space(&self.key)),
            Fault::PanicAtWrite(at) if at == number => panic!("the sink's own bug"),
            _ => {}
        }
        self.sink.push(Job::Write { key: self.key.clone(), shard: self.shard, offset, bytes });
        Ok(())
    }
}

impl ShardFile for QueueFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.queue(offset, Bytes::Copied(bytes.to_vec()))
    }

    fn write_stable(&mut self, offset: u64, bytes: StableBytes) -> Result<(), Error> {
        let checksum = crc32c::crc32c(bytes.as_slice());
        self.queue(offset, Bytes::Stable { bytes, checksum })
    }

    fn truncate(&mut self, length_bytes: u64) -> Result<(), Error> {
        lock(&self.sink.shared).log.push(Call::Truncate { key: self.key.clone(), bytes: length_bytes });
        self.sink.push(Job::Truncate { key: self.key.clone(), bytes: length_bytes });
        Ok(())
    }

    fn finalize(&mut self) -> Result<(), Error> {
        lock(&self.sink.shared).log.push(Call::Finalize(self.key.clone()));
        self.sink.push(Job::Finalize { key: self.key.clone(), shard: self.shard });
        Ok(())
    }
}
