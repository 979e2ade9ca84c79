//! From the caller's slice to the chunk pool.

use std::sync::Arc;

use super::array::Array;
use super::engine::{Engine, Staging};
use crate::device::{DeviceError, Scatter, Tag, Unit};
use crate::edges::Place;
use crate::error::Error;
use crate::metrics::Stage;
use crate::pools::Consume;
use crate::stages::{self, Input};

/// Slices below this many bytes are gathered into one dispatch: queueing one for each would cost more than scattering it.
const SMALL_BYTES: usize = 64 << 10;

impl Engine {
    /// Takes elements of `array` from `data` (whole elements, not more than the array has room for).
    /// Returns after everything was dispatched or copied to staging.
    pub(crate) fn ingest(&mut self, array: &mut Array, data: &[u8]) -> Result<(), Error> {
        if self.description.host_memory { self.ingest_borrowed(array, data) } else { self.ingest_staged(array, data) }
    }

    /// Elements the next dispatch may carry: to the end of the batch, or of the epoch where levels are computed.
    fn dispatch_room(&self, array: &Array) -> u64 {
        let epoch = array.geometry.epoch_input_elements;
        let into_epoch = array.dispatched % epoch;
        if self.lod_active(array) {
            epoch - into_epoch
        } else {
            (u64::from(array.epochs_per_batch) - array.masks.len() as u64) * epoch - into_epoch
        }
    }

    fn ingest_borrowed(&mut self, array: &mut Array, data: &[u8]) -> Result<(), Error> {
        let element = array.geometry.dtype.size_bytes();
        if data.is_empty() {
            return Ok(());
        }
        if self.is_small(array, data) {
            self.extend_dispatch(array, data)?;
            array.cursor += (data.len() / element) as u64;
            array.dispatched += (data.len() / element) as u64;
            return Ok(());
        }
        self.end_dispatch(array)?;
        let mut rest = data;
        while !rest.is_empty() {
            let room = self.dispatch_room(array).min(usize::MAX as u64 / element as u64) as usize * element;
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.dispatch(array, Some(now), now.len())?;
            array.cursor += (now.len() / element) as u64;
            self.complete_epochs(array, (now.len() / element) as u64)?;
            rest = later;
        }
        Ok(())
    }

    /// Whether `data` is too little for a dispatch of its own and ends inside the epoch that fills.
    pub(crate) fn is_small(&self, array: &Array, data: &[u8]) -> bool {
        let epoch = array.geometry.epoch_input_elements;
        let elements = (data.len() / array.geometry.dtype.size_bytes()) as u64;
        self.description.host_memory
            && !self.lod_active(array)
            && data.len() < SMALL_BYTES
            && elements < epoch - array.dispatched % epoch
    }

    /// Scatters a small slice as part of the dispatch that is open, and opens one if none is: its waits and records are queued
    /// once for all the slices it gathers, each of which has been scattered when this returns.
    fn extend_dispatch(&mut self, array: &mut Array, data: &[u8]) -> Result<(), DeviceError> {
        let filled = match self.open.take() {
            Some(filled) => filled,
            None => self.begin_dispatch(array, None, 0)?,
        };
        if let Err(error) = self.scatter(array, Input::Borrowed(data), data.len(), None) {
            self.quiet(&[Place::HostToDevice, Place::Compute]);
            return Err(error);
        }
        self.open = Some(filled);
        array.timers.of(Stage::Scatter).add_bytes(data.len() as u64);
        Ok(())
    }

    /// Ends the dispatch of small slices, if one is open.
    pub(crate) fn end_dispatch(&mut self, array: &mut Array) -> Result<(), DeviceError> {
        self.open.take().map_or(Ok(()), |filled| self.finish_dispatch(array, filled))
    }

    fn ingest_staged(&mut self, array: &mut Array, data: &[u8]) -> Result<(), Error> {
        let element = array.geometry.dtype.size_bytes();
        let mut rest = data;
        while !rest.is_empty() {
            let room = self.dispatch_room(array).min(usize::MAX as u64 / element as u64) as usize * element;
            let limit = room.min(self.staging_bytes / element * element);
            let staging = match self.staging.take() {
                Some(staging) => staging,
                None => {
                    let guard = self.buffers.host_staging.host_acquire_produce(&self.edges, self.staging_slot)?;
                    Staging { guard, bytes: 0 }
                }
            };
            let (now, later) = rest.split_at((limit - staging.bytes).min(rest.len()));
            let staging = self.stage(array, staging, now)?;
            array.cursor += (now.len() / element) as u64;
            let bytes = staging.bytes;
            self.staging = Some(staging);
            if bytes == limit {
                self.dispatch_staged(array)?;
            }
            rest = later;
        }
        Ok(())
    }

    /// Copies bytes behind those already staged.
    fn stage(&self, array: &Array, mut staging: Staging, bytes: &[u8]) -> Result<Staging, DeviceError> {
        let start = std::time::Instant::now();
        let range = staging.bytes as u64..(staging.bytes + bytes.len()) as u64;
        let tag = Tag::new("FILL", Unit::Dispatch(array.dispatches));
        let access = staging.guard.all().slice(range).write();
        // SAFETY: the guard was acquired for the host, so no queued copy still reads the slot.
        let view = unsafe { self.device.host_access(tag, access) }?;
        if self.description.moves_bytes {
            // SAFETY: the view has `bytes.len()` bytes, in memory of the device's own, so it cannot overlap the caller's.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), view.as_ptr(), bytes.len()) };
        }
        staging.bytes += bytes.len();
        let timer = array.timers.of(Stage::Memcpy);
        timer.add(start.elapsed());
        timer.add_bytes(bytes.len() as u64);
        Ok(staging)
    }

