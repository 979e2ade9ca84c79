//! The worked vectors of the layout, each computed by hand.

use super::{ArrayGeometry, BatchLayout, BatchTables, active_epochs_max, emits_at, epochs_per_batch};
use crate::config::{
    ArrayBuilder, ArrayConfig, BloscCompressor, BloscShuffle, CodecConfig, Dimension, EngineConfig, ReduceMethod,
};
use crate::dtype::DataType;
use crate::error::Error;
use crate::shard::ShardIndex;
use crate::sink::{MemorySink, Sink};
use crate::testing::PlainWriter;

/// A u16 array of 4×4×6 with chunks of 2×2×3.
fn small() -> ArrayConfig {
    let dims = [("t", 4, 2), ("y", 4, 2), ("x", 6, 3)];
    ArrayConfig::builder(DataType::U16)
        .dimensions(dims.map(|(name, size, chunk)| Dimension::bounded(name, size).chunk(chunk)).into())
        .build()
        .unwrap()
}

fn destinations(geometry: &ArrayGeometry, count: u64) -> Vec<u64> {
    (0..count).map(|index| geometry.levels[0].scatter.destination(index)).collect()
}

/// Claims FLUSH-008.
#[test]
fn the_layout_reports_counts_strides_and_append_dimensions() {
    let geometry = ArrayGeometry::new(&small(), 1).unwrap();
    let level = &geometry.levels[0];
    assert_eq!(level.chunk_counts, [2, 2, 2]);
    assert_eq!(geometry.append_dimensions, 1);
    assert_eq!(level.chunk_elements, 12);
    assert_eq!(level.epoch_elements(), 48);
    assert_eq!(level.chunks_per_epoch, 4);
    assert_eq!(level.chunk_stride, 12);

    let append = |chunks: &[u64], downsampled: Option<usize>| {
        let dimensions = chunks.iter().enumerate().map(|(index, &chunk)| {
            let dimension = Dimension::bounded(format!("d{index}"), 8).chunk(chunk);
            if downsampled == Some(index) || (downsampled.is_some() && index == chunks.len() - 1) {
                dimension.downsample()
            } else {
                dimension
            }
        });
        let config = ArrayConfig::builder(DataType::U16).dimensions(dimensions.collect()).build().unwrap();
        ArrayGeometry::new(&config, 1).unwrap().append_dimensions
    };
    assert_eq!(append(&[1, 1, 1, 4], None), 3);
    assert_eq!(append(&[1, 1, 1, 4], Some(1)), 2);
    assert_eq!(append(&[2, 1, 1, 4], None), 1);
    assert_eq!(append(&[4, 4], None), 1);
}

/// Claims FLUSH-015, with the files in the writer's tests: the index map, in both widths and for every element size.
#[test]
fn identity_storage_order_scatters_to_the_worked_places() {
    let geometry = ArrayGeometry::new(&small(), 1).unwrap();
    let scatter = &geometry.levels[0].scatter;
    assert_eq!(scatter.chunk_strides(), [0, 24, 12]);
    assert_eq!(scatter.within_strides(), [6, 3, 1]);
    assert_eq!(destinations(&geometry, 12), [0, 1, 2, 12, 13, 14, 3, 4, 5, 15, 16, 17]);
    assert_eq!(scatter.destination(47), 47);
    assert_eq!(geometry.epoch_input_elements, 48);
    assert!(scatter.fits_u32());
    for index in 0..48 {
        assert_eq!(u64::from(scatter.destination_u32(index)), scatter.destination(u64::from(index)));
    }
    for size in [1, 2, 4, 8] {
        let image: Vec<u8> = (0..48).flat_map(|value| [value; 8][..size].to_vec()).collect();
        let mut pool = vec![0xFF; 48 * size];
        scatter.scatter(0, &image, &mut pool, size);
        let at = |place: usize| pool[place * size..][..size].to_vec();
        for (value, place) in [0, 1, 2, 12, 13, 14, 3, 4, 5, 15, 16, 17].into_iter().enumerate() {
            assert_eq!(at(place), vec![value as u8; size]);
        }
        assert_eq!(at(47), vec![47; size]);
    }
}

