//! `cargo xtask tidy`: the house rules that no lint knows, as code.

mod absence;
mod commands;
mod dependencies;
mod modules;
mod mutations;
mod safety;
mod settings;
mod text;

use std::fmt;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::outcome::Outcome;
use crate::tree::{self, File};
use crate::workspace;

pub(crate) const USAGE: &str = "\
Checks the house rules: every Rust file says what it is for, long files give a reason, nothing is left half done, shared crates name no
chip, crates depend on each other only as the map says, runtime-core takes its atomics from its own `sync` module, each `unsafe` is argued,
documents name only commands and settings that exist, and the table of mutations agrees with the sources. The exceptions stand in
xtask/tidy.toml.";

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Complaint {
    path: String,
    line: Option<usize>,
    text: String,
}

impl Complaint {
    fn at(file: &File, line: usize, text: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line: Some(line), text: text.into() }
    }

    fn about(path: &str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, text: text.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{}:{line}: {}", self.path, self.text),
            None => write!(formatter, "{}: {}", self.path, self.text),
        }
    }
}

/// What xtask/tidy.toml allows.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    #[serde(default)]
    long_file: Vec<LongFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LongFile {
    path: String,
    reason: String,
}

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    if let Some(argument) = arguments.next()? {
        return Err(argument.unexpected().into());
    }
    run_default()
}

fn run_default() -> Result<Outcome> {
    let files = tree::files(&workspace::root())?;
    let path = workspace::root().join("xtask/tidy.toml");
    let exceptions = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let exceptions = toml::from_str(&exceptions).with_context(|| format!("in {}", path.display()))?;
    let complaints = check(&files, &exceptions)?;
    for complaint in &complaints {
        say!("{complaint}");
    }
    say!("{} files, {} complaints", files.len(), complaints.len());
    Ok(Outcome::from_success(complaints.is_empty()))
}

fn check(files: &[File], exceptions: &Exceptions) -> Result<Vec<Complaint>> {
    let mut complaints = text::check(files);
    complaints.extend(modules::check(files, exceptions));
    complaints.extend(absence::check(files));
    complaints.extend(dependencies::check(files)?);
    complaints.extend(safety::check(files));
    complaints.extend(commands::check(files));
    complaints.extend(settings::check(files));
    complaints.extend(mutations::check(files)?);
    Ok(complaints)
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sources as they are, so that this rule holds for whoever runs only the tests.
    #[test]
    fn no_shared_crate_names_a_chip() {
        let files = tree::files(&workspace::root()).expect("the sources can be read");
        assert!(files.iter().any(|file| file.path == "scheduler/src/lib.rs"), "this is the repository");
        assert_eq!(absence::check(&files), []);
    }
}
