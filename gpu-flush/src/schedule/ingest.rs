//! From the caller's slice to the chunk pool.

use std::sync::Arc;

use super::array::Array;
use super::engine::{Engine, Staging};
use crate::device::{DeviceError, Scatter, Tag, Unit};
use crate::edges::Place;
use crate::error::Error;
use crate::metrics::Stage;
use crate::stages::{self, Input};

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
        let (slot, dispatch) = (self.staging_slot, array.dispatches);
        let staged = self.staging.take();
        let device_slot = self.buffers.device_staging.acquire_produce(&self.edges, slot, Place::HostToDevice)?;
        let lane = self.lane(Place::HostToDevice, array, Some(Stage::HostToDevice));
        match (&staged, borrowed) {
            (Some(_), None) => {
                let (_, filled) = self.buffers.host_staging.on_own_stream(slot)?;
                let range = 0..bytes as u64;
                let copy = (filled.all().slice(range.clone()), device_slot.all().slice(range));
                stages::host_to_device(lane, dispatch, Some(copy))?;
                array.timers.of(Stage::HostToDevice).add_bytes(bytes as u64);
            }
            _ => stages::host_to_device(lane, dispatch, None)?,
        }
        device_slot.release(&self.edges, Place::HostToDevice)?;
        let filled = self.buffers.device_staging.acquire_consume(&self.edges, slot, Place::Compute)?;
        let input = match borrowed {
            Some(source) => Input::Borrowed(source),
            None => Input::Staged(filled.all().slice(0..bytes as u64)),
        };
        let lane = self.lane(Place::Compute, array, Some(Stage::Scatter));
        let geometry = &array.geometry;
        let element = geometry.dtype.size_bytes() as u64;
        let first_element = array.dispatched % geometry.epoch_input_elements;
        if self.lod_active(array) {
            let (to, _) = self.buffers.linear.on_own_stream(0)?;
            let start = first_element * element;
            stages::linear(lane, dispatch, to.all().slice(start..start + bytes as u64), input)?;
        } else {
            let fill = self.fill.as_ref().ok_or_else(|| not_bound("SCATTER"))?;
            let elements = first_element + bytes as u64 / element;
            let epochs = elements.div_ceil(geometry.epoch_input_elements);
            let (scatter, region) = Self::scatter_from(array, first_element, epochs);
            stages::scatter(lane, dispatch, scatter, fill.all().slice(region), input)?;
        }
        filled.release(&self.edges, Place::Compute)?;
        array.timers.of(Stage::Scatter).add_bytes(bytes as u64);
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
