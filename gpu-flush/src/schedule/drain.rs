//! One drain: a kicked batch's bytes to the host and to the sink, and the tails it leaves to the device.
//!
//! A drain has many exits and one end: the array is latched if it failed, then the token publishes.

use super::array::Array;
use super::engine::Engine;
use super::slots::Handoff;
use crate::device::{Accesses, DeviceError, HostView, Label, Note, Operation, Payload, Tag, Unit, get_u64, put_u64};
use crate::edges::{Edge, Mutation, Place};
use crate::error::Error;
use crate::metrics::Stage;
use crate::pools::Consume;
use crate::shard::{Delivered, Delivery};
use crate::sink::StableBytes;
use crate::stages;

impl Engine {
    /// Drains `slot` if it is kicked.
    pub(crate) fn drain(&mut self, array: &mut Array, slot: usize) -> Result<(), Error> {
        if let Err(error) = array.slots.check_drain(slot)
            && !self.edges.mutations.has(Mutation::DrainNewestFirst)
        {
            return Err(array.latch(error.into()));
        }
        let Some(handoff) = array.slots.slots[slot].kicked.take() else { return Ok(()) };
        let Handoff { token, batch, aggregate } = handoff;
        let (start, blocked) = (std::time::Instant::now(), self.edges.stalls.blocked());
        let span = tracing::trace_span!("drain", batch, slot);
        let entered = span.enter();
        self.device.note(Note::Drain { batch, slot: slot as u32 });
        let result = self.deliver_batch(array, slot, batch, aggregate);
        let mut token = Some(token);
        let early = self.edges.mutations.has(Mutation::PublishBeforeUpload);
        if early && let Some(token) = token.take() {
            token.consume(&self.edges);
        }
        let result = result.and_then(|()| self.upload_tails(array, batch));
        self.record_fence(array, slot);
        let result = result.map_err(|error| array.latch(error));
        if let Some(token) = token {
            token.consume(&self.edges);
        }
        self.device.note(Note::Consumed { batch, slot: slot as u32 });
        let waited = self.edges.stalls.blocked() - blocked;
        self.edges.stalls.add_drain(start.elapsed().saturating_sub(waited));
        drop(entered);
        result?;
        self.publish_progress(array)
    }

    /// Waits for the batch on the host and gives it to the shards.
    fn deliver_batch(
        &self,
        array: &mut Array,
        slot: usize,
        batch: u64,
        aggregate: Option<Consume>,
    ) -> Result<(), Error> {
        if let Some(error) = &array.broken {
            return Err(error.clone());
        }
        if let Some(error) = array.sink.error() {
            return Err(error);
        }
        let number = slot as u32;
        match aggregate {
            None => {
                let payload = self.buffers.host_payload.host_acquire_consume(&self.edges, number)?;
                let index = self.buffers.host_index.acquire_covered(&payload)?;
                self.read_index(array, slot, batch, index)?;
                self.check_sizes(array, slot)?;
                self.deliver(array, slot, batch, payload)
            }
            Some(aggregate) => {
                let index = self.buffers.host_index.host_acquire_consume(&self.edges, number)?;
                let sizes = self.read_index(array, slot, batch, index).and_then(|()| self.check_sizes(array, slot));
                let place = if self.edges.mutations.has(Mutation::PayloadOnDeviceToHost) {
                    Place::DeviceToHost
                } else {
                    Place::Drain
                };
                let copied = match &sizes {
                    Ok(()) => self.copy_payload(array, slot, batch, &aggregate, place),
                    Err(_) => Ok(()),
                };
                // The slot is given back on every path, or a later kick would wait for a record of an earlier use.
                let released = aggregate.release(&self.edges, place);
                if released.is_err() {
                    // No record says when the copy ends, so nobody may take the slot before the stream is idle.
                    self.quiet(&[place]);
                }
                sizes?;
                copied?;
                released?;
                let payload = self.buffers.host_payload.host_acquire_consume(&self.edges, number)?;
                self.deliver(array, slot, batch, payload)
            }
        }
    }

