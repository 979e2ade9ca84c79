//! The queue of writes and the threads that carry them out.
//!
//! Every operation gets the next number. A number has retired when its operation and all before it are done; operations of
//! different shards, and writes of one shard, may finish in any order, but a shard ends only after its last write. Operations
//! behind a failed one are dropped: they retire without touching a file.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::page::PageBuffer;
use crate::error::Error;
use crate::sink::StableBytes;

/// A shard's file until it is renamed.
#[derive(Debug)]
pub(super) struct OpenFile {
    key: String,
    file: File,
    partial: PathBuf,
    path: PathBuf,
    durable: bool,
    /// Length to cut to at the end; `u64::MAX` for the length written.
    length: AtomicU64,
    abandoned: AtomicBool,
    /// Writes queued or running, and the number of the waiting end.
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    writes: usize,
    end: Option<u64>,
}

impl OpenFile {
    pub(super) fn new(key: String, file: File, partial: PathBuf, path: PathBuf, durable: bool) -> Self {
        let (length, abandoned) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        OpenFile { key, file, partial, path, durable, length, abandoned, progress: Mutex::default() }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn set_length(&self, bytes: u64) {
        self.length.store(bytes, Ordering::Relaxed);
    }

    /// Leaves the file unfinished; the temporary name goes with the last reference.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Gives the shard its name, unless bytes of it are missing.
    fn finish(&self) -> io::Result<()> {
        if self.abandoned.load(Ordering::Relaxed) {
            return Ok(());
        }
        let length = self.length.load(Ordering::Relaxed);
        if length != u64::MAX {
            self.file.set_len(length)?;
        }
        if self.durable {
            self.file.sync_all()?;
        }
        fs::rename(&self.partial, &self.path)?;
        if self.durable { sync_name(&self.path) } else { Ok(()) }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if self.abandoned.load(Ordering::Relaxed) {
            // The error that led here is the one to report; a leftover temporary file is harmless.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// The bytes of a write.
#[derive(Debug)]
pub(super) enum Payload {
    /// Copied when the write was queued.
    Copy(PageBuffer),
    /// Kept stable by their owner.
    Stable(StableBytes),
}

impl Payload {
    fn as_slice(&self) -> &[u8] {
        match self {
            Payload::Copy(buffer) => buffer.as_slice(),
            Payload::Stable(bytes) => bytes.as_slice(),
        }
    }
}

#[derive(Debug)]
struct Operation {
    number: u64,
    file: Arc<OpenFile>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Write { offset: u64, payload: Payload },
    End,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Operation>,
    /// Numbers taken from `waiting` and not yet retired.
    running: Vec<u64>,
    /// The number given to the newest operation.
    newest: u64,
    pending_bytes: u64,
    error: Option<(u64, Error)>,
    stopping: bool,
    buffers: Vec<PageBuffer>,
}

impl State {
    /// The newest number such that it and all before it have retired.
    fn retired(&self) -> u64 {
        let first = self.waiting.front().map(|operation| operation.number);
        self.running.iter().copied().chain(first).min().map_or(self.newest, |oldest| oldest - 1)
    }
}

/// The queue, shared by the sink, its shards and its threads.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Queue {
    pub(super) fn start(threads: usize) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            threads: Mutex::default(),
        });
        for index in 0..threads {
            let shared = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("flush-io-{index}")).spawn(move || shared.serve());
            match thread {
                Ok(thread) => lock(&queue.threads).push(thread),
                Err(error) => {
                    queue.stop();
                    return Err(error);
                }
            }
        }
        Ok(queue)
    }

    /// A page-aligned copy, in memory of an earlier one where one is free.
    pub(super) fn copy(&self, bytes: &[u8]) -> PageBuffer {
        let mut state = lock(&self.state);
        let fits = state.buffers.iter().position(|buffer| buffer.capacity() >= bytes.len());
        let mut buffer = match fits {
            Some(index) => state.buffers.swap_remove(index),
            None => state.buffers.pop().unwrap_or_default(),
        };
        drop(state);
        buffer.fill(bytes);
        buffer
    }

    pub(super) fn write(&self, file: &Arc<OpenFile>, offset: u64, payload: Payload) -> Result<(), Error> {
        let length = payload.as_slice().len() as u64;
        lock(&file.progress).writes += 1;
        self.push(file, length, Kind::Write { offset, payload })
    }

    pub(super) fn end(&self, file: &Arc<OpenFile>) -> Result<(), Error> {
        self.push(file, 0, Kind::End)
    }

    fn push(&self, file: &Arc<OpenFile>, bytes: u64, kind: Kind) -> Result<(), Error> {
        let mut state = lock(&self.state);
        state.newest += 1;
        let number = state.newest;
        state.pending_bytes += bytes;
        state.waiting.push_back(Operation { number, file: Arc::clone(file), kind });
        self.work.notify_one();
        state.error.as_ref().map_or(Ok(()), |(_, error)| Err(error.clone()))
    }

    pub(super) fn sequence(&self) -> u64 {
        lock(&self.state).newest
    }

    pub(super) fn retired(&self, number: u64) -> bool {
        let state = lock(&self.state);
        state.retired() >= number && state.error.as_ref().is_none_or(|(failed, _)| *failed > number)
    }

    pub(super) fn wait(&self, number: u64) -> Result<(), Error> {
        let mut state = lock(&self.state);
        while state.retired() < number {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.error.as_ref().map_or(Ok(()), |(_, error)| Err(error.clone()))
    }

    pub(super) fn error(&self) -> Option<Error> {
        lock(&self.state).error.as_ref().map(|(_, error)| error.clone())
    }

    pub(super) fn pending_bytes(&self) -> u64 {
        lock(&self.state).pending_bytes
    }

    /// Carries out what is queued and ends the threads.
    pub(super) fn stop(&self) {
        lock(&self.state).stopping = true;
        self.work.notify_all();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // A thread that panicked has left its operation running; there is nobody to tell at this point.
            let _ = thread.join();
        }
    }

    /// What a thread of the queue does until it is stopped and nothing waits.
    pub(super) fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(operation) = state.waiting.pop_front() {
                state.running.push(operation.number);
                // What was queued before the failed operation is still carried out: a complete shard is not lost.
                let broken = state.error.as_ref().is_some_and(|(failed, _)| *failed < operation.number);
                drop(state);
                state = self.carry_out(operation, broken);
            } else if state.stopping {
                return;
            } else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Does one operation, and the end of its shard when this was the last write it waited for.
    fn carry_out(&self, operation: Operation, broken: bool) -> MutexGuard<'_, State> {
        let Operation { number, file, kind } = operation;
        let mut retired = [Some(number), None];
        let mut bytes = 0;
        let mut spare = None;
        let result = match kind {
            Kind::Write { offset, payload } => {
                let data = payload.as_slice();
                bytes = data.len() as u64;
                let written = if broken { Ok(()) } else { file.file.write_all_at(data, offset) };
                if let Payload::Copy(buffer) = payload {
                    spare = Some(buffer);
                }
                // Before this write counts as done, so that an end that waits for it sees that bytes are missing.
                if broken || written.is_err() {
                    file.abandon();
                }
                let mut progress = lock(&file.progress);
                progress.writes -= 1;
                retired[1] = if progress.writes == 0 { progress.end.take() } else { None };
                drop(progress);
                written.and_then(|()| if retired[1].is_some() { file.finish() } else { Ok(()) })
            }
            Kind::End => {
                let mut progress = lock(&file.progress);
                if progress.writes > 0 {
                    progress.end = Some(number);
                    retired[0] = None;
                    Ok(())
                } else {
                    drop(progress);
                    if broken {
                        file.abandon();
                    }
                    file.finish()
                }
            }
        };
        if result.is_err() {
            file.abandon();
        }
        let mut state = lock(&self.state);
        if let Err(error) = result
            && state.error.as_ref().is_none_or(|(failed, _)| *failed > number)
        {
            state.error = Some((number, Error::sink(file.key.clone(), &error)));
        }
        state.pending_bytes -= bytes;
        state.buffers.extend(spare);
        state.running.retain(|running| !retired.contains(&Some(*running)));
        self.done.notify_all();
        state
    }
}

/// Has the folder's entry for `path` on the disk, without which a crash may undo a rename.
pub(super) fn sync_name(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
