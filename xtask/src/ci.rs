//! `cargo xtask ci`: everything that must hold for each change, in order of speed.

use std::time::{Duration, Instant};

use anyhow::Result;
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::workspace::cargo;
use crate::{conformance, deny, loom, mutations, test, tidy};

pub(crate) const USAGE: &str = "\
Runs the rungs that every change must pass, the quickest first, and closes with one line for each: its outcome and its time.
A failure does not stop the rungs after it. A rung that cannot run here says why and does not fail the whole.

    --fail-fast   stop at the first failure";

/// One line of the summary.
struct Rung {
    name: &'static str,
    run: fn() -> Result<Outcome>,
}

const RUNGS: &[Rung] = &[
    Rung { name: "tidy", run: tidy::run_default },
    Rung { name: "fmt", run: fmt },
    Rung { name: "deny", run: deny::run_default },
    Rung { name: "clippy", run: clippy },
    Rung { name: "loom", run: loom::run_default },
    Rung { name: "loom mutations", run: loom_mutations },
    Rung { name: "test", run: test::run_default },
    Rung { name: "conformance", run: conformance::run_default },
];

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let mut fail_fast = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("fail-fast") => fail_fast = true,
            _ => return Err(argument.unexpected().into()),
        }
    }
    let started = Instant::now();
    let mut lines = Vec::new();
    let mut failed = false;
    for rung in RUNGS {
        say!("\n=== {}", rung.name);
        let begun = Instant::now();
        let outcome = (rung.run)().unwrap_or_else(|error| {
            say!("{error:#}");
            Outcome::Failed
        });
        say!("=== {}", line(rung.name, begun.elapsed(), &outcome));
        lines.push(line(rung.name, begun.elapsed(), &outcome));
        failed |= outcome == Outcome::Failed;
        if failed && fail_fast {
            break;
        }
    }
    say!("\n{}", lines.join("\n"));
    let outcome = Outcome::from_success(!failed);
    say!("{}", line("ci", started.elapsed(), &outcome));
    Ok(outcome)
}

fn line(name: &str, time: Duration, outcome: &Outcome) -> String {
    format!("{name:16}{:8.1} s  {outcome}", time.as_secs_f64())
}

/// The mutations that models catch; `cargo xtask mutations` runs all of them, those that need a whole test program among them.
fn loom_mutations() -> Result<Outcome> {
    mutations::run(lexopt::Parser::from_args(["--kind", "loom"]))
}

fn fmt() -> Result<Outcome> {
    process::succeeds(cargo().args(["fmt", "--all", "--check"])).map(Outcome::from_success)
}

fn clippy() -> Result<Outcome> {
    let mut command = cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    process::succeeds(&mut command).map(Outcome::from_success)
}
