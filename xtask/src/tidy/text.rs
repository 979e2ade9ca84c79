//! Nothing left half done, no white space at the end of a line, a line end at the end of a file.

use super::Complaint;
use crate::tree::File;

const EXTENSIONS: [&str; 14] =
    ["rs", "toml", "md", "c", "h", "cpp", "hpp", "py", "sh", "yml", "json", "cmake", "txt", "tsv"];

// Put together here, so that this file does not contain them.
const LEFT_OVERS: [&str; 4] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("dbg", "!(")];

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| EXTENSIONS.contains(&file.extension()) || file.path == ".ci/run") {
        for (index, line) in file.text.lines().enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                complaints.push(Complaint::at(file, index + 1, "white space at the end of the line"));
            }
            for left_over in LEFT_OVERS.iter().filter(|left_over| line.contains(**left_over)) {
                let text = format!("{left_over} is left here; do it, or write down as an issue what is missing");
                complaints.push(Complaint::at(file, index + 1, text));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            complaints.push(Complaint::about(&file.path, "the last line has no line end"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn left_overs_and_stray_white_space_are_named_with_their_line() {
        let text = format!("fine\n// {} later\nspace \n", LEFT_OVERS[0]);
        let complaints = check(&[file("a/b.rs", &text)]);
        assert_eq!(complaints.iter().map(|each| each.line).collect::<Vec<_>>(), [Some(2), Some(3)]);
        assert!(check(&[file("a/b.rs", "fine\n"), file("a/b.npy", "x ")]).is_empty());
        assert_eq!(check(&[file("a/b.md", "no end")]).len(), 1);
    }
}
