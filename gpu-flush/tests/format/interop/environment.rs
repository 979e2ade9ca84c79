//! A Python environment under the build folder, made once from pinned versions, and folders to exchange stores in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const READERS: &str = include_str!("readers.py");

/// A folder of its own for one test, emptied first.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Packages beyond the plain readers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Packages {
    Readers,
    Ome,
    #[cfg(feature = "s3")]
    S3,
}

impl Packages {
    /// The sets of requirements, in the order they are installed.
    fn sets(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Packages::Readers => &[READERS_SET],
            Packages::Ome => &[READERS_SET, ("ome", include_str!("requirements-ome.txt"))],
            #[cfg(feature = "s3")]
            Packages::S3 => &[("s3", include_str!("requirements-s3.txt"))],
        }
    }
}

const READERS_SET: (&str, &str) = ("readers", include_str!("requirements.txt"));

/// The interpreter of an environment that has `packages`. Tests run in processes of their own, so a file lock lets one of them install.
pub(crate) fn interpreter(packages: Packages) -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-python");
    fs::create_dir_all(&base).unwrap();
    let lock = File::create(base.join("lock")).unwrap();
    lock.lock().unwrap();
    let python = base.join("bin/python");
    for (name, requirements) in packages.sets() {
        let installed = base.join(format!("{name}.installed"));
        if fs::read_to_string(&installed).is_ok_and(|text| text == *requirements) {
            continue;
        }
        if !python.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&base));
        }
        let list = base.join(format!("{name}.txt"));
        fs::write(&list, requirements).unwrap();
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&list));
        fs::write(&installed, requirements).unwrap();
    }
    python
}

/// The readers' program, ready to run `command` on `folder`.
pub(super) fn readers(packages: Packages, command: &str, folder: &Path) -> Command {
    let mut readers = Command::new(interpreter(packages));
    readers.args(["-c", READERS, command]).arg(folder);
    readers
}

/// Runs a program that must succeed and returns what it printed.
pub(super) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    printed(command, &output)
}

pub(super) fn printed(command: &Command, output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?} ended with {}:\n{error}", command.get_program(), output.status);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
