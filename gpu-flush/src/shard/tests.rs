//! Shard files byte by byte.

use std::sync::Mutex;

use super::{INDEX_ENTRY_BYTES, ShardIndex};
use crate::codec::Codec;
use crate::config::{ArrayBuilder, ArrayConfig, BloscCompressor, BloscShuffle, CodecConfig, Dimension};
use crate::dtype::DataType;
use crate::error::Error;
use crate::sink::{MemorySink, ShardFile, Sink, StableBytes};
use crate::testing::PlainWriter;

fn ramp(elements: usize) -> Vec<u8> {
    (0..elements).flat_map(|value| (value as u16).to_le_bytes()).collect()
}

/// A u16 array with these (name, size, chunk, chunks per shard).
fn array(dimensions: &[(&str, u64, u64, u64)]) -> ArrayBuilder {
    let dimensions = dimensions.iter().map(|&(name, size, chunk, per_shard)| {
        let dimension = if size == 0 { Dimension::unbounded(name) } else { Dimension::bounded(name, size) };
        dimension.chunk(chunk).chunks_per_shard(per_shard)
    });
    ArrayConfig::builder(DataType::U16).dimensions(dimensions.collect())
}

/// Claims FLUSH-030.
#[test]
fn the_worked_shard_has_its_worked_bytes() {
    let config = array(&[("t", 4, 2, 2), ("y", 4, 2, 2), ("x", 6, 3, 2)]).build().unwrap();
    for epochs in [1, 2] {
        let sink = MemorySink::new();
        PlainWriter::write(&config, epochs, &sink, &ramp(96));
        let shard = sink.get("c/0/0/0").unwrap().unwrap();
        assert_eq!(shard.len(), 324);
        assert_eq!(sink.objects().len(), 2, "one shard and one document");
        for chunk in 0..8u64 {
            let entry = &shard[192 + chunk as usize * INDEX_ENTRY_BYTES..][..INDEX_ENTRY_BYTES];
            assert_eq!(entry[..8], (24 * chunk).to_le_bytes());
            assert_eq!(entry[8..], 24u64.to_le_bytes());
        }
        assert_eq!(shard[320..], 0x771A_4DBEu32.to_le_bytes());
        let chunk: Vec<u16> = shard[..24].as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect();
        assert_eq!(chunk, [0, 1, 2, 6, 7, 8, 24, 25, 26, 30, 31, 32]);
    }
}

/// Claims FLUSH-031.
#[test]
fn the_checksum_is_crc32c() {
    assert_eq!(crc32c::crc32c(b"123456789"), 0xE306_9283);
    assert_eq!(crc32c::crc32c(&[0xFF; 16]), 0xEF2F_4C10);
    let mut index = ShardIndex::new(4);
    for (slot, offset) in [0, 24, 48].into_iter().enumerate() {
        index.set(slot, offset, 24);
    }
    let mut bytes = Vec::new();
    index.encode_into(&mut bytes);
    assert_eq!(bytes[64..], 0x8CBF_FDA8u32.to_le_bytes());
    let shard = [vec![0; 72], bytes].concat();
    assert_eq!(ShardIndex::parse(&shard, 4).unwrap(), [Some((0, 24)), Some((24, 24)), Some((48, 24)), None]);
    for bit in 0..(16 * 4 + 4) * 8 {
        let mut damaged = shard.clone();
        damaged[72 + bit / 8] ^= 1 << (bit % 8);
        assert!(ShardIndex::parse(&damaged, 4).is_err(), "bit {bit}");
    }
    assert!(ShardIndex::parse(&shard[..40], 4).is_err());
}

#[test]
fn an_entry_that_points_outside_its_shard_is_refused() {
    for (offset, length) in [(0, 73), (72, 1), (u64::MAX - 1, 1), (u64::MAX, 0), (u64::MAX - 5, 10)] {
        let mut index = ShardIndex::new(1);
        index.set(0, offset, length);
        let mut shard = vec![0; 72];
        index.encode_into(&mut shard);
        assert!(ShardIndex::parse(&shard, 1).is_err(), "({offset}, {length})");
    }
}

/// What a sink was asked to do with one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    Copy(u64, usize),
    Stable(u64, usize),
    Truncate(u64),
    End,
}

