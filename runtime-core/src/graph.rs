//! Where orchestrator and schedulers meet: the slots, edges and arguments of all live tasks, the queues of ready ones, and the run's state.
//!
//! Everything is allocated at construction. The orchestrator alone decides which slot, edge or argument unit belongs to which task; see the tables
//! in [`crate::slot`] and [`crate::edge`] for who may touch what when.

use crate::arguments::ArgumentArena;
use crate::consumers::Pushed;
use crate::edge::{Edge, EdgeBody, EdgeTable};
use crate::id::{CoreId, EdgeIndex, SlotIndex};
use crate::inbox::Inbox;
use crate::ready::ReadyRing;
use crate::run::Runs;
use crate::slot::{NO_CAUSE, Shape, Slot, SlotTable, TaskFlags};
use crate::sync::{AtomicU64, CachePadded, Ordering, fence_behind_rmw};
use crate::waiting::{Bells, Doorbell};
use std::sync::Arc as StdArc;

/// How large the tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphSizes {
    /// Slots of all rings together.
    pub slots: usize,
    /// Edges of all rings together.
    pub edges: usize,
    /// Argument units of 64 bytes of all rings together.
    pub argument_units: usize,
    /// Scheduler instances.
    pub instances: usize,
    /// Cores of the chip.
    pub cores: usize,
}

/// A queue of ready tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Queue {
    /// Tasks for single cube cores.
    Cube = 0,
    /// Tasks for single vector cores.
    Vector = 1,
    /// Tasks for several cores of a cluster.
    Cluster = 2,
    /// Tasks that need no core: dummies, and tasks to be retired unrun.
    Retire = 3,
    /// Tasks whose blocks start together.
    Gang = 4,
}

impl Queue {
    /// How many there are.
    pub const COUNT: usize = 5;
    /// All of them.
    pub const ALL: [Queue; Queue::COUNT] = [Queue::Cube, Queue::Vector, Queue::Cluster, Queue::Retire, Queue::Gang];

    /// The queue of a shape without further wishes.
    #[inline]
    pub const fn of(shape: Shape) -> Queue {
        match shape {
            Shape::Cube => Queue::Cube,
            Shape::Vector => Queue::Vector,
            Shape::Cluster => Queue::Cluster,
            Shape::Dummy => Queue::Retire,
        }
    }
}

/// What one scheduler instance tells the others and the orchestrator.
#[derive(Debug, Default)]
pub struct Progress {
    /// Tasks it has completed or retired in this run.
    pub completed: AtomicU64,
    /// Of these, tasks retired unrun for another's failure.
    pub unrun: AtomicU64,
    /// Changes with everything it achieves.
    pub epoch: AtomicU64,
    /// Dispatches on its cores that have not been seen to end, and tasks in its hand.
    pub busy: AtomicU64,
    /// Tasks ever directed at its cores, so that it need not look into every inbox to find none.
    pub directed: AtomicU64,
}

/// As [`Graph::link`], for a caller that has found the producer's slot and the edge's place already.
///
/// # Safety
/// As there; `producer` is the slot that `body` names, and `place` the place of `edge`.
#[inline]
pub unsafe fn link_at(producer: &Slot, place: &Edge, edge: EdgeIndex, body: EdgeBody) -> Pushed {
    // SAFETY: by contract the edge belongs to a task that is not wired.
    unsafe { place.write(body) };
    // SAFETY: by contract.
    unsafe { producer.consumers.push_at(place, edge) }
}

/// The shared state of a runtime.
#[derive(Debug)]
pub struct Graph {
    /// The slots.
    pub slots: SlotTable,
    /// The edges.
    pub edges: EdgeTable,
    /// The arguments.
    pub arguments: ArgumentArena,
    /// The runs; taken for one, the head.
    pub run: Runs,
    /// The bells: one per scheduler instance, and the orchestrator's behind them.
    pub bells: Bells,
    /// One per scheduler instance.
    pub progress: Box<[CachePadded<Progress>]>,
    queues: [ReadyRing; Queue::COUNT],
    directed: Box<[CachePadded<Inbox>]>,
    owners: Box<[u8]>,
}

impl Graph {
    /// The tables, all allocated; `owner` says which scheduler instance owns a core.
    ///
    /// # Panics
    /// If a size is beyond what 32-bit indices reach or there are more than 63 instances.
    pub fn new(sizes: GraphSizes, owner: impl Fn(CoreId) -> usize) -> Self {
        Graph::with_doorbell(sizes, owner, None)
    }

    /// The same, with parties that sleep where the platform says.
    ///
    /// # Panics
    /// As [`Graph::new`].
    pub fn with_doorbell(
        sizes: GraphSizes,
        owner: impl Fn(CoreId) -> usize,
        doorbell: Option<StdArc<dyn Doorbell>>,
    ) -> Self {
        let owners: Box<[u8]> = (0..sizes.cores).map(|core| owner(CoreId(core as u16)) as u8).collect();
        assert!(
            owners.iter().all(|&owner| (owner as usize) < sizes.instances),
            "a core is owned by an instance that does not exist"
        );
        Graph {
            slots: SlotTable::new(sizes.slots),
            edges: EdgeTable::new(sizes.edges),
            arguments: ArgumentArena::new(sizes.argument_units),
            run: Runs::default(),
            bells: Bells::with_doorbell(sizes.instances + 1, doorbell),
            progress: (0..sizes.instances).map(|_| CachePadded::new(Progress::default())).collect(),
            queues: std::array::from_fn(|_| ReadyRing::new(sizes.slots)),
            directed: (0..sizes.cores).map(|_| CachePadded::new(Inbox::new())).collect(),
            owners,
        }
    }

