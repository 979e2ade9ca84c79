//! The two documents of a Zarr v3 hierarchy, as the core specification and the sharding codec define them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

use crate::config::{ArrayConfig, CodecConfig, FillValue};
use crate::geometry::LevelGeometry;

/// A named thing with a configuration: a chunk grid, a key encoding, a codec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extension {
    /// Its registered name.
    pub name: String,
    /// Its parameters; left out when there are none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub configuration: Map<String, Value>,
}

impl Extension {
    fn new(name: &str, configuration: Value) -> Self {
        let configuration = match configuration {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        Extension { name: name.to_owned(), configuration }
    }

    fn value(name: &str, configuration: Value) -> Value {
        if configuration.is_null() {
            json!({ "name": name })
        } else {
            json!({ "name": name, "configuration": configuration })
        }
    }
}

/// `zarr.json` of an array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArrayDocument {
    /// 3.
    pub zarr_format: u32,
    /// `array`.
    pub node_type: String,
    /// Extents in elements, in storage order.
    pub shape: Vec<u64>,
    /// The element type's name.
    pub data_type: String,
    /// Always `regular`; its chunks are our shards.
    pub chunk_grid: Extension,
    /// Always `default` with `/`.
    pub chunk_key_encoding: Extension,
    /// The value of what was never written.
    pub fill_value: Value,
    /// Always one: `sharding_indexed`.
    pub codecs: Vec<Extension>,
    /// User attributes.
    pub attributes: Map<String, Value>,
    /// The dimensions' names, in storage order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension_names: Option<Vec<String>>,
    /// Always empty.
    pub storage_transformers: Vec<Value>,
}

/// `zarr.json` of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupDocument {
    /// 3.
    pub zarr_format: u32,
    /// `group`.
    pub node_type: String,
    /// User attributes, and the OME block of a pyramid.
    pub attributes: Map<String, Value>,
    /// Always null: zarr-python takes a missing field for a store of unknown state.
    pub consolidated_metadata: Option<Value>,
}

impl GroupDocument {
    /// A group with these attributes.
    #[must_use]
    pub fn new(attributes: Map<String, Value>) -> Self {
        GroupDocument { zarr_format: 3, node_type: "group".into(), attributes, consolidated_metadata: None }
    }
}

/// The document of one level with this extent along dimension 0.
#[must_use]
pub fn array_document(
    config: &ArrayConfig,
    level: &LevelGeometry,
    append_extent: u64,
    attributes: Map<String, Value>,
) -> ArrayDocument {
    let mut shape = level.shape.clone();
    shape[0] = append_extent;
    let little = || Extension::value("bytes", json!({ "endian": "little" }));
    let mut codecs = vec![little()];
    codecs.extend(codec(config));
    let sharding = json!({
        "chunk_shape": level.chunk_shape,
        "codecs": codecs,
        "index_codecs": [little(), Extension::value("crc32c", Value::Null)],
        "index_location": "end",
    });
    let names = config.storage_order().into_iter().map(|index| config.dimensions()[index].name.clone());
    ArrayDocument {
        zarr_format: 3,
        node_type: "array".into(),
        shape,
        data_type: config.dtype().zarr_name().into(),
        chunk_grid: Extension::new("regular", json!({ "chunk_shape": level.shard_shape() })),
        chunk_key_encoding: Extension::new("default", json!({ "separator": "/" })),
        fill_value: fill_value(config),
        codecs: vec![Extension::new("sharding_indexed", sharding)],
        attributes,
        dimension_names: Some(names.collect()),
        storage_transformers: Vec::new(),
    }
}

/// The compressor inside the shard, if there is one.
fn codec(config: &ArrayConfig) -> Option<Value> {
    match config.codec() {
        CodecConfig::None => None,
        CodecConfig::Zstd { level } => Some(Extension::value("zstd", json!({ "level": level, "checksum": false }))),
        // numcodecs knows an acceleration only; it does not affect reading.
        CodecConfig::Lz4 { .. } => Some(Extension::value("numcodecs.lz4", json!({ "acceleration": 1 }))),
        CodecConfig::Blosc { compressor, level, shuffle } => Some(Extension::value(
            "blosc",
            json!({
                "cname": compressor.name(),
                "clevel": level,
                "shuffle": shuffle.name(),
                "typesize": config.dtype().size_bytes(),
                "blocksize": 0,
            }),
        )),
    }
}

fn fill_value(config: &ArrayConfig) -> Value {
    match config.fill_value() {
        FillValue::Zero if config.dtype().is_float() => json!(0.0),
        FillValue::Zero => json!(0),
        FillValue::Integer(value) => json!(value),
        FillValue::Unsigned(value) => json!(value),
        FillValue::Float(value) => match Number::from_f64(value) {
            Some(number) => Value::Number(number),
            None if value.is_nan() => json!("NaN"),
            None if value > 0.0 => json!("Infinity"),
            None => json!("-Infinity"),
        },
    }
}
