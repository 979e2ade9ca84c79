//! Goal: what real programs recorded reads back exactly and its own counts agree with ours; anything else is refused with its line and field.

use super::*;
use prewire_runtime_core::edge::EdgeFlags;
use std::io::{BufReader, Cursor};
use std::path::PathBuf;

fn recorded() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/graphs");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the recorded graphs are in the repository") {
        let path = entry.expect("the folder can be listed").path();
        if path.extension().is_some_and(|extension| extension == "xz") {
            let packed = std::fs::File::open(&path).expect("the file can be opened");
            let mut text = Vec::new();
            let mut reader = lzma_rust2::XzReader::new(BufReader::new(packed), false);
            std::io::Read::read_to_end(&mut reader, &mut text).expect("the file unpacks");
            files.push((path.file_name().expect("it has a name").to_string_lossy().into_owned(), text));
        }
    }
    assert_eq!(files.len(), 8);
    files
}

fn read(text: &str) -> Result<RecordedGraph, FormatError> {
    RecordedGraph::read(Cursor::new(text))
}

#[test]
fn recorded_graphs_read_count_and_round_trip() {
    for (name, text) in recorded() {
        let graph = RecordedGraph::read(&text[..]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let header: serde_json::Value =
            serde_json::from_slice(text.split(|&byte| byte == b'\n').next().expect("there is a line"))
                .expect("it is JSON");
        let counts = graph.statistics();
        let counted = |key: &str| header[key].as_u64().unwrap_or_else(|| panic!("{name} has {key}"));
        assert_eq!(counts.tasks, counted("tasks"), "{name}");
        assert_eq!(counts.scopes, counted("scopes"), "{name}");
        assert_eq!(counts.edges, counted("edges_annotated"), "{name}");
        assert_eq!(counts.pairs, counted("edges_unique_pairs"), "{name}");
        assert_eq!(counts.critical_path_tasks, counted("critical_path_tasks"), "{name}");
        assert_eq!(counts.fan_in_max, counted("max_fanin"), "{name}");
        assert_eq!(counts.fan_out_max, counted("max_fanout"), "{name}");
        assert_eq!(counts.subtasks, counted("subtasks_total"), "{name}");
        assert_eq!(counts.scope_depth_max, counted("max_scope_depth"), "{name}");
        for (kind, count) in &counts.kinds {
            assert_eq!(header["kinds"][kind].as_u64(), Some(*count), "{name}: {kind}");
        }
        let mut written = Vec::new();
        graph.write(&mut written).expect("memory takes everything");
        let again = RecordedGraph::read(&written[..]).unwrap_or_else(|error| panic!("{name}, written: {error}"));
        assert!(again == graph, "{name} differs after being written and read");
    }
}

const HEADER: &str = r#"{"format":1,"model":"m","case":"c","kernels":{"0":["MUL","aic"],"1":["ADD","aiv",1500]},"entry":[["a",0,0,[16]]],"buffers":[[64,-1],[64,0]]}"#;

fn with_lines(lines: &[&str]) -> String {
    let mut text = String::from(HEADER);
    for line in lines {
        text.push('\n');
        text.push_str(line);
    }
    text
}

#[test]
fn everything_the_format_knows_survives_a_round_trip() {
    let text = with_lines(&[
        r#"["T",0,"K",0,[0,1,-1],3,3,[[0,0,0,0,[4,2],[2,1]],[0,0,1,0,[3],[4]],[1,1,0,0,[16]],[4,0,0,2,[16],null,1]],[18446744073709551615,0],[],[]]"#,
        r#"["S",1]"#,
        r#"["T",1,"D",1,[-1,-1,-1],1,0,[[2,1,4,0,[4]]],[],[[0,1]],[[0,0,1,-1],[0,1,3,0]]]"#,
        r#"["T",2,"K",1,[-1,-1,1],1,4,[],[],[],[],[5,-7,0,2,2,[0,3]]]"#,
        r#"["E"]"#,
    ]);
    let graph = read(&text).expect("it is well formed");
    assert_eq!(graph.header.kernels[&1].duration_ns, Some(1500));
    let tasks: Vec<_> = graph.tasks().collect();
    assert_eq!(tasks[0].scalars, [u64::MAX, 0]);
    assert!(tasks[0].sync_start && tasks[0].early_resolve && tasks[0].blocks == 3);
    assert!(tasks[0].arguments[3].manual && !tasks[0].arguments[0].manual);
    assert_eq!(tasks[0].arguments[1].layout.strides(), [4]);
    assert_eq!(tasks[1].dependencies, [DependencyRecord { task: 0, flags: EdgeFlags::WAIT }]);
    assert_eq!(tasks[1].edges[1].source, EdgeSource::Creator);
    assert_eq!(tasks[2].predicate.as_ref().expect("it has one").target, -7);
    let mut written = Vec::new();
    graph.write(&mut written).expect("memory takes everything");
    assert_eq!(RecordedGraph::read(&written[..]).expect("it was written well"), graph);
}

#[test]
fn a_manual_mark_may_stand_right_behind_the_shape() {
    let text = with_lines(&[r#"["T",0,"D",0,[-1,-1,-1],1,0,[[0,0,0,0,[16],1],[1,1,0,0,[16]]],[],[],[]]"#]);
    assert!(read(&text).expect("it is well formed").tasks().next().expect("it has a task").arguments[0].manual);
}

/// Every malformed line is refused, and the message names the line, the field and the value.
#[test]
fn malformed_lines_are_named() {
    let task = |rest: &str| format!(r#"["T",0,{rest}]"#);
    let dummy = |arguments: &str, edges: &str| task(&format!(r#""D",0,[-1,-1,-1],1,0,{arguments},[],[],{edges}"#));
    let cases: Vec<(String, &str)> = vec![
        ("[1,".into(), "line 2: not a JSON value"),
        ("{}".into(), "line 2: event: {} is not an array"),
        ("[]".into(), "line 2: event: an empty array"),
        (r#"["X"]"#.into(), "\"X\" is none of"),
        (r#"["S",2]"#.into(), "line 2: mode: 2 is not a whole number from 0 to 1"),
        (r#"["S"]"#.into(), "line 2: event: 1 elements; mode is missing"),
        (r#"["E"]"#.into(), "line 2: scope: an end without a beginning"),
        (r#"["S",0]"#.into(), "file: it ends with 1 scopes open"),
        ("[\"S\",1]\n[\"S\",0]".into(), "line 3: mode: an automatic scope"),
        (r#"["T",1,"D",0,[-1,-1,-1],1,0,[],[],[],[]]"#.into(), "line 2: index: 1; tasks are numbered in order"),
        (task(r#""D",1,[-1,-1,-1],1,0,[],[],[],[]"#), "line 2: ring: 1; 0 open scopes mean ring 0"),
        (task(r#""Q",0,[-1,-1,-1],1,0,[],[],[],[]"#), "line 2: kind: \"Q\" is none of"),
        (task(r#""K",0,[-1,-1,-1],1,0,[],[],[],[]"#), "line 2: kernels: none, in a task"),
        (task(r#""D",0,[0,-1,-1],1,0,[],[],[],[]"#), "line 2: kernels: some, in a task that runs none"),
        (task(r#""K",0,[7,-1,-1],1,0,[],[],[],[]"#), "line 2: kernels[0]: kernel 7 is not in the header"),
        (task(r#""K",0,[1,-1,-1],1,0,[],[],[],[]"#), "line 2: kernels[0]: kernel 1 is for AIV cores and stands at AIC"),
        (task(r#""K",0,[0,-1],1,0,[],[],[],[]"#), "line 2: kernels: 2 elements; vector 1 is missing"),
        (task(r#""K",0,[0,-1,-1],0,0,[],[],[],[]"#), "line 2: blocks: 0 blocks"),
        (task(r#""K",0,[0,-1,-1],16777217,0,[],[],[],[]"#), "line 2: blocks: 16777217 is not"),
        (task(r#""K",0,[0,-1,-1],1,4,[],[],[],[]"#), "line 2: flags: 4: bit 2"),
        (task(r#""K",0,[0,-1,-1],1,9,[],[],[],[]"#), "line 2: flags: 9 is not"),
        (dummy("[[5,0,0,0,[16]]]", "[]"), "line 2: arguments[0].tag: 5 is not"),
        (dummy("[[0,9,0,0,[16]]]", "[]"), "line 2: arguments[0].buffer: buffer 9 is none"),
        (dummy("[[0,0,0,0,[17]]]", "[]"), "line 2: arguments[0].shape: it reaches to byte 68 of a buffer of 64"),
        (dummy("[[0,0,0,0,[1,1,1,1,1,1]]]", "[]"), "line 2: arguments[0].shape: 6 elements, and there may be 5"),
        (dummy("[[0,0,0,0,[4],[0]]]", "[]"), "line 2: arguments[0]: "),
        (dummy("[[0,0,0,99,[4]]]", "[]"), "line 2: arguments[0].data type: element type 99"),
        (dummy("[[0,0,0,0,[-4]]]", "[]"), "line 2: arguments[0].shape[0]: -4 is not"),
        (dummy("[[1,0,0,0,[16]]]", "[]"), "line 2: arguments[0].buffer: buffer 0 belongs to external memory"),
        (dummy("[[0,1,0,0,[16]]]", "[]"), "line 2: arguments[0].buffer: buffer 1 belongs to task 0"),
        (dummy("[[1,1,4,0,[4]]]", "[]"), "line 2: arguments[0].start: an output begins at 0"),
        (dummy("[]", "[[0,0,3,-1]]"), "line 2: edges[0].producer: 0 is no earlier task"),
        (dummy("[]", "[[0,3,3,-1]]"), "line 2: edges[0].source: 3 is not"),
        (task(r#""A",0,[-1,-1,-1],1,0,[[0,0,0,0,[4]]],[],[],[]"#), "line 2: arguments[0].tag: 0 in an allocation"),
        (task(r#""D",0,[-1,-1,-1],1,0,[],["x"],[],[]"#), "line 2: scalars[0]: \"x\" is not"),
        (task(r#""D",0,[-1,-1,-1],1,0,[],[],[[0,3]],[]"#), "line 2: dependencies[0].task: 0 is no earlier task"),
        (task(r#""D",0,[-1,-1,-1],1,0,[],[],[[0,0]],[]"#), "line 2: dependencies[0].flags: 0 is no dependency"),
        (
            task(r#""K",0,[0,-1,-1],1,4,[],[],[],[],[0,1,0,0,2,[0]]"#),
            "line 2: predicate.comparison: 0 compares nothing",
        ),
        (
            task(r#""K",0,[0,-1,-1],1,4,[],[],[],[],[1,1,0,15,2,[1]]"#),
            "line 2: predicate.indices: element 16 lies past",
        ),
        (
            task(r#""K",0,[0,-1,-1],1,4,[],[],[],[],[1,1,0,0,2,[1,0]]"#),
            "line 2: predicate.indices: only the last index",
        ),
    ];
    for (line, expected) in cases {
        let error = read(&with_lines(&[&line])).expect_err(&line);
        assert!(error.to_string().contains(expected), "{line}\n  says     {error}\n  expected {expected}");
    }
}

#[test]
fn malformed_headers_are_named() {
    let cases = [
        ("", "line 1: file: it is empty"),
        ("[]", "line 1: header: [] is not an object"),
        ("{}", "line 1: header: \"format\" is missing"),
        (r#"{"format":2}"#, "line 1: format: version 2 is not known; this program reads 1"),
        (r#"{"format":1,"buffers":[]}"#, "line 1: header: \"kernels\" is missing"),
        (r#"{"format":1,"kernels":{},"buffers":[[1]]}"#, "line 1: buffers[0]: 1 elements; producer is missing"),
        (r#"{"format":1,"kernels":{"x":["a","aic"]},"buffers":[]}"#, "line 1: kernels.x: \"x\" is no kernel number"),
        (r#"{"format":1,"kernels":{"1024":["a","aic"]},"buffers":[]}"#, "\"1024\" is no kernel number from 0 to 1023"),
        (r#"{"format":1,"kernels":{"1":["a","gpu"]},"buffers":[]}"#, "line 1: kernels.1.kind: \"gpu\" is neither"),
        (
            r#"{"format":1,"kernels":{},"buffers":[],"dtypes":["FLOAT99"]}"#,
            "line 1: dtypes[0]: \"FLOAT99\" is no element type",
        ),
        (
            r#"{"format":1,"kernels":{},"buffers":[],"entry":[["a",0,0,[1]]]}"#,
            "line 1: entry[0].buffer: buffer 0 is none",
        ),
        (
            r#"{"format":1,"kernels":{},"buffers":[],"tasks":3}"#,
            "file: it ends after 0 tasks and the header announces 3",
        ),
    ];
    for (text, expected) in cases {
        let error = read(text).expect_err(text);
        assert!(error.to_string().contains(expected), "{text}\n  says     {error}\n  expected {expected}");
    }
}

/// Bytes of a good file changed, dropped or doubled at random give a file or an error, and never anything else.
#[test]
fn damaged_files_never_panic() {
    let (_, text) = recorded().into_iter().min_by_key(|(_, text)| text.len()).expect("there are files");
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let interesting = b"0123456789-[]{},\"TSEKDA\n";
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut damaged = text.clone();
        for _ in 0..=random(3) {
            let at = random(damaged.len());
            match random(3) {
                0 => damaged[at] = interesting[random(interesting.len())],
                1 => drop(damaged.remove(at)),
                _ => damaged.insert(at, interesting[random(interesting.len())]),
            }
        }
        refused += usize::from(RecordedGraph::read(&damaged[..]).is_err());
    }
    assert!(refused > 10_000, "only {refused} of 20000 damaged files were refused");
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let endless = BufReader::with_capacity(1 << 16, std::io::repeat(b' '));
    let error = Reader::new(endless).expect_err("it never ends");
    assert!(error.to_string().contains("longer than 67108864 bytes"), "{error}");
}
