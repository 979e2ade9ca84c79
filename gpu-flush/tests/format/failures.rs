//! What is left when writing ends badly: a process that is killed, a disk that takes no more.
//!
//! The writing happens in a child process, which is this test program run again with a folder in its environment.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use prewire_gpu_flush::shard::ShardIndex;
use prewire_gpu_flush::sink::{FileOptions, FileSink};
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, EngineConfig, Error};

use crate::support::{as_words, create, dimension, document, files, folder, read, words};

/// Names the folder to a child.
const CHILD: &str = "PREWIRE_TEST_STORE";
const CHUNKS_PER_SHARD: usize = 4 * 4;

fn config() -> ArrayConfig {
    ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").chunks_per_shard(4))
        .dimension(dimension("y", 64, 32))
        .dimension(dimension("x", 64, 32))
        .codec(CodecConfig::None)
        .build()
        .unwrap()
}

fn frame(t: u64) -> Vec<u8> {
    words((0..64 * 64).map(|index| (t * 7 + index) as u16))
}

fn engine() -> EngineConfig {
    EngineConfig::default().epochs_per_batch(2).metadata_update_interval(Duration::ZERO).threads_max(1)
}

/// This program again, to run only `test`, with `root` to write to.
fn child(test: &str, root: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, root).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Everything the store shows is whole and what was written; returns the extent.
fn check_visible(root: &Path) -> u64 {
    let objects = files(root);
    let extent = document(&objects, "")["shape"][0].as_u64().unwrap();
    let array = read(&objects, "");
    for t in 0..extent {
        assert_eq!(as_words(&array.bytes[t as usize * 8192..][..8192]), as_words(&frame(t)), "frame {t}");
    }
    for shard in 0..extent / 4 {
        assert!(objects.contains_key(&format!("c/{shard}/0/0")), "shard {shard} is shown");
    }
    // Every shard that has its name is whole, shown or not.
    for (key, bytes) in objects.iter().filter(|(key, _)| key.starts_with("c/") && !key.ends_with(".partial")) {
        assert_eq!(ShardIndex::parse(bytes, CHUNKS_PER_SHARD).expect(key).len(), CHUNKS_PER_SHARD);
    }
    extent
}

#[test]
fn a_killed_process_leaves_every_finished_shard_whole() {
    if let Some(root) = std::env::var_os(CHILD) {
        let sink = FileSink::new(root, FileOptions::default()).unwrap();
        let mut writer = create(&config(), engine(), Arc::new(sink));
        for t in 0.. {
            assert!(writer.append(&frame(t)).unwrap().rest.is_empty());
        }
    }
    let root = folder("killed");
    let mut writer = child("failures::a_killed_process_leaves_every_finished_shard_whole", &root).spawn().unwrap();
    let shown = || {
        fs::read(root.join("zarr.json"))
            .ok()
            .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok()?["shape"][0].as_u64())
    };
    while shown().is_none_or(|extent| extent < 40) {
        assert!(writer.try_wait().unwrap().is_none(), "the child ended early");
        std::thread::sleep(Duration::from_millis(2));
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(check_visible(&root) >= 40);
}

#[test]
fn a_disk_that_takes_no_more_is_reported_with_its_shard() {
    if let Some(root) = std::env::var_os(CHILD) {
        let sink = FileSink::new(root, FileOptions::default().writes_in_flight(1)).unwrap();
        let mut writer = create(&config(), engine(), Arc::new(sink));
        let mut outcome = Ok(());
        for t in 0..80 {
            if t == 40 {
                limit_file_size(10_000);
            }
            if let Err(error) = writer.append(&frame(t)) {
                outcome = Err(error);
                break;
            }
        }
        let cursor = writer.cursor();
        let first = outcome.expect_err("the error came while appending");
        let Error::SinkFailed { key, os_error, .. } = &first else { panic!("{first:?}") };
        assert_eq!(*os_error, Some(libc::EFBIG), "{first}");
        assert!(key.starts_with("c/") && key.ends_with("/0/0"), "{key}");
        let later = writer.append(&frame(0)).unwrap_err();
        assert!(matches!(later, Error::Broken { .. }) && writer.cursor() == cursor, "{later}");
        assert_eq!(writer.close().unwrap_err().to_string(), first.to_string(), "the first error is the one reported");
        limit_file_size(libc::RLIM_INFINITY);
        println!("failed at {key}");
        return;
    }
    let root = folder("full");
    let test = "failures::a_disk_that_takes_no_more_is_reported_with_its_shard";
    let output = child(test, &root).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let failed =
        text.split("failed at c/").nth(1).and_then(|rest| rest.split('/').next()).unwrap().parse::<u64>().unwrap();
    let extent = check_visible(&root);
    assert!(extent >= 32 && extent <= failed * 4, "{extent} frames are shown, shard {failed} failed");
    assert!(!root.join(format!("c/{failed}/0/0")).exists(), "the failed shard has no name");
}

/// Makes the operating system refuse writes past `bytes` of a file, with an error instead of a signal.
fn limit_file_size(bytes: libc::rlim_t) {
    // SAFETY: ignoring a signal touches no memory of ours.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is valid for the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
}
