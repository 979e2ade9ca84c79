//! The table of mutations and the sources agree: no weakening without its entry, no entry without its weakening.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Complaint;
use crate::mutations::table::{PATH, Table};
use crate::tree::File;

pub(super) fn check(files: &[File]) -> Result<Vec<Complaint>> {
    let table = files.iter().find(|file| file.path == PATH).map_or("", |file| file.text.as_str());
    let table = Table::parse(table)?;
    let known: BTreeSet<_> = table.mutations.iter().map(|mutation| mutation.name.as_str()).collect();
    let mut written = BTreeSet::new();
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "rs" && !file.path.starts_with("xtask/")) {
        for (index, line) in file.text.lines().enumerate() {
            for name in names(line) {
                written.insert(name);
                if !known.contains(name) {
                    complaints.push(Complaint::at(
                        file,
                        index + 1,
                        format!("the mutation {name} is not in {PATH}, so nothing shows that a test sees it"),
                    ));
                }
            }
        }
    }
    for name in known.difference(&written) {
        complaints.push(Complaint::about(PATH, format!("no source contains the mutation {name}")));
    }
    Ok(complaints)
}

/// The names in `prewire_mutation = "…"`.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let field = "prewire_mutation = \"";
    line.match_indices(field).filter_map(move |(position, _)| line[position + field.len()..].split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn both_directions_are_checked() {
        let table = "[[mutation]]\nname = \"one\"\npackage = \"p\"\ntest = \"t\"\nkind = \"native\"\nweakens = \"w\"\n";
        let source = file("core/src/a.rs", "//! A.\nif cfg!(prewire_mutation = \"two\") { 1 } else { 2 }\n");
        let complaints = check(&[file(PATH, table), source]).expect("the table is well formed");
        assert_eq!(complaints.len(), 2);
        assert_eq!((complaints[0].path.as_str(), complaints[0].line), ("core/src/a.rs", Some(2)));
        assert!(complaints[1].text.contains("one"));
    }
}
