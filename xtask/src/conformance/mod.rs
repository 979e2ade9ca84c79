//! `cargo xtask conformance`: which rows of the tables are claimed by a test that ran and passed.

mod claims;
mod results;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use self::claims::{Claim, Claimant, Home, Standing};
use self::results::Results;
use self::table::{Row, Tables};
use crate::outcome::Outcome;
use crate::tree;
use crate::workspace::{self, Workspace};

pub(crate) const USAGE: &str = "\
Counts the rows of the conformance tables that a passing test claims, area by area.
A test claims a row by naming its id in its doc comment or its name. What counts is the last full run (`cargo xtask test`), and that of the long tests, if
`cargo xtask verify` has run them.
An id that no table has fails the command.

    --tables DIR     the folder with the *.tsv   [default: ../shared/conformance]
    --results FILE   the JUnit file of the run   [default: target/nextest/ci/junit.xml]
    --open           list the open rows
    --claims         list who claims what, and how it stands";

struct Options {
    tables: PathBuf,
    results: Option<PathBuf>,
    list_open: bool,
    list_claims: bool,
}

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let mut options = Options {
        tables: workspace::root().join("../shared/conformance"),
        results: None,
        list_open: false,
        list_claims: false,
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("tables") => options.tables = arguments.value()?.into(),
            Long("results") => options.results = Some(arguments.value()?.into()),
            Long("open") => options.list_open = true,
            Long("claims") => options.list_claims = true,
            _ => return Err(argument.unexpected().into()),
        }
    }
    count(&options)
}

fn count(options: &Options) -> Result<Outcome> {
    if !options.tables.is_dir() {
        let reason = format!("no tables at {}; name their folder with --tables DIR", options.tables.display());
        return Ok(Outcome::DidNotRun(reason));
    }
    let tables = Tables::read(&options.tables)?;
    let workspace = Workspace::load()?;
    let files = tree::files(workspace.root())?;
    let claims = claims::collect(&files, &homes(&workspace)?, &tables)?;

    let unknown: Vec<_> = claims.iter().filter(|claim| tables.row(&claim.id).is_none()).collect();
    for claim in &unknown {
        say!("{}: no table has the row {}", claim.place, claim.id);
    }

    let results = read_results(options, &workspace)?;
    if let Some(newer) = results.first_newer(files.iter().map(|file| workspace.root().join(&file.path))) {
        say!("note: {} has changed since the run of the tests; `cargo xtask test` renews it", newer.display());
    }
    let report = Report::new(&tables, &claims, &results, &workspace);
    if options.list_claims {
        report.print_claims(&claims);
    }
    report.print_areas();
    if options.list_open {
        report.print_open();
    }
    Ok(Outcome::from_success(unknown.is_empty()))
}

fn read_results(options: &Options, workspace: &Workspace) -> Result<Results> {
    // Nextest keeps its records there wherever cargo builds.
    let records = workspace.root().join("target/nextest");
    let path = options.results.clone().unwrap_or_else(|| records.join("ci/junit.xml"));
    if !path.is_file() {
        bail!("there is no run of the tests at {}; `cargo xtask test` makes one", path.display());
    }
    let mut results = Results::read(&path)?;
    let long = records.join("long/junit.xml");
    if options.results.is_none() && long.is_file() {
        results.extend(Results::read(&long)?);
    }
    let passed = results.ran.iter().filter(|ran| ran.passed).count();
    say!("{passed} of {} tests passed in {}", results.ran.len(), path.display());
    Ok(results)
}

fn homes(workspace: &Workspace) -> Result<Vec<Home>> {
    let home = |package: &workspace::Package| {
        let folder =
            package.folder().strip_prefix(workspace.root()).context("a member lies outside of the workspace")?;
        Ok(Home { folder: slashed(folder), package: package.name.clone() })
    };
    workspace.packages().iter().map(home).collect()
}

fn slashed(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// How the rows stand, with all claims taken together.
struct Report<'a> {
    tables: &'a Tables,
    standings: Vec<Standing>,
    by_test: BTreeSet<&'a str>,
    by_benchmark: BTreeSet<&'a str>,
    failing: BTreeSet<&'a str>,
}

