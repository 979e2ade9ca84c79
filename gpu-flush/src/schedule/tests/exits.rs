//! Every way out of a drain and of a kick: one publication, nothing claimed complete, nothing unordered, nothing hung.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::faulty::{At, Faulty};
use super::setup::{AnyWriter, FRAME_BYTES, Setup, pattern};
use super::sinks::{Call, Fault, QueueSink};
use crate::checked::Checked;
use crate::device::{CpuDevice, Device, Memory, SteppedDevice};
use crate::edges::{Edge, Mutation};
use crate::error::Error;
use crate::schedule::Shape;

/// How the second batch of five is made to fail.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Exit {
    SinkInError,
    Device(At, u64),
    Delivery,
    Success,
}

const EXITS: [Exit; 8] = [
    Exit::SinkInError,
    Exit::Device(At::HostWait("CHUNK_INDEX_READY"), 1),
    Exit::Device(At::HostWait("D2H_DONE"), 1),
    Exit::Device(At::HostAccess("TAIL_STAGE"), 1),
    Exit::Device(At::Enqueue("PAYLOAD"), 1),
    Exit::Device(At::Record("SLOT_DRAINED"), 1),
    Exit::Delivery,
    Exit::Success,
];

type Record = Arc<Checked<SteppedDevice>>;

fn device(exit: Exit, seed: u64) -> (Record, Arc<dyn Device>) {
    let record: Record = Arc::new(Checked::new(SteppedDevice::new(seed)));
    let (at, nth) = match exit {
        Exit::Device(at, nth) => (at, nth),
        _ => (At::Enqueue("nothing"), 0),
    };
    let faulty = Faulty::new(Arc::clone(&record), at, nth);
    (record, Arc::new(faulty))
}

/// Five batches, the fault at the second; returns the first error and the state just before the writer is dropped.
fn run(setup: &Setup, exit: Exit, sink: &QueueSink, writer: &mut AnyWriter) -> Result<(), Error> {
    for frame in 0..10 {
        if exit == Exit::SinkInError {
            let (_, array) = writer.parts();
            if array.shards[0].delivered_epochs() >= 2 {
                sink.fail_now();
            }
        }
        if exit == Exit::Delivery {
            let (_, array) = writer.parts();
            if array.shards[0].delivered_epochs() == 2 {
                sink.set_fault(Fault::RefuseWrite(
                    sink.log().iter().filter(|call| matches!(call, Call::Write { .. })).count() as u64,
                ));
            }
        }
        if let Err(error) = writer.append(&pattern(frame, FRAME_BYTES)) {
            let again = writer.append(&pattern(frame, FRAME_BYTES)).unwrap_err();
            assert!(matches!(again, Error::Broken { .. }), "{exit:?} of {setup:?}: {again}");
            assert_eq!(writer.flush().unwrap_err().to_string(), error.to_string(), "{exit:?}");
            return Err(error);
        }
    }
    writer.flush()
}

/// Claims FLUSH-086 and FLUSH-118: the drain exits.
#[test]
fn each_exit_of_a_drain_publishes_once() {
    let setup = Setup::golden(Shape::Pipelined, true, false);
    for (number, exit) in EXITS.into_iter().enumerate() {
        let start = Instant::now();
        let sink = QueueSink::new(4096);
        let (record, device) = device(exit, number as u64);
        let mut writer = setup.writer(Arc::clone(&device), Arc::new(sink.clone())).unwrap();
        let result = run(&setup, exit, &sink, &mut writer);
        assert_eq!(result.is_err(), exit != Exit::Success, "{exit:?}: {result:?}");
        let (_, array) = writer.parts();
        assert_eq!(array.gate.published(), array.kicks, "{exit:?}");
        assert_eq!(array.gate.armed(), array.kicks, "{exit:?}");
        if let Err(error) = &result {
            match exit {
                Exit::Device(..) => assert!(matches!(error, Error::DeviceFailed { .. }), "{exit:?}: {error}"),
                _ => assert!(matches!(error, Error::SinkFailed { .. }), "{exit:?}: {error}"),
            }
            assert_eq!(array.published_when_broken, Some(1), "{exit:?}: the array broke before its second publication");
            assert!(array.kicks < 5, "{exit:?}: a broken array kicks no more");
            let claimed = sink.log().iter().any(|call| matches!(call, Call::Finalize(_)));
            assert!(!claimed, "{exit:?}: a shard was closed behind the failure");
        }
        drop(writer);
        assert!(start.elapsed() < Duration::from_secs(5), "{exit:?}");
        assert_eq!(device.allocated_bytes(Memory::Device) + device.allocated_bytes(Memory::Pinned), 0, "{exit:?}");
        let findings: Vec<_> = record.report().conflicts().cloned().collect();
        assert_eq!(findings, [], "{exit:?}");
    }
}

