//! A Python environment with the peers, made once below the build folder from pinned versions.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) fn interpreter() -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers-python");
    let (python, installed) = (base.join("bin/python"), base.join("peers.installed"));
    let requirements = include_str!("requirements.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == requirements) {
        return python;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&base));
    let list = base.join("peers.txt");
    std::fs::write(&list, requirements).expect("the build folder can be written");
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(&list));
    std::fs::write(&installed, requirements).expect("the build folder can be written");
    python
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?} ended with {status}");
}
