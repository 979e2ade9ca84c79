//! Every pool of an engine, made from the sizes that the memory estimate lists.

use crate::device::{Description, Device, DeviceError, Memory, Role};
use crate::edges::Edge;
use crate::geometry::{ArrayGeometry, MemoryEstimate};
use crate::pools::{Pool, PoolPlan};

/// The pools all arrays of an engine share, sized to the largest of each.
#[derive(Debug)]
pub(crate) struct Buffers {
    pub(crate) device_staging: Pool,
    pub(crate) host_staging: Pool,
    pub(crate) chunk_pool: Pool,
    /// What takes the chunk pool's place, under its edges, where elements are scattered to their shards: the aggregate's buffers.
    pub(crate) shard_pool: Pool,
    pub(crate) compressed: Pool,
    pub(crate) compressed_sizes: Pool,
    pub(crate) aggregate: Pool,
    pub(crate) aggregate_index: Pool,
    /// The aggregate slot as the host sees it: the copy, or the slot itself where device memory is host memory.
    pub(crate) host_payload: Pool,
    pub(crate) host_index: Pool,
    pub(crate) tables: Pool,
    pub(crate) host_tables: Pool,
    pub(crate) linear: Pool,
    pub(crate) level_images: Pool,
}

/// The pools of one array: what must survive while another array uses the engine.
#[derive(Debug)]
pub(crate) struct ArrayBuffers {
    pub(crate) tail_state: Pool,
    pub(crate) host_tail: Pool,
    pub(crate) accumulators: Pool,
}

struct Maker<'a> {
    device: &'a dyn Device,
    estimates: &'a [MemoryEstimate],
    made: Vec<Pool>,
}

impl Maker<'_> {
    fn make(
        &mut self,
        name: &'static str,
        memory: Memory,
        role: Role,
        ready: Option<Edge>,
        consumed: Option<Edge>,
    ) -> Result<Pool, DeviceError> {
        let bytes = self.estimates.iter().map(|estimate| estimate.bytes_of(name)).max().unwrap_or(0);
        let slots = self.estimates.iter().map(|estimate| estimate.count_of(name)).max().unwrap_or(0) as u32;
        let plan = PoolPlan { name, slots, bytes, memory, role, ready, consumed };
        match Pool::create(self.device, plan) {
            Ok(pool) => {
                self.made.push(pool.facet(None, None));
                Ok(pool)
            }
            Err(error) => {
                self.made.iter_mut().for_each(|pool| pool.destroy(self.device));
                Err(error)
            }
        }
    }
}

impl Buffers {
    /// Allocates what the largest of `estimates` needs. On failure what was allocated is freed again.
    pub(crate) fn create(device: &dyn Device, estimates: &[MemoryEstimate]) -> Result<Self, DeviceError> {
        use Edge::*;
        use Memory::{Device, Pinned};
        use Role::{Control, Payload};
        let Description { host_memory, .. } = device.description();
        let mut maker = Maker { device, estimates, made: Vec::new() };
        let device_staging =
            maker.make("device_staging", Device, Payload, Some(StagingH2dDone), Some(StagingScatterDone))?;
        let host_staging = maker.make("host_staging", Pinned, Payload, None, Some(StagingFree))?;
        let chunk_pool = maker.make("chunk_pool", Device, Payload, Some(PoolFilled), Some(PoolConsumed))?;
        let compressed = maker.make("compressed", Device, Payload, None, None)?;
        let compressed_sizes = maker.make("compressed_sizes", Device, Control, None, None)?;
        let aggregate = maker.make("aggregate", Device, Payload, Some(AggDone), Some(SlotDrained))?;
        let aggregate_index = maker.make("aggregate_index", Device, Control, Some(AggDone), None)?;
        let tables = maker.make("tables", Device, Control, None, None)?;
        let host_tables = maker.make("host_tables", Pinned, Control, None, None)?;
        let linear = maker.make("linear", Device, Payload, None, None)?;
        let level_images = maker.make("level_images", Device, Payload, None, None)?;
        let host_payload = maker.make("host_payload", Pinned, Payload, Some(D2hDone), None)?;
        let host_index = maker.make("host_index", Pinned, Control, Some(ChunkIndexReady), None)?;
        let shard_pool = aggregate.facet(Some(PoolFilled), Some(PoolConsumed));
        Ok(if host_memory {
            Self {
                host_payload: aggregate.facet(Some(D2hDone), None),
                shard_pool,
                host_index: aggregate_index.facet(Some(ChunkIndexReady), None),
                host_tables: tables.facet(None, None),
                device_staging,
                host_staging,
                chunk_pool,
                compressed,
                compressed_sizes,
                aggregate,
                aggregate_index,
                tables,
                linear,
                level_images,
            }
        } else {
            Self {
                device_staging,
                host_staging,
                chunk_pool,
                compressed,
                compressed_sizes,
                aggregate,
                aggregate_index,
                host_payload,
                host_index,
                shard_pool,
                tables,
                host_tables,
                linear,
                level_images,
            }
        })
    }

    /// Takes a buffer for the batch that will fill `slot` of the shard pool: one that no kicked batch is in.
    pub(crate) fn turn(&mut self, slot: u32) {
        self.shard_pool.turn(slot, &self.aggregate);
    }

    /// Hands the buffer that the batch in `slot` filled over to the aggregate. The batch before it in that slot has been drained.
    pub(crate) fn hand_over(&mut self, slot: u32) {
        self.aggregate.follow(slot, &self.shard_pool);
        self.host_payload.follow(slot, &self.shard_pool);
    }

    /// Frees everything. Freeing a buffer twice, as with a facet, does nothing.
    pub(crate) fn destroy(&mut self, device: &dyn Device) {
        for pool in [
            &mut self.device_staging,
            &mut self.host_staging,
            &mut self.chunk_pool,
            &mut self.compressed,
            &mut self.compressed_sizes,
            &mut self.aggregate,
            &mut self.aggregate_index,
            &mut self.host_payload,
            &mut self.host_index,
            &mut self.tables,
            &mut self.host_tables,
            &mut self.linear,
            &mut self.level_images,
        ] {
            pool.destroy(device);
        }
    }
}

impl ArrayBuffers {
    /// Allocates one array's own buffers.
    pub(crate) fn create(device: &dyn Device, estimate: &MemoryEstimate) -> Result<Self, DeviceError> {
        let estimates = std::slice::from_ref(estimate);
        let mut maker = Maker { device, estimates, made: Vec::new() };
        let tail_state = maker.make("tail_state", Memory::Device, Role::Control, None, None)?;
        let host_tail = maker.make("host_tail", Memory::Pinned, Role::Control, None, None)?;
        let accumulators = maker.make("accumulators", Memory::Device, Role::Payload, None, None)?;
        Ok(Self { tail_state, host_tail, accumulators })
    }

    pub(crate) fn destroy(&mut self, device: &dyn Device) {
        self.tail_state.destroy(device);
        self.host_tail.destroy(device);
        self.accumulators.destroy(device);
    }
}

/// Bytes of the tables of one batch: pool chunk and entry of each chunk, then the shard table.
pub(crate) fn table_bytes(chunks: u64, shards: u64) -> u64 {
    chunks * 8 + shards * crate::device::SHARD_LINE_BYTES
}

/// Chunks of the largest batch of `epochs` epochs.
pub(crate) fn batch_chunks_max(geometry: &ArrayGeometry, epochs: u32) -> u64 {
    let levels = geometry.levels.iter();
    levels
        .map(|level| level.chunks_per_epoch * u64::from(crate::geometry::active_epochs_max(level.period, epochs)))
        .sum()
}