    /// Dispatches what is staged, if anything is.
    pub(crate) fn dispatch_staged(&mut self, array: &mut Array) -> Result<(), Error> {
        self.end_dispatch(array)?;
        let Some(staging) = &self.staging else { return Ok(()) };
        let bytes = staging.bytes;
        let elements = (bytes / array.geometry.dtype.size_bytes()) as u64;
        self.dispatch(array, None, bytes)?;
        self.complete_epochs(array, elements)
    }

    /// Queues one transfer and its scatter: of the staged bytes, or of a borrowed slice with the transfer left out.
    fn dispatch(&mut self, array: &mut Array, borrowed: Option<&[u8]>, bytes: usize) -> Result<(), DeviceError> {
        let result = self.queue_dispatch(array, borrowed, bytes);
        if result.is_err() {
            // What was queued before the failure has no record behind it. Neither stream waits for a delivery.
            self.quiet(&[Place::HostToDevice, Place::Compute]);
        }
        result
    }

    fn queue_dispatch(&mut self, array: &mut Array, borrowed: Option<&[u8]>, bytes: usize) -> Result<(), DeviceError> {
        let staged = if borrowed.is_none() { self.staging.take() } else { None };
        let filled = self.begin_dispatch(array, staged, bytes)?;
        let input = match borrowed {
            Some(source) => Input::Borrowed(source),
            None => Input::Staged(filled.all().slice(0..bytes as u64)),
        };
        self.scatter(array, input, bytes, Some(Stage::Scatter))?;
        array.timers.of(Stage::Scatter).add_bytes(bytes as u64);
        self.finish_dispatch(array, filled)
    }

    /// Queues the transfer of what is staged, or leaves it out, and opens the device's slot to the scatter.
    fn begin_dispatch(&mut self, array: &Array, staged: Option<Staging>, bytes: usize) -> Result<Consume, DeviceError> {
        let (slot, dispatch) = (self.staging_slot, array.dispatches);
        let device_slot = self.buffers.device_staging.acquire_produce(&self.edges, slot, Place::HostToDevice)?;
        let lane = self.lane(Place::HostToDevice, array, Some(Stage::HostToDevice));
        if staged.is_some() {
            let (_, filled) = self.buffers.host_staging.on_own_stream(slot)?;
            let range = 0..bytes as u64;
            let copy = (filled.all().slice(range.clone()), device_slot.all().slice(range));
            stages::host_to_device(lane, dispatch, Some(copy))?;
            array.timers.of(Stage::HostToDevice).add_bytes(bytes as u64);
        } else {
            stages::host_to_device(lane, dispatch, None)?;
        }
        device_slot.release(&self.edges, Place::HostToDevice)?;
        self.buffers.device_staging.acquire_consume(&self.edges, slot, Place::Compute)
    }

    /// Queues the scatter of `bytes` bytes of input to where the next element goes.
    fn scatter(&self, array: &Array, input: Input<'_>, bytes: usize, stage: Option<Stage>) -> Result<(), DeviceError> {
        let dispatch = array.dispatches;
        let lane = self.lane(Place::Compute, array, stage);
        let geometry = &array.geometry;
        let element = geometry.dtype.size_bytes() as u64;
        let first_element = array.dispatched % geometry.epoch_input_elements;
        if self.lod_active(array) {
            let (to, _) = self.buffers.linear.on_own_stream(0)?;
            let start = first_element * element;
            return stages::linear(lane, dispatch, to.all().slice(start..start + bytes as u64), input);
        }
        let fill = self.fill.as_ref().ok_or_else(|| not_bound("SCATTER"))?;
        let elements = first_element + bytes as u64 / element;
        let epochs = elements.div_ceil(geometry.epoch_input_elements);
        let (scatter, region) = Self::scatter_from(array, first_element, epochs);
        stages::scatter(lane, dispatch, scatter, fill.all().slice(region), input)
    }

    fn finish_dispatch(&mut self, array: &mut Array, filled: Consume) -> Result<(), DeviceError> {
        filled.release(&self.edges, Place::Compute)?;
        array.dispatches += 1;
        self.staging_slot ^= 1;
        Ok(())
    }

    /// The scatter that starts at `first_element` of the epoch that fills, and the bytes of its pool in which `epochs` epochs may write.
    pub(super) fn scatter_from(array: &Array, first_element: u64, epochs: u64) -> (Scatter, std::ops::Range<u64>) {
        let first = array.masks.len() as u64;
        let geometry = Arc::clone(&array.geometry);
        let epoch_bytes = geometry.epoch_pool_bytes();
        match &array.places {
            None => {
                let region = first * epoch_bytes..(first + epochs) * epoch_bytes;
                (Scatter { geometry, first_element, shards: None }, region)
            }
            Some(places) => {
                let shards = Some((Arc::clone(places), first));
                (Scatter { geometry, first_element, shards }, 0..places.batch_bytes())
            }
        }
    }

    /// Counts dispatched elements and closes the epochs they complete.
    fn complete_epochs(&mut self, array: &mut Array, elements: u64) -> Result<(), Error> {
        let epoch = array.geometry.epoch_input_elements;
        let complete = (array.dispatched + elements) / epoch - array.dispatched / epoch;
        array.dispatched += elements;
        for _ in 0..complete {
            self.accumulate_epoch(array)?;
        }
        Ok(())
    }
}

pub(super) fn not_bound(what: &str) -> DeviceError {
    DeviceError::failed(what, "the engine is not bound to an array")
}
