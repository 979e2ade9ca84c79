//! The documents as a reader parses them, and the extents they show over time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{ArrayDocument, GroupDocument, Publisher, array_document};
use crate::config::{ArrayBuilder, ArrayConfig, CodecConfig, Dimension, FillValue};
use crate::dtype::DataType;
use crate::error::Error;
use crate::geometry::ArrayGeometry;
use crate::sink::{Fence, MemorySink, ShardFile, Sink};

fn small() -> ArrayBuilder {
    let dimensions = [("t", 4, 2), ("y", 4, 2), ("x", 6, 3)];
    ArrayConfig::builder(DataType::U16).dimensions(
        dimensions.map(|(name, size, chunk)| Dimension::bounded(name, size).chunk(chunk).chunks_per_shard(2)).into(),
    )
}

fn parsed(sink: &MemorySink, key: &str) -> Value {
    serde_json::from_slice(&sink.get(key).unwrap().unwrap_or_else(|| panic!("no {key}"))).unwrap()
}

/// Claims FLUSH-036.
#[test]
fn an_array_document_says_what_was_configured() {
    let config = small().codec(CodecConfig::Zstd { level: 3 }).build().unwrap();
    let geometry = ArrayGeometry::new(&config, 1).unwrap();
    let sink = MemorySink::new();
    let mut publisher = Publisher::new(&config, &geometry, Duration::ZERO).unwrap();
    publisher.create(&sink).unwrap();
    publisher.finish(&sink, 96).unwrap();
    let document = parsed(&sink, "zarr.json");
    let little = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let expected = json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": [4, 4, 6],
        "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 4, 6]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [2, 2, 3],
            "codecs": [little, {"name": "zstd", "configuration": {"level": 3, "checksum": false}}],
            "index_codecs": [little, {"name": "crc32c"}],
            "index_location": "end",
        }}],
        "attributes": {},
        "dimension_names": ["t", "y", "x"],
        "storage_transformers": [],
    });
    assert_eq!(document, expected);
    let group = serde_json::to_value(GroupDocument::new(serde_json::Map::new())).unwrap();
    assert_eq!(group.get("consolidated_metadata"), Some(&Value::Null), "present, and null");
    assert_eq!(group["node_type"], "group");
}

#[test]
fn fill_values_are_written_in_the_type_of_the_array() {
    let written = |dtype, value| {
        let config = ArrayConfig::builder(dtype)
            .dimension(Dimension::bounded("x", 4))
            .fill_value(value)
            .build()
            .unwrap_or_else(|error| panic!("{error}"));
        let geometry = ArrayGeometry::new(&config, 1).unwrap();
        array_document(&config, &geometry.levels[0], 4, serde_json::Map::new()).fill_value
    };
    assert_eq!(written(DataType::F32, FillValue::Zero), json!(0.0));
    assert_eq!(written(DataType::F64, FillValue::Float(f64::NAN)), json!("NaN"));
    assert_eq!(written(DataType::F16, FillValue::Float(f64::NEG_INFINITY)), json!("-Infinity"));
    assert_eq!(written(DataType::I8, FillValue::Integer(-128)), json!(-128));
    assert_eq!(written(DataType::U64, FillValue::Unsigned(u64::MAX)), json!(u64::MAX));
    for (dtype, value) in [
        (DataType::U8, FillValue::Integer(256)),
        (DataType::I8, FillValue::Integer(128)),
        (DataType::U16, FillValue::Float(1.0)),
    ] {
        let refused = ArrayConfig::builder(dtype).dimension(Dimension::bounded("x", 4)).fill_value(value).build();
        assert!(
            matches!(refused, Err(Error::InvalidConfig { field, .. }) if field == "fill_value"),
            "{dtype} {value:?}"
        );
    }
}

