//! A sink of callbacks and a sink in Rust are called alike.

use prewire_ffi::flush::array::{prewire_flush_array, prewire_flush_array_init, prewire_flush_dimension};
use prewire_ffi::flush::settings::{prewire_flush_settings, prewire_flush_settings_init};
use prewire_ffi::flush::sink::prewire_flush_sink;
use prewire_ffi::flush::writer::{
    prewire_flush_append, prewire_flush_close, prewire_flush_create, prewire_flush_destroy,
};
use prewire_ffi::status::prewire_status;
use prewire_gpu_flush::sink::{Fence, ShardFile, Sink, StableBytes};
use prewire_gpu_flush::writer::WriterBuilder;
use prewire_gpu_flush::{ArrayConfig, DataType, Dimension, EngineConfig, Error};
use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Every call, in words.
#[derive(Debug, Default)]
struct Calls {
    said: Mutex<Vec<String>>,
    fences: AtomicU64,
}

impl Calls {
    fn note(&self, call: String) {
        self.said.lock().unwrap().push(call);
    }

    fn fence(&self) -> u64 {
        let fence = self.fences.fetch_add(1, Ordering::Relaxed) + 1;
        self.note(format!("record fence {fence}"));
        fence
    }
}

/// What was written, as far as it tells two calls apart.
fn summary(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    format!("{} bytes ({sum:x})", bytes.len())
}

#[derive(Debug)]
struct Logged(Arc<Calls>);

#[derive(Debug)]
struct LoggedFile(Arc<Calls>);

impl Sink for Logged {
    fn open(&self, key: &str) -> Result<Box<dyn ShardFile>, Error> {
        self.0.note(format!("open {key}"));
        Ok(Box::new(LoggedFile(self.0.clone())))
    }

    fn put(&self, key: &str, document: &[u8]) -> Result<(), Error> {
        self.0.note(format!("put {key} {}", summary(document)));
        Ok(())
    }

    fn record_fence(&self) -> Fence {
        Fence { sink: 1 << 63, sequence: self.0.fence() }
    }

    fn fence_retired(&self, _: Fence) -> bool {
        false
    }

    fn wait_fence(&self, fence: Fence) -> Result<(), Error> {
        self.0.note(format!("wait for fence {}", fence.sequence));
        Ok(())
    }

    fn pending_bytes(&self) -> u64 {
        self.0.note("pending".to_owned());
        0
    }

    fn flush(&self) -> Result<(), Error> {
        self.0.note("flush".to_owned());
        Ok(())
    }
}

impl ShardFile for LoggedFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.0.note(format!("write at {offset} {}", summary(bytes)));
        Ok(())
    }

    fn write_stable(&mut self, offset: u64, bytes: StableBytes) -> Result<(), Error> {
        self.0.note(format!("write direct at {offset} {}", summary(bytes.as_slice())));
        Ok(())
    }

    fn finalize(&mut self) -> Result<(), Error> {
        self.0.note("finalize".to_owned());
        Ok(())
    }
}

fn calls<'a>(context: *mut c_void) -> &'a Calls {
    // SAFETY: the context of every callback below is the log, which outlives the writer.
    unsafe { &*context.cast::<Calls>() }
}

fn text(key: *const c_char) -> String {
    // SAFETY: a key is a text, valid during the call.
    unsafe { CStr::from_ptr(key) }.to_str().unwrap().to_owned()
}

fn bytes<'a>(data: *const c_void, length: usize) -> &'a [u8] {
    // SAFETY: what is written is so many bytes, valid during the call.
    unsafe { std::slice::from_raw_parts(data.cast(), length) }
}

unsafe extern "C" fn open(context: *mut c_void, key: *const c_char, file: *mut *mut c_void) -> i32 {
    calls(context).note(format!("open {}", text(key)));
    // SAFETY: there is room for what the file is known by.
    unsafe { file.write(context) };
    0
}

unsafe extern "C" fn write(
    context: *mut c_void,
    file: *mut c_void,
    offset: u64,
    data: *const c_void,
    length: usize,
) -> i32 {
    assert_eq!(file, context);
    calls(context).note(format!("write at {offset} {}", summary(bytes(data, length))));
    0
}

unsafe extern "C" fn write_direct(
    context: *mut c_void,
    file: *mut c_void,
    offset: u64,
    data: *const c_void,
    length: usize,
) -> i32 {
    assert_eq!(file, context);
    calls(context).note(format!("write direct at {offset} {}", summary(bytes(data, length))));
    0
}

unsafe extern "C" fn finalize(context: *mut c_void, _: *mut c_void) -> i32 {
    calls(context).note("finalize".to_owned());
    0
}

unsafe extern "C" fn put(context: *mut c_void, key: *const c_char, data: *const c_void, length: usize) -> i32 {
    calls(context).note(format!("put {} {}", text(key), summary(bytes(data, length))));
    0
}

unsafe extern "C" fn record_fence(context: *mut c_void) -> u64 {
    calls(context).fence()
}

unsafe extern "C" fn wait_fence(context: *mut c_void, fence: u64) -> i32 {
    calls(context).note(format!("wait for fence {fence}"));
    0
}

