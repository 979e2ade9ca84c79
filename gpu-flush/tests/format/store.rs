//! Sinks, documents and extents under the real writer.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prewire_gpu_flush::config::{BloscCompressor, BloscShuffle};
use prewire_gpu_flush::shard::ShardIndex;
use prewire_gpu_flush::sink::{Fence, FileOptions, FileSink, MemorySink, ShardFile, Sink, StableBytes};
use prewire_gpu_flush::writer::{Status, WriterBuilder};
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, EngineConfig, Error};
use serde_json::{Value, json};

use crate::support::{
    Objects, as_words, create, dimension, document, engine, files, folder, read, stored, words, write,
};

const EVERY_CODEC: [CodecConfig; 5] = [
    CodecConfig::None,
    CodecConfig::Zstd { level: 3 },
    CodecConfig::Lz4 { level: 1 },
    CodecConfig::Blosc { compressor: BloscCompressor::Lz4, level: 5, shuffle: BloscShuffle::Byte },
    CodecConfig::Blosc { compressor: BloscCompressor::Zstd, level: 5, shuffle: BloscShuffle::Bit },
];

/// t unbounded × y × x with chunks of one frame, `epochs` frames per shard and `across` shards side by side.
fn frames(epochs: u64, side: u64, chunk: u64, across: u64, codec: CodecConfig) -> ArrayConfig {
    let per_shard = (side / chunk).div_ceil(across);
    ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").chunks_per_shard(epochs))
        .dimension(dimension("y", side, chunk))
        .dimension(dimension("x", side, chunk).chunks_per_shard(per_shard))
        .codec(codec)
        .build()
        .unwrap()
}

fn every(interval: Duration, epochs: u32) -> EngineConfig {
    engine(epochs).metadata_update_interval(interval)
}

/// A small generator of numbers, so that a failure repeats.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Claims FLUSH-034.
#[test]
fn every_sink_holds_shards_without_gaps() {
    let mut numbers = Numbers(11);
    for round in 0..50 {
        let mut dimensions =
            vec![Dimension::unbounded("t").chunk(1 + numbers.below(3)).chunks_per_shard(1 + numbers.below(4))];
        for name in &["z", "y", "x"][..1 + numbers.below(3) as usize] {
            let size = 1 + numbers.below(40);
            let one = dimension(name, size, 1 + numbers.below(size));
            // An append dimension below the first must fit one shard.
            let per_shard = if one.chunk == 1 { 0 } else { numbers.below(4) };
            dimensions.push(one.chunks_per_shard(per_shard));
        }
        let frame: u64 = dimensions[1..].iter().map(|dimension| dimension.size).product();
        let codec = EVERY_CODEC[round % EVERY_CODEC.len()];
        let config = ArrayConfig::builder(DataType::U16).dimensions(dimensions).codec(codec).build().unwrap();
        let input = words((0..frame * (1 + numbers.below(9))).map(|value| (value / 3) as u16));
        let epochs = 1 + numbers.below(5) as u32;
        let memory = stored(&config, epochs, &input);
        let mut stores = vec![memory];
        let paged = MemorySink::with_pages(4096);
        write(&config, engine(epochs), Arc::new(paged.clone()), &input, input.len());
        stores.push(paged.objects());
        for direct in [false, true] {
            let root = folder(&format!("gaps-{round}-{direct}"));
            let sink = FileSink::new(&root, FileOptions::default().direct(direct)).unwrap();
            write(&config, engine(epochs), Arc::new(sink), &input, input.len());
            stores.push(files(&root));
            fs::remove_dir_all(root).unwrap();
        }
        let sharding = &document(&stores[0], "")["codecs"][0]["configuration"]["chunk_shape"];
        let chunk: Vec<u64> = serde_json::from_value(sharding.clone()).unwrap();
        let shard: Vec<u64> =
            serde_json::from_value(document(&stores[0], "")["chunk_grid"]["configuration"]["chunk_shape"].clone())
                .unwrap();
        let count = shard.iter().zip(&chunk).map(|(shard, chunk)| shard / chunk).product::<u64>() as usize;
        for (key, bytes) in stores[0].iter().filter(|(key, _)| key.starts_with("c/")) {
            let mut entries: Vec<_> = ShardIndex::parse(bytes, count).unwrap().into_iter().flatten().collect();
            entries.sort();
            let end = entries.iter().fold(0, |end, &(offset, length)| {
                assert_eq!(offset, end, "round {round}, {key}");
                offset + length
            });
            assert_eq!(bytes.len() as u64, end + 16 * count as u64 + 4, "round {round}, {key}");
        }
        assert!(read(&stores[0], "").bytes == input, "round {round}");
        for (index, other) in stores[1..].iter().enumerate() {
            assert!(*other == stores[0], "round {round}, sink {}", index + 1);
        }
    }
}

