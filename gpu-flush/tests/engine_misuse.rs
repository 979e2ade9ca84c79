//! What must not compile. Each file of `tests/misuse` says in its first line which error the compiler gives, or that it compiles;
//! it is checked against the library this test was linked with.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest build of the library beside this test program.
fn library(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libprewire_gpu_flush-") && name.ends_with(".rlib")
    };
    files.filter(named).max_by_key(|path| path.metadata().unwrap().modified().unwrap()).expect("the library was built")
}

/// Claims FLUSH-080.
#[test]
fn there_is_no_way_around_a_pool() {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let library = library(&folder);
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/misuse");
    let mut checked = 0;
    for case in std::fs::read_dir(cases).unwrap() {
        let case = case.unwrap().path();
        let text = std::fs::read_to_string(&case).unwrap();
        let output = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()))
            .args(["--edition", "2024", "--crate-type", "bin", "--emit", "metadata", "-o"])
            .arg(std::env::temp_dir().join(format!("prewire-misuse-{}", std::process::id())))
            .arg("--extern")
            .arg(format!("prewire_gpu_flush={}", library.display()))
            .arg("-L")
            .arg(format!("dependency={}", folder.display()))
            .arg(&case)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        match text.lines().next().unwrap().strip_prefix("// error: ") {
            Some(code) => {
                assert!(!output.status.success(), "{} compiles", case.display());
                assert!(errors.contains(&format!("error[{code}]")), "{}: not {code}: {errors}", case.display());
            }
            None => assert!(output.status.success(), "{}: {errors}", case.display()),
        }
        checked += 1;
    }
    assert_eq!(checked, 9);
}
