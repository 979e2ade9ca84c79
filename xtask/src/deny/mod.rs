//! `cargo xtask deny`: what we depend on, held against deny.toml.

mod licences;

use anyhow::Result;
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::workspace::{cargo, root};

pub(crate) const USAGE: &str = "\
Holds the dependencies against deny.toml: their licences, where they come from, and, where cargo-deny is installed, which of them come twice
and which are banned.

    --advisories   look for known vulnerabilities instead; this needs the network, and changes without any change of ours
    --install      install cargo-deny where it is missing";

/// What is looked at: the workspace, and the fuzz targets, which stand outside of it.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

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

fn check(advisories: bool, install: bool) -> Result<Outcome> {
    let installed = || process::is_available(cargo().args(["deny", "--version"]));
    if !installed() && install {
        process::succeeds(cargo().args(["install", "cargo-deny", "--locked", "--version", VERSION]))?;
    }
    if !installed() && advisories {
        let reason = "advisories need cargo-deny; `cargo xtask deny --install` installs it";
        return Ok(Outcome::DidNotRun(reason.to_owned()));
    }
    if !installed() {
        let (complaints, packages) = licences::check()?;
        for complaint in &complaints {
            say!("{complaint}");
        }
        say!("{packages} packages, {} complaints about licences and sources", complaints.len());
        say!(
            "note: bans and duplicates were not looked at, as cargo-deny is not installed; `cargo xtask deny --install` installs it"
        );
        if install && complaints.is_empty() {
            return Ok(Outcome::DidNotRun("bans and duplicates: cargo-deny cannot be installed here".to_owned()));
        }
        return Ok(Outcome::from_success(complaints.is_empty()));
    }
    if advisories && !process::succeeds(cargo().args(["deny", "fetch", "db"]))? {
        return Ok(Outcome::DidNotRun("the database of advisories cannot be fetched".to_owned()));
    }
    let checks: &[&str] = if advisories { &["advisories"] } else { &["licenses", "bans", "sources"] };
    let mut passed = true;
    for manifest in MANIFESTS {
        let mut command = cargo();
        // The settings of the workspace hold for the fuzz targets too.
        command.args(["deny", "--manifest-path", manifest, "--workspace", "--all-features", "--config"]);
        command.arg(root().join("deny.toml")).args(["check", "--hide-inclusion-graph"]).args(checks);
        passed &= process::succeeds(&mut command)?;
    }
    Ok(Outcome::from_success(passed))
}
