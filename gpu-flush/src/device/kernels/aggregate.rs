//! Packing a batch by shard: sizes in shard order, their running sum, the carried tails, the bytes.
//!
//! An index buffer holds the sizes of all entries and, behind them, their offsets, 8 bytes each. A table buffer holds, for each
//! chunk that delivers, its place in the pool and its entry (4 bytes each), and behind those the shard table.

use super::SHARD_LINE_BYTES;
use super::parallel::{SharedBytes, for_each};
use super::words::{get_u32, get_u64, put_u64};
use crate::device::DeviceError;
use crate::device::views::Views;

/// Sizes by entry, and their exclusive running sum.
///
/// Accesses: \[0\] the index, \[1\] the entry of each chunk, \[2\] the compressed sizes (absent without compression).
#[derive(Debug, Clone, Copy)]
pub struct Scan {
    /// Chunks that deliver.
    pub chunks: usize,
    /// Entries, sentinels included.
    pub entries: usize,
    /// The size of every chunk when nothing is compressed.
    pub passthrough_bytes: Option<u64>,
}

impl Scan {
    pub(super) fn run(&self, views: &Views<'_>) -> Result<(), DeviceError> {
        let (sizes, offsets) = views.write(0, 0..self.entries * 16)?.split_at_mut(self.entries * 8);
        let entries = views.read(1, 0..self.chunks * 4)?;
        sizes.fill(0);
        match self.passthrough_bytes {
            Some(bytes) => (0..self.chunks).for_each(|chunk| put_u64(sizes, get_u32(entries, chunk) as usize, bytes)),
            None => {
                let compressed = views.read(2, 0..self.chunks * 8)?;
                for chunk in 0..self.chunks {
                    put_u64(sizes, get_u32(entries, chunk) as usize, get_u64(compressed, chunk));
                }
            }
        }
        let mut offset = 0;
        for entry in 0..self.entries {
            put_u64(offsets, entry, offset);
            offset += get_u64(sizes, entry);
        }
        Ok(())
    }
}

/// One line of the shard table.
#[derive(Debug, Clone, Copy)]
struct ShardLine {
    first_entry: usize,
    entries: usize,
    base: u64,
    number: usize,
}

impl ShardLine {
    fn read(table: &[u8], line: usize) -> Self {
        let word = |word| get_u64(table, line * (SHARD_LINE_BYTES as usize / 8) + word);
        Self { first_entry: word(0) as usize, entries: word(1) as usize, base: word(2), number: word(3) as usize }
    }
}

/// Moves each shard's offsets to its own region, behind its carried tail.
///
/// Accesses: \[0\] the index, \[1\] the shard table, \[2\] the tail lengths (absent without tails).
#[derive(Debug, Clone, Copy)]
pub struct Bias {
    /// Shards of all levels.
    pub shards: usize,
    /// Entries, sentinels included.
    pub entries: usize,
    /// Shards carry tails.
    pub tails: bool,
}

impl Bias {
    pub(super) fn run(&self, views: &Views<'_>) -> Result<(), DeviceError> {
        let (_, offsets) = views.write(0, 0..self.entries * 16)?.split_at_mut(self.entries * 8);
        let table = views.read_all(1)?;
        let lengths = if self.tails { Some(views.read(2, 0..self.shards * 8)?) } else { None };
        for line in 0..self.shards {
            let shard = ShardLine::read(table, line);
            if shard.entries == 0 {
                continue;
            }
            let first = get_u64(offsets, shard.first_entry);
            let base = shard.base + lengths.map_or(0, |lengths| get_u64(lengths, shard.number));
            for entry in shard.first_entry..shard.first_entry + shard.entries {
                let offset = get_u64(offsets, entry);
                put_u64(offsets, entry, offset - first + base);
            }
        }
        Ok(())
    }
}

/// Copies each shard's carried tail to the front of its region.
///
/// Accesses: \[0\] the aggregate, \[1\] the shard table, \[2\] the tail state: lengths, then one page per shard.
#[derive(Debug, Clone, Copy)]
pub struct TailCopy {
    /// Lines of the shard table.
    pub shards: usize,
    /// Bytes of a page.
    pub page_bytes: usize,
}

impl TailCopy {
    pub(super) fn run(&self, views: &Views<'_>) -> Result<(), DeviceError> {
        if !views.is_backed(0) || !views.is_backed(2) {
            return Ok(());
        }
        let (aggregate, table, state) = (views.write_all(0)?, views.read_all(1)?, views.read_all(2)?);
        let (lengths, pages) = state.split_at(self.shards * 8);
        for line in 0..self.shards {
            let shard = ShardLine::read(table, line);
            let length = get_u64(lengths, shard.number) as usize;
            if shard.entries == 0 || length == 0 {
                continue;
            }
            let page = &pages[shard.number * self.page_bytes..][..length];
            aggregate[shard.base as usize..][..length].copy_from_slice(page);
        }
        Ok(())
    }
}

/// Copies chunk bytes to their offsets.
///
/// Accesses: \[0\] the aggregate, \[1\] the index, \[2\] the entry of each chunk, \[3\] the compressed chunks, or the chunk pool
/// and \[4\] the gather table.
#[derive(Debug, Clone, Copy)]
pub struct Gather {
    /// Chunks that deliver.
    pub chunks: usize,
    /// Entries, sentinels included.
    pub entries: usize,
    /// Bytes from one chunk to the next in the source.
    pub stride_bytes: usize,
    /// The source is the chunk pool.
    pub passthrough: bool,
}

impl Gather {
    pub(super) fn run(&self, views: &Views<'_>, workers: Option<&rayon::ThreadPool>) -> Result<(), DeviceError> {
        if !views.is_backed(0) {
            return Ok(());
        }
        let (sizes, offsets) = views.read(1, 0..self.entries * 16)?.split_at(self.entries * 8);
        let entries = views.read(2, 0..self.chunks * 4)?;
        let source = views.read_all(3)?;
        let gather = if self.passthrough { Some(views.read(4, 0..self.chunks * 4)?) } else { None };
        let aggregate = SharedBytes::new(views.write_all(0)?);
        for_each(workers, self.chunks, source.len(), |chunk| {
            let entry = get_u32(entries, chunk) as usize;
            let place = gather.map_or(chunk, |gather| get_u32(gather, chunk) as usize);
            let (offset, size) = (get_u64(offsets, entry) as usize, get_u64(sizes, entry) as usize);
            // SAFETY: entries are distinct, so the running sum gives each chunk bytes of its own.
            let to = unsafe { aggregate.part(offset, size) };
            to.copy_from_slice(&source[place * self.stride_bytes..][..size]);
            Ok(())
        })
    }
}