impl<'a> Report<'a> {
    /// A row is claimed when a test that names it passed and none that names it failed, or when it speaks of a time or a ratio and a
    /// benchmark of the workspace names it.
    fn new(tables: &'a Tables, claims: &'a [Claim], results: &Results, workspace: &Workspace) -> Self {
        let standings: Vec<_> = claims.iter().map(|claim| claims::standing(&claim.claimant, results)).collect();
        let having = |wanted: Standing| {
            let matching = claims.iter().zip(&standings).filter(move |(_, standing)| **standing == wanted);
            matching.map(|(claim, _)| claim.id.as_str()).collect::<BTreeSet<_>>()
        };
        let failing = having(Standing::Failed);
        let by_test = having(Standing::Passed).difference(&failing).copied().collect();
        let benchmarked = |claim: &&Claim| match &claim.claimant {
            Claimant::Benchmark { package } => {
                let exists = workspace.package(package).is_some_and(|package| package.has_kind("bench"));
                exists && tables.row(&claim.id).is_some_and(Row::is_measured)
            }
            _ => false,
        };
        let by_benchmark = claims.iter().filter(benchmarked).map(|claim| claim.id.as_str()).collect();
        Self { tables, standings, by_test, by_benchmark, failing }
    }

    fn is_claimed(&self, row: &Row) -> bool {
        self.by_test.contains(row.id.as_str())
            || (self.by_benchmark.contains(row.id.as_str()) && !self.failing.contains(row.id.as_str()))
    }

    fn print_areas(&self) {
        // Per table, per area: claimed, failing, all.
        let mut areas: BTreeMap<(&str, &str), (usize, usize, usize)> = BTreeMap::new();
        for row in self.tables.rows() {
            let (claimed, failing, all) = areas.entry((&row.table, &row.area)).or_default();
            *claimed += usize::from(self.is_claimed(row));
            *failing += usize::from(self.failing.contains(row.id.as_str()));
            *all += 1;
        }
        let mut table_before = "";
        for ((table, area), (claimed, failing, all)) in &areas {
            if *table != table_before {
                say!("{:34}{:>8}{:>8}{:>8}", format!("\n{table}"), "claimed", "open", "of");
                table_before = table;
            }
            let failing = if *failing > 0 { format!("  {failing} named by a failing test") } else { String::new() };
            say!("  {area:31}{claimed:8}{:8}{all:8}{failing}", all - claimed);
        }
        say!("");
        for table in self.tables.rows().map(|row| row.table.as_str()).collect::<BTreeSet<_>>() {
            let rows: Vec<_> = self.tables.rows().filter(|row| row.table == table).collect();
            let asked: Vec<_> = rows.iter().filter(|row| !row.is_later()).collect();
            let claimed = asked.iter().filter(|row| self.is_claimed(row)).count();
            let measured =
                asked.iter().filter(|row| self.is_claimed(row) && !self.by_test.contains(row.id.as_str())).count();
            let later = rows.len() - asked.len();
            say!(
                "{table}: {claimed} of {} claimed ({measured} by a benchmark alone), {later} more for later",
                asked.len()
            );
        }
    }

    fn print_open(&self) {
        say!("\nopen:");
        for row in self.tables.rows().filter(|row| !row.is_later() && !self.is_claimed(row)) {
            let short: String = row.behaviour.chars().take(100).collect();
            say!("  {} [{}] {short}", row.id, row.area);
        }
    }

    fn print_claims(&self, claims: &[Claim]) {
        let mut lines: Vec<_> = claims
            .iter()
            .zip(&self.standings)
            .map(|(claim, standing)| (&claim.id, &claim.place, claim, standing))
            .collect();
        lines.sort_by_key(|(id, place, ..)| (*id, *place));
        for (id, place, claim, standing) in lines {
            let standing = match (&claim.claimant, standing) {
                (Claimant::Benchmark { .. }, _) => "benchmark",
                (_, Standing::Passed) => "passed",
                (_, Standing::Failed) => "FAILED",
                (_, Standing::DidNotRun) => "did not run",
            };
            say!("  {id} {standing:12} {place}");
        }
        say!("");
    }
}
