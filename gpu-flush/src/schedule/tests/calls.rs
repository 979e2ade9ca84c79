//! The writer's calls, seen from inside: gathering, back-pressure, the end of an array.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::setup::{FRAME_BYTES, Setup, pattern};
use super::sinks::{Call, QueueSink};
use crate::checked::Checked;
use crate::config::{ArrayConfig, Dimension, EngineConfig};
use crate::device::{CpuDevice, SteppedDevice};
use crate::dtype::DataType;
use crate::edges::Place;
use crate::schedule::Shape;
use crate::sink::{DiscardSink, MemorySink};
use crate::writer::{Status, WriterBuilder};

/// CPU time this thread has used.
fn thread_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// CPU time all threads of this process have used.
pub(super) fn process_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let times = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("schedstat")).ok());
    times.map(|text| Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())).sum()
}

/// Claims FLUSH-005.
#[test]
fn close_waits_for_what_flush_left_queued() {
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::bounded("t", 4).chunk(2).chunks_per_shard(1))
        .dimension(Dimension::bounded("y", 4).chunk(2).chunks_per_shard(1))
        .dimension(Dimension::bounded("x", 6).chunk(6).chunks_per_shard(1))
        .build()
        .unwrap();
    let data: Vec<u8> = (0..96u16).flat_map(u16::to_le_bytes).collect();
    let run = |close: bool| {
        let sink = QueueSink::new(0).with_delay(Duration::from_millis(200));
        let builder = WriterBuilder::new().array(config.clone(), Arc::new(sink.clone()));
        let mut writer = builder.build().unwrap();
        let _taken = writer.append(&data).unwrap();
        writer.flush().unwrap();
        let stored_at_flush = sink.objects().keys().filter(|key| key.starts_with("c/")).count();
        if close {
            writer.close().unwrap();
            let calls = sink.log().len();
            writer.close().unwrap();
            assert_eq!(sink.log().len(), calls, "a second close asks the sink for nothing");
        }
        drop(writer);
        (stored_at_flush, sink)
    };
    let (at_flush, closed) = run(true);
    assert!(at_flush < 4, "flush returned with writes in the queue");
    let objects = closed.objects();
    assert_eq!(objects.keys().filter(|key| key.starts_with("c/")).count(), 4);
    let document: serde_json::Value = serde_json::from_slice(&objects["zarr.json"]).unwrap();
    assert_eq!(document["shape"], serde_json::json!([4, 4, 6]));
    let log = closed.log();
    let last_put = log.iter().rposition(|call| matches!(call, Call::Put(_))).unwrap();
    let waited = log.iter().position(|call| matches!(call, Call::WaitFence(_))).unwrap();
    assert!(last_put > waited, "the final extent follows the wait");
    let (_, dropped) = run(false);
    assert_eq!(dropped.objects(), objects, "dropping does the same work");

    let failing = QueueSink::new(0);
    let mut writer = WriterBuilder::new().array(config, Arc::new(failing.clone())).build().unwrap();
    let _taken = writer.append(&data).unwrap();
    failing.fail_now();
    let messages = logged(|| drop(writer));
    assert!(
        messages.iter().any(|text| text.contains("dropped with an error") && text.contains("sink failed")),
        "{messages:?}"
    );
}

/// What `work` logs, one line per event with its fields.
fn logged(work: impl FnOnce()) -> Vec<String> {
    use std::sync::Mutex;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};

    struct Lines(Arc<Mutex<Vec<String>>>);
    struct Text(String);
    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0.push_str(&format!("{field}={value:?} "));
        }
    }
    impl tracing::Subscriber for Lines {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            *metadata.level() <= tracing::Level::WARN
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut text = Text(format!("{} ", event.metadata().level()));
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }
    let lines = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(Lines(Arc::clone(&lines)), work);
    lines.lock().unwrap().clone()
}

