//! Chunk and shard sizes for a user who names none: from a target chunk size, weights per dimension and a memory budget.
//!
//! The search starts at the target. At each chunk size it halves the batch first, then gives up on that size and halves the
//! chunk, until everything fits the budget or the smallest chunk does not.

use std::fmt;

use super::array::ArrayGeometry;
use super::epochs::epochs_per_batch;
use super::sizing::{CodecBounds, MemoryEstimate, estimate_memory};
use crate::codec::Codec;
use crate::config::{ArrayConfig, Dimension, EngineConfig};
use crate::error::Error;

/// The most chunks of a shard we advise: object stores take at most 10 000 parts of an upload.
pub const PARTS_PER_SHARD_MAX: u64 = 10_000;

/// How a dimension takes part in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DimensionRatio {
    /// Its share of the chunk's powers of two, by weight above 0.
    Weight(u32),
    /// Chunks of one element.
    One,
    /// Chunks of its full size. An unbounded dimension has none and takes the powers of two that are left.
    Full,
}

/// What the advice should aim at.
#[derive(Debug, Clone, PartialEq)]
pub struct AdviceRequest {
    /// Bytes of a chunk to start from.
    pub target_chunk_bytes: u64,
    /// Bytes of a chunk to stop at.
    pub chunk_bytes_min: u64,
    /// One ratio per dimension, in acquisition order.
    pub ratios: Vec<DimensionRatio>,
    /// Bytes all buffers together may take.
    pub budget_bytes: u64,
    /// Least bytes of a shard before compression; 0 leaves the shards along the append dimension as they are.
    pub shard_bytes_min: u64,
    /// Shards to have open at once, about.
    pub concurrent_shards: u64,
    /// Least shards along a bounded append dimension; it goes before `shard_bytes_min`.
    pub append_shards_min: u64,
    /// The sink's page size, 0 for none.
    pub page_bytes: usize,
}

impl AdviceRequest {
    /// The usual aims for an array of this rank: chunks of 1 MiB down to 16 KiB, one frame deep, in one open shard of at least 64 MiB.
    #[must_use]
    pub fn new(rank: usize, budget_bytes: u64) -> Self {
        let mut ratios = vec![DimensionRatio::Weight(1); rank];
        if rank > 1 {
            ratios[0] = DimensionRatio::One;
        }
        AdviceRequest {
            target_chunk_bytes: 1 << 20,
            chunk_bytes_min: 16 << 10,
            ratios,
            budget_bytes,
            shard_bytes_min: 64 << 20,
            concurrent_shards: 1,
            append_shards_min: 1,
            page_bytes: 0,
        }
    }
}

/// An array and a batch size that fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The array with its chunks and shards.
    pub config: ArrayConfig,
    /// Epochs per batch.
    pub epochs_per_batch: u32,
    /// The memory it takes.
    pub estimate: MemoryEstimate,
    /// Shards that will be open at once, over all levels.
    pub concurrent_shards: u64,
    /// Bytes of a full shard of level 0 before compression.
    pub shard_bytes: u64,
}

/// Why there is no advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdviceReason {
    /// The description itself cannot be built.
    InvalidConfig,
    /// The least shard is smaller than a chunk.
    ShardBelowChunk,
    /// Not even the smallest chunk and a batch of one epoch fit the budget.
    BudgetExceeded,
    /// A shard would have more than [`PARTS_PER_SHARD_MAX`] chunks.
    PartsLimit,
    /// The dimensions pinned to their full size alone are larger than the target chunk.
    ChunkBudgetInfeasible,
}

/// No advice: the reason, and what was tried last.
#[derive(Debug, Clone)]
pub struct AdviceFailure {
    /// The reason.
    pub reason: AdviceReason,
    /// What is wrong and what would help.
    pub message: String,
    /// The budget that was given.
    pub budget_bytes: u64,
    /// The last layout tried, where it got that far.
    pub last: Option<Box<Advice>>,
}

impl fmt::Display for AdviceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AdviceFailure {}

impl From<AdviceFailure> for Error {
    fn from(failure: AdviceFailure) -> Self {
        match (failure.reason, failure.last) {
            (AdviceReason::BudgetExceeded, Some(last)) => last.estimate.exceeds(failure.budget_bytes),
            _ => Error::invalid_config("dimensions", failure.message),
        }
    }
}

