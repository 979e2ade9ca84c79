//! Builds a test program with one weakening in it, at the price of the workspace's own crates only.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::table::{Kind, Mutation};
use crate::loom;
use crate::process;
use crate::workspace::{Workspace, cargo};

/// Where the builds go.
pub(super) struct Builder {
    target: PathBuf,
}

/// What came of a build.
pub(super) enum Built {
    /// The test program.
    Executable(PathBuf),
    /// The first error of the compiler.
    Failed(String),
}

impl Builder {
    pub(super) fn new(workspace: &Workspace) -> Result<Self> {
        let target = workspace.target().join("mutations");
        fs::create_dir_all(target.join("compilers")).with_context(|| format!("cannot make {}", target.display()))?;
        Ok(Self { target })
    }

    /// Builds the test program of this mutation; without a weakening it is the right source that is built.
    pub(super) fn build(&self, mutation: &Mutation, weakening: Option<&str>) -> Result<Built> {
        let mut command = cargo();
        command.args(["test", "--no-run", "--quiet", "--message-format=json", "-p", &mutation.package]);
        match &mutation.target {
            Some(target) => command.args(["--test", target]),
            None => command.arg("--lib"),
        };
        command.env("CARGO_TARGET_DIR", &self.target).env("RUSTC_WORKSPACE_WRAPPER", self.compiler(weakening)?);
        command.env_remove("RUSTFLAGS");
        // The time goes into building our crates once for each mutation, not into running one test: so ours are not optimised, and those of
        // others, which are built once, are.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
        command.args(["--config", "profile.dev.package.\"*\".opt-level=1"]);
        if mutation.kind == Kind::Loom {
            command.env("RUSTFLAGS", loom::RUSTFLAGS);
        }
        let output = command.output().with_context(|| format!("cannot start `{}`", process::line(&command)))?;
        let messages = Messages::parse(&String::from_utf8_lossy(&output.stdout));
        Ok(match (output.status.success(), messages) {
            (true, Messages { executable: Some(executable), .. }) => Built::Executable(executable),
            (_, Messages { error: Some(error), .. }) => Built::Failed(error),
            _ => Built::Failed(
                String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("no test program").to_owned(),
            ),
        })
    }

    /// A compiler that adds the weakening to what it is told. Cargo keeps what each such compiler makes of the workspace's crates apart,
    /// by its path, and builds the crates of others once for all.
    fn compiler(&self, weakening: Option<&str>) -> Result<PathBuf> {
        let (name, flags) = match weakening {
            Some(name) => (name, format!(" --cfg 'prewire_mutation=\"{name}\"'")),
            None => ("none", String::new()),
        };
        let path = self.target.join("compilers").join(name);
        // Not sh, which may be one that drops the variables whose names are none of its own: cargo names the path of a program `a-b` in one with a hyphen.
        let script = format!("#!/usr/bin/env bash\nexec \"$@\"{flags}\n");
        if fs::read_to_string(&path).is_ok_and(|present| present == script) {
            return Ok(path);
        }
        fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }
}

/// What we want to know of cargo's messages.
#[derive(Debug, Default, PartialEq, Eq)]
struct Messages {
    executable: Option<PathBuf>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    #[serde(default)]
    profile: Profile,
    message: Option<Diagnostic>,
}

#[derive(Default, Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    message: String,
}

impl Messages {
    fn parse(text: &str) -> Self {
        let mut messages = Self::default();
        for message in text.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok()) {
            match message.reason.as_str() {
                "compiler-artifact" if message.profile.test => {
                    messages.executable = message.executable.or(messages.executable)
                }
                "compiler-message" => {
                    let error = message
                        .message
                        .filter(|diagnostic| diagnostic.level == "error")
                        .map(|diagnostic| diagnostic.message);
                    messages.error = messages.error.or(error);
                }
                _ => {}
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_program_is_told_from_other_artifacts() {
        let text = r#"{"reason":"compiler-artifact","profile":{"test":false},"executable":"/t/program"}
{"reason":"compiler-artifact","profile":{"test":true},"executable":"/t/deps/core-1"}
{"reason":"compiler-artifact","profile":{"test":false},"executable":null}
{"reason":"build-finished","success":true}"#;
        assert_eq!(Messages::parse(text), Messages { executable: Some("/t/deps/core-1".into()), error: None });
    }

    #[test]
    fn the_first_error_is_kept_and_warnings_are_not_errors() {
        let text = r#"{"reason":"compiler-message","message":{"level":"warning","message":"unused"}}
{"reason":"compiler-message","message":{"level":"error","message":"mismatched types"}}
{"reason":"compiler-message","message":{"level":"error","message":"aborting"}}"#;
        assert_eq!(Messages::parse(text), Messages { executable: None, error: Some("mismatched types".into()) });
    }
}
