//! Reads a finished store back and compares it with checksums taken while it was written.
//!
//! A slab is everything that shares one chunk coordinate of the first dimension. Its CRC32C is taken from the input, and again from
//! the decoded chunks; the levels of a pyramid have no input to compare with, so of those every index and chunk is decoded.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::ProgramError;
use crate::codec::Codec;
use crate::config::ArrayConfig;
use crate::error::Error;
use crate::geometry::{ArrayGeometry, LevelGeometry, unravel};
use crate::shard::ShardIndex;

/// Checksums of the input, slab by slab.
pub(super) struct Checksums {
    slab_bytes: u64,
    filled: u64,
    current: u32,
    done: Vec<u32>,
}

/// What was read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verified {
    /// Chunks decoded, over all levels.
    pub(super) chunks: u64,
    /// Bytes of input whose checksum was found again.
    pub(super) compared_bytes: u64,
}

/// Input bytes of one slab.
pub(super) fn slab_bytes(geometry: &ArrayGeometry) -> u64 {
    let level = &geometry.levels[0];
    let frame: u64 = level.shape[1..].iter().product();
    level.chunk_shape[0] * frame * geometry.dtype.size_bytes() as u64
}

impl Checksums {
    pub(super) fn new(slab_bytes: u64) -> Self {
        Checksums { slab_bytes, filled: 0, current: 0, done: Vec::new() }
    }

    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let take = (self.slab_bytes - self.filled).min(bytes.len() as u64);
            let (now, later) = bytes.split_at(take as usize);
            self.current = crc32c::crc32c_append(self.current, now);
            self.filled += take;
            if self.filled == self.slab_bytes {
                self.done.push(std::mem::take(&mut self.current));
                self.filled = 0;
            }
            bytes = later;
        }
    }

    pub(super) fn finish(mut self) -> Vec<u32> {
        if self.filled > 0 {
            self.done.push(self.current);
        }
        self.done
    }
}

/// Compares the store at `root` with `expected`, one checksum per slab of the `cursor` elements that were written.
pub(super) fn verify(
    root: &Path,
    config: &ArrayConfig,
    geometry: &ArrayGeometry,
    cursor: u64,
    expected: Vec<u32>,
) -> Result<Verified, ProgramError> {
    let codec = Codec::new(config.codec(), geometry.chunk_bytes, geometry.dtype.size_bytes());
    let mut verified = Verified { chunks: 0, compared_bytes: 0 };
    let mut left = cursor * geometry.dtype.size_bytes() as u64;
    for (index, level) in geometry.levels.iter().enumerate() {
        let folder = if geometry.is_multiscale() { root.join(index.to_string()) } else { root.to_owned() };
        let mut store = Store { folder, level, codec, shards: HashMap::new(), element: geometry.dtype.size_bytes() };
        let slabs = geometry.final_extent(index, cursor).div_ceil(level.chunk_shape[0]);
        for slab in 0..slabs {
            let bytes = store.slab(slab, &mut verified.chunks)?;
            if index > 0 {
                continue;
            }
            let valid = left.min(bytes.len() as u64);
            let found = crc32c::crc32c(&bytes[..valid as usize]);
            if expected.get(slab as usize) != Some(&found) {
                let first = slab * level.chunk_shape[0];
                let message = format!(
                    "elements {first} to {} of dimension 0 differ from the input",
                    first + level.chunk_shape[0] - 1
                );
                return Err(ProgramError::Verify(message));
            }
            if bytes[valid as usize..].iter().any(|&byte| byte != 0) {
                return Err(ProgramError::Verify("what follows the last element is not zero".into()));
            }
            left -= valid;
            verified.compared_bytes += valid;
        }
    }
    if left > 0 {
        return Err(ProgramError::Verify(format!("the last {left} B of the input are not in the store")));
    }
    Ok(verified)
}

/// An open shard: its file, and where its chunks are.
type Shard = (File, Vec<Option<(u64, u64)>>);

/// The shards of one level, opened when a slab needs them.
struct Store<'a> {
    folder: PathBuf,
    level: &'a LevelGeometry,
    codec: Codec,
    shards: HashMap<u64, Shard>,
    element: usize,
}

