//! The file sink on a real file system.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::queue::{OpenFile, Payload, Queue};
use super::{FileOptions, FileSink};
use crate::error::Error;
use crate::sink::{Fence, Sink, StableBytes};

/// A folder of its own under the build folder, which is on a disk and not in memory; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("file-sink-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let base = std::env::current_exe().unwrap().parent().unwrap().join("scratch");
        Folder(base.join(name))
    }

    fn sink(&self, options: FileOptions) -> FileSink {
        FileSink::new(&self.0, options).unwrap()
    }

    fn files(&self) -> Vec<String> {
        fn walk(path: &std::path::Path, files: &mut Vec<String>, root: &std::path::Path) {
            for entry in fs::read_dir(path).into_iter().flatten().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), files, root);
                } else {
                    files.push(entry.path().strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.0, &mut files, &self.0);
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Aligned bytes of a pattern.
#[repr(C, align(4096))]
struct Pages([u8; 8 * 4096]);

fn pages() -> Box<Pages> {
    let mut pages = Box::new(Pages([0; 8 * 4096]));
    for (index, byte) in pages.0.iter_mut().enumerate() {
        *byte = (index / 7) as u8;
    }
    pages
}

/// Claims FLUSH-057, with the count of what waits in the next test.
#[test]
fn every_depth_writes_the_same_shards_and_nothing_stays_pending() {
    let source = pages();
    for direct in [false, true] {
        for depth in [1, 8] {
            let folder = Folder::new();
            let sink = folder.sink(FileOptions::default().writes_in_flight(depth).direct(direct));
            assert_eq!(sink.page_bytes(), if direct { 4096 } else { 0 });
            let mut shards: Vec<_> = (0..4).map(|shard| sink.open(&format!("c/{shard}/0")).unwrap()).collect();
            for page in 0..8 {
                for shard in &mut shards {
                    let offset = page * 4096;
                    let range = offset..offset + 4096;
                    if page % 2 == 0 {
                        // SAFETY: `source` outlives the fence that is waited for below, and nobody writes it.
                        let bytes = unsafe { StableBytes::new(source.0[range].as_ptr(), 4096) };
                        shard.write_stable(offset as u64, bytes).unwrap();
                    } else {
                        shard.write(offset as u64, &source.0[range]).unwrap();
                    }
                }
            }
            for shard in &mut shards {
                shard.truncate(30_001).unwrap();
                shard.finalize().unwrap();
            }
            let fence = sink.record_fence();
            sink.wait_fence(fence).unwrap();
            assert!(sink.fence_retired(fence));
            assert_eq!(sink.pending_bytes(), 0);
            assert_eq!(folder.files(), ["c/0/0", "c/1/0", "c/2/0", "c/3/0"], "no temporary file is left");
            for shard in 0..4 {
                let stored = sink.get(&format!("c/{shard}/0")).unwrap().unwrap();
                assert!(stored == source.0[..30_001], "direct {direct}, depth {depth}");
            }
        }
    }
}

/// Part of FLUSH-057: every kind of write is counted while it waits, and none afterwards.
#[test]
fn waiting_bytes_count_copies_stable_bytes_and_footers() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    // A queue without threads: what is queued waits until this thread serves it.
    let queue = Queue::start(0).unwrap();
    let (partial, path) = (folder.0.join("0.partial"), folder.0.join("0"));
    let file = fs::File::create(&partial).unwrap();
    let file = Arc::new(OpenFile::new("c/0".into(), file, partial, path.clone(), false));
    let source = pages();
    let mut pending = Vec::new();
    queue.write(&file, 0, Payload::Copy(queue.copy(&source.0[..4096]))).unwrap();
    pending.push(queue.pending_bytes());
    // SAFETY: `source` lives to the end of the test, and nobody writes it.
    let stable = unsafe { StableBytes::new(source.0[4096..].as_ptr(), 8192) };
    queue.write(&file, 4096, Payload::Stable(stable)).unwrap();
    pending.push(queue.pending_bytes());
    let footer = queue.copy(&source.0[..100]);
    queue.write(&file, 12_288, Payload::Copy(footer)).unwrap();
    pending.push(queue.pending_bytes());
    queue.end(&file).unwrap();
    assert_eq!(pending, [4096, 12_288, 12_388]);
    assert!(!queue.retired(1) && !path.exists());
    queue.stop();
    queue.serve();
    assert_eq!(queue.pending_bytes(), 0);
    assert!(queue.retired(4));
    assert_eq!(fs::read(path).unwrap(), [&source.0[..12_288], &source.0[..100]].concat());
}

#[test]
fn a_shard_is_not_visible_before_its_end_and_an_abandoned_one_never() {
    let folder = Folder::new();
    let sink = folder.sink(FileOptions::default());
    assert!(!folder.0.exists(), "folders appear with the first key");
    let mut kept = sink.open("0/c/0").unwrap();
    let mut dropped = sink.open("0/c/1").unwrap();
    kept.write(0, b"kept").unwrap();
    dropped.write(0, b"dropped").unwrap();
    sink.flush().unwrap();
    assert_eq!(sink.get("0/c/0").unwrap(), None);
    drop(dropped);
    kept.finalize().unwrap();
    sink.flush().unwrap();
    drop(kept);
    drop(sink);
    assert_eq!(folder.files(), ["0/c/0"]);
}

