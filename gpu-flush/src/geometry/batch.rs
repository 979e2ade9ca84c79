//! One batch in the order of its shards: for each level the epochs it holds, and for each chunk its place.
//!
//! Inside a level the batch is shard-major, then epoch-major, so what one shard receives is contiguous. Behind each level
//! stands one sentinel entry without a chunk, so that the end of a level's last chunk can be read from a running sum.

use super::array::ArrayGeometry;
use super::level::LevelGeometry;

/// The part of a batch that belongs to one level.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LevelBatch {
    /// Index, among the K epoch regions of the pool, of each epoch at which this level delivers.
    pub active_epochs: Vec<u32>,
    /// Entry of the level's first position in the offset and size tables, sentinels of the levels before included.
    pub first_entry: u64,
    /// Positions of the level in this batch: covering count × active epochs.
    pub entries: u64,
    /// Chunks of the level in this batch.
    pub chunks: u64,
    /// First byte of the level's segment in the aggregate buffer.
    pub segment_offset: u64,
}

impl LevelBatch {
    /// The position of a chunk inside the level's part of the batch: active epoch `epoch` (0-based), epoch-local position `position`.
    #[must_use]
    pub fn position(&self, level: &LevelGeometry, epoch: u64, position: u64) -> u64 {
        let inner = level.inner_chunks_per_shard;
        let (shard, place) = (position / inner, position % inner);
        (shard * self.active_epochs.len() as u64 + epoch) * inner + place
    }
}

/// A batch over all levels, and how its aggregate buffer is laid out. Made once with room for the largest batch and refilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchLayout {
    /// The levels.
    pub levels: Vec<LevelBatch>,
    /// Page size of the sink, 0 when it takes any offset.
    pub page_bytes: usize,
    /// Bytes from one shard's region to the next in each level's segment; 0 when packed from the segment's start.
    pub shard_capacities: Vec<u64>,
    /// Most bytes of a compressed chunk.
    pub chunk_bytes_max: usize,
}

/// The tables of a batch, in caller-owned slices: `gather[i]` is the pool chunk of the i-th active chunk, `permutation[i]` its entry.
#[derive(Debug)]
pub struct BatchTables<'a> {
    /// Index of each chunk among the K × chunks-per-epoch chunks of the pool.
    pub gather: &'a mut [u32],
    /// Entry of each chunk in the offset and size tables.
    pub permutation: &'a mut [u32],
}

impl BatchLayout {
    /// A layout with room for batches of `epochs` epochs, packed: without pages one chunk stands right behind the other.
    #[must_use]
    pub fn new(geometry: &ArrayGeometry, epochs: u32, chunk_bytes_max: usize, page_bytes: usize) -> Self {
        Self::with_regions(geometry, epochs, chunk_bytes_max, page_bytes, false)
    }

    /// As [`BatchLayout::new`]; with `regions` each shard has a region of its own also for a sink without pages, so that a chunk's
    /// place does not depend on how many epochs the batch will have.
    #[must_use]
    pub fn with_regions(
        geometry: &ArrayGeometry,
        epochs: u32,
        chunk_bytes_max: usize,
        page_bytes: usize,
        regions: bool,
    ) -> Self {
        let shard_capacities = geometry
            .levels
            .iter()
            .map(|level| {
                let active = u64::from(super::active_epochs_max(level.period, epochs));
                if page_bytes == 0 && !regions { 0 } else { shard_capacity(level, active, chunk_bytes_max, page_bytes) }
            })
            .collect();
        let levels = geometry
            .levels
            .iter()
            .map(|level| LevelBatch {
                active_epochs: Vec::with_capacity(super::active_epochs_max(level.period, epochs) as usize),
                ..LevelBatch::default()
            })
            .collect();
        let mut layout = BatchLayout { levels, page_bytes, shard_capacities, chunk_bytes_max };
        let mut offset = 0;
        for (index, level) in geometry.levels.iter().enumerate() {
            layout.levels[index].segment_offset = offset;
            offset += layout.segment_bytes(level, epochs);
        }
        layout
    }

