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
