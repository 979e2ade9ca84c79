//! Building and running a program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A program.
pub(crate) struct Program {
    name: &'static str,
    source: PathBuf,
    compiler: &'static str,
    standard: &'static str,
    extra: Vec<String>,
    kernels: bool,
}

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// What the header says.
pub(crate) fn header() -> String {
    std::fs::read_to_string(Path::new(CRATE).join("include/prewire.h")).unwrap()
}

/// The shared library as it was built with the tests.
pub(crate) fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().unwrap().join("libprewire_ffi.so");
    assert!(built.is_file(), "{} is built with the tests", built.display());
    built
}

/// A folder in which the library has the name that programs look for.
fn library_folder(of: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("c-{of}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["libprewire.so", "libprewire.so.1"] {
        let place = folder.join(name);
        let _there_was_none = std::fs::remove_file(&place);
        std::os::unix::fs::symlink(library(), place).unwrap();
    }
    folder
}

impl Program {
    /// A program in `tests/c`.
    pub(crate) fn c(name: &'static str) -> Self {
        let source = Path::new(CRATE).join(format!("tests/c/{name}.c"));
        Program { name, source, compiler: "cc", standard: "c11", extra: Vec::new(), kernels: false }
    }

    /// A program in `tests/cpp`.
    pub(crate) fn cpp(name: &'static str) -> Self {
        let source = Path::new(CRATE).join(format!("tests/cpp/{name}.cpp"));
        Program { name, source, compiler: "c++", standard: "c++17", extra: Vec::new(), kernels: false }
    }

    /// A program in C++ that is in no file.
    pub(crate) fn text(name: &'static str, text: &str) -> Self {
        let source = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.cpp", std::process::id()));
        std::fs::write(&source, text).unwrap();
        Program { name, source, ..Program::cpp(name) }
    }

    /// The same with a library of kernels as the second argument.
    pub(crate) fn kernels(mut self) -> Self {
        self.kernels = true;
        self
    }

    /// The same with another flag for the compiler.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.extra.push(flag.to_owned());
        self
    }

    /// Builds the program and runs it with a folder that does not exist as its argument, with the sanitizers and under valgrind.
    pub(crate) fn run(self) {
        let folder = library_folder(&format!("{}{}", self.name, self.extra.concat()));
        let mut arguments = Vec::new();
        if self.kernels {
            let library = folder.join("libkernels.so");
            let mut compile = self.compile(&folder, &Path::new(CRATE).join("tests/c/kernel_library.c"));
            self.expect(compile.args(["-shared", "-fPIC", "-lprewire", "-o"]).arg(&library), "by the compiler");
            arguments.push(library);
        }
        let sanitized =
            self.build(&folder, "sanitized", &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
        self.expect(Command::new(&sanitized).arg(folder.join("store-1")).args(&arguments), "with the sanitizers");
        let plain = self.build(&folder, "plain", &[]);
        if Command::new("valgrind").arg("--version").output().is_ok() {
            let mut checked = Command::new("valgrind");
            // The stacks that libc keeps for the next thread are possibly lost to valgrind, and are not.
            checked.args([
                "--quiet",
                "--error-exitcode=9",
                "--leak-check=full",
                "--show-leak-kinds=definite,indirect",
                "--errors-for-leak-kinds=definite,indirect",
                "--fair-sched=yes",
            ]);
            self.expect(checked.arg(&plain).arg(folder.join("store-2")).args(&arguments), "under valgrind");
        } else {
            eprintln!("*** there is no valgrind here; {} ran without it", self.name);
            self.expect(Command::new(&plain).arg(folder.join("store-2")).args(&arguments), "as it is");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    fn build(&self, folder: &Path, suffix: &str, flags: &[&str]) -> PathBuf {
        let program = folder.join(format!("{}-{suffix}", self.name));
        let mut compile = self.compile(folder, &self.source);
        compile.args(flags).args(&self.extra).args(["-lprewire", "-o"]).arg(&program);
        self.expect(&mut compile, "by the compiler");
        program
    }

    /// The compiler with what every program needs.
    fn compile(&self, folder: &Path, source: &Path) -> Command {
        let mut compile = Command::new(self.compiler);
        compile
            .arg(format!("-std={}", self.standard))
            .args(["-O1", "-g", "-pthread", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
            .arg("-I")
            .arg(Path::new(CRATE).join("include"))
            .arg(source)
            .arg("-L")
            .arg(folder)
            .arg(format!("-Wl,-rpath,{}", folder.display()));
        compile
    }

    fn expect(&self, command: &mut Command, how: &str) {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(status.success(), "{} {how}: {status}\n{}{}", self.name, text(&stdout), text(&stderr));
    }
}
