//! A store in S3, or wherever else `object_store` writes.
//!
//! A shard is one object. A small one is put whole; a larger one is a multipart upload whose parts go out while the shard
//! is still being filled, and which becomes visible when it is completed. Nothing is visible of a shard that failed: its upload is
//! aborted. Parts are copied when they are written, so no caller's memory is used after a call returns.

mod settings;
mod shard;
mod uploads;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::{Builder, Runtime};

pub use settings::ObjectSettings;

use super::{Fence, ShardFile, Sink};
use crate::error::Error;
use shard::ObjectShard;
use uploads::Uploads;

const ROOT_DOCUMENT: &str = "zarr.json";

/// Objects below a prefix of a store.
pub struct ObjectSink {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    settings: ObjectSettings,
    uploads: Arc<Uploads>,
    number: u64,
    /// Last, so that it ends after everything that runs on it.
    runtime: Arc<Runtime>,
}

impl fmt::Debug for ObjectSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectSink").field("store", &self.store).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl ObjectSink {
    /// Objects below `prefix` of any store.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] for settings that cannot work, [`Error::SinkFailed`] when no thread can be started.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str, settings: ObjectSettings) -> Result<Self, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(1 << 32);
        settings.validate()?;
        let prefix = Path::parse(prefix).map_err(|error| Error::invalid_config("prefix", error.to_string()))?;
        let threads = Builder::new_multi_thread().worker_threads(2).thread_name("flush-s3").enable_all().build();
        let runtime = Arc::new(threads.map_err(|error| Error::sink(prefix.as_ref(), &error))?);
        let uploads = Arc::new(Uploads::new(settings.parts_in_flight));
        Ok(ObjectSink { store, prefix, settings, uploads, number: NUMBER.fetch_add(1, Ordering::Relaxed), runtime })
    }

    /// Objects at `s3://bucket/prefix`. Credentials, region and endpoint come from the `AWS_` environment variables.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] when the address or the environment does not describe a bucket; as [`ObjectSink::new`] else.
    pub fn s3(url: &str, settings: ObjectSettings) -> Result<Self, Error> {
        let address = url.strip_prefix("s3://").filter(|rest| !rest.is_empty());
        let address = address
            .ok_or_else(|| Error::invalid_config("url", format!("{url:?} is no address like s3://bucket/prefix")))?;
        let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
        let store = AmazonS3Builder::from_env().with_bucket_name(bucket).build();
        let store = store.map_err(|error| Error::invalid_config("url", error.to_string()))?;
        ObjectSink::new(Arc::new(store), prefix.trim_matches('/'), settings)
    }

    fn path(&self, key: &str) -> Path {
        self.prefix.parts().chain(Path::from(key).parts()).collect()
    }
}

/// The sink's error for a store's.
fn failed(key: &str, error: &object_store::Error) -> Error {
    Error::SinkFailed { key: key.to_owned(), reason: error.to_string(), os_error: None }
}

impl Sink for ObjectSink {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error> {
        if let Some(error) = self.uploads.error() {
            return Err(error);
        }
        let (store, runtime) = (Arc::clone(&self.store), Arc::clone(&self.runtime));
        let shard =
            ObjectShard::new(key, self.path(key), store, runtime, Arc::clone(&self.uploads), self.settings.part_bytes);
        Ok(Box::new(shard))
    }

    fn put(&self, key: &str, document: &[u8]) -> Result<(), Error> {
        let payload = PutPayload::from(document.to_vec());
        let put = self.runtime.block_on(self.store.put(&self.path(key), payload));
        put.map(drop).map_err(|error| failed(key, &error))
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(key);
        let read = async { self.store.get(&path).await?.bytes().await };
        match self.runtime.block_on(read) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(key, &error)),
        }
    }

    fn prepare(&self, overwrite: bool) -> Result<(), Error> {
        use futures::TryStreamExt;
        let root = self.path(ROOT_DOCUMENT);
        match self.runtime.block_on(self.store.head(&root)) {
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(failed(ROOT_DOCUMENT, &error)),
            Ok(_) if !overwrite => return Err(Error::AlreadyExists { path: self.prefix.to_string() }),
            Ok(_) => {}
        }
        // The root document first, so that a reader stops finding the store before its shards go.
        let clear = async {
            self.store.delete(&root).await?;
            let mut objects = self.store.list(Some(&self.prefix));
            while let Some(object) = objects.try_next().await? {
                self.store.delete(&object.location).await?;
            }
            Ok(())
        };
        self.runtime.block_on(clear).map_err(|error: object_store::Error| failed(self.prefix.as_ref(), &error))
    }

    fn record_fence(&self) -> Fence {
        Fence { sink: self.number, sequence: self.uploads.sequence() }
    }

    fn fence_retired(&self, fence: Fence) -> bool {
        fence.sink != self.number || self.uploads.retired(fence.sequence)
    }

    fn wait_fence(&self, fence: Fence) -> Result<(), Error> {
        if fence != Fence::RETIRED && fence.sink != self.number {
            return Err(Error::invalid_input(format!(
                "a fence of sink {} was given to sink {}",
                fence.sink, self.number
            )));
        }
        self.uploads.wait(fence.sequence)
    }

    fn error(&self) -> Option<Error> {
        self.uploads.error()
    }

    fn pending_bytes(&self) -> u64 {
        self.uploads.pending_bytes()
    }

    fn flush(&self) -> Result<(), Error> {
        self.uploads.wait(self.uploads.sequence())
    }
}

impl Drop for ObjectSink {
    /// Waits for what was begun; an error was or will be reported by a fence.
    fn drop(&mut self) {
        let _ = self.uploads.wait(self.uploads.sequence());
    }
}
