//! `cargo xtask miri`: undefined behaviour, found by interpreting the tests.

use std::env;
use std::ffi::OsString;

use anyhow::Result;
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::sanitizer;
use crate::workspace::nightly_cargo;

pub(crate) const USAGE: &str = "\
Interprets tests under miri (nightly) with symbolic alignment: all of prewire-runtime-core, and of the orchestrator, the scheduler and
platform-host what ends within minutes. Provenance is strict where no address is made into a pointer. Adds the component where it is missing.

    -p PACKAGE   only this package, and all its unit tests
    FILTER...    with -p: only tests whose name contains one of these

MIRIFLAGS is respected; -Zmiri-many-seeds explores more than one schedule.";

/// Tests that are interpreted together.
struct Part {
    package: &'static str,
    /// Which targets, and which of their tests.
    arguments: &'static [&'static str],
    /// Whether addresses become pointers: device memory is known by its addresses.
    addresses: bool,
}

const PARTS: [Part; 5] = [
    Part { package: "prewire-runtime-core", arguments: &["--lib", "--tests", "--"], addresses: false },
    // What its unit tests look at, rings and index, is safe Rust; its dealings with slots and edges are in these.
    Part {
        package: "prewire-orchestrator",
        arguments: &[
            "--test",
            "behaviour",
            "--",
            "a_task_whose_producers_are_done_is_ready_at_once",
            "the_completion_walk_survives_its_consumers",
            "a_wait_only_dependency_keeps_nothing",
        ],
        addresses: true,
    },
    Part { package: "prewire-scheduler", arguments: &["--lib", "--"], addresses: false },
    // The rest of it is processes and mappings.
    Part { package: "prewire-platform-host", arguments: &["--lib", "--", "wire::"], addresses: false },
    Part {
        package: "prewire-scheduler",
        arguments: &[
            "--test",
            "engine",
            "--",
            "a_diamond_waits_for_both_sides",
            "holds_are_dropped_in_time",
            "a_dummy_orders_and_runs_nothing",
            "a_false_predicate_retires_a_task_as_a_whole",
            "one_failing_block_fails_its_task_once",
            "the_earliest_cause_is_the_one_that_counts",
            "a_task_with_a_failed_and_an_unfinished_producer_stays_alive",
        ],
        addresses: false,
    },
];

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let mut package = None;
    let mut filters: Vec<OsString> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('p') | Long("package") => package = Some(arguments.value()?),
            Value(value) => filters.push(value),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if let Err(reason) = sanitizer::need_nightly(&["miri", "rust-src"]) {
        return Ok(Outcome::DidNotRun(reason));
    }
    if let Some(package) = package {
        let mut command = interpret(false);
        command.arg("-p").arg(package).args(["--lib", "--"]).args(filters);
        return process::succeeds(&mut command).map(Outcome::from_success);
    }
    if !filters.is_empty() {
        anyhow::bail!("tests are chosen within a package: say -p PACKAGE");
    }
    let mut passed = true;
    for part in PARTS {
        let mut command = interpret(part.addresses);
        command.args(["-p", part.package]).args(part.arguments);
        passed &= process::succeeds(&mut command)?;
    }
    Ok(Outcome::from_success(passed))
}

fn interpret(addresses: bool) -> std::process::Command {
    let provenance = if addresses { "-Zmiri-permissive-provenance" } else { "-Zmiri-strict-provenance" };
    // Property tests look for a file with the cases that failed before.
    let flags = format!("{provenance} -Zmiri-symbolic-alignment-check -Zmiri-disable-isolation");
    let mut command = nightly_cargo();
    command.args(["miri", "test"]).env("MIRIFLAGS", env::var("MIRIFLAGS").unwrap_or(flags));
    command.env("PROPTEST_CASES", env::var("PROPTEST_CASES").unwrap_or_else(|_| "1".to_owned()));
    command
}
