//! The proof: no unordered pair in any configuration, what each wait is for, and the liveness that happens-before cannot see.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::setup::{FRAME_BYTES, Setup, pattern};
use crate::checked::{Checked, Finding, Necessity, WaitClass};
use crate::device::SteppedDevice;
use crate::edges::{Edge, EdgeKind, Mutation, Place};
use crate::error::Error;
use crate::schedule::Shape;

/// Six full batches of four dispatches, and a partial one.
pub(super) const FRAMES: usize = 12;

/// Claims FLUSH-113.
#[test]
fn no_configuration_has_an_unordered_pair() {
    let all = Setup::all();
    assert_eq!(all.len(), 20);
    for setup in all {
        let (device, result) = setup.record(FRAMES, FRAME_BYTES / 2);
        result.unwrap();
        let report = device.report();
        assert_eq!(report.findings, [], "{}", setup.name());
        assert!(report.operations > 100 && report.buffers > 5 && report.pairs > 100, "{}: {report:?}", setup.name());
    }
}

fn line(setup: &Setup, necessity: &Necessity) -> String {
    let class = match &necessity.class {
        WaitClass::Necessary(_) => "necessary".to_owned(),
        WaitClass::Subsumed(by) => format!("subsumed\t{}", by.join(" ")),
        WaitClass::Idle => "idle".to_owned(),
    };
    format!("{}\t{}\t{class}", setup.name(), necessity.edge)
}

/// The class that the table beside this file gives an edge in a configuration.
fn tabled(configuration: &str, edge: &str) -> String {
    let wanted = format!("{configuration}\t{edge}\t");
    let line = TABLE.lines().find_map(|line| line.strip_prefix(&wanted));
    line.map(|class| class.replace('\t', " ")).unwrap_or_else(|| format!("no line for {wanted:?}"))
}

const TABLE: &str = include_str!("necessity.tsv");

/// Claims FLUSH-117. `necessity.tsv` is the table; a difference prints the whole new one.
#[test]
fn the_table_of_waits_is_the_one_checked_in() {
    let mut lines = Vec::new();
    for setup in Setup::all() {
        let (device, result) = setup.record(FRAMES, FRAME_BYTES / 2);
        result.unwrap();
        lines.extend(device.necessity().iter().map(|necessity| line(&setup, necessity)));
    }
    let computed = lines.join("\n") + "\n";
    assert_eq!(computed, TABLE, "the new table:\n{computed}");

    for setup in Setup::all() {
        let name = setup.name();
        let consumed = tabled(&name, "POOL_CONSUMED");
        match setup.shape {
            Shape::Pipelined => assert_eq!(consumed, "necessary", "{name}"),
            Shape::DrainBeforeKick => assert!(consumed.starts_with("subsumed"), "{name}: {consumed}"),
            Shape::DrainAfterKick => assert_eq!(consumed, "idle", "{name}"),
        }
        if setup.levels {
            assert_eq!(tabled(&name, "POOL_FILLED"), "subsumed LOD_DONE", "{name}");
            assert_eq!(tabled(&name, "LOD_DONE"), "subsumed POOL_FILLED", "{name}");
        }
        assert_eq!(tabled(&name, "SLOT_DRAINED"), "subsumed D2H_DONE", "{name}");
        assert_eq!(tabled(&name, "CHUNK_INDEX_READY") == "idle", !setup.compressed, "{name}");
        let gated = setup.shape == Shape::Pipelined && setup.page_bytes > 0;
        assert_eq!(tabled(&name, "TAIL_PUBLISHED") == "necessary", gated, "{name}");
    }
}

/// Every edge of the table is necessary somewhere, or has a reason here.
///
/// `POOL_FILLED` or `LOD_DONE`: each covers the other where levels are computed, and `LOD_DONE` exists only there.
/// `SLOT_DRAINED`: needed only behind a drain that failed between its copy and its poll; see the mutation of that name.
#[test]
fn every_edge_is_necessary_somewhere_or_has_a_reason() {
    for descriptor in Edge::table().iter().filter(|descriptor| descriptor.kind != EdgeKind::HostRule) {
        let necessary = TABLE.lines().any(|line| line.contains(&format!("\t{}\tnecessary", descriptor.name)));
        let reasoned = [Edge::LodDone, Edge::SlotDrained].contains(&descriptor.edge);
        assert_eq!(necessary, !reasoned, "{}", descriptor.name);
    }
}

/// Edges that are recorded and waited for, or published and waited for, in a configuration.
fn expected_uses(setup: &Setup) -> BTreeSet<&'static str> {
    use Edge::*;
    let mut used = BTreeSet::from(
        [StagingScatterDone, StagingH2dDone, StagingFree, PoolFilled, AggDone, SlotDrained, D2hDone, IoFence]
            .map(Edge::name),
    );
    if setup.levels {
        used.insert(LodDone.name());
    }
    if setup.compressed {
        used.insert(ChunkIndexReady.name());
    }
    if setup.shape != Shape::DrainAfterKick {
        used.insert(PoolConsumed.name());
    }
    if setup.shape == Shape::Pipelined && setup.page_bytes > 0 {
        used.insert(TailPublished.name());
    }
    used
}

