//! The table of mutations: which weakening, in which package, must turn which test red.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Where the table stands, from the root.
pub(crate) const PATH: &str = "xtask/mutations.toml";

/// The whole table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(default, rename = "mutation")]
    pub(crate) mutations: Vec<Mutation>,
}

/// One named weakening of the source and the test that must see it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutation {
    /// The value of `cfg(prewire_mutation = "…")`.
    pub(crate) name: String,
    /// The package whose test must fail; the weakening may be in a package below it.
    pub(crate) package: String,
    /// The integration test to look in; the unit tests of the library where it is not given.
    pub(crate) target: Option<String>,
    /// What the names of the tests that must see it contain.
    pub(crate) test: String,
    pub(crate) kind: Kind,
    /// What is weaker, in words.
    pub(crate) weakens: String,
    /// Whether a test that never ends is what the weakening must cause.
    #[serde(default)]
    pub(crate) hangs: bool,
    /// How long the test may take.
    #[serde(default = "default_limit_s")]
    pub(crate) limit_s: u64,
}

/// How the test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// As in `cargo xtask test`.
    Native,
    /// As in `cargo xtask loom`.
    Loom,
}

fn default_limit_s() -> u64 {
    120
}

impl Table {
    /// Reads the text of the table.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let table: Self = toml::from_str(text).with_context(|| format!("in {PATH}"))?;
        for (index, mutation) in table.mutations.iter().enumerate() {
            if mutation.test.is_empty() || mutation.weakens.is_empty() {
                bail!("in {PATH}: {} names no test, or does not say what it weakens", mutation.name);
            }
            if table.mutations[..index].iter().any(|other| other.name == mutation.name) {
                bail!("in {PATH}: {} stands twice", mutation.name);
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "[[mutation]]\nname = \"a\"\npackage = \"p\"\ntest = \"t\"\nkind = \"loom\"\nweakens = \"w\"\n";

    #[test]
    fn an_entry_has_defaults() {
        let table = Table::parse(ONE).expect("it is well formed");
        let mutation = &table.mutations[0];
        assert_eq!((mutation.name.as_str(), mutation.kind, mutation.hangs), ("a", Kind::Loom, false));
        assert!(mutation.target.is_none() && mutation.limit_s > 0);
        assert!(Table::parse("").expect("an empty table is a table").mutations.is_empty());
    }

    #[test]
    fn doubled_and_empty_entries_are_refused() {
        assert!(Table::parse(&format!("{ONE}{ONE}")).is_err());
        assert!(Table::parse(&ONE.replace("\"t\"", "\"\"")).is_err());
        assert!(Table::parse(&ONE.replace("loom", "shuttle")).is_err());
        assert!(Table::parse(&format!("{ONE}extra = 1\n")).is_err());
    }
}
