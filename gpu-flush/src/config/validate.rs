//! The checks of an array's configuration. Each message names the field, the value and the remedy.

use super::{ArrayConfig, CodecConfig, Dimension, FillValue};
use crate::dtype::DataType;
use crate::error::Error;
use crate::geometry;

/// The most dimensions of an array.
pub const RANK_MAX: usize = 32;
/// The most pyramid levels, full resolution included.
pub const LEVELS_MAX: u32 = 32;
/// The most downsampled dimensions: the sum of a window of 2^16 elements still fits its type.
const HALVED_MAX: usize = 16;
/// Highest levels of the codecs, as their libraries define them.
const ZSTD_LEVELS: std::ops::RangeInclusive<i32> = -7..=22;
const LZ4_LEVELS: std::ops::RangeInclusive<i32> = 1..=12;
const BLOSC_LEVELS: std::ops::RangeInclusive<i32> = 0..=9;
/// Blosc 1 counts bytes in 31 bits and keeps 16 for its header.
const BLOSC_CHUNK_BYTES_MAX: u64 = i32::MAX as u64 - 16;
/// LZ4's block interface counts bytes in 31 bits (`LZ4_MAX_INPUT_SIZE`).
const LZ4_CHUNK_BYTES_MAX: u64 = 0x7E00_0000;

pub(super) fn append_dimensions(dimensions: &[Dimension]) -> usize {
    let mut run = 0;
    for dimension in dimensions {
        if dimension.chunk != 1 {
            break;
        }
        run += 1;
        if dimension.downsample {
            break;
        }
    }
    run.max(1)
}

pub(super) fn positions_of_names(dimensions: &[Dimension], order: &[String]) -> Result<Vec<usize>, Error> {
    let known = || dimensions.iter().map(|dimension| dimension.name.as_str()).collect::<Vec<_>>().join(",");
    if order.len() != dimensions.len() {
        return Err(Error::invalid_config(
            "storage_order",
            format!("{} names for {} dimensions; name each of {} once", order.len(), dimensions.len(), known()),
        ));
    }
    dimensions
        .iter()
        .map(|dimension| {
            order.iter().position(|name| *name == dimension.name).ok_or_else(|| {
                Error::invalid_config(
                    "storage_order",
                    format!("{:?} is missing; name each of {} once", dimension.name, known()),
                )
            })
        })
        .collect()
}

pub(super) fn array(config: &ArrayConfig) -> Result<(), Error> {
    rank(config)?;
    name(config)?;
    for (index, dimension) in config.dimensions.iter().enumerate() {
        one_dimension(index, dimension)?;
    }
    storage(config)?;
    inner_append(config)?;
    codec(config)?;
    pyramid(config)?;
    fill_value(config)?;
    geometry::check(config)
}

fn rank(config: &ArrayConfig) -> Result<(), Error> {
    let rank = config.dimensions.len();
    if rank == 0 || rank > RANK_MAX {
        return Err(Error::invalid_config("dimensions", format!("rank {rank} is outside 1 to {RANK_MAX}")));
    }
    for (index, dimension) in config.dimensions.iter().enumerate() {
        if config.dimensions[..index].iter().any(|earlier| earlier.name == dimension.name) {
            return Err(Error::invalid_config(
                format!("dimensions[{index}].name"),
                format!("{:?} names two dimensions; names must differ", dimension.name),
            ));
        }
    }
    Ok(())
}

fn name(config: &ArrayConfig) -> Result<(), Error> {
    if config.name.is_empty() {
        return Ok(());
    }
    let bad = config.name.split('/').find(|part| {
        part.is_empty() || *part == "zarr.json" || part.starts_with("__") || part.bytes().all(|byte| byte == b'.')
    });
    match bad {
        Some(part) => Err(Error::invalid_config(
            "name",
            format!("{:?} has the part {part:?}, which Zarr does not allow as a node name", config.name),
        )),
        None => Ok(()),
    }
}

fn one_dimension(index: usize, dimension: &Dimension) -> Result<(), Error> {
    let field = |name: &str| format!("dimensions[{index}].{name}");
    if dimension.size == 0 && index > 0 {
        return Err(Error::invalid_config(
            field("size"),
            format!("{:?} has size 0; only dimension 0 may be unbounded", dimension.name),
        ));
    }
    if dimension.chunk == 0 {
        return Err(Error::invalid_config(
            field("chunk"),
            format!("{:?} has chunks of 0 elements; use at least 1", dimension.name),
        ));
    }
    if dimension.size == 0 && dimension.chunks_per_shard == 0 {
        return Err(Error::invalid_config(
            field("chunks_per_shard"),
            format!("{:?} is unbounded, so \"all chunks\" has no meaning; use at least 1", dimension.name),
        ));
    }
    if !(dimension.scale.is_finite() && dimension.scale > 0.0) {
        return Err(Error::invalid_config(
            field("scale"),
            format!("{} is no length; use a finite number above 0", dimension.scale),
        ));
    }
    Ok(())
}

