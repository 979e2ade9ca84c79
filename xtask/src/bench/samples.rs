//! Samples of the cost per task, as the peers print them, and the table made of them.

use std::collections::BTreeMap;

use serde_json::json;

use super::Plan;

/// The shapes, in the order of the table.
pub(super) const SHAPES: [&str; 4] = ["chain", "indep", "wave", "tree"];

/// What is pooled: a program, its variant, and a shape.
type Key = (String, String, String);

/// All samples of a run, in ns per task, from the first submit to the last completion.
#[derive(Debug, Default)]
pub(super) struct Samples {
    ns_per_task: BTreeMap<Key, Vec<f64>>,
    /// Programs and variants in the order in which they first appeared.
    order: Vec<(String, String)>,
}

impl Samples {
    /// Adds a line `peer,variant,shape,threads,tasks,rep,build,run,cpu`; says whether it was one.
    pub(super) fn add(&mut self, line: &str) -> bool {
        let fields: Vec<_> = line.trim().split(',').collect();
        let [peer, variant, shape, _threads, _tasks, _repetition, build, run, _cpu] = fields[..] else { return false };
        let (Ok(build), Ok(run)) = (build.parse::<f64>(), run.parse::<f64>()) else { return false };
        let program = (peer.to_owned(), variant.to_owned());
        if !self.order.contains(&program) {
            self.order.push(program);
        }
        self.ns_per_task.entry((peer.to_owned(), variant.to_owned(), shape.to_owned())).or_default().push(build + run);
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ns_per_task.is_empty()
    }

    /// Everything there is, for programs: the plan, each cell with its samples, and what is missing.
    pub(super) fn json(&self, plan: &Plan, skipped: &[String]) -> String {
        let cells = self.order.iter().flat_map(|(peer, variant)| {
            SHAPES.iter().filter_map(move |shape| {
                let key = (peer.clone(), variant.clone(), (*shape).to_owned());
                let samples = self.ns_per_task.get(&key)?;
                let (median, least) = median_and_minimum(samples)?;
                Some(json!({"peer": peer, "variant": variant, "shape": shape, "median": median, "min": least, "samples": samples}))
            })
        });
        let text = json!({
            "unit": "ns per task, from the first submit to the last completion",
            "rounds": plan.rounds,
            "repetitions": plan.repetitions,
            "threads": plan.threads,
            "cells": cells.collect::<Vec<_>>(),
            "skipped": skipped,
        });
        format!("{text:#}\n")
    }

    /// A Markdown table: median (min) of ns per task, build and run.
    pub(super) fn table(&self) -> String {
        let mut text = format!("| ns per task: median (min) | variant | {} |\n|---|---|", SHAPES.join(" | "));
        text.push_str(&"---:|".repeat(SHAPES.len()));
        text.push('\n');
        for (peer, variant) in &self.order {
            let cell = |shape: &&str| {
                let key = (peer.clone(), variant.clone(), (*shape).to_owned());
                let samples = self.ns_per_task.get(&key).map_or(&[][..], Vec::as_slice);
                median_and_minimum(samples)
                    .map_or_else(String::new, |(median, minimum)| format!("{median:.0} ({minimum:.0})"))
            };
            let cells: Vec<_> = SHAPES.iter().map(cell).collect();
            text.push_str(&format!("| {peer} | {variant} | {} |\n", cells.join(" | ")));
        }
        let counts: Vec<_> = self.ns_per_task.values().map(Vec::len).collect();
        if let (Some(fewest), Some(most)) = (counts.iter().min(), counts.iter().max()) {
            text.push_str(&format!("\nsamples in each cell: {fewest} to {most}\n"));
        }
        text
    }
}

/// The median (of an even number, the mean of the middle two) and the minimum; nothing of nothing.
fn median_and_minimum(samples: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let minimum = *sorted.first()?;
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
    Some((median, minimum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_pooled_by_program_and_shape() {
        let mut samples = Samples::default();
        for line in [
            "prewire,full,chain,2,100000,0,0,40,80",
            "prewire,full,chain,2,100000,1,0,36,80",
            "tbb,flow,tree,2,9,0,10,90.5,1",
        ] {
            assert!(samples.add(line), "{line}");
        }
        let table = samples.table();
        assert!(table.contains("| prewire | full | 38 (36) |  |  |  |"), "{table}");
        assert!(table.contains("| tbb | flow |  |  |  | 100 (100) |"), "{table}");
        assert!(table.contains("samples in each cell: 1 to 2"), "{table}");
    }

    #[test]
    fn the_file_holds_every_sample_and_what_is_missing() {
        let mut samples = Samples::default();
        samples.add("prewire,full,chain,2,100000,0,0,40,80");
        samples.add("prewire,full,chain,2,100000,1,0,36,80");
        let plan = Plan { folder: std::path::PathBuf::new(), rounds: 1, repetitions: 2, threads: 2 };
        let text = samples.json(&plan, &["starpu cannot be built".to_owned()]);
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let expected = json!([{"peer": "prewire", "variant": "full", "shape": "chain", "median": 38.0, "min": 36.0, "samples": [40.0, 36.0]}]);
        assert_eq!(value["cells"], expected);
        assert_eq!((&value["rounds"], &value["skipped"][0]), (&json!(1), &json!("starpu cannot be built")));
    }

    #[test]
    fn other_lines_are_refused() {
        let mut samples = Samples::default();
        assert!(!samples.add("peer,variant,shape,threads,tasks,rep,build,run,cpu"));
        assert!(!samples.add("warming up"));
        assert!(samples.is_empty());
    }

    #[test]
    fn medians() {
        assert_eq!(median_and_minimum(&[3.0, 1.0, 2.0]), Some((2.0, 1.0)));
        assert_eq!(median_and_minimum(&[4.0, 1.0]), Some((2.5, 1.0)));
        assert_eq!(median_and_minimum(&[]), None);
    }
}
