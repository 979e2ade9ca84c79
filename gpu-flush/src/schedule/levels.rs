//! The pyramid of an epoch, on the compute stream.

use super::array::Array;
use super::engine::Engine;
use super::ingest::not_bound;
use crate::device::DeviceError;
use crate::edges::{Edge, Place};
use crate::error::Error;
use crate::metrics::Stage;
use crate::stages::{self, FoldStep, LevelsPlan};

impl Engine {
    fn levels_plan(array: &Array) -> Result<LevelsPlan, DeviceError> {
        array.levels.clone().ok_or_else(|| DeviceError::failed("REDUCE", "the array has no levels"))
    }

    /// Computes the levels of the epoch in the linear buffer, of which `elements` came, and returns those it delivers.
    pub(crate) fn run_levels(&mut self, array: &mut Array, elements: u64) -> Result<u32, Error> {
        let plan = Self::levels_plan(array)?;
        let geometry = &array.geometry;
        let (epoch, position) = (array.epochs, array.masks.len() as u64);
        let mask = array.mask_at(epoch);
        let (region, stride) = (geometry.epoch_pool_bytes(), geometry.chunk_stride_bytes as u64);
        let fill = self.fill.as_ref().ok_or_else(|| not_bound("LOD_GATHER"))?;
        let pool = fill.all().slice(position * region..(position + 1) * region);
        let level_0 = geometry.levels[0].chunks_per_epoch * stride;
        let (linear, linear_read) = self.buffers.linear.on_own_stream(0)?;
        let (images, images_read) = self.buffers.level_images.on_own_stream(0)?;
        let linear_bytes = geometry.epoch_input_elements * geometry.dtype.size_bytes() as u64;
        let image_bytes = self.image_bytes(array);
        let lane = |stage| self.lane(Place::Compute, array, Some(stage));
        stages::gather_level_0(
            lane(Stage::LodGather),
            &plan,
            epoch,
            elements,
            pool.slice(0..level_0),
            linear.all().slice(0..linear_bytes),
        )?;
        let images = images.all().slice(0..image_bytes);
        stages::reduce(lane(Stage::LodReduce), &plan, epoch, images, linear_read.all().slice(0..linear_bytes))?;
        if geometry.append_downsample {
            let (accumulators, _) = array.buffers.accumulators.on_own_stream(0)?;
            let frames = self.frames(array, elements);
            let step = FoldStep { epoch, frames, emit_mask: mask & !1, take: true };
            stages::fold(lane(Stage::LodFold), &plan, step, images, accumulators.all())?;
            array.timers.of(Stage::LodFold).add_bytes(image_bytes);
        }
        let images = images_read.all().slice(0..image_bytes);
        stages::level_scatter(lane(Stage::LodScatter), &plan, epoch, mask, pool.slice(level_0..region), images)?;
        for stage in [Stage::LodGather, Stage::LodReduce] {
            array.timers.of(stage).add_bytes(linear_bytes);
        }
        array.timers.of(Stage::LodScatter).add_bytes(image_bytes);
        self.edges.record(Edge::LodDone, array.fill_slot(), Place::Compute)?;
        Ok(mask)
    }

    /// Frames of the append dimension in `elements` of an epoch, a started one included.
    fn frames(&self, array: &Array, elements: u64) -> u64 {
        let level = &array.geometry.levels[0];
        let frame = level.image_elements / level.chunk_shape[level.append_dimensions - 1];
        elements.div_ceil(frame)
    }

    fn image_bytes(&self, array: &Array) -> u64 {
        let images: u64 = array.geometry.levels[1..].iter().map(|level| level.image_elements).sum();
        images * array.geometry.dtype.size_bytes() as u64
    }

    /// Levels whose last epoch has begun and is not complete after all epochs of the input.
    fn partial_levels(array: &Array) -> u32 {
        let levels = array.geometry.levels.iter().enumerate().skip(1);
        levels
            .filter(|(_, level)| !array.epochs.is_multiple_of(level.period))
            .fold(0, |mask, (index, _)| mask | 1 << index)
    }

    /// At the end of the input: delivers what the append accumulators still hold, as one more batch.
    pub(crate) fn flush_partial_append(&mut self, array: &mut Array, last_elements: u64) -> Result<(), Error> {
        let mask = Self::partial_levels(array);
        if !self.lod_active(array) || !array.geometry.append_downsample || mask == 0 {
            return Ok(());
        }
        // The slot of the last batch is drained, and zeroed: the levels' regions of epoch 0 among the rest.
        self.refill_drained(array)?;
        let plan = Self::levels_plan(array)?;
        let geometry = &array.geometry;
        let (region, stride) = (geometry.epoch_pool_bytes(), geometry.chunk_stride_bytes as u64);
        let level_0 = geometry.levels[0].chunks_per_epoch * stride;
        let epoch = array.epochs - 1;
        let frames = self.frames(array, last_elements);
        {
            let fill = self.fill.as_ref().ok_or_else(|| not_bound("EMIT"))?;
            let (images, images_read) = self.buffers.level_images.on_own_stream(0)?;
            let (accumulators, _) = array.buffers.accumulators.on_own_stream(0)?;
            let range = 0..self.image_bytes(array);
            let lane = |stage| self.lane(Place::Compute, array, Some(stage));
            let images = images.all().slice(range.clone());
            let step = FoldStep { epoch, frames, emit_mask: mask, take: false };
            stages::fold(lane(Stage::LodFold), &plan, step, images, accumulators.all())?;
            let regions = fill.all().slice(level_0..region);
            let images = images_read.all().slice(range);
            stages::level_scatter(lane(Stage::LodScatter), &plan, epoch, mask, regions, images)?;
        }
        self.edges.record(Edge::LodDone, array.fill_slot(), Place::Compute)?;
        array.masks.push(mask);
        self.kick_and_drain(array)
    }
}
