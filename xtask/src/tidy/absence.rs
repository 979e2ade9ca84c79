//! Invariants of absence: what shared crates must not name.

use super::Complaint;
use crate::tree::File;

/// The crates that serve every chip, and so know none.
const SHARED: [&str; 4] = ["runtime-core/", "orchestrator/", "scheduler/", "platform-sim/"];

/// What runtime-core takes from its own `sync` module, which is the standard library's or loom's.
const MODELLED: [&str; 4] = ["std::sync", "core::sync", "std::thread", "loom::"];

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "rs") {
        if SHARED.iter().any(|folder| file.path.starts_with(folder)) {
            for (index, line) in file.text.lines().enumerate() {
                if let Some(chip) = chip_named(line) {
                    let text = format!(
                        "`{chip}` is named in a crate that knows no chip; make the difference a value or method of the platform"
                    );
                    complaints.push(Complaint::at(file, index + 1, text));
                }
            }
        }
        if file.path.starts_with("runtime-core/src/") && !file.path.starts_with("runtime-core/src/sync") {
            for (index, line) in file.text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or("");
                if let Some(path) = MODELLED.iter().find(|path| code.contains(**path)) {
                    let text = format!("`{path}` is used outside of the `sync` module, where a model cannot see it");
                    complaints.push(Complaint::at(file, index + 1, text));
                }
            }
        }
    }
    complaints
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
    fn the_core_takes_its_atomics_from_its_own_module() {
        let text = "//! Text.\n// not std::sync\nuse std::sync::atomic::AtomicU32;\n";
        assert_eq!(check(&[file("runtime-core/src/ring.rs", text)])[0].line, Some(3));
        let elsewhere = [
            file("runtime-core/src/sync.rs", text),
            file("runtime-core/src/sync/std.rs", text),
            file("scheduler/src/a.rs", text),
        ];
        assert!(check(&elsewhere).is_empty());
    }
}
