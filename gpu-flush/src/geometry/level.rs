//! One level of an array: its chunks, its shards, and where an element or a chunk goes.

use super::index::unravel;
use super::scatter::Scatter;

/// The geometry of one level. Lists are in storage order; counts are of chunks unless a name says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelGeometry {
    /// The level, 0 for full resolution.
    pub level: u32,
    /// True extents in elements; 0 for an unbounded first dimension.
    pub shape: Vec<u64>,
    /// Chunk extents in elements.
    pub chunk_shape: Vec<u64>,
    /// Chunks along each dimension; 1 for an unbounded one.
    pub chunk_counts: Vec<u64>,
    /// Chunks of a shard along each dimension, resolved and clamped.
    pub chunks_per_shard: Vec<u64>,
    /// Shards along each dimension; 0 for an unbounded one.
    pub shard_counts: Vec<u64>,
    /// Number of append dimensions.
    pub append_dimensions: usize,
    /// How often each dimension has been halved since level 0.
    pub halvings: Vec<u32>,
    /// Elements of a chunk.
    pub chunk_elements: u64,
    /// Elements from one chunk to the next in the chunk pool; at least `chunk_elements`.
    pub chunk_stride: u64,
    /// Chunks of an epoch of this level.
    pub chunks_per_epoch: u64,
    /// Index of this level's first chunk among the chunks of all levels of an epoch.
    pub first_chunk: u64,
    /// Extents of a level image of one epoch in acquisition order, without padding: append dimensions at their chunk extent.
    pub image_extents: Vec<u64>,
    /// Elements of a level image of one epoch, without padding.
    pub image_elements: u64,
    /// Chunk positions of an epoch, those of edge shards without a chunk included.
    pub covering_count: u64,
    /// Chunks of a shard that share one append coordinate.
    pub inner_chunks_per_shard: u64,
    /// Epochs of a shard.
    pub epochs_per_shard: u64,
    /// Shards that are open at once.
    pub inner_shards: u64,
    /// Epochs of level 0 to one epoch of this level: 2^level when the append dimension is folded, else 1.
    pub period: u64,
    /// The map from a level image of one epoch, in acquisition order, to the chunk pool.
    pub scatter: Scatter,
    /// For each chunk of an epoch, in pool order, its position `shard × inner_chunks_per_shard + place in shard`.
    pub positions: Vec<u32>,
}

impl LevelGeometry {
    /// Chunks of a shard.
    #[must_use]
    pub fn shard_chunks(&self) -> u64 {
        self.epochs_per_shard * self.inner_chunks_per_shard
    }

    /// Elements of an epoch's chunks, padding at array borders included.
    #[must_use]
    pub fn epoch_elements(&self) -> u64 {
        self.chunks_per_epoch * self.chunk_elements
    }

    /// Shard extents in elements.
    #[must_use]
    pub fn shard_shape(&self) -> Vec<u64> {
        self.chunk_shape.iter().zip(&self.chunks_per_shard).map(|(chunk, count)| chunk * count).collect()
    }

    /// Epochs of this level in a bounded array; `None` when unbounded.
    #[must_use]
    pub fn epochs(&self) -> Option<u64> {
        (self.shape[0] > 0).then(|| self.chunk_counts[..self.append_dimensions].iter().product())
    }

    /// Shards of this level in a bounded array; 0 when unbounded.
    #[must_use]
    pub fn shards(&self) -> u64 {
        self.shard_counts.iter().product()
    }

    /// The key of a shard below the array's node: `c/` and its coordinates. `flat` is generation × `inner_shards` + inner shard.
    #[must_use]
    pub fn shard_key(&self, flat: u64) -> String {
        let mut coordinates = vec![0; self.shard_counts.len()];
        unravel(flat, &self.shard_counts, &mut coordinates);
        coordinates.iter().fold(String::from("c"), |key, coordinate| format!("{key}/{coordinate}"))
    }

    /// The extent of dimension 0 that `epochs` whole epochs of this level fill, in elements, at most the array's.
    #[must_use]
    pub fn append_extent(&self, epochs: u64) -> u64 {
        let per_row: u64 = self.chunk_counts[1..self.append_dimensions].iter().product();
        let extent = epochs.div_ceil(per_row) * self.chunk_shape[0];
        if self.shape[0] > 0 { extent.min(self.shape[0]) } else { extent }
    }
}
