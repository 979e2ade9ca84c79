//! What one scheduler instance knows, and the view of everything that it has during a step.

use crate::SchedulerGroup;
use crate::complete::Walk;
use crate::dispatch::{DirectedTasks, ReturnedBlocks};
use crate::gang::{GATES, Generation};
use crate::group::Told;
use crate::tracker::{Place, Tracker};
use prewire_runtime_core::chip::{ChipSpec, CoreKind};
use prewire_runtime_core::graph::{Graph, Progress, Queue};
use prewire_runtime_core::id::{CoreId, SlotIndex};
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::port::{InFlight, Token};
use prewire_runtime_core::run::RunState;
use prewire_runtime_core::slot::Parts;
use prewire_runtime_core::sync::{Ordering, fence_behind_rmw};
use std::collections::VecDeque;

/// One block of one part of a task, as it is given to a core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) slot: SlotIndex,
    pub(crate) block: u32,
    /// Which of the task's kernels runs.
    pub(crate) part: u8,
}

impl Work {
    const NONE: Work = Work { slot: SlotIndex(0), block: 0, part: 0 };
}

/// One core as its owner knows it.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) core: CoreId,
    pub(crate) next: Token,
    pub(crate) in_flight: InFlight,
    /// What `in_flight.running` is.
    pub(crate) running: Work,
    /// What `in_flight.preloaded` is.
    pub(crate) preloaded: Work,
    /// How many tasks had been completed then, on platforms that can take it back.
    pub(crate) preloaded_at: u64,
}

/// What one instance knows. Nobody else looks at it.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) index: usize,
    pub(crate) run: u32,
    pub(crate) ports: Vec<Port>,
    /// Places without a core.
    missing: Box<[Place]>,
    pub(crate) tracker: Tracker,
    /// The platform's word on which cores can be given work, as last taken in.
    pub(crate) availability_epoch: u32,
    /// The core of each kind that was used last.
    pub(crate) warm: [Place; 2],
    /// Dispatches that have not been seen to end.
    pub(crate) dispatches: u64,
    /// Tasks in hand: taken from a queue and not yet given to a core, nor retired, nor put back.
    pub(crate) in_hand: u64,
    /// Tasks completed or retired in this run.
    pub(crate) completed: u64,
    /// Of these, retired unrun for another's failure.
    pub(crate) unrun: u64,
    /// Successors dispatched since a queue of single blocks was last served.
    pub(crate) kept: u32,
    pub(crate) kept_most: u32,
    pub(crate) walks: VecDeque<Walk>,
    pub(crate) directed: DirectedTasks,
    pub(crate) returned: ReturnedBlocks,
    /// Per kind: directed tasks given to cores since the queue of single blocks was last served, while it was not empty.
    pub(crate) directed_streak: [u32; 2],
    /// A MIX task taken from its queue that found no cluster here.
    pub(crate) cluster_task: Option<SlotIndex>,
    /// Per kind: a MIX task was placed while single blocks waited, so they come first.
    pub(crate) singles_first: [bool; 2],
    /// Per gate, the attempt that places are offered to, and how many.
    pub(crate) offered: [Option<(Generation, u32)>; GATES],
    /// To how many gates.
    pub(crate) offers: u64,
    /// The attempt of a gang that a core is kept idle for although a task names it; 0 for none.
    pub(crate) kept_for: u64,
    /// Conditions that this instance polls.
    pub(crate) deferred: usize,
    /// Where the next poll of conditions begins.
    pub(crate) deferred_next: usize,
    published: Published,
}

/// What was last published.
#[derive(Debug, Default)]
struct Published {
    completed: u64,
    unrun: u64,
    busy: u64,
    on_cores: u64,
    dispatches: u64,
    steps: u64,
    free: u64,
    marked: bool,
}

impl Published {
    #[inline]
    fn tell_free(&mut self, free: u64, told: &Told) -> bool {
        let news = free != self.free;
        if news {
            self.free = free;
            told.free.store(free, Ordering::Relaxed);
        }
        news
    }
}

/// Of what keeps a successor from being dispatched for ever ahead of older ready tasks: so many dispatches of successors between two takes from a queue, over
/// all instances. A task that becomes ready during one such series is taken in the next take at the latest, so it waits for twice as many.
const KEPT_MOST: u32 = 32;

