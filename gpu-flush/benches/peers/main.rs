//! The CPU device against other Zarr writers on one array: FLUSH-149. Ours, zarrs, tensorstore, acquire-zarr and zarr-python write the
//! same frames, one by one, to the same folder, each in a process of its own, in turn; writing out to the disk counts.
//!
//! Printed are the median and best rate, the most memory beyond the input, and the ratios to the fastest of the others; a spread above
//! 10 % is printed as inconclusive. acquire-zarr has no bare zstd, so it compresses with blosc-zstd at the same level.
//!
//! `cargo xtask bench flush-peers -- [--workload camera|deep] [--frames N] [--repetitions N] [--folder DIR]`
//!
//! - camera: 128 frames of 1024×1024, chunks 8×256×256 in shards of 16×1024×1024, codec none and zstd 1
//! - deep: 256 frames of 2048×2048, chunks 64×64×64 in shards of 64×1024×1024, codec none and zstd 3

mod child;
mod environment;

use std::path::{Path, PathBuf};
use std::process::Command;

/// One array, and how it is cut.
#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    frames: u64,
    side: u64,
    chunk: [u64; 3],
    shard: [u64; 3],
    level: i32,
    /// Distinct frames; they repeat.
    distinct: u64,
}

const WORKLOADS: [Workload; 2] = [
    Workload {
        name: "camera",
        frames: 128,
        side: 1024,
        chunk: [8, 256, 256],
        shard: [16, 1024, 1024],
        level: 1,
        distinct: 32,
    },
    Workload {
        name: "deep",
        frames: 256,
        side: 2048,
        chunk: [64, 64, 64],
        shard: [64, 1024, 1024],
        level: 3,
        distinct: 16,
    },
];

const WRITERS: [&str; 5] = ["ours", "zarrs", "tensorstore", "acquire-zarr", "zarr-python"];

/// What one process said.
#[derive(Clone, Copy)]
struct Sample {
    seconds: f64,
    memory_bytes: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|argument| argument == "--child") {
        return child::run(&arguments[2..]);
    }
    let value =
        |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let wanted = value("--workload").map_or("camera", String::as_str);
    let mut workload = WORKLOADS.into_iter().find(|workload| workload.name == wanted).expect("camera or deep");
    workload.frames = value("--frames").map_or(workload.frames, |text| text.parse().expect("a number of frames"));
    let repetitions: usize = value("--repetitions").map_or(5, |text| text.parse().expect("a number"));
    let base = value("--folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("prewire-peers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let input = folder.join("input.raw");
    std::fs::write(&input, frames(&workload)).expect("the folder can be written");
    let python = environment::interpreter();
    println!(
        "{}: {} frames of {} x {} u16, chunks {:?}, shards {:?}; {repetitions} rounds in turn, medians, written out to {}",
        workload.name,
        workload.frames,
        workload.side,
        workload.side,
        workload.chunk,
        workload.shard,
        base.display()
    );
    for codec in ["none", "zstd"] {
        let mut samples: Vec<Vec<Sample>> = WRITERS.iter().map(|_| Vec::new()).collect();
        for _ in 0..repetitions {
            for (writer, samples) in WRITERS.iter().zip(&mut samples) {
                samples.push(sample(writer, codec, &workload, &input, &folder, &python));
            }
        }
        report(codec, &workload, &samples);
    }
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

/// Runs one writer once, in a process of its own.
fn sample(writer: &str, codec: &str, workload: &Workload, input: &Path, folder: &Path, python: &Path) -> Sample {
    let list = |extents: [u64; 3]| extents.map(|extent| extent.to_string()).join(",");
    let mut command = if ["ours", "zarrs"].contains(&writer) {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.arg("--child");
        command
    } else {
        let mut command = Command::new(python);
        command.args(["-c", include_str!("peers.py")]);
        command
    };
    command.args([writer, codec]).arg(workload.level.to_string());
    command.args([workload.frames, workload.side].map(|number| number.to_string()));
    command.args([list(workload.chunk), list(workload.shard)]).arg(input).arg(folder);
    let output = command.output().expect("the writer starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{writer} ended with {}:\n{error}", output.status);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut fields = text.split_whitespace();
    let mut field = || fields.next().unwrap_or_else(|| panic!("{writer} said {text:?}"));
    let (seconds, memory) = (field().to_owned(), field().to_owned());
    std::fs::remove_dir_all(folder.join("out.zarr")).expect("the store was written");
    Sample { seconds: seconds.parse().expect("seconds"), memory_bytes: memory.parse().expect("bytes") }
}

fn report(codec: &str, workload: &Workload, samples: &[Vec<Sample>]) {
    let bytes = (workload.frames * workload.side * workload.side * 2) as f64;
    println!("\n{:<14} {:>10} {:>10} {:>8} {:>12}", codec, "GB/s", "best", "spread", "memory MiB");
    let mut figures = Vec::new();
    for (writer, samples) in WRITERS.iter().zip(samples) {
        let mut seconds: Vec<f64> = samples.iter().map(|sample| sample.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let (median, best) = (seconds[seconds.len() / 2], seconds[0]);
        let spread = (seconds[seconds.len() - 1] - best) / median;
        let memory = samples.iter().map(|sample| sample.memory_bytes).max().unwrap_or(0);
        let (rate, best) = (bytes / median / 1e9, bytes / best / 1e9);
        println!("{writer:<14} {rate:>10.3} {best:>10.3} {:>7.0}% {:>12}", spread * 100.0, memory >> 20);
        figures.push((rate, spread, memory, best));
    }
    let (rate, spread, memory, best) = figures[0];
    // zarr-python is shown, but the row compares with the other three.
    let others = &figures[1..4];
    let fastest = others.iter().copied().max_by(|left, right| left.0.total_cmp(&right.0)).expect("there are three");
    let goal = if codec == "none" { 1.5 } else { 1.1 };
    let verdict = match rate / fastest.0 {
        _ if spread.max(fastest.1) > 0.10 => "inconclusive: the spread is above 10 %",
        ratio if ratio >= goal => "reached",
        _ => "missed",
    };
    let best_ratio = best / others.iter().map(|figure| figure.3).fold(0.0, f64::max);
    println!(
        "FLUSH-149  {codec}: {:.2} times the fastest of zarrs, tensorstore and acquire-zarr, best against best {best_ratio:.2} (goal {goal}) {verdict}",
        rate / fastest.0
    );
    let least = others.iter().map(|figure| figure.2).min().unwrap_or(0);
    let ratio = memory as f64 / least.max(1) as f64;
    println!(
        "FLUSH-149  {codec}: {ratio:.2} times the memory of the most frugal of them (goal 1.0) {}",
        if ratio <= 1.0 { "reached" } else { "missed" }
    );
}

/// Camera-like frames: noise on a gradient.
fn frames(workload: &Workload) -> Vec<u8> {
    let side = workload.side;
    let mut state = 1u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The sum of eight small numbers, near enough to the shot noise of 20 photons.
        (0..8).map(|part| (state >> (24 + 5 * part)) & 7).sum::<u64>() * 20 / 28
    };
    let elements = workload.distinct * side * side;
    (0..elements).flat_map(|at| ((noise() + at % side * 400 / side) as u16).to_le_bytes()).collect()
}
