//! `cargo xtask test`: unit and integration tests by nextest, then the tests in the documentation.

use std::io;
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::outcome::Outcome;
use crate::process;
use crate::workspace::{cargo, root};

pub(crate) const USAGE: &str = "\
Without arguments: all tests of the workspace and its documentation, with a machine-readable record for `cargo xtask conformance`.
With arguments: they go to `cargo nextest run` as they are, for instance `-p prewire-scheduler gang`, and the record stays as it was.
Installs nextest, or replaces one that is too old.";

/// The version that is installed where there is none; .config/nextest.toml says what is too old.
const NEXTEST_VERSION: &str = "0.9.143";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let passed_on: Vec<_> = arguments.raw_args()?.collect();
    if passed_on.is_empty() {
        return run_default();
    }
    if !has_nextest()? {
        let passed = process::succeeds(cargo().arg("test").args(passed_on))?;
        return Ok(Outcome::from_success(passed));
    }
    let passed = process::succeeds(cargo().args(["nextest", "run"]).args(passed_on))?;
    Ok(Outcome::from_success(passed))
}

/// Everything.
fn run_default() -> Result<Outcome> {
    let tests = if has_nextest()? {
        // Nextest reports on standard error; on standard output its closing lines reach whoever keeps only that.
        let mut command = cargo();
        command.args(["nextest", "run", "--workspace", "--profile", "ci"]).stderr(Stdio::from(io::stdout()));
        process::succeeds(&mut command)?
    } else {
        process::succeeds(cargo().args(["test", "--workspace", "--all-targets", "--no-fail-fast"]))?
    };
    let documentation = process::succeeds(cargo().args(["test", "--workspace", "--doc", "--no-fail-fast"]))?;
    Ok(Outcome::from_success(tests && documentation))
}

/// Whether nextest can be had. Where it cannot, the tests still run, by `cargo test`, and this says so.
fn has_nextest() -> Result<bool> {
    if is_recent_enough() {
        return Ok(true);
    }
    eprintln!("cargo-nextest is missing or too old; installing {NEXTEST_VERSION} (this takes some minutes, once)");
    let mut install = cargo();
    install.args(["install", "cargo-nextest", "--locked", "--force", "--version", NEXTEST_VERSION]);
    // Without the part that renews itself, which brings a TLS library with it.
    install.args(["--no-default-features", "--features", "default-no-update"]);
    let installed = process::succeeds(&mut install).context("cannot install cargo-nextest")?;
    if installed && is_recent_enough() {
        return Ok(true);
    }
    eprintln!(
        "*** cargo-nextest cannot be installed here. The tests run by `cargo test` instead: without time limits for single tests,"
    );
    eprintln!("*** without a process for each, and without the record that `cargo xtask conformance` reads.");
    Ok(false)
}

fn is_recent_enough() -> bool {
    // Exits with an error when the version is below what .config/nextest.toml requires, or when there is no nextest.
    process::is_available(cargo().args(["nextest", "show-config", "version"]).current_dir(root()))
}
