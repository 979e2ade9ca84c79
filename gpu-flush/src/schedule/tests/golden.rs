//! The sequence of every stream in each shape, with a partial flush, against the order the rows write down.

use super::setup::{FRAME_BYTES, Setup};
use crate::edges::Place;
use crate::schedule::Shape;

fn lines(items: &[String]) -> String {
    items.join("\n")
}

/// Slot of the chunk pool that each of the seven dispatches fills.
fn pool_slots(shape: Shape) -> [u32; 7] {
    match shape {
        Shape::DrainAfterKick => [0; 7],
        _ => [0, 0, 1, 1, 0, 0, 1],
    }
}

fn kick_slots(shape: Shape) -> [u32; 4] {
    match shape {
        Shape::DrainAfterKick => [0; 4],
        _ => [0, 1, 0, 1],
    }
}

fn expected_h2d() -> Vec<String> {
    let unit = |slot| [format!("W STAGING_SCATTER_DONE[{slot}]"), "H2D".into(), format!("R STAGING_H2D_DONE[{slot}]")];
    [0, 1, 0, 1, 0, 1, 0].into_iter().flat_map(unit).collect()
}

fn expected_compute(setup: &Setup) -> Vec<String> {
    let mut expected = Vec::new();
    let slots = pool_slots(setup.shape);
    for (unit, slot) in slots.into_iter().enumerate() {
        let staging = unit % 2;
        let operation = if setup.levels { "LINEAR" } else { "SCATTER" };
        expected.push(format!("W STAGING_H2D_DONE[{staging}]"));
        expected.push(operation.to_owned());
        expected.push(format!("R STAGING_SCATTER_DONE[{staging}]"));
        if setup.levels {
            expected.extend(["LOD_GATHER", "REDUCE", "LEVEL_SCATTER"].map(str::to_owned));
            expected.push(format!("R LOD_DONE[{slot}]"));
        }
        if [1, 3, 5].contains(&unit) {
            expected.push("R POOL_FILLED[0]".to_owned());
            let next = slots[unit + 1];
            if setup.shape != Shape::DrainAfterKick {
                expected.push(format!("W POOL_CONSUMED[{next}]"));
            }
            expected.push(format!("ZERO {next}"));
        }
    }
    expected.push("R POOL_FILLED[0]".to_owned());
    expected
}

fn expected_compress(setup: &Setup) -> Vec<String> {
    let mut expected = Vec::new();
    for (kick, slot) in kick_slots(setup.shape).into_iter().enumerate() {
        expected.push("W POOL_FILLED[0]".to_owned());
        if setup.levels {
            expected.push(format!("W LOD_DONE[{slot}]"));
        }
        expected.push(format!("W SLOT_DRAINED[{slot}]"));
        if setup.compressed {
            expected.push("COMPRESS".to_owned());
        }
        if setup.shape == Shape::Pipelined {
            expected.push(format!("V≥{kick}"));
        }
        expected.push("AGGREGATE".to_owned());
        expected.push(format!("R AGG_DONE[{slot}]"));
    }
    expected
}

fn expected_d2h(setup: &Setup) -> Vec<String> {
    let mut expected = Vec::new();
    for slot in kick_slots(setup.shape) {
        expected.push(format!("W AGG_DONE[{slot}]"));
        expected.push("INDEX".to_owned());
        if setup.compressed {
            expected.push(format!("R CHUNK_INDEX_READY[{slot}]"));
        } else {
            expected.push("PAYLOAD".to_owned());
            expected.push(format!("R SLOT_DRAINED[{slot}]"));
        }
    }
    expected
}

fn expected_drain(setup: &Setup) -> Vec<String> {
    let mut expected = Vec::new();
    if setup.compressed {
        for slot in kick_slots(setup.shape) {
            expected.push("PAYLOAD".to_owned());
            if setup.levels {
                expected.push("PAYLOAD".to_owned());
            }
            expected.push(format!("R SLOT_DRAINED[{slot}]"));
        }
    }
    expected
}

fn expected_host(setup: &Setup) -> Vec<String> {
    let slots = kick_slots(setup.shape);
    let mut expected = Vec::new();
    let kick = |expected: &mut Vec<String>, batch: usize| {
        let again = slots[..batch].contains(&slots[batch]);
        if again {
            expected.push(format!("wait IO_FENCE[{}]", slots[batch]));
        }
        expected.push(format!("K{batch}"));
    };
    let drain = |expected: &mut Vec<String>, batch: usize| {
        let slot = slots[batch];
        expected.push(format!("D{batch}"));
        if setup.compressed {
            expected.push(format!("P CHUNK_INDEX_READY[{slot}]"));
            expected.push("queue PAYLOAD".to_owned());
            if setup.levels {
                expected.push("queue PAYLOAD".to_owned());
            }
        }
        expected.push(format!("P D2H_DONE[{slot}]"));
        expected.push("DELIVER".to_owned());
        if setup.levels {
            expected.push("DELIVER".to_owned());
        }
        expected.push("TAIL_UPLOAD".to_owned());
        expected.push(format!("fence IO_FENCE[{slot}]"));
        if setup.shape == Shape::Pipelined {
            expected.push(format!("publish {}", batch + 1));
        }
    };
    let order: &[(char, usize)] = match setup.shape {
        Shape::Pipelined => &[('K', 0), ('K', 1), ('D', 0), ('K', 2), ('D', 1), ('D', 2), ('K', 3), ('D', 3)],
        Shape::DrainBeforeKick => &[('K', 0), ('D', 0), ('K', 1), ('D', 1), ('K', 2), ('D', 2), ('K', 3), ('D', 3)],
        Shape::DrainAfterKick => &[('K', 0), ('D', 0), ('K', 1), ('D', 1), ('K', 2), ('D', 2), ('K', 3), ('D', 3)],
    };
    for (what, batch) in order {
        if *what == 'K' { kick(&mut expected, *batch) } else { drain(&mut expected, *batch) }
    }
    expected
}