/// Claims FLUSH-054 (the refusal of an unaligned write is in the file sink's own tests, with the file system below it).
#[test]
fn buffered_and_direct_files_are_the_same() {
    let input = words((0..9 * 128 * 128u32).map(|value| (value / 5) as u16));
    for codec in [CodecConfig::None, CodecConfig::Zstd { level: 1 }] {
        for across in [1, 4] {
            let config = frames(4, 128, 32, across, codec);
            let stores = [false, true].map(|direct| {
                let root = folder(&format!("direct-{}-{across}-{direct}", codec.name()));
                let sink = Arc::new(FileSink::new(&root, FileOptions::default().direct(direct)).unwrap());
                let mut writer = create(&config, engine(2), sink.clone());
                assert!(!root.join("c").exists(), "shard folders appear with the first shard");
                assert!(writer.append(&input).unwrap().rest.is_empty());
                writer.close().unwrap();
                if direct {
                    let metrics = writer.metrics();
                    assert!(metrics.stable_writes > 0 && metrics.copied_writes > 0);
                    let error = sink.open("c/9/0/0").unwrap().write(1, &[0; 4096]).unwrap_err();
                    assert!(matches!(error, Error::SinkFailed { .. }), "an unaligned write is an error: {error}");
                }
                files(&root)
            });
            assert_eq!(stores[0].keys().filter(|key| key.starts_with("c/")).count() as u64, 3 * across);
            assert!(stores[0] == stores[1], "{codec}, {across} shards");
            assert!(read(&stores[0], "").bytes == input);
        }
    }
}

/// Takes every zero-copy write by pointer and looks at it again as late as a fence allows: when somebody waits for it.
#[derive(Debug, Default)]
struct LateSink {
    page_bytes: usize,
    held: Mutex<Vec<(u64, StableBytes, u32)>>,
    newest: AtomicU64,
    checked: AtomicU64,
    changed: AtomicBool,
}

impl LateSink {
    fn check_up_to(&self, sequence: u64) {
        self.held.lock().unwrap().retain(|(number, bytes, checksum)| {
            if *number <= sequence {
                self.changed.fetch_or(crc32c::crc32c(bytes.as_slice()) != *checksum, Ordering::Relaxed);
                self.checked.fetch_add(1, Ordering::Relaxed);
            }
            *number > sequence
        });
    }
}

#[derive(Debug, Clone)]
struct SharedLate(Arc<LateSink>);

impl Sink for SharedLate {
    fn open(&self, _key: &str) -> Result<Box<dyn ShardFile>, Error> {
        Ok(Box::new(LateFile(self.0.clone())))
    }
    fn page_bytes(&self) -> usize {
        self.0.page_bytes
    }
    fn record_fence(&self) -> Fence {
        Fence { sink: u64::MAX, sequence: self.0.newest.load(Ordering::Relaxed) }
    }
    fn fence_retired(&self, fence: Fence) -> bool {
        self.0.held.lock().unwrap().iter().all(|(number, ..)| *number > fence.sequence)
    }
    fn wait_fence(&self, fence: Fence) -> Result<(), Error> {
        self.0.check_up_to(fence.sequence);
        Ok(())
    }
    fn flush(&self) -> Result<(), Error> {
        self.0.check_up_to(u64::MAX);
        Ok(())
    }
}

#[derive(Debug)]
struct LateFile(Arc<LateSink>);

