//! The example programs are right, everywhere.

#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../examples/matmul_add.rs"]
mod matmul_add;
#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../examples/paged_attention.rs"]
mod paged_attention;
#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../examples/pipeline.rs"]
mod pipeline;
#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../examples/scalar_data.rs"]
mod scalar_data;
#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../examples/vector.rs"]
mod vector;

use paged_attention::Variant;
use prewire::{Chip, Engine, Runtime};

/// Calls `body` with a runtime of each chip and engine, with rings of the default sizes and with windows of 16.
fn everywhere(body: impl Fn(&mut Runtime, &str)) {
    for chip in Chip::ALL {
        for engine in [Engine::Inline, Engine::Threads] {
            for window in [None, Some(16)] {
                let builder = Runtime::builder().platform(chip).engine(engine).record_graph(true);
                let builder = match window {
                    None => builder,
                    Some(window) => builder.ring_task_window(window),
                };
                let mut runtime = builder.build().expect("the settings are valid");
                body(&mut runtime, &format!("{chip}, {engine:?}, window {window:?}"));
            }
        }
    }
}

/// Claims CHIP-189 for the vector example: five tasks, six edges, and every element as computed here.
#[test]
fn vector_example() {
    everywhere(|runtime, place| {
        let report = vector::run(runtime).unwrap_or_else(|error| panic!("{place}: {error}"));
        let edges = report.graph.expect("it was recorded").pairs().len();
        assert_eq!((report.tasks, edges), (5, 6), "{place}");
    });
}

/// Claims CHIP-189 for scalar data.
#[test]
fn scalar_data_example() {
    everywhere(|runtime, place| {
        scalar_data::run(runtime).unwrap_or_else(|error| panic!("{place}: {error}"));
    });
}

/// Claims CHIP-189 for alternating products and sums and for the blocked product, within the tolerance that the example states.
#[test]
fn matmul_examples() {
    everywhere(|runtime, place| {
        let (report, _) = matmul_add::alternating(runtime).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(report.tasks, 32, "{place}");
        let (report, _) = matmul_add::blocked(runtime).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(report.tasks, 64, "{place}");
    });
}

/// Claims CHIP-189 for paged attention: one sequence, a batch of different lengths, several pages at once, many rounds on one runtime; the pool of
/// pages is a tensor of four dimensions.
#[test]
fn paged_attention_example() {
    everywhere(|runtime, place| {
        for variant in [
            Variant { batch: 1, unroll: 1, rounds: 1 },
            Variant { batch: 5, unroll: 1, rounds: 1 },
            Variant { batch: 5, unroll: 4, rounds: 1 },
            Variant { batch: 5, unroll: 2, rounds: 4 },
        ] {
            paged_attention::run(runtime, variant).unwrap_or_else(|error| panic!("{place}: {error}"));
        }
    });
}

/// Claims CHIP-189 for the pipeline of cores with barriers.
#[test]
fn pipeline_example() {
    everywhere(|runtime, place| {
        let (report, _) = pipeline::run(runtime).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(report.tasks, 6, "{place}");
    });
}