    /// Reads sizes and offsets, and makes offsets relative to their level's segment, in place.
    fn read_index(&self, array: &mut Array, slot: usize, batch: u64, mut index: Consume) -> Result<(), DeviceError> {
        let entries = array.layouts[slot].entries() as usize;
        let bytes = entries as u64 * 16;
        let tag = |name| Tag::new(name, Unit::Batch(batch));
        // SAFETY: the guard was acquired for the host.
        let view = unsafe { self.device.host_access(tag("READ_SIZES"), index.all().slice(0..bytes).read()) }?;
        // SAFETY: the view is initialized memory of that length, which nobody writes while the guard is held.
        let table = unsafe { std::slice::from_raw_parts(view.as_ptr(), view.len()) };
        array.sizes.clear();
        array.sizes.extend((0..entries).map(|entry| get_u64(table, entry)));
        array.offsets.clear();
        array.offsets.extend((entries..entries * 2).map(|entry| get_u64(table, entry)));
        if self.edges.mutations.has(Mutation::SpoilSizes) {
            array.sizes.iter_mut().for_each(|size| *size += 1 << 40);
        }
        let offsets = index.in_place().slice(entries as u64 * 8..bytes).update();
        // SAFETY: as above; the host is the slot's only consumer until it is kicked again.
        let view: HostView = unsafe { self.device.host_access(tag("REBASE"), offsets) }?;
        // SAFETY: as above, and the only reference to it.
        let table = unsafe { std::slice::from_raw_parts_mut(view.as_ptr(), view.len()) };
        let layout = &array.layouts[slot];
        for part in &layout.levels {
            let range = part.first_entry as usize..(part.first_entry + part.entries) as usize;
            let base = if layout.page_bytes > 0 {
                part.segment_offset
            } else {
                array.offsets.get(range.start).copied().unwrap_or(0)
            };
            for entry in range {
                array.offsets[entry] = array.offsets[entry].wrapping_sub(base);
                put_u64(table, entry, array.offsets[entry]);
            }
        }
        drop(index);
        Ok(())
    }

    /// Bytes of each level's part of the payload: from the start of its segment to the end of its last chunk.
    fn level_bytes(array: &Array, slot: usize, level: usize) -> u64 {
        let part = &array.layouts[slot].levels[level];
        if part.entries == 0 {
            return 0;
        }
        let last = (part.first_entry + part.entries - 1) as usize;
        array.offsets[last].saturating_add(array.sizes[last])
    }

    /// Refuses an index that cannot be: nothing is copied or written by it. In each shard the first chunk stands right behind the
    /// carried tail and every other right behind the one before; a stale tail or a damaged size shows here.
    fn check_sizes(&self, array: &Array, slot: usize) -> Result<(), DeviceError> {
        let layout = &array.layouts[slot];
        for (index, level) in array.geometry.levels.iter().enumerate() {
            let part = &layout.levels[index];
            let capacity = layout.shard_capacities[index];
            let most = layout.segment_bytes(level, array.epochs_per_batch);
            let per_shard = (part.entries / level.inner_shards.max(1)) as usize;
            let mut expected = 0;
            for shard in 0..level.inner_shards as usize {
                if capacity > 0 {
                    expected = shard as u64 * capacity + u64::from(array.shards[index].tail_lengths()[shard]);
                }
                let end = if capacity > 0 { (shard as u64 + 1) * capacity } else { most };
                let first = part.first_entry as usize + shard * per_shard;
                for entry in first..first + per_shard {
                    let (offset, size) = (array.offsets[entry], array.sizes[entry]);
                    let fits = offset.checked_add(size).is_some_and(|last| last <= end);
                    if offset != expected || !fits {
                        let reason = format!(
                            "entry {entry} of level {index} is {size} B at {offset}, expected at {expected} and to end by {end}; \
                             the chunk index is damaged"
                        );
                        return Err(DeviceError::failed("READ_SIZES", reason));
                    }
                    expected += size;
                }
            }
        }
        Ok(())
    }

    /// First byte of a level's part of the payload.
    fn level_start(array: &Array, slot: usize, level: usize) -> u64 {
        let layout = &array.layouts[slot];
        if layout.page_bytes > 0 {
            return layout.levels[level].segment_offset;
        }
        (0..level).map(|before| Self::level_bytes(array, slot, before)).sum()
    }

    /// Queues the exact-size copies: one per level of a page-aligned sink, else one.
    fn copy_payload(
        &self,
        array: &Array,
        slot: usize,
        batch: u64,
        aggregate: &Consume,
        place: Place,
    ) -> Result<(), DeviceError> {
        let (host, _) = self.buffers.host_payload.on_own_stream(slot as u32)?;
        let lane = self.lane(place, array, Some(Stage::DeviceToHost));
        let levels = array.geometry.levels.len();
        let copy = |start: u64, bytes: u64| {
            let range = start..start + bytes;
            let apart = !self.description.host_memory;
            let copy = apart.then(|| (aggregate.all().slice(range.clone()), host.all().slice(range.clone())));
            array.timers.of(Stage::DeviceToHost).add_bytes(bytes);
            stages::copy_back(lane, "PAYLOAD", batch, copy)
        };
        if array.page_bytes == 0 {
            let total = (0..levels).map(|level| Self::level_bytes(array, slot, level)).sum();
            return if total > 0 { copy(0, total) } else { Ok(()) };
        }
        for level in 0..levels {
            let bytes = Self::level_bytes(array, slot, level);
            if bytes > 0 {
                copy(Self::level_start(array, slot, level), bytes)?;
            }
        }
        Ok(())
    }

