//! One kick: a full or partial batch from the chunk pool to the host, as far as no size is needed.

use super::array::Array;
use super::engine::Engine;
use super::gate::KickToken;
use super::slots::Handoff;
use crate::device::{DeviceError, HostView, Label, Note, SHARD_LINE_BYTES, Tag, Unit, put_u32, put_u64};
use crate::edges::{Edge, Mutation, Place};
use crate::error::Error;
use crate::geometry::BatchTables;
use crate::metrics::Stage;
use crate::pools::Consume;
use crate::stages::{self, AggregateViews, CompressPlan, Lane};

/// What the device is told about a batch.
struct Tables {
    chunks: usize,
    entries: usize,
    shards: usize,
    /// First byte of the entry of each chunk.
    entries_at: u64,
    /// First byte of the shard table.
    shards_at: u64,
    bytes: u64,
}

impl Engine {
    /// Kicks the batch in `slot`. A kick that fails after its token was made is aborted: the array is latched, then the token
    /// publishes, so no later kick waits for it.
    pub(crate) fn kick(&mut self, array: &mut Array, slot: usize) -> Result<(), Error> {
        let batch = array.kicks;
        if let Err(error) = array.slots.check_kick(slot, batch)
            && !self.edges.mutations.has(Mutation::RekickUndrained)
        {
            return Err(array.latch(error.into()));
        }
        if let Err(error) = self.wait_fence(array, slot) {
            return Err(array.latch(error));
        }
        if array.places.is_some() {
            self.buffers.hand_over(slot as u32);
        }
        let token = array.gate.arm();
        array.kicks += 1;
        self.device.note(Note::Kick { batch, slot: slot as u32 });
        match self.queue_kick(array, slot, batch, &token) {
            Ok(aggregate) => {
                array.slots.slots[slot].kicked = Some(Handoff { token, batch, aggregate });
                Ok(())
            }
            Err(error) => {
                let error = array.latch(error.into());
                token.consume(&self.edges);
                // What was queued before the failure has no record behind it. Everything it waits for was published by now.
                self.quiet(&[Place::Compress, Place::DeviceToHost]);
                self.device.note(Note::Consumed { batch, slot: slot as u32 });
                Err(error)
            }
        }
    }

    /// Waits until the sink has read what it still holds of `slot`'s payload.
    pub(crate) fn wait_fence(&mut self, array: &mut Array, slot: usize) -> Result<(), Error> {
        let Some(fence) = array.slots.slots[slot].fence.take() else { return Ok(()) };
        self.edges.count(Edge::IoFence, false);
        if self.edges.mutations.has(Mutation::DropWait(Edge::IoFence)) {
            return Ok(());
        }
        let start = (!array.sink.fence_retired(fence)).then(std::time::Instant::now);
        let result = crate::sink::guarded("fence", || array.sink.wait_fence(fence));
        if let Some(start) = start {
            self.edges.stalls.add(Edge::IoFence, start.elapsed());
        }
        self.device.note(Note::FenceWait { edge: Label::new(Edge::IoFence.name(), slot as u32) });
        result
    }

