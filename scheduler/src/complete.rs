//! From the end of a block to the release of its task.
//!
//! The order is fixed: the consumers are walked (marked if the task failed and they use its data, then released), the holds on retained producers are
//! dropped, then the own hold; behind that nobody touches the slot. A long list of consumers is walked in pieces, so that other tasks are
//! dispatched meanwhile, and a consumer that must not run goes through a queue, so that a long chain of them needs no stack.

use crate::instance::{Round, Work};
use crate::tracker::Place;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::consumers::{Consumers, Ending, PausedWalk};
use prewire_runtime_core::edge::{EdgeBody, EdgeFlags};
use prewire_runtime_core::error::KernelFailure;
use prewire_runtime_core::graph::Queue;
use prewire_runtime_core::id::{EdgeIndex, SlotIndex};
use prewire_runtime_core::platform::{Outcome, Platform};
use prewire_runtime_core::port::{Condition, Token, Transition};
use prewire_runtime_core::slot::{NO_CAUSE, Ordinal, Parts, Slot, TaskBody, TaskFlags};
use prewire_runtime_core::sync::pause::{self, Point};

/// Consumers that are released in one piece of a walk.
pub(crate) const PIECE: usize = 64;

/// Walks that may be put aside at once; beyond that a list is walked to its end, so that putting aside allocates nothing.
pub(crate) const MOST_WALKS: usize = 64;

/// A completed task whose consumers are not all released.
#[derive(Debug)]
pub(crate) struct Walk {
    slot: SlotIndex,
    cause: Ordinal,
    rest: PausedWalk,
}

/// The core that a completing task frees, if a successor may be kept for it: a bit for each set of parts that would fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FreedCore(u32);

impl FreedCore {
    /// No successor may be kept.
    pub(crate) const NONE: FreedCore = FreedCore(0);

    #[inline]
    const fn of(kind: CoreKind) -> FreedCore {
        match kind {
            CoreKind::Cube => FreedCore(1 << Parts::CUBE.0),
            CoreKind::Vector => FreedCore(1 << Parts::VECTOR_0.0 | 1 << Parts::VECTOR_1.0),
        }
    }

    #[inline]
    const fn fits(self, parts: Parts) -> bool {
        self.0.wrapping_shr(parts.0 as u32) & 1 != 0
    }
}