/// Host steps of the staging, of tables and of reading sizes are no part of the rows' host sequence.
fn host_sequence(trace: Vec<String>) -> Vec<String> {
    let left_out = |line: &String| {
        ["FILL", "P STAGING_FREE", "BUILD_TABLES", "READ_SIZES", "REBASE", "TAIL_STAGE"]
            .iter()
            .any(|prefix| line.starts_with(prefix))
    };
    trace.into_iter().filter(|line| !left_out(line)).collect()
}

fn check(setup: &Setup) {
    let device = std::sync::Arc::new(crate::checked::Checked::new(crate::device::SteppedDevice::byteless(7)));
    let mut writer = setup.writer(std::sync::Arc::clone(&device) as _, std::sync::Arc::new(setup.sink())).unwrap();
    assert_eq!(writer.parts().1.shape, setup.shape);
    for frame in 0..6 {
        let _taken = writer.append(&super::setup::pattern(frame, FRAME_BYTES)).unwrap();
    }
    let _taken = writer.append(&super::setup::pattern(6, FRAME_BYTES / 2)).unwrap();
    writer.flush().unwrap();
    let name = setup.name();
    let trace = |place| lines(&device.trace(place));
    // The gate's probe is a wait for 0 under its own name, before anything else.
    let compute = device.trace(Place::Compute).into_iter().filter(|line| line != "V≥0").collect::<Vec<_>>();
    assert_eq!(trace(Place::HostToDevice), lines(&expected_h2d()), "h2d of {name}");
    assert_eq!(lines(&compute), lines(&expected_compute(setup)), "compute of {name}");
    assert_eq!(trace(Place::Compress), lines(&expected_compress(setup)), "compress of {name}");
    assert_eq!(trace(Place::DeviceToHost), lines(&expected_d2h(setup)), "d2h of {name}");
    assert_eq!(trace(Place::Drain), lines(&expected_drain(setup)), "drain of {name}");
    let host = host_sequence(device.trace(Place::Host));
    assert_eq!(lines(&host), lines(&expected_host(setup)), "host of {name}");
    let (_, array) = writer.parts();
    assert_eq!((array.gate.armed(), array.gate.published()), (4, 4), "generations of {name}");
    assert_eq!(array.gate.is_supported(), setup.shape == Shape::Pipelined, "gate of {name}");
    assert_eq!(device.report().findings, [], "{name}");
}

/// Claims FLUSH-059.
#[test]
fn pipelined_zstd_flat() {
    check(&Setup::golden(Shape::Pipelined, true, false));
}

/// Claims FLUSH-060.
#[test]
fn pipelined_zstd_levels() {
    check(&Setup::golden(Shape::Pipelined, true, true));
}

/// Claims FLUSH-061.
#[test]
fn pipelined_none_flat() {
    check(&Setup::golden(Shape::Pipelined, false, false));
}

/// Claims FLUSH-062.
#[test]
fn pipelined_none_levels() {
    check(&Setup::golden(Shape::Pipelined, false, true));
}

/// Claims FLUSH-063.
#[test]
fn drain_before_kick_zstd_flat() {
    check(&Setup::golden(Shape::DrainBeforeKick, true, false));
}

/// Claims FLUSH-064.
#[test]
fn drain_before_kick_zstd_levels() {
    check(&Setup::golden(Shape::DrainBeforeKick, true, true));
}

/// Claims FLUSH-065.
#[test]
fn drain_before_kick_none_flat() {
    check(&Setup::golden(Shape::DrainBeforeKick, false, false));
}

/// Claims FLUSH-066.
#[test]
fn drain_before_kick_none_levels() {
    check(&Setup::golden(Shape::DrainBeforeKick, false, true));
}

/// Claims FLUSH-067.
#[test]
fn drain_after_kick_zstd_flat() {
    check(&Setup::golden(Shape::DrainAfterKick, true, false));
}

/// Claims FLUSH-068.
#[test]
fn drain_after_kick_zstd_levels() {
    check(&Setup::golden(Shape::DrainAfterKick, true, true));
}

/// Claims FLUSH-069.
#[test]
fn drain_after_kick_none_flat() {
    check(&Setup::golden(Shape::DrainAfterKick, false, false));
}

/// Claims FLUSH-070.
#[test]
fn drain_after_kick_none_levels() {
    check(&Setup::golden(Shape::DrainAfterKick, false, true));
}
