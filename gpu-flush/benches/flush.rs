//! How fast the CPU device is, as ratios to what the same cores do in the same run: FLUSH-147 (codec none), FLUSH-148 (zstd),
//! FLUSH-152 (small appends), FLUSH-153 (pyramids), FLUSH-154 (file system), FLUSH-155 (anchors), by the rules of FLUSH-146.
//!
//! Input blocks are filled before the clock starts and the clock stops after close. Repetitions of all cases are interleaved;
//! each figure is the median with its spread and the best, and a spread above 10 % is printed as inconclusive. Ratios compare runs of this
//! process only. Sinks that keep nothing ask for 4096-byte alignment, as direct I/O does.
//!
//! `cargo xtask bench flush -- [--repetitions N] [--frames N] [--filter TEXT]`

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prewire_gpu_flush::sink::{DiscardSink, FileOptions, FileSink, Sink};
use prewire_gpu_flush::writer::{Writer, WriterBuilder};
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, EngineConfig};

const PAGE_BYTES: usize = 4096;
const GIB: f64 = (1u64 << 30) as f64;

/// One thing to time: what it is called, how many bytes it handles, and how to run it once.
struct Case {
    name: String,
    /// Bytes of the caller's elements.
    logical_bytes: u64,
    /// Bytes with the padding of ragged chunks; equal where nothing is ragged.
    padded_bytes: u64,
    run: Box<dyn FnMut() -> Duration>,
}

struct Figure {
    name: String,
    gib_per_second: f64,
    /// The best repetition's: what a quiet moment of a shared machine shows.
    best: f64,
    spread: f64,
    seconds: f64,
    logical_bytes: u64,
    padded_bytes: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Fill {
    Xor,
    Random,
}

fn block(bytes: usize, fill: Fill) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    match fill {
        Fill::Xor => {
            (0..bytes / 2).flat_map(|at| ((at ^ (at >> 8) ^ (at >> 16)) as u16 & 0xFF).to_le_bytes()).collect()
        }
        Fill::Random => (0..bytes / 8).flat_map(|_| random().to_le_bytes()).collect(),
    }
}

/// 256cube: u16, t×z256×y256×x256×c3, stored t,c,z,y,x in chunks of 1 MiB.
fn cube(codec: CodecConfig, downsample: &[&str]) -> ArrayConfig {
    let dimension = |name: &str, size, chunk| {
        let dimension = Dimension::bounded(name, size).chunk(chunk).chunks_per_shard(0);
        if downsample.contains(&name) { dimension.downsample() } else { dimension }
    };
    let time = Dimension::unbounded("t").chunk(if downsample.contains(&"t") { 1 } else { 2 }).chunks_per_shard(4);
    let time = if downsample.contains(&"t") { time.downsample() } else { time };
    ArrayConfig::builder(DataType::U16)
        .dimension(time)
        .dimension(dimension("z", 256, 64))
        .dimension(dimension("y", 256, 64))
        .dimension(dimension("x", 256, 64))
        .dimension(dimension("c", 3, 1))
        .storage_order(["t", "c", "z", "y", "x"])
        .codec(codec)
        .build()
        .unwrap()
}

fn engine() -> EngineConfig {
    EngineConfig { target_batch_bytes: 128 << 20, ..EngineConfig::default() }
}

/// Streams `input` over and over until `total` bytes are in, `slice` bytes per call.
fn stream(config: &ArrayConfig, sink: Arc<dyn Sink>, input: &[u8], total: u64, slice: usize) -> Duration {
    let builder = WriterBuilder::new().array(config.clone(), sink).engine(engine()).overwrite(true);
    let mut writer: Writer = builder.build().unwrap();
    let start = Instant::now();
    let mut left = total;
    while left > 0 {
        for part in input.chunks(slice) {
            let part = &part[..part.len().min(left as usize)];
            let appended = writer.append(part).unwrap();
            assert!(appended.rest.is_empty());
            left -= part.len() as u64;
            if left == 0 {
                break;
            }
        }
    }
    writer.close().unwrap();
    start.elapsed()
}

