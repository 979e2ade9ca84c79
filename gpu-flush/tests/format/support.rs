//! A writer call and a reader in plain loops, which shares with the crate only the codecs' libraries.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prewire_gpu_flush::codec::Codec;
use prewire_gpu_flush::config::{BloscCompressor, BloscShuffle};
use prewire_gpu_flush::shard::ShardIndex;
use prewire_gpu_flush::sink::{MemorySink, Sink};
use prewire_gpu_flush::writer::{Status, Writer, WriterBuilder};
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, EngineConfig};
use serde_json::Value;

pub(crate) type Objects = BTreeMap<String, Vec<u8>>;

/// The little-endian bytes of u16 values.
pub(crate) fn words(values: impl IntoIterator<Item = u16>) -> Vec<u8> {
    values.into_iter().flat_map(u16::to_le_bytes).collect()
}

pub(crate) fn as_words(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect()
}

/// A dimension from (name, size, chunk); size 0 is unbounded.
pub(crate) fn dimension(name: &str, size: u64, chunk: u64) -> Dimension {
    let dimension = if size == 0 { Dimension::unbounded(name) } else { Dimension::bounded(name, size) };
    dimension.chunk(chunk)
}

/// An engine that needs little memory.
pub(crate) fn engine(epochs_per_batch: u32) -> EngineConfig {
    EngineConfig::default().epochs_per_batch(epochs_per_batch).staging_bytes(65_536).threads_max(2)
}

pub(crate) fn create(config: &ArrayConfig, engine: EngineConfig, sink: Arc<dyn Sink>) -> Writer {
    WriterBuilder::new().array(config.clone(), sink).engine(engine).build().unwrap_or_else(|error| panic!("{error}"))
}

/// Writes `input` in slices of `step` bytes, all of which must be accepted, and closes.
pub(crate) fn write(config: &ArrayConfig, engine: EngineConfig, sink: Arc<dyn Sink>, input: &[u8], step: usize) {
    let mut writer = create(config, engine, sink);
    for slice in input.chunks(step.max(1)) {
        let appended = writer.append(slice).unwrap_or_else(|error| panic!("{error}"));
        assert!(appended.rest.is_empty(), "{} B were left", appended.rest.len());
        assert!(matches!(appended.status, Status::Ok | Status::Finished));
    }
    writer.close().unwrap_or_else(|error| panic!("{error}"));
}

/// Writes to a memory sink in one slice and returns what it holds.
pub(crate) fn stored(config: &ArrayConfig, epochs_per_batch: u32, input: &[u8]) -> Objects {
    let sink = MemorySink::new();
    write(config, engine(epochs_per_batch), Arc::new(sink.clone()), input, input.len());
    sink.objects()
}

/// An array as a reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Read {
    pub(crate) document: Value,
    pub(crate) shape: Vec<u64>,
    /// Elements in C order.
    pub(crate) bytes: Vec<u8>,
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().expect("a list").iter().map(|number| number.as_u64().expect("a whole number")).collect()
}

pub(crate) fn document(objects: &Objects, path: &str) -> Value {
    let key = if path.is_empty() { "zarr.json".to_owned() } else { format!("{path}/zarr.json") };
    serde_json::from_slice(objects.get(&key).unwrap_or_else(|| panic!("no {key}"))).expect("JSON")
}

/// The codec that a document names.
fn codec(codecs: &[Value]) -> CodecConfig {
    let Some(codec) = codecs.get(1) else { return CodecConfig::None };
    let setting = &codec["configuration"];
    let level = |name: &str| setting[name].as_i64().expect("a level") as i32;
    match codec["name"].as_str().expect("a name") {
        "zstd" => CodecConfig::Zstd { level: level("level") },
        "numcodecs.lz4" => CodecConfig::Lz4 { level: 1 },
        "blosc" => CodecConfig::Blosc {
            compressor: if setting["cname"] == "lz4" { BloscCompressor::Lz4 } else { BloscCompressor::Zstd },
            level: level("clevel"),
            shuffle: BloscShuffle::Byte,
        },
        other => panic!("codec {other}"),
    }
}

/// The coordinates of a flat index, last fastest.
fn coordinates(mut flat: u64, extents: &[u64]) -> Vec<u64> {
    let mut at = vec![0; extents.len()];
    for dimension in (0..extents.len()).rev() {
        at[dimension] = flat % extents[dimension];
        flat /= extents[dimension];
    }
    at
}

