//! The arrays that every reader gets: 11 data types by 4 codecs of one ragged shape.

use std::path::Path;
use std::sync::Arc;

use prewire_gpu_flush::config::{BloscCompressor, BloscShuffle};
use prewire_gpu_flush::sink::{FileOptions, FileSink};
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType};

use crate::support::{dimension, engine, write};

pub(super) const CODECS: [CodecConfig; 4] = [
    CodecConfig::None,
    CodecConfig::Zstd { level: 3 },
    CodecConfig::Blosc { compressor: BloscCompressor::Lz4, level: 5, shuffle: BloscShuffle::Byte },
    CodecConfig::Blosc { compressor: BloscCompressor::Zstd, level: 5, shuffle: BloscShuffle::Bit },
];

/// u·16·32 chunks in shards of 2×2×3, of 7×50×70 elements.
pub(super) fn ragged(dtype: DataType, codec: CodecConfig) -> ArrayConfig {
    let dimensions = [("t", 7, 2, 2), ("y", 50, 16, 2), ("x", 70, 32, 3)];
    let dimensions =
        dimensions.map(|(name, size, chunk, per_shard)| dimension(name, size, chunk).chunks_per_shard(per_shard));
    ArrayConfig::builder(dtype).dimensions(dimensions.into()).codec(codec).build().unwrap()
}

/// Elements with every bit in use; among floats also NaN, both infinities and −0.0.
pub(super) fn elements(dtype: DataType, count: usize) -> Vec<u8> {
    let special: [f64; 4] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0];
    (0..count as u64)
        .flat_map(|index| {
            let mixed = index.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17);
            let float = if index % 11 == 0 { special[(index / 11 % 4) as usize] } else { index as f64 / 3.0 - 1000.0 };
            match dtype {
                DataType::F16 => half::f16::from_f64(float).to_le_bytes().to_vec(),
                DataType::F32 => (float as f32).to_le_bytes().to_vec(),
                DataType::F64 => float.to_le_bytes().to_vec(),
                // Slow in its upper bytes, so that the codecs find something to do.
                _ => ((index / 16) ^ (mixed & 7)).to_le_bytes()[..dtype.size_bytes()].to_vec(),
            }
        })
        .collect()
}

/// Writes `input` to a folder through the file sink.
pub(super) fn to_folder(config: &ArrayConfig, path: &Path, options: FileOptions, input: &[u8]) {
    let sink = FileSink::new(path, options).unwrap();
    write(config, engine(2), Arc::new(sink), input, 10_000 / config.dtype().size_bytes() * config.dtype().size_bytes());
}
