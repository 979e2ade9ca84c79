//! The oracle for as long as wanted: random programs against a plain sequential interpreter, on both chips and all engines.
//!
//! `cargo xtask oracle --cases N --seed S`
//!
//! A program that fails is made small and written to a file, which `--program FILE` runs again and which, with its cause mended, is to be kept in
//! `tests/oracle/kept`.

#[path = "../tests/oracle/cases.rs"]
mod cases;
#[path = "../tests/oracle/difference.rs"]
mod difference;
#[path = "../tests/oracle/generator.rs"]
mod generator;
#[path = "../tests/oracle/interpreter.rs"]
mod interpreter;
#[path = "../tests/oracle/kept.rs"]
mod kept;
#[path = "../tests/oracle/kernel.rs"]
mod kernel;
#[path = "../tests/oracle/lost.rs"]
mod lost;
#[path = "../tests/oracle/program.rs"]
mod program;
#[path = "../tests/oracle/runner.rs"]
mod runner;
#[path = "../tests/oracle/shrink.rs"]
mod shrink;

use cases::{Bench, Failure, Machine};
use kept::Kept;
use lexopt::prelude::*;
use prewire::{Chip, Engine};
use program::Program;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
oracle [--cases N] [--seed S] [--tasks T]
oracle --program FILE

    --cases N       programs            [default: 1000]
    --seed S        the first one       [default: 0]
    --tasks T       tasks of a program  [default: 200]
    --program FILE  only the program of this file, a hundred times on each engine";

/// How often a smaller program may run without failing before it counts as one that does not fail.
const ATTEMPTS: usize = 5;

struct Options {
    cases: u64,
    seed: u64,
    tasks: usize,
    program: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = match parse() {
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
    let result = match &options.program {
        Some(path) => run_kept(path),
        None => run_seeds(&options),
    };
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

const ENGINES: [Engine; 3] = [Engine::Inline, Engine::InlineOnly, Engine::Threads];

fn run_seeds(options: &Options) -> Result<String, String> {
    let &Options { cases, seed: first, tasks, .. } = options;
    let mut bench = Bench::default();
    for seed in first..first.saturating_add(cases) {
        for engine in ENGINES {
            for window in [4, 8, 16, 32, 64, 0] {
                let machine = Machine { chip: Chip::ALL[seed as usize % 2], engine, window };
                let checked = bench.check(seed, tasks, machine);
                checked.map_err(|text| format!("{text}\n{}", made_small(&mut bench, seed, tasks, machine)))?;
            }
        }
        if seed % 100 == 99 {
            eprintln!("up to seed {seed}: all the same");
        }
    }
    Ok(format!("{cases} programs from seed {first}, each on three engines and in six sizes of rings: all the same"))
}

/// Makes the program of a seed small and writes it to a file; says where it is.
fn made_small(bench: &mut Bench, seed: u64, tasks: usize, machine: Machine) -> String {
    let program = generator::generate(seed, machine.limits(tasks));
    let mut why = String::new();
    let mut differs = |program: &Program| {
        // A run that ends early is another failure, which leaving out scopes brings about.
        (0..ATTEMPTS).any(|_| match bench.check_program(program, machine) {
            Err(failure @ Failure::Differs(_)) => {
                why = failure.to_string();
                true
            }
            _ => false,
        })
    };
    if !differs(&program) {
        return "It ends early, or does not fail again, and cannot be made small.".to_owned();
    }
    let small = shrink::shrink(&program, &mut differs);
    let steps = small.steps.len();
    let text = Kept { why, window: machine.window, program: small }.text();
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let path = target.join(format!("oracle-{seed}.json"));
    match std::fs::write(&path, &text) {
        Ok(()) => format!("made small, in {steps} steps: cargo xtask oracle --program {}", path.display()),
        Err(error) => {
            format!("made small, in {steps} steps, which cannot be written to {}: {error}\n{text}", path.display())
        }
    }
}

fn run_kept(path: &Path) -> Result<String, String> {
    let Kept { window, program, .. } = Kept::read(path)?;
    let mut bench = Bench::default();
    for chip in Chip::ALL {
        for engine in ENGINES {
            for window in [window, 0] {
                let machine = Machine { chip, engine, window };
                for _ in 0..100 {
                    bench.check_program(&program, machine).map_err(|failure| format!("{machine:?}: {failure}"))?;
                }
            }
        }
    }
    Ok(format!("{}: as it should be, a hundred times on each engine of both chips", path.display()))
}

fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { cases: 1000, seed: 0, tasks: 200, program: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Long("cases") => options.cases = parser.value()?.parse()?,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("tasks") => options.tasks = parser.value()?.parse()?,
            Long("program") => options.program = Some(parser.value()?.into()),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(options))
}
