//! A task's slot: one line that everybody touches, and a cold line for what few tasks have.
//!
//! # Who may touch what
//!
//! | field | orchestrator, before publication | while the task waits or runs | orchestrator, when all holds that were taken are released |
//! |---|---|---|---|
//! | `body`, `extra` | writes | anybody reads | reuses the slot |
//! | `consumers` | opens | orchestrator pushes, the finisher closes | reads |
//! | `pending` | sets a share for each edge | producers and, once, the orchestrator subtract | – |
//! | `released` | sets 0 | anybody adds, by read-modify-write only | reads with acquire |
//! | `taken`, apart | sets 1 | orchestrator adds | reads |
//! | `subtasks` | sets blocks × parts | each ended block subtracts | – |
//! | `next_block` | sets 0 | only who holds the task (queue, hand, gang gate) | – |
//! | `cause` | clears | failed producers lower it before they release `pending` | reads |
//!
//! A slot is published by whatever first carries its number: a push on a producer's list, the subtraction that makes it ready, a queue's cell. Each
//! of these is a release that an acquire meets, so `body` needs no atomics.

use crate::consumers::ConsumerList;
use crate::id::{KernelId, SlotIndex, TaskId};
use crate::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell};

mod body;

pub use body::{Comparison, Parts, Shape, TaskBody, TaskExtra, TaskFlags};

/// The number of a submission within its run; the order of submission.
pub type Ordinal = u64;

/// No failure is known that concerns the task.
pub const NO_CAUSE: Ordinal = u64::MAX;

/// A task's slot.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Slot {
    /// Who waits for the task.
    pub consumers: ConsumerList,
    pending: AtomicU32,
    released: AtomicU32,
    subtasks: AtomicU32,
    cause: AtomicU64,
    next_block: AtomicU32,
    body: UnsafeCell<TaskBody>,
    extra: UnsafeCell<TaskExtra>,
}

#[cfg(not(any(loom, prewire_shuttle)))]
const _: () = assert!(std::mem::size_of::<Slot>() == 128 && std::mem::offset_of!(Slot, extra) >= 64);

// SAFETY: `body` and `extra` follow the table in the module's documentation: written by the orchestrator alone before the slot is published,
// read-only until it is reclaimed.
unsafe impl Sync for Slot {}
// SAFETY: a slot holds plain numbers.
unsafe impl Send for Slot {}

impl Slot {
    pub(crate) fn new() -> Self {
        let body = TaskBody {
            id: TaskId::NONE,
            kernels: [KernelId(0); 3],
            parts: Parts(0),
            flags: TaskFlags(0),
            blocks: 0,
            arguments: 0,
            edges: 0,
            edge_count: 0,
            tensors: 0,
            scalars: 0,
        };
        Slot {
            consumers: ConsumerList::closed(),
            pending: AtomicU32::new(0),
            released: AtomicU32::new(0),
            subtasks: AtomicU32::new(0),
            cause: AtomicU64::new(NO_CAUSE),
            next_block: AtomicU32::new(0),
            body: UnsafeCell::new(body),
            extra: UnsafeCell::new(TaskExtra::PLAIN),
        }
    }

    /// Makes the slot a new task: no hold released, a share of `pending` for each of its edges, nothing failed, no block claimed.
    ///
    /// A share is taken down by the producer at the edge's other end or, where none will, by the orchestrator behind all its links
    /// ([`Slot::give_back`]). So the task is not ready before the last of its edges is written, and one whose producers all run costs the orchestrator no
    /// read-modify-write.
    ///
    /// # Safety
    /// Only the orchestrator, on a slot whose last task was consumed.
    #[inline]
    unsafe fn prepare(&self, body: TaskBody) {
        self.consumers.open();
        let dropped = if cfg!(prewire_mutation = "wiring_share_dropped") { body.edge_count.min(1) } else { 0 };
        self.pending.store(body.edge_count - dropped, Ordering::Relaxed);
        self.released.store(0, Ordering::Relaxed);
        self.subtasks.store(body.blocks * body.parts.count(), Ordering::Relaxed);
        self.cause.store(NO_CAUSE, Ordering::Relaxed);
        self.next_block.store(0, Ordering::Relaxed);
        // SAFETY: by contract nobody else can see the slot.
        self.body.with_mut(|cell| unsafe { *cell = body });
    }

