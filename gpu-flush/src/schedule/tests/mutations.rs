//! Each named weakening is reported, with both operations and the buffer. All run on the device that moves no bytes.

use super::proof::FRAMES;
use super::setup::{FRAME_BYTES, Setup};
use crate::checked::{Finding, Report};
use crate::edges::{Edge, Mutation};
use crate::error::Error;
use crate::schedule::Shape;

const SHAPES: [Shape; 3] = [Shape::Pipelined, Shape::DrainBeforeKick, Shape::DrainAfterKick];

fn report(setup: &Setup, mutations: &[Mutation]) -> (Report, Result<(), Error>) {
    let (device, result) = setup.clone().with(mutations).record(FRAMES, FRAME_BYTES / 2);
    (device.report(), result)
}

/// The mutated run reports this pair, and the run without the mutation nothing.
fn red(setup: &Setup, mutations: &[Mutation], first: &str, second: &str, buffer: &str) {
    let (found, _) = report(setup, mutations);
    let conflicts: Vec<_> =
        found.conflicts().take(8).map(|conflict| Finding::Conflict(conflict.clone()).to_string()).collect();
    assert!(
        found.has_conflict(first, second, buffer),
        "{}: {first} / {second} on {buffer}: {conflicts:#?}",
        setup.name()
    );
    let (green, result) = report(setup, &[]);
    result.unwrap();
    assert_eq!(green.findings, [], "{}", setup.name());
}

/// The mutated run reports nothing: something else gives the same order.
fn subsumed(setup: &Setup, mutations: &[Mutation]) {
    let (found, result) = report(setup, mutations);
    result.unwrap();
    assert_eq!(found.findings, [], "{}", setup.name());
}

fn zstd(shape: Shape) -> Setup {
    Setup::mutation(shape, true, false)
}

fn none(shape: Shape) -> Setup {
    Setup::mutation(shape, false, false)
}

/// Claims FLUSH-120: the part that needs no CUDA.
#[test]
fn pool_consumed() {
    let drop = [Mutation::DropWait(Edge::PoolConsumed)];
    let pair = ("compute ZERO of slot 0", "compress COMPRESS of batch 0", "chunk_pool[0]");
    red(&zstd(Shape::Pipelined), &drop, pair.0, pair.1, pair.2);
    subsumed(&zstd(Shape::DrainBeforeKick), &drop);
    let (device, result) = zstd(Shape::DrainAfterKick).record(FRAMES, 0);
    result.unwrap();
    let compute = device.trace(crate::edges::Place::Compute);
    assert!(!compute.iter().any(|line| line.contains("POOL_CONSUMED")));
}

/// Claims FLUSH-121: the record's part and the stepping device's.
#[test]
fn tail_gate_not_armed() {
    let off = [Mutation::GateNotArmed];
    let setup = zstd(Shape::Pipelined);
    red(&setup, &off, "host TAIL_UPLOAD of batch 0", "compress BIAS of batch 1", "tail_state[0]");
    red(&setup, &off, "host TAIL_UPLOAD of batch 0", "compress TAIL_COPY of batch 1", "tail_state[0]");
    let wrong = |mutations: &[Mutation]| {
        let differs =
            |seed: &u64| super::tail::carried(*seed, mutations).is_none_or(|shard| shard != super::tail::expected());
        (0..100).filter(differs).count()
    };
    assert!(wrong(&off) > 0, "no seed of 100 shows the carry going wrong");
    assert_eq!(wrong(&[]), 0, "restored, every seed is right");
}

/// Claims FLUSH-123.
#[test]
fn staging_scatter_done() {
    let drop = [Mutation::DropWait(Edge::StagingScatterDone)];
    let pair = ("h2d H2D of dispatch 2", "compute SCATTER of dispatch 0", "device_staging[0]");
    red(&zstd(Shape::Pipelined), &drop, pair.0, pair.1, pair.2);
    let few = Setup { epochs_per_batch: 1, ..zstd(Shape::DrainAfterKick) };
    subsumed(&few, &drop);
}

