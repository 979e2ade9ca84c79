//! Each unsafe block and each unsafe impl has one `SAFETY:` comment, and no such comment stands without one. Clippy checks that they are
//! next to each other; together this is one to one.

use super::Complaint;
use crate::rust_source;
use crate::tree::File;

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    // Taking a file to pieces is slow beside looking for a word in it.
    let concerned =
        |file: &&File| file.extension() == "rs" && (file.text.contains("unsafe") || file.text.contains("SAFETY"));
    for file in files.iter().filter(concerned) {
        let lines = match rust_source::unsafe_lines(&file.text) {
            Ok(lines) => lines,
            Err(error) => {
                complaints.push(Complaint::about(&file.path, format!("{error:#}")));
                continue;
            }
        };
        let argued = file.text.lines().filter(|line| line.trim_start().starts_with("// SAFETY: ")).count();
        if lines.len() != argued {
            let places = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let text = format!(
                "{} unsafe blocks and impls (lines {places}) and {argued} SAFETY comments; each needs its own",
                lines.len()
            );
            complaints.push(Complaint::about(&file.path, text));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn one_argument_for_each() {
        let argued = "fn f() {\n    // SAFETY: nobody else looks.\n    unsafe { g() };\n}\n";
        assert!(check(&[file("a.rs", argued)]).is_empty());
        let bare = "fn f() {\n    unsafe { g() };\n}\n";
        assert!(check(&[file("a.rs", bare)])[0].text.contains("(lines 2)"));
        assert_eq!(check(&[file("a.rs", "// SAFETY: of what?\nfn f() {}\n")]).len(), 1);
        assert_eq!(
            check(&[file("a.rs", "unsafe fn f( {")]).len(),
            1,
            "a file that is not Rust is named, not passed over"
        );
    }
}
