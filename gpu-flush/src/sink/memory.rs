//! A store in memory, for tests and for callers who ship the bytes themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{ShardFile, Sink};
use crate::error::Error;

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Keeps every finished shard and document in a map. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    objects: Objects,
    page_bytes: usize,
}

impl MemorySink {
    /// An empty store that takes writes at any offset.
    #[must_use]
    pub fn new() -> Self {
        MemorySink::default()
    }

    /// An empty store that asks for page-aligned writes, as a file opened for direct I/O does.
    ///
    /// # Panics
    ///
    /// When `page_bytes` is neither 0 nor a power of two.
    #[must_use]
    pub fn with_pages(page_bytes: usize) -> Self {
        assert!(page_bytes == 0 || page_bytes.is_power_of_two(), "a page of {page_bytes} B");
        MemorySink { objects: Objects::default(), page_bytes }
    }

    /// A copy of everything stored so far, by key.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.objects).clone()
    }
}

fn lock(objects: &Objects) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
    objects.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink for MemorySink {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error> {
        let file = MemoryFile {
            objects: Arc::clone(&self.objects),
            key: key.to_owned(),
            bytes: Vec::new(),
            page_bytes: self.page_bytes,
            ended: false,
        };
        Ok(Box::new(file))
    }

    fn put(&self, key: &str, document: &[u8]) -> Result<(), Error> {
        lock(&self.objects).insert(key.to_owned(), document.to_owned());
        Ok(())
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(lock(&self.objects).get(key).cloned())
    }

    fn prepare(&self, overwrite: bool) -> Result<(), Error> {
        let mut objects = lock(&self.objects);
        if objects.contains_key("zarr.json") && !overwrite {
            return Err(Error::AlreadyExists { path: "the memory store".into() });
        }
        objects.clear();
        Ok(())
    }

    fn page_bytes(&self) -> usize {
        self.page_bytes
    }
}

#[derive(Debug)]
struct MemoryFile {
    objects: Objects,
    key: String,
    bytes: Vec<u8>,
    page_bytes: usize,
    ended: bool,
}

impl ShardFile for MemoryFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let refused = |reason: String| Error::SinkFailed { key: self.key.clone(), reason, os_error: None };
        if self.ended {
            return Err(refused("written after its end".into()));
        }
        if self.page_bytes > 0 && !(offset as usize | bytes.len()).is_multiple_of(self.page_bytes) {
            return Err(refused(format!(
                "a write of {} B at {offset} is not aligned to {} B",
                bytes.len(),
                self.page_bytes
            )));
        }
        let end = offset as usize + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, length_bytes: u64) -> Result<(), Error> {
        self.bytes.truncate(length_bytes as usize);
        Ok(())
    }

    fn finalize(&mut self) -> Result<(), Error> {
        self.ended = true;
        lock(&self.objects).insert(self.key.clone(), std::mem::take(&mut self.bytes));
        Ok(())
    }
}
