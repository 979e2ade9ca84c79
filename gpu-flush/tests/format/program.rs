//! The command, called as its owner calls it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use prewire_gpu_flush::program::{HELP, ProgramError, run};

use crate::support::{document, files, folder, read, words};

/// The header of a .npy file of format 1.0 and its elements.
fn npy(descr: &str, order: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), elements].concat()
}

fn arguments(text: &str, places: [&Path; 2]) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).chain(places.map(|place| place.as_os_str().to_owned())).collect()
}

/// Runs the command and returns what it printed.
fn zarr(options: &str, input: &Path, output: &Path) -> Result<String, ProgramError> {
    let mut text = Vec::new();
    run(arguments(options, [input, output]), &mut text)?;
    Ok(String::from_utf8(text).unwrap())
}

fn place(name: &str, bytes: &[u8]) -> (PathBuf, PathBuf) {
    let root = folder(&format!("program-{name}"));
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("input"), bytes).unwrap();
    (root.join("input"), root.join("out.zarr"))
}

fn camera() -> Vec<u8> {
    words((0..9 * 40 * 50u32).map(|value| (value / 3) as u16))
}

#[test]
fn a_npy_file_becomes_a_store_without_a_word_about_layout() {
    let (input, output) = place("npy", &npy("<u2", "False", "(9, 40, 50)", &camera()));
    let printed = zarr("--verify --quiet", &input, &output).unwrap();
    assert!(printed.contains("9,40,50 of uint16") && printed.contains("verified"), "{printed}");
    let array = read(&files(&output), "");
    assert_eq!((array.shape.as_slice(), array.bytes), (&[9, 40, 50][..], camera()));
    assert_eq!(array.document["dimension_names"], serde_json::json!(["t", "y", "x"]));
    assert_eq!(array.document["codecs"][0]["configuration"]["codecs"][1]["name"], "zstd");
}

#[test]
fn the_layout_given_is_the_layout_written() {
    let (input, output) = place("raw", &camera());
    for codec in ["zstd --level 1", "lz4", "blosc-zstd --shuffle bit", "blosc-lz4 --level 9", "none", "zstd --direct"] {
        let options = format!(
            "--shape 9,40,50 --dtype u16 --chunk 1,16,32 --shard 4,32,64 --codec {codec} --overwrite --verify --threads 2 --dimensions a,b,c"
        );
        zarr(&options, &input, &output).unwrap();
        let array = read(&files(&output), "");
        assert_eq!(array.bytes, camera(), "{codec}");
        assert_eq!(array.document["chunk_grid"]["configuration"]["chunk_shape"], serde_json::json!([4, 32, 64]));
        assert_eq!(array.document["codecs"][0]["configuration"]["chunk_shape"], serde_json::json!([1, 16, 32]));
        assert_eq!(array.document["dimension_names"], serde_json::json!(["a", "b", "c"]));
    }
}

#[test]
fn a_pipe_of_unknown_length_is_taken_to_its_end() {
    let (input, output) = place("pipe", &[]);
    fs::remove_file(&input).unwrap();
    let status = std::process::Command::new("mkfifo").arg(&input).status().unwrap();
    assert!(status.success());
    let printed = std::thread::scope(|scope| {
        scope.spawn(|| fs::write(&input, camera()).unwrap());
        zarr("--shape 0,40,50 --dtype <u2 --verify --memory 64M --durable", &input, &output).unwrap()
    });
    assert!(printed.contains("9,40,50"), "{printed}");
    assert_eq!(read(&files(&output), "").bytes, camera());
}

#[test]
fn a_pyramid_is_written_and_verified() {
    let (input, output) = place("pyramid", &npy("<u2", "False", "(9, 40, 50)", &camera()));
    let options = "--pyramid --chunk 1,10,10 --reduce max --levels 3 --scale 1,0.5,0.5 --unit second,micrometer,micrometer --verify";
    let printed = zarr(options, &input, &output).unwrap();
    assert!(printed.contains("3 levels by max"), "{printed}");
    let objects = files(&output);
    let level = read(&objects, "1");
    assert_eq!(level.shape, [9, 20, 25]);
    // The largest of a window of v, v + 1, v + 50, v + 51.
    let expected = (0..9 * 20 * 25u32).map(|index| {
        let (t, y, x) = (index / 500, index / 25 % 20, index % 25);
        ((t * 2000 + 2 * y * 50 + 2 * x + 51) / 3) as u16
    });
    assert_eq!(level.bytes, words(expected));
    let ome = &document(&objects, "")["attributes"]["ome"]["multiscales"][0];
    assert_eq!(ome["type"], "max");
    assert_eq!(ome["datasets"][2]["coordinateTransformations"][0]["scale"], serde_json::json!([1.0, 2.0, 2.0]));
    assert_eq!(ome["axes"][1]["unit"], "micrometer");
    zarr("--pyramid --downsample t --chunk 1,10,10 --overwrite --verify", &input, &output).unwrap();
    assert_eq!(read(&files(&output), "2").shape, [3, 10, 13]);
}

