//! Dependencies between our own crates point one way only, and each crate has the ones that the map in ARCHITECTURE.md gives it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Complaint;
use crate::tree::File;

/// Each crate by its folder, and the crates that it may stand on. What a crate needs only for its tests is not held against it.
const ALLOWED: &[(&str, &[&str])] = &[
    ("runtime-core", &[]),
    ("orchestrator", &["runtime-core"]),
    ("scheduler", &["runtime-core"]),
    ("platform-sim", &["runtime-core"]),
    ("platform-a2a3", &["runtime-core", "platform-sim"]),
    ("platform-a5", &["runtime-core", "platform-sim"]),
    ("platform-host", &["runtime-core"]),
    ("gpu-flush", &[]),
    (
        "prewire",
        &[
            "runtime-core",
            "orchestrator",
            "scheduler",
            "platform-sim",
            "platform-a2a3",
            "platform-a5",
            "platform-host",
            "gpu-flush",
        ],
    ),
    ("ffi", &["prewire", "gpu-flush"]),
    ("pause-tests", &[]),
    ("xtask", &[]),
];

#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
    #[serde(default)]
    target: BTreeMap<String, Conditional>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// What stands under `[target.'cfg(…)']`.
#[derive(Deserialize)]
struct Conditional {
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
}

pub(super) fn check(files: &[File]) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    for file in files {
        let Some(folder) = file.path.strip_suffix("/Cargo.toml") else { continue };
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == folder) else { continue };
        let manifest: Manifest = toml::from_str(&file.text).with_context(|| format!("in {}", file.path))?;
        let named = manifest.package.map(|package| package.name).unwrap_or_default();
        let expected = package_name(folder);
        if named != expected {
            complaints.push(Complaint::about(
                &file.path,
                format!("the package is called {named}; by its folder it is {expected}"),
            ));
        }
        let conditional = manifest.target.values().flat_map(|conditional| conditional.dependencies.keys());
        for dependency in manifest.dependencies.keys().chain(conditional) {
            let Some((below, _)) = ALLOWED.iter().find(|(name, _)| package_name(name) == *dependency) else { continue };
            if !allowed.contains(below) {
                let text =
                    format!("{folder} must not depend on {below}; the map in ARCHITECTURE.md says who stands on whom");
                complaints.push(Complaint::about(&file.path, text));
            }
        }
    }
    Ok(complaints)
}

/// The name of the package in a folder.
fn package_name(folder: &str) -> String {
    if folder == "prewire" { folder.to_owned() } else { format!("prewire-{folder}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    fn complaints(folder: &str, manifest: &str) -> Vec<Complaint> {
        check(&[file(&format!("{folder}/Cargo.toml"), manifest)]).expect("it is a manifest")
    }

    #[test]
    fn the_orchestrator_and_the_scheduler_do_not_know_each_other() {
        let manifest =
            "[package]\nname = \"prewire-scheduler\"\n[dependencies]\nprewire-runtime-core.workspace = true\n";
        assert!(complaints("scheduler", manifest).is_empty());
        let both = format!("{manifest}prewire-orchestrator.workspace = true\n");
        assert!(complaints("scheduler", &both)[0].text.contains("scheduler must not depend on orchestrator"));
        let conditional =
            format!("{manifest}[target.'cfg(unix)'.dependencies]\nprewire = {{ path = \"../prewire\" }}\n");
        assert_eq!(complaints("scheduler", &conditional).len(), 1);
        let for_tests = format!("{manifest}[dev-dependencies]\nprewire-orchestrator.workspace = true\n");
        assert!(complaints("scheduler", &for_tests).is_empty());
    }

    #[test]
    fn a_package_is_named_after_its_folder() {
        assert!(complaints("scheduler", "[package]\nname = \"dispatcher\"\n")[0].text.contains("prewire-scheduler"));
        assert!(complaints("prewire", "[package]\nname = \"prewire\"\n").is_empty());
    }

    #[test]
    fn the_map_has_no_circle() {
        // Each crate stands only on crates that come before it in the list.
        for (index, (folder, below)) in ALLOWED.iter().enumerate() {
            for name in *below {
                assert!(ALLOWED[..index].iter().any(|(earlier, _)| earlier == name), "{folder} stands on {name}");
            }
        }
    }
}