/// Records calls by key, and checks that stable bytes are page-aligned.
#[derive(Debug, Default)]
struct CallSink {
    memory: MemorySink,
    calls: std::sync::Arc<Mutex<Vec<(String, Call)>>>,
}

impl CallSink {
    fn with_pages(page_bytes: usize) -> Self {
        CallSink { memory: MemorySink::with_pages(page_bytes), ..CallSink::default() }
    }

    fn of(&self, key: &str) -> Vec<Call> {
        self.calls.lock().unwrap().iter().filter(|(of, _)| of == key).map(|(_, call)| call.clone()).collect()
    }
}

#[derive(Debug)]
struct CallFile {
    key: String,
    file: Box<dyn ShardFile>,
    calls: std::sync::Arc<Mutex<Vec<(String, Call)>>>,
    aligned: bool,
}

impl CallFile {
    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push((self.key.clone(), call));
    }
}

impl Sink for CallSink {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error> {
        let (calls, aligned) = (self.calls.clone(), self.page_bytes() > 0);
        Ok(Box::new(CallFile { key: key.into(), file: self.memory.open(key)?, calls, aligned }))
    }
    fn put(&self, key: &str, document: &[u8]) -> Result<(), Error> {
        self.memory.put(key, document)
    }
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.memory.get(key)
    }
    fn page_bytes(&self) -> usize {
        self.memory.page_bytes()
    }
}

impl ShardFile for CallFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.note(Call::Copy(offset, bytes.len()));
        self.file.write(offset, bytes)
    }
    fn write_stable(&mut self, offset: u64, bytes: StableBytes) -> Result<(), Error> {
        assert!(!self.aligned || (bytes.as_ptr() as usize).is_multiple_of(4096), "stable bytes off a page");
        self.note(Call::Stable(offset, bytes.len()));
        self.file.write(offset, bytes.as_slice())
    }
    fn truncate(&mut self, length_bytes: u64) -> Result<(), Error> {
        self.note(Call::Truncate(length_bytes));
        self.file.truncate(length_bytes)
    }
    fn finalize(&mut self) -> Result<(), Error> {
        self.note(Call::End);
        self.file.finalize()
    }
}

/// Claims FLUSH-032.
#[test]
fn one_batch_may_close_several_shards() {
    let config = array(&[("t", 0, 1, 1), ("y", 128, 64, 1), ("x", 96, 96, 1)]).build().unwrap();
    let input = ramp(4 * 128 * 96);
    for page in [0, 4096] {
        let sink = CallSink::with_pages(page);
        let writer = PlainWriter::write(&config, 4, &sink, &input);
        assert_eq!(writer.delivered.closed_shards, 8);
        for inner in 0..2 {
            let order: Vec<String> = (0..4).map(|generation| format!("c/{generation}/{inner}/0")).collect();
            let calls = sink.calls.lock().unwrap();
            let ends = calls.iter().filter(|(key, call)| *call == Call::End && key.ends_with(&format!("/{inner}/0")));
            assert_eq!(ends.map(|(key, _)| key.clone()).collect::<Vec<_>>(), order);
            drop(calls);
            for (generation, key) in order.iter().enumerate() {
                let shard = sink.get(key).unwrap().unwrap();
                // One chunk of 12288 B, three pages exactly; only its footer is below a page.
                assert_eq!(ShardIndex::parse(&shard, 1).unwrap(), [Some((0, 12_288))]);
                let first = (generation * 128 + inner * 64) * 96 * 2;
                assert!(shard[..12_288] == input[first..first + 12_288], "{key}");
            }
        }
        if page == 0 {
            assert_eq!(sink.of("c/1/0/0")[0], Call::Stable(0, 12_288));
        }
    }
    // Chunks of 12292 B leave the runs behind the first closing off their page: those are copied.
    let config = array(&[("t", 0, 1, 1), ("y", 4, 2, 1), ("x", 3073, 3073, 1)]).build().unwrap();
    let sink = CallSink::with_pages(4096);
    PlainWriter::write(&config, 4, &sink, &ramp(4 * 4 * 3073));
    assert_eq!(sink.of("c/0/0/0")[0], Call::Stable(0, 12_288));
    for generation in 1..4 {
        assert_eq!(sink.of(&format!("c/{generation}/0/0"))[0], Call::Copy(0, 12_288));
    }
}

