//! The rungs of the ladder: what each runs for a change, in a hurry and at full length, and what it counted.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::outcome::Outcome;
use crate::process;
use crate::workspace::cargo;

/// The arguments of cargo calls, one after the other.
type Calls = &'static [&'static [&'static str]];

/// One rung.
pub(crate) struct Rung {
    pub(crate) name: &'static str,
    /// For each change; nothing where `ci` leaves it out.
    pub(crate) change: Option<Calls>,
    /// At full length.
    pub(crate) full: Calls,
    /// With fewer seeds; nothing where it is as at full length.
    pub(crate) quick: Option<Calls>,
    /// What it counted, out of all it printed.
    counted: fn(&str) -> String,
}

/// How a rung ended.
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) counted: String,
    pub(crate) time: Duration,
    pub(crate) outcome: Outcome,
}

/// The exit code of a command that did not run.
const DID_NOT_RUN: i32 = 3;

/// A run of many tasks on worker threads. Its package's other tests fork, and start threads behind that, which the detector does not follow.
const RACES: &[&str] = &["xtask", "tsan", "-p", "prewire-pause-tests", "a_hundred_thousand_tasks"];

/// All of them, the quickest of those for each change first.
pub(crate) const RUNGS: &[Rung] = &[
    Rung::quick_one("tidy", &[&["xtask", "tidy"]], |text| last(text, " files, ")),
    Rung::quick_one(
        "fmt",
        &[&["fmt", "--all", "--check"], &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]],
        nothing,
    ),
    Rung {
        name: "deny",
        change: Some(&[&["xtask", "deny"]]),
        full: &[&["xtask", "deny", "--install"]],
        quick: Some(&[&["xtask", "deny"]]),
        counted: nothing,
    },
    Rung::quick_one("clippy", &[&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]], nothing),
    Rung::quick_one("loom", &[&["xtask", "loom"]], |text| format!("{} models", passed(text))),
    Rung {
        name: "mutations",
        change: Some(&[&["xtask", "mutations", "--kind", "loom"]]),
        full: &[&["xtask", "mutations"]],
        quick: Some(&[&["xtask", "mutations", "--kind", "loom"]]),
        counted: |text| last(text, " mutations killed"),
    },
    Rung::quick_one("c", &[&["xtask", "c"]], |text| last(text, " runs of examples")),
    Rung::quick_one("test", &[&["xtask", "test"]], tests),
    Rung::quick_one("conformance", &[&["xtask", "conformance"]], rows),
    Rung::long(
        "oracle",
        &[&["xtask", "oracle", "--cases", "1000"]],
        Some(&[&["xtask", "oracle", "--cases", "20"]]),
        |text| format!("{} programs", before(text, " programs from seed")),
    ),
    Rung::long(
        "simulate",
        &[&["xtask", "simulate", "--seeds", "10000"]],
        Some(&[&["xtask", "simulate", "--seeds", "500"]]),
        |text| format!("{} seeds", before(text, " seeds from")),
    ),
    Rung::long(
        "shuttle",
        &[&["xtask", "shuttle", "--schedules", "50000"]],
        Some(&[&["xtask", "shuttle", "--schedules", "2000"]]),
        |text| format!("{} schedules", before(text, " schedules from")),
    ),
    Rung::long(
        "chaos",
        &[&["xtask", "test", "--profile", "long", "--run-ignored", "only", "-p", "prewire", "--test", "chaos"]],
        Some(&[&["xtask", "chaos", "--seconds", "10"]]),
        chaos,
    ),
    Rung::long("miri", &[&["xtask", "miri"]], None, |text| format!("{} tests", passed(text))),
    Rung::long("tsan", &[&["xtask", "tsan"], RACES], None, |text| format!("{} tests", passed(text))),
    Rung::long("asan", &[&["xtask", "asan"]], None, |text| format!("{} tests", passed(text))),
    Rung::long(
        "fuzz",
        &[&["xtask", "fuzz", "--seconds", "60"]],
        Some(&[&["xtask", "fuzz", "--seconds", "5"]]),
        |text| last(text, " inputs"),
    ),
];

impl Rung {
    /// A rung that is the same for each change and at full length.
    const fn quick_one(name: &'static str, full: Calls, counted: fn(&str) -> String) -> Self {
        Self { name, change: Some(full), full, quick: None, counted }
    }

    /// A rung that takes too long for each change.
    const fn long(name: &'static str, full: Calls, quick: Option<Calls>, counted: fn(&str) -> String) -> Self {
        Self { name, change: None, full, quick, counted }
    }

