//! `prewire zarr` as its users see it: what it writes, what it prints, and how it ends.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SHAPE: [u64; 3] = [5, 20, 30];

fn prewire(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prewire"));
    command.args(arguments).stdin(Stdio::null());
    for setting in prewire_gpu_flush::settings::SETTINGS {
        command.env_remove(setting.environment);
    }
    command
}

fn said(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    (output.status.code().expect("no signal ends it"), text(output.stdout), text(output.stderr))
}

fn output(command: &mut Command) -> (i32, String, String) {
    said(command.output().expect("the program starts"))
}

/// Runs it with these bytes on its standard input.
fn piped(command: &mut Command, bytes: &[u8]) -> (i32, String, String) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A program that refuses the beginning does not read the end.
    let _closed = stdin.write_all(bytes);
    drop(stdin);
    said(child.wait_with_output().expect("it ends"))
}

/// An empty folder of this test.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("zarr-{}-{name}", std::process::id()));
    let _absent = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the folder can be made");
    path
}

fn elements() -> Vec<u8> {
    (0..SHAPE.iter().product::<u64>()).flat_map(|at| ((at * 7) as u16).to_le_bytes()).collect()
}

/// A .npy file of the elements.
fn npy(folder: &Path) -> PathBuf {
    let header = format!("{:<117}\n", "{'descr': '<u2', 'fortran_order': False, 'shape': (5, 20, 30), }");
    let length = (header.len() as u16).to_le_bytes();
    let bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &elements()].concat();
    let path = folder.join("input.npy");
    std::fs::write(&path, bytes).expect("the folder can be written");
    path
}

fn document(store: &Path) -> serde_json::Value {
    let text = std::fs::read(store.join("zarr.json")).expect("the store has a document");
    serde_json::from_slice(&text).expect("it is JSON")
}

/// Every file below a folder, by its path.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push((path.clone(), std::fs::read(path).expect("it can be read"))),
        }
    }
    files.sort();
    files
}

#[test]
fn an_array_file_becomes_a_store_that_reads_back() {
    let folder = folder("file");
    let (input, store) = (npy(&folder), folder.join("out.zarr"));
    let (code, stdout, stderr) = output(prewire(&["zarr"]).args([&input, &store]).arg("--verify"));
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.contains("5,20,30 of uint16") && stdout.contains("verified: "), "{stdout}");
    assert_eq!(document(&store)["shape"], serde_json::json!(SHAPE));
    std::fs::remove_dir_all(folder).expect("it was made");
}

/// One frame per shard without a codec: the file of a frame begins with the frame.
#[test]
fn a_pipe_of_elements_is_cut_as_asked() {
    let folder = folder("pipe");
    let store = folder.join("out.zarr");
    let options =
        ["--shape", "0,20,30", "--dtype", "u16", "--chunk", "1,20,30", "--shard", "1,20,30", "--codec", "none"];
    let mut command = prewire(&["zarr", "-"]);
    let (code, stdout, stderr) = piped(command.arg(&store).args(options).arg("--verify"), &elements());
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert_eq!(document(&store)["shape"], serde_json::json!(SHAPE));
    for (frame, expected) in elements().chunks(1200).enumerate() {
        let shard = std::fs::read(store.join(format!("c/{frame}/0/0"))).expect("each frame has its shard");
        assert_eq!((&shard[..1200], shard.len()), (expected, 1200 + 16 + 4), "frame {frame}");
    }
    std::fs::remove_dir_all(folder).expect("it was made");
}