    fn queue_kick(
        &self,
        array: &mut Array,
        slot: usize,
        batch: u64,
        token: &KickToken,
    ) -> Result<Option<Consume>, DeviceError> {
        let (number, passthrough) = (slot as u32, array.passthrough);
        let tables = self.write_tables(array, slot, batch)?;
        let array = &*array;
        let edges = &self.edges;
        let lane = |stage| self.lane(Place::Compress, array, stage);
        let (upload_to, device_tables) = self.buffers.tables.on_own_stream(number)?;
        if !self.description.host_memory {
            let (_, host_tables) = self.buffers.host_tables.on_own_stream(number)?;
            let range = 0..tables.bytes;
            let copy = (host_tables.all().slice(range.clone()), upload_to.all().slice(range));
            stages::upload(lane(None), batch, Some(copy))?;
        }

        let pool = self.filling_pool(array).acquire_consume(edges, number, Place::Compress)?;
        if self.lod_active(array) {
            edges.wait(Edge::LodDone, number, Place::Compress)?;
        }
        let aggregate = self.buffers.aggregate.acquire_produce(edges, number, Place::Compress)?;
        let (index, _) = self.buffers.aggregate_index.on_own_stream(number)?;

        let geometry = &array.geometry;
        let pool_bytes = u64::from(array.epochs_per_batch) * geometry.epoch_pool_bytes();
        let pool_bytes = pool_bytes.min(array.masks.len() as u64 * geometry.epoch_pool_bytes());
        let pool_view = pool.all().slice(0..array.places.as_ref().map_or(pool_bytes, |places| places.batch_bytes()));
        let gather = device_tables.all().slice(0..tables.chunks as u64 * 4);
        let compressed =
            if passthrough { None } else { Some(self.compress(array, batch, &tables, pool_view, gather)?) };
        token.wait(edges, lane(None).stream, tables.chunks > 0)?;

        let layout = &array.layouts[slot];
        let aggregate_bytes = layout.data_bytes(geometry, array.epochs_per_batch);
        let index_bytes = tables.entries as u64 * 16;
        let tails = match array.page_bytes {
            0 => None,
            page => Some((array.buffers.tail_state.on_own_stream(0)?.1, page)),
        };
        let views = AggregateViews {
            aggregate: aggregate.all().slice(0..aggregate_bytes),
            index: index.all().slice(0..index_bytes),
            gather,
            entries: device_tables.all().slice(tables.entries_at..tables.entries_at + tables.chunks as u64 * 4),
            shards: device_tables.all().slice(tables.shards_at..tables.bytes),
            compressed: compressed
                .as_ref()
                .map(|(chunks, sizes)| (chunks.all(), sizes.all().slice(0..tables.chunks as u64 * 8))),
            pool: pool_view,
            tails: tails.as_ref().map(|(tails, page)| (tails.all(), *page)),
            in_place: array.places.is_some(),
        };
        let stride = if passthrough { geometry.chunk_stride_bytes } else { array.contexts.codec().chunk_bytes_max() };
        if tables.chunks > 0 {
            array.timers.of(Stage::Aggregate).add_bytes((tables.chunks * geometry.chunk_bytes) as u64);
            let counts = (tables.chunks, tables.entries, tables.shards);
            stages::aggregate(lane(Some(Stage::Aggregate)), batch, counts, (geometry.chunk_bytes, stride), views)?;
        }
        aggregate.release(edges, Place::Compress)?;
        pool.release(edges, Place::Compress)?;
        self.copy_back(array, number, batch, index_bytes, aggregate_bytes)
    }

    fn compress(
        &self,
        array: &Array,
        batch: u64,
        tables: &Tables,
        pool: crate::pools::ReadView<'_>,
        gather: crate::pools::ReadView<'_>,
    ) -> Result<(Consume, Consume), DeviceError> {
        let (chunks, chunks_read) = self.buffers.compressed.on_own_stream(0)?;
        let (sizes, sizes_read) = self.buffers.compressed_sizes.on_own_stream(0)?;
        let geometry = &array.geometry;
        let plan = CompressPlan {
            contexts: &array.contexts,
            batch,
            chunks: tables.chunks,
            chunk_bytes: geometry.chunk_bytes,
            stride_bytes: geometry.chunk_stride_bytes,
        };
        let lane = self.lane(Place::Compress, array, Some(Stage::Compress));
        stages::compress(lane, plan, chunks.all(), sizes.all().slice(0..tables.chunks as u64 * 8), pool, gather)?;
        array.timers.of(Stage::Compress).add_bytes((tables.chunks * geometry.chunk_bytes) as u64);
        Ok((chunks_read, sizes_read))
    }

