//! Where each element is found again.

use std::sync::Arc;

use prewire_gpu_flush::sink::MemorySink;
use prewire_gpu_flush::writer::Status;
use prewire_gpu_flush::{ArrayConfig, DataType};

use crate::support::{as_words, chunk, create, dimension, engine, read, stored, words, write};

fn three(sizes: [u64; 3], chunks: [u64; 3]) -> ArrayConfig {
    let names = ["t", "y", "x"];
    let dimensions = (0..3).map(|index| dimension(names[index], sizes[index], chunks[index])).collect();
    ArrayConfig::builder(DataType::U16).dimensions(dimensions).build().unwrap()
}

/// Claims FLUSH-009.
#[test]
fn unpadded_frames_are_padded_here() {
    let config = three([3, 5, 7], [1, 2, 3]);
    let input = words(0..105);
    for step in [210, 1 << 1, 26] {
        let sink = MemorySink::new();
        write(&config, engine(2), Arc::new(sink.clone()), &input, step);
        let objects = sink.objects();
        let at = |chunk_at: &[u64]| as_words(&chunk(&objects, "", chunk_at));
        assert_eq!(at(&[0, 0, 0]), [0, 1, 2, 7, 8, 9]);
        assert_eq!(at(&[0, 0, 2]), [6, 0, 0, 13, 0, 0]);
        assert_eq!(at(&[0, 2, 1]), [31, 32, 33, 0, 0, 0]);
        let array = read(&objects, "");
        assert_eq!((array.shape.as_slice(), array.bytes), (&[3, 5, 7][..], input.clone()));
    }
}

/// Claims FLUSH-010.
#[test]
fn a_bounded_array_ends_at_its_size_not_at_its_chunks() {
    let config = three([3, 4, 6], [2, 2, 3]);
    let input = words(0..96);
    let sink = MemorySink::new();
    let mut writer = create(&config, engine(1), Arc::new(sink.clone()));
    let appended = writer.append(&input).unwrap();
    assert_eq!((appended.status, appended.rest.len()), (Status::Finished, 2 * 24));
    assert_eq!(writer.cursor(), 72);
    writer.close().unwrap();
    let objects = sink.objects();
    let array = read(&objects, "");
    assert_eq!((array.shape.as_slice(), array.bytes), (&[3, 4, 6][..], words(0..72)));
    for (y, x) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let last = as_words(&chunk(&objects, "", &[1, y, x]));
        assert_eq!(last[6..], [0; 6], "chunk (1,{y},{x})");
        assert!(last[..6].iter().all(|&value| value >= 48));
    }
}

/// Claims FLUSH-014.
#[test]
fn one_dimension_list_gives_both_orders() {
    let sizes = [("t", 4, 1), ("z", 8, 4), ("c", 3, 1), ("y", 16, 8), ("x", 16, 8)];
    let config = ArrayConfig::builder(DataType::U16)
        .dimensions(sizes.map(|(name, size, chunk)| dimension(name, size, chunk)).into())
        .storage_order(["t", "c", "z", "y", "x"])
        .build()
        .unwrap();
    let input = words((0..4u32 * 8 * 3 * 256).map(|value| (value % 65_521) as u16));
    let array = read(&stored(&config, 2, &input), "");
    assert_eq!(array.shape, [4, 3, 8, 16, 16]);
    assert_eq!(array.document["dimension_names"], serde_json::json!(["t", "c", "z", "y", "x"]));
    let (from, to) = (as_words(&input), as_words(&array.bytes));
    let acquired = |t: usize, z: usize, c: usize, y: usize, x: usize| from[(((t * 8 + z) * 3 + c) * 16 + y) * 16 + x];
    let kept = |t: usize, c: usize, z: usize, y: usize, x: usize| to[(((t * 3 + c) * 8 + z) * 16 + y) * 16 + x];
    assert_eq!(acquired(1, 2, 1, 3, 4), kept(1, 1, 2, 3, 4));
    for (t, z, c) in (0..4).flat_map(|t| (0..8).flat_map(move |z| (0..3).map(move |c| (t, z, c)))) {
        for (y, x) in (0..16).flat_map(|y| (0..16).map(move |x| (y, x))) {
            assert_eq!(acquired(t, z, c, y, x), kept(t, c, z, y, x));
        }
    }
}

