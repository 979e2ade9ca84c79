//! The program as its users see it: what it prints, what it writes, and how it ends.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program, in an environment without settings.
fn prewire(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prewire"));
    command.args(arguments).stdin(Stdio::null());
    for setting in prewire::settings::SETTINGS {
        command.env_remove(setting.environment);
    }
    command
}

fn output(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    (status.code().expect("no signal ends it"), text(stdout), text(stderr))
}

/// A path for a file of this test.
fn temporary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

fn recorded(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/graphs").join(format!("{name}.jsonl.xz"));
    let packed = std::fs::File::open(path).expect("it is in the repository");
    let mut text = Vec::new();
    lzma_rust2::XzReader::new(std::io::BufReader::new(packed), false).read_to_end(&mut text).expect("it unpacks");
    text
}

/// Runs `replay -` with this on its standard input.
fn replay(text: &[u8], arguments: &[&str]) -> (i32, String, String) {
    let mut command = prewire(&["replay", "-"]);
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A program that refuses the beginning does not read the end.
    let _closed = stdin.write_all(text);
    drop(stdin);
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
    (status.code().expect("no signal ends it"), text(stdout), text(stderr))
}

/// Every workload passes on both platforms and engines, with a report of everything asked for and nothing on standard error.
#[test]
fn workloads_pass_and_report() {
    let workloads: [&[&str]; 3] = [
        &["attention", "--heads", "2", "--queries", "64", "--keys", "64", "--head-size", "32", "--tile", "32"],
        &["cholesky", "--size", "96", "--tile", "32"],
        &["gemm", "--rows", "64", "--columns", "64", "--inner", "64", "--tile", "32", "--panel", "32"],
    ];
    for workload in workloads {
        for platform in ["a2a3", "a5"] {
            for engine in ["inline", "threads"] {
                let mut command = prewire(&["run", "--platform", platform, "--engine", engine, "--seed", "5"]);
                let (code, stdout, stderr) = output(command.args(workload));
                assert_eq!((code, stderr.as_str()), (0, ""), "{workload:?}, {platform}, {engine}: {stdout}");
                for expected in [
                    "PASS, error ",
                    " allowed",
                    "tasks ",
                    "makespan ",
                    "in use      AIC ",
                    "AIV ",
                    "kernels ",
                    "rings ",
                    "edges",
                    platform,
                    engine,
                ] {
                    assert!(stdout.contains(expected), "{workload:?}: no '{expected}' in\n{stdout}");
                }
                assert!(!stdout.contains('\x1b'), "{workload:?}: a terminal's codes in a pipe");
            }
        }
    }
}

/// In virtual time the report says how good the schedule was, and one seed gives one output, trace included.
#[test]
fn virtual_time_gives_the_same_bytes_again() {
    let (path, other) = (temporary("virtual.json"), temporary("virtual-again.json"));
    let run = |seed: &str, path: &Path| {
        let machine = ["--engine", "virtual", "--clusters", "8", "--schedulers", "2", "--seed", seed];
        let mut command = prewire(&["run", "cholesky", "--size", "96", "--tile", "16", "--trace"]);
        let (code, stdout, stderr) = output(command.arg(path).args(machine));
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        let trace = std::fs::read(path).expect("it was written");
        std::fs::remove_file(path).expect("it was written");
        // The last line names the file.
        let said = stdout.lines().filter(|line| !line.starts_with("trace")).collect::<Vec<_>>().join("\n");
        (said, trace)
    };
    let (said, trace) = run("3", &path);
    for expected in ["PASS", "8 clusters", "engine virtual, seed 3", "bound ", "overhead    AIC ", "either "] {
        assert!(said.contains(expected), "no '{expected}' in\n{said}");
    }
    assert_eq!(run("3", &other), (said, trace.clone()));
    assert_ne!(run("4", &other).1, trace);

    let graph = recorded("benchmark_bgemm.Case0");
    let replays = [(); 2].map(|()| replay(&graph, &["--engine", "virtual", "--seed", "5", "--platform", "a5"]));
    assert_eq!(replays[0].0, 0, "{}", replays[0].2);
    assert!(replays[0].1.contains("bound ") && replays[0].1.contains("seed 5"), "{}", replays[0].1);
    assert_eq!(replays[0], replays[1]);
}

#[test]
fn a_trace_is_written_and_names_the_kernels() {
    let path = temporary("trace.json");
    let small = ["run", "cholesky", "--size", "64", "--tile", "16", "--trace"];
    let (code, stdout, _) = output(prewire(&small).arg(&path));
    assert_eq!(code, 0, "{stdout}");
    let text = std::fs::read(&path).expect("it was written");
    std::fs::remove_file(&path).expect("it was written");
    let trace: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    let events = trace["traceEvents"].as_array().expect("it has events");
    let count = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
    // Four diagonal tiles, six below them, and two tasks for each of ten differences.
    assert_eq!(count("X"), 4 + 6 + 2 * 10);
    assert!(count("s") > 0 && count("s") == count("f"));
    assert!(
        events
            .iter()
            .any(|event| event["name"].as_str().is_some_and(|name| name.starts_with("multiply transposed(r1t")))
    );
}

