//! The tails that a page-aligned sink carries from batch to batch, and the gate that orders them.

use std::sync::Arc;

use super::sinks::{Call, QueueSink};
use crate::config::{ArrayConfig, Dimension, EngineConfig};
use crate::device::{CpuDevice, Device, SteppedDevice};
use crate::dtype::DataType;
use crate::edges::{Mutation, Mutations};
use crate::error::Error;
use crate::sink::{MemorySink, Sink};
use crate::writer::WriterBuilder;

/// u16, 32×144×80, chunks 1×72×40 (5760 bytes), `epochs_per_shard`×2×2 chunks per shard.
fn config(epochs_per_shard: u64) -> ArrayConfig {
    ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::bounded("t", 32).chunk(1).chunks_per_shard(epochs_per_shard))
        .dimension(Dimension::bounded("y", 144).chunk(72).chunks_per_shard(2))
        .dimension(Dimension::bounded("x", 80).chunk(40).chunks_per_shard(2))
        .build()
        .unwrap()
}

fn input() -> Vec<u8> {
    (0..32u32 * 144 * 80).flat_map(|at| ((at.wrapping_mul(2_654_435_761) >> 13) as u16).to_le_bytes()).collect()
}

fn engine() -> EngineConfig {
    EngineConfig::default().epochs_per_batch(2).staging_bytes(64 << 10).threads_max(1)
}

fn write(
    device: Arc<dyn Device>,
    epochs_per_shard: u64,
    sink: Arc<dyn Sink>,
    shape: crate::schedule::Shape,
    mutations: &[Mutation],
) -> Result<(), Error> {
    use crate::schedule::Shape;
    let aligned = sink.page_bytes() > 0;
    let mut builder = WriterBuilder::new().array(config(epochs_per_shard), sink).device(device);
    builder = builder.engine(engine().force_gate_off(shape == Shape::DrainBeforeKick));
    builder.mutations = Mutations { active: mutations.to_vec() };
    if shape == Shape::DrainAfterKick {
        let mut writer = builder.build_multi()?;
        let _taken = writer.update(0, &input())?;
        writer.close()
    } else {
        let mut writer = builder.build()?;
        assert!(writer.shape() == shape || !aligned, "{}", writer.shape());
        let _taken = writer.append(&input())?;
        writer.close()
    }
}

/// The one shard as a stepping device writes it through pages, with mutations.
pub(super) fn carried(seed: u64, mutations: &[Mutation]) -> Option<Vec<u8>> {
    let sink = MemorySink::with_pages(4096);
    let device = Arc::new(SteppedDevice::new(seed));
    write(device, 32, Arc::new(sink.clone()), crate::schedule::Shape::Pipelined, mutations).ok()?;
    sink.objects().get("c/0/0/0").cloned()
}

/// The shard as plain loops put it together.
pub(super) fn expected() -> Vec<u8> {
    let data = input();
    let mut shard = Vec::new();
    let mut index = Vec::new();
    for t in 0..32 {
        for (cy, cx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            index.extend((shard.len() as u64).to_le_bytes());
            index.extend(5760u64.to_le_bytes());
            for y in 0..72 {
                let row = ((t * 144 + cy * 72 + y) * 80 + cx * 40) * 2;
                shard.extend(&data[row..row + 80]);
            }
        }
    }
    let checksum = crc32c::crc32c(&index);
    shard.extend(index);
    shard.extend(checksum.to_le_bytes());
    shard
}

const SHAPES: [crate::schedule::Shape; 3] = [
    crate::schedule::Shape::Pipelined,
    crate::schedule::Shape::DrainBeforeKick,
    crate::schedule::Shape::DrainAfterKick,
];

/// What one shard was asked for, call by call: page writes, then the footer and the cut.
fn shard_calls(log: &[Call], key: &str) -> Vec<Call> {
    let of = |call: &&Call| match call {
        Call::Write { key: other, .. } | Call::Truncate { key: other, .. } | Call::Finalize(other) => other == key,
        _ => false,
    };
    log.iter().filter(of).cloned().collect()
}

fn devices() -> [Arc<dyn Device>; 2] {
    [Arc::new(CpuDevice::new(Some(2)).unwrap()), Arc::new(SteppedDevice::new(5))]
}

