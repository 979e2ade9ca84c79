//! Recorded graphs: any bytes are read or refused, and what was read is written and read again as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prewire::graph_format::RecordedGraph;

fuzz_target!(|bytes: &[u8]| {
    let graph = match RecordedGraph::read(bytes) {
        Ok(graph) => graph,
        Err(error) => return assert!(error.to_string().len() > 10, "a refusal says what is wrong: {error}"),
    };
    let mut written = Vec::new();
    graph.write(&mut written).expect("memory takes everything");
    let again = RecordedGraph::read(&written[..]).expect("what was written can be read");
    assert_eq!(again, graph);
});
