//! The geometry of an array: all its levels, and how its input maps to epochs.

use super::level::LevelGeometry;
use super::plan::{LevelPlan, plan_levels};
use super::scatter::Scatter;
use crate::config::{ArrayConfig, ReduceMethod};
use crate::dtype::DataType;
use crate::error::Error;
use crate::pyramid::FoldShape;

/// Everything the engine needs to know about where bytes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayGeometry {
    /// The element type.
    pub dtype: DataType,
    /// Number of append dimensions, at least 1.
    pub append_dimensions: usize,
    /// Whether the last append dimension is folded from level to level.
    pub append_downsample: bool,
    /// The levels, full resolution first.
    pub levels: Vec<LevelGeometry>,
    /// Elements of the input that make one epoch. The input is unpadded.
    pub epoch_input_elements: u64,
    /// Elements of the input that fill a bounded array; `None` when unbounded.
    pub input_limit_elements: Option<u64>,
    /// Chunks of an epoch over all levels.
    pub chunks_per_epoch: u64,
    /// Bytes of one chunk before compression, without alignment.
    pub chunk_bytes: usize,
    /// Bytes from one chunk to the next in the pool.
    pub chunk_stride_bytes: usize,
}

impl ArrayGeometry {
    /// Computes the geometry. `codec_alignment_bytes` is what the device's codec wants its input aligned to; 1 for none.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] where a count does not fit its type.
    pub fn new(config: &ArrayConfig, codec_alignment_bytes: usize) -> Result<Self, Error> {
        ArrayGeometry::compute(config, codec_alignment_bytes, true)
    }

    /// The geometry; without `tables` the per-chunk positions stay empty, for checks that must not allocate much.
    fn compute(config: &ArrayConfig, codec_alignment_bytes: usize, tables: bool) -> Result<Self, Error> {
        let plan = plan_levels(config);
        let dtype = config.dtype();
        let dimensions = config.dimensions();
        let append_dimensions = config.append_dimensions();
        let chunk_elements = checked_product("a chunk's elements", dimensions.iter().map(|dimension| dimension.chunk))?;
        let element_bytes = dtype.size_bytes();
        let chunk_bytes =
            to_usize("a chunk's bytes", checked("a chunk's bytes", chunk_elements, element_bytes as u64)?)?;
        let alignment = least_common_multiple(codec_alignment_bytes.max(1), element_bytes);
        let chunk_stride_bytes =
            chunk_bytes.checked_next_multiple_of(alignment).ok_or_else(|| overflow("a chunk's bytes"))?;
        let chunk_stride = (chunk_stride_bytes / element_bytes) as u64;

        let mut levels = Vec::with_capacity(plan.len());
        let mut first_chunk = 0;
        for (level, plan) in plan.iter().enumerate() {
            let mut geometry = build_level(config, level as u32, plan, chunk_elements, chunk_stride, first_chunk)?;
            if tables {
                geometry.positions = positions(&geometry);
            }
            first_chunk += geometry.chunks_per_epoch;
            levels.push(geometry);
        }
        checked("an epoch's bytes", first_chunk, chunk_stride_bytes as u64)?;
        if first_chunk > u64::from(u32::MAX) {
            return Err(overflow("an epoch's chunks"));
        }
        let epoch_input_elements = levels[0].image_elements;
        let input_limit_elements = match dimensions[0].size {
            0 => None,
            _ => Some(checked_product("the array's elements", dimensions.iter().map(|dimension| dimension.size))?),
        };
        if let Some(limit) = input_limit_elements {
            checked("the array's bytes", limit, element_bytes as u64)?;
        }
        Ok(ArrayGeometry {
            dtype,
            append_dimensions,
            append_downsample: config.append_downsample(),
            levels,
            epoch_input_elements,
            input_limit_elements,
            chunks_per_epoch: first_chunk,
            chunk_bytes,
            chunk_stride_bytes,
        })
    }

    /// Whether a pyramid is written.
    #[must_use]
    pub fn is_multiscale(&self) -> bool {
        self.levels.len() > 1
    }

    /// Bytes of one epoch in the chunk pool, over all levels and with padding.
    #[must_use]
    pub fn epoch_pool_bytes(&self) -> u64 {
        self.chunks_per_epoch * self.chunk_stride_bytes as u64
    }

    /// How the frames of `level` (1 or above) fold along the append dimension.
    #[must_use]
    pub fn fold_shape(&self, level: usize, method: ReduceMethod) -> FoldShape {
        let level = &self.levels[level];
        let epoch_frames = level.chunk_shape[self.append_dimensions - 1];
        FoldShape {
            dtype: self.dtype,
            method,
            frame_elements: level.image_elements / epoch_frames,
            epoch_frames,
            period: level.period,
        }
    }

    /// The final extent of dimension 0 at `level` after `cursor` input elements were accepted, in elements; a started
    /// frame counts.
    #[must_use]
    pub fn final_extent(&self, level: usize, cursor: u64) -> u64 {
        let frame: u64 = self.levels[0].shape[1..].iter().product();
        let extent = cursor.div_ceil(frame);
        match self.levels[level].halvings[0] {
            0 => extent,
            halvings => extent.div_ceil(1 << halvings.min(63)),
        }
    }
}

/// Checks that every count of the array fits its type.
pub(crate) fn check(config: &ArrayConfig) -> Result<(), Error> {
    ArrayGeometry::compute(config, 1, false).map(drop)
}

