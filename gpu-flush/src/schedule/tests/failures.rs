//! What a user sees when the sink, the device or memory fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::faulty::{At, Faulty};
use super::setup::{FRAME_BYTES, Setup, pattern};
use super::sinks::{Call, Fault, QueueSink};
use crate::config::{ArrayConfig, CodecConfig, Dimension, EngineConfig};
use crate::device::{CpuDevice, Device, Memory, SteppedDevice};
use crate::dtype::DataType;
use crate::error::Error;
use crate::schedule::Shape;
use crate::sink::{MemorySink, Sink};
use crate::writer::{Writer, WriterBuilder};

/// u16, t unbounded × 16 × 16, chunks 1×8×8, `epochs_per_shard`×2×2 chunks per shard.
fn config(epochs_per_shard: u64, codec: CodecConfig) -> ArrayConfig {
    ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").chunk(1).chunks_per_shard(epochs_per_shard))
        .dimension(Dimension::bounded("y", 16).chunk(8).chunks_per_shard(2))
        .dimension(Dimension::bounded("x", 16).chunk(8).chunks_per_shard(2))
        .codec(codec)
        .build()
        .unwrap()
}

const SMALL_FRAME_BYTES: usize = 512;

fn engine() -> EngineConfig {
    EngineConfig::default()
        .epochs_per_batch(2)
        .staging_bytes(4096)
        .threads_max(1)
        .metadata_update_interval(Duration::ZERO)
}

fn shape_of(objects: &std::collections::BTreeMap<String, Vec<u8>>) -> u64 {
    let document: serde_json::Value = serde_json::from_slice(&objects["zarr.json"]).unwrap();
    document["shape"][0].as_u64().unwrap()
}