    /// Gives each level's part to its shards.
    fn deliver(&self, array: &mut Array, slot: usize, batch: u64, payload: Consume) -> Result<(), Error> {
        let start_time = std::time::Instant::now();
        let sink = std::sync::Arc::clone(&array.sink);
        let mut total = Delivered::default();
        for level in 0..array.geometry.levels.len() {
            let bytes = Self::level_bytes(array, slot, level);
            let start = Self::level_start(array, slot, level);
            let (part, capacity) = {
                let layout = &array.layouts[slot];
                (&layout.levels[level], layout.shard_capacities[level])
            };
            if part.entries == 0 {
                continue;
            }
            let access = payload.all().slice(start..start + bytes).read();
            // SAFETY: the guard was acquired for the host.
            let view = unsafe { self.device.host_access(Tag::new("DELIVER", Unit::Batch(batch)), access) }?;
            array.payload.begin(batch, view.as_ptr(), access);
            // SAFETY: the slot's payload is written again only after the fence recorded behind this delivery was waited for.
            let data = unsafe { StableBytes::new(view.as_ptr(), view.len()) };
            let range = part.first_entry as usize..(part.first_entry + part.entries) as usize;
            let delivery = Delivery {
                active: part.active_epochs.len() as u64,
                data,
                shard_capacity: capacity,
                offsets: &array.offsets[range.clone()],
                sizes: &array.sizes[range],
            };
            let delivered = array.shards[level].deliver(sink.as_ref(), &delivery)?;
            total.bytes += delivered.bytes;
            total.stable_writes += delivered.stable_writes;
            total.copied_writes += delivered.copied_writes;
            total.closed_shards += delivered.closed_shards;
        }
        drop(payload);
        array.stable_writes += total.stable_writes;
        array.copied_writes += total.copied_writes;
        array.timers.of(Stage::Sink).add(start_time.elapsed());
        array.timers.of(Stage::Sink).add_bytes(total.bytes);
        Ok(())
    }

    /// Brings the carried tails to the device, where the next batch's aggregation reads them. They are there when this returns.
    fn upload_tails(&self, array: &mut Array, batch: u64) -> Result<(), Error> {
        if array.page_bytes == 0 || array.shard_count() == 0 {
            return Ok(());
        }
        let page = array.page_bytes;
        let tag = |name| Tag::new(name, Unit::Batch(batch));
        let host = if self.description.host_memory { &array.buffers.tail_state } else { &array.buffers.host_tail };
        let (staging, staged) = host.on_own_stream(0)?;
        let name = if self.description.host_memory { "TAIL_UPLOAD" } else { "TAIL_STAGE" };
        // SAFETY: the host alone writes these tails: batches are delivered oldest first, and aggregation of the next batch waits for
        // this one's publication, or is not queued yet.
        let view = unsafe { self.device.host_access(tag(name), staging.all().write()) }?;
        // SAFETY: initialized memory of that length, and the only reference to it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(view.as_ptr(), view.len()) };
        let (lengths, pages) = bytes.split_at_mut(array.shard_count() as usize * 8);
        let mut number = 0;
        for shards in &array.shards {
            let tails = shards.tails();
            for (shard, length) in shards.tail_lengths().iter().enumerate() {
                put_u64(lengths, number, u64::from(*length));
                let tail = &tails[shard * page..][..*length as usize];
                pages[number * page..][..tail.len()].copy_from_slice(tail);
                number += 1;
            }
        }
        if !self.description.host_memory {
            let (state, _) = array.buffers.tail_state.on_own_stream(0)?;
            let accesses = Accesses::new(&[state.all().write(), staged.all().read()]);
            let operation =
                Operation { tag: tag("TAIL_UPLOAD"), payload: Payload::Copy, accesses, source: None, timer: None };
            // SAFETY: as above.
            unsafe { self.device.upload(operation) }?;
        }
        Ok(())
    }

    /// Marks the end of what the sink may still read of the slot. Also after an error: queued writes point at the payload.
    fn record_fence(&self, array: &mut Array, slot: usize) {
        let held = array.payload.take_held();
        let fence = crate::sink::guarded("fence", || Ok(array.sink.record_fence()));
        match fence {
            Ok(fence) => array.slots.slots[slot].fence = Some(fence),
            Err(error) => drop(array.latch(error)),
        }
        self.edges.count(Edge::IoFence, true);
        let edge = Label::new(Edge::IoFence.name(), slot as u32);
        self.device.note(Note::FenceRecord { edge, direct_writes: held });
    }
}
