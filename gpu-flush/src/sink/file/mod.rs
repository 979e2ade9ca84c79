//! A store in a folder of the file system.
//!
//! Shards are written under a temporary name and renamed when they are complete, so a reader, or a crash, never finds half a
//! shard. Several writes are in flight at once; only the order of a shard's end behind its writes is kept. Documents are
//! replaced by a temporary file and a rename.

mod options;
mod page;
mod queue;

#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use options::FileOptions;

use super::{Fence, ShardFile, Sink, StableBytes};
use crate::error::Error;
use page::PAGE_BYTES;
use queue::{OpenFile, Payload, Queue};

/// What a file is called until it is complete.
const PARTIAL: &str = ".partial";
const ROOT_DOCUMENT: &str = "zarr.json";

/// A folder of shards and documents.
#[derive(Debug)]
pub struct FileSink {
    root: PathBuf,
    options: FileOptions,
    queue: Arc<Queue>,
    number: u64,
}

impl FileSink {
    /// A store at `root`, written with `options`. The folder is made when the first key is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] for options that cannot work, [`Error::SinkFailed`] when no thread can be started.
    pub fn new(root: impl Into<PathBuf>, options: FileOptions) -> Result<Self, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        options.validate()?;
        let root = root.into();
        let queue =
            Queue::start(options.writes_in_flight).map_err(|error| Error::sink(root.display().to_string(), &error))?;
        Ok(FileSink { root, options, queue, number: NUMBER.fetch_add(1, Ordering::Relaxed) })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn open_partial(&self, path: &Path) -> std::io::Result<File> {
        let mut open = OpenOptions::new();
        open.write(true).create(true).truncate(true);
        if self.options.direct {
            page::set_direct(&mut open)?;
        }
        match open.open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
                open.open(path)
            }
            Err(error) if self.options.direct && error.kind() == ErrorKind::InvalidInput => {
                Err(std::io::Error::new(error.kind(), "this file system has no direct I/O; use buffered writes"))
            }
            other => other,
        }
    }
}

impl Sink for FileSink {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error> {
        let path = self.root.join(key);
        let partial = with_suffix(&path, PARTIAL);
        let file = self.open_partial(&partial).map_err(|error| Error::sink(key, &error))?;
        let file = OpenFile::new(key.to_owned(), file, partial, path, self.options.durable);
        Ok(Box::new(FileShard {
            file: Arc::new(file),
            queue: Arc::clone(&self.queue),
            direct: self.options.direct,
            ended: false,
        }))
    }

    fn put(&self, key: &str, document: &[u8]) -> Result<(), Error> {
        let path = self.root.join(key);
        let partial = with_suffix(&path, PARTIAL);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
            let mut file = File::create(&partial)?;
            file.write_all(document)?;
            if self.options.durable {
                file.sync_all()?;
            }
            fs::rename(&partial, &path)?;
            if self.options.durable { queue::sync_name(&path) } else { Ok(()) }
        };
        write().map_err(|error| Error::sink(key, &error))
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match fs::read(self.root.join(key)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::sink(key, &error)),
        }
    }

    fn prepare(&self, overwrite: bool) -> Result<(), Error> {
        match fs::symlink_metadata(self.root.join(ROOT_DOCUMENT)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::sink(ROOT_DOCUMENT, &error)),
            Ok(_) if overwrite => {
                clear(&self.root).map_err(|error| Error::sink(self.root.display().to_string(), &error))
            }
            Ok(_) => Err(Error::AlreadyExists { path: self.root.display().to_string() }),
        }
    }

    fn page_bytes(&self) -> usize {
        if self.options.direct { PAGE_BYTES } else { 0 }
    }

    fn record_fence(&self) -> Fence {
        Fence { sink: self.number, sequence: self.queue.sequence() }
    }

    fn fence_retired(&self, fence: Fence) -> bool {
        fence.sink != self.number || self.queue.retired(fence.sequence)
    }

    fn wait_fence(&self, fence: Fence) -> Result<(), Error> {
        if fence != Fence::RETIRED && fence.sink != self.number {
            return Err(Error::invalid_input(format!(
                "a fence of sink {} was given to sink {}",
                fence.sink, self.number
            )));
        }
        self.queue.wait(fence.sequence)
    }

    fn error(&self) -> Option<Error> {
        self.queue.error()
    }

    fn pending_bytes(&self) -> u64 {
        self.queue.pending_bytes()
    }

    fn flush(&self) -> Result<(), Error> {
        self.queue.wait(self.queue.sequence())
    }
}

impl Drop for FileSink {
    /// Waits for every queued write and ends the threads.
    fn drop(&mut self) {
        self.queue.stop();
    }
}

/// Removes what a store holds, its root document first, so that a reader stops finding it before its shards go.
fn clear(root: &Path) -> std::io::Result<()> {
    fs::remove_file(root.join(ROOT_DOCUMENT))?;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A shard whose writes go through the queue.
#[derive(Debug)]
struct FileShard {
    file: Arc<OpenFile>,
    queue: Arc<Queue>,
    direct: bool,
    ended: bool,
}

impl FileShard {
    fn refuse_unaligned(&self, offset: u64, length: usize, pointer: usize) -> Result<(), Error> {
        if self.direct && !(offset as usize | length | pointer).is_multiple_of(PAGE_BYTES) {
            return Err(Error::SinkFailed {
                key: self.file.key().to_owned(),
                reason: format!(
                    "a direct write of {length} B at {offset} from {pointer:#x} is not aligned to {PAGE_BYTES} B"
                ),
                os_error: None,
            });
        }
        Ok(())
    }
}

impl ShardFile for FileShard {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.refuse_unaligned(offset, bytes.len(), 0)?;
        let copy = self.queue.copy(bytes);
        self.queue.write(&self.file, offset, Payload::Copy(copy))
    }

    fn write_stable(&mut self, offset: u64, bytes: StableBytes) -> Result<(), Error> {
        self.refuse_unaligned(offset, bytes.len(), bytes.as_ptr() as usize)?;
        self.queue.write(&self.file, offset, Payload::Stable(bytes))
    }

    fn truncate(&mut self, length_bytes: u64) -> Result<(), Error> {
        self.file.set_length(length_bytes);
        Ok(())
    }

    fn finalize(&mut self) -> Result<(), Error> {
        self.ended = true;
        self.queue.end(&self.file)
    }
}

impl Drop for FileShard {
    fn drop(&mut self) {
        if !self.ended {
            self.file.abandon();
        }
    }
}