/// Claims FLUSH-089.
#[test]
fn a_full_disk_names_the_shard_and_spares_the_finished_ones() {
    for page_bytes in [0, 4096] {
        let sink = QueueSink::new(page_bytes).with_fault(Fault::FullAtShard(3));
        let builder = WriterBuilder::new().array(config(2, CodecConfig::None), Arc::new(sink.clone()));
        let mut writer = builder.engine(engine()).build().unwrap();
        let mut failed = None;
        let mut cursor_at_fault = None;
        for frame in 0..16 {
            let written = sink.log().iter().filter(|call| matches!(call, Call::Open(_))).count();
            if written > 3 && cursor_at_fault.is_none() {
                cursor_at_fault = Some(writer.cursor());
                // The queue has a thread of its own; give it the time to meet the full disk.
                while sink.error().is_none() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            if let Err(error) = writer.append(&pattern(frame, SMALL_FRAME_BYTES)) {
                failed = Some(error);
                break;
            }
        }
        let error = failed.unwrap();
        assert!(matches!(&error, Error::SinkFailed { key, os_error: Some(28), .. } if key == "c/3/0/0"), "{error}");
        let batch = 2 * 256;
        assert!(
            writer.cursor() - cursor_at_fault.unwrap_or(writer.cursor()) <= 2 * batch,
            "not later than two batches after"
        );
        let cursor = writer.cursor();
        for _ in 0..2 {
            let again = writer.append(&pattern(0, SMALL_FRAME_BYTES)).unwrap_err();
            assert!(matches!(&again, Error::Broken { cause } if cause.to_string() == error.to_string()), "{again}");
            assert_eq!(writer.cursor(), cursor);
        }
        assert_eq!(writer.flush().unwrap_err().to_string(), error.to_string());
        assert_eq!(writer.close().unwrap_err().to_string(), error.to_string());
        drop(writer);
        let objects = sink.objects();
        assert_eq!(shape_of(&objects), 6, "three shards of two epochs");
        for shard in 0..3 {
            let bytes = &objects[&format!("c/{shard}/0/0")];
            let entries = crate::shard::ShardIndex::parse(bytes, 8).unwrap();
            assert!(entries.iter().all(Option::is_some), "shard {shard} is complete");
        }
        assert!(!objects.contains_key("c/3/0/0"), "the shard that failed claims nothing");
    }
}

/// Claims FLUSH-090.
#[test]
fn creation_fails_cleanly_wherever_it_fails() {
    let setup = Setup::golden(Shape::Pipelined, true, true);
    let mut failures = 0;
    for granted in 0.. {
        let device = Arc::new(SteppedDevice::new(1));
        device.fail_after(granted);
        let sink = setup.sink();
        match setup.writer(Arc::clone(&device) as _, Arc::new(sink.clone())) {
            Ok(_) => break,
            Err(Error::OutOfMemory { largest, largest_bytes, .. }) => {
                assert!(largest.contains('[') && largest_bytes > 0, "{largest}: {largest_bytes}");
            }
            Err(Error::DeviceFailed { operation, .. }) => assert!(operation.contains("creating"), "{operation}"),
            Err(other) => panic!("{other}"),
        }
        failures += 1;
        assert_eq!(
            device.allocated_bytes(Memory::Device) + device.allocated_bytes(Memory::Pinned),
            0,
            "after {granted}"
        );
        assert!(device.buffers().is_empty() && sink.objects().is_empty(), "after {granted}");
    }
    assert!(failures > 20, "{failures} places to fail");

    let builder = |limit: u64| {
        let engine = EngineConfig { memory_budget_bytes: Some(limit), ..engine() };
        WriterBuilder::new().array(config(2, CodecConfig::None), Arc::new(MemorySink::new())).engine(engine)
    };
    let need = builder(u64::MAX).build().unwrap().memory().total_bytes();
    let error = builder(need - 1).build().unwrap_err();
    assert!(
        matches!(&error, Error::OutOfMemory { need_bytes, limit_bytes, largest, largest_bytes, .. }
            if *need_bytes == need && *limit_bytes == need - 1 && !largest.is_empty() && *largest_bytes > 0),
        "{error}"
    );
    drop(builder(need).build().unwrap());

    // The error names the smallest budget that works, and that one does.
    let refused = |limit: u64, epochs| {
        let engine = EngineConfig { memory_budget_bytes: Some(limit), epochs_per_batch: epochs, ..engine() };
        let several = WriterBuilder::new().array(config(2, CodecConfig::None), Arc::new(MemorySink::with_pages(4096)));
        several.array(config(1, CodecConfig::None), Arc::new(MemorySink::new())).engine(engine).build_multi().err()
    };
    let Some(error) = refused(1000, Some(7)) else { panic!("1000 B hold seven epochs") };
    let Error::OutOfMemory { need_bytes, smallest_bytes: Some(smallest), .. } = error else { panic!("{error}") };
    assert!(smallest < need_bytes && error.to_string().contains(&format!("or {smallest} B")), "{error}");
    assert!(
        matches!(refused(smallest - 1, Some(1)), Some(Error::OutOfMemory { need_bytes, .. }) if need_bytes == smallest)
    );
    assert!(refused(smallest, Some(1)).is_none());
}

/// Claims FLUSH-091.
#[test]
fn the_first_cause_wins() {
    let setup = Setup::golden(Shape::Pipelined, true, false);
    let sink = QueueSink::new(4096);
    let device = Faulty::new(SteppedDevice::new(1), At::Enqueue("COMPRESS"), 3);
    let mut writer = setup.writer(Arc::new(device), Arc::new(sink.clone())).unwrap();
    let mut first = None;
    for frame in 0..10 {
        let (_, array) = writer.parts();
        if array.shards[0].delivered_epochs() == 2 {
            sink.fail_now();
        }
        if let Err(error) = writer.append(&pattern(frame, FRAME_BYTES)) {
            first.get_or_insert(error);
        }
    }
    let first = first.unwrap();
    assert!(matches!(first, Error::SinkFailed { .. }), "{first}");
    // A device error that comes later is a consequence.
    let (engine, array) = writer.parts();
    array.slots.slots[0].fence = None;
    let _device_error = engine.kick(array, 0);
    let broken = writer.append(&pattern(0, FRAME_BYTES)).unwrap_err();
    assert!(matches!(&broken, Error::Broken { cause } if cause.to_string() == first.to_string()), "{broken}");
    for error in [writer.flush().unwrap_err(), writer.close().unwrap_err()] {
        assert_eq!(error.to_string(), first.to_string());
    }
}

/// Claims FLUSH-092.
#[test]
fn a_dispatch_that_fails_midway_breaks_its_array() {
    let start = Instant::now();
    let sink = QueueSink::new(4096);
    let device = Arc::new(Faulty::new(SteppedDevice::new(1), At::Enqueue("H2D"), 27));
    let setup = Setup { staging_bytes: 8192, ..Setup::golden(Shape::Pipelined, false, false) };
    let mut writer = setup.writer(Arc::clone(&device) as _, Arc::new(sink.clone())).unwrap();
    // A frame takes four dispatches. Eight frames are a shard; the fault meets the seventh frame.
    let mut error = None;
    for frame in 0..10 {
        if let Err(first) = writer.append(&pattern(frame, FRAME_BYTES)) {
            error = Some(first);
            break;
        }
    }
    assert!(device.has_failed());
    let error = error.unwrap();
    assert!(matches!(error, Error::DeviceFailed { .. }), "{error}");
    assert!(matches!(writer.append(&[0, 0]).unwrap_err(), Error::Broken { .. }));
    writer.close().unwrap_err();
    drop(writer);
    let log = sink.log();
    assert!(!log.iter().any(|call| matches!(call, Call::Finalize(_))), "no shard was completed, none is claimed");
    assert_eq!(shape_of(&sink.objects()), 0);
    assert!(start.elapsed() < Duration::from_secs(5));

    // The data of a shard that was closed before stays readable.
    let sink = QueueSink::new(4096);
    let device = Arc::new(Faulty::new(SteppedDevice::new(1), At::Enqueue("H2D"), 59));
    let mut writer = setup.writer(Arc::clone(&device) as _, Arc::new(sink.clone())).unwrap();
    let result = (0..20).try_for_each(|frame| writer.append(&pattern(frame, FRAME_BYTES)).map(drop));
    assert!(result.is_err() && device.has_failed());
    writer.close().unwrap_err();
    drop(writer);
    let objects = sink.objects();
    assert_eq!(shape_of(&objects), 8);
    let entries = crate::shard::ShardIndex::parse(&objects["c/0/0/0"], 32).unwrap();
    assert!(entries.iter().all(Option::is_some));
}

/// Claims FLUSH-093.
#[test]
fn a_panic_of_the_sink_is_its_failure() {
    let start = Instant::now();
    let sink = QueueSink::new(0).with_fault(Fault::PanicAtWrite(2));
    let healthy = MemorySink::new();
    let alone = MemorySink::new();
    let builder = WriterBuilder::new()
        .array(config(2, CodecConfig::None), Arc::new(sink))
        .array(config(2, CodecConfig::None), Arc::new(healthy.clone()));
    let mut writer = builder.engine(engine()).build_multi().unwrap();
    let mut error = None;
    for frame in 0..6 {
        let data = pattern(frame, SMALL_FRAME_BYTES);
        if let Err(failed) = writer.update(0, &data) {
            error.get_or_insert(failed);
        }
        let _taken = writer.update(1, &data).unwrap();
    }
    writer.close().unwrap_err();
    let (engine_parts, arrays) = writer.parts();
    assert_eq!(arrays[0].gate.armed(), arrays[0].gate.published());
    assert!(engine_parts.bound.is_some());
    drop(writer);
    assert!(start.elapsed() < Duration::from_secs(5));
    // The departing array is drained by the call for the other one, so its own error comes with its next call.
    let error = error.unwrap();
    assert!(error.to_string().contains("the sink's own bug"), "{error}");

    let builder = WriterBuilder::new().array(config(2, CodecConfig::None), Arc::new(alone.clone()));
    let mut writer = builder.engine(engine()).build_multi().unwrap();
    for frame in 0..6 {
        let _taken = writer.update(0, &pattern(frame, SMALL_FRAME_BYTES)).unwrap();
    }
    writer.close().unwrap();
    assert_eq!(healthy.objects(), alone.objects(), "the other array went on");
}

/// Claims FLUSH-094.
#[test]
fn dropping_after_a_failed_flush_waits_for_what_is_queued() {
    for round in 0..50 {
        let sink = QueueSink::new(if round % 2 == 0 { 0 } else { 4096 });
        let device = Arc::new(CpuDevice::new(Some(1)).unwrap());
        let builder = WriterBuilder::new().array(config(4, CodecConfig::None), Arc::new(sink.clone()));
        let mut writer = builder.engine(engine()).device(device.clone()).build().unwrap();
        for frame in 0..5 {
            let _taken = writer.append(&pattern(frame, SMALL_FRAME_BYTES)).unwrap();
        }
        sink.hold();
        sink.fail_now();
        writer.flush().unwrap_err();
        let release = sink.release_after(Duration::from_millis(2));
        drop(writer);
        release.join().unwrap();
        assert_eq!(sink.unstable(), 0, "round {round}: queued bytes were left alone until they were read");
        assert_eq!(sink.pending_bytes(), 0, "round {round}");
        assert_eq!(device.allocated_bytes(Memory::Device), 0);
    }
    // After a successful close the sink is not touched again.
    let sink = QueueSink::new(0);
    let mut writer = Writer::with_engine(config(4, CodecConfig::None), engine(), Arc::new(sink.clone())).unwrap();
    let _taken = writer.append(&pattern(0, SMALL_FRAME_BYTES)).unwrap();
    writer.close().unwrap();
    let calls = sink.log().len();
    drop(writer);
    assert_eq!(sink.log().len(), calls);
}