    /// The bell of the orchestrator.
    pub fn orchestrator_bell(&self) -> usize {
        self.progress.len()
    }

    /// The scheduler instance that owns a core.
    #[inline]
    pub fn owner_of(&self, core: CoreId) -> usize {
        self.owners[core.index()] as usize
    }

    /// A queue.
    #[inline]
    pub fn queue(&self, queue: Queue) -> &ReadyRing {
        &self.queues[queue as usize]
    }

    /// The tasks directed at a core; only the core's owner takes from it.
    #[inline]
    pub fn directed(&self, core: CoreId) -> &Inbox {
        &self.directed[core.index()]
    }

    /// Puts an edge onto its producer's list, or says that the producer is done.
    ///
    /// # Safety
    /// Only the orchestrator; the edge is written, on no list, and its producer's slot is not reclaimed.
    #[inline]
    pub unsafe fn link(&self, edge: EdgeIndex, body: EdgeBody) -> Pushed {
        // SAFETY: by contract.
        unsafe { link_at(self.slots.get(body.producer), self.edges.get(edge), edge, body) }
    }

    /// Puts a ready task where it is to be found, and wakes somebody who may be asleep. Called once per task, by whoever brought `pending` to zero.
    ///
    /// # Safety
    /// The caller's subtraction made the task ready, so nobody else routes it.
    #[inline(always)]
    pub unsafe fn route(&self, slot: SlotIndex) {
        let task = self.slots.get(slot);
        // SAFETY: the task is ready and not yet retired; nobody reclaims it.
        let body = unsafe { task.body() };
        const ELSEWHERE: u8 = TaskFlags::DIRECTED.0 | TaskFlags::GANG.0;
        if task.cause() == NO_CAUSE && body.flags.0 & ELSEWHERE == 0 {
            self.enqueue(Queue::of(body.parts.shape()), slot);
        } else {
            // SAFETY: by contract.
            unsafe { self.route_elsewhere(slot) };
        }
    }

    /// Routes a task that is not for the queue of its shape.
    ///
    /// # Safety
    /// As for [`Graph::route`].
    #[inline(never)]
    unsafe fn route_elsewhere(&self, slot: SlotIndex) {
        let task = self.slots.get(slot);
        // SAFETY: the task is ready and not yet retired; nobody reclaims it.
        let body = unsafe { task.body() };
        if task.cause() == NO_CAUSE && !body.flags.has(TaskFlags::GANG) {
            // SAFETY: as above.
            let core = unsafe { task.extra() }.core;
            // SAFETY: by contract this thread alone has the task.
            unsafe { self.directed(core).push(&self.slots, slot) };
            let owner = self.owner_of(core);
            self.progress[owner].directed.fetch_add(1, Ordering::Release);
            fence_behind_rmw();
            if self.bells.idle() >> owner & 1 != 0 {
                self.bells.ring(owner);
            }
            return;
        }
        self.enqueue(if task.cause() != NO_CAUSE { Queue::Retire } else { Queue::Gang }, slot);
    }

    /// Puts a task into a queue and wakes somebody who may be asleep.
    #[inline(always)]
    pub fn enqueue(&self, queue: Queue, slot: SlotIndex) {
        // The ring has a cell for every slot, so the push can only meet a popper that is slow to empty its cell; when the run is over nobody needs
        // the task any more.
        let pushed = self.queues[queue as usize].push(slot, || self.run.is_cancelled());
        if pushed.is_ok() {
            self.wake_one();
        }
    }

    /// Wakes one sleeping scheduler instance, if there is one. To be called behind a publication and a full fence.
    #[inline]
    pub fn wake_one(&self) {
        let idle = self.bells.idle();
        if idle != 0 {
            self.wake_one_of(idle);
        }
    }

    #[inline(never)]
    fn wake_one_of(&self, idle: u64) {
        let idle = idle & !(1 << self.orchestrator_bell());
        if idle != 0 {
            self.bells.ring(idle.trailing_zeros() as usize);
        }
    }

    /// Drops a hold and wakes the orchestrator if it sleeps: it may wait for the slot, or for the task's end, which precedes the release of the
    /// task's own hold.
    #[inline]
    pub fn release(&self, slot: &Slot) {
        slot.release();
        fence_behind_rmw();
        if self.bells.idle() >> self.orchestrator_bell() & 1 != 0 {
            self.bells.ring(self.orchestrator_bell());
        }
    }

    /// Tasks completed or retired in this run by all instances.
    pub fn completed(&self) -> u64 {
        self.progress.iter().map(|progress| progress.completed.load(Ordering::Acquire)).sum()
    }

    /// A number that changes whenever any instance achieves something.
    pub fn epoch(&self) -> u64 {
        self.progress.iter().map(|progress| progress.epoch.load(Ordering::Acquire)).fold(0, u64::wrapping_add)
    }

    /// Takes everything out of every queue and inbox. Only when no scheduler steps, and before the tasks in them are taken back.
    pub fn clear_queues(&self) {
        for queue in &self.queues {
            while queue.pop().is_some() {}
        }
        for inbox in &self.directed {
            inbox.take_all(&self.slots, |_| {});
        }
    }
}