unsafe extern "C" fn pending_bytes(context: *mut c_void) -> u64 {
    calls(context).note("pending".to_owned());
    0
}

unsafe extern "C" fn flush(context: *mut c_void) -> i32 {
    calls(context).note("flush".to_owned());
    0
}

const FRAMES: usize = 7;
const FRAME_BYTES: usize = 24;

fn data() -> Vec<u8> {
    (0..FRAMES * FRAME_BYTES).map(|index| (index * 7) as u8).collect()
}

fn through_rust() -> Vec<String> {
    let log = Arc::new(Calls::default());
    let config = ArrayConfig::builder(DataType::U8)
        .dimension(Dimension::unbounded("t").chunk(1).chunks_per_shard(2))
        .dimension(Dimension::bounded("y", 4).chunk(2))
        .dimension(Dimension::bounded("x", 6).chunk(3))
        .build()
        .unwrap();
    let engine = EngineConfig::default().epochs_per_batch(1).metadata_update_interval(Duration::ZERO);
    let engine = EngineConfig { backpressure_bytes: Some(1 << 20), ..engine };
    let builder = WriterBuilder::new().engine(engine).array(config, Arc::new(Logged(log.clone())));
    let mut writer = builder.build().unwrap();
    for slice in data().chunks(40) {
        assert!(writer.append(slice).unwrap().rest.is_empty());
    }
    writer.close().unwrap();
    drop(writer);
    log.said.lock().unwrap().clone()
}

fn through_c() -> Vec<String> {
    let log = Calls::default();
    let dimension = |name: &'static CStr, size, chunk, chunks_per_shard| prewire_flush_dimension {
        name: name.as_ptr(),
        size,
        chunk,
        chunks_per_shard,
        downsample: 0,
        axis: 0,
        unit: std::ptr::null(),
        scale: 0.0,
    };
    let dimensions = [dimension(c"t", 0, 1, 2), dimension(c"y", 4, 2, 0), dimension(c"x", 6, 3, 0)];
    let mut array = MaybeUninit::<prewire_flush_array>::uninit();
    // SAFETY: it may be written.
    assert_eq!(unsafe { prewire_flush_array_init(array.as_mut_ptr()) }, prewire_status::Ok);
    // SAFETY: it was written.
    let mut array = unsafe { array.assume_init() };
    array.dimensions = dimensions.as_ptr();
    array.dimension_count = dimensions.len();
    let mut settings = MaybeUninit::<prewire_flush_settings>::uninit();
    // SAFETY: it may be written.
    assert_eq!(unsafe { prewire_flush_settings_init(settings.as_mut_ptr()) }, prewire_status::Ok);
    // SAFETY: it was written.
    let mut settings = unsafe { settings.assume_init() };
    settings.epochs_per_batch = 1;
    settings.metadata_update_interval_ms = 0;
    settings.backpressure_bytes = 1 << 20;
    let sink = prewire_flush_sink {
        size: size_of::<prewire_flush_sink>(),
        context: (&raw const log).cast_mut().cast(),
        page_bytes: 0,
        open: Some(open),
        write: Some(write),
        write_direct: Some(write_direct),
        truncate: None,
        finalize: Some(finalize),
        abandon: None,
        put: Some(put),
        record_fence: Some(record_fence),
        wait_fence: Some(wait_fence),
        pending_bytes: Some(pending_bytes),
        flush: Some(flush),
    };
    let mut writer = std::ptr::null_mut();
    // SAFETY: everything points to what it should, and the log outlives the writer.
    let made =
        unsafe { prewire_flush_create(&raw const array, 1, &raw const settings, &raw const sink, &raw mut writer) };
    assert_eq!(made, prewire_status::Ok);
    for slice in data().chunks(40) {
        let mut consumed = 0;
        // SAFETY: the slice is as long as it says.
        let status = unsafe { prewire_flush_append(writer, 0, slice.as_ptr().cast(), slice.len(), &raw mut consumed) };
        assert_eq!((status, consumed), (prewire_status::Ok, slice.len()));
    }
    // SAFETY: any handle may be given.
    assert_eq!(unsafe { prewire_flush_close(writer) }, prewire_status::Ok);
    // SAFETY: any handle may be given.
    assert_eq!(unsafe { prewire_flush_destroy(writer) }, prewire_status::Ok);
    log.said.into_inner().unwrap()
}

/// Claims FLUSH-158 (that a sink of callbacks gets the calls of a sink in Rust, with the same bytes; flush_sink.c has the rest).
#[test]
fn callbacks_get_the_calls_of_a_sink() {
    let (rust, c) = (through_rust(), through_c());
    for needed in ["open", "write direct", "put", "record fence", "wait for fence", "pending", "finalize", "flush"] {
        assert!(rust.iter().any(|call| call.starts_with(needed)), "{needed} was not called: {rust:#?}");
    }
    for (index, (rust, c)) in rust.iter().zip(&c).enumerate() {
        assert_eq!(rust, c, "call {index}");
    }
    assert_eq!(rust.len(), c.len());
}
