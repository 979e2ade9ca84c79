//! Zstandard frames with their content size and without a checksum.

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use crate::error::Error;

/// A compression context kept from chunk to chunk.
pub(super) struct Compressor(CCtx<'static>);

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("zstd::Compressor")
    }
}

impl Compressor {
    pub(super) fn new(level: i32) -> Result<Self, Error> {
        let unavailable = |reason: &str| Error::CodecUnavailable { codec: "zstd".into(), reason: reason.into() };
        let mut context = CCtx::try_create().ok_or_else(|| unavailable("no memory for a context"))?;
        for parameter in
            [CParameter::CompressionLevel(level), CParameter::ContentSizeFlag(true), CParameter::ChecksumFlag(false)]
        {
            context.set_parameter(parameter).map_err(|code| unavailable(zstd_safe::get_error_name(code)))?;
        }
        Ok(Compressor(context))
    }

    pub(super) fn compress(&mut self, chunk: &[u8], output: &mut [u8]) -> Result<usize, String> {
        self.0.compress2(output, chunk).map_err(|code| zstd_safe::get_error_name(code).to_owned())
    }
}

pub(super) fn bound(chunk_bytes: usize) -> usize {
    zstd_safe::compress_bound(chunk_bytes)
}

pub(super) fn decompress(stored: &[u8], output: &mut [u8]) -> Result<usize, String> {
    let mut context = DCtx::try_create().ok_or("no memory for a context")?;
    context.decompress(output, stored).map_err(|code| zstd_safe::get_error_name(code).to_owned())
}
