//! Every environment variable that a text names exists in the one table of settings; the README's table is that table, word for word; and each
//! setting has the builder option that it promises.

use super::Complaint;
use crate::tree::File;

/// The one table of settings: structs whose fields are these texts.
const TABLE: &str = "runtime-core/src/settings.rs";
const PREFIX: &str = "PREWIRE_";

/// What the table says of one setting.
struct Setting<'a> {
    environment: &'a str,
    builder: &'a str,
    accepts: &'a str,
    default: &'a str,
    meaning: &'a str,
}

impl Setting<'_> {
    /// The row of the README.
    fn row(&self) -> String {
        format!(
            "| `{}` | `{}` | {} | {} | {} |",
            self.environment, self.builder, self.accepts, self.default, self.meaning
        )
    }
}

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let table = files.iter().find(|file| file.path == TABLE);
    let settings = table.map(|file| settings(&file.text)).unwrap_or_default();
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| ["rs", "md"].contains(&file.extension()) && file.path != TABLE) {
        for (index, line) in file.text.lines().enumerate() {
            for name in
                names(line).into_iter().filter(|name| !settings.iter().any(|setting| setting.environment == *name))
            {
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
    for setting in &settings {
        let row = setting.row();
        if !readme.lines().any(|line| line == row) {
            complaints.push(Complaint::about(
                "README.md",
                format!("its table of settings lacks this row of {TABLE}:\n{row}"),
            ));
        }
        let option = format!("pub fn {}(", setting.builder);
        let assembly = |file: &&File| file.path.starts_with("prewire/src/");
        let has_builder = files.iter().filter(assembly).any(|file| file.text.contains("Builder"));
        if has_builder && !files.iter().filter(assembly).any(|file| file.text.contains(&option)) {
            let text = format!(
                "{} promises the builder option `{}`, which prewire/src does not have",
                setting.environment, setting.builder
            );
            complaints.push(Complaint::about(TABLE, text));
        }
    }
    complaints
}

/// The settings of the table, each from its `environment` to the next one's.
fn settings(text: &str) -> Vec<Setting<'_>> {
    text.split("Setting {")
        .map(|part| {
            let field = |name: &str| {
                let start = part.find(&format!("{name}: \""))? + name.len() + 3;
                part[start..].split('"').next()
            };
            (field("environment"), field)
        })
        .filter_map(|(environment, field)| {
            Some(Setting {
                environment: environment?,
                builder: field("builder").unwrap_or_default(),
                accepts: field("accepts").unwrap_or_default(),
                default: field("default").unwrap_or_default(),
                meaning: field("meaning").unwrap_or_default(),
            })
        })
        .collect()
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

    /// The table with one setting.
    fn table(name: &str) -> File {
        let fields = "builder: \"heap\",\n accepts: \"bytes\",\n default: \"1\",\n meaning: \"room\",\n";
        file(
            TABLE,
            &format!(
                "pub struct Setting {{ environment: &str }}\nconst S: Setting = Setting {{\n environment: \"{name}\",\n {fields}}};\n"
            ),
        )
    }

    fn row(name: &str) -> String {
        format!("| `{name}` | `heap` | bytes | 1 | room |\n")
    }

    #[test]
    fn a_name_that_no_setting_has_is_found() {
        let (one, two) = (setting("ONE"), setting("TWO"));
        let source = file("a/src/b.rs", &format!("//! x\n\"set {one} or {two}\"\n"));
        let complaints = check(&[table(&one), file("README.md", &row(&one)), source]);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].text.contains(&two));
        assert_eq!(complaints[0].line, Some(2));
    }

    #[test]
    fn the_readme_repeats_the_table_word_for_word() {
        let one = setting("ONE");
        assert!(check(&[table(&one), file("README.md", &row(&one))]).is_empty());
        let stale = file("README.md", &row(&one).replace("bytes", "kilobytes"));
        assert!(check(&[table(&one), stale])[0].text.contains(row(&one).trim()));
    }

    #[test]
    fn a_builder_has_the_options_that_the_table_promises() {
        let one = setting("ONE");
        let files =
            |builder: &str| [table(&one), file("README.md", &row(&one)), file("prewire/src/builder.rs", builder)];
        assert!(check(&files("pub struct Builder;\nimpl Builder { pub fn heap(self) {} }\n")).is_empty());
        assert!(check(&files("pub struct Builder;\n"))[0].text.contains("`heap`"));
    }

    #[test]
    fn names_end_where_the_word_ends() {
        let (name, other) = (setting("RING_HEAP"), setting("X"));
        assert_eq!(names(&format!("({name}=4096), {other}. LIB{other}")), [name.as_str(), other.as_str()]);
    }
}