#[test]
fn an_existing_store_stays_unless_overwriting_is_asked_for() {
    let (input, output) = place("exists", &npy("<u2", "False", "(9, 40, 50)", &camera()));
    zarr("", &input, &output).unwrap();
    let before = files(&output);
    let error = zarr("--codec none", &input, &output).unwrap_err();
    assert!(error.exit_code() == 4 && error.to_string().contains("--overwrite"), "{error}");
    assert!(files(&output) == before);
    zarr("--codec none --overwrite", &input, &output).unwrap();
    assert!(files(&output) != before);
}

#[test]
fn what_cannot_work_is_said_before_anything_is_written() {
    let raw = "--shape 9,40,50 --dtype uint16 ";
    let cases: [(&str, &[&str]); 17] = [
        ("--shape 9,40,51 --dtype uint16", &["36000", "36720"]),
        ("--shape 9,40,50", &["--dtype"]),
        ("--shape 9,40,50 --dtype uint17", &["uint17", "uint16"]),
        (&format!("{raw} --codec gzip"), &["gzip", "zstd"]),
        (&format!("{raw} --level 99"), &["99", "22"]),
        (&format!("{raw} --codec none --level 3"), &["none"]),
        (&format!("{raw} --chunk 1,16,16 --shard 1,16,24"), &["24", "16", "32"]),
        (&format!("{raw} --chunk 1,16"), &["--chunk", "2", "3"]),
        (&format!("{raw} --chunk 1,0,16"), &["chunk"]),
        (&format!("{raw} --memory 1K"), &["out of memory", "1024"]),
        (&format!("{raw} --memory 1Q"), &["1Q"]),
        (&format!("{raw} --downsample z"), &["\"z\"", "t,y,x"]),
        (&format!("{raw} --pyramid --reduce mode"), &["mode", "median"]),
        (
            &format!("{raw} --pyramid --downsample t --append-reduce median --chunk 1,8,8"),
            &["median", "mean, min or max"],
        ),
        (&format!("{raw} --scale 1,2"), &["--scale", "3"]),
        ("--shape 360,50 --dtype uint16 --pyramid", &["1,360,50"]),
        (&format!("{raw} --speed 3"), &["--speed"]),
    ];
    let (input, output) = place("refused", &camera());
    for (options, wanted) in cases {
        let error = zarr(options, &input, &output).expect_err(options);
        let text = error.to_string();
        assert!(wanted.iter().all(|part| text.contains(part)), "{options}: {text}");
        assert_eq!(error.exit_code(), 2, "{options}: {text}");
        assert!(!output.exists(), "{options}");
    }
    for (bytes, wanted) in [
        (npy(">u2", "False", "(9, 40, 50)", &camera()), "<u2"),
        (npy("<u2", "True", "(9, 40, 50)", &camera()), "ascontiguousarray"),
        (npy("<c8", "False", "(9, 40, 50)", &camera()), "c8"),
        (npy("<u2", "False", "()", &[0; 2]), "shape"),
        (b"\x93NUMPY\x09\x00".to_vec(), "version 9"),
        (b"\x93NUMPY\x01\x00\xFF\xFF{".to_vec(), "refused"),
    ] {
        fs::write(&input, bytes).unwrap();
        let error = zarr("", &input, &output).expect_err(wanted);
        assert!(error.to_string().contains(wanted) && error.exit_code() == 4, "{wanted}: {error}");
    }
    let short = npy("<u2", "False", "(9, 40, 50)", &camera()[..1000]);
    fs::write(&input, short).unwrap();
    let error = zarr("", &input, &output).unwrap_err().to_string();
    assert!(error.contains("1000") && error.contains("36000"), "{error}");
    assert!(zarr("", Path::new("/no/such/file"), &output).unwrap_err().exit_code() == 4);
}

#[test]
fn help_names_every_option() {
    let mut text = Vec::new();
    run(["--help".into()], &mut text).unwrap();
    assert_eq!(text, HELP.as_bytes());
    for option in ["--chunk", "--shard", "--codec", "--level", "--memory", "--overwrite", "--verify", "--pyramid"] {
        assert!(HELP.contains(option), "{option}");
    }
}
