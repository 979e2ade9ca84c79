//! Metrics: what ran is counted, in full, once; and memory is what the estimate said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::setup::{FRAME_BYTES, Setup, pattern};
use super::sinks::QueueSink;
use crate::config::{ArrayConfig, BloscCompressor, BloscShuffle, CodecConfig, Dimension, EngineConfig, ReduceMethod};
use crate::device::{CpuDevice, Device, Memory, SteppedDevice};
use crate::dtype::DataType;
use crate::geometry::Placement;
use crate::metrics::{Owner, Stage};
use crate::schedule::Shape;
use crate::sink::{DiscardSink, MemorySink};
use crate::writer::{Metrics, WriterBuilder};

fn config(levels: bool, append: bool) -> ArrayConfig {
    let inner = |name: &str| {
        let dimension = Dimension::bounded(name, 128).chunk(64).chunks_per_shard(2);
        if levels { dimension.downsample() } else { dimension }
    };
    let outer = Dimension::unbounded("t").chunk(1).chunks_per_shard(8);
    ArrayConfig::builder(DataType::U16)
        .dimension(if append { outer.downsample() } else { outer })
        .dimension(inner("y"))
        .dimension(inner("x"))
        .codec(CodecConfig::Zstd { level: 1 })
        .build()
        .unwrap()
}

fn run(levels: bool, append: bool, device: Arc<dyn Device>) -> (Metrics, u64) {
    let sink = MemorySink::new();
    let engine = EngineConfig::default().epochs_per_batch(2).staging_bytes(FRAME_BYTES);
    let builder = WriterBuilder::new().array(config(levels, append), Arc::new(sink.clone())).engine(engine);
    let mut writer = builder.device(device).build().unwrap();
    for frame in 0..8 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    writer.close().unwrap();
    let stored = sink.objects().iter().filter(|(key, _)| key.contains("c/")).map(|(_, bytes)| bytes.len() as u64).sum();
    (writer.metrics(), stored)
}

/// Claims FLUSH-134.
#[test]
fn every_stage_that_ran_is_counted_to_the_byte() {
    let input = 8 * FRAME_BYTES as u64;
    for (levels, append) in [(false, false), (true, false), (true, true)] {
        let (metrics, stored) = run(levels, append, Arc::new(SteppedDevice::new(1)));
        let level_1 = if levels { input / 4 } else { 0 };
        let delivered_1 = if append { level_1 / 2 } else { level_1 };
        for (stage, snapshot) in metrics.stages() {
            let bytes = match stage {
                Stage::Memcpy | Stage::HostToDevice | Stage::Scatter => Some(input),
                Stage::LodGather | Stage::LodReduce => Some(if levels { input } else { 0 }),
                Stage::LodFold => Some(if append { level_1 } else { 0 }),
                Stage::LodScatter => Some(level_1),
                Stage::Compress | Stage::Aggregate => Some(input + delivered_1),
                Stage::DeviceToHost => None,
                Stage::Sink => None,
            };
            let runs = bytes != Some(0);
            assert_eq!(snapshot.count > 0, runs, "{} of levels {levels}, append {append}", stage.name());
            assert_eq!(snapshot.time > Duration::ZERO, runs, "{}", stage.name());
            if let Some(bytes) = bytes {
                assert_eq!(snapshot.bytes, bytes, "{} of levels {levels}, append {append}", stage.name());
            }
        }
        // Eight epochs close their shards, so every stored byte went through a delivery.
        assert!(metrics.stage(Stage::DeviceToHost).bytes < stored, "the payload without the indexes");
        let sink = metrics.stage(Stage::Sink).bytes;
        assert!(sink <= stored && sink > stored / 2, "{sink} of {stored}");
    }
    let owners: Vec<_> = Stage::ALL.iter().map(|stage| stage.owner()).collect();
    assert_eq!(owners[0], Owner::Producer);
    assert_eq!(owners[Stage::Sink as usize], Owner::Drain);
    let compute = owners.iter().filter(|owner| **owner == Owner::Stream("compute")).count();
    assert_eq!(compute, 5);
}

