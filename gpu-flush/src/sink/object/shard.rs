//! One object: filled part by part, in order.

use std::fmt;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::failed;
use super::uploads::Uploads;
use crate::error::Error;
use crate::sink::ShardFile;

/// A shard on its way to the store.
pub(super) struct ObjectShard {
    key: String,
    path: Path,
    store: Arc<dyn ObjectStore>,
    runtime: Arc<Runtime>,
    uploads: Arc<Uploads>,
    part_bytes: usize,
    /// Bytes handed over so far; writes must continue here.
    length: u64,
    part: Vec<u8>,
    upload: Option<Box<dyn MultipartUpload>>,
    parts: Vec<JoinHandle<object_store::Result<()>>>,
}

impl fmt::Debug for ObjectShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectShard").field("key", &self.key).field("length", &self.length).finish_non_exhaustive()
    }
}

impl ObjectShard {
    pub(super) fn new(
        key: &str,
        path: Path,
        store: Arc<dyn ObjectStore>,
        runtime: Arc<Runtime>,
        uploads: Arc<Uploads>,
        part_bytes: usize,
    ) -> Self {
        let (key, part) = (key.to_owned(), Vec::new());
        ObjectShard { key, path, store, runtime, uploads, part_bytes, length: 0, part, upload: None, parts: Vec::new() }
    }

    /// Sends the filled part when there is room for one more.
    fn send_part(&mut self) -> Result<(), Error> {
        let room = self.runtime.block_on(self.uploads.room());
        if self.upload.is_none() {
            let begun = self.runtime.block_on(self.store.put_multipart(&self.path));
            self.upload = Some(begun.map_err(|error| failed(&self.key, &error))?);
        }
        let upload = self.upload.as_mut().expect("the upload was begun above");
        let part = std::mem::take(&mut self.part);
        let bytes = part.len() as u64;
        let sent = upload.put_part(PutPayload::from(part));
        let uploads = Arc::clone(&self.uploads);
        self.parts.push(self.runtime.spawn(async move {
            let sent = sent.await;
            uploads.remove_pending(bytes);
            drop(room);
            sent
        }));
        Ok(())
    }
}

impl ShardFile for ObjectShard {
    fn write(&mut self, offset: u64, mut bytes: &[u8]) -> Result<(), Error> {
        if offset != self.length {
            let reason = format!("a write at {offset}, but an object grows from {}", self.length);
            return Err(Error::SinkFailed { key: self.key.clone(), reason, os_error: None });
        }
        if let Some(error) = self.uploads.error() {
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.uploads.add_pending(bytes.len() as u64);
        while self.part.len() + bytes.len() >= self.part_bytes {
            let (now, later) = bytes.split_at(self.part_bytes - self.part.len());
            self.part.extend_from_slice(now);
            self.send_part()?;
            bytes = later;
        }
        self.part.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(&mut self) -> Result<(), Error> {
        let number = self.uploads.begin_end();
        let (key, path, store) = (self.key.clone(), self.path.clone(), Arc::clone(&self.store));
        let (part, upload, parts) =
            (std::mem::take(&mut self.part), self.upload.take(), std::mem::take(&mut self.parts));
        let uploads = Arc::clone(&self.uploads);
        self.runtime.spawn(async move {
            let bytes = part.len() as u64;
            let outcome = match upload {
                None => store.put(&path, PutPayload::from(part)).await.map(drop),
                Some(mut upload) => {
                    let outcome = complete(upload.as_mut(), part, parts).await;
                    if outcome.is_err() {
                        // The error that led here is the one to report; S3 expires what an abort leaves.
                        let _ = upload.abort().await;
                    }
                    outcome
                }
            };
            uploads.remove_pending(bytes);
            uploads.finish_end(number, outcome.map_err(|error| failed(&key, &error)));
        });
        Ok(())
    }
}

/// Sends the last part, waits for all, and makes the object visible.
async fn complete(
    upload: &mut dyn MultipartUpload,
    last: Vec<u8>,
    parts: Vec<JoinHandle<object_store::Result<()>>>,
) -> object_store::Result<()> {
    if !last.is_empty() {
        upload.put_part(PutPayload::from(last)).await?;
    }
    for part in parts {
        part.await??;
    }
    upload.complete().await.map(drop)
}

impl Drop for ObjectShard {
    /// Aborts what was begun and never ended.
    fn drop(&mut self) {
        self.uploads.remove_pending(self.part.len() as u64);
        if let Some(mut upload) = self.upload.take() {
            for part in self.parts.drain(..) {
                // Its outcome no longer matters; its bytes are counted off when it ends.
                let _ = self.runtime.block_on(part);
            }
            let _ = self.runtime.block_on(upload.abort());
        }
    }
}
