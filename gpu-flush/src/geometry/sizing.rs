//! The size of every buffer of the engine, computed once: the estimate lists what creation then allocates.

use super::array::ArrayGeometry;
use super::batch::BatchLayout;
use super::epochs::{active_epochs_max, epochs_per_batch};
use crate::config::{EngineConfig, ReduceMethod};
use crate::error::Error;
use crate::pyramid::accumulator_bytes;

/// Where a buffer lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Memory of the device.
    Device,
    /// Host memory that the device can copy from and to.
    Pinned,
    /// Ordinary host memory.
    Host,
}

/// One kind of buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferSize {
    /// Its name, as in error messages and device reports.
    pub name: &'static str,
    /// Where it lives.
    pub placement: Placement,
    /// Bytes of one instance; 0 where the configuration does not need it.
    pub bytes: u64,
    /// Number of instances.
    pub count: u64,
}

/// What the codec needs on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecBounds {
    /// Most bytes of a compressed chunk.
    pub chunk_bytes_max: usize,
    /// Bytes of scratch memory of the codec, beyond the compressed chunks.
    pub workspace_bytes: u64,
    /// Whether chunks pass through unchanged.
    pub passthrough: bool,
}

/// The memory a writer will take. Computing it allocates none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Every kind of buffer.
    pub buffers: Vec<BufferSize>,
    /// Epochs compressed together.
    pub epochs_per_batch: u32,
}

impl MemoryEstimate {
    /// Bytes of all buffers of one placement.
    #[must_use]
    pub fn bytes(&self, placement: Placement) -> u64 {
        self.buffers
            .iter()
            .filter(|buffer| buffer.placement == placement)
            .map(|buffer| buffer.bytes * buffer.count)
            .sum()
    }

    /// Bytes of all buffers.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.buffers.iter().map(|buffer| buffer.bytes * buffer.count).sum()
    }

    /// Bytes of one instance of the buffer called `name`; 0 when there is none.
    #[must_use]
    pub fn bytes_of(&self, name: &str) -> u64 {
        self.buffers.iter().find(|buffer| buffer.name == name).map_or(0, |buffer| buffer.bytes)
    }

    /// The error that says this does not fit `limit_bytes`.
    #[must_use]
    pub fn exceeds(&self, limit_bytes: u64) -> Error {
        let (largest, largest_bytes) =
            self.largest().map_or(("nothing", 0), |buffer| (buffer.name, buffer.bytes * buffer.count));
        let (need_bytes, largest) = (self.total_bytes(), largest.to_owned());
        let smallest_bytes = (self.epochs_per_batch == 1).then_some(need_bytes);
        Error::OutOfMemory { need_bytes, limit_bytes, smallest_bytes, largest, largest_bytes }
    }

    /// Number of instances of the buffer called `name`; 0 when there is none.
    #[must_use]
    pub fn count_of(&self, name: &str) -> u64 {
        self.buffers.iter().find(|buffer| buffer.name == name).map_or(0, |buffer| buffer.count)
    }

    /// The buffer that takes the most, all instances together.
    #[must_use]
    pub fn largest(&self) -> Option<&BufferSize> {
        self.buffers.iter().max_by_key(|buffer| buffer.bytes * buffer.count)
    }
}

/// Whether elements are scattered straight into their shards: nothing compresses them, the shards are in memory that the scatter
/// can reach, and no level is computed from the chunks' images.
#[must_use]
pub(crate) fn scatters_to_shards(geometry: &ArrayGeometry, passthrough: bool, host_memory: bool) -> bool {
    passthrough && host_memory && !geometry.is_multiscale()
}

/// The memory one array needs in an engine with `engine`'s settings, for a sink with pages of `page_bytes` (0 for none).
/// Where device memory is host memory (`host_memory`) there is no staging and no copy of what comes back.
/// An engine with several arrays takes the largest of each shared buffer.
#[must_use]
pub fn estimate_memory(
    geometry: &ArrayGeometry,
    engine: &EngineConfig,
    append_reduce: ReduceMethod,
    codec: CodecBounds,
    page_bytes: usize,
    host_memory: bool,
) -> MemoryEstimate {
    let epochs = epochs_per_batch(engine.epochs_per_batch, engine.target_batch_bytes, geometry.epoch_pool_bytes());
    let lod = geometry.is_multiscale();
    // Elements go straight into the shards: no pool in between, and three batches are alive at once, one filled, one kicked, one drained.
    let direct = scatters_to_shards(geometry, codec.passthrough, host_memory);
    let layout = BatchLayout::with_regions(geometry, epochs, codec.chunk_bytes_max, page_bytes, direct);
    let entries = BatchLayout::entries_max(geometry, epochs);
    let shards: u64 = geometry.levels.iter().map(|level| level.inner_shards).sum();
    let shard_index: u64 = geometry.levels.iter().map(|level| level.inner_shards * level.shard_chunks() * 16).sum();
    let data = layout.data_bytes(geometry, epochs);
    let element = geometry.dtype.size_bytes() as u64;
    let staging = engine.staging_slot_bytes() as u64;
    let images: u64 = geometry.levels[1..].iter().map(|level| level.image_elements * element).sum();
    let accumulators: u64 = match geometry.append_downsample {
        true => geometry.levels[1..]
            .iter()
            .map(|level| level.image_elements * accumulator_bytes(geometry.dtype, append_reduce) as u64)
            .sum(),
        false => 0,
    };
    let tables: u64 = geometry
        .levels
        .iter()
        .map(|level| level.chunks_per_epoch * u64::from(active_epochs_max(level.period, epochs)) * 8)
        .sum();
    // One place per chunk that can deliver in one batch; the compress stream uses them batch after batch.
    let compressed = if codec.passthrough { 0 } else { tables / 8 * codec.chunk_bytes_max as u64 };
    let apart = |bytes| if host_memory { 0 } else { bytes };
    use Placement::{Device, Host, Pinned};
    let buffers = [
        ("device_staging", Device, apart(staging), 2),
        ("host_staging", Pinned, apart(staging), 2),
        ("chunk_pool", Device, if direct { 0 } else { u64::from(epochs) * geometry.epoch_pool_bytes() }, 2),
        ("compressed", Device, compressed, 1),
        ("compressed_sizes", Device, if codec.passthrough { 0 } else { tables }, 1),
        ("codec_workspace", Device, codec.workspace_bytes, 1),
        ("aggregate", Device, data, if direct { 3 } else { 2 }),
        ("aggregate_index", Device, entries * 16, 2),
        ("tables", Device, tables + shards * 32, 2),
        ("host_tables", Pinned, apart(tables + shards * 32), 2),
        ("host_payload", Pinned, apart(data), 2),
        ("host_index", Pinned, apart(entries * 16), 2),
        ("tail_state", Device, shards * (8 + page_bytes as u64), u64::from(page_bytes > 0)),
        ("host_tail", Pinned, apart(shards * (8 + page_bytes as u64)), u64::from(page_bytes > 0)),
        ("linear", Device, geometry.epoch_input_elements * element, u64::from(lod)),
        ("level_images", Device, images, u64::from(lod)),
        ("accumulators", Device, accumulators, u64::from(geometry.append_downsample)),
        ("shard_indexes", Host, shard_index, 1),
    ];
    let buffers =
        buffers.into_iter().map(|(name, placement, bytes, count)| BufferSize { name, placement, bytes, count });
    MemoryEstimate { buffers: buffers.collect(), epochs_per_batch: epochs }
}