impl ShardFile for LateFile {
    fn write(&mut self, _offset: u64, _bytes: &[u8]) -> Result<(), Error> {
        Ok(())
    }
    fn write_stable(&mut self, _offset: u64, bytes: StableBytes) -> Result<(), Error> {
        let number = self.0.newest.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.held.lock().unwrap().push((number, bytes, crc32c::crc32c(bytes.as_slice())));
        Ok(())
    }
    fn finalize(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The sink holds a pointer until its fence is waited for, which is later than any fixed time.
#[test]
fn zero_copy_writes_are_stable_until_their_fence() {
    let config = frames(8, 128, 64, 1, CodecConfig::None);
    for (page_bytes, gate_off, multi) in
        [(4096, false, false), (0, false, false), (4096, true, false), (4096, false, true)]
    {
        let sink = SharedLate(Arc::new(LateSink { page_bytes, ..LateSink::default() }));
        let builder = WriterBuilder::new().array(config.clone(), Arc::new(sink.clone()) as Arc<dyn Sink>);
        let builder = builder.engine(engine(2).force_gate_off(gate_off));
        // Two batches of each value, so that either of two slots sees both.
        let batches = (0..100).map(|batch| vec![if batch / 2 % 2 == 0 { 0x00 } else { 0xFF }; 2 * 128 * 128 * 2]);
        if multi {
            let mut writer = builder.build_multi().unwrap();
            for batch in batches {
                assert_eq!(writer.update(0, &batch).unwrap().status, Status::Ok);
            }
            writer.close().unwrap();
        } else {
            let mut writer = builder.build().unwrap();
            for batch in batches {
                assert_eq!(writer.append(&batch).unwrap().status, Status::Ok);
            }
            writer.close().unwrap();
        }
        let (checked, changed) = (sink.0.checked.load(Ordering::Relaxed), sink.0.changed.load(Ordering::Relaxed));
        assert!(checked >= 100, "{checked} writes were held");
        assert!(!changed, "bytes changed before their fence, page {page_bytes}, gate off {gate_off}, multi {multi}");
        assert!(sink.0.held.lock().unwrap().is_empty());
    }
}

/// A sink with nothing but the three calls, each write kept in place.
#[derive(Debug, Clone, Default)]
struct Minimal {
    shards: Arc<Mutex<Objects>>,
    uploads: Arc<Mutex<BTreeMap<String, u32>>>,
    failing_write: Option<u64>,
    writes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct MinimalShard {
    key: String,
    parts: Vec<u8>,
    of: Minimal,
}

impl Sink for Minimal {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error> {
        *self.uploads.lock().unwrap().entry(key.to_owned()).or_default() += 1;
        Ok(Box::new(MinimalShard { key: key.to_owned(), parts: Vec::new(), of: self.clone() }))
    }
}

impl ShardFile for MinimalShard {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        assert_eq!(offset, self.parts.len() as u64, "the parts of an upload come in order");
        if Some(self.of.writes.fetch_add(1, Ordering::Relaxed) + 1) == self.of.failing_write {
            return Err(Error::SinkFailed {
                key: self.key.clone(),
                reason: "the part was refused".into(),
                os_error: None,
            });
        }
        self.parts.extend_from_slice(bytes);
        Ok(())
    }
    fn finalize(&mut self) -> Result<(), Error> {
        self.of.shards.lock().unwrap().insert(self.key.clone(), std::mem::take(&mut self.parts));
        Ok(())
    }
}

/// Claims FLUSH-056.
#[test]
fn three_calls_make_a_sink() {
    let config = frames(4, 64, 16, 2, CodecConfig::Zstd { level: 1 });
    let input = words((0..10 * 64 * 64u32).map(|value| value as u16));
    let minimal = Minimal::default();
    write(&config, engine(3), Arc::new(minimal.clone()), &input, input.len());
    let expected: Objects = stored(&config, 3, &input).into_iter().filter(|(key, _)| key.starts_with("c/")).collect();
    assert!(*minimal.shards.lock().unwrap() == expected);
    let uploads = minimal.uploads.lock().unwrap().clone();
    assert_eq!(uploads.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(uploads.values().all(|&count| count == 1), "{uploads:?}");

    let failing = Minimal { failing_write: Some(3), ..Minimal::default() };
    let mut writer = create(&config, engine(3), Arc::new(failing.clone()));
    let mut outcome = Ok(());
    for slice in input.chunks(64 * 64 * 2) {
        if let Err(error) = writer.append(slice) {
            outcome = Err(error);
            break;
        }
    }
    let error = outcome.and_then(|()| writer.close()).unwrap_err();
    assert!(error.to_string().contains("the part was refused"), "{error}");
    drop(writer);
    let opened = failing.uploads.lock().unwrap().len();
    let visible = failing.shards.lock().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(visible.len() < opened, "{visible:?}");
    let refused = match error {
        Error::SinkFailed { key, .. } => key,
        other => panic!("{other:?}"),
    };
    assert!(!visible.contains(&refused), "{refused} is visible");
}

/// Claims FLUSH-037; that a polling reader never meets a shard without an index is also in the interop tests.
#[test]
fn the_extent_follows_closed_shards() {
    let config = frames(8, 16, 8, 1, CodecConfig::None);
    let sink = MemorySink::new();
    let mut writer = create(&config, every(Duration::ZERO, 1), Arc::new(sink.clone()));
    let mut seen = Vec::new();
    for epoch in 0..21u16 {
        assert!(writer.append(&words(std::iter::repeat_n(epoch, 256))).unwrap().rest.is_empty());
        let objects = sink.objects();
        let extent = document(&objects, "")["shape"][0].as_u64().unwrap();
        // What is shown can be read, and is what was written.
        let array = read(&objects, "");
        assert!(
            (0..extent)
                .all(|t| as_words(&array.bytes)[t as usize * 256..][..256].iter().all(|&value| u64::from(value) == t))
        );
        assert!((0..extent / 8).all(|shard| objects.contains_key(&format!("c/{shard}/0/0"))));
        let delivered = writer.metrics().batches.saturating_sub(2);
        assert!(extent <= u64::from(epoch) + 1 && extent >= delivered / 8 * 8, "{extent} of {delivered} delivered");
        seen.push(extent);
    }
    seen.dedup();
    assert_eq!(seen, [0, 8, 16]);
    writer.flush().unwrap();
    writer.close().unwrap();
    assert_eq!(document(&sink.objects(), "")["shape"][0], 21);
}

/// Claims FLUSH-038.
#[test]
fn a_document_is_always_whole() {
    let root = folder("atomic");
    let config = frames(1, 16, 8, 1, CodecConfig::None);
    let sink = Arc::new(FileSink::new(&root, FileOptions::default()).unwrap());
    let mut writer = create(&config, every(Duration::ZERO, 1), sink);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut extents = Vec::new();
            for reads in 0.. {
                // Looked at before the document, so that the last document read is the final one.
                let last = done.load(Ordering::Acquire);
                let text = fs::read(root.join("zarr.json")).expect("the document is always there");
                let document: Value = serde_json::from_slice(&text).expect("the document is always JSON");
                let extent = document["shape"][0].as_u64().expect("the document always has a shape");
                if extents.last() != Some(&extent) {
                    extents.push(extent);
                }
                if reads >= 10_000 && last {
                    break;
                }
            }
            extents
        });
        for epoch in 0..200u16 {
            assert!(writer.append(&words(std::iter::repeat_n(epoch, 256))).unwrap().rest.is_empty());
            std::thread::sleep(Duration::from_millis(1));
        }
        writer.close().unwrap();
        done.store(true, Ordering::Release);
        let extents = reader.join().unwrap();
        assert!(extents.is_sorted() && extents.len() > 10 && extents.last() == Some(&200), "{extents:?}");
    });
}