fn storage(config: &ArrayConfig) -> Result<(), Error> {
    let rank = config.dimensions.len();
    let mut seen = vec![false; rank];
    for &position in &config.storage_positions {
        if position >= rank || std::mem::replace(&mut seen[position], true) {
            return Err(Error::invalid_config(
                "storage_positions",
                format!("{:?} is no permutation of 0 to {}", config.storage_positions, rank - 1),
            ));
        }
    }
    if config.storage_positions.len() != rank {
        return Err(Error::invalid_config(
            "storage_positions",
            format!("{} positions for {rank} dimensions", config.storage_positions.len()),
        ));
    }
    for (index, &position) in config.storage_positions.iter().enumerate().take(config.append_dimensions()) {
        if index != position {
            return Err(Error::invalid_config(
                "storage_positions",
                format!(
                    "append dimension {index} ({:?}) is moved to {position}; append dimensions keep their place",
                    config.dimensions[index].name
                ),
            ));
        }
    }
    Ok(())
}

/// Epochs of one shard must follow each other, so every append dimension but the first must fit one shard.
fn inner_append(config: &ArrayConfig) -> Result<(), Error> {
    for (index, dimension) in config.dimensions.iter().enumerate().take(config.append_dimensions()).skip(1) {
        let chunks = dimension.size.div_ceil(dimension.chunk);
        if dimension.chunks_per_shard != 0 && dimension.chunks_per_shard < chunks {
            return Err(Error::invalid_config(
                format!("dimensions[{index}].chunks_per_shard"),
                format!(
                    "inner append dimension {:?} has {chunks} chunks but {} per shard; use {chunks}, or 0 for all",
                    dimension.name, dimension.chunks_per_shard
                ),
            ));
        }
    }
    Ok(())
}

fn codec(config: &ArrayConfig) -> Result<(), Error> {
    let chunk_bytes = config
        .dimensions
        .iter()
        .try_fold(config.dtype.size_bytes() as u64, |bytes, dimension| bytes.checked_mul(dimension.chunk))
        .ok_or_else(|| Error::invalid_config("dimensions", "a chunk has more than 2^64 bytes; use smaller chunks"))?;
    let (levels, bytes_max) = match config.codec {
        CodecConfig::None => return Ok(()),
        CodecConfig::Zstd { .. } => (ZSTD_LEVELS, isize::MAX as u64 / 2),
        CodecConfig::Lz4 { .. } => (LZ4_LEVELS, LZ4_CHUNK_BYTES_MAX),
        CodecConfig::Blosc { .. } => (BLOSC_LEVELS, BLOSC_CHUNK_BYTES_MAX),
    };
    let name = config.codec.name();
    if !levels.contains(&config.codec.level()) {
        let (low, high) = levels.into_inner();
        return Err(Error::invalid_config(
            "codec.level",
            format!("{name} has no level {}; use {low} to {high}", config.codec.level()),
        ));
    }
    if chunk_bytes > bytes_max {
        return Err(Error::invalid_config(
            "dimensions",
            format!("a chunk has {chunk_bytes} B, {name} takes at most {bytes_max}; use smaller chunks"),
        ));
    }
    Ok(())
}

fn pyramid(config: &ArrayConfig) -> Result<(), Error> {
    if config.levels_max > LEVELS_MAX {
        return Err(Error::invalid_config(
            "levels_max",
            format!("{} is over the limit of {LEVELS_MAX}; use 0 for automatic", config.levels_max),
        ));
    }
    let halved = config.dimensions.iter().filter(|dimension| dimension.downsample).count();
    if halved > HALVED_MAX {
        return Err(Error::invalid_config(
            "dimensions",
            format!("{halved} dimensions are downsampled, the limit is {HALVED_MAX}"),
        ));
    }
    if !config.append_downsample() {
        return Ok(());
    }
    let last = config.append_dimensions() - 1;
    let dimension = &config.dimensions[last];
    if !config.is_multiscale() {
        return Err(Error::invalid_config(
            format!("dimensions[{last}].downsample"),
            format!(
                "append dimension {:?} is downsampled but no inner dimension is; downsample one too",
                dimension.name
            ),
        ));
    }
    if !config.append_reduce.folds() {
        return Err(Error::invalid_config(
            "append_reduce",
            format!("{} cannot fold frames as they arrive; use mean, min or max", config.append_reduce),
        ));
    }
    let levels = geometry::plan_levels(config).len() as u32;
    if last > 0 && !dimension.size.is_multiple_of(1 << (levels - 1).min(63)) {
        return Err(Error::invalid_config(
            format!("dimensions[{last}].downsample"),
            format!(
                "{levels} levels fold {:?} by {}, but its size {} is no multiple of that, so a fold would mix two rounds; \
                 limit levels_max or do not downsample it",
                dimension.name,
                1u64 << (levels - 1),
                dimension.size
            ),
        ));
    }
    Ok(())
}

fn fill_value(config: &ArrayConfig) -> Result<(), Error> {
    let fits = match (config.fill_value, config.dtype) {
        (FillValue::Zero, _) | (FillValue::Float(_), DataType::F16 | DataType::F32 | DataType::F64) => true,
        (FillValue::Float(_), _) | (_, DataType::F16 | DataType::F32 | DataType::F64) => false,
        (FillValue::Unsigned(_), dtype) => dtype == DataType::U64,
        (FillValue::Integer(value), dtype) => {
            let bits = dtype.size_bytes() as u32 * 8;
            match dtype {
                DataType::U8 | DataType::U16 | DataType::U32 => value >= 0 && value < 1 << bits,
                DataType::U64 => value >= 0,
                DataType::I64 => true,
                _ => (-(1i64 << (bits - 1))..1 << (bits - 1)).contains(&value),
            }
        }
    };
    if fits {
        return Ok(());
    }
    Err(Error::invalid_config("fill_value", format!("{:?} does not fit {}", config.fill_value, config.dtype)))
}