/// Chooses chunks, shards and the batch size. The chunks and shards of `config` are ignored, except the chunks per shard of the
/// first dimension where `shard_bytes_min` is 0. A number of epochs per batch set in `engine` is kept.
///
/// # Errors
///
/// [`AdviceFailure`] with the reason and the last try.
pub fn advise(config: &ArrayConfig, engine: &EngineConfig, request: &AdviceRequest) -> Result<Advice, AdviceFailure> {
    let fail =
        |reason, message: String, last| AdviceFailure { reason, message, budget_bytes: request.budget_bytes, last };
    let dimensions = config.dimensions();
    if request.ratios.len() != dimensions.len() {
        let message = format!("{} ratios for {} dimensions", request.ratios.len(), dimensions.len());
        return Err(fail(AdviceReason::InvalidConfig, message, None));
    }
    if request.target_chunk_bytes == 0 || request.ratios.contains(&DimensionRatio::Weight(0)) {
        let message =
            "a chunk of 0 bytes, or a weight of 0; use a target above 0, and One for chunks of one element".into();
        return Err(fail(AdviceReason::InvalidConfig, message, None));
    }
    let mut target = request.target_chunk_bytes;
    let mut last = None;
    while target >= request.chunk_bytes_min.max(1) {
        let Some(chunks) = chunk_shape(config, &request.ratios, target) else {
            let message = format!(
                "the dimensions pinned to full size make chunks of more than {target} B; pin fewer or raise the target"
            );
            return Err(fail(AdviceReason::ChunkBudgetInfeasible, message, last));
        };
        let chunk_bytes = chunks.iter().product::<u64>() * config.dtype().size_bytes() as u64;
        if request.shard_bytes_min > 0 && request.shard_bytes_min < chunk_bytes {
            let message =
                format!("shards of at least {} B are smaller than a chunk of {chunk_bytes} B", request.shard_bytes_min);
            return Err(fail(AdviceReason::ShardBelowChunk, message, last));
        }
        let shaped = shard_shape(config, &chunks, request)
            .map_err(|message| fail(AdviceReason::PartsLimit, message, last.clone()))?;
        let built = config.to_builder().dimensions(shaped).storage_positions(config.storage_positions()).build();
        let built = built.map_err(|error| fail(AdviceReason::InvalidConfig, error.to_string(), last.clone()))?;
        let geometry = ArrayGeometry::new(&built, 1)
            .map_err(|error| fail(AdviceReason::InvalidConfig, error.to_string(), last.clone()))?;
        let automatic = epochs_per_batch(None, engine.target_batch_bytes, geometry.epoch_pool_bytes());
        let mut epochs = engine.epochs_per_batch.unwrap_or(automatic);
        loop {
            let advice = weigh(&built, &geometry, engine, request, epochs);
            if advice.estimate.total_bytes() <= request.budget_bytes {
                return Ok(advice);
            }
            last = Some(Box::new(advice));
            if engine.epochs_per_batch.is_some() || epochs == 1 {
                break;
            }
            epochs /= 2;
        }
        target /= 2;
    }
    let need = last.as_ref().map_or(0, |advice| advice.estimate.total_bytes());
    let message = format!("the smallest layout needs {need} B, the budget is {} B", request.budget_bytes);
    Err(fail(AdviceReason::BudgetExceeded, message, last))
}

fn weigh(
    config: &ArrayConfig,
    geometry: &ArrayGeometry,
    engine: &EngineConfig,
    request: &AdviceRequest,
    epochs: u32,
) -> Advice {
    let codec = Codec::new(config.codec(), geometry.chunk_bytes, geometry.dtype.size_bytes());
    let bounds = CodecBounds {
        chunk_bytes_max: codec.chunk_bytes_max(),
        workspace_bytes: 0,
        passthrough: config.codec().is_passthrough(),
    };
    let engine = EngineConfig { epochs_per_batch: Some(epochs), ..engine.clone() };
    Advice {
        config: config.clone(),
        epochs_per_batch: epochs,
        estimate: estimate_memory(
            geometry,
            &engine,
            config.append_reduce(),
            bounds,
            request.page_bytes,
            engine.device != crate::config::DeviceChoice::Cuda,
        ),
        concurrent_shards: geometry.levels.iter().map(|level| level.inner_shards).sum(),
        shard_bytes: geometry.levels[0].shard_chunks() * geometry.chunk_bytes as u64,
    }
}