impl Instance {
    pub(crate) fn new(index: usize, instances: usize, chip: &ChipSpec, first_token: Token) -> Self {
        let owned = (index..chip.clusters as usize).step_by(instances);
        let clusters = owned.len();
        let port = |cluster: usize, part| Port {
            core: chip.core(cluster as u16, part),
            next: first_token,
            in_flight: InFlight::default(),
            running: Work::NONE,
            preloaded: Work::NONE,
            preloaded_at: 0,
        };
        let ports: Vec<Port> = owned.flat_map(|cluster| (0..3).map(move |part| port(cluster, part))).collect();
        Instance {
            index,
            run: 0,
            missing: (0..ports.len()).filter(|&at| !chip.has(ports[at].core)).map(place_at).collect(),
            ports,
            tracker: Tracker::new(clusters),
            availability_epoch: 0,
            // The last ones, so that the first ones come next.
            warm: [Place::new(clusters.max(1) - 1, 0), Place::new(clusters.max(1) - 1, 2)],
            dispatches: 0,
            in_hand: 0,
            completed: 0,
            unrun: 0,
            kept: 0,
            kept_most: (KEPT_MOST / instances as u32).max(1),
            walks: VecDeque::with_capacity(crate::complete::MOST_WALKS),
            directed: DirectedTasks::new(3 * clusters),
            returned: ReturnedBlocks::default(),
            directed_streak: [0; 2],
            cluster_task: None,
            singles_first: [false; 2],
            offered: [None; GATES],
            offers: 0,
            kept_for: 0,
            deferred: 0,
            deferred_next: 0,
            published: Published::default(),
        }
    }

    /// Forgets everything but the tokens, which advance for ever.
    pub(crate) fn begin_run(&mut self, run: u32) {
        self.run = run;
        for port in &mut self.ports {
            port.in_flight = InFlight::default();
        }
        self.tracker = Tracker::new(self.ports.len() / 3);
        for &place in &self.missing {
            self.tracker.remove(place);
        }
        // Whatever the platform says then is news.
        self.availability_epoch = 0;
        self.dispatches = 0;
        self.completed = 0;
        self.unrun = 0;
        self.kept = 0;
        self.singles_first = [false; 2];
        self.forget_offers();
        self.kept_for = 0;
        self.deferred_next = 0;
        self.forget_tasks();
        // Whatever is found unlike this is told anew.
        self.published =
            Published { free: u64::MAX, on_cores: u64::MAX, steps: self.published.steps, ..Published::default() };
    }

    /// Offers nothing to any gate.
    pub(crate) fn forget_offers(&mut self) {
        self.offered = [None; GATES];
        self.offers = 0;
    }

    /// Lets go of every task that is not on a core, without touching it.
    pub(crate) fn forget_tasks(&mut self) {
        self.in_hand = 0;
        self.walks.clear();
        self.directed.clear();
        self.returned.clear();
        self.cluster_task = None;
        self.deferred = 0;
        self.tracker.unreserve_cluster();
    }
}

/// The place that a port stands for.
fn place_at(port: usize) -> Place {
    Place::new(port / 3, port % 3)
}

/// One step's view of an instance and of what it shares. The rooms of this crate are methods of it.
pub(crate) struct Round<'a, P: Platform> {
    pub(crate) group: &'a SchedulerGroup<P>,
    pub(crate) graph: &'a Graph,
    /// The head's state: no other run becomes the head while an instance steps.
    pub(crate) state: &'a RunState,
    pub(crate) platform: &'a P,
    /// What it tells everybody, and what it tells the other instances.
    pub(crate) progress: &'a Progress,
    pub(crate) told: &'a Told,
    pub(crate) own: &'a mut Instance,
}

impl<'a, P: Platform> Round<'a, P> {
    pub(crate) fn new(group: &'a SchedulerGroup<P>, own: &'a mut Instance) -> Self {
        let graph: &Graph = &group.graph;
        let (progress, told): (&Progress, &Told) = (&graph.progress[own.index], &group.told[own.index]);
        Round { group, graph, state: graph.run.at(graph.run.head()), platform: &group.platform, progress, told, own }
    }