/// Claims FLUSH-016, with the files in the writer's tests: the index map.
#[test]
fn a_permuted_storage_order_scatters_to_the_worked_places() {
    let config = small().to_builder().storage_order(["t", "x", "y"]).build().unwrap();
    let geometry = ArrayGeometry::new(&config, 1).unwrap();
    let scatter = &geometry.levels[0].scatter;
    assert_eq!(scatter.chunk_strides(), [0, 12, 24]);
    assert_eq!(scatter.within_strides(), [6, 1, 2]);
    assert_eq!(destinations(&geometry, 12), [0, 2, 4, 24, 26, 28, 1, 3, 5, 25, 27, 29]);
    assert_eq!(scatter.destination(47), 47);
}

/// Claims FLUSH-012.
#[test]
fn shards_are_counted_clamped_and_named() {
    let along = |per_shard| {
        let config = ArrayConfig::builder(DataType::U8)
            .dimension(Dimension::bounded("t", 1))
            .dimension(Dimension::bounded("x", 10).chunk(4).chunks_per_shard(per_shard))
            .build()
            .unwrap();
        let level = ArrayGeometry::new(&config, 1).unwrap().levels.remove(0);
        (level.chunk_counts[1], level.shard_counts[1], level.chunks_per_shard[1])
    };
    assert_eq!(along(2), (3, 2, 2));
    assert_eq!(along(0), (3, 1, 3));
    assert_eq!(along(9), (3, 1, 3));
    let config = ArrayConfig::builder(DataType::U8)
        .dimension(Dimension::unbounded("t"))
        .dimension(Dimension::bounded("y", 8).chunk(2).chunks_per_shard(2))
        .dimension(Dimension::bounded("x", 8).chunk(2).chunks_per_shard(2))
        .build()
        .unwrap();
    let level = &ArrayGeometry::new(&config, 1).unwrap().levels[0];
    assert_eq!(level.shard_counts[1..], [2, 2]);
    assert_eq!([7, 11, 14].map(|flat| level.shard_key(flat)), ["c/1/1/1", "c/2/1/1", "c/3/1/0"]);
}

/// Claims FLUSH-013.
#[test]
fn a_batch_reaches_its_target_within_its_limits() {
    const MIB: u64 = 1 << 20;
    let target = EngineConfig::default().target_batch_bytes;
    assert_eq!(target, 512 * MIB);
    assert_eq!(epochs_per_batch(Some(3), target, 2 * MIB), 3);
    for (epoch_bytes, epochs) in [(2 * MIB, 256), (1024 * MIB, 1), (300 * MIB, 2), (1024, 65_536)] {
        assert_eq!(epochs_per_batch(None, target, epoch_bytes), epochs, "{epoch_bytes} B");
    }
    // 5×5 in chunks of 4×4 is four chunks of 32 B; the 3×3 of level 1 is one more.
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t"))
        .dimension(Dimension::bounded("y", 5).chunk(4).downsample())
        .dimension(Dimension::bounded("x", 5).chunk(4).downsample())
        .build()
        .unwrap();
    assert_eq!(ArrayGeometry::new(&config, 1).unwrap().epoch_pool_bytes(), 5 * 32);
}