    /// Writes the cold part of a task that needs it.
    ///
    /// # Safety
    /// Only the orchestrator, between [`Slot::prepare`] and publication.
    #[inline]
    pub unsafe fn set_extra(&self, extra: TaskExtra) {
        // SAFETY: by contract nobody else can see the slot.
        self.extra.with_mut(|cell| unsafe { *cell = extra });
    }

    /// Links the slot behind `next` in an inbox of directed tasks.
    ///
    /// # Safety
    /// Only the thread that routes the task, before it publishes it in the inbox.
    #[inline]
    pub(crate) unsafe fn set_next_directed(&self, next: u32) {
        // SAFETY: by contract this thread alone has the task between its readiness and its publication in the inbox.
        self.extra.with_mut(|cell| unsafe { (*cell).next_directed = next });
    }

    /// The task.
    ///
    /// # Safety
    /// The slot is published to this thread and not yet reclaimed: it came from a queue, a consumer list, or a hold protects it.
    #[inline]
    pub unsafe fn body(&self) -> &TaskBody {
        // SAFETY: the body is read-only while the contract holds.
        self.body.with(|cell| unsafe { &*cell })
    }

    /// The task's cold part.
    ///
    /// # Safety
    /// As for [`Slot::body`].
    #[inline]
    pub unsafe fn extra(&self) -> &TaskExtra {
        // SAFETY: the cold part is read-only while the contract holds.
        self.extra.with(|cell| unsafe { &*cell })
    }

    /// Sets how many arrivals the task waits for, where these are not those of its edges, or where all its producers turned out to be done. Only before anybody
    /// else knows the task.
    #[inline]
    pub fn expect(&self, arrivals: u32) {
        self.pending.store(arrivals, Ordering::Relaxed);
    }

    /// Ends the wiring of a task with `shares` edges, at least one, whose producers are done or not waited for. True if the task is ready: the caller, and nobody
    /// else, routes it.
    #[inline]
    #[must_use]
    pub fn give_back(&self, shares: u32) -> bool {
        self.pending.fetch_sub(shares, arrival()) == shares
    }

    /// One producer is done. True if the task is now ready: the caller, and nobody else, routes it.
    ///
    /// The last share is the caller's own: nobody else changes the count any more, and what all others wrote is seen with it. Taking it down needs no
    /// read-modify-write, which would be the dearest instruction of a completion.
    #[inline]
    #[must_use]
    pub fn arrive(&self) -> bool {
        let look = if cfg!(prewire_mutation = "arrive_release_only") { Ordering::Relaxed } else { Ordering::Acquire };
        if self.pending.load(look) == 1 {
            self.pending.store(0, Ordering::Relaxed);
            return true;
        }
        self.pending.fetch_sub(1, arrival()) == 1
    }

    /// How many producers the task still waits for, for reports.
    pub fn waits_left(&self) -> u32 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Leaves a cause of failure on the task, keeping the earliest submission.
    ///
    /// Relaxed: it precedes an arrival of the same thread, and the router reads it behind its own.
    #[inline]
    pub fn blame(&self, cause: Ordinal) {
        self.cause.fetch_min(cause, Ordering::Relaxed);
    }

    /// The earliest failed submission that concerns the task, or [`NO_CAUSE`].
    #[inline]
    pub fn cause(&self) -> Ordinal {
        self.cause.load(Ordering::Relaxed)
    }

