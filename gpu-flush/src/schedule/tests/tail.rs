//! The tails that a page-aligned sink carries from batch to batch, and the gate that orders them.

use std::sync::{Arc, Mutex};

use crate::config::{ArrayConfig, Dimension, EngineConfig};
use crate::device::{CpuDevice, Device, SteppedDevice};
use crate::dtype::DataType;
use crate::edges::{Mutation, Mutations};
use crate::error::Error;
use crate::sink::{MemorySink, ShardFile, Sink, StableBytes};
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
    let mut builder = WriterBuilder::new().array(config(epochs_per_shard), sink).device(device);
    builder = builder.engine(engine().force_gate_off(shape == Shape::DrainBeforeKick));
    builder.mutations = Mutations { active: mutations.to_vec() };
    if shape == Shape::DrainAfterKick {
        let mut writer = builder.build_multi()?;
        let _taken = writer.update(0, &input())?;
        writer.close()
    } else {
        let mut writer = builder.build()?;
        assert_eq!(writer.shape(), shape);
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
