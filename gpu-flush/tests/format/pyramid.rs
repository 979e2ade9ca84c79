//! The levels of a store against values that follow from the definition of each method.

use std::sync::Arc;

use prewire_gpu_flush::sink::MemorySink;
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, ReduceMethod};

use crate::support::{Objects, as_words, chunk, create, dimension, document, engine, read, stored, words};

/// t unbounded, y and x halved; `fold` halves t too.
fn frames(
    dtype: DataType,
    append_chunk: u64,
    size: [u64; 2],
    chunk: u64,
    fold: bool,
    method: ReduceMethod,
) -> ArrayConfig {
    let mut time = Dimension::unbounded("t").chunk(append_chunk).chunks_per_shard(4);
    if fold {
        time = time.downsample();
    }
    ArrayConfig::builder(dtype)
        .dimension(time)
        .dimension(dimension("y", size[0], chunk).downsample())
        .dimension(dimension("x", size[1], chunk).downsample())
        .reduce(method)
        .build()
        .unwrap()
}

/// The little-endian bytes of 100 in any data type.
fn hundred(dtype: DataType) -> Vec<u8> {
    match dtype {
        DataType::F16 => half::f16::from_f32(100.0).to_le_bytes().to_vec(),
        DataType::F32 => 100f32.to_le_bytes().to_vec(),
        DataType::F64 => 100f64.to_le_bytes().to_vec(),
        _ => 100u64.to_le_bytes()[..dtype.size_bytes()].to_vec(),
    }
}

fn levels(objects: &Objects) -> usize {
    (0..).take_while(|level| objects.contains_key(&format!("{level}/zarr.json"))).count()
}

/// Claims FLUSH-042 (on the CPU, the only device there is).
#[test]
fn a_constant_image_is_constant_at_every_level() {
    for dtype in DataType::ALL {
        for method in ReduceMethod::ALL {
            for (size, fold) in [([1000, 64], true), ([288, 288], false)] {
                let config = frames(dtype, 1, size, 64, fold, method);
                let count = 3 * size[0] * size[1];
                let objects = stored(&config, 2, &hundred(dtype).repeat(count as usize));
                assert_eq!(levels(&objects), if size[0] == 1000 { 5 } else { 4 });
                for level in 0..levels(&objects) {
                    let array = read(&objects, &level.to_string());
                    let append = if fold { 3u64.div_ceil(1 << level) } else { 3 };
                    assert_eq!(array.shape[0], append);
                    let expected = hundred(dtype).repeat(array.shape.iter().product::<u64>() as usize);
                    assert!(array.bytes == expected, "{dtype} {method} fold {fold} level {level}");
                }
            }
        }
    }
    // The other pairing of size and fold, for one type of each kind.
    for dtype in [DataType::U16, DataType::F32] {
        for (size, fold) in [([1000, 64], false), ([288, 288], true)] {
            let objects = stored(
                &frames(dtype, 1, size, 64, fold, ReduceMethod::Mean),
                2,
                &hundred(dtype).repeat((3 * size[0] * size[1]) as usize),
            );
            for level in 0..levels(&objects) {
                let array = read(&objects, &level.to_string());
                assert!(array.bytes.chunks(dtype.size_bytes()).all(|element| element == hundred(dtype)));
            }
        }
    }
}

/// Frames of constant values, and what level `level` shows of each frame, which must be constant too.
fn folded(config: &ArrayConfig, epochs: u32, values: &[u16]) -> Vec<Vec<u16>> {
    let frame: u64 = config.dimensions()[1..].iter().map(|dimension| dimension.size).product();
    let input = words(values.iter().flat_map(|&value| std::iter::repeat_n(value, frame as usize)));
    let objects = stored(config, epochs, &input);
    (0..levels(&objects))
        .map(|level| {
            let array = read(&objects, &level.to_string());
            let frame: u64 = array.shape[1..].iter().product();
            let elements = as_words(&array.bytes);
            let frames = elements.chunks(frame as usize);
            frames
                .map(|frame| {
                    assert!(frame.iter().all(|value| *value == frame[0]), "level {level}");
                    frame[0]
                })
                .collect()
        })
        .collect()
}

fn folding(method: ReduceMethod, append_chunk: u64) -> ArrayConfig {
    frames(DataType::U16, append_chunk, [128, 128], 16, true, ReduceMethod::Mean)
        .to_builder()
        .append_reduce(method)
        .build()
        .unwrap()
}