    /// Gives a hold back: everything this thread did with the slot happens before its reuse.
    ///
    /// After the call the slot must not be touched.
    #[inline]
    pub fn release(&self) {
        let order = if cfg!(prewire_mutation = "release_relaxed") { Ordering::Relaxed } else { Ordering::Release };
        self.released.fetch_add(1, order);
    }

    /// Claims up to `most` blocks: the first, and how many. Only who holds the task (took it from a queue) claims.
    #[inline]
    pub fn claim_blocks(&self, blocks: u32, most: u32) -> (u32, u32) {
        let first = self.next_block.load(Ordering::Relaxed);
        let count = most.min(blocks - first);
        self.next_block.store(first + count, Ordering::Relaxed);
        (first, count)
    }

    /// How many blocks are unclaimed. Only who holds the task asks for a decision; anybody may for a report.
    #[inline]
    pub fn unclaimed_blocks(&self, blocks: u32) -> u32 {
        blocks.saturating_sub(self.next_block.load(Ordering::Relaxed))
    }

    /// `ended` sub-tasks are over. True for the one call that ends the last of them, and only that one finishes the task: it sees what all the
    /// others wrote.
    #[inline]
    #[must_use]
    pub fn end_subtasks(&self, ended: u32) -> bool {
        let order = if cfg!(prewire_mutation = "subtasks_relaxed") { Ordering::Relaxed } else { Ordering::AcqRel };
        let before = self.subtasks.fetch_sub(ended, order);
        debug_assert!(before >= ended, "more sub-tasks ended than there were");
        before == ended
    }

    /// Adds conditions that must hold before the task is complete. Called before the share of the block that registered them is given back, so the
    /// count cannot be zero.
    #[inline]
    pub fn defer(&self, conditions: u32) {
        self.subtasks.fetch_add(conditions, Ordering::Relaxed);
    }

    /// How many sub-tasks and conditions are open, for reports.
    pub fn subtasks_left(&self) -> u32 {
        self.subtasks.load(Ordering::Relaxed)
    }
}

#[inline]
fn arrival() -> Ordering {
    // Release: what this producer wrote; acquire: what all earlier arrivals wrote, for the one that routes.
    if cfg!(prewire_mutation = "arrive_release_only") {
        Ordering::Release
    } else if cfg!(prewire_mutation = "arrive_acquire_only") {
        Ordering::Acquire
    } else {
        Ordering::AcqRel
    }
}

/// The order of submission of the task in a slot.
#[derive(Debug)]
struct OrdinalCell(UnsafeCell<Ordinal>);

// SAFETY: as for the slot's body.
unsafe impl Sync for OrdinalCell {}

/// The slots of all rings, addressed by one number.
#[derive(Debug)]
pub struct SlotTable {
    slots: Box<[Slot]>,
    /// Apart from the slots, where it would be alone on a line: each task has one, and it is read where something failed.
    ordinals: Box<[OrdinalCell]>,
    /// How many holds were ever taken on each slot's task: one for execution, and one for each edge that retains. Only the orchestrator writes it, so that taking
    /// one needs no read-modify-write; others read it for reports.
    taken: Box<[AtomicU32]>,
}

