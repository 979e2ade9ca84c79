//! Selection, slots, the table of edges, and misuse of it.

use std::sync::Arc;

use super::setup::{FRAME_BYTES, Setup, pattern};
use super::sinks::{Call, QueueSink};
use crate::device::{CpuDevice, Description, Device, SteppedDevice};
use crate::edges::{Edge, EdgeKind, Edges, Mutations, Place, Streams};
use crate::schedule::{Selection, Shape};

/// Claims FLUSH-071.
#[test]
fn selection_follows_the_table() {
    for case in 0..16 {
        let bit = |bit: u32| case >> bit & 1 == 1;
        let (gate_handle, aligned, shards, gate_supported) = (bit(0), bit(1), bit(2), bit(3));
        let selection = Selection { gate_handle, aligned, inner_shards: u64::from(shards) * 4, gate_supported };
        let expected = match (gate_handle, aligned, shards, gate_supported) {
            (false, ..) => Shape::DrainAfterKick,
            (true, true, true, false) => Shape::DrainBeforeKick,
            _ => Shape::Pipelined,
        };
        assert_eq!(selection.shape(), expected, "{selection:?}");
    }
    // The choice is made once, from what the probe found; a device without value waits gives drain-before-kick.
    let description =
        Description { name: "stepped", host_memory: false, value_wait: false, moves_bytes: true, codec_levels: true };
    for (bounded, page_bytes, value_wait, expected) in [
        (false, 4096, false, Shape::DrainBeforeKick),
        (true, 4096, false, Shape::DrainBeforeKick),
        (false, 0, false, Shape::Pipelined),
        (true, 0, false, Shape::Pipelined),
        (false, 4096, true, Shape::Pipelined),
        (true, 4096, true, Shape::Pipelined),
    ] {
        let setup = Setup { page_bytes, ..Setup::golden(Shape::Pipelined, false, false) };
        let mut config = setup.config();
        if bounded {
            let mut dimensions = config.dimensions().to_vec();
            dimensions[0].size = 64;
            config = crate::ArrayConfig::builder(config.dtype()).dimensions(dimensions).build().unwrap();
        }
        let device = SteppedDevice::with(Description { value_wait, ..description }, 1);
        let builder = crate::writer::WriterBuilder::new().array(config, Arc::new(setup.sink()));
        let mut writer = builder.engine(setup.engine()).device(Arc::new(device)).build().unwrap();
        assert_eq!(writer.shape(), expected, "bounded {bounded}, page {page_bytes}, value waits {value_wait}");
        let (_, array) = writer.parts();
        let before = array.shape;
        let _taken = writer.append(&pattern(0, FRAME_BYTES)).unwrap();
        assert_eq!(writer.shape(), before, "nothing chooses again");
    }
}

/// Claims FLUSH-073.
#[test]
fn a_slot_fills_is_kicked_and_is_drained() {
    let setup = Setup::golden(Shape::Pipelined, true, false);
    let sink = QueueSink::new(4096);
    let device = || Arc::new(SteppedDevice::new(1));
    let mut writer = setup.writer(device(), Arc::new(sink.clone())).unwrap();
    let opened = |sink: &QueueSink| sink.log().iter().filter(|call| matches!(call, Call::Open(_))).count();
    let mut state = |frames: usize| {
        for frame in 0..frames {
            let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
        }
        let (_, array) = writer.parts();
        let kicked = array.slots.slots.each_ref().map(|slot| slot.kicked.is_some());
        (array.kicks, array.fill, array.masks.clone(), kicked, array.shards[0].delivered_epochs(), opened(&sink))
    };
    assert_eq!(state(1), (0, 0, vec![1], [false, false], 0, 0));
    assert_eq!(state(1), (1, 1, vec![], [true, false], 0, 0));
    assert_eq!(state(2), (2, 0, vec![], [true, true], 0, 0));
    assert_eq!(state(2), (3, 1, vec![], [true, true], 2, 1));
    drop(writer);

    let mut writer = setup.writer(device(), Arc::new(QueueSink::new(4096))).unwrap();
    for frame in 0..3 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    writer.flush().unwrap();
    let (_, array) = writer.parts();
    assert_eq!(
        (array.kicks, array.shards[0].delivered_epochs()),
        (2, 8),
        "two and one epochs, and the shard is closed"
    );
    drop(writer);

    let before = Setup::golden(Shape::DrainBeforeKick, true, false);
    let mut writer = before.writer(device(), Arc::new(QueueSink::new(4096))).unwrap();
    for frame in 0..4 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    let (_, array) = writer.parts();
    assert_eq!((array.kicks, array.shards[0].delivered_epochs()), (2, 2));
}

