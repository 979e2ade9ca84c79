//! `cargo xtask deny`: what we depend on, held against deny.toml.

use std::env;

use anyhow::Result;
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::workspace::cargo;

pub(crate) const USAGE: &str = "\
Holds the dependencies against deny.toml: their licences, where they come from, and which of them come twice.

    --advisories   look for known vulnerabilities instead; this needs the network, and changes without any change of ours
    --install      install cargo-deny where it is missing; otherwise the command says that it did not run";

const VERSION: &str = "0.20.2";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let (mut advisories, mut install) = (false, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("advisories") => advisories = true,
            Long("install") => install = true,
            _ => return Err(argument.unexpected().into()),
        }
    }
    check(advisories, install)
}

/// Licences, sources and bans, for `cargo xtask ci`. A machine of CI is thrown away, so there cargo-deny is installed; a developer's is not.
pub(crate) fn run_default() -> Result<Outcome> {
    check(false, env::var_os("CI").is_some())
}

fn check(advisories: bool, install: bool) -> Result<Outcome> {
    let installed = || process::is_available(cargo().args(["deny", "--version"]));
    if !installed() && install {
        process::succeeds(cargo().args(["install", "cargo-deny", "--locked", "--version", VERSION]))?;
    }
    if !installed() {
        let reason = "cargo-deny is not installed; `cargo xtask deny --install` installs it";
        return Ok(Outcome::DidNotRun(reason.to_owned()));
    }
    if advisories && !process::succeeds(cargo().args(["deny", "fetch", "db"]))? {
        return Ok(Outcome::DidNotRun("the database of advisories cannot be fetched".to_owned()));
    }
    let mut command = cargo();
    command.args(["deny", "--workspace", "--all-features", "check", "--hide-inclusion-graph"]);
    if advisories {
        command.arg("advisories")
    } else {
        command.args(["licenses", "bans", "sources"])
    };
    process::succeeds(&mut command).map(Outcome::from_success)
}