/// Claims FLUSH-135.
#[test]
fn no_sample_is_lost() {
    let setup = Setup { staging_bytes: 8192, ..Setup::golden(Shape::Pipelined, true, false) };
    let device = Arc::new(SteppedDevice::new(1));
    let mut writer = setup.writer(device, Arc::new(setup.sink())).unwrap();
    for frame in 0..75 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    writer.flush().unwrap();
    let (_, array) = writer.parts();
    let scatter = array.timers.of(Stage::Scatter).snapshot();
    assert_eq!((array.dispatches, scatter.count), (300, 300));
    let mean = scatter.time / 300;
    assert!(mean > Duration::ZERO && mean < Duration::from_millis(5), "short intervals are kept: {mean:?}");
    // No stage can be faster than copying from one cache to the same cache.
    let (from, mut to) = (vec![1u8; 8192], vec![0u8; 8192]);
    let mut best = Duration::MAX;
    for _ in 0..1000 {
        let start = Instant::now();
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&mut to);
        best = best.min(start.elapsed());
    }
    let bandwidth = 8192.0 / best.as_secs_f64().max(1e-9);
    let rate = scatter.bytes as f64 / scatter.time.as_secs_f64();
    assert!(rate <= bandwidth, "a scatter of {rate:.3e} B/s, where memory gives {bandwidth:.3e}");
    drop(writer);

    // The wait at the gate is no part of aggregation, nor is the time before a drain part of the copy back.
    let mut writer = setup.writer(Arc::new(CpuDevice::new(Some(1)).unwrap()), Arc::new(setup.sink())).unwrap();
    for frame in 0..4 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    std::thread::sleep(Duration::from_millis(300));
    writer.flush().unwrap();
    let (_, array) = writer.parts();
    for stage in [Stage::Aggregate, Stage::DeviceToHost] {
        let time = array.timers.of(stage).snapshot().time;
        assert!(time < Duration::from_millis(250), "{} took {time:?}, the gate was shut for 300 ms", stage.name());
    }
}

/// Time that this thread ran or could have run, had there been a processor for it.
fn on_the_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let times = text.split_whitespace().take(2).map(|field| field.parse::<u64>().unwrap());
    Duration::from_nanos(times.sum())
}

/// Claims FLUSH-136.
#[test]
fn stalls_add_up() {
    let setup = Setup::golden(Shape::Pipelined, false, false);
    let sink = QueueSink::new(4096);
    let mut writer = setup.writer(Arc::new(CpuDevice::new(Some(1)).unwrap()), Arc::new(sink.clone())).unwrap();
    for frame in 0..4 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    sink.hold();
    let (start, running) = (Instant::now(), on_the_processor());
    let release = sink.release_when_pending(Duration::from_millis(300));
    for frame in 4..8 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    let (elapsed, running) = (start.elapsed(), on_the_processor() - running);
    release.join().unwrap();
    let slept = elapsed - running;
    let (engine, _) = writer.parts();
    let stalls = &engine.edges.stalls;
    let total = stalls.blocked() + stalls.drain().time;
    assert!(slept >= Duration::from_millis(270), "{slept:?}: the sink was held for 300 ms");
    assert!(total.abs_diff(slept) <= slept / 10, "{total:?} are accounted for, the producer was blocked for {slept:?}");
    assert!(total <= elapsed, "{total:?} of {elapsed:?}: nothing is counted twice");
    assert!(stalls.io_fence().time >= Duration::from_millis(270), "and as what they were: waits for the sink");
    writer.close().unwrap();
}

