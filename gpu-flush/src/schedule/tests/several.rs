//! Several arrays through one engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::setup::pattern;
use super::sinks::{Call, Fault, QueueSink};
use crate::checked::Checked;
use crate::codec::Codec;
use crate::config::{ArrayConfig, CodecConfig, Dimension, EngineConfig};
use crate::device::{CpuDevice, Device, Memory, SteppedDevice};
use crate::dtype::DataType;
use crate::edges::Place;
use crate::error::Error;
use crate::geometry::{LevelGeometry, Placement};
use crate::shard::ShardIndex;
use crate::sink::{MemorySink, Sink};
use crate::writer::{Status, WriterBuilder};

type Store = BTreeMap<String, Vec<u8>>;

fn config(dtype: DataType, levels: bool, codec: CodecConfig) -> ArrayConfig {
    let inner = |name: &str| {
        let dimension = Dimension::bounded(name, 100).chunk(40).chunks_per_shard(2);
        if levels { dimension.downsample() } else { dimension }
    };
    ArrayConfig::builder(dtype)
        .dimension(Dimension::unbounded("t").chunk(1).chunks_per_shard(5))
        .dimension(inner("y"))
        .dimension(inner("x"))
        .codec(codec)
        .build()
        .unwrap()
}

fn engine() -> EngineConfig {
    EngineConfig::default().epochs_per_batch(3).staging_bytes(8192).threads_max(2)
}

fn epoch(config: &ArrayConfig, number: usize) -> Vec<u8> {
    pattern(number, 100 * 100 * config.dtype().size_bytes())
}

/// Every chunk of every shard, decompressed, and the documents.
fn plain(store: &Store, levels: &[LevelGeometry], codec: &Codec, chunk_bytes: usize) -> Store {
    let mut all = Store::new();
    for (key, bytes) in store {
        let Some(at) = key.find("c/") else {
            all.insert(key.clone(), bytes.clone());
            continue;
        };
        let level = key[..at].trim_end_matches('/').parse().unwrap_or(0);
        let entries = ShardIndex::parse(bytes, levels[level as usize].shard_chunks() as usize).unwrap();
        for (slot, entry) in entries.into_iter().enumerate() {
            let mut chunk = Vec::new();
            if let Some((offset, length)) = entry {
                chunk = vec![0; chunk_bytes];
                codec.decompress(&bytes[offset as usize..(offset + length) as usize], &mut chunk).unwrap();
            }
            all.insert(format!("{key}#{slot}"), chunk);
        }
    }
    all
}

/// Claims FLUSH-095.
#[test]
fn arrays_fed_in_turn_equal_arrays_written_alone() {
    for codec in [CodecConfig::Zstd { level: 1 }, CodecConfig::None] {
        for page_bytes in [0, 4096] {
            let configs = [config(DataType::U16, true, codec), config(DataType::F32, false, codec)];
            let sinks: Vec<_> = configs.iter().map(|_| MemorySink::with_pages(page_bytes)).collect();
            let devices: [Arc<dyn Device>; 2] =
                [Arc::new(CpuDevice::new(Some(2)).unwrap()), Arc::new(SteppedDevice::new(9))];
            for device in devices {
                let mut builder = WriterBuilder::new().engine(engine()).device(device).overwrite(true);
                for (config, sink) in configs.iter().zip(&sinks) {
                    builder = builder.array(config.clone(), Arc::new(sink.clone()));
                }
                let mut writer = builder.build_multi().unwrap();
                for number in 0..12 {
                    for (index, config) in configs.iter().enumerate() {
                        let data = epoch(config, number);
                        let appended = writer.update(index, &data).unwrap();
                        assert_eq!((appended.status, appended.rest.len()), (Status::Ok, 0));
                    }
                }
                writer.close().unwrap();
                for (config, sink) in configs.iter().zip(&sinks) {
                    let alone = MemorySink::with_pages(page_bytes);
                    let builder = WriterBuilder::new().array(config.clone(), Arc::new(alone.clone()));
                    let mut single = builder.engine(engine()).build().unwrap();
                    for number in 0..12 {
                        let _taken = single.append(&epoch(config, number)).unwrap();
                    }
                    single.close().unwrap();
                    let geometry = single.geometry();
                    let codec_state = Codec::new(codec, geometry.chunk_bytes, config.dtype().size_bytes());
                    let plain = |store| plain(&store, &geometry.levels, &codec_state, geometry.chunk_bytes);
                    assert!(plain(sink.objects()) == plain(alone.objects()), "{codec} {page_bytes} {}", config.dtype());
                    if codec == CodecConfig::None {
                        assert!(sink.objects() == alone.objects(), "{page_bytes} {}", config.dtype());
                    }
                }
            }
        }
    }
}

