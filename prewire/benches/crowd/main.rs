//! Claims CHIP-163: many simulated cores on few processors. The threaded engine runs a graph of 10 000 tasks on 72 and 108 cores, pinned to two processors
//! beside two other processes that never pause, and the same graph on so few cores that they could have a processor each. Printed are the ratio and
//! how often it was at most 3.
//!
//! A chip comes in clusters of three cores, so "4 cores" lies between one cluster and two; each sample is compared with the quicker of both.

use prewire::{Argument, Buffer, Chip, DataType, Engine, Kernel, KernelId, Runtime, Task, Tensor};
use rustix::thread::CpuSet;
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str = "\
crowd [options]

    --quick         three rounds, to see that everything works
    --rounds N      rounds, in each of which every machine runs once [default: 100]
    --threads N     threads of a run: one submits, the others schedule [default: the chip's]";

/// Cells of a side of the graph.
const SIDE: usize = 100;
/// How much longer many cores may take than few.
const RATIO_MOST: f64 = 3.0;
/// What the program is called with to be one of the other processes.
const BUSY: &str = "--be-busy";

fn main() -> ExitCode {
    let (mut rounds, mut threads) = (100, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            BUSY => {
                be_busy();
                return ExitCode::SUCCESS;
            }
            "--quick" => rounds = 3,
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--rounds" => match arguments.next().and_then(|text| text.parse().ok()) {
                Some(given) if given > 0 => rounds = given,
                _ => return complain("--rounds takes a number from 1 up"),
            },
            "--threads" => match arguments.next().and_then(|text| text.parse().ok()) {
                Some(given) => threads = given,
                None => return complain("--threads takes a number"),
            },
            "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            other => return complain(&format!("{other}: unknown")),
        }
    }
    match measure(rounds, threads) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crowd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn complain(problem: &str) -> ExitCode {
    eprintln!("{problem}\n\n{USAGE}");
    ExitCode::from(2)
}

fn measure(rounds: usize, threads: i64) -> Result<(), Box<dyn std::error::Error>> {
    let processors = pin_to_two()?;
    let _others: Vec<Other> = (0..2).map(|_| Other::start()).collect::<Result<_, _>>()?;
    let mut few = [Machine::new(Chip::A2a3, 1, threads)?, Machine::new(Chip::A2a3, 2, threads)?];
    let mut many = [Machine::new(Chip::A2a3, 24, threads)?, Machine::new(Chip::A5, 36, threads)?];
    let mut cases: Vec<(usize, Vec<f64>, Vec<f64>)> =
        many.iter().map(|machine| (machine.cores, Vec::new(), Vec::new())).collect();
    for round in 0..=rounds {
        let least = few.iter_mut().map(Machine::run).min().expect("there are two").as_secs_f64();
        for (machine, (_, times, ratios)) in many.iter_mut().zip(&mut cases) {
            let time = machine.run().as_secs_f64();
            // The first round is there to warm up.
            if round > 0 {
                times.push(1e9 * time / (SIDE * SIDE) as f64);
                ratios.push(time / least);
            }
        }
        eprint!("\rround {round} of {rounds}");
    }
    eprintln!();
    println!(
        "| cores on {processors} busy processors | ns per task: median | time ÷ time of 4 cores: median | worst | at most {RATIO_MOST} |"
    );
    println!("|---:|---:|---:|---:|---:|");
    for (cores, times, ratios) in &cases {
        let within = ratios.iter().filter(|&&ratio| ratio <= RATIO_MOST).count();
        let worst = ratios.iter().fold(0.0f64, |worst, &ratio| worst.max(ratio));
        let (time, ratio) = (median(times), median(ratios));
        println!("| {cores} | {time:.0} | {ratio:.2} | {worst:.2} | {within} of {rounds} |");
    }
    let cases: Vec<_> = cases
        .iter()
        .map(|(cores, times, ratios)| json!({"cores": cores, "ns_per_task": times, "ratio_to_4_cores": ratios}))
        .collect();
    let path = folder()?.join("crowd.json");
    std::fs::write(&path, format!("{:#}\n", json!({"processors": processors, "cases": cases})))?;
    println!("\nall samples: {}", path.display());
    Ok(())
}

