//! What a ring has: slots, heap bytes, edges and argument units, all given out in the order of submission and taken back in the same order.

mod allocations;
mod arguments;
mod heap;
mod slots;
mod span;

pub(crate) use arguments::{ArgumentSizes, ROW};
pub(crate) use heap::Piece;

use crate::report::RingUse;
use allocations::Allocations;
use arguments::Arguments;
use heap::Heap;
use prewire_runtime_core::id::{RING_COUNT, RingIndex, SlotIndex, TaskId};
use slots::{Chunk, Slots};
use span::Span;

/// How many tasks of a ring are alive at once before it is worth asking whether more would help (architecture D20: few slots stay in a cache).
const SOFT_WINDOW_LEAST: u64 = 2048;

/// Rings with fewer live tasks than this report their peaks to the task; above it, to within what is let pass before the oldest is looked at again.
const EXACT_PEAK: u64 = 512;

/// No task of the ring is kept by a scope.
pub(crate) const NOTHING_KEPT: u64 = u64::MAX;

/// All rings of an orchestrator.
#[derive(Debug)]
pub(crate) struct Rings(pub(crate) [Ring; RING_COUNT]);

const _: () = assert!(RING_COUNT.is_power_of_two());

impl Rings {
    /// A ring. The mask changes no valid index and saves the check.
    #[inline]
    pub(crate) fn get(&self, ring: RingIndex) -> &Ring {
        debug_assert!(ring.index() < RING_COUNT);
        &self.0[ring.index() & (RING_COUNT - 1)]
    }

    /// As [`Rings::get`].
    #[inline]
    pub(crate) fn get_mut(&mut self, ring: RingIndex) -> &mut Ring {
        debug_assert!(ring.index() < RING_COUNT);
        &mut self.0[ring.index() & (RING_COUNT - 1)]
    }
}

/// Where a ring's parts begin within the tables of all rings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingPlace {
    pub(crate) index: RingIndex,
    pub(crate) first_slot: u64,
    pub(crate) first_allocation_slot: u64,
    pub(crate) window: u64,
    pub(crate) first_edge: u64,
    pub(crate) edges: u64,
    pub(crate) first_unit: u64,
    pub(crate) argument_sizes: ArgumentSizes,
    pub(crate) heap_address: u64,
    pub(crate) heap_bytes: u64,
}

/// The edges of tasks that follow one another, given back together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EdgeRuns {
    /// Where the first run begins, and where the last one ends, which may lie before it.
    start: u32,
    end: u32,
    count: u32,
}

impl EdgeRuns {
    /// Adds the run of the next task.
    #[inline]
    pub(crate) fn add(&mut self, first_edge: u32, edge_count: u32) {
        if edge_count != 0 {
            if self.count == 0 {
                self.start = first_edge;
            }
            self.end = first_edge + edge_count;
            self.count += edge_count;
        }
    }
}

/// One ring.
#[derive(Debug)]
pub(crate) struct Ring {
    place: RingPlace,
    /// The number of the next task.
    head: u64,
    /// The number of the oldest task that is not reclaimed.
    tail: u64,
    /// The oldest byte-owning task of any scope still open, or [`NOTHING_KEPT`]: it and all behind it stay (architecture D4).
    pub(crate) kept_from: u64,
    /// The number of the present run's first task.
    first_of_run: u64,
    soft_window: u64,
    peak: u64,
    /// How many more submits to let pass before looking at the oldest task again.
    pub(crate) patience: u32,
    slots: Slots,
    pub(crate) heap: Heap,
    edges: Span,
    arguments: Arguments,
    pub(crate) allocations: Allocations,
}

impl Ring {
    pub(crate) fn new(place: RingPlace, first_sequence: u64) -> Self {
        Ring {
            place,
            head: first_sequence,
            tail: first_sequence,
            kept_from: NOTHING_KEPT,
            first_of_run: first_sequence,
            soft_window: place.window.min(SOFT_WINDOW_LEAST),
            peak: 0,
            patience: 0,
            slots: Slots::new(place.first_slot, place.window, first_sequence),
            heap: Heap::new(place.heap_address, place.heap_bytes, 2 * place.window),
            edges: Span::new(place.edges),
            arguments: Arguments::new(place.first_unit, place.argument_sizes),
            allocations: Allocations::new(place.first_allocation_slot, place.window, first_sequence),
        }
    }

