//! Edges: one entry per producer of a task, stored with the task that waits (the consumer).
//!
//! An edge is written by the orchestrator before anybody else can see it. Once pushed onto its producer's list it is read by whoever closes that
//! list, and by the consumer's release for the producer it retains. It is reclaimed with the consumer's slot.

use crate::id::{EdgeIndex, SlotIndex};
use crate::sync::UnsafeCell;

/// What an edge means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct EdgeFlags(u32);

impl EdgeFlags {
    /// Nothing; the neutral element of [`EdgeFlags::union`].
    pub const NONE: EdgeFlags = EdgeFlags(0);
    /// The consumer starts only after the producer has completed.
    pub const WAIT: EdgeFlags = EdgeFlags(1);
    /// The producer's slot and bytes stay until the consumer is released.
    pub const RETAIN: EdgeFlags = EdgeFlags(2);
    /// The consumer uses what the producer wrote, so the producer's failure is the consumer's.
    pub const DATA: EdgeFlags = EdgeFlags(4);

    /// Both meanings together.
    #[inline]
    pub const fn union(self, other: EdgeFlags) -> EdgeFlags {
        EdgeFlags(self.0 | other.0)
    }

    /// Whether every meaning of `other` is part of this one.
    #[inline]
    pub const fn contains(self, other: EdgeFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags as a number: 1 wait, 2 retain, 4 data.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// What the orchestrator writes into an edge.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct EdgeBody {
    /// The task that waits.
    pub consumer: SlotIndex,
    /// The task waited for. Behind a wait-only edge it may be gone once the consumer is wired: compare ids before using it.
    pub producer: SlotIndex,
    /// What the edge means.
    pub flags: EdgeFlags,
}

/// One edge: its meaning, and the link of its producer's consumer list.
#[derive(Debug)]
#[repr(C)]
pub struct Edge {
    next: UnsafeCell<u32>,
    body: UnsafeCell<EdgeBody>,
}

impl Edge {
    fn new() -> Self {
        let body = EdgeBody { consumer: SlotIndex(0), producer: SlotIndex(0), flags: EdgeFlags::NONE };
        Edge { next: UnsafeCell::new(0), body: UnsafeCell::new(body) }
    }

    /// Writes the edge.
    ///
    /// # Safety
    /// Only the orchestrator, and only while the edge belongs to a task that is not wired yet.
    #[inline]
    pub unsafe fn write(&self, body: EdgeBody) {
        // SAFETY: by contract nobody else can see the edge.
        self.body.with_mut(|cell| unsafe { *cell = body });
    }

    /// Reads the edge.
    ///
    /// # Safety
    /// The caller has it from a consumer list that it closed, or holds the consumer (which is wired and not yet reclaimed).
    #[inline]
    pub unsafe fn read(&self) -> EdgeBody {
        // SAFETY: the edge is not written between its wiring and its reclaim, by contract.
        self.body.with(|cell| unsafe { *cell })
    }

    /// # Safety
    /// Only the pusher before it publishes the edge, or the closer of the list that the edge is on.
    #[inline]
    pub(crate) unsafe fn set_next(&self, link: u32) {
        // SAFETY: by contract this thread alone has the edge's link.
        self.next.with_mut(|cell| unsafe { *cell = link });
    }

    /// # Safety
    /// Only the closer of the list that the edge is on, before it releases the edge's consumer.
    #[inline]
    pub(crate) unsafe fn next(&self) -> u32 {
        // SAFETY: by contract this thread alone has the edge's link.
        self.next.with(|cell| unsafe { *cell })
    }
}

/// The edges of all rings, addressed by one number.
#[derive(Debug)]
pub struct EdgeTable(Box<[Edge]>);

// SAFETY: the cells of an edge are accessed by the rules stated on its methods, which hand each edge from one thread to the next through the
// consumer list (release by push, acquire by close) or the pending count.
unsafe impl Sync for EdgeTable {}
// SAFETY: an edge holds plain numbers.
unsafe impl Send for EdgeTable {}

impl EdgeTable {
    /// A table of `capacity` edges.
    ///
    /// # Panics
    /// If `capacity` is beyond what a consumer list can link (2³² − 3).
    pub fn new(capacity: usize) -> Self {
        assert!(capacity < (u32::MAX - 2) as usize, "{capacity} edges cannot be numbered by 32 bits");
        EdgeTable((0..capacity).map(|_| Edge::new()).collect())
    }

    /// The edge with this number.
    #[inline]
    pub fn get(&self, edge: EdgeIndex) -> &Edge {
        &self.0[edge.index()]
    }

    /// The edges of a run, found at once.
    #[inline(always)]
    pub fn run(&self, first: EdgeIndex, count: usize) -> &[Edge] {
        &self.0[first.index()..][..count]
    }

    /// How many edges there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
