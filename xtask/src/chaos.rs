//! `cargo xtask chaos`: workers killed at random moments, and nothing lost, hung or leaked.

use anyhow::Result;

use crate::examples;
use crate::outcome::Outcome;

pub(crate) const USAGE: &str = "\
Runs the example `chaos` of the package prewire with all arguments, such as `--seconds N`.";

pub(crate) fn run(arguments: lexopt::Parser) -> Result<Outcome> {
    examples::run("chaos", arguments)
}