/// Claims FLUSH-043.
#[test]
fn a_constant_stays_constant_under_the_append_fold() {
    let config = folding(ReduceMethod::Mean, 1);
    for epochs in [1, 3, 8] {
        let shown = folded(&config, epochs, &[100; 8]);
        assert_eq!(shown, [vec![100; 8], vec![100; 4], vec![100; 2], vec![100; 1]]);
        assert_eq!(folded(&config, epochs, &[10, 20, 30, 40])[2], [25]);
    }
}

/// Claims FLUSH-044.
#[test]
fn frames_of_their_own_time_fold_to_the_known_values() {
    let time: Vec<u16> = (0..8).collect();
    for epochs in [1, 2, 3, 8] {
        let mean = folded(&folding(ReduceMethod::Mean, 1), epochs, &time);
        assert_eq!(mean[1..], [vec![0, 2, 4, 6], vec![1, 5], vec![3]]);
        let partial = folded(&folding(ReduceMethod::Mean, 1), epochs, &time[..7]);
        assert_eq!(partial[1..], [vec![0, 2, 4, 6], vec![1, 5], vec![3]]);
        let least = folded(&folding(ReduceMethod::Min, 1), epochs, &time);
        assert_eq!(least[1..], [vec![0, 2, 4, 6], vec![0, 4], vec![0]]);
        let most = folded(&folding(ReduceMethod::Max, 1), epochs, &time);
        assert_eq!(most[1..], [vec![1, 3, 5, 7], vec![3, 7], vec![7]]);
    }
}

/// Claims FLUSH-048.
#[test]
fn one_hot_and_border_windows() {
    for (method, values) in [(ReduceMethod::Max, [255, 255, 255]), (ReduceMethod::Mean, [63, 15, 3])] {
        let config = frames(DataType::U8, 1, [64, 64], 8, false, method);
        let mut image = vec![0; 64 * 64];
        image[37 * 64 + 22] = 255;
        let objects = stored(&config, 1, &image);
        for (level, ((y, x), value)) in [(18, 11), (9, 5), (4, 2)].into_iter().zip(values).enumerate() {
            let array = read(&objects, &(level + 1).to_string());
            let side = 32 >> level;
            assert_eq!(array.shape, [1, side, side]);
            let mut expected = vec![0; (side * side) as usize];
            expected[y * side as usize + x] = value;
            assert_eq!(array.bytes, expected, "{method} level {}", level + 1);
        }
    }
    let objects =
        stored(&frames(DataType::U8, 1, [3, 5], 2, false, ReduceMethod::Mean), 1, &(0..15).collect::<Vec<_>>());
    let level = read(&objects, "1");
    assert_eq!((level.shape.as_slice(), level.bytes), (&[1, 2, 3][..], vec![3, 5, 6, 10, 12, 14]));
}

/// Claims FLUSH-049 on the CPU, the only device there is: the direct and the multiscale path agree.
#[test]
fn level_zero_is_the_array_without_levels() {
    let input = words(0..210);
    let with = frames(DataType::U16, 1, [5, 7], 2, false, ReduceMethod::Mean);
    let mut dimensions = with.dimensions().to_vec();
    dimensions[2].chunk = 3;
    let with = with.to_builder().dimensions(dimensions.clone()).build().unwrap();
    for dimension in &mut dimensions {
        dimension.downsample = false;
    }
    let without = with.to_builder().dimensions(dimensions).build().unwrap();
    for epochs in [1, 2, 4] {
        let (lod, flat) = (stored(&with, epochs, &input), stored(&without, epochs, &input));
        assert!(levels(&lod) > 1);
        let shards: Vec<_> = flat.iter().filter(|(key, _)| key.starts_with("c/")).collect();
        assert!(!shards.is_empty());
        for (key, bytes) in &shards {
            assert!(lod[&format!("0/{key}")] == **bytes, "{key}, batches of {epochs}");
        }
        assert_eq!(lod.keys().filter(|key| key.starts_with("0/c/")).count(), shards.len());
        assert_eq!(read(&lod, "0").bytes, input);
    }
}

/// Claims FLUSH-050.
#[test]
fn long_append_chunks_keep_time_order() {
    let time: Vec<u16> = (0..8).collect();
    for epochs in [1, 2, 3] {
        let shown = folded(&folding(ReduceMethod::Mean, 4), epochs, &time);
        assert_eq!(shown[1], [0, 2, 4, 6]);
        assert_eq!(shown[2], [1, 5]);
        assert_eq!(shown[3], [3]);
        let ragged = folded(&folding(ReduceMethod::Mean, 3), epochs, &time[..7]);
        assert_eq!(ragged[1..], [vec![0, 2, 4, 6], vec![1, 5], vec![3]]);
    }
}