/// Claims FLUSH-033.
#[test]
fn a_partial_last_shard_lists_its_missing_chunks() {
    let config = array(&[("t", 0, 1, 4), ("y", 4, 2, 2)]).build().unwrap();
    for page in [0, 4096] {
        let sink = MemorySink::with_pages(page);
        PlainWriter::write(&config, 2, &sink, &ramp(5 * 4));
        let entries = |key| ShardIndex::parse(&sink.get(key).unwrap().unwrap(), 8).unwrap();
        assert!(entries("c/0/0").iter().all(Option::is_some));
        let last = entries("c/1/0");
        assert_eq!(last[..2], [Some((0, 4)), Some((4, 4))]);
        assert_eq!(last[2..], [None; 6]);
        let raw = sink.get("c/1/0").unwrap().unwrap();
        assert_eq!(raw[8 + 2 * INDEX_ENTRY_BYTES..][..6 * INDEX_ENTRY_BYTES], [0xFF; 96]);
    }
}

/// A small generator of numbers, so that a failure repeats.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Claims FLUSH-034 (memory sink with and without pages; the file sink's tests compare its stores with these).
#[test]
fn shards_have_no_gaps_and_the_length_of_their_parts() {
    let codecs = [
        CodecConfig::None,
        CodecConfig::Zstd { level: 3 },
        CodecConfig::Lz4 { level: 1 },
        CodecConfig::Blosc { compressor: BloscCompressor::Lz4, level: 5, shuffle: BloscShuffle::Byte },
        CodecConfig::Blosc { compressor: BloscCompressor::Zstd, level: 5, shuffle: BloscShuffle::Bit },
    ];
    let mut numbers = Numbers(7);
    for round in 0..50 {
        let rank = 2 + numbers.below(3);
        let mut dimensions = vec![("t", 0, 1 + numbers.below(3), 1 + numbers.below(4))];
        for name in &["z", "y", "x"][..rank as usize - 1] {
            let size = 1 + numbers.below(40);
            dimensions.push((name, size, 1 + numbers.below(size), numbers.below(4)));
        }
        // Append dimensions below the first must fit one shard.
        for dimension in &mut dimensions[1..] {
            if dimension.2 == 1 {
                dimension.3 = 0;
            }
        }
        let codec = codecs[round % codecs.len()];
        let config = array(&dimensions).codec(codec).build().unwrap();
        let frame: u64 = dimensions[1..].iter().map(|dimension| dimension.1).product();
        let input = ramp((frame * (1 + numbers.below(9))) as usize);
        let epochs = 1 + numbers.below(5) as u32;
        let stores = [0, 4096].map(|page| {
            let sink = MemorySink::with_pages(page);
            let writer = PlainWriter::write(&config, epochs, &sink, &input);
            let chunks = writer.geometry.levels[0].shard_chunks() as usize;
            for (key, shard) in sink.objects().iter().filter(|(key, _)| key.starts_with("c/")) {
                let mut entries: Vec<_> = ShardIndex::parse(shard, chunks).unwrap().into_iter().flatten().collect();
                entries.sort();
                let mut end = 0;
                for (offset, length) in entries {
                    assert_eq!(offset, end, "round {round}, {key}: a gap");
                    let codec = Codec::new(codec, writer.geometry.chunk_bytes, 2);
                    let stored = &shard[offset as usize..(offset + length) as usize];
                    codec.decompress(stored, &mut vec![0; writer.geometry.chunk_bytes]).unwrap();
                    end = offset + length;
                }
                assert_eq!(shard.len() as u64, end + 16 * chunks as u64 + 4, "round {round}, {key}");
            }
            sink.objects()
        });
        assert!(stores[0] == stores[1], "round {round}: pages change the store");
    }
}

