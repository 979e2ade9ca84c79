//! `cargo xtask loom`: the models of the small concurrent types, in every interleaving.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::Result;
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::tree::{self, File};
use crate::workspace::{Workspace, cargo};

pub(crate) const USAGE: &str = "\
Runs the tests named `loom_…` under loom, in each crate that has some, with optimisation and debug assertions.

    -p PACKAGE         only this package
    --preemptions N    how many preemptions a model explores   [default: 2, or LOOM_MAX_PREEMPTIONS]
    FILTER             only models whose name contains this

With LOOM_CHECKPOINT_FILE, LOOM_LOG and the rest of loom's own variables a single failing model can be followed.";

/// What a model is called, so that one filter finds them all.
pub(crate) const MODEL_PREFIX: &str = "loom_";

/// The core first: what stands on it is of little interest while it is wrong.
const FIRST: &str = "prewire-runtime-core";

/// The compiler flags of a model build. Optimised, because models are many runs; with assertions, because they are what a model checks.
pub(crate) const RUSTFLAGS: &str = "--cfg loom -C debug-assertions";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let mut package = None;
    let mut preemptions = env::var("LOOM_MAX_PREEMPTIONS").unwrap_or_else(|_| "2".to_owned());
    let mut filter = MODEL_PREFIX.to_owned();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('p') | Long("package") => package = Some(arguments.value()?.string()?),
            Long("preemptions") => preemptions = arguments.value()?.parse::<u8>()?.to_string(),
            Value(value) => filter = value.string()?,
            _ => return Err(argument.unexpected().into()),
        }
    }
    let workspace = Workspace::load()?;
    let packages = match package {
        Some(package) => vec![package],
        None => packages_with_models(&workspace, &tree::files(workspace.root())?),
    };
    if packages.is_empty() {
        return Ok(Outcome::DidNotRun(format!("no crate has a test named {MODEL_PREFIX}…")));
    }
    let mut passed = true;
    for package in &packages {
        passed &= run_models(&workspace, package, &filter, &preemptions)?;
    }
    Ok(Outcome::from_success(passed))
}

fn run_models(workspace: &Workspace, package: &str, filter: &str, preemptions: &str) -> Result<bool> {
    let target = workspace.target().join("loom");
    fs::create_dir_all(&target)?;
    let mut command = cargo();
    command.args(["test", "--release", "--lib", "-p", package, filter]);
    command.env("RUSTFLAGS", RUSTFLAGS).env("CARGO_TARGET_DIR", &target);
    command.env("LOOM_MAX_PREEMPTIONS", preemptions);
    process::succeeds(&mut command)
}

/// The packages whose `src` defines a model.
fn packages_with_models(workspace: &Workspace, files: &[File]) -> Vec<String> {
    let has_model = |folder: &Path| {
        let definition = format!("fn {MODEL_PREFIX}");
        let source = folder.join("src");
        files
            .iter()
            .any(|file| workspace.root().join(&file.path).starts_with(&source) && file.text.contains(&definition))
    };
    let mut packages: Vec<_> = workspace
        .packages()
        .iter()
        .filter(|package| package.name != "prewire-xtask" && has_model(package.folder()))
        .collect();
    packages.sort_by_key(|package| (package.name != FIRST, package.name.clone()));
    packages.into_iter().map(|package| package.name.clone()).collect()
}
