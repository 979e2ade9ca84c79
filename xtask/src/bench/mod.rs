//! `cargo xtask bench`: the benchmarks of the package `prewire`, and other task runtimes in the same rounds.

mod peers;
mod samples;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::workspace::{Workspace, cargo};

pub(crate) const USAGE: &str = "\
Builds the benchmarks of the package prewire, with link-time optimisation, and runs them with the arguments after `--`.
`cargo xtask bench -- --help` tells what they take.

    NAME...       only these benchmarks, of whichever package   [default: all of prewire]
    --host        only the benchmark of host workers: round trips, cost per task over 1 to 8 workers, idle processors
    --peers DIR   build the peers in DIR by make and run them and ours in turn on the same four shapes; prints one table
    --rounds N    rounds with the peers: in each, everything runs once on each shape   [default: 5]
    --reps N      repetitions in each round                                            [default: 3]
    --threads N   worker threads                                                       [default: 2]";

/// The package with the benchmarks.
const PACKAGE: &str = "prewire";

/// How ours and the peers are run together.
#[derive(Debug)]
pub(crate) struct Plan {
    folder: PathBuf,
    rounds: u32,
    repetitions: u32,
    threads: u32,
}

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let mut plan = Plan { folder: PathBuf::new(), rounds: 5, repetitions: 3, threads: 2 };
    let mut with_peers = false;
    let mut names = Vec::new();
    let mut passed_on = Vec::new();
    // `--` is found by hand, as lexopt takes it for the end of our own options and keeps quiet about it.
    let mut ours: Vec<OsString> = arguments.raw_args()?.collect();
    if let Some(end) = ours.iter().position(|argument| argument == "--") {
        passed_on = ours.split_off(end).split_off(1);
    }
    let mut arguments = lexopt::Parser::from_args(ours);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("peers") => {
                with_peers = true;
                plan.folder = arguments.value()?.into();
            }
            Long("host") => names.push("host".to_owned()),
            Long("rounds") => plan.rounds = arguments.value()?.parse()?,
            Long("reps") => plan.repetitions = arguments.value()?.parse()?,
            Long("threads") => plan.threads = arguments.value()?.parse()?,
            Value(value) => names.push(value.string()?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    let workspace = Workspace::load()?;
    // Each by its name: `--benches` would also run the unit tests, which know nothing of these arguments.
    let mut benches = Vec::new();
    for package in workspace.packages() {
        let targets = package.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "bench"));
        benches.extend(targets.map(|target| (package.name.as_str(), target.name.as_str())));
    }
    if let Some(unknown) = names.iter().find(|name| !benches.iter().any(|(_, bench)| bench == name)) {
        bail!("there is no benchmark `{unknown}`; there are {benches:?}");
    }
    benches.retain(
        |(package, bench)| if names.is_empty() { *package == PACKAGE } else { names.iter().any(|name| name == bench) },
    );
    if benches.is_empty() {
        bail!(
            "the package {PACKAGE} has no benchmark yet, so there is nothing to run; it would be in {PACKAGE}/benches/"
        );
    }
    if with_peers {
        return peers::run(&workspace, &plan, &passed_on);
    }
    let mut passed = true;
    for (package, bench) in benches {
        let mut command = cargo();
        command.args(["bench", "-p", package, "--bench", bench, "--"]).args(&passed_on);
        passed &= process::succeeds(&mut command)?;
    }
    Ok(Outcome::from_success(passed))
}
