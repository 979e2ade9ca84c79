//! What belongs to one array: its geometry, its place in the input, its batches in flight, its shards.

use std::sync::Arc;
use std::time::Duration;

use super::buffers::{ArrayBuffers, batch_chunks_max};
use super::engine::Engine;
use super::finish::Finish;
use super::gate::Gate;
use super::handover::{Noted, Payload};
use super::shape::{Selection, Shape};
use super::slots::Slots;
use crate::config::ArrayConfig;
use crate::device::CompressContexts;
use crate::edges::{Mutation, Place};
use crate::error::Error;
use crate::geometry::{ArrayGeometry, BatchLayout, MemoryEstimate, Places, scatters_to_shards};
use crate::metrics::{Latency, Stage, StageTimer, TimerHandle};
use crate::shard::ShardSet;
use crate::sink::Sink;
use crate::stages::LevelsPlan;
use crate::zarr::Publisher;

/// The timers of every stage, in the order of [`Stage::ALL`].
#[derive(Debug, Clone)]
pub(crate) struct Timers(Vec<TimerHandle>);

impl Default for Timers {
    fn default() -> Self {
        Self(Stage::ALL.iter().map(|_| Arc::new(StageTimer::default())).collect())
    }
}

impl Timers {
    pub(crate) fn of(&self, stage: Stage) -> &TimerHandle {
        &self.0[stage as usize]
    }
}

/// When appending waits for the sink.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BackPressure {
    /// Pending bytes above which it waits; `None` never waits.
    pub(crate) limit_bytes: Option<u64>,
    /// The longest wait before it goes on with a warning.
    pub(crate) wait_max: Duration,
}

/// What an array is made of, all of it computed before anything is allocated.
#[derive(Debug)]
pub(crate) struct ArrayPlan {
    pub(crate) number: u32,
    pub(crate) config: ArrayConfig,
    pub(crate) geometry: Arc<ArrayGeometry>,
    pub(crate) estimate: MemoryEstimate,
    pub(crate) contexts: Arc<CompressContexts>,
    pub(crate) publisher: Publisher,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) back_pressure: BackPressure,
    /// The array has the engine to itself.
    pub(crate) alone: bool,
    pub(crate) force_gate_off: bool,
}

/// The mutable state of one array. An engine serves one at a time.
#[derive(Debug)]
pub(crate) struct Array {
    /// The array's number in its writer.
    pub(crate) number: u32,
    pub(crate) geometry: Arc<ArrayGeometry>,
    pub(crate) estimate: MemoryEstimate,
    pub(crate) contexts: Arc<CompressContexts>,
    pub(crate) passthrough: bool,
    pub(crate) levels: Option<LevelsPlan>,
    /// The places in the shards of the batch that fills, where elements are scattered straight to them.
    pub(crate) places: Option<Arc<Places>>,
    pub(crate) epochs_per_batch: u32,
    pub(crate) page_bytes: usize,
    pub(crate) shape: Shape,
    pub(crate) gate: Arc<Gate>,
    pub(crate) buffers: ArrayBuffers,
    /// The sink, noting hand-overs.
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) payload: Arc<Payload>,
    pub(crate) publisher: Publisher,
    pub(crate) shards: Vec<ShardSet>,
    /// The layout of the batch in each slot.
    pub(crate) layouts: [BatchLayout; 2],
    /// The masks for which each slot's tables were last written.
    pub(crate) tables_for: [Option<Vec<u32>>; 2],
    pub(crate) slots: Slots,
    /// The slot that fills.
    pub(crate) fill: usize,
    /// Levels that deliver at each epoch of the batch that fills.
    pub(crate) masks: Vec<u32>,
    /// Batches kicked so far.
    pub(crate) kicks: u64,
    /// Dispatches so far.
    pub(crate) dispatches: u64,
    /// Elements accepted.
    pub(crate) cursor: u64,
    /// Elements dispatched to the device.
    pub(crate) dispatched: u64,
    /// Epochs completed, partial ones at the end included.
    pub(crate) epochs: u64,
    /// The first failure; nothing claims completeness after it.
    pub(crate) broken: Option<Error>,
    /// Generations that were published when the array broke.
    pub(crate) published_when_broken: Option<u64>,
    pub(crate) timers: Timers,
    pub(crate) latency: Latency,
    pub(crate) back_pressure: BackPressure,
    pub(crate) pending_bytes_peak: u64,
    pub(crate) finish: Finish,
    /// Scratch for the chunk index on the host.
    pub(crate) offsets: Vec<u64>,
    pub(crate) sizes: Vec<u64>,
    /// How often tables were written and uploaded.
    pub(crate) table_uploads: u64,
    /// Writes by reference and by copy so far.
    pub(crate) stable_writes: u64,
    pub(crate) copied_writes: u64,
}