/// Claims FLUSH-096.
#[test]
fn an_array_is_left_only_at_an_epoch_boundary() {
    let codec = CodecConfig::None;
    let configs = [config(DataType::U16, false, codec), config(DataType::U16, false, codec)];
    let mut builder = WriterBuilder::new().engine(engine());
    for config in &configs {
        builder = builder.array(config.clone(), Arc::new(MemorySink::new()));
    }
    let mut writer = builder.build_multi().unwrap();
    let data = epoch(&configs[0], 0);
    let _taken = writer.update(0, &data[..2000]).unwrap();
    let error = writer.update(1, &data).unwrap_err();
    assert!(matches!(error, Error::NotFlushable { departing: 0, missing_elements: 9000 }), "{error}");
    assert_eq!((writer.cursor(0), writer.cursor(1)), (Some(1000), Some(0)));
    let _taken = writer.update(0, &data[2000..]).unwrap();
    let _taken = writer.update(1, &data).unwrap();
    assert_eq!((writer.cursor(0), writer.cursor(1)), (Some(10_000), Some(10_000)));
    writer.close().unwrap();

    let builder = WriterBuilder::new()
        .array(config(DataType::U16, false, CodecConfig::None), Arc::new(MemorySink::new()))
        .array(config(DataType::U16, false, CodecConfig::Zstd { level: 3 }), Arc::new(MemorySink::new()));
    let error = builder.build_multi().unwrap_err();
    assert!(matches!(&error, Error::InvalidConfig { field, .. } if field == "array[1].codec"), "{error}");
}

/// Claims FLUSH-097.
#[test]
fn one_failing_array_spares_the_others() {
    let config = config(DataType::U16, false, CodecConfig::None);
    let run = |failing: bool| {
        let bad = QueueSink::new(0).with_fault(Fault::RefuseWrite(0));
        let good = [MemorySink::new(), MemorySink::new()];
        let mut builder = WriterBuilder::new().engine(engine());
        if failing {
            builder = builder.array(config.clone(), Arc::new(bad));
        }
        for sink in &good {
            builder = builder.array(config.clone(), Arc::new(sink.clone()));
        }
        let mut writer = builder.build_multi().unwrap();
        let first = usize::from(failing);
        let mut errors = Vec::new();
        for number in 0..8 {
            if failing && let Err(error) = writer.update(0, &epoch(&config, number)) {
                errors.push(error);
            }
            for index in 0..2 {
                let _taken = writer.update(first + index, &epoch(&config, number + index)).unwrap();
            }
        }
        let flushed = writer.flush();
        let closed = writer.close();
        (errors, flushed, closed, good.map(|sink| sink.objects()))
    };
    let (errors, flushed, closed, stores) = run(true);
    assert!(errors.len() >= 5, "{errors:?}");
    let cause = |error: &Error| match error {
        Error::Broken { cause } => cause.to_string(),
        other => other.to_string(),
    };
    assert!(errors.iter().skip(1).all(|error| matches!(error, Error::Broken { .. })), "{errors:?}");
    let first = cause(&errors[0]);
    assert!(first.contains("c/0/0/0"), "{first}");
    assert_eq!(flushed.unwrap_err().to_string(), first);
    assert_eq!(closed.unwrap_err().to_string(), first);
    let (_, flushed, closed, alone) = run(false);
    flushed.and(closed).unwrap();
    assert!(stores == alone, "the other arrays are as without the failing one");
}

/// Claims FLUSH-098.
#[test]
fn each_array_finishes_on_its_own() {
    use crate::metrics::Stage;
    let bounded = {
        let mut dimensions = config(DataType::U16, false, CodecConfig::None).dimensions().to_vec();
        dimensions[0].size = 2;
        ArrayConfig::builder(DataType::U16).dimensions(dimensions).build().unwrap()
    };
    let open = config(DataType::U16, false, CodecConfig::None);
    let sinks = [MemorySink::new(), MemorySink::new(), MemorySink::new()];
    let mut builder = WriterBuilder::new().engine(engine());
    for (config, sink) in [&bounded, &open, &open].into_iter().zip(&sinks) {
        builder = builder.array(config.clone(), Arc::new(sink.clone()));
    }
    let mut writer = builder.build_multi().unwrap();
    let three: Vec<u8> = (0..3).flat_map(|number| epoch(&bounded, number)).collect();
    let appended = writer.update(0, &three).unwrap();
    assert_eq!((appended.status, appended.rest), (Status::Finished, &three[40_000..]));
    for number in 0..4 {
        let _taken = writer.update(1, &epoch(&open, number)).unwrap();
    }
    let appended = writer.update(0, &three[..2]).unwrap();
    assert_eq!((appended.status, appended.rest.len()), (Status::Finished, 2));
    writer.flush_array(1).unwrap();
    writer.flush_array(1).unwrap();
    let data = epoch(&open, 0);
    let appended = writer.update(1, &data).unwrap();
    assert_eq!((appended.status, appended.rest.len()), (Status::Finished, 20_000));
    writer.close().unwrap();
    let extent = |sink: &MemorySink| -> u64 {
        let document: serde_json::Value = serde_json::from_slice(&sink.objects()["zarr.json"]).unwrap();
        document["shape"][0].as_u64().unwrap()
    };
    assert_eq!(sinks.each_ref().map(extent), [2, 4, 0]);
    let bytes = |index| writer.metrics(index).unwrap().stage(Stage::Scatter).bytes;
    assert_eq!([bytes(0), bytes(1), bytes(2)], [40_000, 80_000, 0]);
}

