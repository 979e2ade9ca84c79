//! `cargo xtask fuzz`: every decoder of outside bytes against random bytes.

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::sanitizer;
use crate::workspace::{nightly_cargo, root};

pub(crate) const USAGE: &str = "\
Runs the fuzz targets of fuzz/ one after another under cargo-fuzz (nightly), which is installed where it is missing.

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
        bail!("there are no fuzz targets yet; they would be the package in fuzz/");
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
    let mut passed = true;
    for target in &targets {
        let limit = format!("-max_total_time={seconds}");
        passed &= process::succeeds(nightly_cargo().args(["fuzz", "run", target, "--", &limit]))?;
    }
    Ok(Outcome::from_success(passed))
}