    /// Queues what comes back without knowing a size: the index, and the whole payload where nothing is compressed.
    fn copy_back(
        &self,
        array: &Array,
        slot: u32,
        batch: u64,
        index_bytes: u64,
        aggregate_bytes: u64,
    ) -> Result<Option<Consume>, DeviceError> {
        let edges = &self.edges;
        let lane: Lane<'_> = self.lane(Place::DeviceToHost, array, Some(Stage::DeviceToHost));
        let aggregate = if edges.mutations.has(Mutation::WrongAggregateSlot) {
            edges.wait(Edge::AggDone, 1 - slot, Place::DeviceToHost)?;
            self.buffers.aggregate.on_own_stream(slot)?.1
        } else {
            self.buffers.aggregate.acquire_consume(edges, slot, Place::DeviceToHost)?
        };
        let apart = !self.description.host_memory;
        let index = self.buffers.aggregate_index.acquire_covered(&aggregate)?;
        let (host_index, _) = self.buffers.host_index.on_own_stream(slot)?;
        let range = 0..index_bytes;
        let copy = apart.then(|| (index.all().slice(range.clone()), host_index.all().slice(range.clone())));
        stages::copy_back(lane, "INDEX", batch, copy)?;
        if !array.passthrough {
            host_index.release(edges, Place::DeviceToHost)?;
            return Ok(Some(aggregate));
        }
        let (payload, _) = self.buffers.host_payload.on_own_stream(slot)?;
        let range = 0..aggregate_bytes;
        let copy = apart.then(|| (aggregate.all().slice(range.clone()), payload.all().slice(range.clone())));
        // The record is made even if the copy could not be queued: the drain polls it.
        let copied = stages::copy_back(lane, "PAYLOAD", batch, copy);
        aggregate.release(edges, Place::DeviceToHost)?;
        copied?;
        array.timers.of(Stage::DeviceToHost).add_bytes(aggregate_bytes);
        Ok(None)
    }

    /// Lays the batch out and writes its tables for the device. Tables of the same epochs are still there from the slot's last
    /// batch; the shard table changes with the number of epochs only.
    fn write_tables(&self, array: &mut Array, slot: usize, batch: u64) -> Result<Tables, DeviceError> {
        let geometry = std::sync::Arc::clone(&array.geometry);
        let chunks_max = array.chunks_max();
        let shards = array.shard_count();
        array.layouts[slot].fill(&geometry, &array.masks);
        let layout = &array.layouts[slot];
        let tables = Tables {
            chunks: layout.chunks() as usize,
            entries: layout.entries() as usize,
            shards: shards as usize,
            entries_at: chunks_max * 4,
            shards_at: chunks_max * 8,
            bytes: super::buffers::table_bytes(chunks_max, shards),
        };
        if array.tables_for[slot].as_ref() == Some(&array.masks) {
            return Ok(tables);
        }
        let (host_tables, _) = self.buffers.host_tables.on_own_stream(slot as u32)?;
        let tag = Tag::new("BUILD_TABLES", Unit::Batch(batch));
        let access = host_tables.all().slice(0..tables.bytes).write();
        // SAFETY: the slot's last batch was drained before this kick, so no upload still reads the tables.
        let view: HostView = unsafe { self.device.host_access(tag, access) }?;
        // SAFETY: the view is `bytes` long, initialized, and nobody else uses it while the kick is built.
        let bytes = unsafe { std::slice::from_raw_parts_mut(view.as_ptr(), view.len()) };
        let (positions, shard_table) = bytes.split_at_mut(tables.shards_at as usize);
        let (gather, entries) = positions.split_at_mut(tables.entries_at as usize);
        let mut scratch = (vec![0u32; tables.chunks], vec![0u32; tables.chunks]);
        layout.write_tables(&geometry, &mut BatchTables { gather: &mut scratch.0, permutation: &mut scratch.1 });
        for chunk in 0..tables.chunks {
            put_u32(gather, chunk, scratch.0[chunk]);
            put_u32(entries, chunk, scratch.1[chunk]);
        }
        let mut line = 0;
        for (level, part) in geometry.levels.iter().zip(&layout.levels) {
            let active = part.active_epochs.len() as u64;
            let per_shard = active * level.inner_chunks_per_shard;
            for shard in 0..level.inner_shards {
                let words = line as usize * (SHARD_LINE_BYTES as usize / 8);
                let base = layout.shard_offset(level.level as usize, shard);
                for (word, value) in
                    [part.first_entry + shard * per_shard, per_shard, base, line].into_iter().enumerate()
                {
                    put_u64(shard_table, words + word, value);
                }
                line += 1;
            }
        }
        array.tables_for[slot] = Some(array.masks.clone());
        array.table_uploads += 1;
        Ok(tables)
    }
}
