//! The part of deny.toml that decides whether we may use a dependency at all, checked without cargo-deny: its licence, and where it comes from.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;
use crate::workspace::{cargo, root};

/// The one registry that deny.toml lets sources come from, as cargo names it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What is read of deny.toml.
#[derive(Deserialize)]
struct Configuration {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// Licences that are accepted for one crate only.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: BTreeSet<String>,
}

/// What is read of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// One sentence for each dependency that deny.toml does not accept, and how many were looked at.
pub(super) fn check() -> Result<(Vec<String>, usize)> {
    let path = root().join("deny.toml");
    let configuration = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let configuration = toml::from_str(&configuration).with_context(|| format!("in {}", path.display()))?;
    let (mut found, mut packages) = (BTreeSet::new(), BTreeSet::new());
    for manifest in super::MANIFESTS {
        let arguments = ["metadata", "--format-version=1", "--all-features", "--manifest-path", manifest];
        let metadata = process::output(cargo().args(arguments))?;
        let metadata: Metadata =
            serde_json::from_str(&metadata).context("cannot read what `cargo metadata` printed")?;
        found.extend(complaints(&configuration, &metadata));
        packages.extend(metadata.packages.iter().map(|package| format!("{} {}", package.name, package.version)));
    }
    Ok((found.into_iter().collect(), packages.len()))
}

fn complaints(configuration: &Configuration, metadata: &Metadata) -> Vec<String> {
    let mut complaints = Vec::new();
    for package in &metadata.packages {
        let name = format!("{} {}", package.name, package.version);
        if package.source.as_ref().is_some_and(|source| source != REGISTRY) {
            complaints.push(format!(
                "{name} comes from {}, not from crates.io",
                package.source.as_deref().unwrap_or_default()
            ));
        }
        let Some(license) = &package.license else {
            complaints.push(format!("{name} names no licence"));
            continue;
        };
        let Ok(expression) = spdx::Expression::parse_mode(license, spdx::ParseMode::LAX) else {
            complaints.push(format!("{name}: {license:?} is no licence expression"));
            continue;
        };
        let accepted = expression.evaluate(|requirement| {
            let requirement = requirement.to_string();
            let excepted =
                |exception: &Exception| exception.name == package.name && exception.allow.contains(&requirement);
            configuration.licenses.allow.contains(&requirement)
                || configuration.licenses.exceptions.iter().any(excepted)
        });
        if !accepted {
            complaints.push(format!("{name}: {license} is not among the licences that deny.toml accepts"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(license: Option<&str>, source: Option<&str>) -> Vec<String> {
        let text = "[licenses]\nallow = [\"MIT\", \"Apache-2.0 WITH LLVM-exception\"]\nexceptions = [{ crate = \"rare\", allow = [\"MPL-2.0\"] }]\n";
        let configuration = toml::from_str(text).expect("it is well formed");
        let package = |name: &str| Package {
            name: name.into(),
            version: "1.0.0".into(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
        };
        complaints(&configuration, &Metadata { packages: vec![package("common"), package("rare")] })
    }

    #[test]
    fn expressions_are_understood() {
        for accepted in
            ["MIT", "MIT/GPL-3.0", "GPL-3.0-only OR MIT", "Apache-2.0 WITH LLVM-exception", "MIT AND (MIT OR ISC)"]
        {
            assert!(complaints_about(Some(accepted), Some(REGISTRY)).is_empty(), "{accepted}");
        }
        for refused in ["GPL-3.0-only", "MIT AND ISC", "Apache-2.0", "whatever"] {
            assert_eq!(complaints_about(Some(refused), Some(REGISTRY)).len(), 2, "{refused}");
        }
    }

    #[test]
    fn an_exception_is_for_its_crate_alone() {
        let complaints = complaints_about(Some("MPL-2.0"), None);
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].starts_with("common 1.0.0: MPL-2.0"), "{complaints:?}");
    }

    #[test]
    fn no_licence_and_another_source_are_named() {
        assert!(complaints_about(None, None)[0].contains("names no licence"));
        assert!(complaints_about(Some("MIT"), Some("git+https://example.org/x"))[0].contains("example.org"));
    }
}
