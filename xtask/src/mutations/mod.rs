//! `cargo xtask mutations`: the other rungs can fail. Each named weakening is built, and its test must turn red.

mod build;
pub(crate) mod table;
mod verdict;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use self::build::{Builder, Built};
use self::table::{Kind, Mutation, PATH, Table};
use self::verdict::Verdict;
use crate::outcome::Outcome;
use crate::process;
use crate::workspace::{self, Workspace};

pub(crate) const USAGE: &str = "\
For each entry of xtask/mutations.toml: builds the package with the weakening in it and demands that the named test fails, and that it
fails by itself: a build error, a test that does not exist, or a run out of time is not a kill (unless the table says that the weakening
hangs). Each test is first seen to pass without a weakening.

    NAME...      only mutations whose name contains one of these
    --list       only list them
    --kind KIND  only `native` or only `loom` ones";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let (mut names, mut list, mut kind) = (Vec::new(), false, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("list") => list = true,
            Long("kind") => {
                kind = Some(match arguments.value()?.string()?.as_str() {
                    "native" => Kind::Native,
                    "loom" => Kind::Loom,
                    other => bail!("--kind is `native` or `loom`, not `{other}`"),
                });
            }
            Value(value) => names.push(value.string()?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    let path = workspace::root().join(PATH);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut mutations = Table::parse(&text)?.mutations;
    mutations.retain(|mutation| {
        let named = names.is_empty() || names.iter().any(|name| mutation.name.contains(name));
        named && kind.is_none_or(|kind| mutation.kind == kind)
    });
    if list {
        for mutation in &mutations {
            say!("{:44} {:28} {}", mutation.name, mutation.test, mutation.weakens);
        }
        return Ok(Outcome::Passed);
    }
    if mutations.is_empty() {
        return Ok(Outcome::DidNotRun(format!("{PATH} has no such mutation")));
    }
    // One kind after the other, so that the two sets of compiler flags do not alternate.
    mutations.sort_by_key(|mutation| mutation.kind);
    try_all(&mutations)
}

fn try_all(mutations: &[Mutation]) -> Result<Outcome> {
    let workspace = Workspace::load()?;
    let builder = Builder::new(&workspace)?;
    let mut baselines = BTreeMap::new();
    let mut killed = 0;
    for mutation in mutations {
        let begun = Instant::now();
        // What the test says of the right source; the same test may serve several mutations.
        let key = (mutation.package.clone(), mutation.target.clone(), mutation.test.clone(), mutation.kind);
        if !baselines.contains_key(&key) {
            let verdict = run_test(&workspace, &builder, mutation, None)?;
            baselines.insert(key.clone(), verdict);
        }
        let verdict = match &baselines[&key] {
            Verdict::Survived => run_test(&workspace, &builder, mutation, Some(&mutation.name))?,
            other => {
                Verdict::Unusable(format!("{} without any weakening: {}", mutation.test, other.of_the_right_source()))
            }
        };
        killed += usize::from(verdict.is_kill());
        say!("{:44} {:8.1} s  {verdict}", mutation.name, begun.elapsed().as_secs_f64());
    }
    say!("{killed} of {} mutations killed", mutations.len());
    Ok(Outcome::from_success(killed == mutations.len()))
}

/// Builds the test of a mutation, with the weakening or without, and runs it.
fn run_test(workspace: &Workspace, builder: &Builder, mutation: &Mutation, weakening: Option<&str>) -> Result<Verdict> {
    let executable = match builder.build(mutation, weakening)? {
        Built::Executable(executable) => executable,
        Built::Failed(why) => return Ok(Verdict::Unusable(format!("it does not build: {why}"))),
    };
    let Some(package) = workspace.package(&mutation.package) else { bail!("there is no package {}", mutation.package) };
    let mut command = Command::new(executable);
    command.arg(&mutation.test).current_dir(package.folder()).env("CARGO_MANIFEST_DIR", package.folder());
    command.env("RUST_BACKTRACE", "0");
    if mutation.kind == Kind::Loom {
        command.env("LOOM_MAX_PREEMPTIONS", std::env::var("LOOM_MAX_PREEMPTIONS").unwrap_or_else(|_| "2".to_owned()));
    }
    let (ended, printed) = process::run_for(&mut command, Duration::from_secs(mutation.limit_s))?;
    Ok(verdict::judge(&ended, &printed, mutation.hangs && weakening.is_some()))
}
