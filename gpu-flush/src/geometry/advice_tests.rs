//! Advice under a budget: what it gives up first, what it never touches, and each reason to give none.

use super::{AdviceReason, AdviceRequest, ArrayGeometry, CodecBounds, DimensionRatio, advise, estimate_memory};
use crate::codec::Codec;
use crate::config::{ArrayConfig, CodecConfig, Dimension, EngineConfig};
use crate::dtype::DataType;
use crate::error::Error;

const MIB: u64 = 1 << 20;

fn array(dimensions: &[(&str, u64)]) -> ArrayConfig {
    let dimensions = dimensions.iter().map(|&(name, size)| match size {
        0 => Dimension::unbounded(name),
        _ => Dimension::bounded(name, size),
    });
    ArrayConfig::builder(DataType::U16)
        .dimensions(dimensions.collect())
        .codec(CodecConfig::Zstd { level: 1 })
        .build()
        .unwrap()
}

fn camera() -> (ArrayConfig, EngineConfig, AdviceRequest) {
    (array(&[("t", 0), ("y", 2048), ("x", 2304)]), EngineConfig::default(), AdviceRequest::new(3, 4096 * MIB))
}

fn chunks(config: &ArrayConfig) -> Vec<u64> {
    config.dimensions().iter().map(|dimension| dimension.chunk).collect()
}

#[test]
fn weights_share_the_powers_of_two() {
    let config = array(&[("t", 1000), ("z", 256), ("y", 256), ("x", 256), ("c", 3)]);
    let ratios = [1, 4, 4, 4].map(DimensionRatio::Weight).into_iter().chain([DimensionRatio::One]).collect();
    let request = AdviceRequest { ratios, ..AdviceRequest::new(5, 64 * 1024 * MIB) };
    let advice = advise(&config, &EngineConfig::default(), &request).unwrap();
    assert_eq!(chunks(&advice.config), [2, 64, 64, 64, 1]);
    let pinned = vec![DimensionRatio::Weight(1), DimensionRatio::Full, DimensionRatio::Full];
    let small = array(&[("t", 1 << 24), ("y", 16), ("x", 16)]);
    let request = AdviceRequest { ratios: pinned, ..AdviceRequest::new(3, 4096 * MIB) };
    assert_eq!(chunks(&advise(&small, &EngineConfig::default(), &request).unwrap().config), [2048, 16, 16]);
    let absorbing = AdviceRequest { ratios: vec![DimensionRatio::Full; 3], ..request };
    let unbounded = array(&[("t", 0), ("y", 16), ("x", 16)]);
    assert_eq!(chunks(&advise(&unbounded, &EngineConfig::default(), &absorbing).unwrap().config), [2048, 16, 16]);
}

