//! `cargo xtask ci`: everything that must hold for each change, in order of speed.

use std::time::Instant;

use anyhow::Result;
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::rungs::{self, RUNGS, Report};

pub(crate) const USAGE: &str = "\
Runs the rungs that every change must pass, the quickest first, and closes with one line for each: what it counted, its time and its outcome.
A failure does not stop the rungs after it. A rung that cannot run here says why and does not fail the whole; `cargo xtask verify` is
stricter, and runs all rungs.

    --fail-fast   stop at the first failure";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let mut fail_fast = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("fail-fast") => fail_fast = true,
            _ => return Err(argument.unexpected().into()),
        }
    }
    let started = Instant::now();
    let mut reports: Vec<Report> = Vec::new();
    for rung in RUNGS {
        let Some(calls) = rung.change else { continue };
        reports.push(rung.run(calls));
        if fail_fast && reports.iter().any(|report| report.outcome == Outcome::Failed) {
            break;
        }
    }
    say!("");
    for report in &reports {
        say!("{}", report.line());
    }
    let outcome = Outcome::from_success(reports.iter().all(|report| report.outcome != Outcome::Failed));
    say!("{}", rungs::line("ci", "", started.elapsed(), &outcome));
    Ok(outcome)
}