/// Claims FLUSH-083.
#[test]
fn tails_cycle_through_sixteen_batches() {
    for shape in SHAPES {
        for device in devices() {
            let sink = QueueSink::new(4096);
            write(device, 32, Arc::new(sink.clone()), shape, &[]).unwrap();
            let calls = shard_calls(&sink.log(), "c/0/0/0");
            let mut tail = 0;
            let mut cursor = 0;
            for (batch, call) in calls.iter().take(16).enumerate() {
                let total = tail + 46080;
                let written = total / 4096 * 4096;
                assert!(
                    matches!(call, Call::Write { offset, bytes, .. } if (*offset, *bytes) == (cursor, written)),
                    "batch {batch} of {shape}: {call:?}, expected {written} B at {cursor}"
                );
                (tail, cursor) = (total - written, cursor + written);
                let expected_tail = [1024, 2048, 3072, 0][batch % 4];
                assert_eq!(tail, expected_tail, "batch {batch} of {shape}");
            }
            assert_eq!(cursor, 737_280);
            let key = || "c/0/0/0".to_owned();
            assert!(
                matches!(calls[16], Call::Write { offset: 737_280, bytes: 4096, stable: false, .. }),
                "{:?}",
                calls[16]
            );
            assert_eq!(calls[17..], [Call::Truncate { key: key(), bytes: 739_332 }, Call::Finalize(key())]);
            let shard = &sink.objects()["c/0/0/0"];
            assert_eq!(shard.len(), 739_332);
            assert_eq!(*shard, expected(), "{shape}");
        }
        let unaligned = MemorySink::new();
        write(Arc::new(CpuDevice::new(Some(1)).unwrap()), 32, Arc::new(unaligned.clone()), shape, &[]).unwrap();
        assert_eq!(unaligned.objects()["c/0/0/0"], expected(), "{shape}");
    }
}

/// Claims FLUSH-084.
#[test]
fn a_closed_shard_leaves_no_tail_behind() {
    for shape in SHAPES {
        for device in devices() {
            let sink = QueueSink::new(4096);
            write(device, 4, Arc::new(sink.clone()), shape, &[]).unwrap();
            let whole = expected();
            for shard in 0..8 {
                let key = format!("c/{shard}/0/0");
                let calls = shard_calls(&sink.log(), &key);
                let written: Vec<_> = calls
                    .iter()
                    .filter_map(|call| match call {
                        Call::Write { offset, bytes, .. } => Some((*offset, *bytes)),
                        _ => None,
                    })
                    .collect();
                assert_eq!(written, [(0, 45056), (45056, 45056), (90112, 4096)], "{key} of {shape}");
                assert_eq!(
                    calls[3..],
                    [Call::Truncate { key: key.clone(), bytes: 92_420 }, Call::Finalize(key.clone())]
                );
                let bytes = &sink.objects()[&key];
                assert_eq!(bytes.len(), 90112 + 2308);
                assert_eq!(bytes[..92160], whole[shard * 92160..(shard + 1) * 92160], "{key} of {shape}");
            }
        }
    }
}

/// Claims FLUSH-122: the carry, round-trip and determinism with the gate forced off, by the builder and by the environment.
#[test]
fn the_gate_can_be_forced_off() {
    use crate::schedule::Shape;
    let run = |force: bool, codec: crate::CodecConfig| {
        let sink = MemorySink::with_pages(4096);
        let config = ArrayConfig::builder(DataType::U16)
            .dimension(Dimension::bounded("t", 32).chunk(1).chunks_per_shard(32))
            .dimension(Dimension::bounded("y", 144).chunk(72).chunks_per_shard(2))
            .dimension(Dimension::bounded("x", 80).chunk(40).chunks_per_shard(2))
            .codec(codec)
            .build()
            .unwrap();
        let builder = WriterBuilder::new().array(config, Arc::new(sink.clone()));
        let mut writer = builder.engine(engine().force_gate_off(force)).build().unwrap();
        let shape = writer.shape();
        let _taken = writer.append(&input()).unwrap();
        writer.close().unwrap();
        (shape, sink.objects())
    };
    let none = crate::CodecConfig::None;
    let zstd = crate::CodecConfig::Zstd { level: 3 };
    let (shape, store) = run(true, none);
    assert_eq!(shape, Shape::DrainBeforeKick);
    assert_eq!(store["c/0/0/0"], expected());
    let forced = [run(true, zstd), run(true, zstd)];
    assert_eq!(forced[0], forced[1], "two runs are equal");
    let (shape, free) = run(false, zstd);
    assert_eq!(shape, Shape::Pipelined);
    assert_eq!(free, forced[0].1, "the shape changes no byte");
    let entries = crate::shard::ShardIndex::parse(&free["c/0/0/0"], 128).unwrap();
    let codec = crate::codec::Codec::new(zstd, 5760, 2);
    let plain = expected();
    for (chunk, entry) in entries.iter().enumerate() {
        let (offset, length) = entry.unwrap();
        let mut decoded = vec![0; 5760];
        codec.decompress(&free["c/0/0/0"][offset as usize..(offset + length) as usize], &mut decoded).unwrap();
        assert_eq!(decoded, plain[chunk * 5760..(chunk + 1) * 5760], "chunk {chunk}");
    }
    // The environment's switch is read when a writer is made, so it is tried in a process of its own.
    let program = std::env::current_exe().unwrap();
    let child = std::process::Command::new(program)
        .args(["--exact", "schedule::tests::tail::shape_under_the_environment", "--nocapture"])
        .env("PREWIRE_FLUSH_FORCE_GATE_OFF", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success() && text.contains("shape drain-before-kick"), "{text}");
}

