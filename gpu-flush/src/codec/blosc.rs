//! Blosc 1 frames, made without the library's global state and threads.

use std::ffi::{CStr, c_int, c_void};

use blosc_src::{BLOSC_MAX_OVERHEAD, blosc_cbuffer_validate, blosc_compress_ctx, blosc_decompress_ctx};

use crate::config::{BloscCompressor, BloscShuffle};

pub(super) fn bound(chunk_bytes: usize) -> usize {
    chunk_bytes + BLOSC_MAX_OVERHEAD as usize
}

pub(super) fn compress(
    compressor: BloscCompressor,
    level: i32,
    shuffle: BloscShuffle,
    element_bytes: usize,
    chunk: &[u8],
    output: &mut [u8],
) -> Result<usize, String> {
    let name: &CStr = match compressor {
        BloscCompressor::Lz4 => c"lz4",
        BloscCompressor::Zstd => c"zstd",
    };
    let shuffle = match shuffle {
        BloscShuffle::None => 0,
        BloscShuffle::Byte => 1,
        BloscShuffle::Bit => 2,
    };
    let (source, size) = (chunk.as_ptr().cast::<c_void>(), chunk.len());
    let (destination, capacity) = (output.as_mut_ptr().cast::<c_void>(), output.len());
    // SAFETY: both pointers are valid for the lengths given with them, and `name` ends in a zero byte.
    let written = unsafe {
        blosc_compress_ctx(level, shuffle, element_bytes, size, source, destination, capacity, name.as_ptr(), 0, 1)
    };
    if written <= 0 {
        return Err(format!("the library returned {written}"));
    }
    Ok(written as usize)
}

pub(super) fn decompress(stored: &[u8], output: &mut [u8]) -> Result<usize, String> {
    let mut claimed = 0usize;
    let (source, size) = (stored.as_ptr().cast::<c_void>(), stored.len());
    // SAFETY: `source` is valid for `size` bytes and `claimed` for one write.
    let valid: c_int = unsafe { blosc_cbuffer_validate(source, size, &raw mut claimed) };
    if valid < 0 {
        return Err("no valid header".into());
    }
    if claimed != output.len() {
        return Ok(claimed);
    }
    let (destination, capacity) = (output.as_mut_ptr().cast::<c_void>(), output.len());
    // SAFETY: the header was checked against the stored length, and the destination has the length it names.
    let written = unsafe { blosc_decompress_ctx(source, destination, capacity, 1) };
    usize::try_from(written).map_err(|_| format!("the library returned {written}"))
}