/// Powers of two by weight until the chunk reaches `target` bytes: each goes to the dimension with the most weight per power it
/// would then have, the later dimension first among equals. `None` when the pinned dimensions alone are larger.
fn chunk_shape(config: &ArrayConfig, ratios: &[DimensionRatio], target: u64) -> Option<Vec<u64>> {
    let dimensions = config.dimensions();
    let mut chunks: Vec<u64> = ratios
        .iter()
        .zip(dimensions)
        .map(|(ratio, dimension)| if *ratio == DimensionRatio::Full { dimension.size.max(1) } else { 1 })
        .collect();
    let elements = target / config.dtype().size_bytes() as u64;
    let pinned = chunks.iter().try_fold(1u64, |product, chunk| product.checked_mul(*chunk))?;
    if elements.max(1) < pinned {
        return None;
    }
    let mut powers = elements.max(1).checked_div(pinned)?.ilog2();
    let mut given = vec![0u32; chunks.len()];
    while powers > 0 {
        let open = |index: &usize| dimensions[*index].size == 0 || chunks[*index] < dimensions[*index].size;
        let weight = |index: usize| match ratios[index] {
            DimensionRatio::Weight(weight) => weight,
            _ => 0,
        };
        let better = |&left: &usize, &right: &usize| {
            let (left, right) = (
                u64::from(weight(left)) * u64::from(given[right] + 1),
                u64::from(weight(right)) * u64::from(given[left] + 1),
            );
            left.cmp(&right)
        };
        let weighted = (0..chunks.len()).filter(|&index| weight(index) > 0).filter(open).max_by(better);
        let absorbing = || (dimensions[0].size == 0 && ratios[0] == DimensionRatio::Full).then_some(0);
        let Some(index) = weighted.or_else(absorbing) else { break };
        chunks[index] *= 2;
        given[index] += 1;
        powers -= 1;
    }
    for (chunk, dimension) in chunks.iter_mut().zip(dimensions) {
        if dimension.size > 0 {
            *chunk = (*chunk).min(dimension.size);
        }
    }
    Some(chunks)
}

/// The dimensions with these chunks and with shards: inner ones split until enough shards are open and no shard has too many
/// chunks, then the append dimension as long as the limit allows.
fn shard_shape(config: &ArrayConfig, chunks: &[u64], request: &AdviceRequest) -> Result<Vec<Dimension>, String> {
    let mut dimensions: Vec<Dimension> =
        config.dimensions().iter().zip(chunks).map(|(dimension, &chunk)| dimension.clone().chunk(chunk)).collect();
    let probe = config
        .to_builder()
        .dimensions(dimensions.iter().map(|dimension| dimension.clone().chunks_per_shard(1)).collect());
    // Only the number of append dimensions is wanted; whether the rest is right is checked when the result is built.
    let append = probe.append_dimensions();
    for dimension in &mut dimensions[1..append] {
        dimension.chunks_per_shard = 0;
    }
    let counts: Vec<u64> = dimensions.iter().map(|dimension| dimension.size.div_ceil(dimension.chunk).max(1)).collect();
    let rounds: u64 = counts[1..append].iter().product();
    let inner = append..dimensions.len();
    let mut shards = vec![1u64; dimensions.len()];
    loop {
        let product: u64 = inner.clone().map(|index| shards[index]).product();
        let splittable = inner.clone().filter(|&index| shards[index] < counts[index]);
        let ratio = |index: usize| counts[index] as f64 / shards[index] as f64;
        // Among equals `max_by` takes the last, so the walk goes down to prefer the first.
        let Some(index) = splittable.rev().max_by(|&left, &right| ratio(left).total_cmp(&ratio(right))) else { break };
        if product * 2 > request.concurrent_shards.max(1) {
            break;
        }
        shards[index] = (shards[index] * 2).min(counts[index]);
    }
    let per_shard = |shards: &[u64], index: usize| counts[index].div_ceil(shards[index]);
    loop {
        let parts: u64 = rounds * inner.clone().map(|index| per_shard(&shards, index)).product::<u64>();
        if parts <= PARTS_PER_SHARD_MAX {
            break;
        }
        let widest = inner
            .clone()
            .filter(|&index| per_shard(&shards, index) > 1)
            .rev()
            .max_by_key(|&index| per_shard(&shards, index));
        let Some(index) = widest else {
            return Err(format!(
                "one round of the append dimensions has {parts} chunks, a shard may have {PARTS_PER_SHARD_MAX}"
            ));
        };
        shards[index] += 1;
    }
    for index in inner.clone() {
        dimensions[index].chunks_per_shard = per_shard(&shards, index);
    }
    let parts: u64 = rounds * inner.map(|index| per_shard(&shards, index)).product::<u64>();
    let first = &mut dimensions[0];
    if request.shard_bytes_min > 0 {
        first.chunks_per_shard = PARTS_PER_SHARD_MAX / parts;
        if first.size > 0 {
            first.chunks_per_shard = first.chunks_per_shard.min((counts[0] / request.append_shards_min.max(1)).max(1));
        }
    } else if first.size == 0 {
        first.chunks_per_shard = first.chunks_per_shard.clamp(1, PARTS_PER_SHARD_MAX / parts);
    } else if first.chunks_per_shard == 0 || first.chunks_per_shard * parts > PARTS_PER_SHARD_MAX {
        first.chunks_per_shard = (PARTS_PER_SHARD_MAX / parts).min(counts[0]);
    }
    Ok(dimensions)
}
