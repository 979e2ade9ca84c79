//! The whole chip in virtual time, for as many seeds as wanted: random programs, chips, rings and faults.
//!
//! `cargo xtask simulate --seeds N --start S`

#[path = "../tests/simulate/case.rs"]
mod case;
#[path = "../tests/oracle/difference.rs"]
mod difference;
#[path = "../tests/oracle/generator.rs"]
mod generator;
#[path = "../tests/oracle/interpreter.rs"]
mod interpreter;
#[path = "../tests/oracle/kernel.rs"]
mod kernel;
#[path = "../tests/oracle/lost.rs"]
mod lost;
#[path = "../tests/simulate/plan.rs"]
mod plan;
#[path = "../tests/oracle/program.rs"]
mod program;
#[path = "../tests/oracle/runner.rs"]
mod runner;

use case::Ending;
use lexopt::prelude::*;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str = "\
simulate [--seeds N] [--start S]

    --seeds N   how many            [default: 1000]
    --start S   the first one       [default: 0]";

/// A seed that takes longer than this stands still.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let (seeds, start) = match parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let (next, failed, endings) = (AtomicU64::new(start), AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    let end = start.saturating_add(seeds);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(&next, end, &failed, &endings));
        }
    });
    if failed.load(Ordering::Relaxed) {
        return ExitCode::FAILURE;
    }
    for (ending, count) in endings.into_inner().unwrap_or_default() {
        println!("{count:>8} {ending:?}");
    }
    println!("{seeds} seeds from {start}: all as they should be, in {:.1} s", began.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

/// Takes one seed after the other, until they are used up or one has failed.
fn work(next: &AtomicU64, end: u64, failed: &AtomicBool, endings: &Mutex<BTreeMap<Ending, u64>>) {
    while !failed.load(Ordering::Relaxed) {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        match guarded(seed) {
            Ok(ending) => {
                if let Ok(mut endings) = endings.lock() {
                    *endings.entry(ending).or_default() += 1;
                }
            }
            Err(text) => {
                failed.store(true, Ordering::Relaxed);
                eprintln!("seed {seed}: {text}");
            }
        }
        if seed % 1000 == 999 {
            eprintln!("up to seed {seed}");
        }
    }
}

/// A seed on a thread of its own, so that one that never ends, or panics, is a failure like any other.
fn guarded(seed: u64) -> Result<Ending, String> {
    let (says, hears) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || drop(says.send(case::check(seed))));
    let again = format!("again: cargo xtask simulate --seeds 1 --start {seed}");
    match hears.recv_timeout(PATIENCE) {
        Ok(outcome) => outcome,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
            Err(format!("it stands still for {} s\n  {again}", PATIENCE.as_secs()))
        }
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
            let _printed = thread.join();
            Err(format!("it panicked\n  {again}"))
        }
    }
}

fn parse() -> Result<Option<(u64, u64)>, lexopt::Error> {
    let (mut seeds, mut start) = (1000, 0);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Long("seeds") => seeds = parser.value()?.parse()?,
            Long("start") => start = parser.value()?.parse()?,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some((seeds, start)))
}