    /// Takes in which cores can be given work, if that has changed.
    #[inline]
    pub(crate) fn learn_availability(&mut self) -> bool {
        let epoch = self.platform.availability_epoch();
        if epoch == self.own.availability_epoch {
            return false;
        }
        self.own.availability_epoch = epoch;
        for at in 0..self.own.ports.len() {
            let availability = self.platform.availability(self.own.ports[at].core);
            self.own.tracker.set_availability(place_at(at), availability);
        }
        true
    }

    /// Says that a task is about to be taken into this instance's hand: a verdict that finds the queues empty must find somebody busy.
    #[inline]
    pub(crate) fn mark_busy(&mut self) {
        if !self.own.published.marked {
            self.own.published.marked = true;
            self.own.published.busy += 1;
            self.progress.busy.store(self.own.published.busy, Ordering::Release);
        }
    }

    /// `count` tasks were taken into hand.
    #[inline]
    pub(crate) fn take_in_hand(&mut self, count: u64) {
        self.own.in_hand += count;
        self.tell_in_hand();
    }

    /// One task in hand was given to a core, retired or put back.
    #[inline]
    pub(crate) fn out_of_hand(&mut self) {
        self.own.in_hand -= 1;
        self.tell_in_hand();
    }

    #[inline]
    fn tell_in_hand(&self) {
        self.told.in_hand.store(self.own.in_hand, Ordering::Relaxed);
    }

    /// Tells the others now how many cores are free. True if that is news.
    pub(crate) fn tell_free(&mut self) -> bool {
        self.own.published.tell_free(self.own.tracker.summary(), self.told)
    }

    /// Tells the others what this step achieved, and wakes the orchestrator if it may be waiting for that.
    #[inline]
    pub(crate) fn publish(&mut self, worked: bool) {
        let own = &mut *self.own;
        let (progress, told) = (self.progress, self.told);
        own.published.tell_free(own.tracker.summary(), told);
        let returned = if self.platform.can_revoke() { own.returned.len() as u64 } else { 0 };
        let on_cores = own.dispatches + own.directed.len() as u64 + own.offers + returned;
        let busy = on_cores + own.in_hand + own.walks.len() as u64 + own.deferred as u64;
        if (on_cores, own.dispatches) != (own.published.on_cores, own.published.dispatches) {
            (own.published.on_cores, own.published.dispatches) = (on_cores, own.dispatches);
            told.on_cores.store(on_cores, Ordering::Relaxed);
            told.dispatches.store(own.dispatches, Ordering::Relaxed);
        }
        own.published.steps += 1;
        told.steps.store(own.published.steps, Ordering::Release);
        if worked {
            let epoch = progress.epoch.load(Ordering::Relaxed);
            progress.epoch.store(epoch.wrapping_add(1), Ordering::Release);
        }
        let completed = own.completed != own.published.completed;
        if completed {
            if own.unrun != own.published.unrun {
                own.published.unrun = own.unrun;
                progress.unrun.store(own.unrun, Ordering::Release);
            }
            own.published.completed = own.completed;
            progress.completed.swap(own.completed, Ordering::AcqRel);
            fence_behind_rmw();
        }
        if busy != own.published.busy {
            own.published.busy = busy;
            progress.busy.store(busy, Ordering::Release);
        }
        own.published.marked = false;
        if completed {
            let orchestrator = self.graph.orchestrator_bell();
            if self.graph.bells.idle() >> orchestrator & 1 != 0 {
                self.graph.bells.ring(orchestrator);
            }
        }
    }

    /// The part of a single block's task that has a kernel.
    #[inline]
    pub(crate) fn only_part(parts: Parts) -> u8 {
        parts.0.trailing_zeros() as u8
    }

    /// Whether a gang waits, in the queue, in the list or gathering.
    #[inline]
    pub(crate) fn gang_waits(&self) -> bool {
        self.group.gangs.waiting() != 0 || !self.graph.queue(Queue::Gang).is_empty()
    }

    /// The queue of single blocks for a kind of core.
    #[inline]
    pub(crate) fn queue_of(kind: CoreKind) -> Queue {
        match kind {
            CoreKind::Cube => Queue::Cube,
            CoreKind::Vector => Queue::Vector,
        }
    }
}
