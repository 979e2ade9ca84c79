//! One write by ours or by zarrs: prints seconds and the most bytes it had resident beyond its input.

use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use prewire_gpu_flush::sink::{FileOptions, FileSink};
use prewire_gpu_flush::writer::WriterBuilder;
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, EngineConfig};
use serde_json::json;
use zarrs::array::{Array, ArrayBytes, ArraySubset};
use zarrs::filesystem::FilesystemStore;

struct Work {
    zstd: bool,
    level: i32,
    frames: u64,
    side: u64,
    chunk: [u64; 3],
    shard: [u64; 3],
}

pub(super) fn run(arguments: &[String]) {
    let [writer, codec, level, frames, side, chunk, shard, input, folder] = arguments else { panic!("{arguments:?}") };
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let list = |text: &str| -> [u64; 3] {
        let extents: Vec<u64> = text.split(',').map(number).collect();
        extents.try_into().expect("three extents")
    };
    let work = Work {
        zstd: codec == "zstd",
        level: level.parse().expect("a level"),
        frames: number(frames),
        side: number(side),
        chunk: list(chunk),
        shard: list(shard),
    };
    let data = std::fs::read(input).expect("the input is there");
    let path = Path::new(folder).join("out.zarr");
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak can be reset");
    let before = resident("VmRSS");
    let start = Instant::now();
    match writer.as_str() {
        "ours" => ours(&work, &data, &path),
        "zarrs" => zarrs(&work, &data, &path),
        other => panic!("{other}"),
    }
    // The one file system, not all of them: other programs' writes are none of ours.
    let folder = std::fs::File::open(folder).expect("the folder is there");
    // SAFETY: the descriptor is open, and no memory of ours is touched.
    assert_eq!(unsafe { libc::syncfs(folder.as_raw_fd()) }, 0, "it is written out");
    println!("{} {}", start.elapsed().as_secs_f64(), resident("VmHWM").saturating_sub(before));
}

fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the field is there");
    line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).expect("kilobytes") * 1024
}

/// The frames, the input repeated as often as it takes.
fn frames<'a>(work: &Work, data: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let bytes = (work.side * work.side * 2) as usize;
    data.chunks_exact(bytes).cycle().take(work.frames as usize)
}

fn ours(work: &Work, data: &[u8], path: &Path) {
    let mut dimensions = Vec::new();
    for (axis, name) in ["t", "y", "x"].into_iter().enumerate() {
        let dimension = if axis == 0 { Dimension::unbounded(name) } else { Dimension::bounded(name, work.side) };
        dimensions.push(dimension.chunk(work.chunk[axis]).chunks_per_shard(work.shard[axis] / work.chunk[axis]));
    }
    let codec = if work.zstd { CodecConfig::Zstd { level: work.level } } else { CodecConfig::None };
    let config = ArrayConfig::builder(DataType::U16).dimensions(dimensions).codec(codec).build().expect("it is valid");
    let sink = FileSink::new(path, FileOptions::default().writes_in_flight(4)).expect("threads start");
    let engine = EngineConfig { target_batch_bytes: 16 << 20, ..EngineConfig::default() };
    let builder = WriterBuilder::new().array(config, Arc::new(sink)).engine(engine);
    let mut writer = builder.build().expect("there is room");
    for frame in frames(work, data) {
        assert!(writer.append(frame).expect("it is taken").rest.is_empty());
    }
    writer.close().expect("it is written");
}

/// zarrs takes whole shards, so frames are collected to as many as a shard is deep, as its user would.
fn zarrs(work: &Work, data: &[u8], path: &Path) {
    let mut codecs = vec![json!({"name": "bytes", "configuration": {"endian": "little"}})];
    let index_codecs = json!([codecs[0], {"name": "crc32c"}]);
    if work.zstd {
        codecs.push(json!({"name": "zstd", "configuration": {"level": work.level, "checksum": false}}));
    }
    let sharding =
        json!({"chunk_shape": work.chunk, "codecs": codecs, "index_codecs": index_codecs, "index_location": "end"});
    let document = json!({
        "zarr_format": 3, "node_type": "array", "shape": [work.frames, work.side, work.side], "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": work.shard}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}], "fill_value": 0,
    });
    std::fs::create_dir_all(path).expect("the folder can be made");
    std::fs::write(path.join("zarr.json"), document.to_string()).expect("the folder can be written");
    let array = Array::open(Arc::new(FilesystemStore::new(path).expect("a folder")), "/").expect("an array");
    let across = work.side.div_ceil(work.shard[1]);
    let mut slab = Vec::with_capacity((work.shard[0] * work.side * work.side * 2) as usize);
    for (number, frame) in (1..).zip(frames(work, data)) {
        slab.extend_from_slice(frame);
        if number % work.shard[0] == 0 {
            let shards =
                ArraySubset::new_with_start_shape(vec![number / work.shard[0] - 1, 0, 0], vec![1, across, across]);
            array
                .store_chunks(&shards.expect("a subset"), ArrayBytes::new_flen(slab.as_slice()))
                .expect("it is written");
            slab.clear();
        }
    }
    assert!(slab.is_empty(), "give a number of frames that fills its shards");
}