/// Claims FLUSH-015 and FLUSH-016, with the index map in the geometry's tests: the worked places as they stand in the file.
#[test]
fn the_worked_places_are_those_of_the_file() {
    let types = [DataType::U8, DataType::U16, DataType::U32, DataType::U64];
    let orders: [(&[&str], [u8; 12]); 2] = [
        (&["t", "y", "x"], [0, 1, 2, 6, 7, 8, 24, 25, 26, 30, 31, 32]),
        (&["t", "x", "y"], [0, 6, 1, 7, 2, 8, 24, 30, 25, 31, 26, 32]),
    ];
    for dtype in types {
        for (order, first_chunk) in orders {
            let config = three([4, 4, 6], [2, 2, 3]);
            let dimensions = config.dimensions().to_vec();
            let config = ArrayConfig::builder(dtype).dimensions(dimensions).storage_order(order.iter().copied());
            let config = config.build().unwrap();
            let size = dtype.size_bytes();
            let input: Vec<u8> = (0..96u64).flat_map(|value| value.to_le_bytes()[..size].to_vec()).collect();
            let stored = chunk(&stored(&config, 1, &input), "", &[0, 0, 0]);
            let values: Vec<u8> = stored.chunks(size).map(|element| element[0]).collect();
            assert_eq!(values, first_chunk, "{dtype} {order:?}");
        }
    }
}

/// Claims FLUSH-017: regions of 48 elements, and files that do not depend on how the elements came.
#[test]
fn one_slice_across_epochs_equals_single_elements() {
    let config = three([0, 4, 6], [2, 2, 3]);
    let input = words(0..120);
    let sinks: Vec<MemorySink> = [240, 2, 48 * 2, 7 * 2]
        .map(|step| (step, MemorySink::new()))
        .map(|(step, sink)| {
            let mut writer = create(&config, engine(4), Arc::new(sink.clone()));
            let geometry = writer.geometry();
            assert_eq!((geometry.epoch_input_elements, geometry.levels[0].scatter.region_elements()), (48, 48));
            assert_eq!(geometry.epoch_pool_bytes(), 96);
            // 24 elements first, then 96 that cover half of epoch 0, epoch 1 and half of epoch 2.
            for part in [&input[..48], &input[48..]] {
                for slice in part.chunks(step) {
                    assert!(writer.append(slice).unwrap().rest.is_empty());
                }
            }
            writer.close().unwrap();
            sink
        })
        .into();
    assert_eq!(read(&sinks[0].objects(), "").bytes, input);
    for sink in &sinks[1..] {
        assert!(sink.objects() == sinks[0].objects());
    }
}

/// Claims FLUSH-018.
#[test]
fn padding_is_zero_when_a_pool_slot_is_used_again() {
    let config = three([0, 5, 7], [2, 2, 3]);
    for batches in [4, 5] {
        let frame = 35;
        let input = vec![0xFF; (batches * 2 * frame + frame) * 2];
        let objects = stored(&config, 1, &input);
        let array = read(&objects, "");
        assert_eq!(array.shape, [batches as u64 * 2 + 1, 5, 7]);
        assert!(array.bytes.iter().all(|&byte| byte == 0xFF));
        for (y, x) in (0..3).flat_map(|y| (0..3).map(move |x| (y, x))) {
            let last = as_words(&chunk(&objects, "", &[batches as u64, y, x]));
            for (index, value) in last.into_iter().enumerate() {
                let (t, inside_y, inside_x) = (index / 6, index / 3 % 2, index % 3);
                let written = t == 0 && 2 * y as usize + inside_y < 5 && 3 * x as usize + inside_x < 7;
                assert_eq!(
                    value,
                    if written { 0xFFFF } else { 0 },
                    "{batches} batches, chunk ({y},{x}), element {index}"
                );
            }
        }
    }
}