fn writer_case(name: &str, config: ArrayConfig, fill: Fill, total: u64, slice: usize) -> Case {
    let input = block(slice.max(16 << 20) / slice * slice, fill);
    let run = move || stream(&config, Arc::new(DiscardSink::new(PAGE_BYTES)), &input, total, slice);
    Case { name: name.into(), logical_bytes: total, padded_bytes: total, run: Box::new(run) }
}

fn memcpy_case(total: u64) -> Case {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let from = block(64 << 20, Fill::Random);
    let mut to = vec![1u8; 64 << 20];
    let run = move || {
        let start = Instant::now();
        for _ in 0..total / (64 << 20) {
            let part = from.len() / cores;
            std::thread::scope(|scope| {
                for (from, to) in from.chunks(part).zip(to.chunks_mut(part)) {
                    scope.spawn(move || to.copy_from_slice(std::hint::black_box(from)));
                }
            });
            std::hint::black_box(&mut to);
        }
        start.elapsed()
    };
    Case { name: "memcpy on all cores".into(), logical_bytes: total, padded_bytes: total, run: Box::new(run) }
}

/// Raw libzstd on all cores with prepared contexts, on the chunks as the writer cuts them.
fn zstd_case(name: &str, level: i32, fill: Fill, total: u64) -> Case {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let chunk_bytes = 1 << 20;
    let frame = block(16 << 20, fill);
    let chunks = cut(&frame, chunk_bytes);
    let run = move || {
        let start = Instant::now();
        let next = std::sync::atomic::AtomicUsize::new(0);
        let count = (total as usize / chunk_bytes).max(1);
        std::thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    let mut context = zstd::bulk::Compressor::new(level).unwrap();
                    let mut output = vec![0u8; zstd::zstd_safe::compress_bound(chunk_bytes)];
                    loop {
                        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if at >= count {
                            break;
                        }
                        let size = context.compress_to_buffer(&chunks[at % chunks.len()], &mut output[..]).unwrap();
                        std::hint::black_box(size);
                    }
                });
            }
        });
        start.elapsed()
    };
    Case { name: name.into(), logical_bytes: total, padded_bytes: total, run: Box::new(run) }
}

/// The chunks that scattering puts into the pool, so that raw compression works on the same bytes.
fn cut(input: &[u8], chunk_bytes: usize) -> Vec<Vec<u8>> {
    let config = cube(CodecConfig::None, &[]);
    let geometry = prewire_gpu_flush::geometry::ArrayGeometry::new(&config, 1).unwrap();
    let mut pool = vec![0u8; geometry.epoch_pool_bytes() as usize];
    let level = &geometry.levels[0];
    let frame: Vec<u8> = input.iter().copied().cycle().take(level.image_elements as usize * 2).collect();
    level.scatter.scatter(0, &frame, &mut pool, 2);
    pool.chunks(chunk_bytes).take(32).map(<[u8]>::to_vec).collect()
}

/// A plain writer of 48 MiB blocks to a file, from `depth` threads.
fn file_case(folder: std::path::PathBuf, depth: usize, total: u64) -> Case {
    let bytes = block(48 << 20, Fill::Random);
    let run = move || {
        let path = folder.join("plain");
        let file = File::create(&path).unwrap();
        file.set_len(total).unwrap();
        let start = Instant::now();
        let next = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..depth {
                scope.spawn(|| {
                    use std::os::unix::fs::FileExt;
                    loop {
                        let at = next.fetch_add(bytes.len() as u64, std::sync::atomic::Ordering::Relaxed);
                        if at >= total {
                            break;
                        }
                        let count = bytes.len().min((total - at) as usize);
                        file.write_all_at(&bytes[..count], at).unwrap();
                    }
                });
            }
        });
        file.sync_all().unwrap();
        let elapsed = start.elapsed();
        std::fs::remove_file(&path).unwrap();
        elapsed
    };
    Case { name: "plain file, depth 8".into(), logical_bytes: total, padded_bytes: total, run: Box::new(run) }
}

