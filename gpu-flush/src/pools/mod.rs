//! Pools: buffers bound to edges. A buffer is reached only through an acquire, which queues the waits, and given back by a
//! release, which queues the record. There is no way around: a guard carries its slot, a view lives no longer than its guard,
//! and a release consumes the guard.
//!
//! ```compile_fail
//! # use prewire_gpu_flush::pools::{Produce, ReadView};
//! // A producer's guard gives no reading view.
//! fn read(guard: &Produce) -> ReadView<'_> {
//!     guard.all()
//! }
//! ```

mod guard;
mod view;

pub use guard::{Consume, Produce};
pub use view::{ReadView, WriteView};

use crate::device::{Allocation, BufferId, Device, DeviceError, Label, Memory, Role};
use crate::edges::{Edge, Edges, Place};

/// Slots of one kind of buffer, and the edges that order their use.
#[derive(Debug)]
pub struct Pool {
    name: &'static str,
    buffers: Vec<BufferId>,
    /// The buffer behind each slot. It changes only where a pool has more buffers than slots.
    behind: [u32; 2],
    bytes: u64,
    ready: Option<Edge>,
    consumed: Option<Edge>,
}

/// Proof that the batch which last used a slot was drained by the host, so that host order is order enough.
/// Only the schedule's drain makes one.
#[derive(Debug)]
pub struct Drained {
    slot: u32,
}

impl Drained {
    pub(crate) fn new(slot: u32) -> Self {
        Self { slot }
    }
}

/// Stands for the buffer of a slot without bytes.
const UNBACKED: BufferId = BufferId(u32::MAX);

/// What a pool is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolPlan {
    pub(crate) name: &'static str,
    pub(crate) slots: u32,
    pub(crate) bytes: u64,
    pub(crate) memory: Memory,
    pub(crate) role: Role,
    pub(crate) ready: Option<Edge>,
    pub(crate) consumed: Option<Edge>,
}

impl Pool {
    /// Allocates the slots. On failure what was allocated is freed again.
    pub(crate) fn create(device: &dyn Device, plan: PoolPlan) -> Result<Self, DeviceError> {
        let PoolPlan { name, slots, bytes, memory, role, ready, consumed } = plan;
        let mut pool = Self { name, buffers: Vec::new(), behind: [0, 1], bytes, ready, consumed };
        if bytes == 0 {
            // The configuration has no use for the bytes; the slots and their edges remain.
            pool.buffers = vec![UNBACKED; slots.max(2) as usize];
            return Ok(pool);
        }
        for slot in 0..slots {
            match device.allocate(Allocation { label: Label::new(name, slot), bytes, memory, role }) {
                Ok(buffer) => pool.buffers.push(buffer),
                Err(error) => {
                    pool.destroy(device);
                    return Err(error);
                }
            }
        }
        Ok(pool)
    }

    /// The host's side of a pool whose device memory is host memory: the same buffers under other edges.
    pub(crate) fn facet(&self, ready: Option<Edge>, consumed: Option<Edge>) -> Self {
        Self { name: self.name, buffers: self.buffers.clone(), behind: self.behind, bytes: self.bytes, ready, consumed }
    }

    /// Puts behind `slot` a buffer that is behind no slot of `others`, the same buffers under other edges. There has to be a third.
    pub(crate) fn turn(&mut self, slot: u32, others: &Self) {
        let free = (0..self.buffers.len() as u32).find(|buffer| !others.behind.contains(buffer));
        if let (Some(free), Some(behind)) = (free, self.behind.get_mut(slot as usize)) {
            *behind = free;
        }
    }

    /// Puts behind `slot` the buffer that is behind that slot of `other`.
    pub(crate) fn follow(&mut self, slot: u32, other: &Self) {
        if let (Some(behind), Some(buffer)) = (self.behind.get_mut(slot as usize), other.behind.get(slot as usize)) {
            *behind = *buffer;
        }
    }

    /// Every buffer, also those behind no slot. Nothing queued uses one of them.
    pub(crate) fn every_unused(&self) -> impl Iterator<Item = Produce> + '_ {
        self.buffers.iter().map(|&buffer| Produce { slot: 0, buffer, bytes: self.bytes, ready: self.ready })
    }

    pub(crate) fn destroy(&mut self, device: &dyn Device) {
        for buffer in self.buffers.drain(..).filter(|buffer| *buffer != UNBACKED) {
            device.free(buffer);
        }
    }

    fn buffer(&self, slot: u32) -> Result<BufferId, DeviceError> {
        let buffer = self.behind.get(slot as usize).and_then(|&behind| self.buffers.get(behind as usize)).copied();
        buffer.ok_or_else(|| DeviceError::failed(format!("acquire of {}[{slot}]", self.name), "there is no such slot"))
    }

    fn produce(&self, slot: u32) -> Result<Produce, DeviceError> {
        Ok(Produce { slot, buffer: self.buffer(slot)?, bytes: self.bytes, ready: self.ready })
    }

    fn consume(&self, slot: u32) -> Result<Consume, DeviceError> {
        Ok(Consume { slot, buffer: self.buffer(slot)?, bytes: self.bytes, consumed: self.consumed })
    }

    /// Makes the stream of `place` wait until the slot was consumed; the guard may then be written on that stream.
    pub(crate) fn acquire_produce(&self, edges: &Edges, slot: u32, place: Place) -> Result<Produce, DeviceError> {
        if let Some(consumed) = self.consumed {
            edges.wait(consumed, slot, place)?;
        }
        self.produce(slot)
    }

    /// Makes the stream of `place` wait until the slot is ready; the guard may then be read on that stream.
    pub(crate) fn acquire_consume(&self, edges: &Edges, slot: u32, place: Place) -> Result<Consume, DeviceError> {
        if let Some(ready) = self.ready {
            edges.wait(ready, slot, place)?;
        }
        self.consume(slot)
    }

    /// Blocks the host until the slot was consumed.
    pub(crate) fn host_acquire_produce(&self, edges: &Edges, slot: u32) -> Result<Produce, DeviceError> {
        if let Some(consumed) = self.consumed {
            edges.host_wait(consumed, slot)?;
        }
        self.produce(slot)
    }

    /// Blocks the host until the slot is ready.
    pub(crate) fn host_acquire_consume(&self, edges: &Edges, slot: u32) -> Result<Consume, DeviceError> {
        if let Some(ready) = self.ready {
            edges.host_wait(ready, slot)?;
        }
        self.consume(slot)
    }

    /// The first use of a slot, before anything was queued that touches it, or of a buffer whose only order is a host rule.
    pub(crate) fn acquire_unused(&self, slot: u32) -> Result<Produce, DeviceError> {
        self.produce(slot)
    }

    /// A slot whose last batch the host has drained.
    pub(crate) fn acquire_drained(&self, proof: Drained) -> Result<Produce, DeviceError> {
        self.produce(proof.slot)
    }

    /// A buffer that one stream alone writes and reads, in its own order.
    pub(crate) fn on_own_stream(&self, slot: u32) -> Result<(Produce, Consume), DeviceError> {
        Ok((self.produce(slot)?, self.consume(slot)?))
    }

    /// The other facet of a slot for which the host has waited already.
    pub(crate) fn acquire_covered(&self, by: &Consume) -> Result<Consume, DeviceError> {
        self.consume(by.slot())
    }
}
