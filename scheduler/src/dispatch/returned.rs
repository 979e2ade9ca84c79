//! Dispatches that are taken back before their core starts them, on platforms that can.
//!
//! What waits behind a running task goes to a core that has nothing to do, and comes first where others have overtaken it for long enough. What a core that
//! has left had not started goes to others, or waits for the core's replacement where it names its core. Blocks of gangs and MIX tasks stay: their siblings
//! are placed with them.

use crate::instance::{Round, Work};
use crate::tracker::Place;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::port::Condition;
use prewire_runtime_core::slot::TaskFlags;
use std::collections::VecDeque;

/// So many tasks may be completed while one waits behind a running task. Then it gets the next core.
const OVERTAKEN_MOST: u64 = 32;

/// A block that was taken back.
#[derive(Clone, Copy, Debug)]
struct Block {
    work: Work,
    /// The core that its task names.
    home: Option<Place>,
}

/// Blocks that were taken back and that no core has taken yet.
#[derive(Debug, Default)]
pub(crate) struct ReturnedBlocks(VecDeque<Block>);

impl ReturnedBlocks {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a block of this kind waits that any core may take.
    pub(crate) fn wants(&self, kind: CoreKind) -> bool {
        self.0.iter().any(|block| block.home.is_none() && kind_of(block.work) == kind)
    }
}

fn kind_of(work: Work) -> CoreKind {
    Place::new(0, work.part.into()).kind()
}

impl<P: Platform> Round<'_, P> {
    /// Gives cores with room what was taken back from others.
    pub(crate) fn dispatch_returned(&mut self) -> bool {
        let mut worked = false;
        for _ in 0..self.own.returned.len() {
            let Some(block) = self.own.returned.0.pop_front() else { break };
            if self.has_room_for(block) {
                self.place_returned(block);
                worked = true;
            } else {
                self.own.returned.0.push_back(block);
            }
        }
        worked
    }

    /// Whether something that was taken back would find a core now.
    pub(crate) fn could_dispatch_returned(&self) -> bool {
        self.own.returned.0.iter().any(|&block| self.has_room_for(block))
    }

    fn has_room_for(&self, block: Block) -> bool {
        let Some(home) = block.home else { return self.own.tracker.free_cores(kind_of(block.work)) > 0 };
        let behind = || self.own.ports[home.index()].in_flight.can_preload() && !self.gang_waits();
        !self.own.tracker.is_kept_free(home) && (self.own.tracker.is_able(home) || behind())
    }

    fn place_returned(&mut self, block: Block) {
        let kind = kind_of(block.work);
        let free = || self.own.tracker.choose(kind, self.own.warm[kind as usize]);
        let place = block.home.or_else(free).expect("there is room for the block");
        self.mark_busy();
        self.take_in_hand(1);
        self.group.gangs.served(kind);
        if self.own.tracker.is_idle(place) {
            self.run_block(place, block.work);
        } else {
            self.preload_on(place, block.work);
        }
    }

    /// Takes back what waits behind running tasks, where a core of the kind has nothing else to do or others have overtaken it for long enough.
    pub(crate) fn take_back(&mut self, kind: CoreKind) -> bool {
        let queued = !self.graph.queue(Self::queue_of(kind)).is_empty();
        let mut worked = false;
        for place in self.own.tracker.busy().filter(|place| place.kind() == kind) {
            let port = &self.own.ports[place.index()];
            if port.in_flight.preloaded.is_none() || self.home_of(place, port.preloaded).is_some() {
                continue;
            }
            let overtaken = self.own.completed - port.preloaded_at > OVERTAKEN_MOST
                && !cfg!(prewire_mutation = "staged_tasks_overtaken_without_end");
            let idle = !queued
                && self.own.tracker.free_cores(kind) > 0
                && !cfg!(prewire_mutation = "staged_tasks_stay_where_they_are");
            if (idle || overtaken && queued)
                && let Some(work) = self.revoke(place)
            {
                self.own.returned.0.push_back(Block { work, home: None });
                worked = true;
                // If a core is idle, it has it at once, and the next one sees that it is idle no more.
                self.dispatch_returned();
            }
        }
        worked
    }

    /// A core has left, and what it had not started with it: that goes to others. Returns what the core says about the rest.
    #[cold]
    pub(crate) fn left(&mut self, place: Place) -> Condition {
        // It is given nothing more before this is known.
        self.learn_availability();
        loop {
            let port = &self.own.ports[place.index()];
            let Some(token) = port.in_flight.newest() else { return Condition::Idle };
            let newest = if port.in_flight.preloaded.is_some() { port.preloaded } else { port.running };
            let home = self.home_of(place, newest);
            let lost = self.has_siblings(newest) || cfg!(prewire_mutation = "unstarted_tasks_die_with_their_core");
            if lost || self.revoke(place).is_none() {
                return Condition::Finished(token);
            }
            self.own.returned.0.push_front(Block { work: newest, home });
        }
    }

    /// After a fatal: takes back everything that no core has started.
    pub(crate) fn revoke_all(&mut self) -> bool {
        let mut worked = false;
        if cfg!(prewire_mutation = "staged_tasks_outlive_their_run") {
            return false;
        }
        for place in self.own.tracker.busy() {
            while self.revoke(place).is_some() {
                worked = true;
            }
        }
        worked
    }

    /// Takes back the newest dispatch to a core, unless the core has started it.
    fn revoke(&mut self, place: Place) -> Option<Work> {
        let port = &mut self.own.ports[place.index()];
        let token = port.in_flight.newest()?;
        if !self.platform.revoke(port.core, token) {
            return None;
        }
        let behind = port.in_flight.preloaded.is_some();
        port.in_flight.revoked();
        // Nobody has seen the token, and the parities go on alternating.
        port.next = token;
        self.own.dispatches -= 1;
        if behind {
            self.own.tracker.opened(place);
            return Some(port.preloaded);
        }
        self.group.watched[port.core.index()].hold(None);
        self.own.tracker.freed(place);
        Some(port.running)
    }

    /// The core that a dispatched block's task names.
    fn home_of(&self, place: Place, work: Work) -> Option<Place> {
        // SAFETY: the block's share of the task is open, so the task is not released.
        let body = unsafe { self.graph.slots.get(work.slot).body() };
        body.flags.has(TaskFlags::DIRECTED).then_some(place)
    }

    /// Whether the block was placed together with others that may count on it.
    fn has_siblings(&self, work: Work) -> bool {
        // SAFETY: the block's share of the task is open, so the task is not released.
        let body = unsafe { self.graph.slots.get(work.slot).body() };
        body.flags.has(TaskFlags::GANG) || body.parts.count() > 1
    }
}