/// Claims FLUSH-099.
#[test]
fn shared_memory_is_the_largest_and_not_the_sum() {
    let bytes = |arrays: usize| {
        let device = Arc::new(SteppedDevice::new(1));
        let mut builder = WriterBuilder::new().engine(engine()).device(Arc::clone(&device) as _);
        for _ in 0..arrays {
            let config = config(DataType::U16, true, CodecConfig::Zstd { level: 1 });
            builder = builder.array(config, Arc::new(MemorySink::with_pages(4096)));
        }
        let writer = builder.build_multi().unwrap();
        let used = [Memory::Device, Memory::Pinned].map(|memory| device.allocated_bytes(memory));
        let own = |placement| {
            let estimate = writer.memory(0).unwrap();
            let own = estimate.buffers.iter().filter(|buffer| {
                buffer.placement == placement && ["tail_state", "host_tail", "accumulators"].contains(&buffer.name)
            });
            own.map(|buffer| buffer.bytes * buffer.count).sum::<u64>()
        };
        (used, [own(Placement::Device), own(Placement::Pinned)])
    };
    let (one, own) = bytes(1);
    let (sixteen, _) = bytes(16);
    let shards = 4 + 1 + 1;
    for placement in 0..2 {
        assert_eq!(sixteen[placement], one[placement] + 15 * own[placement]);
        assert!(own[placement] <= shards * (4096 + 8), "a page and a length per open shard: {}", own[placement]);
    }
}

/// Claims FLUSH-072.
#[test]
fn levels_and_passthrough_belong_to_the_array_that_is_bound() {
    let device = Arc::new(Checked::new(SteppedDevice::new(1)));
    let codec = CodecConfig::None;
    let configs = [config(DataType::U16, true, codec), config(DataType::U16, false, codec)];
    let mut builder = WriterBuilder::new().engine(engine()).device(Arc::clone(&device) as _);
    for config in &configs {
        builder = builder.array(config.clone(), Arc::new(MemorySink::new()));
    }
    let mut writer = builder.build_multi().unwrap();
    let mut waits = |index: usize, numbers: std::ops::Range<usize>| {
        let before = device.trace(Place::Compress).len();
        for number in numbers {
            let _taken = writer.update(index, &epoch(&configs[index], number)).unwrap();
        }
        let trace = device.trace(Place::Compress)[before..].to_vec();
        (trace.iter().filter(|line| line.starts_with("W LOD_DONE")).count(), trace.contains(&"COMPRESS".to_owned()))
    };
    assert_eq!(waits(0, 0..3), (1, false));
    assert_eq!(waits(1, 0..3), (0, false), "the flat array waits for no levels");
    assert_eq!(waits(0, 3..6), (1, false));
    writer.close().unwrap();
    assert_eq!(device.report().findings, []);
}

/// Claims FLUSH-075.
#[test]
fn a_switch_leaves_nothing_in_flight() {
    let configs = [config(DataType::U16, false, CodecConfig::None), config(DataType::U16, false, CodecConfig::None)];
    let sinks = [QueueSink::new(4096), QueueSink::new(4096)];
    let device = Arc::new(CpuDevice::new(Some(2)).unwrap());
    let mut builder = WriterBuilder::new().engine(engine()).device(device);
    for (config, sink) in configs.iter().zip(&sinks) {
        builder = builder.array(config.clone(), Arc::new(sink.clone()));
    }
    let mut writer = builder.build_multi().unwrap();
    sinks[0].hold();
    for number in 0..3 {
        let _taken = writer.update(0, &epoch(&configs[0], number)).unwrap();
    }
    assert!(sinks[0].pending_bytes() > 0);
    let start = Instant::now();
    let release = sinks[0].release_after(Duration::from_millis(300));
    let _taken = writer.update(1, &epoch(&configs[1], 0)).unwrap();
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(250) && waited < Duration::from_secs(5), "{waited:?}");
    release.join().unwrap();
    let (_, arrays) = writer.parts();
    assert!(arrays[0].slots.slots.iter().all(|slot| slot.fence.is_none() && slot.kicked.is_none()));
    // A sink refuses a fence of another, so a stray one would be an error here.
    for number in 1..6 {
        let _taken = writer.update(1, &epoch(&configs[1], number)).unwrap();
        let _taken = writer.update(0, &epoch(&configs[0], number + 2)).unwrap();
    }
    writer.close().unwrap();
    let fences = |sink: &QueueSink| sink.log().iter().filter(|call| matches!(call, Call::Fence(_))).count();
    assert!(fences(&sinks[0]) > 0 && fences(&sinks[1]) > 0);
    assert!(sinks[0].objects().contains_key("c/0/0/0") && sinks[1].objects().contains_key("c/0/0/0"));
}
