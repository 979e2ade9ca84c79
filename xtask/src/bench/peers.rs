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

/// The peers that the Makefile builds by name, before those in Rust.
const NATIVE_PEERS: [&str; 5] = ["serial", "tbb", "libgomp", "libomp", "starpu"];
/// dagrs costs some hundred times more per task than the others; smaller graphs keep a round short.
const DAGRS: [&str; 10] = ["--peer", "dagrs", "--chain", "2000", "--indep", "2000", "--wave", "45", "--tree", "11"];
/// The benchmark of ours that speaks the peers' language.
const OURS: &str = "prewire-bench";
/// How long one program may take on one shape.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn run(workspace: &Workspace, plan: &Plan, passed_on: &[OsString]) -> Result<Outcome> {
    if !plan.folder.join("Makefile").is_file() {
        bail!("--peers {}: there is no Makefile in it", plan.folder.display());
    }
    let out = workspace.target().join("bench/peers");
    fs::create_dir_all(&out)?;
    let programs = programs(plan, &out, passed_on)?;
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
    say!("{}\nall samples: {}", samples.table(), csv.display());
    Ok(Outcome::from_success(passed))
}

/// Builds everything that can be built here and says what cannot.
fn programs(plan: &Plan, out: &Path, passed_on: &[OsString]) -> Result<Vec<Program>> {
    let mut make = Command::new("make");
    // What comes out does not depend on the toolchain of this workspace.
    make.args(["--keep-going", "-C"])
        .arg(&plan.folder)
        .arg(format!("OUT={}", out.display()))
        .env_remove("RUSTUP_TOOLCHAIN");
    if !process::succeeds(&mut make)? {
        eprintln!(
            "*** some peers cannot be built here, and are missing from the table; {} says what they need",
            plan.folder.join("README.md").display()
        );
    }
    let mut programs = vec![Program { path: ours()?, arguments: passed_on.to_vec() }];
    let present = NATIVE_PEERS.iter().map(|name| out.join(name)).filter(|path| path.is_file());
    programs.extend(present.map(|path| Program { path, arguments: Vec::new() }));
    let rust = out.join("rust-target/release/bench-peers");
    if rust.is_file() {
        programs.push(Program { path: rust.clone(), arguments: Vec::new() });
        programs.push(Program { path: rust, arguments: DAGRS.map(OsString::from).to_vec() });
    }
    Ok(programs)
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
