//! Tasks that name their core. They wait here, in the order of their submission, until the core has room.

use crate::instance::{Round, Work};
use crate::tracker::Place;
use prewire_runtime_core::graph::Progress;
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::ready::BATCH;
use prewire_runtime_core::slot::{Ordinal, SlotTable};
use prewire_runtime_core::sync::Ordering;
use std::collections::VecDeque;

/// So many directed tasks are given to cores of a kind before one that any such core may run.
const DIRECTED_MOST: u32 = 8;

/// Directed tasks of one instance's cores that no core has taken yet.
#[derive(Debug)]
pub(crate) struct DirectedTasks {
    /// How many had been directed at this instance's cores when it last looked into the inboxes.
    seen: u64,
    waiting: Vec<VecDeque<(Ordinal, SlotIndex)>>,
    count: usize,
}

impl DirectedTasks {
    pub(crate) fn new(cores: usize) -> Self {
        DirectedTasks { seen: 0, waiting: (0..cores).map(|_| VecDeque::new()).collect(), count: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.iter_mut().for_each(VecDeque::clear);
        self.count = 0;
    }

    /// How many tasks wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Whether a task waits for this core.
    #[inline]
    pub(crate) fn waits_for(&self, place: Place) -> bool {
        self.count > 0 && !self.waiting[place.index()].is_empty()
    }

    /// The first task that waits for this core.
    pub(crate) fn next(&self, place: Place) -> Option<SlotIndex> {
        self.waiting[place.index()].front().map(|&(_, slot)| slot)
    }

    /// Whether something was directed at this instance's cores since it last looked.
    #[inline]
    pub(crate) fn has_news(&self, progress: &Progress) -> bool {
        progress.directed.load(Ordering::Acquire) != self.seen
    }

    fn insert(&mut self, slots: &SlotTable, place: Place, slot: SlotIndex) {
        // SAFETY: the task came out of the inbox, so this thread has it.
        let ordinal = unsafe { slots.ordinal(slot) };
        let waiting = &mut self.waiting[place.index()];
        let at = waiting.partition_point(|&(earlier, _)| earlier < ordinal);
        waiting.insert(at, (ordinal, slot));
        self.count += 1;
    }
}

impl<P: Platform> Round<'_, P> {
    /// Gives cores with room the tasks directed at them.
    pub(crate) fn dispatch_directed(&mut self) -> bool {
        let directed = self.progress.directed.load(Ordering::Acquire);
        if directed != self.own.directed.seen {
            self.own.directed.seen = directed;
            self.mark_busy();
            for at in 0..self.own.ports.len() {
                self.empty_inbox(at);
            }
        }
        if self.own.directed.count == 0 {
            return false;
        }
        let mut worked = false;
        for at in 0..self.own.ports.len() {
            worked |= self.dispatch_directed_to(Place::new(at / 3, at % 3));
        }
        worked
    }

    fn empty_inbox(&mut self, at: usize) {
        let core = self.own.ports[at].core;
        let place = Place::new(at / 3, at % 3);
        let inbox = self.graph.directed(core);
        if !inbox.is_empty() {
            let (slots, directed) = (&self.graph.slots, &mut self.own.directed);
            inbox.take_all(slots, |slot| directed.insert(slots, place, slot));
        }
    }

    fn dispatch_directed_to(&mut self, place: Place) -> bool {
        let mut worked = false;
        for _ in 0..BATCH {
            let Some(&(_, index)) = self.own.directed.waiting[place.index()].front() else { break };
            if !self.has_room_for_directed(place) || self.graph.run.is_cancelled() {
                return worked;
            }
            let idle = self.own.tracker.is_idle(place);
            worked = true;
            self.take_in_hand(1);
            if !self.admit(index) {
                self.forget_first(place);
                self.out_of_hand();
                continue;
            }
            let slot = self.graph.slots.get(index);
            // SAFETY: the task is in this thread's hand.
            let body = unsafe { slot.body() };
            let (block, _) = slot.claim_blocks(body.blocks, 1);
            if block + 1 == body.blocks {
                self.forget_first(place);
            }
            let work = Work { slot: index, block, part: Self::only_part(body.parts) };
            self.group.gangs.served(place.kind());
            self.own.directed_streak[place.kind() as usize] += 1;
            if idle {
                self.run_block(place, work);
            } else {
                self.preload_on(place, work);
            }
        }
        worked
    }

    /// Whether a core takes a task directed at it now: to run it, or behind what it runs.
    fn has_room_for_directed(&self, place: Place) -> bool {
        if self.own.tracker.is_kept_free(place) {
            return false;
        }
        let behind = || self.platform.can_preload() && self.own.ports[place.index()].in_flight.can_preload();
        (self.own.tracker.is_able(place) || behind() && !self.gang_waits()) && !self.others_have_their_turn(place)
    }

    /// Whether a task that any core may run is next on this one: so many directed ones may go ahead of it. It is taken in the same step, or by an idle core.
    fn others_have_their_turn(&self, place: Place) -> bool {
        let kind = place.kind();
        self.own.directed_streak[kind as usize] >= DIRECTED_MOST
            && !self.own.tracker.is_unfit_for_any(place)
            && !self.graph.queue(Self::queue_of(kind)).is_empty()
            && !cfg!(prewire_mutation = "directed_tasks_without_end")
    }

    /// Whether tasks were directed at this instance's cores that it has not looked at, or a core has room for one that waits here. A core may have got
    /// room behind the step that looked: a cluster that was kept for a MIX task is let go there.
    pub(crate) fn could_dispatch_directed(&self) -> bool {
        let places = || (0..self.own.ports.len()).map(|at| Place::new(at / 3, at % 3));
        self.own.directed.has_news(self.progress)
            || self.own.directed.count > 0
                && places().any(|place| self.own.directed.waits_for(place) && self.has_room_for_directed(place))
    }

    fn forget_first(&mut self, place: Place) {
        self.own.directed.waiting[place.index()].pop_front();
        self.own.directed.count -= 1;
    }
}