/// Claims FLUSH-124.
#[test]
fn staging_h2d_done() {
    let drop = [Mutation::DropWait(Edge::StagingH2dDone)];
    for shape in SHAPES {
        red(&zstd(shape), &drop, "compute SCATTER of dispatch 0", "h2d H2D of dispatch 0", "device_staging[0]");
    }
}

/// Claims FLUSH-125.
#[test]
fn staging_free() {
    let drop = [Mutation::DropWait(Edge::StagingFree)];
    let pair = ("host FILL of dispatch 2", "h2d H2D of dispatch 0", "host_staging[0]");
    red(&zstd(Shape::Pipelined), &drop, pair.0, pair.1, pair.2);
}

/// Claims FLUSH-126.
#[test]
fn pool_filled_and_lod_done() {
    let filled = Mutation::DropWait(Edge::PoolFilled);
    let levels = Mutation::DropWait(Edge::LodDone);
    let scatter = "compute SCATTER of dispatch 0";
    red(&zstd(Shape::Pipelined), &[filled], scatter, "compress COMPRESS of batch 0", "chunk_pool[0]");
    red(&none(Shape::Pipelined), &[filled], scatter, "compress GATHER of batch 0", "chunk_pool[0]");
    let with_levels = Setup::mutation(Shape::Pipelined, true, true);
    subsumed(&with_levels, &[filled]);
    subsumed(&with_levels, &[levels]);
    let pair = ("compute LEVEL_SCATTER of epoch 0", "compress COMPRESS of batch 0", "chunk_pool[0]");
    red(&with_levels, &[filled, levels], pair.0, pair.1, pair.2);
}

/// Claims FLUSH-127.
#[test]
fn agg_done() {
    let drop = [Mutation::DropWait(Edge::AggDone)];
    let index = ("d2h INDEX of batch 0", "compress SCAN of batch 0", "aggregate_index[0]");
    red(&zstd(Shape::Pipelined), &drop, index.0, index.1, index.2);
    red(&none(Shape::Pipelined), &drop, index.0, index.1, index.2);
    let payload = ("d2h PAYLOAD of batch 0", "compress GATHER of batch 0", "aggregate[0]");
    red(&none(Shape::Pipelined), &drop, payload.0, payload.1, payload.2);
}

/// Claims FLUSH-129.
#[test]
fn chunk_index_ready() {
    let drop = [Mutation::DropWait(Edge::ChunkIndexReady)];
    let pair = ("host READ_SIZES of batch 0", "d2h INDEX of batch 0", "host_index[0]");
    red(&zstd(Shape::Pipelined), &drop, pair.0, pair.1, pair.2);
}

/// Claims FLUSH-130.
#[test]
fn d2h_done() {
    let drop = [Mutation::DropWait(Edge::D2hDone)];
    let host = "host DELIVER of batch 0";
    red(&zstd(Shape::Pipelined), &drop, host, "drain PAYLOAD of batch 0", "host_payload[0]");
    red(&none(Shape::Pipelined), &drop, host, "d2h PAYLOAD of batch 0", "host_payload[0]");
}

/// Claims FLUSH-131.
#[test]
fn io_fence() {
    let drop = [Mutation::DropWait(Edge::IoFence)];
    let write = "io WRITE of batch 0";
    red(&zstd(Shape::Pipelined), &drop, write, "drain PAYLOAD of batch 2", "host_payload[0]");
    red(&none(Shape::Pipelined), &drop, write, "d2h PAYLOAD of batch 2", "host_payload[0]");
}

