//! The writer's calls, on the CPU device, through the public interface.

use std::sync::Arc;

use prewire_gpu_flush::config::DeviceChoice;
use prewire_gpu_flush::sink::MemorySink;
use prewire_gpu_flush::writer::{Status, Writer};
use prewire_gpu_flush::{ArrayConfig, DataType, Dimension, EngineConfig, Error};

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

/// Claims FLUSH-002.
#[test]
fn a_bounded_array_hands_back_the_surplus() {
    let data = ramp(0, 110);
    let sink = MemorySink::new();
    let mut writer = Writer::create(small(), Arc::new(sink.clone())).unwrap();
    let appended = writer.append(&data[..200]).unwrap();
    assert_eq!((appended.status, appended.rest), (Status::Finished, &data[192..200]));
    assert_eq!(writer.cursor(), 96);
    let appended = writer.append(&data[200..220]).unwrap();
    assert_eq!((appended.status, appended.rest), (Status::Finished, &data[200..220]));
    writer.close().unwrap();
    assert_eq!(sink.objects()["c/0/0/0"], reference(&Plain::of(&small(), 1), &data[..192])["c/0/0/0"]);
}

/// Claims FLUSH-100.
#[test]
fn the_cpu_is_the_default_and_needs_nothing() {
    let mut writer = Writer::create(small(), Arc::new(MemorySink::new())).unwrap();
    assert_eq!(writer.device_name(), "cpu");
    let _taken = writer.append(&ramp(0, 96)).unwrap();
    writer.close().unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    for library in ["libcuda", "libnvrtc", "libnvcomp"] {
        assert!(!maps.contains(library), "{library} is mapped");
    }
    let choose = |device| {
        let engine = EngineConfig { device, ..EngineConfig::default() };
        Writer::with_engine(small(), engine, Arc::new(MemorySink::new()))
    };
    let error = choose(DeviceChoice::Cuda).unwrap_err();
    assert!(
        matches!(&error, Error::DeviceUnavailable { device, reason } if device == "cuda" && !reason.is_empty()),
        "{error}"
    );
    let auto = choose(DeviceChoice::Auto).unwrap();
    assert_eq!(auto.device_name(), "cpu");
    assert!(auto.device_reason().is_some_and(|reason| reason.contains("CUDA")), "{:?}", auto.device_reason());
    let child = |value: &str| child("PREWIRE_FLUSH_DEVICE", value);
    assert!(child("cuda").contains("device cuda is unavailable"), "{}", child("cuda"));
    assert!(child("cpu").contains("runs on cpu"), "{}", child("cpu"));
    assert!(child("abacus").contains("PREWIRE_FLUSH_DEVICE"), "{}", child("abacus"));
}

/// What [`device_of_the_environment`] prints in a process of its own with this variable.
fn child(variable: &str, value: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "device_of_the_environment", "--nocapture"];
    let output = std::process::Command::new(program).args(arguments).env(variable, value).output();
    String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
}

/// A value that a variable cannot have is refused with the variable, the value and what it takes.
#[test]
fn a_misspelt_setting_is_no_default() {
    for value in ["yes", "", "2", "on"] {
        let text = child("PREWIRE_FLUSH_FORCE_GATE_OFF", value);
        let wanted = ["invalid configuration", "PREWIRE_FLUSH_FORCE_GATE_OFF", &format!("{value:?}"), "use 0 or 1"];
        assert!(wanted.iter().all(|part| text.contains(part)), "{value:?}: {text}");
    }
    for value in ["0", "1"] {
        let text = child("PREWIRE_FLUSH_FORCE_GATE_OFF", value);
        assert!(text.contains("runs on cpu"), "{value:?}: {text}");
    }
    assert!(child("PREWIRE_FLUSH_DEVICE", "gpu").contains("use cpu, cuda or auto"));
}

/// What this process's environment chooses; printed for the tests above.
#[test]
fn device_of_the_environment() {
    let settings = ["PREWIRE_FLUSH_DEVICE", "PREWIRE_FLUSH_FORCE_GATE_OFF"];
    let wanted = settings.iter().find_map(|setting| std::env::var(setting).ok());
    match Writer::create(small(), Arc::new(MemorySink::new())) {
        Ok(writer) => {
            println!("runs on {}", writer.device_name());
            assert_ne!(wanted.as_deref(), Some("cuda"));
        }
        Err(error) => {
            println!("{error}");
            assert!(wanted.is_some());
        }
    }
}

/// An array as the reference writer below sees it: storage order is acquisition order.
struct Plain {
    sizes: Vec<usize>,
    chunks: Vec<usize>,
    per_shard: Vec<usize>,
    element: usize,
}

