//! Several arrays in one store: the sink is asked once, and each array has its own place.

use std::sync::Arc;

use prewire_gpu_flush::sink::{FileOptions, FileSink, MemorySink, Sink};
use prewire_gpu_flush::writer::{MultiWriter, WriterBuilder};
use prewire_gpu_flush::{ArrayConfig, DataType, Error};

use crate::support::{Objects, dimension, document, engine, files, folder, read, words};

const FRAMES: u64 = 3;
const ELEMENTS: u64 = 12 * 10;

fn array(name: &str, pyramid: bool) -> ArrayConfig {
    let inner = |name: &str, size| {
        let dimension = dimension(name, size, 4);
        if pyramid { dimension.downsample() } else { dimension }
    };
    let builder = ArrayConfig::builder(DataType::U16).name(name).dimension(dimension("t", 0, 1).chunks_per_shard(2));
    builder.dimension(inner("y", 12)).dimension(inner("x", 10)).build().unwrap()
}

/// A writer of these arrays to one sink.
fn writer(names: &[(&str, bool)], sink: &Arc<dyn Sink>, overwrite: bool) -> Result<MultiWriter, Error> {
    let builder = WriterBuilder::new().engine(engine(2)).overwrite(overwrite);
    let add =
        |builder: WriterBuilder, (name, pyramid): &(&str, bool)| builder.array(array(name, *pyramid), Arc::clone(sink));
    names.iter().fold(builder, add).build_multi()
}

fn values(array: usize, seed: u16) -> Vec<u8> {
    words((0..FRAMES * ELEMENTS).map(|at| (at * (array as u64 + 3)) as u16 ^ seed))
}

fn fill(mut writer: MultiWriter, seed: u16) {
    for array in 0..writer.len() {
        let appended = writer.update(array, &values(array, seed)).map(|appended| appended.rest.len());
        assert_eq!(appended.unwrap(), 0);
    }
    writer.close().unwrap();
}

/// Two arrays and a pyramid: a new store, a refused one that stays as it is, and an overwritten one, as `objects` shows them.
fn arrays_share(sink: &Arc<dyn Sink>, objects: impl Fn() -> Objects) {
    let names = [("left", false), ("deep/right", false), ("deep/pyramid", true)];
    fill(writer(&names, sink, false).unwrap(), 0);
    let check = |seed| {
        let stored = objects();
        for (index, path) in ["left", "deep/right", "deep/pyramid/0"].into_iter().enumerate() {
            let array = read(&stored, path);
            assert_eq!((array.shape.as_slice(), array.bytes), (&[FRAMES, 12, 10][..], values(index, seed)), "{path}");
        }
        for group in ["", "deep", "deep/pyramid"] {
            assert_eq!(document(&stored, group)["node_type"], "group", "{group:?}");
        }
        assert!(document(&stored, "deep/pyramid")["attributes"]["ome"].is_object());
    };
    check(0);
    let before = objects();
    let error = writer(&names, sink, false).unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    assert!(objects() == before, "a refused store stays as it is");
    fill(writer(&names, sink, true).unwrap(), 0x5A5A);
    check(0x5A5A);
    // What only the store before had is gone.
    fill(writer(&names[..1], sink, true).unwrap(), 7);
    assert!(objects().keys().all(|key| key == "zarr.json" || key.starts_with("left/")), "{:?}", objects().keys());
    assert_eq!(read(&objects(), "left").bytes, values(0, 7));
}

#[test]
fn arrays_share_a_store_of_files() {
    for options in [FileOptions::default(), FileOptions::default().direct(true)] {
        let root = folder(if options.direct { "shared-direct" } else { "shared" });
        let sink: Arc<dyn Sink> = Arc::new(FileSink::new(&root, options).unwrap());
        arrays_share(&sink, || files(&root));
    }
}

#[test]
fn arrays_share_a_store_in_memory() {
    let store = MemorySink::new();
    let sink: Arc<dyn Sink> = Arc::new(store.clone());
    arrays_share(&sink, || store.objects());
    // Sinks that are two to us and one to the store: each is asked before either was written to.
    let store = MemorySink::new();
    let builder = WriterBuilder::new().engine(engine(2)).array(array("a", false), Arc::new(store.clone()));
    fill(builder.array(array("b", false), Arc::new(store.clone())).build_multi().unwrap(), 1);
    assert_eq!(["a", "b"].map(|name| read(&store.objects(), name).bytes), [0, 1].map(|index| values(index, 1)));
}

#[test]
fn an_array_in_the_way_of_another_is_refused() {
    let cases = [[("", false), ("", false)], [("a", false), ("a", false)], [("a", true), ("a/0", false)]];
    for names in cases.into_iter().chain([[("a/b", false), ("a", false)], [("", true), ("labels", false)]]) {
        let store = MemorySink::new();
        let sink: Arc<dyn Sink> = Arc::new(store.clone());
        let error = writer(&names, &sink, true).unwrap_err();
        assert!(matches!(&error, Error::InvalidConfig { field, .. } if field == "array[1].name"), "{error}");
        assert!(names.iter().all(|(name, _)| error.to_string().contains(&format!("{name:?}"))), "{error}");
        assert!(store.objects().is_empty(), "{names:?}");
    }
    // A name that only begins like another is in nobody's way.
    let sink: Arc<dyn Sink> = Arc::new(MemorySink::new());
    fill(writer(&[("a", false), ("ab", false)], &sink, false).unwrap(), 0);
}
