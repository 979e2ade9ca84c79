//! The packed batch as the sink sees it: where each shard's run begins in memory, and what stands there.

use std::sync::{Arc, Mutex};

use prewire_gpu_flush::sink::{ShardFile, Sink, StableBytes};
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, Error};

use crate::support::{create, dimension, engine, words};

/// A run handed over by pointer: shard, offset in the shard, address, bytes.
#[derive(Debug, Clone)]
struct Run {
    key: String,
    offset: u64,
    address: usize,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
struct RunSink {
    page_bytes: usize,
    runs: Arc<Mutex<Vec<Run>>>,
}

#[derive(Debug)]
struct RunFile {
    key: String,
    runs: Arc<Mutex<Vec<Run>>>,
}

impl Sink for RunSink {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error> {
        Ok(Box::new(RunFile { key: key.to_owned(), runs: Arc::clone(&self.runs) }))
    }
    fn page_bytes(&self) -> usize {
        self.page_bytes
    }
}

impl ShardFile for RunFile {
    fn write(&mut self, _offset: u64, _bytes: &[u8]) -> Result<(), Error> {
        Ok(())
    }
    fn write_stable(&mut self, offset: u64, bytes: StableBytes) -> Result<(), Error> {
        let (address, bytes) = (bytes.as_ptr() as usize, bytes.as_slice().to_vec());
        self.runs.lock().unwrap().push(Run { key: self.key.clone(), offset, address, bytes });
        Ok(())
    }
    fn finalize(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

const CHUNK: usize = 5760;
const CAPACITY: usize = 28_672;

/// Three batches of two epochs, two shards of two chunks per epoch each; the runs by batch.
fn batches(page_bytes: usize) -> Vec<Vec<Run>> {
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").chunks_per_shard(16))
        .dimension(dimension("y", 144, 72).chunks_per_shard(2))
        .dimension(dimension("x", 80, 40).chunks_per_shard(1))
        .codec(CodecConfig::None)
        .build()
        .unwrap();
    let sink = RunSink { page_bytes, runs: Arc::default() };
    let mut writer = create(&config, engine(2), Arc::new(sink.clone()));
    for t in 0..6u16 {
        let frame = words((0..144u16).flat_map(|y| (0..80u16).map(move |x| 1 + t + 8 * (y / 72) + 16 * (x / 40))));
        assert!(writer.append(&frame).unwrap().rest.is_empty());
    }
    writer.close().unwrap();
    let runs = sink.runs.lock().unwrap().clone();
    assert_eq!(runs.len(), 6);
    runs.chunks(2).map(<[Run]>::to_vec).collect()
}

/// The value every element of a chunk has: time, row of chunks, shard.
fn value(t: usize, y: usize, shard: usize) -> Vec<u8> {
    words(std::iter::repeat_n((1 + t + 8 * y + 16 * shard) as u16, CHUNK / 2))
}

/// Claims FLUSH-028 (on the CPU device; the capacity by itself is in the geometry's tests).
#[test]
fn a_carried_tail_stands_before_the_first_chunk() {
    let mut carried = [0, 23_040 % 4096, 46_080 % 4096].into_iter();
    assert_eq!(46_080 % 4096, 1024);
    let mut tails = [Vec::new(), Vec::new()];
    for (batch, runs) in batches(4096).into_iter().enumerate() {
        let tail = carried.next().unwrap();
        assert_eq!(runs[1].address - runs[0].address, CAPACITY, "batch {batch}");
        for (shard, run) in runs.iter().enumerate() {
            assert_eq!(run.key, format!("c/0/0/{shard}"));
            assert!(run.address.is_multiple_of(4096) && run.offset.is_multiple_of(4096));
            let chunks = (0..2).flat_map(|epoch| (0..2).flat_map(move |y| value(2 * batch + epoch, y, shard)));
            let region: Vec<u8> = tails[shard].iter().copied().chain(chunks).collect();
            assert_eq!((tails[shard].len(), region.len()), (tail, tail + 4 * CHUNK));
            assert!(region.len() <= CAPACITY);
            let whole = region.len() / 4096 * 4096;
            assert!(run.bytes == region[..whole], "batch {batch}, shard {shard}");
            tails[shard] = region[whole..].to_vec();
        }
    }
    for runs in batches(0) {
        assert_eq!(runs[1].address - runs[0].address, 4 * CHUNK, "packed without gap");
        assert_eq!(runs[0].bytes.len(), 4 * CHUNK);
    }
}
