//! The graph of a real model: one decode step of Qwen3-14B, 11 166 tasks.

use crate::machine::builder;
use crate::options::Options;
use crate::samples::Case;
use prewire::Runtime;
use prewire::graph_format::RecordedGraph;
use prewire::replay::{KernelTimes, Replay};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Instant;

struct Model {
    name: &'static str,
    runtime: Runtime,
    replay: Replay,
}

impl Case for Model {
    fn name(&self) -> (&'static str, String) {
        ("model", self.name.into())
    }

    fn sample(&mut self) -> f64 {
        let Model { name, runtime, replay } = self;
        let tasks = replay.tasks();
        let start = Instant::now();
        let report = runtime.run(|run| replay.submit(run)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let elapsed = start.elapsed();
        assert_eq!(report.completed, report.tasks, "{name}: not every task ended");
        elapsed.as_nanos() as f64 / tasks as f64
    }
}

/// The recorded graphs of models.
pub(crate) fn cases(options: &Options) -> Vec<Box<dyn Case>> {
    let files = [
        ("Qwen3-14B decode step", "qwen3_14b_decode.StressBatch16Seq3500"),
        ("paged attention, batch 32", "paged_attention.Case1_batch32"),
    ];
    let case = |(name, file): (&'static str, &str)| -> Box<dyn Case> {
        let graph = read(file);
        let mut runtime = builder(options).build().unwrap_or_else(|error| panic!("{name}: {error}"));
        let replay =
            Replay::new(&mut runtime, &graph, KernelTimes::Empty).unwrap_or_else(|error| panic!("{name}: {error}"));
        Box::new(Model { name, runtime, replay })
    };
    files.into_iter().map(case).collect()
}

fn read(file: &str) -> RecordedGraph {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/graphs").join(format!("{file}.jsonl.xz"));
    let packed = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = Vec::new();
    lzma_rust2::XzReader::new(BufReader::new(packed), false).read_to_end(&mut text).expect("it unpacks");
    RecordedGraph::read(&text[..]).expect("it is well formed")
}
