//! LZ4 as numcodecs stores it: the original size as four little-endian bytes, then one block.

use std::ffi::{c_char, c_int, c_void};

/// Levels from here on use the high-compression search, as in LZ4's own command.
const HIGH_COMPRESSION_FROM: i32 = 3;
const PREFIX_BYTES: usize = 4;

// The bindings crate builds these but does not declare them.
unsafe extern "C" {
    fn LZ4_sizeofStateHC() -> c_int;
    fn LZ4_compress_HC_extStateHC(
        state: *mut c_void,
        source: *const c_char,
        destination: *mut c_char,
        source_size: c_int,
        destination_capacity: c_int,
        level: c_int,
    ) -> c_int;
}

/// The level, and the search state of the high-compression levels, kept from chunk to chunk.
pub(super) struct Compressor {
    level: i32,
    /// 8-byte words, because the library wants its state aligned to a pointer.
    state: Vec<u64>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("lz4::Compressor").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Compressor {
    pub(super) fn new(level: i32) -> Self {
        let words = if level < HIGH_COMPRESSION_FROM {
            0
        } else {
            // SAFETY: the function takes nothing and returns a constant.
            let bytes = unsafe { LZ4_sizeofStateHC() };
            (bytes as usize).div_ceil(8)
        };
        Compressor { level, state: vec![0; words] }
    }

    pub(super) fn compress(&mut self, chunk: &[u8], output: &mut [u8]) -> Result<usize, String> {
        let (prefix, block) = output.split_at_mut(PREFIX_BYTES);
        prefix.copy_from_slice(&(chunk.len() as u32).to_le_bytes());
        let (source, size) = (chunk.as_ptr().cast::<c_char>(), chunk.len() as c_int);
        let (destination, capacity) =
            (block.as_mut_ptr().cast::<c_char>(), c_int::try_from(block.len()).unwrap_or(c_int::MAX));
        let written = if self.level < HIGH_COMPRESSION_FROM {
            // SAFETY: both pointers are valid for the lengths given with them.
            unsafe { lz4_sys::LZ4_compress_default(source, destination, size, capacity) }
        } else {
            let state = self.state.as_mut_ptr().cast::<c_void>();
            // SAFETY: as above, and `state` has the size and alignment the library asked for.
            unsafe { LZ4_compress_HC_extStateHC(state, source, destination, size, capacity, self.level) }
        };
        if written <= 0 {
            return Err(format!("the library returned {written}"));
        }
        Ok(PREFIX_BYTES + written as usize)
    }
}

pub(super) fn bound(chunk_bytes: usize) -> usize {
    // LZ4's documented worst case: one length byte per 255 literals, and 16 bytes.
    PREFIX_BYTES + chunk_bytes + chunk_bytes / 255 + 16
}

pub(super) fn decompress(stored: &[u8], output: &mut [u8]) -> Result<usize, String> {
    let (prefix, block) = stored.split_first_chunk::<PREFIX_BYTES>().ok_or("shorter than its size prefix")?;
    let claimed = u32::from_le_bytes(*prefix) as usize;
    if claimed != output.len() {
        return Ok(claimed);
    }
    let (source, size) =
        (block.as_ptr().cast::<c_char>(), c_int::try_from(block.len()).map_err(|_| "longer than 2 GiB")?);
    let (destination, capacity) =
        (output.as_mut_ptr().cast::<c_char>(), c_int::try_from(output.len()).map_err(|_| "longer than 2 GiB")?);
    // SAFETY: both pointers are valid for the lengths given with them; the library checks the block.
    let written = unsafe { lz4_sys::LZ4_decompress_safe(source, destination, size, capacity) };
    usize::try_from(written).map_err(|_| format!("the library returned {written}"))
}