/// Claims FLUSH-011 (the staging size is the engine's; every refusal comes from `build` or `validate`, before anything exists).
#[test]
fn impossible_descriptions_are_refused_by_field() {
    let refused = |builder: ArrayBuilder, wanted: &str| match builder.build() {
        Err(Error::InvalidConfig { field, reason }) => assert_eq!(field, wanted, "{reason}"),
        other => panic!("{wanted}: {other:?}"),
    };
    let of = |dimensions: Vec<Dimension>| ArrayConfig::builder(DataType::U16).dimensions(dimensions);
    let named = |count: usize| (0..count).map(|index| Dimension::bounded(format!("d{index}"), 2)).collect::<Vec<_>>();
    let pair = |second: Dimension| of(vec![Dimension::unbounded("t"), second]);
    refused(of(vec![]), "dimensions");
    refused(of(named(33)), "dimensions");
    of(named(32)).build().unwrap();
    refused(pair(Dimension::bounded("x", 4).chunk(0)), "dimensions[1].chunk");
    refused(pair(Dimension::bounded("x", 0).chunk(1)), "dimensions[1].size");
    refused(
        of(vec![Dimension::unbounded("t").chunks_per_shard(0), Dimension::bounded("x", 4)]),
        "dimensions[0].chunks_per_shard",
    );
    refused(of(named(3)).storage_positions([0, 1, 1]), "storage_positions");
    refused(of(named(3)).storage_positions([0, 1]), "storage_positions");
    refused(of(named(3)).storage_positions([1, 0, 2]), "storage_positions");
    refused(of(named(3)).storage_order(["d0", "d2", "d3"]), "storage_order");
    let coded = |codec| pair(Dimension::bounded("x", 4)).codec(codec);
    refused(coded(CodecConfig::Lz4 { level: 0 }), "codec.level");
    let blosc = |level| CodecConfig::Blosc { compressor: BloscCompressor::Lz4, level, shuffle: BloscShuffle::None };
    refused(coded(blosc(10)), "codec.level");
    coded(blosc(9)).build().unwrap();
    refused(coded(CodecConfig::Zstd { level: 23 }), "codec.level");
    refused(pair(Dimension::bounded("x", 4)).levels_max(33), "levels_max");
    // 65536 × 65536 chunks of one row each: one more than a 32-bit count holds.
    let wide = |size| {
        of(vec![
            Dimension::bounded("t", 2).chunk(2),
            Dimension::bounded("y", size).chunk(1),
            Dimension::bounded("x", 65_536).chunk(1),
        ])
    };
    refused(wide(65_536), "dimensions");
    wide(65_535).build().unwrap();
    let channels = Dimension::bounded("c", 3).chunk(1);
    let three = |channels| of(vec![Dimension::unbounded("t"), channels, Dimension::bounded("x", 8).chunk(4)]);
    refused(three(channels.clone().chunks_per_shard(2)), "dimensions[1].chunks_per_shard");
    three(channels.clone().chunks_per_shard(3)).build().unwrap();
    three(channels).build().unwrap();
    refused(of(vec![Dimension::bounded("t", u64::MAX).chunk(1), Dimension::bounded("x", 16)]), "dimensions");
    refused(pair(Dimension::bounded("t", 4)), "dimensions[1].name");
    refused(pair(Dimension::bounded("x", 4)).name("a//b"), "name");
    refused(pair(Dimension::bounded("x", 4)).name("a/.."), "name");
    let staging = EngineConfig::default().staging_bytes(0).validate();
    assert!(matches!(staging, Err(Error::InvalidConfig { field, .. }) if field == "staging_bytes"));
}

/// Part of FLUSH-052: what cannot be folded is refused; what can, emits at every 2^l-th epoch.
#[test]
fn folds_that_cannot_work_are_refused() {
    let build = |method, inner: Dimension| {
        ArrayConfig::builder(DataType::U16)
            .dimension(Dimension::unbounded("t").downsample())
            .dimension(inner)
            .append_reduce(method)
            .build()
    };
    let halved = || Dimension::bounded("x", 64).chunk(16).downsample();
    for method in ReduceMethod::ALL {
        assert_eq!(build(method, halved()).is_ok(), method.folds(), "{method}");
    }
    let alone = build(ReduceMethod::Mean, Dimension::bounded("x", 64).chunk(16)).unwrap_err().to_string();
    assert!(alone.contains("dimensions[0].downsample"), "{alone}");
    let emitted: Vec<u64> = (0..8).filter(|&epoch| emits_at(4, epoch)).collect();
    assert_eq!(emitted, [3, 7]);
    assert_eq!(active_epochs_max(2, 3), 2);
    // A folded inner append dimension starts anew in each round, so its size must be a whole number of folds.
    let rounds = |size| {
        ArrayConfig::builder(DataType::U16)
            .dimension(Dimension::unbounded("t"))
            .dimension(Dimension::bounded("c", size).chunk(1).downsample())
            .dimension(halved())
            .build()
    };
    assert!(rounds(4).is_ok() && rounds(6).unwrap_err().to_string().contains("levels_max"));
}

