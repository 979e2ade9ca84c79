//! What the sanitizers have in common: a nightly compiler that builds the standard library with the instrumentation in it.

use std::process::Command;

use anyhow::Result;
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::workspace::{Workspace, nightly_cargo};

/// The packages whose tests run when none is named: those that share memory between threads.
const PACKAGES: [&str; 4] =
    ["prewire-runtime-core", "prewire-orchestrator", "prewire-scheduler", "prewire-platform-sim"];

/// One sanitizer and the environment it needs.
pub(crate) struct Sanitizer {
    /// The compiler's name for it, and the name of the folder in `target/`.
    pub(crate) name: &'static str,
    /// The variable with its options at run time, and their values.
    pub(crate) options: (&'static str, &'static str),
}

/// Runs tests under the sanitizer: `-p PACKAGE` (any number of times) and filters.
pub(crate) fn run(sanitizer: &Sanitizer, mut arguments: lexopt::Parser) -> Result<Outcome> {
    let mut packages = Vec::new();
    let mut filters = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('p') | Long("package") => packages.push(arguments.value()?.string()?),
            Value(value) => filters.push(value.string()?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if packages.is_empty() {
        packages.extend(PACKAGES.map(str::to_owned));
    }
    if let Err(reason) = need_nightly(&["rust-src"]) {
        return Ok(Outcome::DidNotRun(reason));
    }
    let Some(host) = host() else {
        return Ok(Outcome::DidNotRun("`rustc +nightly -vV` names no host".to_owned()));
    };
    let workspace = Workspace::load()?;
    let mut command = nightly_cargo();
    command.args(["test", "-Zbuild-std", "--target", &host, "--tests", "--no-fail-fast"]);
    for package in &packages {
        command.args(["-p", package]);
    }
    command.arg("--").args(filters);
    command.env("RUSTFLAGS", format!("-Zsanitizer={}", sanitizer.name));
    command.env("CARGO_TARGET_DIR", workspace.target().join(sanitizer.name));
    command.env(sanitizer.options.0, sanitizer.options.1);
    process::succeeds(&mut command).map(Outcome::from_success)
}

/// Makes sure that the nightly toolchain and these components of it are there; the error says why a rung cannot run.
pub(crate) fn need_nightly(components: &[&str]) -> Result<(), String> {
    let rustup = || {
        let mut command = Command::new("rustup");
        command.env_remove("RUSTUP_TOOLCHAIN");
        command
    };
    let present = |component: &str| {
        let listing = process::output(rustup().args(["component", "list", "--toolchain", "nightly", "--installed"]));
        listing.is_ok_and(|listing| listing.lines().any(|line| line.starts_with(component)))
    };
    let missing: Vec<_> = components.iter().filter(|component| !present(component)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut install = rustup();
    if present("rustc") {
        // The toolchain stays as it is.
        install.args(["component", "add", "--toolchain", "nightly"]).args(components);
    } else {
        install.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
        for component in components {
            install.args(["--component", component]);
        }
    }
    match process::succeeds(&mut install) {
        Ok(true) => Ok(()),
        _ => Err(format!("the nightly toolchain lacks {missing:?}, and rustup cannot add it here")),
    }
}

fn host() -> Option<String> {
    let version =
        process::output(Command::new("rustc").env_remove("RUSTUP_TOOLCHAIN").args(["+nightly", "-vV"])).ok()?;
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}
