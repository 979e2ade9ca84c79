//! The oracle for as long as wanted: random programs against a plain sequential interpreter, on both chips and all engines.
//!
//! `cargo xtask oracle --cases N --seed S`

#[path = "../tests/oracle/cases.rs"]
mod cases;
#[path = "../tests/oracle/generator.rs"]
mod generator;
#[path = "../tests/oracle/interpreter.rs"]
mod interpreter;
#[path = "../tests/oracle/program.rs"]
mod program;
#[path = "../tests/oracle/random.rs"]
mod random;
#[path = "../tests/oracle/runner.rs"]
mod runner;

use cases::{Bench, Machine};
use lexopt::prelude::*;
use prewire::{Chip, Engine};
use std::process::ExitCode;

const USAGE: &str = "\
oracle [--cases N] [--seed S] [--tasks T]

    --cases N   programs            [default: 1000]
    --seed S    the first one       [default: 0]
    --tasks T   tasks of a program  [default: 200]";

fn main() -> ExitCode {
    let (cases, seed, tasks) = match parse() {
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
    let mut bench = Bench::default();
    for seed in seed..seed.saturating_add(cases) {
        for engine in [Engine::Inline, Engine::InlineOnly, Engine::Threads] {
            for window in [4, 8, 16, 64, 0] {
                let chip = Chip::ALL[seed as usize % 2];
                if let Err(text) = bench.check(seed, tasks, Machine { chip, engine, window }) {
                    eprintln!("{text}");
                    return ExitCode::FAILURE;
                }
            }
        }
        if seed % 100 == 99 {
            eprintln!("up to seed {seed}: all the same");
        }
    }
    println!("{cases} programs from seed {seed}, each on three engines and in five sizes of rings: all the same");
    ExitCode::SUCCESS
}

fn parse() -> Result<Option<(u64, u64, usize)>, lexopt::Error> {
    let (mut cases, mut seed, mut tasks) = (1000, 0, 200);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Long("cases") => cases = parser.value()?.parse()?,
            Long("seed") => seed = parser.value()?.parse()?,
            Long("tasks") => tasks = parser.value()?.parse()?,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some((cases, seed, tasks)))
}