/// Claims FLUSH-039.
#[test]
fn the_last_extent_counts_what_was_accepted() {
    let config = ArrayConfig::builder(DataType::U16)
        .dimensions(vec![dimension("t", 0, 2), dimension("y", 4, 2), dimension("x", 6, 3)])
        .build()
        .unwrap();
    let sink = MemorySink::new();
    let mut writer = create(&config, engine(2), Arc::new(sink.clone()));
    assert!(writer.append(&words(1..61)).unwrap().rest.is_empty());
    writer.flush().unwrap();
    writer.close().unwrap();
    let array = read(&sink.objects(), "");
    assert_eq!(array.shape, [3, 4, 6]);
    assert_eq!(array.bytes, words((1..61).chain([0; 12])));

    let halved = |name| dimension(name, 128, 16).downsample();
    let config = ArrayConfig::builder(DataType::U16)
        .dimensions(vec![Dimension::unbounded("t").downsample(), halved("y"), halved("x")])
        .build()
        .unwrap();
    let objects = stored(&config, 2, &words(std::iter::repeat_n(5, 7 * 128 * 128)));
    let extents: Vec<u64> = (0..4).map(|level| read(&objects, &level.to_string()).shape[0]).collect();
    assert_eq!(extents, [7, 4, 2, 1]);
}

/// Claims FLUSH-040.
#[test]
fn attributes_live_as_long_as_the_store() {
    let large = json!("x".repeat(65_536));
    let config = frames(1, 16, 8, 1, CodecConfig::None)
        .to_builder()
        .name("a/b/c")
        .attribute("kept", json!([1]))
        .build()
        .unwrap();
    let sink = MemorySink::new();
    let mut writer = create(&config, every(Duration::ZERO, 1), Arc::new(sink.clone()));
    writer.set_attribute("a/b/c", "large", &large.to_string()).unwrap();
    writer.set_attribute("a/b", "group", "{\"deep\": true}").unwrap();
    for epoch in 0..30u16 {
        writer.set_attribute("a/b/c", "epoch", &epoch.to_string()).unwrap();
        assert!(writer.append(&words(std::iter::repeat_n(epoch, 256))).unwrap().rest.is_empty());
    }
    assert!(document(&sink.objects(), "a/b/c")["shape"][0].as_u64().unwrap() >= 20, "rewritten at least 20 times");
    for bad in ["", "{", "nan"] {
        let refused = writer.set_attribute("a/b/c", "epoch", bad);
        assert!(matches!(refused, Err(Error::InvalidInput { .. })), "{bad:?}: {refused:?}");
    }
    writer.close().unwrap();
    let objects = sink.objects();
    let array = document(&objects, "a/b/c");
    assert_eq!((&array["attributes"]["large"], &array["attributes"]["kept"]), (&large, &json!([1])));
    assert_eq!(array["attributes"]["epoch"], 29);
    assert_eq!(document(&objects, "a/b")["attributes"]["group"], json!({"deep": true}));
    for path in ["", "a", "a/b"] {
        let group = document(&objects, path);
        assert_eq!((&group["node_type"], &group["zarr_format"]), (&json!("group"), &json!(3)));
    }
    assert_eq!(read(&objects, "a/b/c").shape[0], 30);
}
