//! The writer's calls, on the CPU device, through the public interface.

use std::sync::Arc;

use prewire_gpu_flush::sink::MemorySink;
use prewire_gpu_flush::writer::{Status, Writer};
use prewire_gpu_flush::{ArrayConfig, DataType, Dimension, Error};

/// u16 4×4×6, chunks 2×2×3, 2×2×2 chunks per shard.
fn small() -> ArrayConfig {
    ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::bounded("t", 4).chunk(2).chunks_per_shard(2))
        .dimension(Dimension::bounded("y", 4).chunk(2).chunks_per_shard(2))
        .dimension(Dimension::bounded("x", 6).chunk(3).chunks_per_shard(2))
        .build()
        .unwrap()
}

fn ramp(from: u16, to: u16) -> Vec<u8> {
    (from..to).flat_map(u16::to_le_bytes).collect()
}

/// Claims FLUSH-001.
#[test]
fn slices_of_any_size_give_the_same_store() {
    let data = ramp(0, 96);
    let (sliced, whole) = (MemorySink::new(), MemorySink::new());
    let mut writer = Writer::create(small(), Arc::new(sliced.clone())).unwrap();
    let mut at = 0;
    for (elements, cursor) in [(1, 1), (7, 8), (32, 40), (56, 96)] {
        let slice = &data[at * 2..(at + elements) * 2];
        let appended = writer.append(slice).unwrap();
        assert_eq!((appended.status, appended.rest.len()), (Status::Ok, 0));
        assert_eq!(writer.cursor(), cursor);
        at += elements;
        if cursor == 8 {
            let refused = writer.append(&[1, 2, 3]).unwrap_err();
            assert!(matches!(refused, Error::InvalidInput { .. }), "{refused}");
            assert_eq!(writer.cursor(), 8);
        }
    }
    writer.close().unwrap();
    let mut writer = Writer::create(small(), Arc::new(whole.clone())).unwrap();
    let appended = writer.append(&data).unwrap();
    assert_eq!((appended.status, appended.rest.len()), (Status::Ok, 0));
    writer.close().unwrap();
    assert_eq!(sliced.objects(), whole.objects());
    let shard = &whole.objects()["c/0/0/0"];
    assert_eq!(shard.len(), 324);
    assert_eq!(shard[320..], 0x771A_4DBEu32.to_le_bytes());
}
