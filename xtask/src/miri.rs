//! `cargo xtask miri`: undefined behaviour, found by interpreting the tests.

use std::env;

use anyhow::Result;
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::sanitizer;
use crate::workspace::nightly_cargo;

pub(crate) const USAGE: &str = "\
Interprets the unit tests under miri (nightly), with strict provenance and symbolic alignment. Adds the component where it is missing.

    -p PACKAGE   the package   [default: prewire-runtime-core]
    FILTER...    only tests whose name contains one of these

MIRIFLAGS is respected; -Zmiri-many-seeds explores more than one schedule.";

const MIRIFLAGS: &str = "-Zmiri-strict-provenance -Zmiri-symbolic-alignment-check";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let mut package = "prewire-runtime-core".to_owned();
    let mut filters = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('p') | Long("package") => package = arguments.value()?.string()?,
            Value(value) => filters.push(value.string()?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if let Err(reason) = sanitizer::need_nightly(&["miri", "rust-src"]) {
        return Ok(Outcome::DidNotRun(reason));
    }
    let mut command = nightly_cargo();
    command.args(["miri", "test", "-p", &package, "--lib", "--"]).args(filters);
    command.env("MIRIFLAGS", env::var("MIRIFLAGS").unwrap_or_else(|_| MIRIFLAGS.to_owned()));
    process::succeeds(&mut command).map(Outcome::from_success)
}
