//! Who claims which row: ids in the documentation or the name of a test, and in C, C++ and Python programs that run as tests.

use anyhow::{Context, Result};

use super::results::Results;
use super::table::Tables;
use crate::rust_source;
use crate::tree::File;

/// A place in the sources that names a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) claimant: Claimant,
    /// `path:line`, for people.
    pub(crate) place: String,
}

/// Who stands behind a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claimant {
    /// A Rust test.
    Test(TestName),
    /// A program in another language, by its path; the test that runs it is named after the file.
    Program(String),
    /// A benchmark of this package.
    Benchmark { package: String },
}

/// Where nextest will have put a Rust test, as far as the place of its source tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestName {
    package: String,
    /// The integration test it belongs to, if it lies in `tests/`.
    target: Option<String>,
    /// Its modules and its name, joined by `::`.
    path: String,
    function: String,
}

/// What the last run says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// No test of that name ran.
    DidNotRun,
    Failed,
    Passed,
}

/// The folder of a package, from the root and without a closing slash, and its name.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) folder: String,
    pub(crate) package: String,
}

/// All claims in these files.
pub(crate) fn collect(files: &[File], homes: &[Home], tables: &Tables) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    for file in files {
        match file.extension() {
            "rs" => claims.extend(in_rust(file, homes, tables).with_context(|| format!("in {}", file.path))?),
            "c" | "cpp" | "py" => {
                for (index, line) in file.text.lines().enumerate() {
                    let claimant = Claimant::Program(file.path.clone());
                    let place = format!("{}:{}", file.path, index + 1);
                    claims.extend(tables.ids_in_text(line).into_iter().map(|id| Claim {
                        id,
                        claimant: claimant.clone(),
                        place: place.clone(),
                    }));
                }
            }
            _ => {}
        }
    }
    Ok(claims)
}

fn in_rust(file: &File, homes: &[Home], tables: &Tables) -> Result<Vec<Claim>> {
    let Some((package, place)) = home(&file.path, homes) else { return Ok(Vec::new()) };
    let mut claims = Vec::new();
    if place.starts_with("benches/") {
        for (index, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                claims.extend(tables.ids_in_text(line).into_iter().map(|id| Claim {
                    id,
                    claimant: Claimant::Benchmark { package: package.to_owned() },
                    place: format!("{}:{}", file.path, index + 1),
                }));
            }
        }
        return Ok(claims);
    }
    let (target, modules) = modules(place);
    // Taking a file to pieces is slow beside looking for an id in it.
    if tables.ids_in_text(&file.text).is_empty() && tables.ids_in_name(&file.text).is_empty() {
        return Ok(claims);
    }
    for function in rust_source::functions(&file.text)?.into_iter().filter(|function| function.may_be_test) {
        let mut ids = tables.ids_in_text(&function.documentation);
        ids.extend(tables.ids_in_name(&function.name));
        ids.sort();
        ids.dedup();
        let mut path = modules.clone();
        path.extend(function.modules.iter().cloned());
        path.push(function.name.clone());
        let test = TestName {
            package: package.to_owned(),
            target: target.clone(),
            path: path.join("::"),
            function: function.name.clone(),
        };
        claims.extend(ids.into_iter().map(|id| Claim {
            id,
            claimant: Claimant::Test(test.clone()),
            place: format!("{}:{}", file.path, function.line),
        }));
    }
    Ok(claims)
}

/// The package a file belongs to, and the file's path within it. The longest folder wins, as a package may lie inside another's.
fn home<'a>(path: &'a str, homes: &'a [Home]) -> Option<(&'a str, &'a str)> {
    homes
        .iter()
        .filter_map(|home| Some((home, path.strip_prefix(&home.folder)?.strip_prefix('/')?)))
        .max_by_key(|(home, _)| home.folder.len())
        .map(|(home, place)| (home.package.as_str(), place))
}

/// From a path within a package: the integration test it belongs to, if any, and the modules its place implies.
fn modules(place: &str) -> (Option<String>, Vec<String>) {
    let place = place.strip_suffix(".rs").unwrap_or(place);
    let mut parts: Vec<String> = place.split('/').map(str::to_owned).collect();
    let folder = parts.remove(0);
    if parts.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
        parts.pop();
    }
    if folder == "tests" && !parts.is_empty() {
        let target = parts.remove(0);
        return (Some(target), parts);
    }
    (None, parts)
}

/// What the run says of this claimant.
pub(crate) fn standing(claimant: &Claimant, results: &Results) -> Standing {
    match claimant {
        Claimant::Test(test) => of_test(test, results),
        Claimant::Program(path) => {
            let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or(path);
            of_matching(results, |_, name| name == path || name.rsplit("::").next() == Some(stem))
        }
        // Whether a benchmark exists is settled where the claims are counted: it has no result to look at.
        Claimant::Benchmark { .. } => Standing::DidNotRun,
    }
}

