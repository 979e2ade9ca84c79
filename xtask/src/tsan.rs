//! `cargo xtask tsan`: data races, seen by ThreadSanitizer while the tests run.

use anyhow::Result;

use crate::outcome::Outcome;
use crate::sanitizer::{self, Sanitizer};

pub(crate) const USAGE: &str = "\
Runs the tests of the crates that share memory, built by the nightly compiler with the sanitizer in everything, the standard library
included. It sees races of the schedules that happen, and does not understand fences.

    -p PACKAGE   only this package; may be given several times
    FILTER...    only tests whose name contains one of these";

pub(crate) fn run(arguments: lexopt::Parser) -> Result<Outcome> {
    let sanitizer = Sanitizer { name: "thread", options: ("TSAN_OPTIONS", "halt_on_error=1 second_deadlock_stack=1") };
    sanitizer::run(&sanitizer, arguments)
}
