//! What a run of the tests left behind: nextest's JUnit file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};

/// One test that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The binary it is in, as nextest names it: `package`, `package::integration_test`, `package::bin/program`.
    pub(crate) suite: String,
    /// Its path within the binary.
    pub(crate) name: String,
    pub(crate) passed: bool,
}

/// All tests of one run.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) ran: Vec<Ran>,
    pub(crate) written: Option<SystemTime>,
}

impl Results {
    /// Reads a JUnit file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut results = Self::parse(&text).with_context(|| format!("in {}", path.display()))?;
        results.written = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        Ok(results)
    }

    /// Reads the text of a JUnit file. A test case with a failure, an error or a skip in it did not pass.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let document = roxmltree::Document::parse(text).map_err(|error| anyhow!("not JUnit: {error}"))?;
        let mut ran = Vec::new();
        for suite in document.descendants().filter(|node| node.has_tag_name("testsuite")) {
            for case in suite.children().filter(|node| node.has_tag_name("testcase")) {
                let spoilt = |tag: &str| ["failure", "error", "skipped"].contains(&tag);
                ran.push(Ran {
                    suite: suite.attribute("name").unwrap_or_default().to_owned(),
                    name: case.attribute("name").unwrap_or_default().to_owned(),
                    passed: !case.children().any(|node| spoilt(node.tag_name().name())),
                });
            }
        }
        Ok(Self { ran, written: None })
    }

    /// Adds another run's.
    pub(crate) fn extend(&mut self, other: Results) {
        self.ran.extend(other.ran);
        self.written = self.written.zip(other.written).map(|(one, other)| one.min(other));
    }

    /// Of these paths, the first whose file is newer than the run, if the time of the run is known.
    pub(crate) fn first_newer(&self, paths: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
        let written = self.written?;
        let newer = |path: &PathBuf| {
            fs::metadata(path).and_then(|metadata| metadata.modified()).is_ok_and(|time| time > written)
        };
        paths.into_iter().find(newer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_and_failures_are_told_apart() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="nextest-run" tests="3" failures="1" errors="0">
              <testsuite name="core::ring" tests="2" failures="1">
                <testcase name="pushes" classname="core::ring" time="0.1"/>
                <testcase name="deep::pops" classname="core::ring" time="0.1">
                  <failure type="test failure">assertion failed</failure>
                </testcase>
              </testsuite>
              <testsuite name="core"><testcase name="late" time="1"><error type="timeout"/></testcase></testsuite>
            </testsuites>"#;
        let results = Results::parse(text).expect("it is JUnit");
        let short: Vec<_> = results.ran.iter().map(|ran| (ran.suite.as_str(), ran.name.as_str(), ran.passed)).collect();
        assert_eq!(
            short,
            [("core::ring", "pushes", true), ("core::ring", "deep::pops", false), ("core", "late", false)]
        );
    }

    #[test]
    fn two_runs_count_as_one_that_is_as_old_as_the_older() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        let run = |name: &str| vec![Ran { suite: "core".into(), name: name.into(), passed: true }];
        let mut results = Results { ran: run("short"), written: at(7) };
        results.extend(Results { ran: run("long"), written: at(5) });
        assert_eq!((results.ran.len(), results.written), (2, at(5)));
    }

    #[test]
    fn a_file_that_is_no_junit_is_refused() {
        assert!(Results::parse("test result: ok").is_err());
    }
}