    /// Bytes of a level's segment for the largest batch of `epochs` epochs.
    #[must_use]
    pub fn segment_bytes(&self, level: &LevelGeometry, epochs: u32) -> u64 {
        match self.shard_capacities[level.level as usize] {
            0 => {
                let active = u64::from(super::active_epochs_max(level.period, epochs));
                level.chunks_per_epoch * active * self.chunk_bytes_max as u64
            }
            capacity => capacity * level.inner_shards,
        }
    }

    /// Bytes of the aggregate buffer for the largest batch of `epochs` epochs.
    #[must_use]
    pub fn data_bytes(&self, geometry: &ArrayGeometry, epochs: u32) -> u64 {
        geometry.levels.iter().map(|level| self.segment_bytes(level, epochs)).sum()
    }

    /// Entries of the offset and size tables for the largest batch of `epochs` epochs, sentinels included.
    #[must_use]
    pub fn entries_max(geometry: &ArrayGeometry, epochs: u32) -> u64 {
        geometry
            .levels
            .iter()
            .map(|level| level.covering_count * u64::from(super::active_epochs_max(level.period, epochs)) + 1)
            .sum()
    }

    /// Takes the levels of each epoch of the batch: bit l of `masks[e]` says that level l delivers at pool epoch e.
    /// Allocates nothing when the masks stay within what the layout was made for.
    pub fn fill(&mut self, geometry: &ArrayGeometry, masks: &[u32]) {
        let mut entry = 0;
        for (index, level) in geometry.levels.iter().enumerate() {
            let batch = &mut self.levels[index];
            batch.active_epochs.clear();
            let active = masks.iter().enumerate().filter(|(_, mask)| **mask >> index & 1 == 1);
            batch.active_epochs.extend(active.map(|(epoch, _)| epoch as u32));
            let active = batch.active_epochs.len() as u64;
            batch.first_entry = entry;
            batch.entries = level.covering_count * active;
            batch.chunks = level.chunks_per_epoch * active;
            entry += batch.entries + 1;
        }
    }

    /// Entries of the offset and size tables of this batch, sentinels included.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.levels.iter().map(|batch| batch.entries + 1).sum()
    }

    /// Chunks of this batch.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.levels.iter().map(|batch| batch.chunks).sum()
    }

    /// First byte of inner shard `shard` of `level` in the aggregate buffer, where shards have regions of their own.
    #[must_use]
    pub fn shard_offset(&self, level: usize, shard: u64) -> u64 {
        self.levels[level].segment_offset + shard * self.shard_capacities[level]
    }

    /// Writes the tables of this batch and returns the number of chunks.
    ///
    /// # Panics
    ///
    /// When the slices are shorter than [`BatchLayout::chunks`].
    pub fn write_tables(&self, geometry: &ArrayGeometry, tables: &mut BatchTables<'_>) -> usize {
        let mut index = 0;
        for (level, batch) in geometry.levels.iter().zip(&self.levels) {
            for (active, &pool_epoch) in batch.active_epochs.iter().enumerate() {
                let first_chunk = u64::from(pool_epoch) * geometry.chunks_per_epoch + level.first_chunk;
                for (chunk, &position) in level.positions.iter().enumerate() {
                    tables.gather[index] = (first_chunk + chunk as u64) as u32;
                    let entry = batch.first_entry + batch.position(level, active as u64, u64::from(position));
                    tables.permutation[index] = entry as u32;
                    index += 1;
                }
            }
        }
        index
    }
}

/// Bytes a shard's region needs: the worst batch, behind a carried tail where there are pages.
fn shard_capacity(level: &LevelGeometry, active: u64, chunk_bytes_max: usize, page_bytes: usize) -> u64 {
    let page = page_bytes as u64;
    (active * level.inner_chunks_per_shard * chunk_bytes_max as u64 + page).next_multiple_of(page.max(1))
}
