//! The tables of behaviours: one row each, with an id that tests name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// One behaviour that somebody must claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The table it stands in, without the ending: `chip`, `host`, `gpu-flush`.
    pub(crate) table: String,
    pub(crate) id: String,
    pub(crate) area: String,
    pub(crate) behaviour: String,
}

impl Row {
    /// Rows of areas that end in `-later` are not asked for yet.
    pub(crate) fn is_later(&self) -> bool {
        self.area.ends_with("-later")
    }

    /// Whether the row speaks of a time, a rate or a ratio, and so may be claimed by a benchmark that prints it.
    pub(crate) fn is_measured(&self) -> bool {
        let units = ["ns", "us", "µs", "ms", "s", "GB/s", "GiB/s", "MB/s", "MiB/s", "%"];
        let words = ["ratio", "rate", "median", "benchmark", "throughput", "p99", "instructions", "seconds", "faster"];
        self.behaviour
            .split(|character: char| character.is_whitespace() || ",;:()".contains(character))
            .map(|word| word.trim_end_matches('.'))
            .any(|word| {
                let unit = word.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
                words.contains(&word.to_lowercase().as_str()) || units.contains(&unit)
            })
            // A ratio without the word.
            || self.behaviour.contains(" times the time ")
    }
}

/// All rows of all tables, by id.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    rows: BTreeMap<String, Row>,
}

impl Tables {
    /// Reads every `*.tsv` of the folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "tsv") {
                paths.push(path);
            }
        }
        paths.sort();
        if paths.is_empty() {
            bail!("{} holds no *.tsv", folder.display());
        }
        let mut tables = Self::default();
        for path in paths {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            tables.add(&name, &text).with_context(|| format!("in {}", path.display()))?;
        }
        Ok(tables)
    }

    /// Adds the rows of one table; the first line is its heading.
    pub(crate) fn add(&mut self, table: &str, text: &str) -> Result<()> {
        for (index, line) in text.lines().enumerate().skip(1) {
            let mut fields = line.split('\t');
            let (Some(id), Some(area), Some(behaviour)) = (fields.next(), fields.next(), fields.next()) else {
                bail!("line {}: a row is id, area, behaviour, origin, separated by tabs; this is {line:?}", index + 1);
            };
            if split_id(id).is_none() {
                bail!("line {}: an id is capital letters, a hyphen and a number; this is {id:?}", index + 1);
            }
            let row = Row { table: table.into(), id: id.into(), area: area.into(), behaviour: behaviour.into() };
            if let Some(other) = self.rows.insert(id.to_owned(), row) {
                bail!("line {}: {id} stands twice, also in {}", index + 1, other.table);
            }
        }
        Ok(())
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    pub(crate) fn row(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    /// The letters before the hyphen of each id, once each.
    fn prefixes(&self) -> Vec<&str> {
        let mut prefixes: Vec<_> = self.rows.keys().filter_map(|id| split_id(id)).map(|(prefix, _)| prefix).collect();
        prefixes.dedup();
        prefixes
    }

    /// The ids that occur in a text as `CHIP-016`, whether the tables know them or not.
    pub(crate) fn ids_in_text(&self, text: &str) -> Vec<String> {
        self.prefixes().iter().flat_map(|prefix| ids(text, prefix, '-', prefix)).collect()
    }

    /// The ids that occur in the name of a test as `chip_016`.
    pub(crate) fn ids_in_name(&self, name: &str) -> Vec<String> {
        self.prefixes().iter().flat_map(|prefix| ids(name, &prefix.to_ascii_lowercase(), '_', prefix)).collect()
    }
}

fn split_id(id: &str) -> Option<(&str, &str)> {
    let (prefix, number) = id.split_once('-')?;
    let letters = !prefix.is_empty() && prefix.chars().all(|character| character.is_ascii_uppercase());
    let digits = !number.is_empty() && number.chars().all(|character| character.is_ascii_digit());
    (letters && digits).then_some((prefix, number))
}

/// Every `<written><separator><three or more digits>` of the text that does not continue a longer word, as an id with the given prefix.
fn ids(text: &str, written: &str, separator: char, prefix: &str) -> Vec<String> {
    let start = format!("{written}{separator}");
    let mut found = Vec::new();
    for (position, _) in text.match_indices(&start) {
        let continues = text[..position].chars().next_back().is_some_and(char::is_alphanumeric);
        let number: String = text[position + start.len()..].chars().take_while(char::is_ascii_digit).collect();
        if !continues && number.len() >= 3 {
            found.push(format!("{prefix}-{number}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str =
        "id\tarea\tbehaviour\torigin\nAB-001\tone\tIt works.\tours\nAB-002\ttwo-later\tIt takes 5 ns.\tours\n";

    fn tables() -> Tables {
        let mut tables = Tables::default();
        tables.add("small", TABLE).expect("the table is well formed");
        tables
    }

    #[test]
    fn rows_are_read_with_their_area() {
        let tables = tables();
        assert_eq!(tables.rows().count(), 2);
        let row = tables.row("AB-001").expect("it is there");
        assert_eq!((row.table.as_str(), row.area.as_str(), row.behaviour.as_str()), ("small", "one", "It works."));
        assert!(!row.is_later());
        assert!(tables.row("AB-002").expect("it is there").is_later());
    }

    #[test]
    fn a_broken_or_doubled_row_is_named_with_its_line() {
        let error = |text: &str| format!("{:#}", Tables::default().add("t", text).expect_err("it is refused"));
        assert!(error("id\nAB-001 one").contains("line 2"));
        assert!(error("id\nab-1\tx\ty\tz").contains("ab-1"));
        assert!(error("id\nAB-001\tx\ty\tz\nAB-001\tx\ty\tz").contains("line 3: AB-001 stands twice"));
    }

    #[test]
    fn ids_are_found_in_prose_and_in_names_known_or_not() {
        let tables = tables();
        assert_eq!(
            tables.ids_in_text("Claims AB-001, AB-999; not XAB-002, not AB-1, not CD-001."),
            ["AB-001", "AB-999"]
        );
        assert_eq!(tables.ids_in_name("ab_002_is_quick"), ["AB-002"]);
        assert!(tables.ids_in_name("grab_002").is_empty());
    }

    #[test]
    fn rows_about_time_are_told_from_others() {
        let row = |behaviour: &str| Row {
            table: String::new(),
            id: String::new(),
            area: String::new(),
            behaviour: behaviour.into(),
        };
        assert!(row("The median cost is 80 ns per task.").is_measured());
        assert!(row("It grows by less than 25 %.").is_measured());
        assert!(row("At least 80% of it.").is_measured());
        assert!(row("Benchmark: a task costs at most 12 of another.").is_measured());
        assert!(row("It ends in at most 3 times the time of the other.").is_measured());
        assert!(!row("It returns code 5 and names the slot.").is_measured());
    }
}