/// Claims FLUSH-041.
#[test]
fn level_shapes_are_true() {
    let shapes = |y: (u64, u64), x: (u64, u64), z: Option<(u64, u64)>| {
        let mut builder = ArrayConfig::builder(DataType::U16).dimension(Dimension::unbounded("t"));
        for (name, (size, chunk)) in z.map(|z| ("z", z)).into_iter().chain([("y", y), ("x", x)]) {
            builder = builder.dimension(Dimension::bounded(name, size).chunk(chunk).downsample());
        }
        let geometry = ArrayGeometry::new(&builder.build().unwrap(), 1).unwrap();
        geometry.levels.iter().map(|level| level.shape[1..].to_vec()).collect::<Vec<_>>()
    };
    let square = (2048, 256);
    assert_eq!(shapes(square, (2304, 256), None), [[2048, 2304], [1024, 1152], [512, 576], [256, 288], [256, 144]]);
    assert_eq!(shapes((1000, 64), (64, 64), None), [[1000, 64], [500, 64], [250, 64], [125, 64], [63, 64]]);
    assert_eq!(shapes((256, 64), (256, 64), Some((256, 64))), [[256; 3], [128; 3], [64; 3]]);
}

/// Claims FLUSH-026 and FLUSH-027 (the positions; the empty entry of an edge shard is in the shard's tests and here by its absence).
#[test]
fn a_batch_is_shard_major_then_epoch_major_with_a_sentinel_per_level() {
    let config = ArrayConfig::builder(DataType::U8)
        .dimension(Dimension::unbounded("t").chunks_per_shard(4))
        .dimension(Dimension::bounded("y", 4).chunk(2).chunks_per_shard(1))
        .dimension(Dimension::bounded("x", 4).chunk(2).chunks_per_shard(2))
        .build()
        .unwrap();
    let geometry = ArrayGeometry::new(&config, 1).unwrap();
    let tables = |geometry: &ArrayGeometry, masks: &[u32]| {
        let mut layout = BatchLayout::new(geometry, masks.len() as u32, 4, 0);
        layout.fill(geometry, masks);
        let chunks = layout.chunks() as usize;
        let (mut gather, mut permutation) = (vec![0; chunks], vec![0; chunks]);
        layout.write_tables(geometry, &mut BatchTables { gather: &mut gather, permutation: &mut permutation });
        (layout, gather, permutation)
    };
    let (_, gather, permutation) = tables(&geometry, &[1, 1]);
    assert_eq!(gather, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(permutation, [0, 1, 4, 5, 2, 3, 6, 7]);

    let edge = ArrayConfig::builder(DataType::U8)
        .dimension(Dimension::unbounded("t"))
        .dimension(Dimension::bounded("x", 6).chunk(2).chunks_per_shard(2))
        .build()
        .unwrap();
    let edge_geometry = ArrayGeometry::new(&edge, 1).unwrap();
    assert_eq!(edge_geometry.levels[0].covering_count, 4);
    let (layout, _, permutation) = tables(&edge_geometry, &[1]);
    assert_eq!((permutation.as_slice(), layout.entries()), (&[0, 1, 2][..], 5));
    let sink = MemorySink::new();
    PlainWriter::write(&edge, 1, &sink, &[1; 6]);
    let shard = sink.get("c/0/1").unwrap().unwrap();
    assert_eq!(ShardIndex::parse(&shard, 2).unwrap(), [Some((0, 2)), None]);

    let levels = ArrayConfig::builder(DataType::U8)
        .dimension(Dimension::unbounded("t").chunks_per_shard(4))
        .dimension(Dimension::bounded("y", 4).chunk(2).downsample())
        .dimension(Dimension::bounded("x", 4).chunk(2).downsample())
        .build()
        .unwrap();
    let geometry = ArrayGeometry::new(&levels, 1).unwrap();
    let (layout, gather, permutation) = tables(&geometry, &[0b11, 0b11]);
    assert_eq!((layout.levels[0].entries, layout.levels[1].first_entry), (8, 9));
    assert_eq!(permutation, [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]);
    assert_eq!(gather, [0, 1, 2, 3, 5, 6, 7, 8, 4, 9]);
    // The running sum of the sizes stands at entry 8 for level 0's end, where level 1 begins.
    let mut sizes = vec![0u64; layout.entries() as usize];
    for &entry in &permutation {
        sizes[entry as usize] = 10;
    }
    let offsets: Vec<u64> = sizes.iter().scan(0, |sum, size| Some(std::mem::replace(sum, *sum + size))).collect();
    assert_eq!((offsets[8], offsets[9]), (80, 80));
}

/// Claims FLUSH-028, with the carry in the writer's tests: the capacity.
#[test]
fn a_shard_region_holds_the_worst_batch_behind_a_tail() {
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").chunks_per_shard(8))
        .dimension(Dimension::bounded("y", 144).chunk(72))
        .dimension(Dimension::bounded("x", 40).chunk(40))
        .build()
        .unwrap();
    let geometry = ArrayGeometry::new(&config, 1).unwrap();
    let layout = BatchLayout::new(&geometry, 2, 5760, 4096);
    assert_eq!(layout.shard_capacities, [28_672]);
    assert_eq!(BatchLayout::new(&geometry, 2, 5760, 0).shard_capacities, [0]);
}

/// The map of a whole image, by its definition: split every coordinate, add the strides.
#[test]
fn runs_and_blocks_agree_with_the_index_map() {
    let orders: [&[&str]; 4] =
        [&["t", "y", "x", "c"], &["t", "c", "y", "x"], &["t", "x", "c", "y"], &["t", "c", "x", "y"]];
    for order in orders {
        for (t, y, x, c) in
            [((3, 2), (5, 2), (7, 3), (3, 1)), ((1, 1), (4, 4), (9, 2), (2, 2)), ((2, 2), (1, 1), (5, 5), (4, 3))]
        {
            let dimensions = [("t", t), ("y", y), ("x", x), ("c", c)];
            let config = ArrayConfig::builder(DataType::U16)
                .dimensions(dimensions.map(|(name, (size, chunk))| Dimension::bounded(name, size).chunk(chunk)).into())
                .storage_order(order.iter().copied())
                .build()
                .unwrap();
            let geometry = ArrayGeometry::new(&config, 1).unwrap();
            let scatter = &geometry.levels[0].scatter;
            let elements = scatter.image_elements();
            for size in [1, 2, 4, 8] {
                let image: Vec<u8> = (0..elements as usize * size).map(|index| (index * 31 % 251 + 1) as u8).collect();
                let mut expected = vec![0; scatter.region_elements() as usize * size];
                for index in 0..elements as usize {
                    let to = scatter.destination(index as u64) as usize;
                    expected[to * size..][..size].copy_from_slice(&image[index * size..][..size]);
                }
                for step in [1, 3, 17, elements] {
                    let mut pool = vec![0; expected.len()];
                    for first in (0..elements).step_by(step as usize) {
                        let last = (first + step).min(elements);
                        let part = &image[first as usize * size..last as usize * size];
                        scatter.scatter(first, part, &mut pool, size);
                    }
                    assert!(pool == expected, "{order:?} {dimensions:?} size {size} step {step}");
                }
            }
        }
    }
}