impl SlotTable {
    /// A table of `capacity` slots.
    pub fn new(capacity: usize) -> Self {
        SlotTable {
            slots: (0..capacity).map(|_| Slot::new()).collect(),
            ordinals: (0..capacity).map(|_| OrdinalCell(UnsafeCell::new(0))).collect(),
            taken: (0..capacity).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Makes a slot a new task, the one submitted as number `ordinal` of its run, with one hold for its execution.
    ///
    /// It waits for an arrival for each of its edges; see [`Slot::give_back`].
    ///
    /// # Safety
    /// Only the orchestrator, on a slot whose last task was consumed.
    #[inline(always)]
    pub unsafe fn prepare(&self, slot: SlotIndex, body: TaskBody, ordinal: Ordinal) {
        debug_assert_eq!(self.holds(slot), 0, "a slot was reused while it was held");
        // SAFETY: by contract nobody else can see the slot, nor what belongs to it.
        self.ordinals[slot.index()].0.with_mut(|cell| unsafe { *cell = ordinal });
        self.taken[slot.index()].store(1, Ordering::Relaxed);
        // SAFETY: by contract.
        unsafe { self.slots[slot.index()].prepare(body) };
    }

    /// The order of submission of a slot's task within its run.
    ///
    /// # Safety
    /// As for [`Slot::body`].
    #[inline]
    pub unsafe fn ordinal(&self, slot: SlotIndex) -> Ordinal {
        // SAFETY: it is written with the body and read-only while the contract holds.
        self.ordinals[slot.index()].0.with(|cell| unsafe { *cell })
    }

    /// [`AllSlots::hold`].
    #[inline]
    pub fn hold(&self, slot: SlotIndex) {
        self.all().hold(slot);
    }

    /// [`AllSlots::is_free`].
    #[inline]
    pub fn is_free(&self, slot: SlotIndex) -> bool {
        self.all().is_free(slot)
    }

    /// How many holds there are, for reports. What is told while tasks come and go may be of two moments.
    pub fn holds(&self, slot: SlotIndex) -> u32 {
        let released = self.slots[slot.index()].released.load(Ordering::Acquire);
        self.taken[slot.index()].load(Ordering::Relaxed).saturating_sub(released)
    }

    /// Drops every hold of a task whose run was ended before it was over.
    ///
    /// # Safety
    /// Only the orchestrator, when nobody else touches slots any more.
    pub unsafe fn abandon(&self, slot: SlotIndex) {
        let taken = self.taken[slot.index()].load(Ordering::Relaxed);
        self.slots[slot.index()].released.store(taken, Ordering::Relaxed);
    }

    /// Where a slot lies, for asking for its line.
    #[inline]
    pub fn pointer(&self, slot: SlotIndex) -> *const Slot {
        self.slots.as_ptr().wrapping_add(slot.index())
    }

    /// The slot with this number.
    #[inline]
    pub fn get(&self, slot: SlotIndex) -> &Slot {
        &self.slots[slot.index()]
    }

    /// All slots. For a loop that looks at several behind an acquire each, which the table would be found anew after.
    #[inline]
    pub fn all(&self) -> AllSlots<'_> {
        AllSlots { slots: &self.slots, taken: &self.taken }
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// The slots of a table, found once.
#[derive(Clone, Copy, Debug)]
pub struct AllSlots<'a> {
    slots: &'a [Slot],
    taken: &'a [AtomicU32],
}

impl<'a> AllSlots<'a> {
    /// The slot with this number.
    #[inline]
    pub fn get(self, slot: SlotIndex) -> &'a Slot {
        &self.slots[slot.index()]
    }

    /// Another user of a slot's memory. Only the orchestrator, and only while it knows the slot to be unreclaimed, which it alone decides.
    #[inline]
    pub fn hold(self, slot: SlotIndex) {
        if !cfg!(prewire_mutation = "hold_not_taken") {
            let taken = &self.taken[slot.index()];
            taken.store(taken.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Whether nobody holds the slot. Only the orchestrator asks; a yes lets it reuse everything the slot owns.
    #[inline]
    pub fn is_free(self, slot: SlotIndex) -> bool {
        let order = if cfg!(prewire_mutation = "free_relaxed") { Ordering::Relaxed } else { Ordering::Acquire };
        let running = cfg!(prewire_mutation = "own_execution_not_held") as u32;
        let taken = self.taken[slot.index()].load(Ordering::Relaxed);
        let released = self.slots[slot.index()].released.load(order);
        debug_assert!(released <= taken, "a hold was given back twice");
        // One that was given back twice keeps the slot for ever; it does not free it too early.
        taken.wrapping_sub(released) <= running
    }
}
