//! Models of the lock-free types: one claim each, explored in every interleaving under `--cfg loom` and run once natively as an ordinary test.
//!
//! Loom bounds what a model may be: a handful of operations on two or three threads. It treats sequentially consistent loads and stores as
//! acquire and release, so what relies on more uses fences. Rings shrink to a capacity of 2.

mod consumers;
mod failure;
mod gate;
mod inbox;
mod latch;
mod parking;
mod pending;
mod port;
mod ready;
mod slots;
mod walker;

use crate::edge::{EdgeBody, EdgeFlags, EdgeTable};
use crate::id::{EdgeIndex, KernelId, SlotIndex, TaskId};
use crate::slot::{Parts, SlotTable, TaskBody, TaskFlags};
use crate::sync::UnsafeCell;

/// Bytes that a task writes and another reads, for loom to watch.
pub(crate) struct Bytes(UnsafeCell<u32>);

// SAFETY: the models are about whether accesses to it are ordered; loom checks them.
unsafe impl Sync for Bytes {}

impl Bytes {
    pub(crate) fn new() -> Self {
        Bytes(UnsafeCell::new(0))
    }

    pub(crate) fn write(&self, value: u32) {
        // SAFETY: ordered by the protocol under test.
        self.0.with_mut(|cell| unsafe { *cell = value });
    }

    pub(crate) fn read(&self) -> u32 {
        // SAFETY: ordered by the protocol under test.
        self.0.with(|cell| unsafe { *cell })
    }
}

/// A task without arguments.
pub(crate) fn body(sequence: u64, blocks: u32) -> TaskBody {
    TaskBody {
        id: TaskId::from_bits(sequence),
        kernels: [KernelId(0); 3],
        parts: Parts::VECTOR_0,
        flags: TaskFlags(0),
        blocks,
        arguments: 0,
        edges: 0,
        edge_count: 0,
        tensors: 0,
        scalars: 0,
    }
}

/// Makes a slot a task.
pub(crate) fn prepare(slots: &SlotTable, slot: u32, sequence: u64, blocks: u32) {
    // SAFETY: the models prepare a slot before they start their threads, or after they found it free.
    unsafe { slots.prepare(SlotIndex(slot), body(sequence, blocks), sequence) };
}

/// Makes a slot a task of one block that has so many edges.
pub(crate) fn prepare_with_edges(slots: &SlotTable, slot: u32, sequence: u64, edge_count: u32) {
    // SAFETY: as above.
    unsafe { slots.prepare(SlotIndex(slot), TaskBody { edge_count, ..body(sequence, 1) }, sequence) };
}

/// Writes an edge that nobody can see yet.
pub(crate) fn write_edge(edges: &EdgeTable, edge: u32, consumer: u32, producer: u32) -> EdgeIndex {
    let body = EdgeBody { consumer: SlotIndex(consumer), producer: SlotIndex(producer), flags: EdgeFlags::WAIT };
    // SAFETY: the edge is on no list.
    unsafe { edges.get(EdgeIndex(edge)).write(body) };
    EdgeIndex(edge)
}
