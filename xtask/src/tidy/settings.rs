//! Every environment variable that a text names exists in the one table of settings, and the README lists the whole table.

use super::Complaint;
use crate::tree::File;

/// The one table of settings: an array of structs with a field `environment`.
const TABLE: &str = "runtime-core/src/settings.rs";
const PREFIX: &str = "PREWIRE_";

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let table = files.iter().find(|file| file.path == TABLE);
    let known = table.map(|file| settings(&file.text)).unwrap_or_default();
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| ["rs", "md"].contains(&file.extension()) && file.path != TABLE) {
        for (index, line) in file.text.lines().enumerate() {
            for name in names(line).into_iter().filter(|name| !known.contains(name)) {
                complaints.push(Complaint::at(
                    file,
                    index + 1,
                    format!("{name} is not in the table of settings, {TABLE}"),
                ));
            }
        }
    }
    if table.is_none() {
        say!(
            "note: there is no table of settings at {TABLE}; {} mentions of settings are not checked",
            complaints.len()
        );
        return Vec::new();
    }
    let readme = files.iter().find(|file| file.path == "README.md").map_or("", |file| file.text.as_str());
    let listed = names(readme);
    for setting in known.iter().filter(|setting| !listed.contains(setting)) {
        complaints.push(Complaint::about("README.md", format!("the setting {setting} of {TABLE} is not listed")));
    }
    complaints
}

/// The values of every `environment: "…"`.
fn settings(text: &str) -> Vec<&str> {
    let field = "environment: \"";
    text.match_indices(field).filter_map(|(position, _)| text[position + field.len()..].split('"').next()).collect()
}

/// The names of variables in a text. The bare prefix, as in a pattern with a star, is no name.
fn names(text: &str) -> Vec<&str> {
    text.match_indices(PREFIX)
        .filter(|(position, _)| {
            !text[..*position].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_')
        })
        .map(|(position, _)| {
            let rest = &text[position..];
            let end = rest.find(|character: char| {
                !(character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_')
            });
            &rest[..end.unwrap_or(rest.len())]
        })
        .filter(|name| name.len() > PREFIX.len())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    fn setting(name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    #[test]
    fn a_name_that_no_setting_has_is_found_and_the_readme_must_list_all() {
        let (one, two, three) = (setting("ONE"), setting("TWO"), setting("THREE"));
        let table = file(TABLE, &format!("Setting {{ environment: \"{one}\" }}, Setting {{ environment: \"{two}\" }}"));
        let readme = file("README.md", &format!("`{one}` and {PREFIX}*\n"));
        let source = file("a/src/b.rs", &format!("//! x\n\"set {two} or {three}\"\n"));
        let complaints = check(&[table, readme, source]);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].text.contains(&three));
        assert_eq!(complaints[0].line, Some(2));
        assert!(complaints[1].text.contains(&two));
    }

    #[test]
    fn names_end_where_the_word_ends() {
        let (name, other) = (setting("RING_HEAP"), setting("X"));
        assert_eq!(names(&format!("({name}=4096), {other}. LIB{other}")), [name.as_str(), other.as_str()]);
    }
}