    /// Begins a run: nothing was needed yet but what earlier runs have that are not over. Numbers run on.
    pub(crate) fn begin_run(&mut self) {
        self.kept_from = NOTHING_KEPT;
        self.first_of_run = self.head;
        if self.live() == 0 {
            self.soft_window = self.place.window.min(SOFT_WINDOW_LEAST);
        }
        self.peak = self.live();
        self.patience = 0;
        self.heap.forget_peak();
        self.edges.forget_peak();
        self.allocations.begin_run();
    }

    /// Drops every live task and allocation.
    pub(crate) fn abandon(&mut self) {
        self.tail = self.head;
        self.slots = Slots::new(self.place.first_slot, self.place.window, self.head);
        self.heap.clear();
        self.edges = Span::new(self.place.edges);
        self.arguments = Arguments::new(self.place.first_unit, self.place.argument_sizes);
        self.allocations.abandon();
    }

    #[inline]
    pub(crate) fn index(&self) -> RingIndex {
        self.place.index
    }

    /// The id of the next task.
    #[inline]
    pub(crate) fn next_id(&self) -> TaskId {
        TaskId::new(self.place.index, self.head)
    }

    #[inline]
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    #[inline]
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    #[inline]
    pub(crate) fn first_of_run(&self) -> u64 {
        self.first_of_run
    }

    /// Tasks not reclaimed.
    #[inline]
    pub(crate) fn live(&self) -> u64 {
        self.head - self.tail
    }

    pub(crate) fn window(&self) -> u64 {
        self.place.window
    }

    /// The slot of a live task or allocation.
    #[inline]
    pub(crate) fn slot_of_id(&self, id: TaskId) -> SlotIndex {
        if id.is_allocation() { self.allocations.slot_of(id.sequence()) } else { self.slot_of(id.sequence()) }
    }

    /// The slot of a task of the present run, if it is live. None for an allocation.
    #[inline(always)]
    pub(crate) fn live_of_run(&self, id: TaskId) -> Option<SlotIndex> {
        let oldest = self.tail.max(self.first_of_run);
        let is_one = !id.is_allocation() && (oldest..self.head).contains(&id.sequence());
        is_one.then(|| self.slot_of(id.sequence()))
    }

    /// Whether a task or allocation with this id is live.
    pub(crate) fn has(&self, id: TaskId) -> bool {
        let live =
            if id.is_allocation() { self.allocations.tail()..self.allocations.head() } else { self.tail..self.head };
        live.contains(&id.sequence())
    }

    /// Gives back the oldest piece of the heap, if its owner is reclaimed.
    #[inline]
    pub(crate) fn release_piece(&mut self) -> Option<Piece> {
        let owner = self.heap.oldest();
        let tail = if owner.is_allocation() { self.allocations.tail() } else { self.tail };
        // No owner is an id with a number beyond every tail.
        if owner.sequence() < tail { self.heap.release_oldest() } else { None }
    }

    /// Whether the oldest piece of the heap is kept by a scope that is still open.
    pub(crate) fn is_heap_kept(&self) -> bool {
        let owner = self.heap.oldest();
        let kept_from = if owner.is_allocation() { self.allocations.kept_from } else { self.kept_from };
        !owner.is_none() && owner.sequence() >= kept_from
    }

    /// The slot of a live task.
    #[inline]
    pub(crate) fn slot_of(&self, sequence: u64) -> SlotIndex {
        debug_assert!((self.tail..self.head).contains(&sequence));
        self.slots.slot_of(sequence)
    }

    /// The oldest task that may be reclaimed once nobody holds it.
    pub(crate) fn oldest_not_kept(&self) -> Option<SlotIndex> {
        let (chunk, count) = self.oldest_of_chunk(1);
        (count != 0).then(|| chunk.slot_of(self.tail))
    }

    /// The oldest tasks that may be reclaimed once nobody holds them, up to `most`: how many there are in one chunk of slots, and the chunk.
    #[inline]
    pub(crate) fn oldest_of_chunk(&self, most: u64) -> (Chunk, u64) {
        let kept_from = if cfg!(prewire_mutation = "scope_keeps_nothing") { NOTHING_KEPT } else { self.kept_from };
        let count = self.head.min(kept_from).saturating_sub(self.tail).min(most);
        (self.slots.chunk_of(self.tail), count.min(self.slots.in_chunk(self.tail)))
    }