/// Claims FLUSH-074.
#[test]
fn partial_levels_are_emitted_at_the_end() {
    use crate::checked::Checked;
    use crate::config::{ArrayConfig, Dimension};
    let config = || {
        let inner = |name: &str| Dimension::bounded(name, 128).chunk(64).chunks_per_shard(2).downsample();
        ArrayConfig::builder(crate::DataType::U16)
            .dimension(Dimension::unbounded("t").chunk(1).chunks_per_shard(8).downsample())
            .dimension(inner("y"))
            .dimension(inner("x"))
            .build()
            .unwrap()
    };
    let setup = Setup::golden(Shape::Pipelined, false, true);
    let run = |frames: usize| {
        let device = Arc::new(Checked::new(SteppedDevice::new(1)));
        let builder = crate::writer::WriterBuilder::new().array(config(), Arc::new(setup.sink()));
        let mut writer = builder.engine(setup.engine()).device(Arc::clone(&device) as _).build().unwrap();
        assert_eq!(writer.geometry().levels.len(), 2);
        for frame in 0..frames {
            let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
        }
        let (_, array) = writer.parts();
        let before = (array.kicks, device.trace(Place::Compute).len());
        writer.flush().unwrap();
        assert_eq!(device.report().findings, []);
        let (_, array) = writer.parts();
        (array.kicks - before.0, device.trace(Place::Compute)[before.1..].to_vec(), array.masks.clone())
    };
    let (kicks, compute, masks) = run(5);
    assert_eq!((kicks, masks), (2, vec![0b10]), "epoch 4 with level 0, then level 1 alone");
    let compute: Vec<_> = compute.iter().map(String::as_str).collect();
    assert_eq!(compute, ["R POOL_FILLED[0]", "ZERO 0", "EMIT", "LEVEL_SCATTER", "R LOD_DONE[0]", "R POOL_FILLED[0]"]);
    assert_eq!(run(4).0, 0, "nothing is left to emit");
}

/// Claims FLUSH-078.
#[test]
fn the_table_of_edges_can_be_listed() {
    let expected = "\
        STAGING_SCATTER_DONE compute h2d 2 event
        STAGING_H2D_DONE h2d compute 2 event
        STAGING_FREE h2d host 2 alias of STAGING_H2D_DONE
        POOL_FILLED compute compress 1 event
        LOD_DONE compute compress 2 event
        AGG_DONE compress d2h 2 event
        POOL_CONSUMED compress compute 2 alias of AGG_DONE
        SLOT_DRAINED d2h or drain compress 2 event
        D2H_DONE d2h or drain host 2 alias of SLOT_DRAINED
        CHUNK_INDEX_READY d2h host 2 event
        TAIL_PUBLISHED host compress 1 counter
        IO_FENCE sink host 2 fence
        DRAIN_BEFORE_REKICK host host 2 rule
        DELIVER_OLDEST_FIRST host host 2 rule";
    let line = |edge: &crate::edges::EdgeDescriptor| {
        let kind = match (edge.kind, edge.alias_of) {
            (_, Some(owner)) => format!("alias of {}", owner.name()),
            (EdgeKind::Event, None) => "event".into(),
            (EdgeKind::Counter, None) => "counter".into(),
            (EdgeKind::Fence, None) => "fence".into(),
            (EdgeKind::HostRule, None) => "rule".into(),
        };
        let producers: Vec<_> = edge.producers.iter().map(|place| place.name()).collect();
        format!("{} {} {} {} {kind}", edge.name, producers.join(" or "), edge.consumer, edge.instances)
    };
    let listed: Vec<_> = Edge::table().iter().map(line).collect();
    let expected: Vec<_> = expected.lines().map(|line| line.trim().to_owned()).collect();
    assert_eq!(listed, expected);
    assert!(Edge::table().iter().all(|edge| !edge.guards.is_empty() && edge.edge.descriptor().name == edge.name));
}

