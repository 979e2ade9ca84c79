//! Codecs: one chunk in, one chunk out, into caller-owned memory.
//!
//! A [`Codec`] is a small value that knows its worst case; a [`CodecContext`] holds the library's state of one worker thread and
//! is made before the first chunk arrives.

mod blosc;
mod lz4;
mod zstd;

#[cfg(test)]
mod tests;

use crate::config::CodecConfig;
use crate::error::Error;

/// A codec for chunks of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codec {
    config: CodecConfig,
    chunk_bytes: usize,
    element_bytes: usize,
}

/// The state one thread needs to compress chunk after chunk.
#[derive(Debug)]
pub struct CodecContext {
    codec: Codec,
    state: State,
}

#[derive(Debug)]
enum State {
    None,
    Zstd(zstd::Compressor),
    Lz4(lz4::Compressor),
    Blosc,
}

impl Codec {
    /// The codec of `config` for chunks of exactly `chunk_bytes`, made of elements of `element_bytes`.
    #[must_use]
    pub fn new(config: CodecConfig, chunk_bytes: usize, element_bytes: usize) -> Self {
        Codec { config, chunk_bytes, element_bytes }
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> CodecConfig {
        self.config
    }

    /// The most bytes a stored chunk can have; what an output slice must hold.
    #[must_use]
    pub fn chunk_bytes_max(&self) -> usize {
        match self.config {
            CodecConfig::None => self.chunk_bytes,
            CodecConfig::Zstd { .. } => zstd::bound(self.chunk_bytes),
            CodecConfig::Lz4 { .. } => lz4::bound(self.chunk_bytes),
            CodecConfig::Blosc { .. } => blosc::bound(self.chunk_bytes),
        }
    }

    /// Makes the state for one thread.
    ///
    /// # Errors
    ///
    /// [`Error::CodecUnavailable`] when the library cannot allocate or refuses the level.
    pub fn context(&self) -> Result<CodecContext, Error> {
        let state = match self.config {
            CodecConfig::None => State::None,
            CodecConfig::Zstd { level } => State::Zstd(zstd::Compressor::new(level)?),
            CodecConfig::Lz4 { level } => State::Lz4(lz4::Compressor::new(level)),
            CodecConfig::Blosc { .. } => State::Blosc,
        };
        Ok(CodecContext { codec: *self, state })
    }

    /// Decodes a stored chunk into `output`, which must have exactly the chunk's bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the bytes are not a chunk of this codec or decode to another length.
    pub fn decompress(&self, stored: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let decoded = match self.config {
            CodecConfig::None if stored.len() == output.len() => {
                output.copy_from_slice(stored);
                Ok(stored.len())
            }
            CodecConfig::None => Ok(stored.len()),
            CodecConfig::Zstd { .. } => zstd::decompress(stored, output),
            CodecConfig::Lz4 { .. } => lz4::decompress(stored, output),
            CodecConfig::Blosc { .. } => blosc::decompress(stored, output),
        };
        match decoded {
            Ok(length) if length == output.len() => Ok(()),
            Ok(length) => Err(Error::invalid_input(format!(
                "a {} chunk of {} B decodes to {length} B, expected {}",
                self.config.name(),
                stored.len(),
                output.len()
            ))),
            Err(reason) => Err(Error::invalid_input(format!(
                "a {} chunk of {} B is damaged: {reason}",
                self.config.name(),
                stored.len()
            ))),
        }
    }
}

impl CodecContext {
    /// Compresses one chunk into `output` and returns the number of bytes written.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceFailed`] with the library's message.
    ///
    /// # Panics
    ///
    /// When `chunk` has another length than the codec was made for, or `output` is shorter than [`Codec::chunk_bytes_max`].
    pub fn compress(&mut self, chunk: &[u8], output: &mut [u8]) -> Result<usize, Error> {
        let codec = self.codec;
        assert_eq!(chunk.len(), codec.chunk_bytes, "the chunk's length");
        assert!(output.len() >= codec.chunk_bytes_max(), "the output is shorter than the codec's worst case");
        let written = match (&mut self.state, codec.config) {
            (State::None, _) => {
                output[..chunk.len()].copy_from_slice(chunk);
                Ok(chunk.len())
            }
            (State::Zstd(compressor), _) => compressor.compress(chunk, output),
            (State::Lz4(compressor), _) => compressor.compress(chunk, output),
            (State::Blosc, CodecConfig::Blosc { compressor, level, shuffle }) => {
                blosc::compress(compressor, level, shuffle, codec.element_bytes, chunk, output)
            }
            (State::Blosc, _) => unreachable!("the state was made from the configuration"),
        };
        written.map_err(|reason| Error::DeviceFailed { operation: format!("compress with {}", codec.config), reason })
    }
}
