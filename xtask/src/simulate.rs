//! `cargo xtask simulate`: the whole chip in virtual time, with faults, one seed after another.

use anyhow::Result;

use crate::examples;
use crate::outcome::Outcome;

pub(crate) const USAGE: &str = "\
Runs the example `simulate` of the package prewire with all arguments, such as `--seeds N --start S`.";

pub(crate) fn run(arguments: lexopt::Parser) -> Result<Outcome> {
    examples::run("simulate", arguments)
}
