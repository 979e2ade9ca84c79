//! The engine: streams, edges and pools that one writer's arrays share, and the guards they hold between calls.

use std::sync::Arc;

use super::array::Array;
use super::buffers::Buffers;
use crate::device::{Description, Device, DeviceError, Note};
#[cfg(test)]
use crate::edges::Edge;
use crate::edges::{Edges, Mutations, Place, Streams};
use crate::geometry::MemoryEstimate;
use crate::metrics::Stage;
use crate::pools::{Consume, Pool, Produce};
use crate::stages::{self, Lane};

/// One host staging slot being filled.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) guard: Produce,
    pub(crate) bytes: usize,
}

/// Everything the arrays of a writer share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) device: Arc<dyn Device>,
    pub(crate) description: Description,
    pub(crate) streams: Streams,
    pub(crate) edges: Edges,
    pub(crate) buffers: Buffers,
    /// Device memory has level buffers, so arrays may compute pyramids.
    pub(crate) has_levels: bool,
    pub(crate) staging_bytes: usize,
    /// The staging slot the next bytes go to.
    pub(crate) staging_slot: u32,
    pub(crate) staging: Option<Staging>,
    /// The dispatch that gathers small slices of borrowed input.
    pub(crate) open: Option<Consume>,
    /// The right to fill the chunk pool's current slot.
    pub(crate) fill: Option<Produce>,
    /// Why this device was taken, where the choice was left to the writer.
    pub(crate) device_reason: Option<&'static str>,
    /// The array the guards belong to.
    pub(crate) bound: Option<u32>,
}

impl Engine {
    /// Creates streams, events and pools, and seeds the edges. On failure everything made so far is given back.
    pub(crate) fn create(
        device: Arc<dyn Device>,
        estimates: &[MemoryEstimate],
        staging_bytes: usize,
        mutations: Mutations,
    ) -> Result<Self, DeviceError> {
        let description = device.description();
        let has_levels =
            estimates.iter().any(|estimate| estimate.bytes_of("linear") > 0 && estimate.count_of("linear") > 0);
        let streams = Streams::create(device.as_ref())?;
        let edges = Edges::create(Arc::clone(&device), streams, has_levels, mutations)?;
        edges.seed()?;
        let buffers = Buffers::create(device.as_ref(), estimates)?;
        Ok(Self {
            device,
            description,
            streams,
            edges,
            buffers,
            has_levels,
            staging_bytes,
            staging_slot: 0,
            staging: None,
            open: None,
            fill: None,
            device_reason: None,
            bound: None,
        })
    }

    /// The lane of a stage on the stream of `place`.
    pub(crate) fn lane<'a>(&'a self, place: Place, array: &'a Array, stage: Option<Stage>) -> Lane<'a> {
        let stream = self.streams.of(place).unwrap_or(self.streams.all()[0]);
        Lane { device: self.device.as_ref(), stream, timer: stage.map(|stage| array.timers.of(stage)) }
    }

    /// Gives the engine to `array`, which nothing of another array still uses.
    pub(crate) fn bind(&mut self, array: &mut Array) -> Result<(), DeviceError> {
        if self.bound == Some(array.number) {
            return Ok(());
        }
        let first = self.bound.is_none();
        self.bound = Some(array.number);
        self.device.note(Note::Bind { array: array.number });
        array.tables_for = [None, None];
        array.fill = 0;
        self.fill = None;
        if !first {
            // Another array's chunks are in every buffer.
            for (slot, guard) in (0..).zip(self.filling_pool(array).every_unused()) {
                stages::zero(self.lane(Place::Compute, array, None), slot, Some(guard.all()))?;
            }
        }
        self.take_buffer(array);
        self.fill = Some(self.filling_pool(array).acquire_unused(0)?);
        Ok(())
    }

    /// The pool that `array` fills: the chunks of its batches, or the shards they stand in.
    pub(crate) fn filling_pool(&self, array: &Array) -> &Pool {
        if array.places.is_some() { &self.buffers.shard_pool } else { &self.buffers.chunk_pool }
    }

    /// Before the slot that fills is acquired: the buffer behind it, and the places of its chunks, which stand behind the tails
    /// that the epochs so far leave.
    pub(crate) fn take_buffer(&mut self, array: &mut Array) {
        if let Some(places) = &mut array.places {
            self.buffers.turn(array.fill as u32);
            Arc::make_mut(places).begin(array.epochs);
        }
    }

    /// Whether `array` computes levels on this engine.
    pub(crate) fn lod_active(&self, array: &Array) -> bool {
        self.has_levels && array.levels.is_some()
    }

    /// Waits for everything on every stream. No kick may still wait at a gate.
    pub(crate) fn synchronize(&self) {
        self.quiet(&Place::STREAMS);
    }

    /// Waits for everything on the streams of `places`. Errors are logged: this runs behind a failure, or at the end.
    pub(crate) fn quiet(&self, places: &[Place]) {
        for place in places {
            let idle = self.streams.of(*place).map_or(Ok(()), |stream| self.device.synchronize(stream));
            if let Err(error) = idle {
                tracing::warn!(stream = place.name(), %error, "a stream did not end cleanly");
            }
        }
    }

    /// Frees every pool. The streams are idle and the sinks have let go of the payloads.
    pub(crate) fn destroy(&mut self) {
        self.fill = None;
        self.staging = None;
        self.open = None;
        self.buffers.destroy(self.device.as_ref());
    }

    /// The edges used so far: name, records, waits.
    #[cfg(test)]
    pub(crate) fn edge_uses(&self) -> Vec<(Edge, u64, u64)> {
        self.edges.uses()
    }
}