    /// Whether the oldest task is kept by a scope that is still open, so that no waiting can make room.
    #[inline]
    pub(crate) fn is_kept_whole(&self) -> bool {
        self.tail == self.kept_from
    }

    /// Whether one more task would be more than ever before in this run.
    #[inline]
    pub(crate) fn is_at_peak(&self) -> bool {
        self.live() >= self.peak
    }

    #[inline]
    pub(crate) fn has_slot(&self) -> bool {
        self.live() < self.soft_window
    }

    /// Makes use of more of the window, if there is more. True if so.
    pub(crate) fn widen(&mut self) -> bool {
        let can = self.soft_window < self.place.window;
        if can {
            self.soft_window *= 2;
        }
        can
    }

    /// Takes the next slot.
    #[inline(always)]
    pub(crate) fn take_slot(&mut self) -> (u64, SlotIndex) {
        debug_assert!(self.has_slot());
        let sequence = self.head;
        let slot = self.slots.enter(sequence);
        self.head = sequence + 1;
        let live = self.head - self.tail;
        if live >= self.peak {
            self.reach_peak(live);
        }
        (sequence, slot)
    }

    /// Notes that there were never more tasks. Before there are even more, the oldest are looked at again.
    #[inline(never)]
    fn reach_peak(&mut self, live: u64) {
        self.peak = live;
        if live < EXACT_PEAK {
            self.patience = 0;
        }
    }

    /// Where a run of `count` edges would go.
    #[inline(always)]
    pub(crate) fn place_edges(&self, count: u32) -> Option<u64> {
        self.edges.place(u64::from(count))
    }

    /// Takes the run; returns its first edge in the table of all rings.
    #[inline(always)]
    pub(crate) fn take_edges(&mut self, start: u64, count: u32) -> u32 {
        self.edges.take(start, u64::from(count));
        (self.place.first_edge + start) as u32
    }

    /// Takes units for the task that comes next. More for a task that was made already go, with the segment before them, when the next one comes to be the
    /// oldest.
    #[inline(always)]
    pub(crate) fn take_arguments(&mut self, units: u32) -> u32 {
        self.arguments.take(units, self.head)
    }

    /// Where the task behind the next one is likely to go.
    #[inline(always)]
    pub(crate) fn slot_ahead(&self) -> SlotIndex {
        self.slots.ahead()
    }

    /// Where the arguments of the task behind the next one are likely to go.
    #[inline(always)]
    pub(crate) fn arguments_ahead(&self) -> u32 {
        self.arguments.row_ahead()
    }

    /// Whether the arguments of a group have room.
    pub(crate) fn has_room_for_group(&mut self, units: u64) -> bool {
        self.arguments.has_room_for_group(units, self.tail)
    }

    /// Counts the arguments of the group that comes next.
    pub(crate) fn enter_group(&mut self, units: u64) {
        self.arguments.enter_group(units, self.head);
    }

    /// Takes the oldest `count` tasks back, which [`Ring::oldest_of_chunk`] named: their slots, their edges and their arguments. Their pieces of
    /// the heap stay until they are the oldest.
    #[inline]
    pub(crate) fn leave_oldest(&mut self, count: u64, edges: EdgeRuns) {
        if edges.count != 0 {
            let [start, end] = [edges.start, edges.end].map(|edge| u64::from(edge) - self.place.first_edge);
            self.edges.release(start, end, u64::from(edges.count));
        }
        self.tail += count;
        self.slots.leave(self.tail, self.head);
        self.arguments.leave(self.tail);
    }

    pub(crate) fn edges(&self) -> &Span {
        &self.edges
    }

    /// What is in use now.
    pub(crate) fn usage(&self) -> RingUse {
        RingUse {
            slots: self.live() + self.allocations.live(),
            heap_bytes: self.heap.span().used(),
            edges: self.edges.used(),
        }
    }

    /// What was needed at most.
    pub(crate) fn peaks(&self) -> RingUse {
        RingUse {
            slots: self.peak.max(self.allocations.peak()),
            heap_bytes: self.heap.span().peak(),
            edges: self.edges.peak(),
        }
    }

    /// What there is.
    pub(crate) fn capacities(&self) -> RingUse {
        RingUse { slots: self.place.window, heap_bytes: self.heap.span().capacity(), edges: self.edges.capacity() }
    }
}