/// Claims FLUSH-140.
#[test]
fn a_budget_takes_from_the_batch_before_the_chunk_and_never_a_users_batch() {
    let (config, engine, request) = camera();
    let full = advise(&config, &engine, &request).unwrap();
    let first_chunks = chunks(&full.config);
    let (mut epochs, mut chunk_bytes) = (full.epochs_per_batch, u64::MAX);
    for budget in (1..=80).rev().map(|step| step * 50 * MIB) {
        let Ok(advice) = advise(&config, &engine, &AdviceRequest { budget_bytes: budget, ..request.clone() }) else {
            break;
        };
        let geometry = ArrayGeometry::new(&advice.config, 1).unwrap();
        let bytes = geometry.chunk_bytes as u64;
        // A smaller chunk appears only when a batch of one epoch of the larger one did not fit.
        assert!(bytes < chunk_bytes || advice.epochs_per_batch <= epochs, "{budget} B");
        if bytes < chunk_bytes && chunk_bytes < u64::MAX {
            let tight = EngineConfig { epochs_per_batch: Some(1), ..engine.clone() };
            let kept =
                AdviceRequest { budget_bytes: budget, chunk_bytes_min: request.target_chunk_bytes, ..request.clone() };
            assert!(advise(&config, &tight, &kept).is_err(), "{budget} B");
        }
        (epochs, chunk_bytes) = (advice.epochs_per_batch, bytes);
        let codec = Codec::new(advice.config.codec(), geometry.chunk_bytes, 2);
        let bounds = CodecBounds { chunk_bytes_max: codec.chunk_bytes_max(), workspace_bytes: 0, passthrough: false };
        let fixed = EngineConfig { epochs_per_batch: Some(advice.epochs_per_batch), ..engine.clone() };
        let estimate =
            estimate_memory(&geometry, &fixed, advice.config.append_reduce(), bounds, request.page_bytes, true);
        assert_eq!(estimate, advice.estimate, "the estimate a creation would make");
        assert!(estimate.total_bytes() <= budget);
        assert!(geometry.levels[0].shard_chunks() <= 10_000);
    }
    assert_eq!(first_chunks, chunks(&full.config));
    // Half the memory, half the batch, the same chunk.
    let half = AdviceRequest { budget_bytes: full.estimate.total_bytes() * 6 / 10, ..request.clone() };
    let half = advise(&config, &engine, &half).unwrap();
    assert_eq!((chunks(&half.config), half.epochs_per_batch), (first_chunks, full.epochs_per_batch / 2));

    let user = EngineConfig { epochs_per_batch: Some(24), ..engine.clone() };
    let squeezed = AdviceRequest { budget_bytes: 2000 * MIB, ..request.clone() };
    match advise(&config, &user, &squeezed) {
        Ok(advice) => assert_eq!(advice.epochs_per_batch, 24),
        Err(failure) => assert_eq!(failure.last.unwrap().epochs_per_batch, 24),
    }

    let rounds = array(&[("t", 0), ("c", 5), ("y", 256), ("x", 256)]);
    let ratios = vec![DimensionRatio::One, DimensionRatio::One, DimensionRatio::Weight(1), DimensionRatio::Weight(1)];
    let advice = advise(&rounds, &engine, &AdviceRequest { ratios, ..request.clone() }).unwrap();
    let geometry = ArrayGeometry::new(&advice.config, 1).unwrap();
    assert_eq!((geometry.append_dimensions, geometry.levels[0].chunks_per_shard[1]), (2, 5));

    let wide = array(&[("t", 0), ("y", 65_536), ("x", 65_536)]);
    let many = AdviceRequest { target_chunk_bytes: 65_536, budget_bytes: u64::MAX, ..request.clone() };
    let advice = advise(&wide, &engine, &many).unwrap();
    let level = &ArrayGeometry::new(&advice.config, 1).unwrap().levels[0];
    assert!(level.shard_chunks() <= 10_000 && level.inner_shards > 1, "{level:?}");
    let bounded = array(&[("t", 100), ("y", 512), ("x", 512)]);
    let split = AdviceRequest { append_shards_min: 4, ..request.clone() };
    let advice = advise(&bounded, &engine, &split).unwrap();
    assert!(ArrayGeometry::new(&advice.config, 1).unwrap().levels[0].shard_counts[0] >= 4);
}

/// Part of FLUSH-140: each reason, with the last try where there was one.
#[test]
fn no_advice_comes_with_its_reason() {
    let (config, engine, request) = camera();
    let reason = |config: &ArrayConfig, request: &AdviceRequest| advise(config, &engine, request).unwrap_err();
    let failure = reason(&config, &AdviceRequest { budget_bytes: MIB, ..request.clone() });
    assert_eq!(failure.reason, AdviceReason::BudgetExceeded);
    let need = failure.last.as_ref().unwrap().estimate.total_bytes();
    assert!(need > MIB && failure.message.contains(&need.to_string()), "{failure}");
    assert!(
        matches!(Error::from(failure), Error::OutOfMemory { need_bytes, limit_bytes: MIB, .. } if need_bytes == need)
    );
    let failure = reason(&config, &AdviceRequest { shard_bytes_min: 1000, ..request.clone() });
    assert_eq!(failure.reason, AdviceReason::ShardBelowChunk);
    let pinned = AdviceRequest { ratios: vec![DimensionRatio::Full; 3], ..request.clone() };
    assert_eq!(reason(&config, &pinned).reason, AdviceReason::ChunkBudgetInfeasible);
    let short = AdviceRequest { ratios: vec![DimensionRatio::Full; 2], ..request.clone() };
    assert_eq!(reason(&config, &short).reason, AdviceReason::InvalidConfig);
    let parts = array(&[("t", 0), ("c", 10_001), ("x", 16)]);
    let ratios = vec![DimensionRatio::One, DimensionRatio::One, DimensionRatio::Full];
    assert_eq!(reason(&parts, &AdviceRequest { ratios, ..request }).reason, AdviceReason::PartsLimit);
}
