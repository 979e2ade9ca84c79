//! Invariants of absence: what shared crates must not name.

use super::Complaint;
use crate::rust_source;
use crate::tree::File;

/// The crates that serve every chip, and so know none.
const SHARED: [&str; 4] = ["runtime-core/", "orchestrator/", "scheduler/", "platform-sim/"];

/// The crates that start no thread: the assembly does.
const THREADLESS: [&str; 3] = ["runtime-core/src/", "orchestrator/src/", "scheduler/src/"];

/// What runtime-core takes from its own `sync` module, which is the standard library's or loom's.
const MODELLED: [&str; 4] = ["std::sync", "core::sync", "std::thread", "loom"];

/// What it may take from the standard library all the same: shared ownership orders nothing between threads that the models are about, and
/// loom's has no form for trait objects.
const UNMODELLED: [&str; 2] = ["std::sync::Arc", "std::sync::Weak"];

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "rs") {
        if SHARED.iter().any(|folder| file.path.starts_with(folder)) {
            complaints.extend(chips(file));
        }
        // A file of this name holds the tests of the module above it.
        if THREADLESS.iter().any(|folder| file.path.starts_with(folder)) && !file.path.ends_with("/tests.rs") {
            complaints.extend(threads(file));
        }
        if file.path.starts_with("runtime-core/src/") && !file.path.starts_with("runtime-core/src/sync") {
            complaints.extend(atomics(file));
        }
    }
    complaints
}

fn chips(file: &File) -> Vec<Complaint> {
    let complaint = |(index, line): (usize, &str)| {
        let chip = chip_named(line)?;
        let text = format!(
            "`{chip}` is named in a crate that knows no chip; make the difference a value or method of the platform"
        );
        Some(Complaint::at(file, index + 1, text))
    };
    file.text.lines().enumerate().filter_map(complaint).collect()
}

fn threads(file: &File) -> Vec<Complaint> {
    if !file.text.contains("thread") {
        return Vec::new();
    }
    let for_tests =
        |attribute: &str| attribute == "test" || (attribute.starts_with("cfg") && attribute.contains("test"));
    let starts = ["thread::spawn", "thread::scope", "thread::Builder"];
    let text = "a thread is started here; only an assembly or a platform starts threads";
    // A file that is not Rust does not compile either.
    let paths = rust_source::paths(&file.text, for_tests).unwrap_or_default();
    let started = paths.into_iter().filter(|(path, _)| starts.iter().any(|start| path.contains(start)));
    started.map(|(_, line)| Complaint::at(file, line, text)).collect()
}

fn atomics(file: &File) -> Vec<Complaint> {
    if !["std", "core", "loom"].iter().any(|root| file.text.contains(root)) {
        return Vec::new();
    }
    // What is compiled for no model cannot be missed by one.
    let paths = rust_source::paths(&file.text, |attribute| attribute == "cfg(not(loom))").unwrap_or_default();
    let below =
        |path: &str, root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    let modelled =
        |path: &str| MODELLED.iter().any(|root| below(path, root)) && !UNMODELLED.iter().any(|root| below(path, root));
    let complaint = |(path, line): (String, usize)| {
        let text = format!("`{path}` is used outside of the `sync` module, where a model cannot see it");
        modelled(&path).then(|| Complaint::at(file, line, text))
    };
    paths.into_iter().filter_map(complaint).collect()
}

/// The name of a chip in this line, be it a word of its own or a part of an identifier. Numbers such as 0xA5 are not names.
fn chip_named(line: &str) -> Option<&'static str> {
    let line = line.to_ascii_lowercase();
    if line.contains("a2a3") {
        return Some("a2a3");
    }
    let words = line.split(|character: char| !character.is_ascii_alphanumeric());
    let named =
        |word: &str| word.strip_prefix("a5").is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()));
    // An underscore inside of a number separates digits, so the word before it decides.
    let mut number = false;
    for (word, joined) in
        words.zip(std::iter::once(false).chain(line.chars().filter(|c| !c.is_ascii_alphanumeric()).map(|c| c == '_')))
    {
        number = word.starts_with(|first: char| first.is_ascii_digit()) || (joined && number);
        if !number && named(word) {
            return Some("a5");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn chips_are_found_as_words_and_in_identifiers_and_numbers_are_not_chips() {
        for line in ["// for a2a3 only", "fn is_a5() {}", "A5Spec", "the A5 chip", "PlatformA2A3"] {
            assert!(chip_named(line).is_some(), "{line}");
        }
        for line in ["let x = 0xA5;", "0xDEAD_A5", "a52", "data5", "sha512", "extra5", ""] {
            assert!(chip_named(line).is_none(), "{line}");
        }
    }

    #[test]
    fn only_shared_crates_must_not_name_a_chip() {
        let text = "//! For a5.\n";
        assert_eq!(check(&[file("scheduler/src/lib.rs", text)])[0].line, Some(1));
        assert!(check(&[file("platform-a5/src/lib.rs", text), file("prewire/src/lib.rs", text)]).is_empty());
    }

    #[test]
    fn threads_are_started_by_assemblies_and_platforms() {
        let text = "//! Text.\nfn f() { thread::spawn(|| ()); }\n";
        assert_eq!(check(&[file("scheduler/src/a.rs", text)])[0].line, Some(2));
        assert!(check(&[file("scheduler/src/a/tests.rs", text), file("platform-sim/src/a.rs", text)]).is_empty());
    }

    #[test]
    fn the_core_takes_its_atomics_from_its_own_module() {
        let text = "//! Text.\n// not std::sync\nuse std::{sync::{Arc, atomic::AtomicU32}};\n#[cfg(not(loom))]\nfn f() { std::thread::yield_now() }\n";
        let complaints = check(&[file("runtime-core/src/ring.rs", text)]);
        assert_eq!(complaints.iter().map(|each| each.line).collect::<Vec<_>>(), [Some(3)]);
        assert!(complaints[0].text.contains("AtomicU32"));
        let elsewhere = [
            file("runtime-core/src/sync.rs", text),
            file("runtime-core/src/sync/std.rs", text),
            file("scheduler/src/a.rs", text),
        ];
        assert!(check(&elsewhere).is_empty());
    }
}