/// Claims FLUSH-137.
#[test]
fn append_latency_has_every_call() {
    use crate::metrics::{LATENCY_BUCKETS, Latency};
    assert_eq!(LATENCY_BUCKETS, 160);
    for (time, bucket) in [(0, 0), (1_000, 0), (1_121, 0), (1_123, 1), (10_000, 20), (50_000_000, 93), (u64::MAX, 159)]
    {
        assert_eq!(Latency::bucket(Duration::from_nanos(time)), bucket, "{time} ns");
    }
    let setup = Setup::golden(Shape::Pipelined, false, false);
    let sink = QueueSink::new(4096);
    let mut writer = setup.writer(Arc::new(CpuDevice::new(Some(1)).unwrap()), Arc::new(sink.clone())).unwrap();
    let mut release = None;
    for call in 0..10_000 {
        if call == 7000 {
            sink.hold();
            release = Some(sink.release_after(Duration::from_millis(400)));
        }
        let _taken = writer.append(&pattern(call, 256)).unwrap();
    }
    release.unwrap().join().unwrap();
    let (_, array) = writer.parts();
    let latency = array.latency.snapshot();
    assert_eq!(latency.count(), 10_000);
    assert!(latency.longest >= Duration::from_millis(50), "{:?}", latency.longest);
    let slow: u64 = latency.buckets[93..].iter().sum();
    assert!(slow >= 1 && latency.buckets[Latency::bucket(latency.longest)] >= 1, "{slow}");
    assert!(latency.quantile(0.5) < Duration::from_millis(5), "{:?}", latency.quantile(0.5));
}

/// Claims FLUSH-139.
#[test]
fn the_estimate_is_what_is_allocated() {
    let mut random = 0x9E37_79B9u64;
    let mut next = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    for case in 0..40 {
        let levels = next(2) == 1;
        let mut builder = ArrayConfig::builder(DataType::ALL[next(11) as usize]);
        let outer = Dimension::unbounded("t").chunk(1).chunks_per_shard(1 + next(5));
        let fold = levels && next(2) == 1;
        builder = builder.dimension(if fold { outer.downsample() } else { outer });
        for name in ["z", "y", "x"].into_iter().skip(next(3) as usize) {
            let dimension = Dimension::bounded(name, 5 + next(40)).chunk(1 + next(16)).chunks_per_shard(next(4));
            builder = builder.dimension(if levels { dimension.downsample() } else { dimension });
        }
        let codecs = [
            CodecConfig::None,
            CodecConfig::Zstd { level: 1 },
            CodecConfig::Blosc { compressor: BloscCompressor::Lz4, level: 5, shuffle: BloscShuffle::Byte },
        ];
        let methods = [ReduceMethod::Mean, ReduceMethod::Min, ReduceMethod::Max];
        let builder = builder.codec(codecs[next(3) as usize]).append_reduce(methods[next(3) as usize]);
        let Ok(config) = builder.build() else { continue };
        let page_bytes = [0, 4096][next(2) as usize];
        let engine = EngineConfig {
            staging_bytes: 1 + next(100_000) as usize,
            epochs_per_batch: Some(1 + next(5) as u32),
            ..EngineConfig::default()
        };
        let devices: [Arc<dyn Device>; 2] =
            [Arc::new(CpuDevice::new(Some(1)).unwrap()), Arc::new(SteppedDevice::new(1))];
        for device in devices {
            let sink = MemorySink::with_pages(page_bytes);
            let writer = WriterBuilder::new().array(config.clone(), Arc::new(sink)).engine(engine.clone());
            let writer = writer.device(Arc::clone(&device)).build().unwrap();
            let estimate = writer.memory();
            for (placement, memory) in [(Placement::Device, Memory::Device), (Placement::Pinned, Memory::Pinned)] {
                let allocated = device.allocated_bytes(memory);
                assert_eq!(estimate.bytes(placement), allocated, "case {case}: {placement:?}: {:?}", device.buffers());
            }
            if device.description().host_memory {
                let before = crate::writer::memory_estimate(&config, &engine, page_bytes).unwrap();
                assert_eq!(before, *estimate, "case {case}");
            }
        }
    }
}

/// Claims FLUSH-024.
#[test]
fn no_codec_needs_no_memory() {
    let setup = Setup::golden(Shape::Pipelined, false, false);
    let device = Arc::new(SteppedDevice::new(1));
    let builder = WriterBuilder::new().array(setup.config(), Arc::new(DiscardSink::new(0))).engine(setup.engine());
    let writer = builder.device(Arc::clone(&device) as _).build().unwrap();
    assert!(
        !device
            .buffers()
            .iter()
            .any(|buffer| ["compressed", "compressed_sizes", "codec_workspace"].contains(&buffer.label.name))
    );
    for name in ["compressed", "codec_workspace"] {
        assert_eq!(writer.memory().bytes_of(name), 0, "{name}");
    }
}