/// Claims FLUSH-081.
#[test]
fn idle_edges_are_known_per_configuration() {
    for setup in Setup::all() {
        let device = Arc::new(SteppedDevice::byteless(3));
        let mut writer = setup.writer(device, Arc::new(setup.sink())).unwrap();
        for frame in 0..6 {
            let _taken = writer.append(&pattern(frame, FRAME_BYTES)).unwrap();
        }
        writer.flush().unwrap();
        let uses = writer.parts().0.edge_uses();
        let used = uses.into_iter().filter(|(edge, records, waits)| {
            edge.descriptor().kind != EdgeKind::HostRule && *records > 0 && *waits > 0
        });
        let used: BTreeSet<_> = used.map(|(edge, ..)| edge.name()).collect();
        assert_eq!(used, expected_uses(&setup), "{}", setup.name());
    }
}

/// Claims FLUSH-116.
#[test]
fn payload_copies_behind_index_copies_are_a_cycle() {
    let start = std::time::Instant::now();
    let setup = Setup::mutation(Shape::Pipelined, true, false).with(&[Mutation::PayloadOnDeviceToHost]);
    let (device, result) = setup.record(FRAMES, 0);
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::DeviceFailed { reason, .. } if reason.contains("deadlock")), "{error}");
    let report = device.report();
    let cycle = report.findings.iter().find_map(|finding| match finding {
        Finding::Cycle(steps) => Some(steps.join(", ")),
        _ => None,
    });
    let cycle = cycle.unwrap_or_else(|| panic!("{:?}", report.findings));
    for step in ["host P D2H_DONE[0]", "d2h W AGG_DONE[1]", "compress V≥1", "publish 1"] {
        assert!(cycle.contains(step), "{step} is not in: {cycle}");
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "the deadlock is found by looking, not by waiting");

    for accepted in [
        Setup::mutation(Shape::Pipelined, true, false).unaligned(),
        Setup::mutation(Shape::DrainBeforeKick, true, false),
    ] {
        let (device, result) = accepted.with(&[Mutation::PayloadOnDeviceToHost]).record(FRAMES, 0);
        result.unwrap();
        assert_eq!(device.report().findings, []);
    }
}

/// Claims FLUSH-115.
#[test]
fn host_and_sink_accesses_are_in_the_record() {
    let setup = Setup::mutation(Shape::Pipelined, true, false);
    let (device, result) = setup.record(FRAMES, 0);
    result.unwrap();
    let host = device.trace(Place::Host);
    for step in ["FILL", "READ_SIZES", "REBASE", "DELIVER", "TAIL_STAGE", "TAIL_UPLOAD"] {
        assert!(host.iter().any(|line| line == step), "{step}");
    }
    assert!(device.trace(Place::Sink).iter().any(|line| line == "WRITE"));
    let accesses = device.accesses("WRITE");
    assert!(
        !accesses.is_empty()
            && accesses.iter().all(|(buffer, start, end)| buffer.name == "host_payload" && start < end)
    );
    assert!(device.accesses("FILL").iter().all(|(buffer, ..)| buffer.name == "host_staging"));
    assert!(device.accesses("READ_SIZES").iter().all(|(buffer, ..)| buffer.name == "host_index"));

    let (device, result) = setup.with(&[Mutation::HideHandOver]).record(FRAMES, 0);
    result.unwrap();
    let hidden = device.report().findings;
    assert!(
        hidden.iter().any(|finding| matches!(finding, Finding::UnrecordedSinkRead { held: 1.., recorded: 0, .. })),
        "{hidden:?}"
    );
}

/// Claims FLUSH-114.
#[test]
fn an_operation_reaches_only_what_it_declared() {
    use crate::device::*;
    let devices: [Arc<dyn Device>; 2] =
        [Arc::new(CpuDevice::new(Some(1)).unwrap()), Arc::new(Checked::new(SteppedDevice::new(1)))];
    for device in devices {
        let stream = device.create_stream("compute").unwrap();
        let label = |name| Label::new(name, 0);
        let make = |name| {
            let allocation =
                Allocation { label: label(name), bytes: 8192, memory: Memory::Device, role: Role::Payload };
            device.allocate(allocation).unwrap()
        };
        let (to, from) = (make("target"), make("source"));
        let access = |buffer, end, mode| Access { buffer, start: 0, end, mode };
        let run = |accesses: &[Access]| {
            let tag = Tag::new("TOUCH", Unit::Slot(0));
            let accesses = Accesses::new(accesses);
            let operation = Operation { tag, payload: Payload::Copy, accesses, source: None, timer: None };
            // SAFETY: nothing else uses these buffers.
            unsafe { device.upload(operation) }
        };
        run(&[access(to, 4096, Mode::Write), access(from, 4096, Mode::Read)]).unwrap();
        let error = run(&[access(to, 4096, Mode::Write), access(from, 4097, Mode::Read)]).unwrap_err();
        assert!(
            matches!(&error, DeviceError::Undeclared { tag, label, start: 0, end: 4096, touched_end: 4097, .. }
                if tag.name == "TOUCH" && label.name == "target"),
            "{error}"
        );
        let error = run(&[access(to, 4096, Mode::Write), access(from, 4096, Mode::Write)]).unwrap_err();
        assert!(
            matches!(&error, DeviceError::Undeclared { mode: "writing", .. }),
            "a write-only view was read: {error}"
        );
        device.synchronize(stream).unwrap();
    }
}