/// What a writer of an aligned sink chooses in this process's environment; printed for the test above.
#[test]
fn shape_under_the_environment() {
    let sink = Arc::new(MemorySink::with_pages(4096));
    let writer = WriterBuilder::new().array(config(32), sink).engine(engine()).build().unwrap();
    println!("shape {}", writer.shape());
    let forced = std::env::var("PREWIRE_FLUSH_FORCE_GATE_OFF").is_ok_and(|value| value == "1");
    let expected = if forced { crate::schedule::Shape::DrainBeforeKick } else { crate::schedule::Shape::Pipelined };
    assert_eq!(writer.shape(), expected);
}

/// Claims FLUSH-085.
#[test]
fn aggregation_waits_for_the_delivery_before() {
    use super::setup::{FRAME_BYTES, Setup, pattern};
    use crate::schedule::Shape;
    let setup = Setup::golden(Shape::Pipelined, true, false);
    let device = Arc::new(SteppedDevice::new(11));
    let mut writer = setup.writer(Arc::clone(&device) as _, Arc::new(setup.sink())).unwrap();
    let armed = |writer: &mut super::setup::AnyWriter| {
        let (_, array) = writer.parts();
        (array.gate.armed(), array.gate.published())
    };
    for (frames, expected) in [(2, (1, 0)), (2, (2, 0)), (2, (3, 1)), (2, (4, 2))] {
        for _ in 0..frames {
            let _taken = writer.append(&pattern(0, FRAME_BYTES)).unwrap();
        }
        assert_eq!(armed(&mut writer), expected);
    }
    writer.flush().unwrap();
    assert_eq!(armed(&mut writer), (4, 4));
    // An empty batch takes its generation too, and queues no wait.
    let (engine, array) = writer.parts();
    let token = array.gate.arm();
    let before = engine.edges.uses();
    token.wait(&engine.edges, engine.streams.all()[2], false).unwrap();
    assert_eq!(engine.edges.uses(), before);
    token.consume(&engine.edges);
    assert_eq!((array.gate.armed(), array.gate.published()), (5, 5));
    drop(writer);

    // On threads: batch 1 compresses while batch 0 is not delivered, and is packed only after it was.
    let device = Arc::new(CpuDevice::new(Some(1)).unwrap());
    let mut writer = setup.writer(device, Arc::new(setup.sink())).unwrap();
    for frame in 0..4 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    let counts = |writer: &mut super::setup::AnyWriter| {
        use crate::metrics::Stage::{Aggregate, Compress};
        let (_, array) = writer.parts();
        (array.timers.of(Compress).snapshot().count, array.timers.of(Aggregate).snapshot().count)
    };
    std::thread::sleep(std::time::Duration::from_millis(200));
    // A batch is packed in four operations: sizes, base, tails, bytes.
    assert_eq!(counts(&mut writer), (2, 4), "batch 1 is compressed and not packed");
    let (engine, array) = writer.parts();
    engine.drain(array, 0).unwrap();
    let start = std::time::Instant::now();
    while counts(&mut writer).1 < 8 && start.elapsed() < std::time::Duration::from_secs(5) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(counts(&mut writer), (2, 8), "the delivery of batch 0 lets batch 1 be packed");
    writer.close().unwrap();
}

/// Claims FLUSH-088.
#[test]
fn a_tail_is_on_the_device_before_it_is_announced() {
    use super::setup::{FRAME_BYTES, Setup, pattern};
    use crate::checked::Checked;
    use crate::schedule::Shape;
    let setup = Setup::mutation(Shape::Pipelined, true, false);
    let (device, result) = setup.record(12, 0);
    result.unwrap();
    assert_eq!(device.report().findings, []);
    let host = device.trace(crate::edges::Place::Host);
    let uploads: Vec<_> =
        host.iter().enumerate().filter(|(_, line)| *line == "TAIL_UPLOAD").map(|(at, _)| at).collect();
    let publications: Vec<_> =
        host.iter().enumerate().filter(|(_, line)| line.starts_with("publish")).map(|(at, _)| at).collect();
    assert_eq!(uploads.len(), publications.len());
    assert!(uploads.iter().zip(&publications).all(|(upload, publish)| upload < publish), "{host:?}");
    let (device, _) = setup.clone().with(&[Mutation::PublishBeforeUpload]).record(12, 0);
    let report = device.report();
    assert!(report.has_conflict("host TAIL_UPLOAD of batch 0", "compress BIAS of batch 1", "tail_state[0]"));

    // A forgotten token keeps its kick waiting; the end of the writer opens the gate all the same.
    let start = std::time::Instant::now();
    let device = Arc::new(CpuDevice::new(Some(1)).unwrap());
    let checked = Arc::new(Checked::new(Arc::clone(&device)));
    let mut writer = setup.writer(checked, Arc::new(setup.sink())).unwrap();
    for frame in 0..4 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    let (_, array) = writer.parts();
    for slot in &mut array.slots.slots {
        std::mem::forget(slot.kicked.take().unwrap());
    }
    array.broken = Some(Error::InvalidInput { reason: "a test".into() });
    drop(writer);
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!(device.allocated_bytes(crate::device::Memory::Device), 0);
}