/// Claims FLUSH-118: the drain exits of the other shapes, a kick that fails after arming, and a failed dispatch.
#[test]
fn failing_paths_have_no_unordered_pair() {
    for shape in [Shape::Pipelined, Shape::DrainBeforeKick, Shape::DrainAfterKick] {
        let kicks = [Exit::Device(At::Enqueue("GATHER"), 1), Exit::Device(At::Enqueue("H2D"), 3)];
        for (number, exit) in EXITS.into_iter().chain(kicks).enumerate() {
            for compressed in [true, false] {
                let setup = Setup::golden(shape, compressed, false);
                let sink = QueueSink::new(4096);
                let (record, device) = device(exit, number as u64);
                let mut writer = setup.writer(Arc::clone(&device), Arc::new(sink.clone())).unwrap();
                let _error = run(&setup, exit, &sink, &mut writer);
                let (_, array) = writer.parts();
                assert_eq!(array.gate.published(), array.gate.armed(), "{exit:?} of {}", setup.name());
                drop(writer);
                let findings: Vec<_> = record.report().conflicts().cloned().collect();
                assert_eq!(findings, [], "{exit:?} of {}", setup.name());
                assert_eq!(device.allocated_bytes(Memory::Device), 0);
            }
        }
    }
}

/// Claims FLUSH-087.
#[test]
fn a_kick_that_fails_after_arming_loses_no_generation() {
    let start = Instant::now();
    let setup = Setup::golden(Shape::Pipelined, true, false);
    let exit = Exit::Device(At::Enqueue("GATHER"), 2);
    let sink = QueueSink::new(4096);
    let (record, device) = device(exit, 1);
    let mut writer = setup.writer(device, Arc::new(sink.clone())).unwrap();
    let error = run(&setup, exit, &sink, &mut writer).unwrap_err();
    assert!(matches!(error, Error::DeviceFailed { .. }), "{error}");
    let (_, array) = writer.parts();
    assert_eq!((array.gate.armed(), array.gate.published()), (3, 3));
    drop(writer);
    let trace = record.trace(crate::edges::Place::Host);
    assert_eq!(
        trace.iter().filter(|line| line.starts_with("publish")).count(),
        3,
        "no release of everything was needed"
    );
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// Claims FLUSH-077.
#[test]
fn the_accepted_deltas_hold() {
    let setup = Setup::golden(Shape::Pipelined, true, false);
    let record: Record = Arc::new(Checked::new(SteppedDevice::new(1)));
    let mut writer = setup.writer(Arc::clone(&record) as _, Arc::new(setup.sink())).unwrap();
    let (engine, _) = writer.parts();
    let streams = engine.streams.all();
    assert!((0..5).all(|index| streams[index].0 == index as u32), "all five streams exist before any operation");
    drop(writer);

    let (device, result) = setup.clone().with(&[Mutation::SpoilSizes]).record(8, 0);
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::DeviceFailed { operation, .. } if operation == "READ_SIZES"), "{error}");
    let drain = device.trace(crate::edges::Place::Drain);
    assert_eq!(drain[0], "R SLOT_DRAINED[0]", "the slot is given back, and nothing was copied by the damaged sizes");

    // Acquiring the tails queues nothing and blocks nothing: the only steps between delivery and upload are the host's own.
    let (device, result) = setup.record(4, 0);
    result.unwrap();
    let host = device.trace(crate::edges::Place::Host);
    let delivered = host.iter().position(|line| line == "DELIVER").unwrap();
    assert_eq!(host[delivered + 1..delivered + 3], ["TAIL_STAGE", "TAIL_UPLOAD"]);
}

/// Claims FLUSH-128.
#[test]
fn slot_drained_is_needed_behind_a_failed_drain() {
    use crate::edges::Mutations;
    use crate::writer::WriterBuilder;
    let setup = Setup::golden(Shape::DrainAfterKick, true, false);
    let pair = |mutations: &[Mutation]| {
        let record: Record = Arc::new(Checked::new(SteppedDevice::byteless(1)));
        let faulty = Faulty::new(Arc::clone(&record), At::HostWait("D2H_DONE"), 0);
        let mut builder = WriterBuilder::new().engine(setup.engine()).device(Arc::new(faulty));
        for _ in 0..2 {
            builder = builder.array(setup.config(), Arc::new(setup.sink()));
        }
        builder.mutations = Mutations { active: mutations.to_vec() };
        let mut writer = builder.build_multi().unwrap();
        for frame in 0..2 {
            let _result = writer.update(0, &pattern(frame, FRAME_BYTES));
        }
        for frame in 0..2 {
            let _taken = writer.update(1, &pattern(frame, FRAME_BYTES)).unwrap();
        }
        drop(writer);
        record.report()
    };
    let red = pair(&[Mutation::DropWait(Edge::SlotDrained)]);
    for operation in ["TAIL_COPY", "GATHER"] {
        let second = format!("compress {operation} of batch 0");
        assert!(
            red.has_conflict("drain PAYLOAD of batch 0", &second, "aggregate[0]"),
            "{operation}: {:#?}",
            red.findings
        );
    }
    assert_eq!(pair(&[]).conflicts().count(), 0);
    let healthy = Setup::mutation(Shape::Pipelined, true, false);
    let both = [Mutation::DropWait(Edge::SlotDrained), Mutation::DropWait(Edge::D2hDone)];
    let (device, _) = healthy.clone().with(&both[..1]).record(12, 0);
    assert_eq!(device.report().findings, [], "the poll of D2H_DONE covers it on the path without failure");
    let (device, _) = healthy.with(&both).record(12, 0);
    let report = device.report();
    assert!(
        report.has_conflict("drain PAYLOAD of batch 0", "compress GATHER of batch 2", "aggregate[0]"),
        "{:#?}",
        report.findings
    );
}