impl<P: Platform> Round<'_, P> {
    /// Looks at every running core and takes in what it says.
    pub(crate) fn collect(&mut self) -> bool {
        let mut worked = false;
        for place in self.own.tracker.busy() {
            let (news, successor) = self.observe(place);
            worked |= news;
            if let Some(successor) = successor {
                self.own.in_hand += 1;
                let work = Work { slot: successor, block: 0, part: self.part_of(successor) };
                self.run_on(place, work, true, &mut [].iter());
            }
        }
        worked
    }

    /// Takes in what a running core says. True if it was anything new; and the successor to run on the core, if it is free and one was kept, which then
    /// nobody else has, and which is not yet counted as in hand.
    pub(crate) fn observe(&mut self, place: Place) -> (bool, Option<SlotIndex>) {
        let at = place.index();
        let mut condition = self.platform.poll(self.own.ports[at].core);
        if self.platform.can_revoke() && condition == Condition::Exited {
            condition = self.left(place);
            if condition == Condition::Idle {
                return (true, None);
            }
        }
        let port = &mut self.own.ports[at];
        let (before, running, preloaded) = (port.in_flight, port.running, port.preloaded);
        let transition = port.in_flight.observe(condition);
        if port.in_flight.running != before.running {
            self.group.watched[port.core.index()].hold(port.in_flight.running);
        }
        match transition {
            Transition::None => {
                #[cfg(debug_assertions)]
                self.note_repeat(place, condition);
                (false, None)
            }
            Transition::Started => {
                self.own.tracker.opened(place);
                (true, None)
            }
            Transition::RunningEnded => {
                self.own.tracker.freed(place);
                self.own.dispatches -= 1;
                let keep = self.may_keep_for(place);
                (true, self.ended(place, before.running, running, keep))
            }
            Transition::Promoted => {
                port.running = preloaded;
                self.own.tracker.opened(place);
                self.own.dispatches -= 1;
                (true, self.ended(place, before.running, running, FreedCore::NONE))
            }
            Transition::BothEnded => {
                self.own.tracker.freed(place);
                self.own.dispatches -= 2;
                self.ended(place, before.running, running, FreedCore::NONE);
                let keep = self.may_keep_for(place);
                (true, self.ended(place, before.preloaded, preloaded, keep))
            }
        }
    }

    /// A core that has said that it started its dispatch says the end of another one again: nothing follows from it, but it is worth a note.
    #[cfg(debug_assertions)]
    fn note_repeat(&self, place: Place, condition: Condition) {
        let port = &self.own.ports[place.index()];
        if let Condition::Finished(token) = condition
            && port.in_flight.started
            && port.in_flight.running != Some(token)
        {
            let core = self.platform.chip().core_name(port.core);
            self.graph.run.note(format!("core {core} repeated the end of token {}", token.to_register()));
        }
    }

    /// Whether a successor may be kept for a core that has just become free: nothing directed waits for it and nobody keeps it free.
    #[inline]
    pub(crate) fn may_keep_for(&mut self, place: Place) -> FreedCore {
        // What ended may have been the core itself.
        self.learn_availability();
        let tracker = &self.own.tracker;
        let wanted =
            tracker.is_kept_free(place) || tracker.is_unfit_for_any(place) || self.own.directed.waits_for(place);
        if wanted { FreedCore::NONE } else { FreedCore::of(place.kind()) }
    }

    /// A block has ended on a core, in whatever way. Returns the successor to run there, as [`Round::observe`] does.
    pub(crate) fn ended(
        &mut self,
        place: Place,
        token: Option<Token>,
        work: Work,
        freed: FreedCore,
    ) -> Option<SlotIndex> {
        let token = token.expect("an ended dispatch had a token");
        let core = self.own.ports[place.index()].core;
        let slot = self.graph.slots.get(work.slot);
        let deferred = match self.platform.outcome(core, token) {
            Outcome::Ok => false,
            Outcome::Failed => {
                self.failed(place, token, work, slot);
                false
            }
            Outcome::Deferred => self.defer(place, token, work, slot),
        };
        self.end_share(work.slot, slot, deferred, freed)
    }

    /// A block's share of its task is over, but for the conditions of a deferred one. Returns the successor to run on the core, as [`Round::observe`] does.
    #[inline(always)]
    pub(crate) fn end_share(
        &mut self,
        index: SlotIndex,
        slot: &Slot,
        deferred: bool,
        freed: FreedCore,
    ) -> Option<SlotIndex> {
        if self.state.is_cancelled() {
            return None;
        }
        // SAFETY: the block's share of the task is open, so the task is not released.
        let body = unsafe { slot.body() };
        // A task of one block and one part, without conditions, is over with its only share: there is nobody to count with.
        let alone = body.blocks == 1 && body.parts.0.is_power_of_two() && !deferred;
        if alone || slot.end_subtasks(1) { self.complete_here(index, slot, freed) } else { None }
    }

    #[cold]
    fn failed(&self, place: Place, token: Token, work: Work, slot: &Slot) {
        let core = self.own.ports[place.index()].core;
        let failure = self.platform.take_failure(core, token);
        // SAFETY: the block's share of the task is open, so the task is not released.
        let body = unsafe { slot.body() };
        // SAFETY: as above.
        let ordinal = unsafe { self.graph.slots.ordinal(work.slot) };
        let kernel = { body.kernels }[work.part as usize];
        let failure = KernelFailure {
            task: body.id,
            kernel,
            kernel_name: self.group.kernel_name(kernel),
            block: work.block,
            core: self.platform.chip().core_name(core),
            code: failure.code,
            text: failure.text,
        };
        self.graph.run.record_failure(ordinal, failure);
        slot.blame(ordinal);
    }

    /// A task is over, with all its blocks and conditions, or without any, and nobody has a core for a successor. Its consumers are released.
    #[inline(never)]
    pub(crate) fn complete(&mut self, index: SlotIndex) {
        self.complete_here(index, self.graph.slots.get(index), FreedCore::NONE);
    }

    /// A task is over. Its consumers are released; returns the one kept for the freed core, if any, as [`Round::observe`] does.
    #[inline(always)]
    fn complete_here(&mut self, index: SlotIndex, slot: &Slot, freed: FreedCore) -> Option<SlotIndex> {
        pause::at(Point::TaskReleasesConsumers);
        let cause = slot.cause();
        if cause != NO_CAUSE {
            return self.complete_failed(index, slot, cause, freed);
        }
        // SAFETY: this thread ended the last share of the task, so it alone closes the list, once.
        let consumers = unsafe { slot.consumers.close(&self.graph.edges, Ending::Ok) };
        self.walk(index, slot, NO_CAUSE, consumers, freed)
    }

    #[cold]
    #[inline(never)]
    fn complete_failed(
        &mut self,
        index: SlotIndex,
        slot: &Slot,
        cause: Ordinal,
        freed: FreedCore,
    ) -> Option<SlotIndex> {
        // SAFETY: as for a task that has no cause.
        let consumers = unsafe { slot.consumers.close(&self.graph.edges, Ending::Failed) };
        self.walk(index, slot, cause, consumers, freed)
    }

    /// Releases a piece of a task's consumers, and the task with the last of them.
    #[inline(always)]
    fn walk(
        &mut self,
        index: SlotIndex,
        slot: &Slot,
        cause: Ordinal,
        mut consumers: Consumers<'_>,
        freed: FreedCore,
    ) -> Option<SlotIndex> {
        let mut kept = None;
        loop {
            for _ in 0..PIECE {
                let Some(edge) = consumers.next() else {
                    self.release(index, slot, cause);
                    return kept;
                };
                self.release_consumer(edge, cause, freed, &mut kept);
            }
            if !consumers.is_empty()
                && self.own.walks.len() < MOST_WALKS
                && !cfg!(prewire_mutation = "walks_in_one_piece")
            {
                self.own.walks.push_back(Walk { slot: index, cause, rest: consumers.pause() });
                return kept;
            }
        }
    }

    /// Goes on with the oldest walk that was put aside.
    #[inline]
    pub(crate) fn walk_on(&mut self) -> bool {
        let Some(walk) = self.own.walks.pop_front() else { return false };
        self.resume(walk);
        true
    }

    #[inline(never)]
    fn resume(&mut self, walk: Walk) {
        // SAFETY: the graph has one table of edges.
        let consumers = unsafe { walk.rest.resume(&self.graph.edges) };
        self.walk(walk.slot, self.graph.slots.get(walk.slot), walk.cause, consumers, FreedCore::NONE);
    }

    #[inline(always)]
    fn release_consumer(&mut self, edge: EdgeBody, cause: Ordinal, freed: FreedCore, kept: &mut Option<SlotIndex>) {
        self.platform.charge_release();
        let consumer = self.graph.slots.get(edge.consumer);
        if cause != NO_CAUSE && edge.flags.contains(EdgeFlags::DATA) {
            consumer.blame(cause);
        }
        if !edge.flags.contains(EdgeFlags::WAIT) || !consumer.arrive() {
            return;
        }
        // SAFETY: this arrival made the task ready; nobody releases it before it was routed.
        let body = unsafe { consumer.body() };
        if kept.is_none() && freed.fits(body.parts) && self.may_be_kept(consumer, body) {
            self.own.kept += 1;
            *kept = Some(edge.consumer);
            return;
        }
        self.route(edge.consumer);
    }

    /// Puts a task that an arrival made ready where it is to be found.
    #[inline(never)]
    fn route(&self, slot: SlotIndex) {
        // SAFETY: the arrival was this thread's.
        unsafe { self.graph.route(slot) };
    }

    /// Whether a ready task that fits the freed core may follow its producer there at once, ahead of what waits in the queue.
    #[inline]
    fn may_be_kept(&self, task: &Slot, body: &TaskBody) -> bool {
        const ELSEWHERE: TaskFlags = TaskFlags::GANG.with(TaskFlags::DIRECTED).with(TaskFlags::PREDICATE);
        body.blocks == 1
            && body.flags.0 & ELSEWHERE.0 == 0
            && task.cause() == NO_CAUSE
            && (self.own.kept < self.own.kept_most || cfg!(prewire_mutation = "successors_kept_without_end"))
            && !self.gang_waits()
            // One that was directed at the core since this instance last looked into its inboxes is older.
            && (!self.own.directed.has_news(self.progress)
                || cfg!(prewire_mutation = "unseen_directed_tasks_overtaken"))
    }

    /// Gives up everything a completed task holds, itself last.
    #[inline(always)]
    fn release(&mut self, index: SlotIndex, slot: &Slot, cause: Ordinal) {
        // SAFETY: the task's own hold is dropped only below.
        let body = unsafe { slot.body() };
        if cause != NO_CAUSE {
            // SAFETY: as above.
            let ordinal = unsafe { self.graph.slots.ordinal(index) };
            self.own.unrun += (cause != ordinal) as u64;
        }
        if body.flags.has(TaskFlags::RETAINS) {
            self.release_producers(body);
        }
        self.graph.release(slot);
        self.own.completed += 1;
    }

    fn release_producers(&self, body: &TaskBody) {
        for edge in body.edges..body.edges + body.edge_count {
            // SAFETY: the task is wired and not yet released, and its edges with it.
            let edge = unsafe { self.graph.edges.get(EdgeIndex(edge)).read() };
            // SAFETY: as above; were the edge another task's by now, that one would be alive instead.
            let owner = unsafe { self.graph.slots.get(edge.consumer).body() };
            debug_assert_eq!({ owner.id }, { body.id }, "a task releases an edge that is another's by now");
            if edge.flags.contains(EdgeFlags::RETAIN) {
                self.graph.release(self.graph.slots.get(edge.producer));
            }
        }
    }

    /// Which of a single block's kernels runs.
    #[inline]
    pub(crate) fn part_of(&self, slot: SlotIndex) -> u8 {
        // SAFETY: the task is in this thread's hand.
        let body = unsafe { self.graph.slots.get(slot).body() };
        Self::only_part(body.parts)
    }

    /// A task in hand goes back to its queue.
    pub(crate) fn put_back(&mut self, queue: Queue, slot: SlotIndex) {
        self.graph.enqueue(queue, slot);
        self.out_of_hand();
    }
}
