//! A writer in plain sequential code, for tests of the format side: no device, no streams, one batch after the other.

use crate::codec::Codec;
use crate::config::ArrayConfig;
use crate::geometry::{ArrayGeometry, BatchLayout, BatchTables, emits_at};
use crate::pyramid::{emit_frames, fold_frames, reduce};
use crate::shard::{Delivered, Delivery, ShardSet};
use crate::sink::{Sink, StableBytes};
use crate::zarr::Publisher;

const PAGE: usize = 4096;

/// What one shard showed in one batch: tail in, bytes present, bytes written, tail out, cursor.
pub(crate) type Trace = (u32, u64, u64, u32, u64);

pub(crate) struct PlainWriter {
    pub(crate) geometry: ArrayGeometry,
    pub(crate) shards: Vec<ShardSet>,
    pub(crate) delivered: Delivered,
    /// For each batch, what the first shard of level 0 showed.
    pub(crate) trace: Vec<Trace>,
    config: ArrayConfig,
    codec: Codec,
    publisher: Publisher,
    layout: BatchLayout,
    page_bytes: usize,
    epochs_per_batch: u32,
    pool: Vec<u8>,
    masks: Vec<u32>,
    data: Vec<u8>,
    images: Vec<Vec<u8>>,
    accumulators: Vec<Vec<u8>>,
    epoch: u64,
    cursor: u64,
}

impl PlainWriter {
    pub(crate) fn new(config: &ArrayConfig, epochs_per_batch: u32, sink: &dyn Sink) -> Self {
        let geometry = ArrayGeometry::new(config, 1).unwrap();
        let element = geometry.dtype.size_bytes();
        let codec = Codec::new(config.codec(), geometry.chunk_bytes, element);
        let page_bytes = sink.page_bytes();
        let layout = BatchLayout::new(&geometry, epochs_per_batch, codec.chunk_bytes_max(), page_bytes);
        let mut publisher = Publisher::new(config, &geometry, std::time::Duration::ZERO).unwrap();
        sink.prepare(true).unwrap();
        publisher.create(sink).unwrap();
        let shards = geometry.levels.iter().enumerate();
        let shards =
            shards.map(|(index, level)| ShardSet::new(level, &publisher.key_prefix(index), page_bytes)).collect();
        let accumulators = (0..geometry.levels.len())
            .map(|level| {
                vec![0xCC; if level > 0 { geometry.fold_shape(level, config.append_reduce()).bytes() } else { 0 }]
            })
            .collect();
        PlainWriter {
            shards,
            trace: Vec::new(),
            delivered: Delivered::default(),
            config: config.clone(),
            codec,
            publisher,
            page_bytes,
            epochs_per_batch,
            pool: vec![0; epochs_per_batch as usize * geometry.epoch_pool_bytes() as usize],
            masks: Vec::new(),
            data: vec![0xAB; layout.data_bytes(&geometry, epochs_per_batch) as usize + PAGE],
            layout,
            images: geometry.levels.iter().map(|level| vec![0; level.image_elements as usize * element]).collect(),
            accumulators,
            geometry,
            epoch: 0,
            cursor: 0,
        }
    }

    /// Writes a whole array and ends it.
    pub(crate) fn write(config: &ArrayConfig, epochs_per_batch: u32, sink: &dyn Sink, input: &[u8]) -> Self {
        let mut writer = PlainWriter::new(config, epochs_per_batch, sink);
        let epoch_bytes = writer.geometry.epoch_input_elements as usize * writer.geometry.dtype.size_bytes();
        for epoch in input.chunks(epoch_bytes) {
            writer.epoch(sink, epoch);
        }
        writer.end(sink);
        writer
    }

    /// Takes one epoch; a shorter one is padded with zeros.
    pub(crate) fn epoch(&mut self, sink: &dyn Sink, input: &[u8]) {
        let element = self.geometry.dtype.size_bytes();
        self.images[0].fill(0);
        self.images[0][..input.len()].copy_from_slice(input);
        for level in 1..self.images.len() {
            let (above, below) = self.images.split_at_mut(level);
            let extents = |level: usize| &self.geometry.levels[level].image_extents;
            reduce(
                self.geometry.dtype,
                self.config.reduce(),
                &above[level - 1],
                extents(level - 1),
                &mut below[0],
                extents(level),
            );
        }
        let mut mask = 1;
        let frame_bytes =
            (self.geometry.levels[0].image_elements / self.geometry.levels[0].chunk_shape[0]) as usize * element;
        for level in 1..self.images.len() {
            let period = self.geometry.levels[level].period;
            if self.geometry.append_downsample {
                let shape = self.geometry.fold_shape(level, self.config.append_reduce());
                let frames = input.len().div_ceil(frame_bytes) as u64;
                let first = self.epoch * shape.epoch_frames;
                fold_frames(&shape, first, frames, &self.images[level], &mut self.accumulators[level]);
                if emits_at(period, self.epoch) {
                    emit_frames(&shape, first + frames, &self.accumulators[level], &mut self.images[level]);
                }
            }
            mask |= u32::from(emits_at(period, self.epoch)) << level;
        }
        self.place(mask);
        self.epoch += 1;
        self.cursor += (input.len() / element) as u64;
        if self.masks.len() == self.epochs_per_batch as usize {
            self.batch(sink);
        }
    }