fn build_level(
    config: &ArrayConfig,
    level: u32,
    plan: &LevelPlan,
    chunk_elements: u64,
    chunk_stride: u64,
    first_chunk: u64,
) -> Result<LevelGeometry, Error> {
    let dimensions = config.dimensions();
    let order = config.storage_order();
    let append = config.append_dimensions();
    let folded = if config.append_downsample() { append - 1 } else { usize::MAX };
    let shape: Vec<u64> = order.iter().map(|&index| plan.sizes[index]).collect();
    let chunk_shape: Vec<u64> = order.iter().map(|&index| dimensions[index].chunk).collect();
    let chunk_counts: Vec<u64> = shape
        .iter()
        .zip(&chunk_shape)
        .map(|(&size, &chunk)| if size == 0 { 1 } else { size.div_ceil(chunk) })
        .collect();
    let chunks_per_shard: Vec<u64> = order
        .iter()
        .enumerate()
        .map(|(position, &index)| {
            let (dimension, count) = (&dimensions[index], chunk_counts[position]);
            let full_count = dimension.size.div_ceil(dimension.chunk);
            let wanted = dimension.chunks_per_shard;
            let all = wanted == 0 || (dimension.size > 0 && wanted >= full_count);
            let wanted = if index == folded { (wanted >> level).max(1) } else { wanted };
            if all || (dimension.size > 0 && wanted > count) { count } else { wanted }
        })
        .collect();
    let shard_counts: Vec<u64> = shape
        .iter()
        .enumerate()
        .map(
            |(position, &size)| if size == 0 { 0 } else { chunk_counts[position].div_ceil(chunks_per_shard[position]) },
        )
        .collect();

    let inner = append..shape.len();
    let product = |name: &str, values: &[u64]| checked_product(name, values.iter().copied());
    let chunks_per_epoch = product("an epoch's chunks", &chunk_counts[inner.clone()])?;
    let inner_chunks_per_shard = product("a shard's chunks", &chunks_per_shard[inner.clone()])?;
    let inner_shards = product("an epoch's shards", &shard_counts[inner])?;
    let epochs_per_shard = product("a shard's epochs", &chunks_per_shard[..append])?;
    let covering_count = checked("an epoch's chunk positions", inner_chunks_per_shard, inner_shards)?;
    if covering_count > u64::from(u32::MAX) {
        return Err(Error::invalid_config(
            "dimensions",
            format!(
                "an epoch has {covering_count} chunk positions at level {level}, the limit is {}; use larger chunks",
                u32::MAX
            ),
        ));
    }
    let shard_chunks = checked("a shard's chunks", epochs_per_shard, inner_chunks_per_shard)?;
    if shard_chunks > u64::from(u32::MAX) {
        return Err(Error::invalid_config(
            "dimensions",
            format!(
                "a shard has {shard_chunks} chunks at level {level}, the limit is {}; use smaller shards",
                u32::MAX
            ),
        ));
    }
    let image_extents: Vec<u64> = (0..dimensions.len())
        .map(|index| if index < append { dimensions[index].chunk } else { plan.sizes[index] })
        .collect();
    let image_elements = product("an epoch's elements", &image_extents)?;
    checked("an epoch's elements", chunks_per_epoch, chunk_stride)?;
    let scatter = Scatter::new(&image_extents, &chunk_shape, &chunk_counts, &order, append, chunk_stride);
    Ok(LevelGeometry {
        level,
        halvings: order.iter().map(|&index| plan.halvings[index]).collect(),
        shape,
        chunk_shape,
        chunk_counts,
        chunks_per_shard,
        shard_counts,
        append_dimensions: append,
        chunk_elements,
        chunk_stride,
        chunks_per_epoch,
        first_chunk,
        image_extents,
        image_elements,
        covering_count,
        inner_chunks_per_shard,
        epochs_per_shard,
        inner_shards,
        period: if config.append_downsample() { 1 << level } else { 1 },
        scatter,
        positions: Vec::new(),
    })
}

/// For each chunk of an epoch its position, shards outermost.
fn positions(level: &LevelGeometry) -> Vec<u32> {
    let inner = level.append_dimensions..level.shape.len();
    let (counts, per_shard) = (&level.chunk_counts[inner.clone()], &level.chunks_per_shard[inner.clone()]);
    let shards = &level.shard_counts[inner];
    let mut coordinates = vec![0u64; counts.len()];
    (0..level.chunks_per_epoch)
        .map(|_| {
            let (mut shard, mut place) = (0, 0);
            for dimension in 0..counts.len() {
                shard = shard * shards[dimension] + coordinates[dimension] / per_shard[dimension];
                place = place * per_shard[dimension] + coordinates[dimension] % per_shard[dimension];
            }
            for dimension in (0..counts.len()).rev() {
                coordinates[dimension] += 1;
                if coordinates[dimension] < counts[dimension] {
                    break;
                }
                coordinates[dimension] = 0;
            }
            (shard * level.inner_chunks_per_shard + place) as u32
        })
        .collect()
}

fn overflow(name: &str) -> Error {
    Error::invalid_config("dimensions", format!("{name} do not fit their counter; use smaller dimensions"))
}

fn checked(name: &str, left: u64, right: u64) -> Result<u64, Error> {
    left.checked_mul(right).filter(|&product| i64::try_from(product).is_ok()).ok_or_else(|| overflow(name))
}

fn checked_product(name: &str, values: impl IntoIterator<Item = u64>) -> Result<u64, Error> {
    values.into_iter().try_fold(1, |product, value| checked(name, product, value))
}

fn to_usize(name: &str, value: u64) -> Result<usize, Error> {
    usize::try_from(value).map_err(|_| overflow(name))
}

fn least_common_multiple(left: usize, right: usize) -> usize {
    let (mut a, mut b) = (left, right);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    left / a * right
}
