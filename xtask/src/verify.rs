//! `cargo xtask verify`: every rung of the ladder at full length, and a table of what each counted.

use std::time::Instant;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::rungs::{self, RUNGS, Report, Rung};

pub(crate) const USAGE: &str = "\
Runs every rung at full length, installs what a rung lacks, and closes with a table: rung, what it counted, its time, its outcome.
A failure does not stop the rungs after it. Where a rung did not run, verify did not pass.

    --quick         fewer seeds, and only the mutations that models catch
    --only A,B,...  only these rungs
    --skip A,B,...  not these; they are then shown as not run
    --list          only list the rungs";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let (mut quick, mut list) = (false, false);
    let (mut only, mut skip) = (None, Vec::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("quick") => quick = true,
            Long("list") => list = true,
            Long("only") => only = Some(names(&arguments.value()?.string()?)?),
            Long("skip") => skip = names(&arguments.value()?.string()?)?,
            _ => return Err(argument.unexpected().into()),
        }
    }
    let chosen: Vec<&Rung> =
        RUNGS.iter().filter(|rung| only.as_ref().is_none_or(|only| only.contains(&rung.name))).collect();
    let calls = |rung: &Rung| rung.quick.filter(|_| quick).unwrap_or(rung.full);
    if list {
        for rung in &chosen {
            let calls: Vec<_> = calls(rung).iter().map(|call| format!("cargo {}", call.join(" "))).collect();
            say!("{:12}{}", rung.name, calls.join(" && "));
        }
        return Ok(Outcome::Passed);
    }
    let started = Instant::now();
    let reports: Vec<_> = chosen
        .iter()
        .map(|rung| if skip.contains(&rung.name) { Report::skipped(rung.name) } else { rung.run(calls(rung)) })
        .collect();
    say!("\n{:12}{:36}{:>8}    outcome", "rung", "counted", "time");
    for report in &reports {
        say!("{}", report.line());
    }
    let outcome = verdict(&reports);
    let extent = if reports.len() < RUNGS.len() {
        format!("only {} of {} rungs", reports.len(), RUNGS.len())
    } else {
        format!("all {} rungs{}", RUNGS.len(), if quick { ", in a hurry" } else { "" })
    };
    say!("{}", rungs::line("verify", &extent, started.elapsed(), &outcome));
    Ok(outcome)
}

/// The rungs of a list, which all have to exist.
fn names(list: &str) -> Result<Vec<&'static str>> {
    let known = |name: &str| RUNGS.iter().find(|rung| rung.name == name).map(|rung| rung.name);
    let mut found = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let Some(name) = known(name) else {
            let all: Vec<_> = RUNGS.iter().map(|rung| rung.name).collect();
            bail!("there is no rung `{name}`; there are {}", all.join(", "));
        };
        found.push(name);
    }
    Ok(found)
}

/// Failed when one failed; passed only when all ran.
fn verdict(reports: &[Report]) -> Outcome {
    if reports.iter().any(|report| report.outcome == Outcome::Failed) {
        return Outcome::Failed;
    }
    let missing: Vec<_> =
        reports.iter().filter(|report| report.outcome != Outcome::Passed).map(|report| report.name).collect();
    match (reports.is_empty(), missing.is_empty()) {
        (true, _) => Outcome::DidNotRun("no rung was chosen".to_owned()),
        (false, true) => Outcome::Passed,
        (false, false) => Outcome::DidNotRun(format!("{}; the other rungs passed", missing.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn report(outcome: Outcome) -> Report {
        Report { name: "rung", counted: String::new(), time: Duration::ZERO, outcome }
    }

    #[test]
    fn a_rung_that_did_not_run_is_no_pass_and_a_failure_outweighs_it() {
        let missing = || report(Outcome::DidNotRun("no compiler".to_owned()));
        assert_eq!(verdict(&[report(Outcome::Passed), report(Outcome::Passed)]), Outcome::Passed);
        assert!(
            matches!(verdict(&[report(Outcome::Passed), missing()]), Outcome::DidNotRun(text) if text.contains("rung"))
        );
        assert_eq!(verdict(&[missing(), report(Outcome::Failed), report(Outcome::Passed)]), Outcome::Failed);
        assert!(matches!(verdict(&[]), Outcome::DidNotRun(_)));
    }

    #[test]
    fn a_rung_that_does_not_exist_is_refused() {
        assert_eq!(names("tidy, fuzz").expect("both exist"), ["tidy", "fuzz"]);
        assert!(names("tidy,launch").expect_err("there is none").to_string().contains("`launch`"));
    }
}