/// Claims FLUSH-132.
#[test]
fn other_faults_of_the_schedule() {
    let setup = zstd(Shape::Pipelined);
    // A record that is missing loses at least the pairs of its wait.
    for (edge, first, second, buffer) in [
        (Edge::StagingH2dDone, "compute SCATTER of dispatch 0", "h2d H2D of dispatch 0", "device_staging[0]"),
        (Edge::PoolFilled, "compute SCATTER of dispatch 0", "compress COMPRESS of batch 0", "chunk_pool[0]"),
        (Edge::AggDone, "d2h INDEX of batch 0", "compress SCAN of batch 0", "aggregate_index[0]"),
        (Edge::ChunkIndexReady, "host READ_SIZES of batch 0", "d2h INDEX of batch 0", "host_index[0]"),
        (Edge::SlotDrained, "host DELIVER of batch 0", "drain PAYLOAD of batch 0", "host_payload[0]"),
    ] {
        red(&setup, &[Mutation::DropRecord(edge)], first, second, buffer);
    }
    let pair = ("d2h INDEX of batch 0", "compress SCAN of batch 0", "aggregate_index[0]");
    red(&setup, &[Mutation::WrongAggregateSlot], pair.0, pair.1, pair.2);
    red(&setup, &[Mutation::PublishTwice], "host TAIL_UPLOAD of batch 1", "compress BIAS of batch 2", "tail_state[0]");
    red(
        &setup,
        &[Mutation::PublishBeforeUpload],
        "host TAIL_UPLOAD of batch 0",
        "compress BIAS of batch 1",
        "tail_state[0]",
    );

    let (never, result) = report(&setup, &[Mutation::PublishNever]);
    assert!(result.is_err(), "a gate that never opens is an error, not a hang");
    let wait =
        never.findings.iter().find(|finding| matches!(finding, Finding::Unsatisfied(wait) if wait.contains("V≥1")));
    assert!(wait.is_some(), "{:?}", never.findings);

    for (mutation, rule) in
        [(Mutation::DrainNewestFirst, "DELIVER_OLDEST_FIRST"), (Mutation::RekickUndrained, "DRAIN_BEFORE_REKICK")]
    {
        let (broken, _) = report(&setup, &[mutation]);
        let named = broken.findings.iter().any(|finding| match finding {
            Finding::RuleBroken { rule: named, what } => *named == rule && what.contains("batch"),
            _ => false,
        });
        assert!(named, "{rule}: {:?}", broken.findings);
    }
}

/// Claims FLUSH-133: the switches of the tests, and what this build contains. `cargo xtask mutations` is the one command; its table
/// names the two builds, and the tests of this file are the rest. That every edge is necessary somewhere or has a reason is a test
/// beside the table of waits.
#[test]
fn weakenings_never_run_on_threads() {
    use crate::device::{CpuDevice, Device};
    let cpu = || std::sync::Arc::new(CpuDevice::new(Some(1)).unwrap());
    for wrapped in [false, true] {
        let device: std::sync::Arc<dyn Device> =
            if wrapped { std::sync::Arc::new(crate::checked::Checked::new(cpu())) } else { cpu() };
        let setup = zstd(Shape::Pipelined).with(&[Mutation::GateNotArmed]);
        let error = setup.writer(device, std::sync::Arc::new(setup.sink())).unwrap_err();
        assert!(matches!(&error, Error::InvalidConfig { field, .. } if field == "mutations"), "{error}");
    }
    let table = include_str!("../../../../xtask/mutations.toml");
    for name in ["flush_pool_consumed_not_waited", "flush_tail_gate_not_armed"] {
        assert!(table.contains(name), "{name} is not in xtask/mutations.toml");
    }
}

/// What a build with `flush_tail_gate_not_armed` turns red: pages carried from batch to batch, in a hundred interleavings.
#[test]
fn the_tail_carry_is_right_in_every_interleaving() {
    for seed in 0..100 {
        assert_eq!(super::tail::carried(seed, &[]), Some(super::tail::expected()), "seed {seed}");
    }
}

/// Two runs of one input give one store, in whatever order the streams advance.
#[test]
fn zstd_is_deterministic_in_every_interleaving() {
    let setup = zstd(Shape::Pipelined);
    let store = |seed| {
        let sink = setup.sink();
        let device = std::sync::Arc::new(crate::device::SteppedDevice::new(seed));
        setup.stream(device, std::sync::Arc::new(sink.clone()), FRAMES, FRAME_BYTES / 2).unwrap();
        sink.objects()
    };
    let first = store(0);
    for seed in 1..60 {
        assert!(store(seed) == first, "seed {seed}");
    }
}