/// Claims FLUSH-051.
#[test]
fn a_partial_epoch_starts_from_zeros() {
    let config = frames(DataType::U16, 4, [64, 64], 16, false, ReduceMethod::Mean);
    let objects = stored(&config, 1, &words(std::iter::repeat_n(500, 5 * 64 * 64)));
    assert_eq!(levels(&objects), 3);
    for level in 0..3 {
        let path = level.to_string();
        let array = read(&objects, &path);
        assert_eq!(array.shape[0], 5);
        assert!(as_words(&array.bytes).iter().all(|&value| value == 500));
        let tiles = array.shape[1] / 16;
        for (y, x) in (0..tiles).flat_map(|y| (0..tiles).map(move |x| (y, x))) {
            let last = as_words(&chunk(&objects, &path, &[1, y, x]));
            assert!(last[..256].iter().all(|&value| value == 500), "level {level}");
            assert!(last[256..].iter().all(|&value| value == 0), "level {level}: values of an earlier epoch");
        }
    }
}

/// Claims FLUSH-052, with the refusals in the geometry's tests: no emission is dropped when the batch is no multiple of the period.
#[test]
fn every_folded_epoch_arrives() {
    let values: Vec<u16> = (0..6).map(|frame| frame * 10).collect();
    let shown = folded(&folding(ReduceMethod::Mean, 1), 3, &values);
    assert_eq!(shown[1], [5, 25, 45]);
    assert_eq!(shown[2], [15, 45]);
    assert_eq!(shown[3], [25]);
}

/// Claims FLUSH-029: level 2's epochs stand at local epochs 0, 1 and 2 of three batches of three.
#[test]
fn a_levels_place_in_the_batch_may_move() {
    let config = folding(ReduceMethod::Max, 1).to_builder().levels_max(3).build().unwrap();
    let values: Vec<u16> = (0..12).map(|frame| frame * 4).collect();
    let shown = folded(&config, 3, &values);
    assert_eq!(shown[2], [12, 28, 44]);
    assert_eq!(shown[1], [4, 12, 20, 28, 36, 44]);
    // The batches hold the epochs 0 to 2, 3 to 5, 6 to 8 and 9 to 11; level 2 delivers at 3, 7 and 11.
    let mut writer = create(&config, engine(3), Arc::new(MemorySink::new()));
    let frame = words(std::iter::repeat_n(7, 128 * 128));
    let mut uploads = Vec::new();
    for _ in 0..4 {
        for _ in 0..3 {
            assert!(writer.append(&frame).unwrap().rest.is_empty());
        }
        uploads.push(writer.metrics().table_uploads);
    }
    assert!(uploads.windows(2).all(|pair| pair[0] < pair[1]), "tables written by batch: {uploads:?}");
    writer.close().unwrap();
}

/// FLUSH-046 through a store: the windows of two rows, three different ones, twice in each direction.
#[test]
fn suppressed_extremes_of_a_store_go_by_rank() {
    for (method, expected) in [(ReduceMethod::MaxSuppressed, [3, 3, 9]), (ReduceMethod::MinSuppressed, [2, 2, 2])] {
        let config = frames(DataType::U16, 1, [4, 12], 2, false, method).to_builder().levels_max(2).build().unwrap();
        let rows = [[9, 1, 1, 9, 9, 9], [2, 3, 2, 3, 1, 2]];
        let input = words([0, 1, 0, 1].into_iter().flat_map(|row: usize| rows[row].repeat(2)));
        let level = read(&stored(&config, 1, &input), "1");
        assert_eq!(as_words(&level.bytes), expected.repeat(4), "{method}");
    }
}

#[test]
fn compressed_levels_and_two_append_dimensions_read_back() {
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").chunks_per_shard(2))
        .dimension(dimension("c", 2, 1))
        .dimension(dimension("y", 20, 8).downsample())
        .dimension(dimension("x", 24, 8).downsample())
        .codec(CodecConfig::Zstd { level: 1 })
        .build()
        .unwrap();
    let input = words((0..3 * 2 * 480u32).map(|value| value as u16));
    let objects = stored(&config, 3, &input);
    assert_eq!(read(&objects, "0").bytes, input);
    let level = read(&objects, "1");
    assert_eq!(level.shape, [3, 2, 10, 12]);
    let expected = (0..6u32)
        .flat_map(|frame| (0..10).flat_map(move |y| (0..12).map(move |x| (480 * frame + 48 * y + 2 * x + 12) as u16)));
    // A window of v, v+1, v+24, v+25 has the mean v + 12.5.
    assert_eq!(as_words(&level.bytes), expected.collect::<Vec<_>>());
    assert_eq!(
        document(&objects, "")["attributes"]["ome"]["multiscales"][0]["datasets"].as_array().unwrap().len(),
        levels(&objects)
    );
}