fn folder() -> std::io::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Leaves this thread, and with it all that it starts, the first two processors that it may use. Returns how many they are.
fn pin_to_two() -> rustix::io::Result<usize> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let mut two = CpuSet::new();
    for processor in (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor)).take(2) {
        two.set(processor);
    }
    rustix::thread::sched_setaffinity(None, &two)?;
    Ok(two.count() as usize)
}

/// Another process that never pauses, until its input ends.
struct Other(Child);

impl Other {
    fn start() -> std::io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(BUSY).stdin(Stdio::piped()).stdout(Stdio::null());
        command.spawn().map(Other)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It has seen its input end, or was killed by somebody else.
        let _ended = self.0.wait();
    }
}

fn be_busy() {
    static OVER: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(|| {
        let _ended = std::io::stdin().read_to_end(&mut Vec::new());
        OVER.store(true, Ordering::Relaxed);
    });
    while !OVER.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

/// A chip and the graph that runs on it.
struct Machine {
    cores: usize,
    runtime: Runtime,
    kernel: KernelId,
    buffer: Buffer,
    cells: Vec<Tensor>,
}

impl Machine {
    fn new(chip: Chip, clusters: u16, threads: i64) -> Result<Self, Box<dyn std::error::Error>> {
        let builder = Runtime::builder().platform(chip).clusters(clusters).engine(Engine::Threads).threads(threads);
        let mut runtime = builder.build()?;
        let kernel = runtime.register(Kernel::any("deepest of two", |context| {
            let last = context.tensors().len() - 1;
            let mut deepest = 0;
            for producer in 0..last {
                deepest = deepest.max(context.input::<u32>(producer)?.as_slice()[0]);
            }
            context.output::<u32>(last)?.as_mut_slice()[0] = deepest + 1;
            Ok(())
        }))?;
        let buffer = runtime.buffer(4 * (SIDE * SIDE) as u64)?;
        let whole = buffer.tensor(&[(SIDE * SIDE) as u32], DataType::U32)?;
        let cells = (0..(SIDE * SIDE) as u32).map(|cell| whole.view(&[1], &[cell])).collect::<Result<_, _>>()?;
        Ok(Machine { cores: 3 * usize::from(clusters), runtime, kernel, buffer, cells })
    }

    /// Runs the graph once: each cell after the one above and the one to the left, on cores of every kind.
    fn run(&mut self) -> Duration {
        let Machine { runtime, kernel, cells, .. } = self;
        let start = Instant::now();
        let run = runtime.run(|run| {
            for row in 0..SIDE {
                for column in 0..SIDE {
                    let place = row * SIDE + column;
                    let mut arguments = Vec::with_capacity(3);
                    if row > 0 {
                        arguments.push(Argument::Input(&cells[place - SIDE]));
                    }
                    if column > 0 {
                        arguments.push(Argument::Input(&cells[place - 1]));
                    }
                    arguments.push(Argument::OutputExisting(&cells[place]));
                    let task = if place.is_multiple_of(3) { Task::cube(*kernel) } else { Task::vector(*kernel) };
                    run.submit(&task.arguments(&arguments))?;
                }
            }
            Ok(())
        });
        let elapsed = start.elapsed();
        run.unwrap_or_else(|error| panic!("{} cores: {error}", self.cores));
        let cells = self.runtime.read::<u32>(&self.buffer).expect("the run is over");
        let right = |(cell, &value): (usize, &u32)| value as usize == cell / SIDE + cell % SIDE + 1;
        assert!(cells.iter().enumerate().all(right), "{} cores: a dependency was not kept", self.cores);
        elapsed
    }
}