/// Claims FLUSH-006.
#[test]
fn small_appends_gather_into_full_transfers() {
    let config = |levels: bool| {
        let inner = |name: &str, size: u64| {
            let dimension = Dimension::bounded(name, size).chunk(16).chunks_per_shard(0);
            if levels { dimension.downsample() } else { dimension }
        };
        ArrayConfig::builder(DataType::U16)
            .dimension(Dimension::unbounded("t").chunk(1).chunks_per_shard(8))
            .dimension(inner("y", 32))
            .dimension(inner("x", 64))
            .build()
            .unwrap()
    };
    let transfers = |levels: bool| {
        let device = Arc::new(Checked::new(SteppedDevice::byteless(1)));
        let builder = WriterBuilder::new().array(config(levels), Arc::new(DiscardSink::new(0)));
        let engine = EngineConfig { staging_bytes: 65536, target_batch_bytes: 1 << 20, ..EngineConfig::default() };
        let mut writer = builder.engine(engine).device(Arc::clone(&device) as _).build().unwrap();
        for frame in 0..40 {
            let _taken = writer.append(&pattern(frame, 4096)).unwrap();
        }
        writer.flush().unwrap();
        let copies = device.accesses("H2D");
        copies
            .iter()
            .filter(|(buffer, ..)| buffer.name == "device_staging")
            .map(|(_, start, end)| (end - start) / 4096)
            .collect::<Vec<_>>()
    };
    assert_eq!(transfers(false), [16, 16, 8]);
    assert_eq!(transfers(true), [1; 40]);
}

/// Claims FLUSH-007.
#[test]
fn a_slow_sink_holds_appends_back() {
    let config = ArrayConfig::builder(DataType::U8)
        .dimension(Dimension::unbounded("t").chunk(1).chunks_per_shard(8))
        .dimension(Dimension::bounded("x", 256 << 10).chunk(64 << 10).chunks_per_shard(0))
        .build()
        .unwrap();
    let run = |wait_max: Duration| {
        let sink = QueueSink::new(0);
        let engine = EngineConfig {
            backpressure_bytes: Some(1 << 20),
            backpressure_wait_max: wait_max,
            epochs_per_batch: Some(8),
            ..EngineConfig::default()
        };
        let builder = WriterBuilder::new().array(config.clone(), Arc::new(sink.clone())).engine(engine);
        let mut writer = builder.build().unwrap();
        sink.hold();
        let release = sink.release_when_pending(Duration::from_millis(500));
        let (mut longest, mut used) = (Duration::ZERO, Duration::ZERO);
        for frame in 0..64u8 {
            let data = vec![frame; 256 << 10];
            let (before, cpu) = (Instant::now(), thread_cpu());
            let _taken = writer.append(&data).unwrap();
            if before.elapsed() > longest {
                (longest, used) = (before.elapsed(), thread_cpu() - cpu);
            }
        }
        let blocked = writer.metrics().stalls.back_pressure;
        let fences = writer.metrics().stalls.io_fence;
        let peak = writer.metrics().pending_bytes_peak;
        writer.close().unwrap();
        release.join().unwrap();
        let objects = sink.objects();
        let stored: usize = objects.iter().filter(|(key, _)| key.starts_with("c/")).map(|(_, bytes)| bytes.len()).sum();
        assert!(stored >= 16 << 20, "{stored} B are stored");
        for frame in 0..64usize {
            let shard = &objects[&format!("c/{}/0", frame / 8)];
            assert!(shard[frame % 8 * (256 << 10)..][..256 << 10].iter().all(|byte| *byte == frame as u8), "{frame}");
        }
        (used, blocked.time + fences.time, peak, longest)
    };
    let (used, blocked, peak, longest) = run(Duration::from_secs(30));
    assert!(longest >= Duration::from_millis(400), "an append was held back: {longest:?}");
    assert!(blocked >= Duration::from_millis(400), "{blocked:?}");
    assert!(used < Duration::from_millis(50), "the thread slept: {used:?} of CPU in {longest:?}");
    assert!(peak <= (1 << 20) + (2 << 20), "{peak} B were pending");
    let warnings = logged(|| {
        let (_, blocked, ..) = run(Duration::from_millis(300));
        assert!(blocked >= Duration::from_millis(400), "{blocked:?}: the cap, then the fence of the slot");
    });
    let warnings: Vec<_> = warnings.iter().filter(|text| text.contains("slower than the input")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("limit_bytes=1048576"), "{warnings:?}");
}