/// Part of FLUSH-040: attributes survive rewrites, bad ones change nothing, and nested names make readable groups.
#[test]
fn attributes_survive_and_nested_names_make_groups() {
    let large = "x".repeat(65_536);
    let config = small().name("a/b/c").attribute("kept", json!({"deep": [1, 2]})).build().unwrap();
    let geometry = ArrayGeometry::new(&config, 1).unwrap();
    let sink = MemorySink::new();
    let mut publisher = Publisher::new(&config, &geometry, Duration::ZERO).unwrap();
    publisher.set_attribute("a/b", "large", &json!(large).to_string()).unwrap();
    publisher.create(&sink).unwrap();
    assert_eq!(publisher.key_prefix(0), "a/b/c/");
    for round in 1..=20 {
        publisher.set_attribute("a/b/c", "round", &round.to_string()).unwrap();
        assert!(publisher.update(&sink).unwrap());
    }
    assert!(!publisher.update(&sink).unwrap(), "nothing changed");
    for bad in ["{", "", "nothing"] {
        assert!(matches!(publisher.set_attribute("a/b/c", "round", bad), Err(Error::InvalidInput { .. })), "{bad:?}");
    }
    let unknown = publisher.set_attribute("a/x", "key", "1").unwrap_err().to_string();
    assert!(unknown.contains("a/x") && unknown.contains("a/b/c"), "{unknown}");
    publisher.finish(&sink, 96).unwrap();
    for path in ["", "a/", "a/b/"] {
        let group: GroupDocument = serde_json::from_value(parsed(&sink, &format!("{path}zarr.json"))).unwrap();
        assert_eq!(group.node_type, "group");
    }
    assert_eq!(parsed(&sink, "a/b/zarr.json")["attributes"]["large"], json!(large));
    let array: ArrayDocument = serde_json::from_value(parsed(&sink, "a/b/c/zarr.json")).unwrap();
    assert_eq!(array.attributes["kept"], json!({"deep": [1, 2]}));
    assert_eq!(array.attributes["round"], json!(20));
    assert_eq!(array.shape, [4, 4, 6]);
}

/// A sink whose fences retire when the test says so.
#[derive(Debug, Default)]
struct HeldSink {
    documents: MemorySink,
    retired: AtomicU64,
}

impl Sink for HeldSink {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error> {
        self.documents.open(key)
    }
    fn put(&self, key: &str, document: &[u8]) -> Result<(), Error> {
        self.documents.put(key, document)
    }
    fn fence_retired(&self, fence: Fence) -> bool {
        fence.sequence <= self.retired.load(Ordering::Relaxed)
    }
}

/// Part of FLUSH-037: what the document shows at each step; the reader that polls is in the interop tests.
#[test]
fn the_extent_follows_closed_shards_whose_writes_retired() {
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").chunks_per_shard(8))
        .dimension(Dimension::bounded("y", 4).chunk(2))
        .build()
        .unwrap();
    let geometry = ArrayGeometry::new(&config, 1).unwrap();
    let sink = HeldSink::default();
    let mut publisher = Publisher::new(&config, &geometry, Duration::ZERO).unwrap();
    let shown = || parsed(&sink.documents, "zarr.json")["shape"][0].clone();
    publisher.create(&sink).unwrap();
    assert_eq!(shown(), 0);
    publisher.closed(0, 8, Fence { sink: 1, sequence: 1 });
    assert!(!publisher.update(&sink).unwrap());
    assert_eq!(shown(), 0, "the first shard is closed, its writes are not");
    sink.retired.store(1, Ordering::Relaxed);
    assert!(publisher.update(&sink).unwrap());
    assert_eq!(shown(), 8);
    publisher.closed(0, 8, Fence { sink: 1, sequence: 2 });
    publisher.closed(0, 16, Fence { sink: 1, sequence: 3 });
    sink.retired.store(2, Ordering::Relaxed);
    assert!(!publisher.update(&sink).unwrap());
    assert_eq!(shown(), 8);
    sink.retired.store(3, Ordering::Relaxed);
    assert!(publisher.update(&sink).unwrap());
    assert_eq!(shown(), 16);
    publisher.finish(&sink, 21 * 4).unwrap();
    assert_eq!(shown(), 21);
}

#[test]
fn a_rewrite_waits_for_its_interval() {
    let config = small().build().unwrap();
    let geometry = ArrayGeometry::new(&config, 1).unwrap();
    let sink = MemorySink::new();
    let mut publisher = Publisher::new(&config, &geometry, Duration::from_secs(3600)).unwrap();
    publisher.create(&sink).unwrap();
    publisher.closed(0, 2, Fence::RETIRED);
    assert!(!publisher.update(&sink).unwrap());
    assert_eq!(publisher.extent(0), 4, "the next rewrite will show it");
    assert_eq!(parsed(&sink, "zarr.json")["shape"][0], 0);
    publisher.settle(&sink).unwrap();
    assert_eq!(parsed(&sink, "zarr.json")["shape"][0], 4);
}

/// Part of FLUSH-039: final extents count what was accepted, level by level.
#[test]
fn final_extents_round_up() {
    let frame = |name: &str| Dimension::bounded(name, 16).chunk(2).downsample();
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").downsample())
        .dimension(frame("y"))
        .dimension(frame("x"))
        .build()
        .unwrap();
    let geometry = ArrayGeometry::new(&config, 1).unwrap();
    assert_eq!(geometry.levels.len(), 4);
    let extents: Vec<u64> = (0..4).map(|level| geometry.final_extent(level, 7 * 256)).collect();
    assert_eq!(extents, [7, 4, 2, 1]);
    assert_eq!(geometry.final_extent(0, 2 * 256 + 128), 3);
    assert_eq!(geometry.final_extent(0, 0), 0);
}
