//! What a host's tasks cost, on two processors: round trips against the bare words that they stand on, tasks over 1 to 8 workers, chains, groups and long arguments,
//! what idle workers use, and how long a death takes to be told.
//!
//! Everything is measured in one process, interleaved over rounds, and printed as medians and ratios beside what is aimed at. Nothing is asserted.

use rustix::thread::CpuSet;
use serde_json::json;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod arguments;
mod asleep;
mod awake;
mod bare;
mod crew;
mod death;
mod figures;
mod idle;
mod row;

use row::Row;

const USAGE: &str = "\
host [options]

    --quick         few rounds, to see that everything works
    --only NAME     only this part, of: asleep, idle, awake, workers, longest, arguments, chain, death";

/// A part of the benchmark: how it is called, and what it measures in so many rounds.
type Part = (&'static str, fn(usize) -> Result<Vec<Row>, Box<dyn Error>>);

const PARTS: [Part; 8] = [
    ("asleep", asleep::round_trips),
    ("idle", idle::processors),
    ("awake", awake::line),
    ("workers", crew::more_than_processors),
    ("longest", awake::longest),
    ("arguments", arguments::many),
    ("chain", crew::chain_and_group),
    ("death", death::kill_to_error),
];

/// Rounds of a part.
const ROUNDS: usize = 9;

fn main() -> ExitCode {
    let (mut rounds, mut only) = (ROUNDS, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => rounds = 2,
            "--only" => match arguments.next() {
                Some(name) if PARTS.iter().any(|(known, _)| *known == name) => only = Some(name),
                _ => return complain("--only takes the name of a part"),
            },
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            other => return complain(&format!("{other}: unknown")),
        }
    }
    match measure(rounds, only.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn complain(problem: &str) -> ExitCode {
    eprintln!("{problem}\n\n{USAGE}");
    ExitCode::from(2)
}

fn measure(rounds: usize, only: Option<&str>) -> Result<(), Box<dyn Error>> {
    let processors = pin_to_two()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    println!("{processors} processors, of which others wanted {load} in the last minute; medians of {rounds} rounds\n");
    println!("| row | what | measured | ratio | aim | |");
    println!("|---|---|---:|---:|---:|---|");
    let mut all = Vec::new();
    let parts: Vec<&Part> = PARTS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)).collect();
    for (at, (name, part)) in parts.iter().enumerate() {
        eprint!("\rpart {} of {}: {name}          ", at + 1, parts.len());
        let rows = part(rounds)?;
        eprint!("\r                                \r");
        for row in rows {
            println!("{row}");
            all.push(row);
        }
    }
    let met = all.iter().filter(|row| row.is_met() == Some(true)).count();
    let aimed = all.iter().filter(|row| row.is_met().is_some()).count();
    println!("\n{met} of {aimed} aims met");
    let path = folder()?.join("host.json");
    let rows: Vec<_> = all.iter().map(Row::as_json).collect();
    std::fs::write(&path, format!("{:#}\n", json!({"processors": processors, "load": load, "rows": rows})))?;
    println!("all figures: {}", path.display());
    Ok(())
}

fn folder() -> std::io::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Leaves this process, and with it all that it makes, the first two processors that it may use. Returns how many they are.
fn pin_to_two() -> rustix::io::Result<usize> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let mut two = CpuSet::new();
    for processor in (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor)).take(2) {
        two.set(processor);
    }
    rustix::thread::sched_setaffinity(None, &two)?;
    Ok(two.count() as usize)
}
