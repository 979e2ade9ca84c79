//! Every Rust file says in its first lines what it is for, and a long one has a reason.

use super::{Complaint, Exceptions};
use crate::tree::File;

const LINES_MAX: usize = 400;

pub(super) fn check(files: &[File], exceptions: &Exceptions) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "rs") {
        // A program that must not compile begins with what its harness reads: the error that is expected, and then why.
        let misuse = file.path.contains("/tests/misuse/") && file.text.starts_with("//");
        if !misuse && !has_module_documentation(&file.text) {
            complaints
                .push(Complaint::about(&file.path, "it does not begin with a `//!` that says what the file is for"));
        }
        let lines = file.text.lines().count();
        let excused = exceptions.long_file.iter().any(|each| each.path == file.path);
        if lines > LINES_MAX && !excused {
            let text = format!("{lines} lines, more than {LINES_MAX}; split it, or give the reason in xtask/tidy.toml");
            complaints.push(Complaint::about(&file.path, text));
        }
    }
    for exception in &exceptions.long_file {
        if exception.reason.trim().is_empty() {
            complaints
                .push(Complaint::about("xtask/tidy.toml", format!("{} is excused without a reason", exception.path)));
        }
        let needed = |file: &File| file.path == exception.path && file.text.lines().count() > LINES_MAX;
        if !files.iter().any(needed) {
            let text = format!("{} no longer needs its exception", exception.path);
            complaints.push(Complaint::about("xtask/tidy.toml", text));
        }
    }
    complaints
}

/// Whether the first line that is neither empty nor an inner attribute is a module's documentation.
fn has_module_documentation(text: &str) -> bool {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("#![") && !line.starts_with("#!/"));
    lines.next().is_some_and(|line| line.starts_with("//!") || line.starts_with("/*!"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::{LongFile, file};

    #[test]
    fn a_file_without_documentation_is_named() {
        let good = file("a.rs", "#![no_std]\n\n//! A thing.\nfn f() {}\n");
        let bad = file("b.rs", "// A comment.\n//! Too late.\n");
        let misuse = file("a/tests/misuse/c.rs", "// error: E0382\n// Moved.\n");
        let complaints = check(&[good, bad, misuse], &Exceptions::default());
        assert_eq!(complaints.iter().map(|each| each.path.as_str()).collect::<Vec<_>>(), ["b.rs"]);
    }

    #[test]
    fn a_long_file_needs_a_reason_and_a_short_one_must_not_have_one() {
        let long = file("long.rs", &format!("//! Long.\n{}", "\n".repeat(LINES_MAX)));
        let short = file("short.rs", &format!("//! Short.\n{}", "\n".repeat(LINES_MAX - 1)));
        let files = [long, short];
        assert!(check(&files, &Exceptions::default())[0].text.contains("401 lines"));
        let excuse = |path: &str, reason: &str| LongFile { path: path.into(), reason: reason.into() };
        assert!(check(&files, &Exceptions { long_file: vec![excuse("long.rs", "one table")] }).is_empty());
        assert_eq!(check(&files, &Exceptions { long_file: vec![excuse("long.rs", " ")] }).len(), 1);
        let both = vec![excuse("long.rs", "one table"), excuse("short.rs", "none")];
        assert!(check(&files, &Exceptions { long_file: both })[0].text.contains("no longer needs"));
    }
}