#[test]
fn a_store_that_is_there_is_replaced_only_when_that_is_asked() {
    let folder = folder("exists");
    let (input, store) = (npy(&folder), folder.join("out.zarr"));
    assert_eq!(output(prewire(&["zarr", "--quiet"]).args([&input, &store])).0, 0);
    let before = files(&store);
    let (code, stdout, stderr) = output(prewire(&["zarr", "--codec", "none"]).args([&input, &store]));
    assert_eq!((code, stdout.as_str()), (4, ""), "{stderr}");
    assert!(stderr.contains("prewire: ") && stderr.contains("out.zarr") && stderr.contains("--overwrite"), "{stderr}");
    assert!(files(&store) == before);
    let (code, _, stderr) = output(prewire(&["zarr", "--codec", "none", "--overwrite"]).args([&input, &store]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let codecs = &document(&store)["codecs"][0]["configuration"]["codecs"];
    assert_eq!(codecs.as_array().map(Vec::len), Some(1), "no codec behind the bytes: {codecs}");
    std::fs::remove_dir_all(folder).expect("it was made");
}

#[test]
fn what_cannot_be_is_named_and_leaves_nothing_behind() {
    let folder = folder("refused");
    let (input, store) = (npy(&folder), folder.join("out.zarr"));
    let cases: [(&[&str], i32, &[&str]); 8] = [
        (&["--chunk", "1,16"], 2, &["--chunk has 2 extents", "3 dimensions"]),
        (&["--chunk", "1,0,16"], 2, &["dimensions[1].chunk"]),
        (&["--chunk", "1,16,16", "--shard", "2,16,24"], 2, &["--shard 24 along x", "--chunk 16", "32"]),
        (&["--codec", "gzip"], 2, &["\"gzip\"", "zstd"]),
        (&["--level", "99"], 2, &["99", "22"]),
        (&["--memory", "1K"], 2, &["out of memory", "1024 B allowed"]),
        (&["--shape", "5,20,31"], 4, &["[5, 20, 30]", "[5, 20, 31]"]),
        (&["--speed", "3"], 2, &["--speed"]),
    ];
    for (options, expected_code, expected) in cases {
        let (code, stdout, stderr) = output(prewire(&["zarr"]).args([&input, &store]).args(options));
        assert_eq!((code, stdout.as_str()), (expected_code, ""), "{options:?}: {stderr}");
        assert!(expected.iter().all(|part| stderr.contains(part)), "{options:?}: {stderr}");
        assert!(!store.exists(), "{options:?}");
    }
    let (code, _, stderr) = output(prewire(&["zarr", "/no/such/file"]).arg(&store));
    assert!(code == 4 && stderr.contains("/no/such/file"), "{code} {stderr}");
    let (code, _, stderr) = output(prewire(&["zarr"]).arg(&input));
    assert!(
        code == 2 && stderr.contains("'zarr' needs an input") && stderr.contains("prewire help"),
        "{code} {stderr}"
    );
    let mut command = prewire(&["zarr", "-", "--shape", "5,20,30", "--dtype", "u16"]);
    let (code, _, stderr) = piped(command.arg(&store), &elements()[..1000]);
    assert!(code == 4 && stderr.contains("standard input ended after 1000 of 6000 B"), "{code} {stderr}");
    let _partial = std::fs::remove_dir_all(&store);
    for (setting, value) in [("PREWIRE_FLUSH_FORCE_GATE_OFF", "maybe"), ("PREWIRE_FLUSH_DEVICE", "abacus")] {
        let (code, _, stderr) = output(prewire(&["zarr"]).args([&input, &store]).env(setting, value));
        assert!(code == 5 && stderr.contains(setting) && stderr.contains(value), "{code} {stderr}");
        assert!(!store.exists(), "{setting}");
    }
    // A folder that cannot be made: its place is taken by a file.
    let (code, _, stderr) = output(prewire(&["zarr"]).arg(&input).arg(input.join("out.zarr")));
    assert!(code == 4 && stderr.contains("zarr.json"), "{code} {stderr}");
    std::fs::remove_dir_all(folder).expect("it was made");
}

#[test]
fn help_is_where_it_is_looked_for() {
    for arguments in [["help", "zarr"], ["zarr", "--help"], ["zarr", "-h"]] {
        let (code, stdout, stderr) = output(&mut prewire(&arguments));
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        let expected = ["prewire zarr INPUT OUTPUT", "--chunk", "--shard", "--codec", "--pyramid", "--verify"];
        assert!(expected.iter().all(|part| stdout.contains(part)), "{stdout}");
    }
    assert!(output(&mut prewire(&["help"])).1.contains("prewire zarr"));
    assert!(output(&mut prewire(&["info"])).1.contains("PREWIRE_FLUSH_DEVICE"));
}
