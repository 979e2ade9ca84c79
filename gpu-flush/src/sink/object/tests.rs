//! The object sink on a store in memory; the tests over HTTP are in the crate's `format` tests.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::{ObjectSettings, ObjectSink};
use crate::error::Error;
use crate::sink::Sink;

const PART: usize = 5 << 20;

fn sink(store: &Arc<InMemory>) -> ObjectSink {
    let store = Arc::clone(store) as Arc<dyn object_store::ObjectStore>;
    ObjectSink::new(store, "a/b.zarr", ObjectSettings { part_bytes: PART, parts_in_flight: 2 }).unwrap()
}

#[test]
fn small_shards_are_put_and_large_ones_uploaded_in_parts() {
    let store = Arc::new(InMemory::new());
    let sink = sink(&store);
    let large: Vec<u8> = (0..3 * PART + 1000).map(|index| (index / 3) as u8).collect();
    for (key, length) in [("c/0", 1000), ("c/1", PART), ("c/2", large.len())] {
        let mut shard = sink.open(key).unwrap();
        for (index, piece) in large[..length].chunks(1 << 20).enumerate() {
            shard.write((index << 20) as u64, piece).unwrap();
        }
        assert!(sink.pending_bytes() > 0 || length == PART);
        assert_eq!(sink.get(key).unwrap(), None, "not visible before its end");
        shard.finalize().unwrap();
        let fence = sink.record_fence();
        sink.wait_fence(fence).unwrap();
        assert!(sink.fence_retired(fence));
        assert!(sink.get(key).unwrap().unwrap() == large[..length], "{key}");
    }
    assert_eq!(sink.pending_bytes(), 0);
    let stored = sink.runtime.block_on(store.head(&Path::from("a/b.zarr/c/2"))).unwrap();
    assert_eq!(stored.size, large.len() as u64);
}

#[test]
fn an_abandoned_shard_never_appears_and_a_gap_is_refused() {
    let store = Arc::new(InMemory::new());
    let sink = sink(&store);
    let mut shard = sink.open("c/0").unwrap();
    shard.write(0, &vec![1; PART + 10]).unwrap();
    drop(shard);
    assert_eq!(sink.pending_bytes(), 0);
    assert_eq!(sink.get("c/0").unwrap(), None);
    let error = sink.open("c/1").unwrap().write(5, b"late").unwrap_err();
    assert!(matches!(error, Error::SinkFailed { key, .. } if key == "c/1"));
}

#[test]
fn an_existing_store_is_found_and_cleared_on_request() {
    let store = Arc::new(InMemory::new());
    let sink = sink(&store);
    sink.prepare(false).unwrap();
    sink.put("zarr.json", b"{}").unwrap();
    let mut shard = sink.open("c/0").unwrap();
    shard.write(0, b"old").unwrap();
    shard.finalize().unwrap();
    sink.flush().unwrap();
    assert!(matches!(sink.prepare(false), Err(Error::AlreadyExists { path }) if path == "a/b.zarr"));
    assert_eq!(sink.get("c/0").unwrap().unwrap(), b"old");
    sink.prepare(true).unwrap();
    assert_eq!((sink.get("zarr.json").unwrap(), sink.get("c/0").unwrap()), (None, None));
}

#[test]
fn settings_that_s3_refuses_are_refused_here() {
    for (part_bytes, parts_in_flight, field) in [(1 << 20, 4, "part_bytes"), (PART, 0, "parts_in_flight")] {
        let settings = ObjectSettings { part_bytes, parts_in_flight };
        let error = ObjectSink::new(Arc::new(InMemory::new()), "", settings).unwrap_err();
        assert!(matches!(error, Error::InvalidConfig { field: wrong, .. } if wrong == field));
    }
    assert!(matches!(ObjectSink::s3("https://x", ObjectSettings::default()), Err(Error::InvalidConfig { .. })));
}
