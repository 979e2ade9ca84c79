//! `cargo xtask c`: the library as C and C++ programs get it.

mod examples;
mod tools;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::outcome::Outcome;
use crate::workspace::{Workspace, root};
use crate::{header, install, process};
use tools::Tools;

pub(crate) const USAGE: &str = "\
Checks that ffi/include/prewire.h is what the sources say; compiles both headers by gcc and clang, as C11, C17 and C++17, with every warning an error;
installs the library below the target folder; builds every example through CMake with AddressSanitizer and UBSan, and through pkg-config, and
runs them, the latter under valgrind. What a missing tool keeps from running is said, and the rest runs.

The programs in ffi/tests, which misuse every function, run with `cargo xtask test`.";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    if let Some(argument) = arguments.next()? {
        return Err(argument.unexpected().into());
    }
    let tools = Tools::look();
    let mut count = Count::default();
    let mut passed = header::is_current(&header::generate()?)?;
    let folder = Workspace::load()?.target().join("c");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    passed &= headers(&tools, &mut count)?;
    let prefix = folder.join("prefix");
    install::install(&prefix, "dev")?;
    passed &= needs_only_the_system(&prefix.join("lib/libprewire.so"))?;
    passed &= examples::run(&tools, &folder, &prefix, &mut count)?;
    say!("{} compilations, {} runs of examples", count.compilations, count.runs);
    if passed && !tools.missing.is_empty() {
        return Ok(Outcome::DidNotRun(format!(
            "in part: there is no {}; the rest passed",
            tools.missing.join(", no ")
        )));
    }
    Ok(Outcome::from_success(passed))
}

/// What every system has that runs programs in C.
const SYSTEM: [&str; 7] = ["libc.so", "libm.so", "libgcc_s.so", "libdl.so", "libpthread.so", "librt.so", "ld-linux"];

/// Whether the installed library needs no other beyond the system's.
fn needs_only_the_system(library: &Path) -> Result<bool> {
    let told = Command::new("readelf").arg("--dynamic").arg(library).output().context("readelf cannot be run")?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let needed: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']')))
        .collect();
    let foreign = needed.iter().any(|name| !SYSTEM.iter().any(|known| name.starts_with(known)));
    if needed.is_empty() || foreign {
        say!("{} needs {needed:?}; only libraries of the system are expected", library.display());
        return Ok(false);
    }
    Ok(true)
}

/// What was done.
#[derive(Debug, Default)]
struct Count {
    compilations: usize,
    runs: usize,
}

/// Flags that let no warning pass.
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// Compiles each header by itself, as a program's first include. The header's own assertions hold its layout against the library's.
fn headers(tools: &Tools, count: &mut Count) -> Result<bool> {
    let include = root().join("ffi/include");
    let mut passed = true;
    for compiler in &tools.compilers {
        for (program, standard, language, header, extra) in [
            (compiler.c, "c11", "c", "prewire.h", None),
            (compiler.c, "c17", "c", "prewire.h", None),
            (compiler.cpp, "c++17", "c++", "prewire.h", None),
            (compiler.cpp, "c++17", "c++", "prewire.hpp", None),
            (compiler.cpp, "c++17", "c++", "prewire.hpp", Some("-fno-exceptions")),
        ] {
            let mut command = Command::new(program);
            command.arg(format!("-std={standard}")).args(STRICT).args(extra).args(["-fsyntax-only", "-x", language]);
            command.arg("-I").arg(&include).arg("-include").arg(header).arg("/dev/null");
            count.compilations += 1;
            passed &= quiet(&mut command)?;
        }
    }
    Ok(passed)
}

/// Runs a command, which is shown with what it printed only if it fails.
fn quiet(command: &mut Command) -> Result<bool> {
    let output = command.output().with_context(|| format!("cannot run {}", process::line(command)))?;
    if !output.status.success() {
        say!("$ {}", process::line(command));
        say!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        say!("{}", output.status);
    }
    Ok(output.status.success())
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot clear {}", folder.display()));
        }
        _ => {}
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
