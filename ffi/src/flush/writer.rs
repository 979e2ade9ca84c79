//! A writer: made, appended to, flushed, closed, destroyed.

use crate::error::{Error, guard};
use crate::flush::array::prewire_flush_array;
use crate::flush::settings::prewire_flush_settings;
use crate::flush::sink::{CallbackSink, prewire_flush_sink};
use crate::handle::{self, Handle};
use crate::log::Logger;
use crate::pointer;
use crate::status::prewire_status;
use prewire_gpu_flush::Error as FlushError;
use prewire_gpu_flush::sink::{FileOptions, FileSink, Sink};
use prewire_gpu_flush::writer::{Appended, Metrics, MultiWriter, Status, Writer, WriterBuilder};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// Streams arrays to a sink, in memory fixed at creation. Made by `prewire_flush_create_folder` or `prewire_flush_create`.
#[derive(Debug)]
pub struct prewire_flush_writer {
    _opaque: [u8; 0],
}

/// What stands behind the handle.
pub(crate) struct Open {
    writer: One,
    logger: Option<Logger>,
}

enum One {
    Single(Box<Writer>),
    Several(Box<MultiWriter>),
}

impl Handle for prewire_flush_writer {
    type Object = Open;
    const KIND: u8 = 5;
    const NAME: &'static str = "writer";
}

/// Uses a writer with its logger in place.
fn with_writer<R>(
    writer: *const prewire_flush_writer,
    body: impl FnOnce(&mut One) -> Result<R, FlushError>,
) -> Result<R, Error> {
    handle::with(writer, |open| {
        let Open { writer, logger } = open;
        Ok(Logger::during(logger.as_ref(), || body(writer))?)
    })
}

impl One {
    fn check(&self, array: usize) -> Result<(), FlushError> {
        let arrays = match self {
            One::Single(_) => 1,
            One::Several(writer) => writer.len(),
        };
        if array < arrays {
            return Ok(());
        }
        Err(FlushError::invalid_input(format!("there is no array {array}; the writer has {arrays}, counted from 0")))
    }

    fn append<'a>(&mut self, array: usize, data: &'a [u8]) -> Result<Appended<'a>, FlushError> {
        self.check(array)?;
        match self {
            One::Single(writer) => writer.append(data),
            One::Several(writer) => writer.update(array, data),
        }
    }

    fn cursor(&self, array: usize) -> Result<u64, FlushError> {
        self.check(array)?;
        Ok(match self {
            One::Single(writer) => writer.cursor(),
            One::Several(writer) => writer.cursor(array).unwrap_or(0),
        })
    }

    fn metrics(&self, array: usize) -> Result<Metrics, FlushError> {
        self.check(array)?;
        let missing = || FlushError::invalid_input(format!("there is no array {array}"));
        match self {
            One::Single(writer) => Ok(writer.metrics()),
            One::Several(writer) => writer.metrics(array).ok_or_else(missing),
        }
    }
}

/// Makes a writer of `array_count` arrays to a Zarr store in a folder, which is made when the first key is. Several arrays share one engine and have names of their own.
///
/// `settings` may be NULL for the defaults. On success `*writer` is the caller's, who gives it back to `prewire_flush_destroy`; on failure it is NULL, nothing is left
/// allocated, and no file was made. Everything else stays the caller's and is not kept. Any thread may call it.
///
/// # Safety
/// `arrays` is NULL or points to `array_count` arrays whose pointers are NULL or point to as much as they say; `settings` is NULL or points to a
/// `prewire_flush_settings`; `folder` is NULL or a text with a NUL at its end; `writer` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_create_folder(
    arrays: *const prewire_flush_array,
    array_count: usize,
    settings: *const prewire_flush_settings,
    folder: *const c_char,
    writer: *mut *mut prewire_flush_writer,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let folder = unsafe { pointer::path(folder, "folder") };
        let sink = || Ok(Arc::new(FileSink::new(folder?, FileOptions::default())?) as Arc<dyn Sink>);
        // SAFETY: by contract.
        unsafe { create(arrays, array_count, settings, sink, writer) }
    })
}

/// As `prewire_flush_create_folder`, to a sink of the caller's own, whose table is copied.
///
/// # Safety
/// As for `prewire_flush_create_folder`; `sink` is NULL or points to a `prewire_flush_sink` whose callbacks may be called as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_create(
    arrays: *const prewire_flush_array,
    array_count: usize,
    settings: *const prewire_flush_settings,
    sink: *const prewire_flush_sink,
    writer: *mut *mut prewire_flush_writer,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let table = unsafe { pointer::sized(sink, "sink") };
        let sink = || Ok(Arc::new(CallbackSink::new(table?)?) as Arc<dyn Sink>);
        // SAFETY: by contract.
        unsafe { create(arrays, array_count, settings, sink, writer) }
    })
}