fn file_sink_case(folder: std::path::PathBuf, total: u64) -> Case {
    let config = cube(CodecConfig::None, &[]);
    let input = block(96 << 20, Fill::Random);
    let run = move || {
        let path = folder.join("store.zarr");
        let options = FileOptions::default().writes_in_flight(8).durable(true);
        let sink = FileSink::new(&path, options).unwrap();
        let elapsed = stream(&config, Arc::new(sink), &input, total, 96 << 20);
        std::fs::remove_dir_all(&path).unwrap();
        elapsed
    };
    Case {
        name: "file sink, depth 8, codec none".into(),
        logical_bytes: total,
        padded_bytes: total,
        run: Box::new(run),
    }
}

/// The workload of the peers' script: 256 MiB of camera-like frames, chunks 8×256×256 in shards of 16×1024×1024, frame by frame.
fn peers_case(name: &str, codec: CodecConfig, folder: &std::path::Path) -> Case {
    let (frames, side) = (128u64, 1024u64);
    let inner = |name: &str| Dimension::bounded(name, side).chunk(256).chunks_per_shard(4);
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").chunk(8).chunks_per_shard(2))
        .dimension(inner("y"))
        .dimension(inner("x"))
        .codec(codec)
        .build()
        .unwrap();
    let mut state = 1u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 27 + (state >> 40) % 14
    };
    let total = frames * side * side * 2;
    let input: Vec<u8> =
        (0..8 * side * side).flat_map(|at| ((noise() + at % side * 400 / side) as u16).to_le_bytes()).collect();
    let path = folder.join("camera.zarr");
    let run = move || {
        let sink = FileSink::new(&path, FileOptions::default().writes_in_flight(8).durable(true)).unwrap();
        let elapsed = stream(&config, Arc::new(sink), &input, total, (side * side * 2) as usize);
        std::fs::remove_dir_all(&path).unwrap();
        elapsed
    };
    Case { name: name.into(), logical_bytes: total, padded_bytes: total, run: Box::new(run) }
}

/// Median, shortest, and spread.
fn median(mut times: Vec<f64>) -> (f64, f64, f64) {
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    (median, times[0], (times[times.len() - 1] - times[0]) / median)
}

fn measure(cases: &mut [Case], repetitions: usize) -> Vec<Figure> {
    let mut times: Vec<Vec<f64>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..repetitions {
        for (case, times) in cases.iter_mut().zip(&mut times) {
            times.push((case.run)().as_secs_f64());
        }
    }
    let figure = |(case, times): (&mut Case, Vec<f64>)| {
        let (seconds, shortest, spread) = median(times);
        Figure {
            name: case.name.clone(),
            gib_per_second: case.logical_bytes as f64 / GIB / seconds,
            best: case.logical_bytes as f64 / GIB / shortest,
            spread,
            seconds,
            logical_bytes: case.logical_bytes,
            padded_bytes: case.padded_bytes,
        }
    };
    cases.iter_mut().zip(times).map(figure).collect()
}

fn find<'a>(figures: &'a [Figure], name: &str) -> Option<&'a Figure> {
    figures.iter().find(|figure| figure.name == name)
}