/// How long after the record a host thread goes on that was blocked by then.
fn woken_after(
    device: &Arc<CpuDevice>,
    stream: crate::device::StreamId,
    event: crate::device::EventId,
    counter: crate::device::CounterId,
    value: u64,
) -> Duration {
    use crate::device::{Device, Label};
    let label = Label::new("GATE", 0);
    device.wait_counter(stream, counter, value, label).unwrap();
    device.record(stream, event, label).unwrap();
    let opener = {
        let device = Arc::clone(device);
        std::thread::spawn(move || {
            // Not a multiple of anything that a polling wait might sleep.
            std::thread::sleep(Duration::from_micros(5_000 + 137 * (value % 23)));
            let opened = Instant::now();
            device.publish(counter, value, Label::new("GATE", 0));
            opened
        })
    };
    assert!(device.host_wait(event, label).unwrap().blocked.is_some());
    let woken = Instant::now();
    woken.saturating_duration_since(opener.join().unwrap())
}

/// Claims FLUSH-082.
#[test]
fn host_waits_park() {
    use crate::device::*;
    let device = Arc::new(CpuDevice::new(Some(1)).unwrap());
    let stream = device.create_stream("compute").unwrap();
    let label = Label::new("D2H_DONE", 0);
    let event = device.create_event(label).unwrap();
    let counter = device.create_counter(Label::new("GATE", 0)).unwrap();
    device.wait_counter(stream, counter, 1, Label::new("GATE", 0)).unwrap();
    device.record(stream, event, label).unwrap();
    let opened = Arc::new(std::sync::Mutex::new(None));
    let opener = {
        let (device, opened) = (Arc::clone(&device), Arc::clone(&opened));
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            *opened.lock().unwrap() = Some(Instant::now());
            device.publish(counter, 1, Label::new("GATE", 0));
        })
    };
    let cpu = thread_cpu();
    let outcome = device.host_wait(event, label).unwrap();
    let (used, woken) = (thread_cpu() - cpu, Instant::now());
    opener.join().unwrap();
    let opened = opened.lock().unwrap().unwrap();
    assert!(used < Duration::from_millis(20), "{used:?} of CPU while blocked for a second");
    assert!(woken - opened < Duration::from_millis(250), "woken {:?} after the record", woken - opened);
    // A single wake may meet a busy machine; of many, half come within the millisecond that polling would take.
    let mut wakes: Vec<Duration> = (2..42).map(|value| woken_after(&device, stream, event, counter, value)).collect();
    wakes.sort();
    assert!(wakes[wakes.len() / 2] < Duration::from_millis(1), "{wakes:?}");
    assert!(outcome.blocked.unwrap() >= Duration::from_millis(900));
    assert_eq!(device.host_wait(event, label).unwrap().blocked, None, "a wait that does not block is no sample");

    // A lost device is an error; a device that shut down cleanly is not.
    device.wait_counter(stream, counter, 99, Label::new("GATE", 0)).unwrap();
    device.record(stream, event, label).unwrap();
    let waiter = {
        let device = Arc::clone(&device);
        std::thread::spawn(move || device.host_wait(event, label))
    };
    std::thread::sleep(Duration::from_millis(20));
    device.close();
    assert!(waiter.join().unwrap().is_ok());
    let lost = CpuDevice::new(Some(1)).unwrap();
    let stream = lost.create_stream("compute").unwrap();
    let event = lost.create_event(label).unwrap();
    let tag = Tag::new("BAD", Unit::None);
    let make = |name, bytes| {
        let label = Label::new(name, 0);
        lost.allocate(Allocation { label, bytes, memory: Memory::Device, role: Role::Payload }).unwrap()
    };
    let (to, from) = (make("to", 8), make("from", 16));
    let access = |buffer, end, mode| Access { buffer, start: 0, end, mode };
    let accesses = Accesses::new(&[access(to, 8, Mode::Write), access(from, 16, Mode::Read)]);
    let operation = Operation { tag, payload: Payload::Copy, accesses, source: None, timer: None };
    // SAFETY: nothing else uses these buffers.
    unsafe { lost.enqueue(stream, operation) }.unwrap();
    let _queued = lost.record(stream, event, label);
    let error = crate::Error::from(lost.host_wait(event, label).unwrap_err());
    assert!(matches!(&error, crate::Error::DeviceFailed { reason, .. } if reason.contains("BAD")), "{error}");
}

