//! `cargo xtask shuttle`: the whole engine under random schedules of its threads.

use std::fs;

use anyhow::Result;
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::workspace::{Workspace, cargo};

pub(crate) const USAGE: &str = "\
Runs random programs on the whole engine, whose threads take turns at every access to what they share, in an order that a seed decides.

    --schedules N   how many seeds   [default: 2000]
    --start S       the first one    [default: 0]

A failure names its seed; `--schedules 1 --start SEED` runs that schedule again.";

/// The compiler flags of such a build.
const RUSTFLAGS: &str = "--cfg prewire_shuttle -C debug-assertions";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let (mut schedules, mut start) = (2000_u64, 0_u64);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("schedules") => schedules = arguments.value()?.parse()?,
            Long("start") => start = arguments.value()?.parse()?,
            _ => return Err(argument.unexpected().into()),
        }
    }
    let target = Workspace::load()?.target().join("shuttle");
    fs::create_dir_all(&target)?;
    let mut command = cargo();
    command.args(["test", "--release", "-p", "prewire", "--test", "shuttle"]);
    command.env("RUSTFLAGS", RUSTFLAGS).env("CARGO_TARGET_DIR", &target);
    command.env("SHUTTLE_SCHEDULES", schedules.to_string()).env("SHUTTLE_START", start.to_string());
    let passed = process::succeeds(&mut command)?;
    if passed {
        say!("{schedules} schedules from seed {start}: all as the interpreter says");
    }
    Ok(Outcome::from_success(passed))
}
