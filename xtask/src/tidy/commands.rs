//! Documents and comments name only commands of xtask that exist.

use super::Complaint;
use crate::commands::COMMANDS;
use crate::tree::File;

const EXTENSIONS: [&str; 7] = ["md", "rs", "toml", "c", "h", "cpp", "sh"];

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| EXTENSIONS.contains(&file.extension()) || file.path == ".ci/run") {
        for (index, line) in file.text.lines().enumerate() {
            for name in commands_named(line) {
                if name != "help" && !COMMANDS.iter().any(|command| command.name == name) {
                    complaints.push(Complaint::at(file, index + 1, format!("there is no command `{name}` of xtask")));
                }
            }
        }
    }
    complaints
}

/// The words that follow the two words which call xtask. A placeholder in capitals is no name.
fn commands_named(line: &str) -> Vec<&str> {
    line.match_indices("cargo xtask ")
        .map(|(position, matched)| {
            let rest = &line[position + matched.len()..];
            let end = rest
                .find(|character: char| !(character.is_ascii_lowercase() || character == '-'))
                .unwrap_or(rest.len());
            &rest[..end]
        })
        .filter(|name| !name.is_empty() && !name.starts_with('-'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn only_commands_that_exist_may_be_named() {
        let call = ["cargo", "xtask"].join(" ");
        let good = format!("Run `{call} test` or `{call} COMMAND --help`.\n");
        assert!(check(&[file("README.md", &good)]).is_empty());
        let bad = format!("\n`{call} launch` starts it.\n");
        let complaints = check(&[file("README.md", &bad)]);
        assert_eq!(complaints.len(), 1);
        assert_eq!(complaints[0].line, Some(2));
        assert!(complaints[0].text.contains("`launch`"));
    }
}
