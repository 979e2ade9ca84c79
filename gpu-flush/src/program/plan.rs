//! From options and input to an array and an engine.

use super::ProgramError;
use super::arguments::Arguments;
use super::input::Input;
use crate::config::{ArrayConfig, Dimension, EngineConfig};
use crate::geometry::{AdviceRequest, ArrayGeometry, DimensionRatio, advise};
use crate::writer::memory_estimate;

/// A batch that keeps two cores busy without taking much memory.
const TARGET_BATCH_BYTES: u64 = 64 << 20;
/// Memory for all buffers when nothing is said.
const MEMORY_BYTES: u64 = 2 << 30;
/// Bytes of a shard before compression when no shard is given.
const SHARD_BYTES_MAX: u64 = 1 << 30;
/// Written bytes that may wait for the disk before reading pauses.
const BACKPRESSURE_BYTES: u64 = 256 << 20;

/// What will be written and with what.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) config: ArrayConfig,
    pub(super) engine: EngineConfig,
}

pub(super) fn plan(arguments: &Arguments, input: &Input, page_bytes: usize) -> Result<Plan, ProgramError> {
    let dimensions = dimensions(arguments, input)?;
    let description = ArrayConfig::builder(input.dtype)
        .codec(arguments.codec)
        .reduce(arguments.reduce)
        .append_reduce(arguments.append_reduce)
        .levels_max(arguments.levels);
    let mut engine = EngineConfig {
        target_batch_bytes: TARGET_BATCH_BYTES,
        backpressure_bytes: Some(BACKPRESSURE_BYTES),
        threads_max: arguments.threads,
        ..EngineConfig::default()
    };
    let budget_bytes = arguments.memory_bytes.unwrap_or(MEMORY_BYTES);
    if arguments.chunk.is_none() && arguments.shard.is_none() {
        let described = description.dimensions(dimensions.clone()).build()?;
        let request = request(&dimensions, budget_bytes, page_bytes);
        let advice = advise(&described, &engine, &request).map_err(crate::error::Error::from)?;
        engine.epochs_per_batch = Some(advice.epochs_per_batch);
        let mut advised = advice.config.dimensions().to_vec();
        limit_shard(&mut advised, input);
        let config = advice.config.to_builder().dimensions(advised).build()?;
        return fit(Plan { config, engine }, budget_bytes, page_bytes);
    }
    let config = description.dimensions(sized(arguments, input, dimensions)?).build()?;
    fit(Plan { config, engine }, budget_bytes, page_bytes)
}

/// Takes no more epochs to a batch than will come, and halves it until everything fits the budget.
fn fit(mut plan: Plan, budget_bytes: u64, page_bytes: usize) -> Result<Plan, ProgramError> {
    let geometry = ArrayGeometry::new(&plan.config, 1)?;
    let to_come = geometry.input_limit_elements.map(|limit| limit.div_ceil(geometry.epoch_input_elements));
    loop {
        let estimate = memory_estimate(&plan.config, &plan.engine, page_bytes)?;
        if let Some(to_come) = to_come.filter(|to_come| u64::from(estimate.epochs_per_batch) > *to_come) {
            plan.engine.epochs_per_batch = Some(to_come as u32);
            continue;
        }
        if estimate.total_bytes() <= budget_bytes {
            plan.engine.memory_budget_bytes = Some(budget_bytes);
            return Ok(plan);
        }
        if estimate.epochs_per_batch == 1 {
            return Err(estimate.exceeds(budget_bytes).into());
        }
        plan.engine.epochs_per_batch = Some(estimate.epochs_per_batch / 2);
    }
}

/// One frame per chunk along the first of several dimensions, channels apart, the rest shared evenly.
fn request(dimensions: &[Dimension], budget_bytes: u64, page_bytes: usize) -> AdviceRequest {
    let mut request = AdviceRequest { page_bytes, ..AdviceRequest::new(dimensions.len(), budget_bytes) };
    for (ratio, dimension) in request.ratios.iter_mut().zip(dimensions) {
        if dimension.kind == crate::config::AxisKind::Channel {
            *ratio = DimensionRatio::One;
        }
    }
    if request.ratios.iter().all(|ratio| *ratio == DimensionRatio::One) {
        let last = request.ratios.len() - 1;
        request.ratios[last] = DimensionRatio::Weight(1);
    }
    request
}

