//! The stage that compresses the chunks of a batch.

use std::sync::Arc;

use super::Lane;
use crate::device::{Compress, CompressContexts, DeviceError, Payload, Tag, Unit};
use crate::pools::{ReadView, WriteView};

/// A batch to compress.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompressPlan<'a> {
    pub(crate) contexts: &'a Arc<CompressContexts>,
    pub(crate) batch: u64,
    pub(crate) chunks: usize,
    pub(crate) chunk_bytes: usize,
    pub(crate) stride_bytes: usize,
}

/// Compresses the chunks named in `gather` from the pool.
pub(crate) fn compress(
    lane: Lane<'_>,
    plan: CompressPlan<'_>,
    compressed: WriteView<'_>,
    sizes: WriteView<'_>,
    pool: ReadView<'_>,
    gather: ReadView<'_>,
) -> Result<(), DeviceError> {
    let CompressPlan { contexts, batch, chunks, chunk_bytes, stride_bytes } = plan;
    let payload = Payload::Compress(Compress { contexts: Arc::clone(contexts), chunks, chunk_bytes, stride_bytes });
    lane.queue(
        Tag::new("COMPRESS", Unit::Batch(batch)),
        payload,
        &[compressed.write(), sizes.write(), pool.read(), gather.read()],
    )
}