/// Claims FLUSH-103.
#[test]
fn the_cpu_moves_each_byte_once() {
    let setup = Setup::golden(Shape::Pipelined, false, false);
    let device = Arc::new(Checked::new(CpuDevice::new(Some(1)).unwrap()));
    let mut writer = setup.writer(Arc::clone(&device) as _, Arc::new(setup.sink())).unwrap();
    for frame in 0..6 {
        let mut data = pattern(frame, FRAME_BYTES);
        let _taken = writer.append(&data).unwrap();
        // What was appended has been scattered: changing it now changes nothing.
        data.fill(0xEE);
    }
    writer.flush().unwrap();
    let host = device.trace(Place::Host);
    for elided in ["FILL", "TAIL_STAGE", "P STAGING_FREE"] {
        assert!(!host.iter().any(|line| line.starts_with(elided)), "{elided}");
    }
    for copy in ["H2D", "INDEX", "PAYLOAD", "GATHER"] {
        assert!(device.accesses(copy).is_empty(), "{copy} moves nothing");
        assert!(device.elided(copy) > 0, "{copy} is in the record, marked as left out");
    }
    let input = 6 * FRAME_BYTES as u64;
    let (_, array) = writer.parts();
    let moved = |stage| array.timers.of(stage).snapshot().bytes;
    use crate::metrics::Stage;
    let scattered = moved(Stage::Scatter);
    // The row allows two passes; what is scattered straight into its shard needs one.
    assert!(device.accesses("GATHER").is_empty() && device.elided("GATHER") > 0, "nothing is packed");
    assert_eq!(scattered, input);
    assert_eq!(moved(Stage::Memcpy), 0);
    assert_eq!(device.report().findings, []);
}

/// Claims FLUSH-119: the CPU's and the byte-less record, and the seeded interleavings.
#[test]
fn every_device_gives_the_same_record_and_store() {
    for setup in Setup::all() {
        let setup = Setup { staging_bytes: FRAME_BYTES, ..setup };
        let (reference, result) = setup.record(6, FRAME_BYTES / 2);
        result.unwrap();
        let device = Arc::new(Checked::new(CpuDevice::new(Some(2)).unwrap()));
        setup.stream(Arc::clone(&device) as _, Arc::new(setup.sink()), 6, FRAME_BYTES / 2).unwrap();
        for place in Place::STREAMS {
            let without_uploads =
                |trace: Vec<String>| trace.into_iter().filter(|line| line != "UPLOAD").collect::<Vec<_>>();
            assert_eq!(
                without_uploads(device.trace(place)),
                without_uploads(reference.trace(place)),
                "{place} of {}",
                setup.name()
            );
        }
        assert_eq!(device.report().findings, [], "{}", setup.name());
    }
    let mut runs = 0;
    for compressed in [true, false] {
        for levels in [true, false] {
            let setup = Setup::golden(Shape::Pipelined, compressed, levels);
            let store = |seed: u64| {
                let sink = setup.sink();
                let device = Arc::new(SteppedDevice::new(seed));
                setup.stream(device, Arc::new(sink.clone()), 5, FRAME_BYTES / 2).unwrap();
                sink.objects()
            };
            let first = store(0);
            assert!(first.len() >= 2);
            for seed in 1..=250 {
                assert!(store(seed) == first, "seed {seed} of {}", setup.name());
                runs += 1;
            }
        }
    }
    assert_eq!(runs, 1000);
}

/// Claims FLUSH-104.
#[test]
fn an_idle_writer_is_quiet() {
    let setup = Setup::golden(Shape::Pipelined, true, true);
    let device = Arc::new(CpuDevice::new(None).unwrap());
    let mut writer = setup.writer(device, Arc::new(setup.sink())).unwrap();
    for frame in 0..20 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    std::thread::sleep(Duration::from_millis(200));
    let before = process_cpu();
    std::thread::sleep(Duration::from_secs(5));
    let used = process_cpu() - before;
    assert!(used < Duration::from_millis(50), "{used:?} of CPU in five idle seconds");
    writer.close().unwrap();
}