/// Prints `name` relative to `base`, with the goal.
fn ratio(figures: &[Figure], row: &str, name: &str, base: &str, goal: f64) {
    let (Some(figure), Some(base)) = (find(figures, name), find(figures, base)) else { return };
    let ratio = figure.gib_per_second / base.gib_per_second;
    let verdict = if figure.spread.max(base.spread) > 0.10 {
        "inconclusive: the spread is above 10 %"
    } else if ratio >= goal {
        "reached"
    } else {
        "missed"
    };
    let best = figure.best / base.best;
    println!("{row:<10} {name} / {}: {ratio:.2}, best against best {best:.2} (goal {goal:.2}) {verdict}", base.name);
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value =
        |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let repetitions: usize = value("--repetitions").and_then(|text| text.parse().ok()).unwrap_or(5);
    let frames: u64 = value("--frames").and_then(|text| text.parse().ok()).unwrap_or(8);
    let filter = value("--filter").cloned().unwrap_or_default();
    let folder = std::env::temp_dir().join(format!("prewire-flush-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();

    let frame = 256 * 256 * 256 * 3 * 2u64;
    let total = frames * frame;
    let zstd = |level| CodecConfig::Zstd { level };
    let frame_bytes = frame as usize;
    let small_total = total.min(192 << 20);
    let mut cases = vec![
        memcpy_case(total),
        writer_case("none", cube(CodecConfig::None, &[]), Fill::Xor, total, frame_bytes),
        writer_case("none, y and x halved", cube(CodecConfig::None, &["y", "x"]), Fill::Xor, total, frame_bytes),
        writer_case(
            "none, t, y and x halved",
            cube(CodecConfig::None, &["t", "y", "x"]),
            Fill::Xor,
            total,
            frame_bytes,
        ),
        zstd_case("raw zstd 3, xor", 3, Fill::Xor, total),
        writer_case("zstd 3, xor", cube(zstd(3), &[]), Fill::Xor, total, frame_bytes),
        zstd_case("raw zstd 3, random", 3, Fill::Random, total),
        writer_case("zstd 3, random", cube(zstd(3), &[]), Fill::Random, total, frame_bytes),
        zstd_case("raw zstd 1, xor", 1, Fill::Xor, total),
        writer_case("zstd 1, xor", cube(zstd(1), &[]), Fill::Xor, total, frame_bytes),
        writer_case("64 MiB appends", cube(CodecConfig::None, &[]), Fill::Xor, total, 64 << 20),
        writer_case("128 KiB appends", cube(CodecConfig::None, &[]), Fill::Xor, total, 128 << 10),
        writer_case("512 B appends", cube(CodecConfig::None, &[]), Fill::Xor, small_total, 512),
        peers_case("camera, none, to files", CodecConfig::None, &folder),
        peers_case("camera, zstd 1, to files", zstd(1), &folder),
        file_case(folder.clone(), 8, total),
        file_sink_case(folder.clone(), total),
    ];
    cases.retain(|case| case.name.contains(&filter) || case.name.starts_with("memcpy"));
    let figures = measure(&mut cases, repetitions.max(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores, {repetitions} interleaved repetitions, medians; discard sink aligned to {PAGE_BYTES} B");
    println!("{:<32} {:>10} {:>8} {:>8} {:>12} {:>12}", "case", "GiB/s", "best", "spread", "logical MiB", "padded MiB");
    for figure in &figures {
        println!(
            "{:<32} {:>10.2} {:>8.2} {:>7.0}% {:>12} {:>12}",
            figure.name,
            figure.gib_per_second,
            figure.best,
            figure.spread * 100.0,
            figure.logical_bytes >> 20,
            figure.padded_bytes >> 20
        );
    }
    println!();
    let memcpy = "memcpy on all cores";
    ratio(&figures, "FLUSH-147", "none", memcpy, 0.33);
    ratio(&figures, "FLUSH-148", "zstd 3, xor", "raw zstd 3, xor", 0.80);
    ratio(&figures, "FLUSH-148", "zstd 3, random", "raw zstd 3, random", 0.80);
    ratio(&figures, "goal", "zstd 1, xor", "raw zstd 1, xor", 0.95);
    ratio(&figures, "FLUSH-152", "128 KiB appends", "64 MiB appends", 0.90);
    ratio(&figures, "FLUSH-153", "none, y and x halved", "none", 0.50);
    ratio(&figures, "FLUSH-153", "none, t, y and x halved", "none", 0.50);
    ratio(&figures, "FLUSH-154", "file sink, depth 8, codec none", "plain file, depth 8", 0.90);
    if let (Some(small), Some(large)) = (find(&figures, "512 B appends"), find(&figures, "64 MiB appends")) {
        let calls = small.logical_bytes as f64 / 512.0;
        let copy = large.seconds * small.logical_bytes as f64 / large.logical_bytes as f64;
        let each = (small.seconds - copy) / calls * 1e9;
        println!("{:<10} a 512 B append costs {each:.0} ns beyond its copy (goal 250)", "FLUSH-152");
    }
    println!("anchors    upstream's CPU backend, other machines: none 5.1 to 8.8, zstd 3.9 to 7.2 GiB/s (256cube)");
    std::fs::remove_dir_all(&folder).unwrap();
    std::io::stdout().flush().unwrap();
}
