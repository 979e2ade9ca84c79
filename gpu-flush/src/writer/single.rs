//! The writer of one array.

use std::sync::Arc;
use std::time::Instant;

use super::appended::{Appended, Status};
use super::builder::WriterBuilder;
use super::snapshot::Metrics;
use crate::config::{ArrayConfig, EngineConfig};
use crate::error::Error;
use crate::geometry::{ArrayGeometry, MemoryEstimate};
use crate::metrics::Stage;
use crate::schedule::{Array, Engine, Shape};
use crate::sink::Sink;

/// Streams one array to a sink, in memory fixed at creation.
///
/// Dropping a writer closes it and logs what went wrong; [`Writer::close`] returns it.
#[derive(Debug)]
pub struct Writer {
    engine: Engine,
    array: Array,
}

impl Writer {
    /// A writer of `config` to `sink` with default settings: on the CPU, refusing a sink that already holds a node.
    ///
    /// # Errors
    /// As [`WriterBuilder::build`].
    pub fn create(config: ArrayConfig, sink: Arc<dyn Sink>) -> Result<Self, Error> {
        WriterBuilder::new().array(config, sink).build()
    }

    /// As [`Writer::create`], with settings.
    ///
    /// # Errors
    /// As [`WriterBuilder::build`].
    pub fn with_engine(config: ArrayConfig, engine: EngineConfig, sink: Arc<dyn Sink>) -> Result<Self, Error> {
        WriterBuilder::new().array(config, sink).engine(engine).build()
    }

    pub(super) fn new(engine: Engine, array: Array) -> Self {
        Self { engine, array }
    }

    /// Takes `data`, whole elements in acquisition order, little-endian, unpadded. A bounded array that is full, and any array
    /// after a flush, hands back what it does not take.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a part of an element; nothing is taken then. The first failure of the device or sink;
    /// [`Error::Broken`] in every call after that.
    pub fn append<'a>(&mut self, data: &'a [u8]) -> Result<Appended<'a>, Error> {
        append(&mut self.engine, &mut self.array, data)
    }

    /// Ends the input: a started chunk is padded with zeros, its shard closed. Returns when the last write is queued. Later
    /// flushes repeat the result, later appends take nothing.
    ///
    /// # Errors
    /// The first failure of the array.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.engine.flush(&mut self.array)
    }

    /// Flushes, waits until every write is durable, and publishes the final extent. Later closes repeat the result.
    ///
    /// # Errors
    /// The first failure of the array.
    pub fn close(&mut self) -> Result<(), Error> {
        self.engine.close(&mut self.array)
    }

    /// Elements taken so far.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.array.cursor
    }

    /// The layout.
    #[must_use]
    pub fn geometry(&self) -> &ArrayGeometry {
        &self.array.geometry
    }

    /// When batches are drained.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.array.shape
    }

    /// Epochs compressed together.
    #[must_use]
    pub fn epochs_per_batch(&self) -> u32 {
        self.array.epochs_per_batch
    }

    /// The name of the device.
    #[must_use]
    pub fn device_name(&self) -> &'static str {
        self.engine.description.name
    }

    /// Why this device was taken, where the choice was left to the writer (`auto`).
    #[must_use]
    pub fn device_reason(&self) -> Option<&'static str> {
        self.engine.device_reason
    }

    /// The memory it took.
    #[must_use]
    pub fn memory(&self) -> &MemoryEstimate {
        &self.array.estimate
    }

    /// The first failure, if there was one.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.array.broken.as_ref()
    }

    /// What was done so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.engine, &self.array)
    }

    /// Sets an attribute of the node at `path` (empty for the root) from JSON text.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when there is no such node or the text is not JSON; the old value stays.
    pub fn set_attribute(&mut self, path: &str, key: &str, json: &str) -> Result<(), Error> {
        self.array.publisher.set_attribute(path, key, json)
    }

    #[cfg(test)]
    pub(crate) fn parts(&mut self) -> (&mut Engine, &mut Array) {
        (&mut self.engine, &mut self.array)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.engine.abandon(&mut self.array);
        self.engine.destroy();
    }
}

/// The append of one array that the engine is bound to.
pub(super) fn append<'a>(engine: &mut Engine, array: &mut Array, data: &'a [u8]) -> Result<Appended<'a>, Error> {
    array.check()?;
    let element = array.geometry.dtype.size_bytes();
    if !data.len().is_multiple_of(element) {
        return Err(Error::invalid_input(format!(
            "{} B are no whole number of {} elements of {element} B",
            data.len(),
            array.geometry.dtype
        )));
    }
    if array.finish.flushed.is_some() {
        return Ok(Appended { status: Status::Finished, rest: data });
    }
    let start = Instant::now();
    let room = array.room_elements().saturating_mul(element as u64);
    let (now, rest) = data.split_at(data.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
    let small = engine.is_small(array, now);
    let result = engine.ingest(array, now);
    let elapsed = start.elapsed();
    array.latency.add(elapsed);
    if small && !now.is_empty() {
        // The clock is read twice for a slice that is gathered, no more: nearly all of the call is its scatter.
        array.timers.of(Stage::Scatter).add(elapsed);
    }
    result.map_err(|error| array.latch(error))?;
    let status = if rest.is_empty() { Status::Ok } else { Status::Finished };
    Ok(Appended { status, rest })
}
