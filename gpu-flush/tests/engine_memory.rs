//! Memory is fixed at creation: a counting allocator watches the heap, the device counts its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use prewire_gpu_flush::device::{CpuDevice, Device, Memory};
use prewire_gpu_flush::sink::{DiscardSink, FileOptions, FileSink, Sink};
use prewire_gpu_flush::writer::WriterBuilder;
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, EngineConfig};

struct Counting;

static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged; the counters do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn config(levels: bool, codec: CodecConfig) -> ArrayConfig {
    let inner = |name: &str| {
        let dimension = Dimension::bounded(name, 64).chunk(32).chunks_per_shard(2);
        if levels { dimension.downsample() } else { dimension }
    };
    ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").chunk(1).chunks_per_shard(16))
        .dimension(inner("y"))
        .dimension(inner("x"))
        .codec(codec)
        .build()
        .unwrap()
}

const FRAME_BYTES: usize = 64 * 64 * 2;

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Claims FLUSH-138.
#[test]
fn five_hundred_batches_take_no_more_memory_than_twenty() {
    let folder = std::env::temp_dir().join(format!("prewire-flush-memory-{}", std::process::id()));
    for levels in [false, true] {
        for codec in [CodecConfig::None, CodecConfig::Zstd { level: 1 }] {
            for on_disk in [false, true] {
                let sink: Arc<dyn Sink> = if on_disk {
                    Arc::new(FileSink::new(folder.join("store.zarr"), FileOptions::default()).unwrap())
                } else {
                    Arc::new(DiscardSink::new(4096))
                };
                let device = Arc::new(CpuDevice::new(Some(2)).unwrap());
                let engine =
                    EngineConfig::default().epochs_per_batch(2).metadata_update_interval(Duration::from_secs(3600));
                let builder = WriterBuilder::new().array(config(levels, codec), sink).engine(engine).overwrite(true);
                let mut writer = builder.device(Arc::clone(&device) as _).build().unwrap();
                let frame: Vec<u8> = (0..FRAME_BYTES).map(|at| ((at * 7) >> 3) as u8).collect();
                let mut batches = |count: usize| {
                    for _ in 0..count * 2 {
                        let _taken = writer.append(&frame).unwrap();
                    }
                    let device = device.allocated_bytes(Memory::Device) + device.allocated_bytes(Memory::Pinned);
                    (device, LIVE_BYTES.load(Ordering::Relaxed), resident_bytes())
                };
                let (device_before, heap_before, resident_before) = batches(20);
                let (device_after, heap_after, resident_after) = batches(480);
                let name = format!("levels {levels}, {codec}, on disk {on_disk}");
                assert_eq!(device_before, device_after, "{name}");
                assert!(
                    heap_after - heap_before <= 64 << 10,
                    "{name}: the heap grew by {} B",
                    heap_after - heap_before
                );
                let growth = resident_after.saturating_sub(resident_before);
                assert!(growth <= resident_before / 100 + (256 << 10), "{name}: resident memory grew by {growth} B");

                // Reading the metrics allocates nothing.
                let allocations = ALLOCATIONS.load(Ordering::Relaxed);
                let metrics = std::hint::black_box(writer.metrics());
                assert_eq!(metrics.append_latency.count(), 1000);
                assert!(ALLOCATIONS.load(Ordering::Relaxed) - allocations < 100, "{name}");
                writer.close().unwrap();
            }
        }
    }
    drop(std::fs::remove_dir_all(&folder));
}

/// A day of frames in miniature: a hundred thousand appends of odd sizes into an unbounded array.
#[test]
fn odd_sizes_for_a_long_time_leave_memory_flat() {
    for codec in [CodecConfig::None, CodecConfig::Zstd { level: 1 }] {
        let builder = WriterBuilder::new().array(config(false, codec), Arc::new(DiscardSink::new(4096)));
        let mut writer = builder.engine(EngineConfig::default().epochs_per_batch(4)).build().unwrap();
        let data: Vec<u8> = (0..8192u32).map(|at| (at >> 4) as u8).collect();
        let mut total = 0u64;
        let mut appends = |range: std::ops::Range<usize>| {
            for call in range {
                let bytes = 2 * (1 + call * 37 % 499);
                let _taken = writer.append(&data[..bytes]).unwrap();
                total += bytes as u64 / 2;
            }
            (LIVE_BYTES.load(Ordering::Relaxed), resident_bytes(), total)
        };
        let (before, resident_before, _) = appends(0..5_000);
        let (after, resident_after, total) = appends(5_000..100_000);
        assert_eq!(writer.cursor(), total);
        assert!((after - before).abs() <= 64 << 10, "{codec}: the heap changed by {} B", after - before);
        let growth = resident_after.saturating_sub(resident_before);
        assert!(growth <= resident_before / 100 + (256 << 10), "{codec}: resident memory grew by {growth} B");
        writer.close().unwrap();
    }
}