/// First by the exact path, which a parametrised test may continue; then, for functions that a macro or a `#[path]` puts elsewhere, by
/// the name alone, within the package. Every match must have passed.
fn of_test(test: &TestName, results: &Results) -> Standing {
    let in_package = |suite: &str| {
        suite.strip_prefix(&test.package).is_some_and(|rest| match &test.target {
            Some(target) => rest.strip_prefix("::") == Some(target.as_str()),
            None => rest.is_empty() || rest.starts_with("::bin/"),
        })
    };
    let exact = of_matching(results, |suite, name| {
        in_package(suite) && name.strip_prefix(&test.path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    });
    if exact != Standing::DidNotRun {
        return exact;
    }
    of_matching(results, |suite, name| {
        let same_package =
            suite.strip_prefix(&test.package).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        same_package && name.split("::").any(|part| part == test.function)
    })
}

fn of_matching(results: &Results, matches: impl Fn(&str, &str) -> bool) -> Standing {
    let mut standing = Standing::DidNotRun;
    for ran in results.ran.iter().filter(|ran| matches(&ran.suite, &ran.name)) {
        if !ran.passed {
            return Standing::Failed;
        }
        standing = Standing::Passed;
    }
    standing
}

#[cfg(test)]
mod tests {
    use super::super::results::Ran;
    use super::*;

    fn tables() -> Tables {
        let mut tables = Tables::default();
        tables.add("t", "heading\nAB-001\tx\ty\tz\nAB-002\tx\ty\tz\n").expect("the table is well formed");
        tables
    }

    fn claims(path: &str, text: &str) -> Vec<Claim> {
        let homes = [
            Home { folder: "core".into(), package: "core".into() },
            Home { folder: "core/inner".into(), package: "inner".into() },
        ];
        let file = File { path: path.into(), text: text.into() };
        collect(&[file], &homes, &tables()).expect("it is Rust")
    }

    fn results(ran: &[(&str, &str, bool)]) -> Results {
        let ran = ran.iter().map(|(suite, name, passed)| Ran {
            suite: (*suite).into(),
            name: (*name).into(),
            passed: *passed,
        });
        Results { ran: ran.collect(), written: None }
    }

    fn only(claims: &[Claim]) -> &Claimant {
        assert_eq!(claims.len(), 1, "{claims:?}");
        &claims[0].claimant
    }

    const DOCUMENTED: &str = "mod tests {\n/// Claims AB-001.\n#[test]\nfn works() {}\n}";

    #[test]
    fn a_unit_test_counts_when_it_passed_and_not_when_it_failed_or_did_not_run() {
        let found = claims("core/src/ring/push.rs", DOCUMENTED);
        let claimant = only(&found);
        assert_eq!(found[0].place, "core/src/ring/push.rs:4");
        let passed = results(&[("core", "ring::push::tests::works", true)]);
        assert_eq!(standing(claimant, &passed), Standing::Passed);
        let failed = results(&[("core", "ring::push::tests::works", false)]);
        assert_eq!(standing(claimant, &failed), Standing::Failed);
        assert_eq!(
            standing(claimant, &results(&[("core", "ring::push::tests::works_too", true)])),
            Standing::DidNotRun
        );
        assert_eq!(standing(claimant, &results(&[("other", "ring::push::tests::works", true)])), Standing::DidNotRun);
    }

    #[test]
    fn a_namesake_elsewhere_does_not_stand_in_when_the_test_itself_ran() {
        let found = claims("core/src/ring.rs", DOCUMENTED);
        let ran = results(&[("core", "other::tests::works", true), ("core", "ring::tests::works", false)]);
        assert_eq!(standing(only(&found), &ran), Standing::Failed);
    }

    #[test]
    fn every_case_of_a_parametrised_test_must_pass() {
        let found = claims("core/tests/chip.rs", "/// AB-001\n#[test_case(1)]\nfn works() {}");
        let one_failed = results(&[("core::chip", "works::case_1", true), ("core::chip", "works::case_2", false)]);
        assert_eq!(standing(only(&found), &one_failed), Standing::Failed);
        let all = results(&[("core::chip", "works::case_1", true), ("core::chip", "works::case_2", true)]);
        assert_eq!(standing(only(&found), &all), Standing::Passed);
    }

    #[test]
    fn a_test_that_a_macro_puts_into_a_module_is_found_by_its_name() {
        let found = claims("core/tests/chip/main.rs", "on_each_engine! {\n/// AB-002\nfn works() {}\n}");
        let ran = results(&[("core::chip", "inline::works", true), ("core::chip", "threads::works", true)]);
        assert_eq!(standing(only(&found), &ran), Standing::Passed);
    }

    #[test]
    fn names_claim_too_and_a_package_inside_another_is_its_own() {
        let found = claims("core/inner/src/lib.rs", "#[test]\nfn ab_002_and_more() {}");
        assert_eq!(found[0].id, "AB-002");
        let ran = results(&[("inner", "ab_002_and_more", true)]);
        assert_eq!(standing(only(&found), &ran), Standing::Passed);
        assert_eq!(standing(only(&found), &results(&[("core", "ab_002_and_more", true)])), Standing::DidNotRun);
    }

    #[test]
    fn a_program_counts_when_the_test_named_after_it_passed() {
        let found = claims("core/tests/c/misuse.c", "/* Claims AB-001. */\nint main(void) { return 0; }\n");
        assert_eq!(standing(only(&found), &results(&[("core::c", "programs::misuse", true)])), Standing::Passed);
        assert_eq!(standing(only(&found), &results(&[("core::c", "programs::use", true)])), Standing::DidNotRun);
    }

    #[test]
    fn comments_outside_of_documentation_claim_nothing_and_benchmarks_are_kept_apart() {
        assert!(claims("core/src/lib.rs", "// AB-001 needs more than this.\n#[test]\nfn works() {}").is_empty());
        assert!(claims("core/src/lib.rs", "/// As AB-001 wants it.\nfn no_test() {}").is_empty());
        let found = claims("core/benches/cost.rs", "//! Prints the ratio of AB-001.\nfn main() {}");
        assert_eq!(only(&found), &Claimant::Benchmark { package: "core".into() });
    }
}