impl Store<'_> {
    /// The elements of one slab in C order, unpadded except along dimension 0.
    fn slab(&mut self, slab: u64, decoded: &mut u64) -> Result<Vec<u8>, ProgramError> {
        let level = self.level;
        let rank = level.shape.len();
        let inner: u64 = level.chunk_counts[1..].iter().product();
        let mut wanted = Vec::with_capacity(inner as usize);
        let mut generation = None;
        for flat in 0..inner {
            let mut at = vec![0; rank];
            unravel(flat, &level.chunk_counts[1..], &mut at[1..]);
            at[0] = slab;
            let (mut shard, mut slot) = (at[0] / level.chunks_per_shard[0], at[0] % level.chunks_per_shard[0]);
            let first = *generation.get_or_insert(shard);
            for (dimension, &coordinate) in at.iter().enumerate().skip(1) {
                let count = level.chunks_per_shard[dimension];
                shard = shard * level.shard_counts[dimension] + coordinate / count;
                slot = slot * count + coordinate % count;
            }
            let shards_per_generation: u64 = level.shard_counts[1..].iter().product();
            self.shards.retain(|open, _| open / shards_per_generation == first);
            if !self.shards.contains_key(&shard) {
                let opened = self.open(shard)?;
                self.shards.insert(shard, opened);
            }
            wanted.push((at, shard, slot as usize));
        }
        let chunk_bytes = level.chunk_elements as usize * self.element;
        let chunks: Vec<Result<Vec<u8>, ProgramError>> = wanted
            .par_iter()
            .map(|(at, shard, slot)| {
                let (file, entries) = &self.shards[shard];
                let damaged = |reason: String| {
                    ProgramError::Verify(format!("{}, chunk {at:?}: {reason}", level.shard_key(*shard)))
                };
                let (offset, length) = entries[*slot].ok_or_else(|| damaged("missing".into()))?;
                let mut stored = vec![0; length as usize];
                file.read_exact_at(&mut stored, offset).map_err(|error| damaged(error.to_string()))?;
                let mut chunk = vec![0; chunk_bytes];
                self.codec.decompress(&stored, &mut chunk).map_err(|error| damaged(error.to_string()))?;
                Ok(chunk)
            })
            .collect();
        let mut extents = level.shape.clone();
        extents[0] = level.chunk_shape[0];
        let mut bytes = vec![0; extents.iter().product::<u64>() as usize * self.element];
        for ((at, ..), chunk) in wanted.iter().zip(chunks) {
            self.place(at, &chunk?, &extents, &mut bytes);
            *decoded += 1;
        }
        Ok(bytes)
    }

    /// Copies the rows of a chunk that lie inside the slab.
    fn place(&self, at: &[u64], chunk: &[u8], extents: &[u64], slab: &mut [u8]) {
        let shape = &self.level.chunk_shape;
        let rank = shape.len();
        let row = shape[rank - 1];
        let mut inside = vec![0; rank];
        for first in (0..self.level.chunk_elements).step_by(row as usize) {
            unravel(first, shape, &mut inside);
            let place = |dimension: usize| {
                inside[dimension] + if dimension == 0 { 0 } else { at[dimension] * shape[dimension] }
            };
            if (0..rank).any(|dimension| place(dimension) >= extents[dimension]) {
                continue;
            }
            let run = row.min(extents[rank - 1] - place(rank - 1)) as usize * self.element;
            let to = (0..rank).fold(0, |flat, dimension| flat * extents[dimension] + place(dimension)) as usize
                * self.element;
            slab[to..to + run].copy_from_slice(&chunk[first as usize * self.element..][..run]);
        }
    }

    fn open(&self, flat: u64) -> Result<Shard, ProgramError> {
        let path = self.folder.join(self.level.shard_key(flat));
        let read = || -> io::Result<(File, u64, Vec<u8>)> {
            let file = File::open(&path)?;
            let length = file.metadata()?.len();
            let mut index = vec![0; ShardIndex::encoded_bytes(self.level.shard_chunks() as usize).min(length as usize)];
            let behind = length - index.len() as u64;
            file.read_exact_at(&mut index, behind)?;
            Ok((file, length, index))
        };
        let (file, length, index) = read().map_err(|error| ProgramError::io(&path, error))?;
        let data_bytes = length - index.len() as u64;
        let entries = ShardIndex::parse_index(&index, self.level.shard_chunks() as usize, data_bytes);
        let entries = entries.map_err(|error: Error| ProgramError::Verify(format!("{}: {error}", path.display())))?;
        Ok((file, entries))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{CodecConfig, Dimension};
    use crate::dtype::DataType;
    use crate::sink::{FileOptions, FileSink, Sink};
    use crate::testing::PlainWriter;

    #[test]
    fn checksums_do_not_depend_on_the_slices() {
        let bytes: Vec<u8> = (0..100).collect();
        let sums = |step| {
            let mut sums = Checksums::new(30);
            bytes.chunks(step).for_each(|slice| sums.add(slice));
            sums.finish()
        };
        let whole: Vec<u32> = bytes.chunks(30).map(crc32c::crc32c).collect();
        for step in [1, 7, 30, 31, 100] {
            assert_eq!(sums(step), whole, "slices of {step}");
        }
        assert!(Checksums::new(30).finish().is_empty());
    }

    /// A store of 5×6×7 bytes at a folder of its own, its input and its geometry.
    fn store(name: &str, codec: CodecConfig) -> (PathBuf, ArrayConfig, Vec<u8>) {
        let root = std::env::current_exe().unwrap().parent().unwrap().join("scratch").join(name);
        let _ = std::fs::remove_dir_all(&root);
        let config = ArrayConfig::builder(DataType::U8)
            .dimension(Dimension::unbounded("t").chunk(2).chunks_per_shard(2))
            .dimension(Dimension::bounded("y", 6).chunk(4).chunks_per_shard(1))
            .dimension(Dimension::bounded("x", 7).chunk(3))
            .codec(codec)
            .build()
            .unwrap();
        let input: Vec<u8> = (0..5 * 42).map(|value| value as u8 + 1).collect();
        let sink = Arc::new(FileSink::new(&root, FileOptions::default()).unwrap());
        PlainWriter::write(&config, 1, sink.as_ref() as &dyn Sink, &input);
        (root, config, input)
    }

    fn verified(root: &Path, config: &ArrayConfig, input: &[u8]) -> Result<Verified, ProgramError> {
        let geometry = ArrayGeometry::new(config, 1).unwrap();
        let mut sums = Checksums::new(slab_bytes(&geometry));
        sums.add(input);
        verify(root, config, &geometry, input.len() as u64, sums.finish())
    }

    #[test]
    fn a_store_equals_its_input_and_any_damage_is_found() {
        for (name, codec) in [("verify-none", CodecConfig::None), ("verify-zstd", CodecConfig::Zstd { level: 1 })] {
            let (root, config, input) = store(name, codec);
            assert_eq!(verified(&root, &config, &input).unwrap(), Verified { chunks: 18, compared_bytes: 210 });
            let mut other = input.clone();
            other[100] ^= 1;
            assert!(
                matches!(verified(&root, &config, &other), Err(ProgramError::Verify(text)) if text.contains("2 to 3"))
            );
            assert!(verified(&root, &config, &[&input[..], &[1]].concat()).is_err(), "the store is one element short");
            assert!(verified(&root, &config, &input[..209]).is_err(), "the store has one element more");
            let shard = root.join("c/0/1/0");
            let good = std::fs::read(&shard).unwrap();
            // The first element or the frame's magic number, an entry of the index, its checksum.
            for byte in [0, good.len() - 20, good.len() - 1] {
                let mut damaged = good.clone();
                damaged[byte] ^= 1;
                std::fs::write(&shard, damaged).unwrap();
                let found = verified(&root, &config, &input);
                assert!(matches!(found, Err(ProgramError::Verify(_))), "byte {byte} of {name}: {found:?}");
            }
            std::fs::remove_file(&shard).unwrap();
            assert!(matches!(verified(&root, &config, &input), Err(ProgramError::Io { .. })));
        }
    }
}
