//! `cargo xtask oracle`: random programs, run by the runtime and by a plain sequential interpreter.

use anyhow::Result;

use crate::examples;
use crate::outcome::Outcome;

pub(crate) const USAGE: &str = "\
Runs the example `oracle` of the package prewire with all arguments, such as `--cases N --seed S`.";

pub(crate) fn run(arguments: lexopt::Parser) -> Result<Outcome> {
    examples::run("oracle", arguments)
}