#[test]
fn results_go_out_and_come_in_as_npy() {
    let (l, again) = (temporary("l.npy"), temporary("again.npy"));
    let (code, ..) =
        output(prewire(&["run", "gemm", "--rows", "24", "--inner", "40", "--columns", "16", "--output"]).arg(&l));
    assert_eq!(code, 0);
    // A 24 x 16 matrix as A of the next product.
    let (code, stdout, stderr) =
        output(prewire(&["run", "gemm", "--columns", "8", "--input"]).arg(&l).arg("-o").arg(&again));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("24 x 16 by 16 x 8") && stdout.contains("PASS"), "{stdout}");
    let (code, _, stderr) = output(prewire(&["run", "cholesky", "--input"]).arg(&again));
    assert_eq!(code, 4);
    assert!(stderr.contains("24 x 8 is not square"), "{stderr}");
    std::fs::remove_file(l).expect("it was written");
    std::fs::remove_file(again).expect("it was written");
}

/// The graph of a real model through a pipe: all its tasks run, and exactly its edges are found.
#[test]
fn a_recorded_model_replays_with_its_edges() {
    let (code, stdout, stderr) = replay(&recorded("qwen3_14b_decode.StressBatch16Seq3500"), &["--check-edges"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    for expected in ["11166 tasks", "PASS: 23605 found, 23605 recorded, 0 missing, 0 extra"] {
        assert!(stdout.contains(expected), "no '{expected}' in\n{stdout}");
    }
}

#[test]
fn edges_that_differ_are_listed_and_fail_the_check() {
    let text = String::from_utf8(recorded("vector_example.default")).expect("it is text");
    let other = text.replace("[[1,1,3,0],[2,1,3,1]]", "[[1,1,3,0],[0,1,3,1]]");
    assert_ne!(text, other);
    let (code, stdout, _) = replay(other.as_bytes(), &["--check-edges", "--platform", "a5", "--kernel-us", "20"]);
    assert_eq!(code, 1, "{stdout}");
    for expected in [
        "FAIL: 6 found, 6 recorded, 1 missing, 1 extra",
        "missing: task 0 before task 3",
        "extra: task 2 before task 3",
        "makespan",
    ] {
        assert!(stdout.contains(expected), "no '{expected}' in\n{stdout}");
    }
}

#[test]
fn what_is_recorded_replays() {
    for timed in [false, true] {
        let mut command = prewire(&["record", "cholesky", "--size", "64", "--tile", "16"]);
        if timed {
            command.arg("--timed");
        }
        let (code, stdout, stderr) = output(&mut command);
        assert_eq!((code, stderr.as_str()), (0, ""));
        let header: serde_json::Value =
            serde_json::from_str(stdout.lines().next().expect("it has a header")).expect("it is JSON");
        assert_eq!((&header["model"], &header["tasks"]), (&"cholesky".into(), &30.into()));
        assert_eq!(header["kernels"]["0"][2].is_u64(), timed, "{header}");
        let (code, stdout, _) = replay(stdout.as_bytes(), &["--check-edges"]);
        assert_eq!(code, 0, "{stdout}");
        assert!(stdout.contains("PASS: ") && stdout.contains("0 missing, 0 extra"), "{stdout}");
    }
}

/// Each kind of mistake has an exit code of its own, and a sentence that says what, where, which value and what would do.
#[test]
fn mistakes_end_with_their_code_and_a_sentence() {
    let bad = temporary("bad.npy");
    std::fs::write(&bad, "hello, world").expect("the folder can be written");
    let bad = bad.to_str().expect("it is text");
    let no_folder = "no/such/folder/trace.json";
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["run", "fft"], 2, "'fft' is no workload; there are attention, cholesky, gemm"),
        (vec!["run", "gemm", "--tile", "0"], 2, "--tile 0: it must be from 1 to 4096"),
        (vec!["run", "gemm", "--heads", "2"], 2, "--heads is no option of gemm"),
        (vec!["run", "gemm", "--threads", "9"], 2, "9 threads: a2a3 takes 2 to 4"),
        (vec!["run", "gemm", "--clusters", "99"], 2, "99 clusters: a2a3 has 1 to 24"),
        (vec!["help", "me"], 2, "there is no help about 'me'"),
        (vec!["run", "gemm", "--input", "missing.npy"], 4, "missing.npy: cannot be opened"),
        (vec!["run", "gemm", "--input", bad], 4, "it is no .npy file"),
        (vec!["run", "gemm", "--trace", no_folder], 4, "--trace no/such/folder/trace.json: cannot be written"),
        (vec!["record", "gemm", "--output", no_folder], 4, "--output no/such/folder/trace.json: cannot be written"),
        (vec!["replay", "missing.jsonl"], 4, "missing.jsonl: cannot be opened"),
    ];
    for (arguments, expected_code, expected) in cases {
        let (code, stdout, stderr) = output(&mut prewire(&arguments));
        assert_eq!((code, stdout.as_str()), (expected_code, ""), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("prewire: ") && stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    std::fs::remove_file(bad).expect("it was written");
}

#[test]
fn a_malformed_graph_is_named_by_line_and_field() {
    let text = String::from_utf8(recorded("vector_example.default")).expect("it is text");
    let cases = [
        (
            text.replace("[3,2,0,0,[16384]]", "[3,2,0,0,[-1]]"),
            "line 7: arguments[2].shape[0]: -1 is not a whole number",
        ),
        (text.replacen("\"T\",4,", "\"T\",7,", 1), "line 7: index: 7; tasks are numbered in order and this is 4"),
        (text.lines().take(5).collect::<Vec<_>>().join("\n"), "it ends with 1 scopes open"),
        (text.replace("\"format\":1", "\"format\":9"), "line 1: format: version 9 is not known"),
        (String::new(), "line 1: file: it is empty"),
    ];
    for (text, expected) in cases {
        let (code, _, stderr) = replay(text.as_bytes(), &[]);
        assert_eq!(code, 4, "{stderr}");
        assert!(stderr.contains("standard input: ") && stderr.contains(expected), "{stderr}\n  expected {expected}");
    }
}

#[test]
fn a_matrix_without_a_factor_is_named_by_its_pivot() {
    let path = temporary("indefinite.npy");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let header = format!("{:<117}\n", "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }");
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for value in [4.0f64, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 9.0] {
        bytes.extend(value.to_le_bytes());
    }
    std::fs::write(&path, bytes).expect("the folder can be written");
    let (code, _, stderr) = output(prewire(&["run", "cholesky", "--input"]).arg(&path));
    std::fs::remove_file(path).expect("it was written");
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("not positive definite: pivot 1 (counted from 0) is 0"), "{stderr}");
}

#[test]
fn a_run_that_fails_ends_with_the_code_of_its_error() {
    let (code, _, stderr) = output(prewire(&["run", "gemm"]).env("PREWIRE_RING_HEAP", "1024"));
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("the run failed with code 2") && stderr.contains("PREWIRE_RING_HEAP"), "{stderr}");
}

