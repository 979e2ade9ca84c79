//! The index at the end of a shard.

use crate::error::Error;

/// Bytes of one entry: offset and length, 8 little-endian bytes each.
pub const INDEX_ENTRY_BYTES: usize = 16;
/// Bytes of the checksum behind the entries.
const CHECKSUM_BYTES: usize = 4;
/// Both halves of the entry of a chunk that was never written.
const MISSING: u64 = u64::MAX;

/// An index being filled. Entries are in C order of the chunk's coordinates in the shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardIndex {
    bytes: Vec<u8>,
}

impl ShardIndex {
    /// An index of `chunks` missing chunks.
    #[must_use]
    pub fn new(chunks: usize) -> Self {
        ShardIndex { bytes: vec![0xFF; chunks * INDEX_ENTRY_BYTES] }
    }

    /// Bytes of an index of `chunks` chunks with its checksum.
    #[must_use]
    pub const fn encoded_bytes(chunks: usize) -> usize {
        chunks * INDEX_ENTRY_BYTES + CHECKSUM_BYTES
    }

    /// Marks every chunk missing.
    pub fn clear(&mut self) {
        self.bytes.fill(0xFF);
    }

    /// Sets where a chunk is.
    ///
    /// # Panics
    ///
    /// When `slot` is not below the number of chunks.
    pub fn set(&mut self, slot: usize, offset: u64, length: u64) {
        let entry = &mut self.bytes[slot * INDEX_ENTRY_BYTES..][..INDEX_ENTRY_BYTES];
        entry[..8].copy_from_slice(&offset.to_le_bytes());
        entry[8..].copy_from_slice(&length.to_le_bytes());
    }

    /// Appends the entries and their checksum to `output`.
    pub fn encode_into(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.bytes);
        output.extend_from_slice(&crc32c::crc32c(&self.bytes).to_le_bytes());
    }

    /// The entries of a stored shard of `chunks` chunks: offset and length, or `None` where the chunk is missing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the shard is shorter than its index, the checksum is wrong, or an entry points outside.
    pub fn parse(shard: &[u8], chunks: usize) -> Result<Vec<Option<(u64, u64)>>, Error> {
        let data = shard.len().saturating_sub(ShardIndex::encoded_bytes(chunks));
        ShardIndex::parse_index(&shard[data..], chunks, data as u64)
    }

    /// As [`ShardIndex::parse`] from the index alone, behind `data_bytes` of chunks.
    ///
    /// # Errors
    ///
    /// As [`ShardIndex::parse`].
    pub fn parse_index(index: &[u8], chunks: usize, data_bytes: u64) -> Result<Vec<Option<(u64, u64)>>, Error> {
        if index.len() != ShardIndex::encoded_bytes(chunks) {
            let message = format!("an index of {chunks} chunks does not fit {} B", index.len());
            return Err(Error::invalid_input(message));
        }
        let (entries, checksum) = index.split_at(chunks * INDEX_ENTRY_BYTES);
        let (stored, computed) = (checksum, crc32c::crc32c(entries).to_le_bytes());
        if stored != computed {
            let message = format!("the shard index has checksum {stored:02x?}, computed {computed:02x?}");
            return Err(Error::invalid_input(message));
        }
        let half = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        let inside = |offset: u64, length| offset.checked_add(length).is_some_and(|end: u64| end <= data_bytes);
        entries
            .chunks_exact(INDEX_ENTRY_BYTES)
            .enumerate()
            .map(|(slot, entry)| match (half(&entry[..8]), half(&entry[8..])) {
                (MISSING, MISSING) => Ok(None),
                (offset, length) if inside(offset, length) => Ok(Some((offset, length))),
                (offset, length) => Err(Error::invalid_input(format!(
                    "chunk {slot} of a shard is said to be {length} B at {offset}, but the shard has {data_bytes} B of chunks"
                ))),
            })
            .collect()
    }
}