    /// Scatters the images of the masked levels into the next epoch region of the pool.
    fn place(&mut self, mask: u32) {
        let region = self.masks.len() * self.geometry.epoch_pool_bytes() as usize;
        let epoch = &mut self.pool[region..][..self.geometry.epoch_pool_bytes() as usize];
        epoch.fill(0);
        for (level, geometry) in self.geometry.levels.iter().enumerate().filter(|(level, _)| mask >> level & 1 == 1) {
            let first = geometry.first_chunk as usize * self.geometry.chunk_stride_bytes;
            geometry.scatter.scatter(0, &self.images[level], &mut epoch[first..], self.geometry.dtype.size_bytes());
        }
        self.masks.push(mask);
    }

    /// Compresses, packs and delivers what the pool holds.
    fn batch(&mut self, sink: &dyn Sink) {
        self.layout.fill(&self.geometry, &self.masks);
        self.masks.clear();
        let chunks = self.layout.chunks() as usize;
        let (mut gather, mut permutation) = (vec![0; chunks], vec![0; chunks]);
        let mut tables = BatchTables { gather: &mut gather, permutation: &mut permutation };
        assert_eq!(self.layout.write_tables(&self.geometry, &mut tables), chunks);
        let mut stored: Vec<Vec<u8>> = vec![Vec::new(); self.layout.entries() as usize];
        let mut context = self.codec.context().unwrap();
        for (&from, &entry) in gather.iter().zip(&permutation) {
            let chunk = &self.pool[from as usize * self.geometry.chunk_stride_bytes..][..self.geometry.chunk_bytes];
            let output = &mut stored[entry as usize];
            output.resize(self.codec.chunk_bytes_max(), 0);
            let length = context.compress(chunk, output).unwrap();
            output.truncate(length);
        }
        let base = self.data.as_ptr().align_offset(PAGE);
        let mut packed = 0;
        for level in 0..self.geometry.levels.len() {
            let batch = &self.layout.levels[level];
            let (active, inner) =
                (batch.active_epochs.len() as u64, self.geometry.levels[level].inner_chunks_per_shard);
            let capacity = self.layout.shard_capacities[level];
            let segment = if capacity == 0 { packed } else { batch.segment_offset as usize };
            let (mut offsets, mut sizes) = (Vec::new(), Vec::new());
            let mut at = 0;
            for (index, chunk) in stored[batch.first_entry as usize..][..batch.entries as usize].iter().enumerate() {
                let shard = index as u64 / (active * inner);
                if capacity > 0 && (index as u64).is_multiple_of(active * inner) {
                    let tail = self.shards[level].tail_lengths()[shard as usize] as usize;
                    at = (shard * capacity) as usize;
                    let carried = &self.shards[level].tails()[shard as usize * self.page_bytes..][..tail];
                    self.data[base + segment + at..][..tail].copy_from_slice(carried);
                    at += tail;
                }
                self.data[base + segment + at..][..chunk.len()].copy_from_slice(chunk);
                offsets.push(at as u64);
                sizes.push(chunk.len() as u64);
                at += chunk.len();
            }
            packed += if capacity == 0 { at } else { 0 };
            // SAFETY: `data` is left alone until the fence below was waited for.
            let data =
                unsafe { StableBytes::new(self.data[base + segment..].as_ptr(), self.data.len() - base - segment) };
            let shards = &mut self.shards[level];
            let (tail, cursor) = (shards.tail_lengths()[0], shards.cursors()[0]);
            let delivery = Delivery { active, data, shard_capacity: capacity, offsets: &offsets, sizes: &sizes };
            let delivered = shards.deliver(sink, &delivery).unwrap();
            if level == 0 {
                let present = u64::from(tail) + sizes[..(active * inner) as usize].iter().sum::<u64>();
                let after = shards.cursors()[0];
                self.trace.push((tail, present, after.wrapping_sub(cursor), shards.tail_lengths()[0], after));
            }
            self.delivered.bytes += delivered.bytes;
            self.delivered.stable_writes += delivered.stable_writes;
            self.delivered.copied_writes += delivered.copied_writes;
            self.delivered.closed_shards += delivered.closed_shards;
            self.publisher.closed(level, self.shards[level].closed_epochs(), sink.record_fence());
        }
        sink.wait_fence(sink.record_fence()).unwrap();
        self.publisher.update(sink).unwrap();
    }

    /// Delivers what is left, emits partial folds, closes partial shards and writes the final extents.
    pub(crate) fn end(&mut self, sink: &dyn Sink) {
        if !self.masks.is_empty() {
            self.batch(sink);
        }
        let frame: u64 = self.geometry.levels[0].image_elements / self.geometry.levels[0].chunk_shape[0];
        let frames = self.cursor.div_ceil(frame);
        let mut mask = 0;
        for level in 1..self.images.len() {
            if self.geometry.append_downsample && !self.epoch.is_multiple_of(self.geometry.levels[level].period) {
                let shape = self.geometry.fold_shape(level, self.config.append_reduce());
                emit_frames(&shape, frames, &self.accumulators[level], &mut self.images[level]);
                mask |= 1 << level;
            }
        }
        if mask != 0 {
            self.place(mask);
            self.batch(sink);
        }
        for shards in &mut self.shards {
            let closed = shards.close_partial(sink).unwrap();
            self.delivered.closed_shards += closed.closed_shards;
            self.delivered.bytes += closed.bytes;
        }
        sink.flush().unwrap();
        self.publisher.finish(sink, self.cursor).unwrap();
    }
}
