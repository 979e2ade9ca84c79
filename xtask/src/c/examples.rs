//! The examples, built as a user builds them from what was installed, and run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::tools::{Compiler, Tools};
use super::{Count, STRICT, fresh, quiet};
use crate::process;
use crate::workspace::root;

/// A graph small enough for valgrind.
const GRAPH: &str = "prewire/data/graphs/vector_example.default.jsonl.xz";

/// One example.
struct Example {
    source: PathBuf,
    name: String,
    cpp: bool,
}

/// Every source in the folder of examples.
fn examples() -> Result<Vec<Example>> {
    let mut found = Vec::new();
    for (folder, extension) in [("c", "c"), ("cpp", "cpp")] {
        let folder = root().join("ffi/examples").join(folder);
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let source = entry?.path();
            if source.extension().is_some_and(|found| found == extension) {
                let stem = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let cpp = extension == "cpp";
                found.push(Example { name: if cpp { format!("{stem}_cpp") } else { stem }, source, cpp });
            }
        }
    }
    if found.len() < 8 {
        bail!("only {} examples were found in ffi/examples", found.len());
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

pub(super) fn run(tools: &Tools, folder: &Path, prefix: &Path, count: &mut Count) -> Result<bool> {
    let examples = examples()?;
    let graph = folder.join("graph.jsonl");
    if tools.xz {
        let unpacked = Command::new("xz").arg("-dc").arg(root().join(GRAPH)).output().context("cannot run xz")?;
        fs::write(&graph, unpacked.stdout).with_context(|| format!("cannot write {}", graph.display()))?;
    }
    let mut passed = true;
    if let (true, Some(first)) = (tools.cmake, tools.compilers.first()) {
        passed &= through_cmake(*first, tools, &examples, folder, prefix, count)?;
    }
    if let (true, Some(last)) = (tools.pkg_config, tools.compilers.last()) {
        passed &= through_pkg_config(*last, tools, &examples, folder, prefix, count)?;
    }
    Ok(passed)
}

/// Builds all with CMake and the sanitizers, and runs them.
fn through_cmake(
    compiler: Compiler,
    tools: &Tools,
    examples: &[Example],
    folder: &Path,
    prefix: &Path,
    count: &mut Count,
) -> Result<bool> {
    let build = folder.join("cmake");
    fresh(&build)?;
    let sanitizers = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all";
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(root().join("ffi/examples")).arg("-B").arg(&build);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    configure.arg(format!("-DCMAKE_C_COMPILER={}", compiler.c)).arg(format!("-DCMAKE_CXX_COMPILER={}", compiler.cpp));
    configure.arg(format!("-DCMAKE_C_FLAGS={sanitizers}")).arg(format!("-DCMAKE_CXX_FLAGS={sanitizers}"));
    if !quiet(&mut configure)? || !quiet(Command::new("cmake").arg("--build").arg(&build).args(["--parallel", "2"]))? {
        return Ok(false);
    }
    let mut passed = true;
    for example in examples {
        count.compilations += 1;
        passed &= run_one(example, Command::new(build.join(&example.name)), tools, folder, "cmake", count)?;
    }
    // The library inside the program.
    count.compilations += 1;
    count.runs += 1;
    passed &= quiet(&mut Command::new(build.join("vector_add_static")))?;
    Ok(passed)
}

/// Builds each by what pkg-config says, and runs it under valgrind, where there is one.
fn through_pkg_config(
    compiler: Compiler,
    tools: &Tools,
    examples: &[Example],
    folder: &Path,
    prefix: &Path,
    count: &mut Count,
) -> Result<bool> {
    let build = folder.join("pkg-config");
    fresh(&build)?;
    let flags = process::output(
        Command::new("pkg-config")
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
            .args(["--cflags", "--libs", "prewire"]),
    )?;
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let mut passed = true;
    for example in examples {
        let program = build.join(&example.name);
        let mut compile = Command::new(if example.cpp { compiler.cpp } else { compiler.c });
        compile.arg(if example.cpp { "-std=c++17" } else { "-std=c11" }).args(["-O1", "-g"]).args(STRICT);
        compile.arg(&example.source).args(&flags).arg("-o").arg(&program);
        count.compilations += 1;
        if !quiet(&mut compile)? {
            passed = false;
            continue;
        }
        let mut command = Command::new(if tools.valgrind { Path::new("valgrind") } else { &program });
        if tools.valgrind {
            // The stacks that libc keeps for the next thread are possibly lost to valgrind, and are not.
            command.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--fair-sched=yes"]);
            command.args(["--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect"]);
            command.arg(&program);
        }
        // A program elsewhere than the library says where that is.
        command.env("LD_LIBRARY_PATH", prefix.join("lib"));
        passed &= run_one(example, command, tools, folder, "valgrind", count)?;
    }
    Ok(passed)
}

/// Runs an example with what it takes.
fn run_one(
    example: &Example,
    mut command: Command,
    tools: &Tools,
    folder: &Path,
    how: &str,
    count: &mut Count,
) -> Result<bool> {
    if example.name.starts_with("flush_to_zarr") {
        command.arg(folder.join(format!("{how}-{}.zarr", example.name)));
    }
    if example.name == "recorded_graph" {
        if !tools.xz {
            return Ok(true);
        }
        command.arg(folder.join("graph.jsonl")).arg(folder.join(format!("{how}-trace.json")));
    }
    count.runs += 1;
    quiet(&mut command)
}
