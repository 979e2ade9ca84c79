//! Batch boundaries: when a batch is full, what is drained, kicked and zeroed, in the order of the array's shape.

use super::array::Array;
use super::engine::Engine;
use super::ingest::not_bound;
use super::shape::Shape;
use crate::edges::{Mutation, Place};
use crate::error::Error;
use crate::pools::{Drained, Produce};
use crate::stages;

impl Engine {
    /// Closes an epoch; at the last of a batch, kicks it.
    pub(crate) fn accumulate_epoch(&mut self, array: &mut Array) -> Result<(), Error> {
        let elements = array.geometry.epoch_input_elements;
        self.close_epoch(array, elements)?;
        if array.masks.len() < array.epochs_per_batch as usize {
            return Ok(());
        }
        match array.shape {
            Shape::DrainAfterKick => {
                self.kick_and_drain(array)?;
                self.refill_drained(array)
            }
            Shape::Pipelined | Shape::DrainBeforeKick => self.boundary(array),
        }
    }

    /// Runs the levels of an epoch of which `elements` came, and counts it into the batch.
    pub(crate) fn close_epoch(&mut self, array: &mut Array, elements: u64) -> Result<(), Error> {
        let mask = if self.lod_active(array) { self.run_levels(array, elements)? } else { 1 };
        array.masks.push(mask);
        array.epochs += 1;
        Ok(())
    }

    /// Closes the last epoch, of which only `elements` came.
    pub(crate) fn close_partial_epoch(&mut self, array: &mut Array, elements: u64) -> Result<(), Error> {
        if self.description.host_memory && !self.lod_active(array) {
            let fill = self.fill.as_ref().ok_or_else(|| not_bound("ZERO_REST"))?;
            let (scatter, region) = Self::scatter_from(array, elements, 1);
            let lane = self.lane(Place::Compute, array, None);
            stages::zero_rest(lane, array.fill_slot(), scatter, fill.all().slice(region))?;
        }
        self.close_epoch(array, elements)
    }

    /// The boundary of the two shapes that alternate slots.
    fn boundary(&mut self, array: &mut Array) -> Result<(), Error> {
        self.release_fill()?;
        self.drain_for_kick(array)?;
        self.kick(array, array.fill)?;
        array.fill ^= 1;
        self.take_buffer(array);
        let guard = self.filling_pool(array).acquire_produce(&self.edges, array.fill_slot(), Place::Compute)?;
        self.start_filling(array, guard)
    }

    /// What has to be drained before the slot that fills may be kicked.
    fn drain_for_kick(&mut self, array: &mut Array) -> Result<(), Error> {
        let (fill, other) = (array.fill, 1 - array.fill);
        let newest_first = self.edges.mutations.has(Mutation::DrainNewestFirst);
        if newest_first && array.slots.slots.iter().all(|slot| slot.kicked.is_some()) {
            self.drain(array, other)?;
        }
        if !self.edges.mutations.has(Mutation::RekickUndrained) {
            self.drain(array, fill)?;
        }
        if array.shape == Shape::DrainBeforeKick {
            self.drain(array, other)?;
        }
        Ok(())
    }

    /// Kicks the batch that fills, however many epochs it has, and drains it.
    pub(crate) fn kick_and_drain(&mut self, array: &mut Array) -> Result<(), Error> {
        self.release_fill()?;
        let slot = array.fill;
        self.drain(array, slot)?;
        self.kick(array, slot)?;
        self.drain(array, slot)
    }

    /// Starts the next batch in the slot whose batch was just drained: the host's order is order enough.
    pub(crate) fn refill_drained(&mut self, array: &mut Array) -> Result<(), Error> {
        self.take_buffer(array);
        let guard = self.filling_pool(array).acquire_drained(Drained::new(array.fill_slot()))?;
        self.start_filling(array, guard)
    }

    fn start_filling(&mut self, array: &mut Array, guard: Produce) -> Result<(), Error> {
        let pool_bytes = u64::from(array.epochs_per_batch) * array.geometry.epoch_pool_bytes();
        let bytes = array.places.as_ref().map_or(pool_bytes, |places| places.batch_bytes());
        let region = guard.all().slice(0..bytes);
        // Where every write is cheap to see, zeroing a slot that full epochs overwrite is left out: padding was zeroed when the
        // array got the engine and is never written. A last, partial epoch clears what it leaves; see `close_partial_epoch`.
        // Behind a tail, whose length differs from batch to batch, padding moves.
        let moves = array.places.is_some() && array.page_bytes > 0 && array.has_padding();
        let region = (!self.description.host_memory || moves).then_some(region);
        stages::zero(self.lane(Place::Compute, array, None), array.fill_slot(), region)?;
        self.fill = Some(guard);
        array.masks.clear();
        Ok(())
    }

    /// Says that the batch in the chunk pool is complete.
    fn release_fill(&mut self) -> Result<(), Error> {
        let guard = self.fill.take().ok_or_else(|| not_bound("a kick"))?;
        Ok(guard.release(&self.edges, Place::Compute)?)
    }

    /// Drains every kicked batch, oldest first. Goes on behind an error and returns the first.
    pub(crate) fn drain_kicked(&mut self, array: &mut Array) -> Result<(), Error> {
        let mut result = Ok(());
        for slot in array.slots.kicked() {
            result = result.and(self.drain(array, slot));
        }
        result
    }
}
