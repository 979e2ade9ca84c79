//! Every environment variable that a text names exists in a table of settings; the README's table is those tables, word for word; and each setting
//! of the runtime has the builder option that it promises.

use std::collections::BTreeSet;

use super::Complaint;
use crate::tree::File;

/// The table of the runtime's settings: structs whose fields are texts. A crate that stands apart from the runtime has one of its own, in a file of
/// the same name.
const TABLE: &str = "runtime-core/src/settings.rs";
const TABLES: &str = "/src/settings.rs";
const PREFIX: &str = "PREWIRE_";
/// Where the names of the C library are declared, which begin as those of variables do.
const HEADERS: &str = "ffi/include/";

/// What the table says of one setting.
struct Setting<'a> {
    /// The path of the table.
    table: &'a str,
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
    let tables: Vec<_> = files.iter().filter(|file| file.path.ends_with(TABLES)).collect();
    if tables.is_empty() {
        say!("note: there is no table of settings, such as {TABLE}; settings are not checked");
        return Vec::new();
    }
    // What a test and the programs it starts say to each other is no setting.
    let private =
        |file: &File, name: &str| name.starts_with(&format!("{PREFIX}TEST_")) && file.path.contains("/tests/");
    let settings: Vec<_> = tables.iter().flat_map(|table| settings(table)).collect();
    let declared: BTreeSet<_> =
        files.iter().filter(|file| file.path.starts_with(HEADERS)).flat_map(|file| declared(&file.text)).collect();
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| ["rs", "md"].contains(&file.extension()) && !file.path.ends_with(TABLES)) {
        for (index, line) in file.text.lines().enumerate() {
            let unknown = |name: &&str| {
                !private(file, name)
                    && !declared.contains(name)
                    && !settings.iter().any(|setting| setting.environment == *name)
            };
            for name in names(line).into_iter().filter(unknown) {
                let text = format!("{name} is in no table of settings, such as {TABLE}");
                complaints.push(Complaint::at(file, index + 1, text));
            }
        }
    }
    let readme = files.iter().find(|file| file.path == "README.md").map_or("", |file| file.text.as_str());
    for setting in &settings {
        let row = setting.row();
        if !readme.lines().any(|line| line == row) {
            let text = format!("its table of settings lacks this row of {}:\n{row}", setting.table);
            complaints.push(Complaint::about("README.md", text));
        }
    }
    complaints.extend(missing_options(files, &settings));
    complaints
}

/// The settings of the runtime whose builder option the assembly does not have. As long as there is no builder at all, none is missing.
fn missing_options(files: &[File], settings: &[Setting<'_>]) -> Vec<Complaint> {
    let assembly: Vec<_> = files.iter().filter(|file| file.path.starts_with("prewire/src/")).collect();
    if !assembly.iter().any(|file| file.text.contains("Builder")) {
        return Vec::new();
    }
    let missing = |setting: &&Setting<'_>| {
        let option = format!("pub fn {}(", setting.builder);
        setting.table == TABLE && !assembly.iter().any(|file| file.text.contains(&option))
    };
    let complaint = |setting: &Setting<'_>| {
        let text = format!(
            "{} promises the builder option `{}`, which prewire/src does not have",
            setting.environment, setting.builder
        );
        Complaint::about(TABLE, text)
    };
    settings.iter().filter(missing).map(complaint).collect()
}

/// The settings of the table, each from its `environment` to the next one's.
fn settings(table: &File) -> Vec<Setting<'_>> {
    table
        .text
        .split("Setting {")
        .map(|part| {
            let field = |name: &str| {
                let start = part.find(&format!("{name}: \""))? + name.len() + 3;
                part[start..].split('"').next()
            };
            (field("environment"), field)
        })
        .filter_map(|(environment, field)| {
            Some(Setting {
                table: &table.path,
                environment: environment?,
                builder: field("builder").unwrap_or_default(),
                accepts: field("accepts").unwrap_or_default(),
                default: field("default").unwrap_or_default(),
                meaning: field("meaning").unwrap_or_default(),
            })
        })
        .collect()
}

/// The macros and enumerators that a header declares.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let name = names(line.strip_prefix("#define ").unwrap_or(line)).into_iter().next()?;
        let rest = line.strip_prefix("#define ").unwrap_or(line).strip_prefix(name)?;
        let declares = line.starts_with("#define ") || rest.starts_with(" = ") || rest.starts_with(',');
        declares.then_some(name)
    })
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
        let private = format!("//! {}\n", setting("TEST_CHILD"));
        let of_a_test = [table(&one), file("README.md", &row(&one)), file("a/tests/b.rs", &private)];
        assert!(check(&of_a_test).is_empty());
        let of_the_library = [table(&one), file("README.md", &row(&one)), file("a/src/b.rs", &private)];
        assert_eq!(check(&of_the_library).len(), 1);
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
    fn what_the_header_declares_is_no_variable() {
        let (one, macro_, enumerator, told) = (setting("ONE"), setting("A"), setting("B"), setting("C"));
        let header = format!("/* see {told} */\n#define {macro_} 1\nenum {{\n    {enumerator} = 2,\n}};\n");
        let source = |name: &str| file("a/src/b.rs", &format!("//! {name}\n"));
        for (name, complaints) in [(&macro_, 0), (&enumerator, 0), (&told, 1)] {
            let files = [table(&one), file("README.md", &row(&one)), file("ffi/include/x.h", &header), source(name)];
            assert_eq!(check(&files).len(), complaints, "{name}");
        }
    }

    #[test]
    fn names_end_where_the_word_ends() {
        let (name, other) = (setting("RING_HEAP"), setting("X"));
        assert_eq!(names(&format!("({name}=4096), {other}. LIB{other}")), [name.as_str(), other.as_str()]);
    }
}