/// # Safety
/// As for `prewire_flush_create_folder`.
unsafe fn create(
    arrays: *const prewire_flush_array,
    array_count: usize,
    settings: *const prewire_flush_settings,
    sink: impl FnOnce() -> Result<Arc<dyn Sink>, Error>,
    writer: *mut *mut prewire_flush_writer,
) -> Result<(), Error> {
    // SAFETY: by contract.
    unsafe { pointer::put(writer, "writer", std::ptr::null_mut()) }?;
    // SAFETY: by contract.
    let arrays = unsafe { pointer::slice(arrays, array_count, "arrays") }?;
    // SAFETY: by contract.
    let (engine, logger, overwrite) = unsafe { prewire_flush_settings::engine(settings) }?;
    let sink = sink()?;
    let mut builder = WriterBuilder::new().engine(engine).overwrite(overwrite);
    for (number, array) in arrays.iter().enumerate() {
        // SAFETY: by contract.
        builder = builder.array(unsafe { array.config(number) }?, Arc::clone(&sink));
    }
    let made = Logger::during(logger.as_ref(), || match array_count {
        1 => builder.build().map(|writer| One::Single(Box::new(writer))),
        _ => builder.build_multi().map(|writer| One::Several(Box::new(writer))),
    })?;
    let handle = handle::insert::<prewire_flush_writer>(Open { writer: made, logger })?;
    // SAFETY: by contract.
    unsafe { pointer::put(writer, "writer", handle) }
}

/// Appends `bytes` bytes of whole elements to an array (0 where there is one), in acquisition order, little-endian, unpadded. `data` stays the caller's and is not kept.
///
/// Unless `consumed` is NULL, `*consumed` is how many bytes were taken: all of them with `PREWIRE_STATUS_OK`; with `PREWIRE_STATUS_FLUSH_FINISHED`, which a full
/// array and any array after a flush return, those that had room; none with an error. Any thread may call it, one at a time for one writer.
///
/// # Safety
/// `data` is NULL or points to `bytes` bytes; `consumed` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_append(
    writer: *mut prewire_flush_writer,
    array: usize,
    data: *const c_void,
    bytes: usize,
    consumed: *mut usize,
) -> prewire_status {
    let mut finished = false;
    let status = guard(|| {
        if !consumed.is_null() {
            // SAFETY: by contract.
            unsafe { pointer::put(consumed, "consumed", 0) }?;
        }
        // SAFETY: by contract.
        let data = unsafe { pointer::slice(data.cast::<u8>(), bytes, "data") }?;
        let appended = with_writer(writer, |writer| writer.append(array, data))?;
        finished = appended.status == Status::Finished;
        if !consumed.is_null() {
            // SAFETY: by contract.
            unsafe { pointer::put(consumed, "consumed", bytes - appended.rest.len()) }?;
        }
        Ok(())
    });
    if status == prewire_status::Ok && finished { prewire_status::FlushFinished } else { status }
}

/// Ends the input of every array: started chunks are padded with zeros, shards closed. Returns when the last write is queued. Later flushes repeat the result. Any thread may
/// call it, one at a time for one writer.
///
/// # Safety
/// Any value may be given; one that is no handle of a writer is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_flush(writer: *mut prewire_flush_writer) -> prewire_status {
    guard(|| {
        with_writer(writer, |writer| match writer {
            One::Single(writer) => writer.flush(),
            One::Several(writer) => writer.flush(),
        })
    })
}

/// Flushes, waits until every write is durable, and publishes the final extents. Later closes repeat the result. Any thread may call it, one at a time for one writer.
///
/// # Safety
/// Any value may be given; one that is no handle of a writer is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_close(writer: *mut prewire_flush_writer) -> prewire_status {
    guard(|| {
        with_writer(writer, |writer| match writer {
            One::Single(writer) => writer.close(),
            One::Several(writer) => writer.close(),
        })
    })
}

/// Gives a writer back. One that was not closed is closed, and what goes wrong then is only logged: `prewire_flush_close` returns it. The handle is no longer the caller's, and no
/// callback is called any more. Any thread may call it.
///
/// # Safety
/// Any value may be given; one that is no handle of a writer is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_destroy(writer: *mut prewire_flush_writer) -> prewire_status {
    guard(|| {
        let Open { writer, logger } = handle::remove(writer)?;
        Logger::during(logger.as_ref(), || drop(writer));
        Ok(())
    })
}

/// How many elements an array has taken. Any thread may call it, one at a time for one writer.
///
/// # Safety
/// `elements` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_cursor(
    writer: *const prewire_flush_writer,
    array: usize,
    elements: *mut u64,
) -> prewire_status {
    guard(|| {
        let value = with_writer(writer, |writer| writer.cursor(array))?;
        // SAFETY: by contract.
        unsafe { pointer::put(elements, "elements", value) }
    })
}

/// Sets an attribute of the node at `path` (empty for the root) of a writer with one array, from JSON text. All texts stay the caller's. Any thread may call it, one at a time for
/// one writer.
///
/// # Safety
/// `path`, `key` and `json` are NULL or texts with a NUL at their ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_set_attribute(
    writer: *mut prewire_flush_writer,
    path: *const c_char,
    key: *const c_char,
    json: *const c_char,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let path = unsafe { pointer::text(path, "path") }?;
        // SAFETY: by contract.
        let key = unsafe { pointer::text(key, "key") }?;
        // SAFETY: by contract.
        let json = unsafe { pointer::text(json, "json") }?;
        with_writer(writer, |writer| match writer {
            One::Single(writer) => writer.set_attribute(path, key, json),
            One::Several(_) => Err(FlushError::invalid_input("attributes are set on writers of one array")),
        })
    })
}

/// The metrics of one array.
pub(crate) fn metrics_of(writer: *const prewire_flush_writer, array: usize) -> Result<Metrics, Error> {
    with_writer(writer, |writer| writer.metrics(array))
}