/// u16 t×144×80 in chunks of 1×72×40 (5760 B), as many epochs per shard as `epochs_per_shard`, batches of two.
fn carried(epochs_per_shard: u64, page: usize) -> (CallSink, PlainWriter) {
    let config = array(&[("t", 32, 1, epochs_per_shard), ("y", 144, 72, 2), ("x", 80, 40, 2)]).build().unwrap();
    let sink = CallSink::with_pages(page);
    let writer = PlainWriter::write(&config, 2, &sink, &ramp(32 * 144 * 80));
    (sink, writer)
}

/// Part of FLUSH-083: the arithmetic and the calls; the engine's tests run it in every schedule shape.
#[test]
fn a_tail_is_carried_from_batch_to_batch() {
    let (sink, writer) = carried(32, 4096);
    let cycle = [
        (0, 46_080, 45_056, 1024),
        (1024, 47_104, 45_056, 2048),
        (2048, 48_128, 45_056, 3072),
        (3072, 49_152, 49_152, 0),
    ];
    let mut cursor = 0;
    for (batch, trace) in writer.trace[..15].iter().enumerate() {
        let (tail_in, total, written, tail_out) = cycle[batch % 4];
        cursor += written;
        assert_eq!(*trace, (tail_in, total, written, tail_out, cursor), "batch {}", batch + 1);
    }
    let calls = sink.of("c/0/0/0");
    let last = [Call::Stable(688_128, 49_152), Call::Copy(737_280, 4096), Call::Truncate(739_332), Call::End];
    assert_eq!(calls[15..], last);
    let stored = sink.get("c/0/0/0").unwrap().unwrap();
    assert_eq!(stored.len(), 739_332);
    assert!(stored == carried(32, 0).0.get("c/0/0/0").unwrap().unwrap(), "the unaligned file");
}

/// Part of FLUSH-084, as above.
#[test]
fn a_closed_shard_leaves_no_tail_behind() {
    let (sink, writer) = carried(4, 4096);
    assert_eq!(writer.trace[2].0, 0, "batch 3 starts with no tail");
    let plain = carried(4, 0).0;
    for generation in 0..8 {
        let key = format!("c/{generation}/0/0");
        assert_eq!(
            sink.of(&key),
            [
                Call::Stable(0, 45_056),
                Call::Stable(45_056, 45_056),
                Call::Copy(90_112, 4096),
                Call::Truncate(92_420),
                Call::End,
            ]
        );
        assert!(sink.get(&key).unwrap() == plain.get(&key).unwrap(), "{key}");
    }
}

/// Claims FLUSH-035.
#[test]
fn a_page_aligned_sink_gets_pages_one_footer_one_truncate_and_one_end() {
    let config = array(&[("t", 0, 1, 4), ("y", 100, 50, 1), ("x", 90, 90, 1)]).build().unwrap();
    let sink = CallSink::with_pages(4096);
    let writer = PlainWriter::write(&config, 3, &sink, &ramp(9 * 100 * 90));
    let (mut stable, mut copied) = (0, 0);
    let keys: Vec<String> = sink.memory.objects().into_keys().filter(|key| key.starts_with("c/")).collect();
    assert_eq!(keys.len(), 6);
    for key in keys {
        let calls = sink.of(&key);
        let length = sink.get(&key).unwrap().unwrap().len() as u64;
        let (data, end) = calls.split_at(calls.len() - 3);
        for call in data {
            let (Call::Stable(offset, bytes) | Call::Copy(offset, bytes)) = *call else {
                panic!("{key}: {call:?} before the footer")
            };
            assert!(offset.is_multiple_of(4096) && bytes.is_multiple_of(4096), "{key}: {call:?}");
            stable += u64::from(matches!(call, Call::Stable(..)));
            copied += u64::from(matches!(call, Call::Copy(..)));
        }
        let [Call::Copy(offset, bytes), Call::Truncate(cut), Call::End] = *end else { panic!("{key}: {end:?}") };
        assert!(offset.is_multiple_of(4096) && bytes.is_multiple_of(4096) && cut == length, "{key}: {end:?}");
        assert!(offset < length && length <= offset + bytes as u64, "{key}: the footer ends the shard");
        copied += 1;
    }
    assert!(copied > 6, "some runs are copied");
    // The partial shards' footers are counted where they are closed, at the end.
    assert_eq!((writer.delivered.stable_writes, writer.delivered.copied_writes + 2), (stable, copied));
}