impl Plain {
    fn of(config: &ArrayConfig, frames: usize) -> Self {
        let dimensions = config.dimensions();
        let sizes: Vec<usize> = dimensions
            .iter()
            .map(|dimension| if dimension.size == 0 { frames } else { dimension.size as usize })
            .collect();
        let per_shard = dimensions.iter().zip(&sizes).map(|(dimension, size)| {
            let count = size.div_ceil(dimension.chunk as usize);
            match dimension.chunks_per_shard as usize {
                0 => count,
                wanted if dimension.size > 0 => wanted.min(count),
                wanted => wanted,
            }
        });
        Plain {
            per_shard: per_shard.collect(),
            chunks: dimensions.iter().map(|dimension| dimension.chunk as usize).collect(),
            element: config.dtype().size_bytes(),
            sizes,
        }
    }
}

/// Every coordinate below `extents`, last fastest.
fn coordinates(extents: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for extent in extents {
        all = all.iter().flat_map(|prefix| (0..*extent).map(move |at| [prefix.clone(), vec![at]].concat())).collect();
    }
    all
}

/// Writes uncompressed shards by plain loops, one element at a time.
fn reference(array: &Plain, data: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    let rank = array.sizes.len();
    let counts: Vec<usize> = (0..rank).map(|d| array.sizes[d].div_ceil(array.chunks[d])).collect();
    let shards: Vec<usize> = (0..rank).map(|d| counts[d].div_ceil(array.per_shard[d])).collect();
    let mut store = std::collections::BTreeMap::new();
    for shard in coordinates(&shards) {
        let (mut bytes, mut index) = (Vec::new(), Vec::new());
        for place in coordinates(&array.per_shard) {
            let chunk: Vec<usize> = (0..rank).map(|d| shard[d] * array.per_shard[d] + place[d]).collect();
            if (0..rank).any(|d| chunk[d] >= counts[d]) {
                index.extend([0xFF; 16]);
                continue;
            }
            index.extend((bytes.len() as u64).to_le_bytes());
            index.extend(((array.chunks.iter().product::<usize>() * array.element) as u64).to_le_bytes());
            for within in coordinates(&array.chunks) {
                let at: Vec<usize> = (0..rank).map(|d| chunk[d] * array.chunks[d] + within[d]).collect();
                let element = (0..rank).fold(0, |flat, d| flat * array.sizes[d] + at[d]) * array.element;
                let inside = (0..rank).all(|d| at[d] < array.sizes[d]) && element < data.len();
                if inside {
                    bytes.extend(&data[element..element + array.element]);
                } else {
                    bytes.extend(std::iter::repeat_n(0, array.element));
                }
            }
        }
        let mut checksum = 0xFFFF_FFFFu32;
        for byte in &index {
            checksum ^= u32::from(*byte);
            for _ in 0..8 {
                checksum = if checksum & 1 == 1 { checksum >> 1 ^ 0x82F6_3B78 } else { checksum >> 1 };
            }
        }
        bytes.extend(&index);
        bytes.extend((!checksum).to_le_bytes());
        let key = shard.iter().fold("c".to_owned(), |key, at| format!("{key}/{at}"));
        store.insert(key, bytes);
    }
    store
}

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    (0..count as u64)
        .map(|at| ((at + 1).wrapping_mul(seed | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect()
}

fn shards(sink: &MemorySink) -> std::collections::BTreeMap<String, Vec<u8>> {
    sink.objects().into_iter().filter(|(key, _)| key.starts_with("c/")).collect()
}

/// Claims FLUSH-101.
#[test]
fn the_cpu_equals_plain_loops() {
    let bounded = |sizes: &[(u64, u64, u64)]| {
        let dimensions = sizes.iter().enumerate().map(|(index, (size, chunk, shard))| {
            Dimension::bounded(format!("d{index}"), *size).chunk(*chunk).chunks_per_shard(*shard)
        });
        ArrayConfig::builder(DataType::U16).dimensions(dimensions.collect()).build().unwrap()
    };
    for config in [small(), bounded(&[(6, 2, 1), (8, 4, 1), (9, 3, 1)])] {
        let plain = Plain::of(&config, 0);
        let data = bytes(plain.sizes.iter().product::<usize>() * 2, 7);
        let sink = MemorySink::new();
        let mut writer = Writer::create(config, Arc::new(sink.clone())).unwrap();
        let _taken = writer.append(&data).unwrap();
        writer.close().unwrap();
        assert_eq!(shards(&sink), reference(&plain, &data));
    }
    let mut random = 88_172_645_463_325_252u64;
    let mut next = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let mut dtypes = std::collections::HashSet::new();
    for case in 0..200 {
        let dtype = DataType::ALL[case % 11];
        let rank = 1 + next(6) as usize;
        let unbounded = next(2) == 0;
        let frames = 1 + next(7);
        let mut dimensions = Vec::new();
        for index in 0..rank {
            let size = if index == 0 { frames } else { 1 + next(if rank > 4 { 4 } else { 9 }) };
            let chunk = 1 + next(4);
            let name = format!("d{index}");
            dimensions.push(match (index, unbounded) {
                (0, true) => Dimension::unbounded(name).chunk(chunk).chunks_per_shard(1 + next(4)),
                _ => Dimension::bounded(name, size).chunk(chunk).chunks_per_shard(next(4)),
            });
        }
        let Ok(config) = ArrayConfig::builder(dtype).dimensions(dimensions).build() else { continue };
        let plain = Plain::of(&config, frames as usize);
        let data = bytes(plain.sizes.iter().product::<usize>() * plain.element, case as u64 * 977);
        let page = [0, 4096][next(2) as usize];
        let sink = MemorySink::with_pages(page);
        let engine = EngineConfig {
            epochs_per_batch: Some(1 + next(4) as u32),
            staging_bytes: 1 + next(5000) as usize,
            threads_max: Some(1 + next(2) as usize),
            ..EngineConfig::default()
        };
        let mut writer = Writer::with_engine(config, engine, Arc::new(sink.clone())).unwrap();
        let mut rest = &data[..];
        while !rest.is_empty() {
            let count = ((1 + next(200) as usize) * plain.element).min(rest.len());
            let appended = writer.append(&rest[..count]).unwrap();
            assert_eq!(appended.rest.len(), 0);
            rest = &rest[count..];
        }
        writer.close().unwrap();
        assert_eq!(shards(&sink), reference(&plain, &data), "case {case}: {:?} of {dtype}", plain.sizes);
        dtypes.insert(dtype);
    }
    assert_eq!(dtypes.len(), 11, "every data type was drawn, f16 among them");
}

/// Without a codec the CPU scatters into the shards and packs nothing; a device with memory of its own scatters to a pool and packs.
/// Both give the same files: ragged edges, edge shards with fewer chunks, tails carried from batch to batch, partial batches.
#[test]
fn scattering_into_shards_gives_what_packing_gives() {
    use prewire_gpu_flush::checked::Checked;
    use prewire_gpu_flush::device::{CpuDevice, Device, SteppedDevice};
    use prewire_gpu_flush::writer::WriterBuilder;
    let mut state = 0x5DEE_CE66_D1CE_4E5Du64;
    let mut below = move |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    for case in 0..80 {
        let rank = 1 + below(4) as usize;
        let mut dimensions = vec![Dimension::unbounded("t").chunk(1 + below(3)).chunks_per_shard(1 + below(5))];
        for name in ["z", "y", "x"].into_iter().take(rank) {
            let dimension = Dimension::bounded(name, 1 + below(40)).chunk(2 + below(14));
            dimensions.push(dimension.chunks_per_shard(below(4)));
        }
        let frame: u64 = dimensions[1..].iter().map(|dimension| dimension.size).product();
        let dtype = [DataType::U8, DataType::U16, DataType::F32, DataType::U64][below(4) as usize];
        let config = ArrayConfig::builder(dtype).dimensions(dimensions).build().unwrap();
        let bytes = frame * (1 + below(17)) * dtype.size_bytes() as u64;
        let input: Vec<u8> = (0..bytes).map(|at| (at * 31 + at / 251 + 1) as u8 | 1).collect();
        let (page_bytes, step) = ([0, 4096][case % 2], dtype.size_bytes() * (1 + below(3000) as usize));
        let settings = EngineConfig::default().epochs_per_batch(1 + below(4) as u32).staging_bytes(65_536);
        let proved = Arc::new(Checked::new(CpuDevice::new(Some(2)).unwrap()));
        let devices: [Arc<dyn Device>; 2] = [Arc::clone(&proved) as _, Arc::new(SteppedDevice::new(case as u64))];
        let stores = devices.map(|device| {
            let sink = MemorySink::with_pages(page_bytes);
            let builder = WriterBuilder::new().array(config.clone(), Arc::new(sink.clone())).device(device);
            let mut writer = builder.engine(settings.clone()).build().unwrap();
            for slice in input.chunks(step) {
                assert!(writer.append(slice).unwrap().rest.is_empty());
            }
            writer.close().unwrap();
            sink.objects()
        });
        assert!(stores[0] == stores[1], "case {case}: {config:?}, pages of {page_bytes} B");
        assert!(stores[0].keys().any(|key| key.starts_with("c/")));
        // Small appends gather in one dispatch, and three buffers rotate: still nothing touches a byte out of order.
        if input.len() / step < 200 {
            assert_eq!(proved.report().findings, [], "case {case}");
        }
    }
}
