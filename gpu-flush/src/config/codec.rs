//! Which codec compresses the chunks, and how hard.

use std::fmt;

/// The compressor inside a Blosc frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BloscCompressor {
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl BloscCompressor {
    /// The `cname` of the Zarr v3 blosc codec.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            BloscCompressor::Lz4 => "lz4",
            BloscCompressor::Zstd => "zstd",
        }
    }
}

/// How Blosc reorders bytes before it compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BloscShuffle {
    /// Not at all.
    None,
    /// By bytes.
    Byte,
    /// By bits.
    Bit,
}

impl BloscShuffle {
    /// The `shuffle` of the Zarr v3 blosc codec.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            BloscShuffle::None => "noshuffle",
            BloscShuffle::Byte => "shuffle",
            BloscShuffle::Bit => "bitshuffle",
        }
    }
}

/// The codec of an array's chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CodecConfig {
    /// Chunks are stored as they are.
    #[default]
    None,
    /// Zstandard, level −7 to 22; 0 is the library's default.
    Zstd {
        /// The compression level.
        level: i32,
    },
    /// An LZ4 block behind its original size, as numcodecs writes it. Levels 1 and 2 are the fast compressor, 3 to 12 the high-compression one.
    Lz4 {
        /// The compression level.
        level: i32,
    },
    /// Blosc 1, level 0 to 9.
    Blosc {
        /// The inner compressor.
        compressor: BloscCompressor,
        /// The compression level.
        level: i32,
        /// The byte reordering.
        shuffle: BloscShuffle,
    },
}

impl CodecConfig {
    /// A short name for messages: `none`, `zstd`, `lz4`, `blosc-lz4` or `blosc-zstd`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CodecConfig::None => "none",
            CodecConfig::Zstd { .. } => "zstd",
            CodecConfig::Lz4 { .. } => "lz4",
            CodecConfig::Blosc { compressor: BloscCompressor::Lz4, .. } => "blosc-lz4",
            CodecConfig::Blosc { compressor: BloscCompressor::Zstd, .. } => "blosc-zstd",
        }
    }

    /// The level, 0 for none.
    #[must_use]
    pub const fn level(self) -> i32 {
        match self {
            CodecConfig::None => 0,
            CodecConfig::Zstd { level } | CodecConfig::Lz4 { level } | CodecConfig::Blosc { level, .. } => level,
        }
    }

    /// The level that means "as the codec sees fit".
    #[must_use]
    pub const fn default_level(self) -> i32 {
        match self {
            CodecConfig::None | CodecConfig::Zstd { .. } => 0,
            CodecConfig::Lz4 { .. } => 1,
            CodecConfig::Blosc { .. } => 5,
        }
    }

    /// Whether chunks pass through unchanged.
    #[must_use]
    pub const fn is_passthrough(self) -> bool {
        matches!(self, CodecConfig::None)
    }
}

impl fmt::Display for CodecConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecConfig::None => f.write_str("none"),
            CodecConfig::Blosc { level, shuffle, .. } => write!(f, "{} level {level} {}", self.name(), shuffle.name()),
            _ => write!(f, "{} level {}", self.name(), self.level()),
        }
    }
}
