//! `cargo xtask asan`: memory errors and leaks, seen by AddressSanitizer while the tests run.

use anyhow::Result;

use crate::outcome::Outcome;
use crate::sanitizer::{self, Sanitizer};

pub(crate) const USAGE: &str = "\
Runs the tests of the crates that share memory, built by the nightly compiler with the sanitizer in everything, the standard library
included. It sees what the tests touch, not what they could touch.

    -p PACKAGE   only this package; may be given several times
    FILTER...    only tests whose name contains one of these";

pub(crate) fn run(arguments: lexopt::Parser) -> Result<Outcome> {
    let sanitizer =
        Sanitizer { name: "address", options: ("ASAN_OPTIONS", "detect_leaks=1 detect_stack_use_after_return=1") };
    sanitizer::run(&sanitizer, arguments)
}