/// The dimensions with their names, steps and flags, not yet with chunks.
fn dimensions(arguments: &Arguments, input: &Input) -> Result<Vec<Dimension>, ProgramError> {
    let rank = input.shape.len();
    let names = match &arguments.dimensions {
        Some(names) => names.clone(),
        None => default_names(rank),
    };
    let count = |option: &str, count: usize| match count == rank {
        true => Ok(()),
        false => Err(ProgramError::Usage(format!("{option} has {count} parts, the array has {rank} dimensions"))),
    };
    count("--dimensions", names.len())?;
    count("--scale", arguments.scale.as_ref().map_or(rank, Vec::len))?;
    count("--unit", arguments.unit.as_ref().map_or(rank, Vec::len))?;
    if let Some(unknown) = arguments.downsample.iter().find(|name| !names.contains(name)) {
        let message = format!("--downsample {unknown:?} is no dimension; there are {}", names.join(","));
        return Err(ProgramError::Usage(message));
    }
    if rank < 2 && (arguments.pyramid || !arguments.downsample.is_empty()) {
        return Err(ProgramError::Usage("a pyramid needs a dimension to append along and one to halve".into()));
    }
    let dimensions = input.shape.iter().zip(names).enumerate().map(|(index, (&size, name))| {
        let halved =
            arguments.pyramid && index > 0 && crate::config::AxisKind::of_name(&name) == crate::config::AxisKind::Space;
        let downsample = halved || arguments.downsample.contains(&name);
        let mut dimension = if size == 0 { Dimension::unbounded(name) } else { Dimension::bounded(name, size) };
        dimension.downsample = downsample;
        dimension.scale = arguments.scale.as_ref().map_or(1.0, |scale| scale[index]);
        dimension.unit = arguments.unit.as_ref().map(|unit| unit[index].clone()).filter(|unit| !unit.is_empty());
        dimension
    });
    let dimensions: Vec<Dimension> = dimensions.collect();
    if rank == 2 && arguments.pyramid && input.shape[0] > 1 {
        let message =
            format!("a single image is appended along its rows, so --pyramid halves only {:?}", dimensions[1].name);
        return Err(ProgramError::Usage(format!(
            "{message}; give it as one frame with --shape 1,{},{}",
            input.shape[0], input.shape[1]
        )));
    }
    Ok(dimensions)
}

fn default_names(rank: usize) -> Vec<String> {
    let names: &[&str] = match rank {
        1 => &["x"],
        2 => &["y", "x"],
        3 => &["t", "y", "x"],
        4 => &["t", "z", "y", "x"],
        5 => &["t", "c", "z", "y", "x"],
        _ => return (0..rank).map(|index| format!("d{index}")).collect(),
    };
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Keeps shards along the first dimension to [`SHARD_BYTES_MAX`]: a shard is shown to readers only when it is complete.
fn limit_shard(dimensions: &mut [Dimension], input: &Input) {
    let element_bytes = input.dtype.size_bytes() as u64;
    let row = dimensions.iter().enumerate().fold(element_bytes, |bytes, (index, dimension)| {
        let all = dimension.size.div_ceil(dimension.chunk.max(1)).max(1);
        let chunks = match (index, dimension.chunks_per_shard) {
            (0, _) => 1,
            (_, 0) => all,
            (_, chunks) => chunks.min(all),
        };
        bytes.saturating_mul(dimension.chunk).saturating_mul(chunks)
    });
    let first = &mut dimensions[0];
    let fits = (SHARD_BYTES_MAX / row.max(1)).max(1);
    first.chunks_per_shard = match first.chunks_per_shard {
        0 => fits.min(first.size.div_ceil(first.chunk.max(1)).max(1)),
        chunks => chunks.min(fits),
    };
}

/// Sets the chunks and shards that were given; a shard without chunks is one chunk, and chunks without a shard get shards of whole frames.
fn sized(arguments: &Arguments, input: &Input, mut dimensions: Vec<Dimension>) -> Result<Vec<Dimension>, ProgramError> {
    let rank = dimensions.len();
    let chunk = arguments.chunk.clone().or_else(|| arguments.shard.clone()).expect("one of the two was given");
    let shard = arguments.shard.as_ref();
    for (option, list) in [("--chunk", Some(&chunk)), ("--shard", shard)] {
        if let Some(list) = list.filter(|list| list.len() != rank) {
            return Err(ProgramError::Usage(format!(
                "{option} has {} extents, the array has {rank} dimensions",
                list.len()
            )));
        }
    }
    for (index, dimension) in dimensions.iter_mut().enumerate() {
        dimension.chunk = chunk[index];
        if let Some(shard) = shard.filter(|_| chunk[index] > 0) {
            if shard[index] == 0 || !shard[index].is_multiple_of(chunk[index]) {
                return Err(ProgramError::Usage(format!(
                    "--shard {} along {} is no multiple of --chunk {}; the next one is {}",
                    shard[index],
                    dimension.name,
                    chunk[index],
                    shard[index].max(1).next_multiple_of(chunk[index])
                )));
            }
            dimension.chunks_per_shard = shard[index] / chunk[index];
        } else {
            dimension.chunks_per_shard = u64::from(index == 0);
        }
    }
    if shard.is_none() && chunk.iter().all(|extent| *extent > 0) {
        let counts = dimensions[1..].iter().map(|dimension| dimension.size.div_ceil(dimension.chunk).max(1));
        let parts = counts.fold(1u64, u64::saturating_mul);
        for dimension in &mut dimensions[1..] {
            dimension.chunks_per_shard = 0;
        }
        dimensions[0].chunks_per_shard = (crate::geometry::PARTS_PER_SHARD_MAX / parts).max(1);
        limit_shard(&mut dimensions, input);
    }
    Ok(dimensions)
}
