//! Compression of chunks on the CPU device, with one prepared codec for each worker.

use std::sync::{Arc, Mutex, PoisonError};

use super::parallel::{SharedBytes, for_each};
use super::words::{get_u32, put_u64};
use crate::codec::{Codec, CodecContext};
use crate::device::DeviceError;
use crate::device::views::Views;
use crate::error::Error;

/// A codec with one prepared state per worker.
#[derive(Debug)]
pub struct CompressContexts {
    codec: Codec,
    contexts: Vec<Mutex<CodecContext>>,
}

impl CompressContexts {
    /// Prepares `codec` for `workers` workers.
    ///
    /// # Errors
    /// The codec's library refuses.
    pub fn new(codec: Codec, workers: usize) -> Result<Self, Error> {
        let contexts = (0..workers.max(1)).map(|_| codec.context().map(Mutex::new)).collect::<Result<_, _>>()?;
        Ok(Self { codec, contexts })
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    fn compress(&self, chunk: &[u8], output: &mut [u8]) -> Result<usize, DeviceError> {
        let worker = rayon::current_thread_index().unwrap_or(0) % self.contexts.len();
        let mut context = self.contexts[worker].lock().unwrap_or_else(PoisonError::into_inner);
        context.compress(chunk, output).map_err(|error| DeviceError::failed("COMPRESS", error))
    }
}

/// Compresses the chunks of a batch that deliver.
///
/// Accesses: \[0\] compressed chunks, one place of the codec's worst case each, \[1\] their sizes, \[2\] the chunk pool,
/// \[3\] the gather table.
#[derive(Debug, Clone)]
pub struct Compress {
    /// The codec.
    pub contexts: Arc<CompressContexts>,
    /// Chunks to compress.
    pub chunks: usize,
    /// Bytes of a chunk.
    pub chunk_bytes: usize,
    /// Bytes from one chunk to the next in the pool.
    pub stride_bytes: usize,
}

impl Compress {
    pub(super) fn run(&self, views: &Views<'_>, workers: Option<&rayon::ThreadPool>) -> Result<(), DeviceError> {
        let sizes = views.write(1, 0..self.chunks * 8)?;
        if !views.is_backed(0) {
            // Without bytes every chunk counts as incompressible.
            (0..self.chunks).for_each(|chunk| put_u64(sizes, chunk, self.chunk_bytes as u64));
            return Ok(());
        }
        let place_bytes = self.contexts.codec.chunk_bytes_max();
        let gather = views.read(3, 0..self.chunks * 4)?;
        let pool = views.read_all(2)?;
        let output = SharedBytes::new(views.write(0, 0..self.chunks * place_bytes)?);
        let sizes = SharedBytes::new(sizes);
        for_each(workers, self.chunks, self.chunks * self.chunk_bytes, |chunk| {
            let from = get_u32(gather, chunk) as usize * self.stride_bytes;
            // SAFETY: each chunk has a place of its own.
            let place = unsafe { output.part(chunk * place_bytes, place_bytes) };
            let size = self.contexts.compress(&pool[from..from + self.chunk_bytes], place)?;
            // SAFETY: each chunk has a size of its own.
            put_u64(unsafe { sizes.part(chunk * 8, 8) }, 0, size as u64);
            Ok(())
        })
    }
}