/// Claims FLUSH-076.
#[test]
fn destroy_ends_and_frees_everything() {
    for shape in [Shape::Pipelined, Shape::DrainBeforeKick, Shape::DrainAfterKick] {
        for compressed in [true, false] {
            let setup = Setup::golden(shape, compressed, false);
            let cpu = Arc::new(CpuDevice::new(Some(2)).unwrap());
            let stepped = Arc::new(SteppedDevice::new(3));
            let devices: [Arc<dyn Device>; 2] = [cpu, stepped];
            for device in devices {
                for case in ["parked gate", "held sink", "failed flush"] {
                    let start = Instant::now();
                    let sink = QueueSink::new(4096);
                    let record = Arc::new(Checked::new(Arc::clone(&device)));
                    let mut writer = setup.writer(Arc::clone(&record) as _, Arc::new(sink.clone())).unwrap();
                    let release = (case == "held sink").then(|| {
                        sink.hold();
                        sink.release_after(Duration::from_millis(300))
                    });
                    for frame in 0..4 {
                        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
                    }
                    if case == "failed flush" {
                        sink.fail_now();
                        writer.flush().unwrap_err();
                    }
                    drop(writer);
                    assert!(start.elapsed() < Duration::from_secs(5), "{case} in {shape}");
                    let bytes = device.allocated_bytes(Memory::Device) + device.allocated_bytes(Memory::Pinned);
                    assert_eq!(bytes, 0, "{case} in {shape}");
                    assert_eq!(sink.unstable(), 0, "{case} in {shape}: a payload changed under the sink");
                    let counters = record.published_values();
                    assert!(counters.iter().all(|value| *value <= 3), "{case}: {counters:?}");
                    assert_eq!(record.synchronized_at_end(), 5, "{case} in {shape}");
                    if let Some(release) = release {
                        release.join().unwrap();
                        assert!(
                            sink.objects().contains_key("c/0/0/0"),
                            "{case} in {shape}: queued writes were carried out"
                        );
                    }
                }
            }
        }
    }
}

/// Claims FLUSH-118: a switch to another array after one that failed, in every way that a drain, a kick or a dispatch can fail.
#[test]
fn a_switch_after_a_failure_has_no_unordered_pair() {
    use crate::writer::WriterBuilder;
    let others = [Exit::Device(At::Enqueue("GATHER"), 1), Exit::Device(At::Enqueue("H2D"), 3)];
    for exit in EXITS.into_iter().chain(others) {
        for compressed in [true, false] {
            let setup = Setup::golden(Shape::DrainAfterKick, compressed, false);
            let sinks = [QueueSink::new(4096), QueueSink::new(4096)];
            let (record, device) = device(exit, 2);
            let mut builder = WriterBuilder::new().engine(setup.engine()).device(Arc::clone(&device));
            for sink in &sinks {
                builder = builder.array(setup.config(), Arc::new(sink.clone()));
            }
            let mut writer = builder.build_multi().unwrap();
            for frame in 0..12 {
                if frame == 4 && exit == Exit::SinkInError {
                    sinks[0].fail_now();
                }
                if frame == 4 && exit == Exit::Delivery {
                    let written = sinks[0].log().iter().filter(|call| matches!(call, Call::Write { .. })).count();
                    sinks[0].set_fault(Fault::RefuseWrite(written as u64));
                }
                let _result = writer.update(frame / 2 % 2, &pattern(frame, FRAME_BYTES));
            }
            let closed = writer.close();
            // Without compression the host never waits for a chunk index.
            let harmless = !compressed && exit == Exit::Device(At::HostWait("CHUNK_INDEX_READY"), 1);
            assert_eq!(closed.is_err(), exit != Exit::Success && !harmless, "{exit:?}");
            let (_, arrays) = writer.parts();
            assert!(arrays.iter().any(|array| array.broken.is_none()), "{exit:?}: one array goes on");
            assert!(arrays.iter().all(|array| array.gate.armed() == array.gate.published()), "{exit:?}");
            drop(writer);
            let findings: Vec<_> = record.report().conflicts().cloned().collect();
            assert_eq!(findings, [], "{exit:?}, compressed {compressed}");
        }
    }
}