/// Claims FLUSH-102: one worker, a parked gate, a held sink and levels.
#[test]
fn one_worker_is_enough() {
    let setup = Setup::golden(Shape::Pipelined, true, true);
    let config = setup.config();
    let sink = QueueSink::new(4096);
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    let builder = WriterBuilder::new().array(config, Arc::new(sink.clone())).engine(setup.engine());
    let mut writer = builder.build().unwrap();
    assert!(threads() - before <= 1 + crate::device::FIXED_THREADS, "{} threads were started", threads() - before);
    sink.hold();
    let release = sink.release_after(Duration::from_millis(50));
    for frame in 0..400 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    writer.close().unwrap();
    release.join().unwrap();
    assert_eq!(writer.metrics().batches, 200);
    drop(writer);
    // The default is what the process may use, not what the machine has.
    let allowed = std::thread::available_parallelism().unwrap().get();
    assert_eq!(CpuDevice::new(None).unwrap().workers(), allowed);
    let program = std::env::current_exe().unwrap();
    let pinned = std::process::Command::new("taskset")
        .args(["-c", "0"])
        .arg(program)
        .args(["--exact", "schedule::tests::calls::workers_follow_the_affinity", "--nocapture"])
        .output();
    if let Ok(pinned) = pinned {
        let text = String::from_utf8_lossy(&pinned.stdout).into_owned();
        assert!(text.contains("workers 1 "), "{text}");
    }
}

/// What the device takes by default in this process; printed for the test above.
#[test]
fn workers_follow_the_affinity() {
    let workers = CpuDevice::new(None).unwrap().workers();
    println!("workers {workers} ");
    assert_eq!(workers, std::thread::available_parallelism().unwrap().get());
}

/// Claims FLUSH-003 and FLUSH-004: the end of an array.
#[test]
fn a_flush_is_final_and_an_empty_array_is_a_store() {
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::bounded("t", 4).chunk(2).chunks_per_shard(2))
        .dimension(Dimension::bounded("y", 4).chunk(2).chunks_per_shard(2))
        .dimension(Dimension::bounded("x", 6).chunk(3).chunks_per_shard(2))
        .build()
        .unwrap();
    let data: Vec<u8> = (0..96u16).flat_map(u16::to_le_bytes).collect();
    let sink = QueueSink::new(0);
    let mut writer = WriterBuilder::new().array(config, Arc::new(sink.clone())).build().unwrap();
    let _taken = writer.append(&data[..144]).unwrap();
    writer.flush().unwrap();
    let calls = sink.log().len();
    writer.flush().unwrap();
    assert_eq!(sink.log().len(), calls, "a second flush asks the sink for nothing");
    let appended = writer.append(&data[144..]).unwrap();
    assert_eq!((appended.status, appended.rest), (Status::Finished, &data[144..]));
    assert_eq!(writer.cursor(), 72);
    writer.close().unwrap();

    let unbounded = || Setup::golden(Shape::Pipelined, false, false).config();
    let stores: Vec<_> = [true, false]
        .into_iter()
        .map(|close| {
            let sink = MemorySink::new();
            let mut writer = WriterBuilder::new().array(unbounded(), Arc::new(sink.clone())).build().unwrap();
            let appended = writer.append(&[]).unwrap();
            assert_eq!((appended.status, appended.rest.len(), writer.cursor()), (Status::Ok, 0, 0));
            if close {
                writer.flush().unwrap();
                writer.close().unwrap();
            }
            drop(writer);
            sink.objects()
        })
        .collect();
    assert_eq!(stores[0], stores[1]);
    assert_eq!(stores[0].keys().collect::<Vec<_>>(), ["zarr.json"], "there is no shard");
    let document: serde_json::Value = serde_json::from_slice(&stores[0]["zarr.json"]).unwrap();
    assert_eq!(document["shape"][0], 0);
}