impl Array {
    /// Makes an array's state for `engine`, probing its gate and choosing its shape.
    pub(crate) fn create(engine: &Engine, plan: ArrayPlan) -> Result<Self, Error> {
        let ArrayPlan { number, config, geometry, estimate, contexts, publisher, sink, back_pressure, alone, .. } =
            plan;
        let page_bytes = sink.page_bytes();
        let epochs = estimate.epochs_per_batch;
        let inner_shards: u64 = geometry.levels.iter().map(|level| level.inner_shards).sum();
        let aligned = page_bytes > 0 && inner_shards > 0;
        let probe = engine.streams.of(Place::Compute).unwrap_or(engine.streams.all()[0]);
        let gate = Gate::create(&engine.device, probe, alone && aligned, plan.force_gate_off, &engine.edges)?;
        let selection = Selection {
            gate_handle: alone,
            aligned: page_bytes > 0,
            inner_shards,
            gate_supported: gate.is_supported(),
        };
        let passthrough = contexts.codec().config().is_passthrough();
        let levels = geometry.is_multiscale().then(|| LevelsPlan {
            geometry: Arc::clone(&geometry),
            method: config.reduce(),
            append_method: config.append_reduce(),
        });
        let direct = scatters_to_shards(&geometry, passthrough, engine.description.host_memory);
        let layout =
            BatchLayout::with_regions(&geometry, epochs, contexts.codec().chunk_bytes_max(), page_bytes, direct);
        let places = direct.then(|| Arc::new(Places::new(&geometry.levels[0], &layout, epochs, geometry.chunk_bytes)));
        let entries = BatchLayout::entries_max(&geometry, epochs) as usize;
        let payload = Payload::new(Arc::clone(&engine.device), engine.edges.mutations.has(Mutation::HideHandOver));
        let shards = geometry.levels.iter().enumerate();
        let shards =
            shards.map(|(index, level)| ShardSet::new(level, &publisher.key_prefix(index), page_bytes)).collect();
        let buffers = ArrayBuffers::create(engine.device.as_ref(), &estimate)?;
        Ok(Self {
            number,
            contexts,
            passthrough,
            levels,
            places,
            epochs_per_batch: epochs,
            page_bytes,
            shape: selection.shape(),
            gate,
            buffers,
            sink: Arc::new(Noted { sink, payload: Arc::clone(&payload) }),
            payload,
            publisher,
            shards,
            layouts: [layout.clone(), layout],
            tables_for: [None, None],
            slots: Slots::default(),
            fill: 0,
            masks: Vec::with_capacity(epochs as usize),
            kicks: 0,
            dispatches: 0,
            cursor: 0,
            dispatched: 0,
            epochs: 0,
            broken: None,
            published_when_broken: None,
            timers: Timers::default(),
            latency: Latency::default(),
            back_pressure,
            pending_bytes_peak: 0,
            finish: Finish::default(),
            offsets: Vec::with_capacity(entries),
            sizes: Vec::with_capacity(entries),
            table_uploads: 0,
            stable_writes: 0,
            copied_writes: 0,
            geometry,
            estimate,
        })
    }

    /// Keeps the first failure and returns it as the error of this call.
    pub(crate) fn latch(&mut self, error: Error) -> Error {
        match &self.broken {
            None => {
                tracing::error!(array = self.number, %error, "the array is broken");
                self.broken = Some(error.clone());
                self.published_when_broken = Some(self.gate.published());
                error
            }
            Some(first) => {
                tracing::debug!(array = self.number, %error, "a consequence of the first failure");
                first.clone()
            }
        }
    }

    /// The error of a call on a broken array.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.broken {
            None => Ok(()),
            Some(first) => Err(first.clone().into_broken()),
        }
    }

    /// Elements missing to the next epoch boundary; 0 on one.
    pub(crate) fn missing_elements(&self) -> u64 {
        let epoch = self.geometry.epoch_input_elements;
        (epoch - self.cursor % epoch) % epoch
    }

    /// Elements that may still come.
    pub(crate) fn room_elements(&self) -> u64 {
        self.geometry.input_limit_elements.map_or(u64::MAX, |limit| limit - self.cursor)
    }

    /// The slot of the chunk pool and of batch state that fills.
    pub(crate) fn fill_slot(&self) -> u32 {
        self.fill as u32
    }

    /// Whether chunks have positions that no element ever reaches.
    pub(crate) fn has_padding(&self) -> bool {
        let level = &self.geometry.levels[0];
        level.image_elements < level.chunks_per_epoch * level.chunk_elements
    }

    pub(crate) fn shard_count(&self) -> u64 {
        self.geometry.levels.iter().map(|level| level.inner_shards).sum()
    }

    pub(crate) fn chunks_max(&self) -> u64 {
        batch_chunks_max(&self.geometry, self.epochs_per_batch)
    }

    /// Levels that deliver when epoch number `epoch` ends.
    pub(crate) fn mask_at(&self, epoch: u64) -> u32 {
        let levels = self.geometry.levels.iter().enumerate();
        levels
            .filter(|(_, level)| crate::geometry::emits_at(level.period, epoch))
            .fold(0, |mask, (index, _)| mask | 1 << index)
    }
}
