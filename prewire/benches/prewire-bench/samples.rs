//! Samples of the cases, taken in turn, and what becomes of them: a table and a file.

use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Something that is measured.
pub(crate) trait Case {
    /// Its group, such as `shape` or `window`, and its name within it.
    fn name(&self) -> (&'static str, String);

    /// Takes one sample, in nanoseconds per task. Ends the program if the result is wrong.
    fn sample(&mut self) -> f64;
}

/// The samples of all cases.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<(&'static str, String, Vec<f64>)>);

impl Samples {
    /// One round to warm up, then so many that count.
    pub(crate) fn take(cases: &mut [Box<dyn Case>], rounds: usize) -> Self {
        let mut samples = Samples::default();
        for case in cases.iter_mut() {
            case.sample();
            let (group, name) = case.name();
            samples.0.push((group, name, Vec::with_capacity(rounds)));
        }
        for round in 0..rounds {
            for (case, (.., values)) in cases.iter_mut().zip(&mut samples.0) {
                values.push(case.sample());
            }
            eprint!("\rround {} of {rounds}", round + 1);
        }
        eprintln!();
        samples
    }

    /// A Markdown table: median (min) of ns per task.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from("| ns per task | | median (min) |\n|---|---|---:|\n");
        for (group, name, values) in &self.0 {
            let (median, least) = median_and_least(values);
            text.push_str(&format!("| {group} | {name} | {median:.0} ({least:.0}) |\n"));
        }
        text
    }

    /// The names and medians of a group, in their order.
    pub(crate) fn medians(&self, group: &str) -> Vec<(&str, f64)> {
        let of_group = self.0.iter().filter(|(of, ..)| *of == group);
        of_group.map(|(_, name, values)| (name.as_str(), median_and_least(values).0)).collect()
    }

    /// Writes all samples to `target/bench`.
    pub(crate) fn write(&self, name: &str) -> std::io::Result<PathBuf> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
        let folder = target.join("bench");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.json"));
        let cases: Vec<_> = self
            .0
            .iter()
            .map(|(group, name, values)| {
                let (median, least) = median_and_least(values);
                json!({"group": group, "name": name, "unit": "ns per task", "median": median, "min": least, "samples": values})
            })
            .collect();
        fs::write(&path, format!("{:#}\n", json!({"cases": cases})))?;
        Ok(path)
    }
}

/// The median (of an even number, the mean of the middle two) and the least.
pub(crate) fn median_and_least(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
    (median, sorted[0])
}