#[test]
fn direct_writes_off_a_page_are_refused_not_copied_around() {
    let folder = Folder::new();
    let sink = folder.sink(FileOptions::default().direct(true));
    let source = pages();
    let mut shard = sink.open("c/0").unwrap();
    // SAFETY: `source` lives to the end of the test, and nobody writes it.
    let stable = |from: usize, length| unsafe { StableBytes::new(source.0[from..].as_ptr(), length) };
    for (offset, from, length) in [(1, 0, 4096), (0, 8, 4096), (0, 0, 4095)] {
        let error = shard.write_stable(offset, stable(from, length)).unwrap_err();
        assert!(matches!(&error, Error::SinkFailed { key, .. } if key == "c/0"), "{error}");
    }
    assert!(shard.write(0, &source.0[..100]).is_err());
    shard.write(0, &source.0[1..4097]).expect("a copy may come from anywhere");
    sink.flush().unwrap();
}

#[test]
fn a_failed_write_names_its_shard_and_leaves_finished_ones_alone() {
    let folder = Folder::new();
    let sink = folder.sink(FileOptions::default().writes_in_flight(2));
    let mut good = sink.open("c/0").unwrap();
    good.write(0, b"whole").unwrap();
    good.finalize().unwrap();
    sink.flush().unwrap();
    let before = sink.record_fence();
    let mut bad = sink.open("c/1").unwrap();
    // An offset no file can have: the operating system refuses the write itself.
    bad.write(u64::MAX / 2, b"too far").unwrap();
    bad.write(0, b"never").ok();
    bad.finalize().ok();
    let fence = sink.record_fence();
    let error = sink.wait_fence(fence).unwrap_err();
    assert!(matches!(&error, Error::SinkFailed { key, os_error: Some(_), .. } if key == "c/1"), "{error:?}");
    assert!(sink.fence_retired(before), "the writes before the failure are still good");
    assert!(!sink.fence_retired(fence));
    assert_eq!(sink.error().unwrap().to_string(), error.to_string(), "the error stays");
    assert_eq!(sink.pending_bytes(), 0);
    let mut late = sink.open("c/2").unwrap();
    assert_eq!(late.write(0, b"late").unwrap_err().to_string(), error.to_string());
    late.finalize().ok();
    drop((good, bad, late));
    drop(sink);
    assert_eq!(folder.files(), ["c/0"]);
    assert_eq!(fs::read(folder.0.join("c/0")).unwrap(), b"whole");
}

/// Claims FLUSH-058.
#[test]
fn an_existing_store_is_kept_unless_overwriting_is_allowed() {
    let folder = Folder::new();
    let sink = folder.sink(FileOptions::default());
    sink.prepare(false).unwrap();
    sink.put("zarr.json", b"{}").unwrap();
    let mut shard = sink.open("c/0/0").unwrap();
    shard.write(0, b"old").unwrap();
    shard.finalize().unwrap();
    sink.flush().unwrap();
    let again = folder.sink(FileOptions::default());
    assert!(
        matches!(again.prepare(false), Err(Error::AlreadyExists { path }) if path == folder.0.display().to_string())
    );
    assert_eq!(folder.files(), ["c/0/0", "zarr.json"]);
    assert_eq!(fs::read(folder.0.join("c/0/0")).unwrap(), b"old");
    // One look-up decides, not a listing: the folder may be searched but not read, by a thread without root's rights.
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o311)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: changes the identity of this thread for file access only; the thread ends with the test.
            unsafe { libc::setfsuid(65_534) };
            assert!(fs::read_dir(&folder.0).is_err(), "the folder cannot be listed");
            assert!(matches!(again.prepare(false), Err(Error::AlreadyExists { .. })));
        });
    });
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
    again.prepare(true).unwrap();
    assert!(folder.files().is_empty(), "the old shards are gone before a new one is opened");
    let mut shard = again.open("c/9").unwrap();
    shard.finalize().unwrap();
    again.flush().unwrap();
    assert_eq!(folder.files(), ["c/9"]);
}

#[test]
fn documents_are_replaced_and_foreign_fences_refused() {
    let folder = Folder::new();
    let sink = folder.sink(FileOptions::default().durable(true));
    sink.put("a/zarr.json", b"one").unwrap();
    sink.put("a/zarr.json", b"second").unwrap();
    assert_eq!(folder.files(), ["a/zarr.json"]);
    assert_eq!(sink.get("a/zarr.json").unwrap().unwrap(), b"second");
    let other = folder.sink(FileOptions::default());
    assert!(matches!(sink.wait_fence(other.record_fence()), Err(Error::InvalidInput { .. })));
    sink.wait_fence(Fence::RETIRED).unwrap();
    for writes in [0, 65] {
        assert!(FileSink::new(&folder.0, FileOptions::default().writes_in_flight(writes)).is_err());
    }
}