    /// Makes the calls, up to the first that does not pass, and shows what they print.
    pub(crate) fn run(&self, calls: Calls) -> Report {
        say!("\n=== {}", self.name);
        let begun = Instant::now();
        let mut printed = String::new();
        let outcome = try_all(calls, &mut printed).unwrap_or_else(|error| {
            say!("{error:#}");
            Outcome::Failed
        });
        let counted = if matches!(outcome, Outcome::DidNotRun(_)) { String::new() } else { (self.counted)(&printed) };
        let report = Report { name: self.name, counted, time: begun.elapsed(), outcome };
        say!("=== {}", report.line());
        report
    }
}

impl Report {
    /// A rung that somebody chose to leave out.
    pub(crate) fn skipped(name: &'static str) -> Self {
        let outcome = Outcome::DidNotRun("left out by --skip".to_owned());
        Self { name, counted: String::new(), time: Duration::ZERO, outcome }
    }

    /// Its line of the table.
    pub(crate) fn line(&self) -> String {
        line(self.name, &self.counted, self.time, &self.outcome)
    }
}

/// One line of the table.
pub(crate) fn line(name: &str, counted: &str, time: Duration, outcome: &Outcome) -> String {
    format!("{name:12}{counted:36}{:8.1} s  {outcome}", time.as_secs_f64())
}

fn try_all(calls: Calls, printed: &mut String) -> Result<Outcome> {
    for call in calls {
        let (status, text) = process::shown(cargo().args(*call))?;
        printed.push_str(&text);
        if status.code() == Some(DID_NOT_RUN) {
            let reason = text.lines().rev().find_map(|line| line.split_once("DID NOT RUN: ")).map(|(_, reason)| reason);
            return Ok(Outcome::DidNotRun(reason.unwrap_or("it gives no reason").to_owned()));
        }
        if !status.success() {
            return Ok(Outcome::Failed);
        }
    }
    Ok(Outcome::Passed)
}

fn nothing(_: &str) -> String {
    String::new()
}

/// The last line that contains this.
fn last(text: &str, part: &str) -> String {
    text.lines().rev().find(|line| line.contains(part)).unwrap_or_default().trim().to_owned()
}

/// The number right before the last occurrence of this.
fn before(text: &str, part: &str) -> u64 {
    let number = |head: &str| head.rsplit(|character: char| !character.is_ascii_digit()).next()?.parse().ok();
    text.rfind(part).and_then(|position| number(&text[..position])).unwrap_or(0)
}

/// How many tests passed, over all that libtest printed.
fn passed(text: &str) -> u64 {
    text.lines().filter(|line| line.starts_with("test result:")).map(|line| before(line, " passed")).sum()
}

/// What nextest and rustdoc say.
fn tests(text: &str) -> String {
    let summary = last(text, " tests run: ");
    if summary.is_empty() {
        return format!("{} tests and examples", passed(text));
    }
    format!("{} tests, {} examples", before(&summary, " passed"), passed(text))
}

/// What the program says that it did, or how many tests of it passed.
fn chaos(text: &str) -> String {
    let tests = last(text, " run: ");
    if tests.is_empty() {
        format!("{} kills", before(text, " kills, "))
    } else {
        format!("{} tests", before(&tests, " passed"))
    }
}

/// The rows of all tables.
fn rows(text: &str) -> String {
    let totals = text.lines().filter(|line| line.contains(" more for later"));
    let (claimed, all) = totals.fold((0, 0), |(claimed, all), line| {
        let asked = line.split_once(" of ").map_or("", |(_, rest)| rest);
        (claimed + before(line, " of "), all + before(asked, " claimed"))
    });
    format!("{claimed} of {all} rows claimed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_found_in_what_was_printed() {
        let libtest = "test result: ok. 12 passed; 0 failed\nnoise 3 passed\ntest result: ok. 30 passed; 1 ignored\n";
        assert_eq!(passed(libtest), 42);
        let nextest = "     Summary [  85.1s] 1400 tests run: 1399 passed (2 slow), 1 failed, 0 skipped\n";
        assert_eq!(tests(&format!("{nextest}{libtest}")), "1399 tests, 42 examples");
        assert_eq!(tests(libtest), "42 tests and examples");
        let tables = "chip: 300 of 320 claimed (2 by a benchmark alone), 7 more for later\nflush: 10 of 11 claimed (0 by a benchmark alone), 0 more for later\n";
        assert_eq!(rows(tables), "310 of 331 rows claimed");
        assert_eq!(before("   10 Passed\n10000 seeds from 0: all", " seeds from"), 10_000);
        assert_eq!(last("3 of 4 mutations killed\nend", " mutations killed"), "3 of 4 mutations killed");
        assert_eq!((passed(""), rows("").as_str()), (0, "0 of 0 rows claimed"));
    }
}
