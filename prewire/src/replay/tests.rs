//! Goal: every recorded graph runs, on both chips, and its dependencies are inferred exactly; what cannot be replayed says why.

use super::*;
use crate::graph_format::RecordedGraph;
use crate::{Chip, Engine, Runtime};
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

fn recorded() -> &'static [(String, RecordedGraph)] {
    static GRAPHS: OnceLock<Vec<(String, RecordedGraph)>> = OnceLock::new();
    GRAPHS.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/graphs");
        let mut graphs = Vec::new();
        for entry in std::fs::read_dir(folder).expect("the recorded graphs are in the repository") {
            let path = entry.expect("the folder can be listed").path();
            if path.extension().is_some_and(|extension| extension == "xz") {
                let packed = std::fs::File::open(&path).expect("the file can be opened");
                let mut text = Vec::new();
                lzma_rust2::XzReader::new(BufReader::new(packed), false).read_to_end(&mut text).expect("it unpacks");
                let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
                graphs.push((name, RecordedGraph::read(&text[..]).expect("it is well formed")));
            }
        }
        assert_eq!(graphs.len(), 8);
        graphs
    })
}

/// The inference of `ReadAfterWrite` finds exactly the pairs that the recording runtime found, in the same ways, in every recorded graph.
#[test]
fn the_edges_of_every_recorded_graph_are_inferred_exactly() {
    let mut pairs = 0;
    for (name, graph) in recorded() {
        for chip in Chip::ALL {
            let edges = compare_edges(graph, &chip.spec()).unwrap_or_else(|error| panic!("{name}, {chip}: {error}"));
            let statistics = graph.statistics();
            assert_eq!(
                (edges.found as u64, edges.recorded as u64),
                (statistics.pairs, statistics.pairs),
                "{name}, {chip}"
            );
            assert!(edges.is_exact(), "{name}, {chip}: {edges:?}");
            pairs += edges.found;
        }
    }
    assert_eq!(pairs / 2, 750 + 4096 + 12_256 + 92 + 23_605 + 53 + 6);
}

/// A comparison that cannot fail would show nothing: a recorded edge taken out or put in is found.
#[test]
fn an_edge_too_few_and_an_edge_too_many_are_found() {
    let (_, graph) = recorded().iter().find(|(name, _)| name.starts_with("vector_example")).expect("it is there");
    let mut graph = graph.clone();
    let crate::graph_format::Event::Task(last) = graph.events.iter_mut().rev().nth(1).expect("it has tasks") else {
        panic!()
    };
    let task = last.index;
    let taken = last.edges.pop().expect("it has edges");
    last.edges.push(crate::graph_format::EdgeRecord { producer: 1, ..taken });
    let edges = compare_edges(&graph, &Chip::A2a3.spec()).expect("it can be inferred");
    assert!(!edges.is_exact());
    let pair = |edge: &ExtraEdge| (edge.producer, edge.consumer);
    assert_eq!(edges.missing.iter().map(pair).collect::<Vec<_>>(), [(1, task)]);
    assert_eq!(edges.extra.iter().map(pair).collect::<Vec<_>>(), [(taken.producer, task)]);
}

#[test]
fn every_recorded_graph_runs_and_runs_again() {
    for (name, graph) in recorded() {
        for chip in Chip::ALL {
            let mut runtime = Runtime::builder().platform(chip).build().expect("the settings are valid");
            let mut replay = Replay::new(&mut runtime, graph, KernelTimes::Empty).expect("there is memory");
            for _ in 0..2 {
                let mut last = 0;
                let run = runtime.run(|run| replay.submit_with(run, &mut |submitted| last = submitted));
                let report = run.unwrap_or_else(|error| panic!("{name}, {chip}: {error}"));
                assert_eq!(report.tasks, graph.statistics().tasks, "{name}, {chip}");
                assert_eq!((last, report.failed, report.unrun), (replay.tasks(), 0, 0), "{name}, {chip}");
            }
        }
    }
}

#[test]
fn kernels_take_the_time_that_they_are_given() {
    let (_, graph) = recorded().iter().find(|(name, _)| name.starts_with("vector_example")).expect("it is there");
    let mut graph = graph.clone();
    for kernel in graph.header.kernels.values_mut() {
        kernel.duration_ns = Some(2_000_000);
    }
    let shortest = |times: KernelTimes, engine: Engine| {
        let builder = Runtime::builder().clusters(2).engine(engine).record_trace(true);
        let mut runtime = builder.build().expect("the settings are valid");
        let mut replay = Replay::new(&mut runtime, &graph, times).expect("there is memory");
        let report = runtime.run(|run| replay.submit(run)).expect("nothing fails");
        let blocks = report.blocks.expect("they were recorded");
        assert_eq!(blocks.len(), 5);
        blocks.iter().map(|block| Duration::from_nanos(block.end_ns - block.start_ns)).min().expect("there are blocks")
    };
    for engine in [Engine::Inline, Engine::Threads] {
        assert!(shortest(KernelTimes::Recorded, engine) >= Duration::from_millis(2));
        assert!(shortest(KernelTimes::Fixed(Duration::from_micros(50)), engine) >= Duration::from_micros(50));
    }
}

#[test]
fn what_outlives_its_scope_is_made_outside_of_it_if_it_is_an_allocation() {
    let text = |owner: &str| {
        format!(
            concat!(
                r#"{{"format":1,"kernels":{{"0":["k","aiv"]}},"buffers":[[64,0],[64,0]]}}"#,
                "\n[\"S\",0]\n[\"S\",0]\n{}\n[\"E\"]\n",
                r#"["T",1,"K",1,[-1,0,-1],1,0,[[2,0,0,0,[16]]],[],[[0,3]],[[0,0,3,-1],[0,1,3,0]]]"#,
                "\n[\"E\"]\n",
                r#"["T",2,"K",0,[-1,0,-1],1,0,[[0,0,0,0,[8]]],[],[],[[0,1,3,0],[1,2,1,0]]]"#,
            ),
            owner
        )
    };
    let read = |owner| RecordedGraph::read(text(owner).as_bytes()).expect("it is well formed");
    let allocation = read(r#"["T",0,"A",2,[-1,-1,-1],1,0,[[1,0,0,0,[16]],[1,1,0,0,[16]]],[],[],[]]"#);
    let edges = compare_edges(&allocation, &Chip::A5.spec()).expect("it can be inferred");
    assert!(edges.is_exact() && edges.found == 3, "{edges:?}");
    let mut runtime = Runtime::builder().clusters(1).build().expect("the settings are valid");
    let mut replay = Replay::new(&mut runtime, &allocation, KernelTimes::Empty).expect("there is memory");
    assert_eq!(runtime.run(|run| replay.submit(run)).expect("nothing fails").tasks, 3);
    let kernel = read(r#"["T",0,"K",2,[-1,0,-1],1,0,[[1,0,0,0,[16]],[1,1,0,0,[16]]],[],[],[]]"#);
    let error = Replay::new(&mut runtime, &kernel, KernelTimes::Empty).expect_err("a kernel task cannot be moved");
    assert!(error.to_string().contains("task 1 uses buffer 0 of task 0 after the end of that task's scope"), "{error}");
}
