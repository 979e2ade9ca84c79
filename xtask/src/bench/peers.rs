//! Ours and the peers in one run: in each round every program runs once on each shape before any runs again, so that a busy spell of the
//! machine touches all of them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::samples::{SHAPES, Samples};
use super::{PACKAGE, Plan};
use crate::outcome::Outcome;
use crate::process::{self, Ended};
use crate::workspace::{Workspace, cargo};

/// A program and what it is always given.
struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// The peers that the Makefile builds by name, before those in Rust, and what Debian calls the packages that they need beside g++ and make.
const NATIVE_PEERS: [(&str, &str); 5] = [
    ("serial", ""),
    ("tbb", "libtbb-dev"),
    ("libgomp", ""),
    ("libomp", "clang-19 libomp-19-dev"),
    ("starpu", "libstarpu-dev pkg-config"),
];
/// dagrs costs some hundred times more per task than the others; smaller graphs keep a round short.
const DAGRS: [&str; 10] = ["--peer", "dagrs", "--chain", "2000", "--indep", "2000", "--wave", "45", "--tree", "11"];
/// The benchmark of ours that speaks the peers' language.
const OURS: &str = "prewire-bench";
/// How long the build of one peer may take, those in Rust with everything that they need from crates.io.
const BUILD_LIMIT: Duration = Duration::from_secs(900);
/// How long one program may take on one shape.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn run(workspace: &Workspace, plan: &Plan, passed_on: &[OsString]) -> Result<Outcome> {
    if !plan.folder.join("Makefile").is_file() {
        bail!("--peers {}: there is no Makefile in it", plan.folder.display());
    }
    let out = workspace.target().join("bench/peers");
    fs::create_dir_all(&out)?;
    let (programs, skipped) = programs(plan, &out, passed_on)?;
    let mut samples = Samples::default();
    let mut lines = String::new();
    let mut passed = true;
    for round in 0..plan.rounds {
        for shape in SHAPES {
            for program in &programs {
                match sample(program, shape, plan)? {
                    Ok(printed) => {
                        for line in printed.lines().filter(|line| samples.add(line)) {
                            lines.push_str(line);
                            lines.push('\n');
                        }
                    }
                    Err(reason) => {
                        say!("{} on {shape}: {reason}", program.path.display());
                        passed = false;
                    }
                }
            }
        }
        eprintln!("round {} of {}", round + 1, plan.rounds);
    }
    if samples.is_empty() {
        bail!("no program printed a sample");
    }
    let csv = workspace.target().join("bench/peers.csv");
    fs::write(&csv, lines).with_context(|| format!("cannot write {}", csv.display()))?;
    let json = workspace.target().join("bench/peers.json");
    fs::write(&json, samples.json(plan, &skipped)).with_context(|| format!("cannot write {}", json.display()))?;
    say!("{}", samples.table());
    for peer in &skipped {
        say!("*** {peer}");
    }
    say!("all samples: {} and {}", json.display(), csv.display());
    Ok(Outcome::from_success(passed))
}

/// Builds everything that can be built here. The second value says of each peer that cannot what it lacks.
fn programs(plan: &Plan, out: &Path, passed_on: &[OsString]) -> Result<(Vec<Program>, Vec<String>)> {
    let mut programs = vec![Program { path: ours()?, arguments: passed_on.to_vec() }];
    let mut skipped = Vec::new();
    for (name, packages) in NATIVE_PEERS {
        let path = out.join(name);
        match make(plan, out, &path.display().to_string())? {
            Ok(()) => programs.push(Program { path, arguments: Vec::new() }),
            Err(reason) => skipped.push(skipped_line(name, &reason, packages)),
        }
    }
    match make(plan, out, "rust")? {
        Ok(()) => {
            let path = out.join("rust-target/release/bench-peers");
            programs.push(Program { path: path.clone(), arguments: Vec::new() });
            programs.push(Program { path, arguments: DAGRS.map(OsString::from).to_vec() });
        }
        Err(reason) => skipped.push(skipped_line("rayon, tokio and dagrs", &reason, "")),
    }
    for peer in &skipped {
        eprintln!("*** {peer}");
    }
    Ok((programs, skipped))
}

/// Makes one target of the peers' Makefile; the inner error is the line of the output that says most about why it cannot be made.
fn make(plan: &Plan, out: &Path, target: &str) -> Result<Result<(), String>> {
    let mut command = Command::new("make");
    // What comes out does not depend on the toolchain of this workspace.
    command
        .arg("-C")
        .arg(&plan.folder)
        .arg(format!("OUT={}", out.display()))
        .arg(target)
        .env_remove("RUSTUP_TOOLCHAIN");
    eprintln!("$ {}", process::line(&command));
    let (ended, printed) = process::run_for(&mut command, BUILD_LIMIT)?;
    Ok(match ended {
        Ended::Status(status) if status.success() => Ok(()),
        Ended::Status(_) => Err(reason(&printed)),
        Ended::TimedOut => Err(format!("not built after {} s", BUILD_LIMIT.as_secs())),
    })
}

/// The first line of a build's output that speaks of an error, or else the last line.
fn reason(printed: &str) -> String {
    let says_why =
        |line: &&str| ["error", "not found", "No such file", "No package"].iter().any(|word| line.contains(word));
    let line = printed.lines().find(says_why).or(printed.lines().last());
    line.unwrap_or("make printed nothing").trim().to_owned()
}

fn skipped_line(name: &str, reason: &str, packages: &str) -> String {
    let remedy = match packages {
        "" => String::new(),
        packages => format!("; on Debian it needs: apt-get install {packages}"),
    };
    format!("{name} cannot be built here and is missing from the table: {reason}{remedy}")
}

/// Builds our benchmark and returns where it is.
fn ours() -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let mut command = cargo();
    command.args(["bench", "-p", PACKAGE, "--bench", OURS, "--no-run", "--message-format=json"]);
    let messages = process::output(&mut command)?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .find(|message| message.target.as_ref().is_some_and(|target| target.name == OURS))
        .and_then(|message| message.executable)
        .with_context(|| format!("cargo built no benchmark `{OURS}`"))
}

/// Runs a program once on a shape; the inner error says why there is no sample.
fn sample(program: &Program, shape: &str, plan: &Plan) -> Result<Result<String, String>> {
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).args(["--shape", shape]);
    command.args(["--reps", &plan.repetitions.to_string(), "--threads", &plan.threads.to_string()]);
    command.env("STARPU_SILENT", "1");
    let (ended, printed) = process::run_for(&mut command, LIMIT)?;
    Ok(match ended {
        Ended::Status(status) if status.success() => Ok(printed),
        Ended::Status(status) => Err(format!("{status}: {}", printed.lines().last().unwrap_or_default())),
        Ended::TimedOut => Err(format!("not done after {} s", LIMIT.as_secs())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_missing_is_named_with_its_reason_and_its_remedy() {
        let printed = "make: Entering directory 'x'\ng++ tbb.cpp\ntbb.cpp:7:10: fatal error: tbb/flow_graph.h: No such file\nmake: *** [tbb] Error 1\n";
        let line = skipped_line("tbb", &reason(printed), "libtbb-dev");
        assert_eq!(
            line,
            "tbb cannot be built here and is missing from the table: tbb.cpp:7:10: fatal error: tbb/flow_graph.h: No such file; \
             on Debian it needs: apt-get install libtbb-dev"
        );
        assert_eq!(
            reason(
                "make: Entering directory 'x'\nmake: clang++-19: No such file or directory\nmake: Leaving directory 'x'\n"
            ),
            "make: clang++-19: No such file or directory"
        );
    }
}