#[test]
fn a_setting_with_a_wrong_value_is_named() {
    let (code, stdout, stderr) = output(prewire(&["run", "gemm"]).env("PREWIRE_RING_TASK_WINDOW", "100"));
    assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
    assert!(stderr.contains("PREWIRE_RING_TASK_WINDOW") && stderr.contains("'100'"), "{stderr}");
    let (code, stdout, _) = output(prewire(&["info"]).env("PREWIRE_RING_TASK_WINDOW", "100"));
    assert_eq!(code, 0);
    assert!(stdout.contains("with this environment nothing runs: PREWIRE_RING_TASK_WINDOW is '100'"), "{stdout}");
}

#[test]
fn info_says_what_there_is_and_what_is_in_force() {
    let (code, stdout, stderr) = output(prewire(&["info"]).env("PREWIRE_WATCHDOG_MS", "1234"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    for setting in prewire::settings::SETTINGS {
        assert!(stdout.contains(setting.environment), "{stdout}");
    }
    for expected in [
        "24 AIC and 48 AIV",
        "36 AIC and 72 AIV",
        "1234 (from the environment)",
        "HEAP_RING_DEADLOCK",
        "tensor arguments              32",
    ] {
        assert!(stdout.contains(expected), "no '{expected}' in\n{stdout}");
    }
}

/// A reader that goes away, as `head` does, ends the program without a word.
#[test]
fn a_closed_pipe_ends_it_quietly() {
    let mut command = prewire(&["record", "cholesky", "--size", "512", "--tile", "16"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut first = [0; 16];
    stdout.read_exact(&mut first).expect("it begins to write");
    drop(stdout);
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    assert_eq!((status.code(), stderr.as_slice()), (Some(141), &b""[..]), "{}", String::from_utf8_lossy(&stderr));
}

#[test]
fn help_and_version_need_nothing() {
    for arguments in
        [&["help"][..], &[], &["--help"], &["help", "run"], &["run", "--help"], &["replay", "-h"], &["help", "record"]]
    {
        let (code, stdout, stderr) = output(&mut prewire(arguments));
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(stdout.contains("prewire "), "{arguments:?}: {stdout}");
    }
    let (code, stdout, _) = output(&mut prewire(&["--version"]));
    assert_eq!((code, stdout.trim()), (0, concat!("prewire ", env!("CARGO_PKG_VERSION"))));
}
