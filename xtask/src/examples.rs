//! Rungs that are programs of their own: examples of the package `prewire`, run with optimisation.

use anyhow::{Result, bail};

use crate::outcome::Outcome;
use crate::process;
use crate::workspace::{Workspace, cargo};

/// The package whose examples these are.
const PACKAGE: &str = "prewire";

/// Runs the example of this name with all remaining arguments.
pub(crate) fn run(name: &str, mut arguments: lexopt::Parser) -> Result<Outcome> {
    let workspace = Workspace::load()?;
    let exists = workspace.package(PACKAGE).is_some_and(|package| package.has_target("example", name));
    if !exists {
        bail!(
            "the package {PACKAGE} has no example `{name}` yet, so there is nothing to run; it would be {PACKAGE}/examples/{name}.rs"
        );
    }
    let passed_on: Vec<_> = arguments.raw_args()?.filter(|argument| argument != "--").collect();
    let mut command = cargo();
    command.args(["run", "--release", "-p", PACKAGE, "--example", name, "--"]).args(passed_on);
    process::succeeds(&mut command).map(Outcome::from_success)
}