/// Claims FLUSH-079.
#[test]
fn misuse_of_the_table_is_refused_in_every_build() {
    let device: Arc<dyn Device> = Arc::new(SteppedDevice::new(1));
    let streams = Streams::create(device.as_ref()).unwrap();
    let edges = Edges::create(device, streams, false, Mutations::default()).unwrap();
    let text = |result: Result<(), crate::device::DeviceError>| result.unwrap_err().to_string();
    let unbound = text(edges.wait(Edge::LodDone, 1, Place::Compress));
    assert!(
        unbound.contains("LOD_DONE[1]") && unbound.contains("compress") && unbound.contains("not bound"),
        "{unbound}"
    );
    let alias = text(edges.record(Edge::PoolConsumed, 0, Place::Compress));
    assert!(alias.contains("POOL_CONSUMED[0]") && alias.contains("alias of AGG_DONE"), "{alias}");
    let producer = text(edges.record(Edge::AggDone, 1, Place::Compute));
    assert!(producer.contains("AGG_DONE[1] on compute") && producer.contains("compress"), "{producer}");
    let consumer = text(edges.wait(Edge::AggDone, 0, Place::Compute));
    assert!(consumer.contains("AGG_DONE[0] on compute") && consumer.contains("d2h"), "{consumer}");
    let host = text(edges.host_wait(Edge::AggDone, 0));
    assert!(host.contains("AGG_DONE[0] on host"), "{host}");

    let setup = Setup::golden(Shape::Pipelined, true, false);
    let mut writer = setup.writer(Arc::new(SteppedDevice::new(1)), Arc::new(setup.sink())).unwrap();
    for frame in 0..4 {
        let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
    }
    let (engine, array) = writer.parts();
    let rekick = engine.kick(array, 0).unwrap_err().to_string();
    assert!(
        rekick.contains("DRAIN_BEFORE_REKICK") && rekick.contains("slot 0") && rekick.contains("batch 0"),
        "{rekick}"
    );
    array.broken = None;
    let newest = engine.drain(array, 1).unwrap_err().to_string();
    assert!(
        newest.contains("DELIVER_OLDEST_FIRST") && newest.contains("batch 1") && newest.contains("batch 0"),
        "{newest}"
    );
}

/// A hundred batches of zeros and ones in turn, and how many of the sink's writes were by reference. Each is looked at again
/// `delay` after its hand-over.
fn stable_writes(shape: Shape, compressed: bool, delay: std::time::Duration) -> usize {
    let setup = Setup::golden(shape, compressed, false);
    let sink = QueueSink::new(4096).with_delay(delay);
    let device = Arc::new(CpuDevice::new(Some(2)).unwrap());
    let mut writer = setup.writer(device, Arc::new(sink.clone())).unwrap();
    for batch in 0..100 {
        let value = if batch % 2 == 0 { 0 } else { 0xFF };
        for _ in 0..2 {
            let _taken = writer.append(&vec![value; FRAME_BYTES]).unwrap();
        }
    }
    writer.close().unwrap();
    assert_eq!(sink.unstable(), 0, "{}", setup.name());
    sink.log().iter().filter(|call| matches!(call, Call::Write { stable: true, .. })).count()
}

/// Claims FLUSH-055. Most of the test is sleep, so the shapes sleep at the same time.
#[test]
fn a_payload_is_stable_until_its_fence() {
    let shapes = [Shape::Pipelined, Shape::DrainBeforeKick, Shape::DrainAfterKick];
    std::thread::scope(|scope| {
        for shape in shapes {
            scope.spawn(move || {
                let stable = stable_writes(shape, false, std::time::Duration::from_millis(200));
                assert!(stable >= 100, "{stable} writes by reference");
            });
        }
    });
    // Compressed constants are below a page; they travel by copy until the shard's footer.
    for shape in shapes {
        stable_writes(shape, true, std::time::Duration::from_millis(2));
    }
}
