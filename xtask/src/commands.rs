//! The list of commands: what exists, and nothing else.

use anyhow::Result;

use crate::outcome::Outcome;
use crate::{
    asan, bench, c, chaos, ci, conformance, deny, fuzz, header, install, loom, miri, mutations, oracle, shuttle,
    simulate, test, tidy, tsan, verify,
};

/// One command of `cargo xtask`.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// One line for the list.
    pub(crate) summary: &'static str,
    /// What it does and takes.
    pub(crate) usage: &'static str,
    pub(crate) run: fn(lexopt::Parser) -> Result<Outcome>,
}

macro_rules! command {
    ($module:ident, $summary:literal) => {
        Command { name: stringify!($module), summary: $summary, usage: $module::USAGE, run: $module::run }
    };
}

/// Every command, those of every day first, then the rungs of the ladder from the cheapest to the dearest.
pub(crate) const COMMANDS: &[Command] = &[
    command!(ci, "everything that must hold for each change, in order of speed"),
    command!(verify, "every rung of the ladder at full length, and a table of what each counted"),
    command!(test, "unit, integration and documentation tests"),
    command!(conformance, "which rows of the conformance tables are claimed by passing tests"),
    command!(tidy, "the house rules that no lint knows"),
    command!(deny, "licences, sources and duplicates of what we depend on; advisories on request"),
    command!(c, "the library as C and C++ programs get it: headers, installation, examples"),
    command!(header, "the header of the C library, from its sources"),
    command!(install, "the library for C and C++, where their programs find it"),
    command!(bench, "the benchmarks, and our peers in the same rounds"),
    command!(loom, "models: every interleaving of the small concurrent types"),
    command!(mutations, "each named weakening must turn its test red"),
    command!(oracle, "random programs against a sequential interpreter"),
    command!(simulate, "the whole chip in virtual time, seed by seed"),
    command!(shuttle, "the whole engine under random schedules of its threads"),
    command!(chaos, "workers killed at random moments"),
    command!(miri, "undefined behaviour, by interpretation"),
    command!(tsan, "data races, by ThreadSanitizer"),
    command!(asan, "memory errors and leaks, by AddressSanitizer"),
    command!(fuzz, "decoders of outside bytes against random bytes"),
];
