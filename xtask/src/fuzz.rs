//! `cargo xtask fuzz`: every decoder of outside bytes against random bytes.

use std::fs;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::sanitizer;
use crate::workspace::{Workspace, nightly_cargo, root};

pub(crate) const USAGE: &str = "\
Runs the fuzz targets of fuzz/ one after another under cargo-fuzz (nightly, libFuzzer, AddressSanitizer), which is installed where it is missing.
Each starts from what earlier runs found (fuzz/corpus/, which git ignores) and from fuzz/seeds/. What fails lies in fuzz/artifacts/.

    --seconds N   how long each target runs   [default: 60]
    TARGET...     only these targets";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let mut seconds = 60_u64;
    let mut targets = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seconds") => seconds = arguments.value()?.parse()?,
            Value(value) => targets.push(value.string()?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if !root().join("fuzz/Cargo.toml").is_file() {
        bail!("there are no fuzz targets; they are the package in fuzz/");
    }
    if let Err(reason) = sanitizer::need_nightly(&["rust-src"]) {
        return Ok(Outcome::DidNotRun(reason));
    }
    let installed = || process::is_available(nightly_cargo().args(["fuzz", "--version"]));
    if !installed() {
        process::succeeds(nightly_cargo().args(["install", "cargo-fuzz", "--locked"]))?;
    }
    if !installed() {
        return Ok(Outcome::DidNotRun("cargo-fuzz is not installed and cannot be installed here".to_owned()));
    }
    if targets.is_empty() {
        let listing = process::output(nightly_cargo().args(["fuzz", "list"]))?;
        targets.extend(listing.lines().map(str::to_owned));
    }
    if targets.is_empty() {
        bail!("fuzz/ lists no targets");
    }
    let target_folder = Workspace::load()?.target().join("fuzz");
    let fuzz = || {
        let mut command = nightly_cargo();
        command.arg("fuzz").env("CARGO_TARGET_DIR", &target_folder);
        command
    };
    let (mut passed, mut runs) = (0, 0);
    for target in &targets {
        // The first folder is the one that libFuzzer adds to.
        let corpus = format!("fuzz/corpus/{target}");
        fs::create_dir_all(root().join(&corpus))?;
        let mut command = fuzz();
        command.args(["run", target, &corpus]);
        let seeds = format!("fuzz/seeds/{target}");
        if root().join(&seeds).is_dir() {
            command.arg(seeds);
        }
        let (status, printed) =
            process::shown(command.args(["--", &format!("-max_total_time={seconds}"), "-timeout=25"]))?;
        let ran = runs_of(&printed);
        // A program that ended well without a single run has looked at nothing.
        passed += usize::from(status.success() && ran > 0);
        runs += ran;
    }
    say!("{passed} of {} targets, {runs} inputs", targets.len());
    Ok(Outcome::from_success(passed == targets.len()))
}

/// How many inputs libFuzzer says it tried.
fn runs_of(printed: &str) -> u64 {
    let said = printed.lines().rev().find_map(|line| line.strip_prefix("Done "));
    said.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inputs_that_were_tried_are_counted() {
        assert_eq!(runs_of("#2 INITED\nDone 38114 runs in 13 second(s)\n"), 38_114);
        assert_eq!(runs_of("thread panicked\nSUMMARY: libFuzzer: deadly signal\n"), 0);
    }
}
