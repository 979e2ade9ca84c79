//! zarr-python 3, tensorstore and the OME-NGFF tools, from PyPI.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use prewire_gpu_flush::sink::{FileOptions, FileSink};
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, EngineConfig};

use super::cases::{CODECS, elements, ragged, to_folder};
use super::environment::{Packages, folder, printed, readers, run};
use super::rust::damaged_stores;
use crate::support::{create, dimension, words};

/// Claims FLUSH-141.
#[test]
fn zarr_python_and_tensorstore_read_every_array_bit_for_bit() {
    let root = folder("arrays");
    for dtype in DataType::ALL {
        for (index, codec) in CODECS.into_iter().enumerate() {
            let input = elements(dtype, 7 * 50 * 70);
            // Every other store is written with direct I/O.
            let options = FileOptions::default().direct(index % 2 == 1);
            to_folder(&ragged(dtype, codec), &root.join(format!("{dtype}-{index}.zarr")), options, &input);
            fs::write(root.join(format!("{dtype}-{index}.raw")), input).unwrap();
        }
    }
    assert_eq!(run(&mut readers(Packages::Readers, "arrays", &root)), "44");
}

/// Claims FLUSH-143.
#[test]
fn every_reader_refuses_a_damaged_index() {
    let root = folder("damaged");
    assert_eq!(damaged_stores(&root).len(), 9);
    assert_eq!(run(&mut readers(Packages::Readers, "damaged", &root)), "10");
}

/// Part of FLUSH-025: what zarr-python reads; the warning and the bytes are in the codec tests.
#[test]
fn zarr_python_reads_lz4() {
    let root = folder("lz4");
    let input = elements(DataType::U16, 7 * 50 * 70);
    let config = ragged(DataType::U16, CodecConfig::Lz4 { level: 1 });
    to_folder(&config, &root.join("lz4.zarr"), FileOptions::default(), &input);
    fs::write(root.join("lz4.raw"), input).unwrap();
    assert_eq!(run(&mut readers(Packages::Readers, "lz4", &root)), "ok");
}

/// Claims FLUSH-145.
#[test]
fn a_reader_may_follow_the_writer() {
    for direct in [false, true] {
        let root = folder(if direct { "follow-direct" } else { "follow" });
        let mut command = readers(Packages::Readers, "follow", &root);
        let reader = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while !root.join("ready").exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let config = ArrayConfig::builder(DataType::U16)
            .dimension(Dimension::unbounded("t").chunks_per_shard(4))
            .dimension(dimension("y", 32, 16))
            .dimension(dimension("x", 48, 16))
            .codec(CodecConfig::Zstd { level: 1 })
            .build()
            .unwrap();
        let sink = FileSink::new(root.join("live.zarr"), FileOptions::default().direct(direct)).unwrap();
        let engine = EngineConfig::default().epochs_per_batch(2).metadata_update_interval(Duration::ZERO);
        let mut writer = create(&config, engine, Arc::new(sink));
        for t in 0..200u32 {
            let frame = words((0..32).flat_map(|y| (0..48).map(move |x| (t * 257 + y * 16 + x) as u16)));
            assert!(writer.append(&frame).unwrap().rest.is_empty());
            std::thread::sleep(Duration::from_millis(4));
        }
        writer.close().unwrap();
        fs::write(root.join("done"), "").unwrap();
        let extents = printed(&command, &reader.wait_with_output().unwrap());
        let extents: Vec<u64> = extents.split(' ').map(|extent| extent.parse().unwrap()).collect();
        assert_eq!(extents.last(), Some(&200), "{extents:?}");
        assert!(extents.len() > 3, "the reader saw the array grow: {extents:?}");
        assert!(extents.iter().all(|extent| extent % 4 == 0), "only whole shards are shown: {extents:?}");
    }
}

/// Claims FLUSH-144.
#[test]
fn the_ome_tools_accept_the_pyramid() {
    let root = folder("pyramid");
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::bounded("t", 3).chunk(1).chunks_per_shard(2).scale(0.1, "second"))
        .dimension(dimension("c", 2, 1))
        .dimension(dimension("z", 16, 8).scale(2.0, "micrometer"))
        .dimension(dimension("y", 200, 64).scale(0.5, "micrometer").downsample())
        .dimension(dimension("x", 300, 64).scale(0.5, "micrometer").downsample())
        .codec(CodecConfig::Zstd { level: 1 })
        .build()
        .unwrap();
    let input = words((0..3 * 2 * 16 * 200 * 300u32).map(|value| (value / 7) as u16));
    to_folder(&config, &root.join("image.zarr"), FileOptions::default(), &input);
    assert_eq!(run(&mut readers(Packages::Ome, "pyramid", &root)), "4");
}
