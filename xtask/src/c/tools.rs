//! Which tools of the C world there are.

use std::process::Command;

use crate::process;

/// A compiler for both languages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compiler {
    pub(super) c: &'static str,
    pub(super) cpp: &'static str,
}

/// What there is, and what is missing.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) compilers: Vec<Compiler>,
    pub(super) cmake: bool,
    pub(super) pkg_config: bool,
    pub(super) valgrind: bool,
    pub(super) xz: bool,
    /// The names of those that are not there.
    pub(super) missing: Vec<&'static str>,
}

const COMPILERS: [Compiler; 2] = [Compiler { c: "gcc", cpp: "g++" }, Compiler { c: "clang", cpp: "clang++" }];

impl Tools {
    /// Looks for all of them, and says what is missing.
    pub(super) fn look() -> Self {
        let mut missing = Vec::new();
        let mut has = |name: &'static str| {
            let there = process::is_available(Command::new(name).arg("--version"));
            if !there {
                missing.push(name);
            }
            there
        };
        let compilers = COMPILERS.into_iter().filter(|compiler| has(compiler.c) & has(compiler.cpp)).collect();
        let (cmake, pkg_config, valgrind, xz) = (has("cmake"), has("pkg-config"), has("valgrind"), has("xz"));
        for name in &missing {
            say!("*** there is no {name} here; what needs it does not run (.ci/run installs it)");
        }
        Tools { compilers, cmake, pkg_config, valgrind, xz, missing }
    }
}