/// Reads the array at `path` whole. Missing shards and chunks read as zeros.
pub(crate) fn read(objects: &Objects, path: &str) -> Read {
    let document = document(objects, path);
    let shape = numbers(&document["shape"]);
    let shard = numbers(&document["chunk_grid"]["configuration"]["chunk_shape"]);
    let sharding = &document["codecs"][0]["configuration"];
    let chunk = numbers(&sharding["chunk_shape"]);
    let dtype: DataType = document["data_type"].as_str().expect("a type").parse().expect("a known type");
    let (size, rank) = (dtype.size_bytes(), shape.len());
    let chunk_elements: u64 = chunk.iter().product();
    let decoder =
        Codec::new(codec(sharding["codecs"].as_array().expect("codecs")), chunk_elements as usize * size, size);
    let per_shard: Vec<u64> = (0..rank).map(|dimension| shard[dimension] / chunk[dimension]).collect();
    let shards: Vec<u64> = (0..rank).map(|dimension| shape[dimension].div_ceil(shard[dimension])).collect();
    let mut bytes = vec![0; shape.iter().product::<u64>() as usize * size];
    let mut decoded = vec![0; chunk_elements as usize * size];
    for flat in 0..shards.iter().product() {
        let at = coordinates(flat, &shards);
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let key = at.iter().fold(format!("{prefix}c"), |key, coordinate| format!("{key}/{coordinate}"));
        let Some(file) = objects.get(&key) else { continue };
        let entries = ShardIndex::parse(file, per_shard.iter().product::<u64>() as usize).expect("a whole shard");
        for (slot, entry) in entries.iter().enumerate() {
            let Some((offset, length)) = *entry else { continue };
            decoder
                .decompress(&file[offset as usize..(offset + length) as usize], &mut decoded)
                .expect("a whole chunk");
            let within = coordinates(slot as u64, &per_shard);
            let first: Vec<u64> = (0..rank).map(|d| at[d] * shard[d] + within[d] * chunk[d]).collect();
            let run = chunk[rank - 1].min(shape[rank - 1].saturating_sub(first[rank - 1])) as usize * size;
            for row in 0..chunk_elements / chunk[rank - 1] {
                let inside = coordinates(row * chunk[rank - 1], &chunk);
                let place: Vec<u64> = (0..rank).map(|d| first[d] + inside[d]).collect();
                if (0..rank).all(|d| place[d] < shape[d]) {
                    let to = (0..rank).fold(0, |flat, d| flat * shape[d] + place[d]) as usize * size;
                    let from = (row * chunk[rank - 1]) as usize * size;
                    bytes[to..to + run].copy_from_slice(&decoded[from..from + run]);
                }
            }
        }
    }
    Read { document, shape, bytes }
}

/// The decoded chunk at these chunk coordinates, padding included.
pub(crate) fn chunk(objects: &Objects, path: &str, at: &[u64]) -> Vec<u8> {
    let document = document(objects, path);
    let shard = numbers(&document["chunk_grid"]["configuration"]["chunk_shape"]);
    let sharding = &document["codecs"][0]["configuration"];
    let shape = numbers(&sharding["chunk_shape"]);
    let dtype: DataType = document["data_type"].as_str().expect("a type").parse().expect("a known type");
    let bytes = shape.iter().product::<u64>() as usize * dtype.size_bytes();
    let per_shard: Vec<u64> = shard.iter().zip(&shape).map(|(shard, chunk)| shard / chunk).collect();
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let key = at.iter().zip(&per_shard).fold(format!("{prefix}c"), |key, (at, count)| format!("{key}/{}", at / count));
    let slot = at.iter().zip(&per_shard).fold(0, |flat, (at, count)| flat * count + at % count);
    let file = &objects[&key];
    let entries = ShardIndex::parse(file, per_shard.iter().product::<u64>() as usize).expect("a whole shard");
    let (offset, length) = entries[slot as usize].expect("the chunk is there");
    let decoder = Codec::new(codec(sharding["codecs"].as_array().expect("codecs")), bytes, dtype.size_bytes());
    let mut decoded = vec![0; bytes];
    decoder.decompress(&file[offset as usize..(offset + length) as usize], &mut decoded).expect("a whole chunk");
    decoded
}

/// A folder of its own for one test, emptied first, on the disk of the build folder.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stores").join(name);
    let _ = fs::remove_dir_all(&path);
    path
}

/// Every file below a folder by its key.
pub(crate) fn files(root: &Path) -> Objects {
    fn walk(folder: &Path, root: &Path, objects: &mut Objects) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), root, objects);
            } else {
                let key = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                objects.insert(key, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut objects = Objects::new();
    walk(root, root, &mut objects);
    objects
}
