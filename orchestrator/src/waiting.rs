//! Waiting for room, for data, or for tasks to end: reclaim, try, give a verdict, let others work.

use crate::Orchestrator;
use crate::rings::Ring;
use crate::submit::Shortage;
use prewire_runtime_core::error::SubmitError;
use prewire_runtime_core::graph::Queue;
use prewire_runtime_core::id::{CoreId, SlotIndex};
use prewire_runtime_core::waiting::Blocking;

/// Before more of the window is used, room must have failed to appear for this long, and so many times.
const WIDEN_AFTER_NS: u64 = 20_000;
const WIDEN_AFTER_ROUNDS: u32 = 8;

/// A full window of at least `BATCH_WINDOW` slots is waited on until `BATCH` of them are free, for up to `BATCH_ROUNDS` rounds. Looking at the oldest
/// task each time would share its cache line with whoever is ending it, task after task.
const BATCH: u64 = 64;
const BATCH_WINDOW: u64 = 512;
const BATCH_ROUNDS: u32 = 32;

/// What a round of waiting looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Awaited {
    /// The end of this task.
    End(SlotIndex),
    /// A task that can be reclaimed.
    Room,
    /// As [`Awaited::Room`], or the end of any task.
    RoomOrProducers,
}

/// How one call's waiting goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// Rounds since room last appeared.
    rounds: u32,
    /// When that was.
    room_ns: u64,
    /// When the run was last seen to do anything.
    moved_ns: u64,
    epoch: u64,
    began_ns: u64,
    waited: bool,
}

impl Waiting {
    #[inline]
    pub(crate) fn new() -> Self {
        Waiting { rounds: 0, room_ns: 0, moved_ns: 0, epoch: 0, began_ns: 0, waited: false }
    }

    #[inline]
    pub(crate) fn end(&self, blocking: &mut dyn Blocking) {
        if self.waited {
            blocking.done();
        }
    }

    /// Starts the clocks before the first round of a wait.
    fn begin_round(&mut self, epoch: u64, blocking: &dyn Blocking) {
        if !self.waited {
            let now = blocking.now_ns();
            *self = Waiting { room_ns: now, moved_ns: now, began_ns: now, epoch, waited: true, ..*self };
        } else if self.rounds == 0 {
            self.room_ns = blocking.now_ns();
            self.moved_ns = self.room_ns;
        }
        self.rounds += 1;
    }

    /// How long the whole wait has taken.
    pub(crate) fn elapsed_ns(&self, blocking: &dyn Blocking) -> u64 {
        if self.waited { blocking.now_ns().saturating_sub(self.began_ns) } else { 0 }
    }
}

impl Orchestrator {
    /// Makes room, or waits until somebody else has. The caller looks its producers up again and tries once more: the ones it had may be gone.
    ///
    /// # Errors
    /// The run has ended, or waiting is hopeless and this call ends it.
    #[cold]
    pub(crate) fn make_room(
        &mut self,
        shortage: Shortage,
        waiting: &mut Waiting,
        blocking: &mut dyn Blocking,
    ) -> Result<(), SubmitError> {
        self.check_run()?;
        if let Some(fatal) = self.never_fits(&shortage) {
            return Err(self.latch(fatal));
        }
        if matches!(shortage, Shortage::Slots) {
            self.wait_for_batch(waiting, blocking)?;
        }
        loop {
            if self.reclaim_for(&shortage) {
                waiting.rounds = 0;
                return Ok(());
            }
            if matches!(shortage, Shortage::Slots) && self.should_widen(waiting, blocking) {
                let ring = self.ring.index();
                if self.rings.0[ring].widen() {
                    waiting.rounds = 0;
                    return Ok(());
                }
            }
            if let Some(fatal) = self.structural(&shortage) {
                return Err(self.latch(fatal));
            }
            let edges = matches!(shortage, Shortage::Edges { .. });
            let awaited = if edges { Awaited::RoomOrProducers } else { Awaited::Room };
            self.round(awaited, waiting, blocking)?;
            if self.is_hopeless(waiting, blocking) {
                let fatal = self.timed(&shortage);
                return Err(self.latch(fatal));
            }
            if edges {
                // Producers that have ended meanwhile need no edge, so the task may fit although nothing was reclaimed.
                return Ok(());
            }
        }
    }

    /// Waits a while for several slots of a large full window.
    fn wait_for_batch(&mut self, waiting: &mut Waiting, blocking: &mut dyn Blocking) -> Result<(), SubmitError> {
        let ring = self.rings.get(self.ring);
        let last = ring.tail() + BATCH - 1;
        if ring.live() < BATCH_WINDOW || last >= ring.kept_from {
            return Ok(());
        }
        let slot = ring.slot_of(last);
        for _ in 0..BATCH_ROUNDS {
            if self.graph.slots.get(slot).consumers.ending().is_some() {
                break;
            }
            self.round(Awaited::End(slot), waiting, blocking)?;
        }
        waiting.rounds = 0;
        Ok(())
    }

    fn reclaim_for(&mut self, shortage: &Shortage) -> bool {
        match shortage {
            Shortage::Index { .. } => self.reclaim_all(),
            _ => self.reclaim_ring(self.ring.index()),
        }
    }

    /// One round of waiting. The run's state is published before, so that others can tell when all is done.
    pub(crate) fn round(
        &mut self,
        awaited: Awaited,
        waiting: &mut Waiting,
        blocking: &mut dyn Blocking,
    ) -> Result<(), SubmitError> {
        self.publish_submitted();
        let (graph, rings, state) = (&self.graph, &self.rings, self.state());
        let epoch = graph.epoch();
        waiting.begin_round(epoch, blocking);
        // What ended runs left behind can be had without anybody's ending it.
        let left = |ring: &Ring| {
            !self.spans.is_empty() && ring.oldest_not_kept().is_some() && self.is_gone(ring.index(), false, ring.tail())
        };
        let room = || {
            rings.0.iter().any(|ring| {
                let oldest = [ring.oldest_not_kept(), ring.allocations.oldest_not_kept()];
                oldest.into_iter().flatten().any(|slot| graph.slots.is_free(slot)) || left(ring)
            })
        };
        let mut look = || {
            state.is_cancelled()
                || match awaited {
                    Awaited::End(slot) => graph.slots.get(slot).consumers.ending().is_some(),
                    Awaited::Room => room(),
                    Awaited::RoomOrProducers => room() || graph.epoch() != epoch,
                }
        };
        if blocking.round(&mut look) {
            waiting.moved_ns = blocking.now_ns();
        }
        self.check_run()
    }

    /// More of the window helps if the oldest task is kept by a scope, or if nothing is ready any more and the oldest task does not end.
    fn should_widen(&self, waiting: &Waiting, blocking: &dyn Blocking) -> bool {
        self.rings.get(self.ring).is_kept_whole()
            || (waiting.rounds >= WIDEN_AFTER_ROUNDS
                && self.ready() == 0
                && blocking.now_ns().saturating_sub(waiting.room_ns) >= WIDEN_AFTER_NS)
    }

    /// Whether nothing runs, is ready, in hand or deferred, and nothing has moved for the no-progress budget.
    fn is_hopeless(&self, waiting: &mut Waiting, blocking: &dyn Blocking) -> bool {
        let now = blocking.now_ns();
        // In this order: an instance says that it achieved something before it says that nothing is in its hands any more.
        let busy = self.is_busy();
        let epoch = self.graph.epoch();
        // A run at its gate waits for those before it, whose own hopes are others' concern.
        if busy || epoch != waiting.epoch || (self.is_gated() && !self.state().gate.is_open()) {
            waiting.epoch = epoch;
            waiting.moved_ns = now;
        }
        u128::from(now.saturating_sub(waiting.moved_ns)) >= self.config.no_progress.as_nanos()
    }

    /// Whether any core or scheduler has something to do.
    fn is_busy(&self) -> bool {
        use prewire_runtime_core::sync::Ordering;
        self.ready() != 0 || self.graph.progress.iter().any(|progress| progress.busy.load(Ordering::Acquire) != 0)
    }

    /// How many tasks wait in queues and inboxes, at least.
    fn ready(&self) -> usize {
        let queued: usize = Queue::ALL.iter().map(|&queue| self.graph.queue(queue).len()).sum();
        let directed = (0..self.chip.cores()).filter(|&core| !self.graph.directed(CoreId(core)).is_empty()).count();
        queued + directed
    }

    /// Waits until every live task has ended.
    #[cold]
    pub(crate) fn wait_for_all(
        &mut self,
        waiting: &mut Waiting,
        blocking: &mut dyn Blocking,
    ) -> Result<(), SubmitError> {
        for number in 0..self.rings.0.len() {
            for sequence in self.rings.0[number].tail()..self.rings.0[number].head() {
                let slot = self.rings.0[number].slot_of(sequence);
                while self.graph.slots.get(slot).consumers.ending().is_none() {
                    self.round(Awaited::End(slot), waiting, blocking)?;
                }
            }
        }
        self.pieces_joined = false;
        self.reclaim_all();
        Ok(())
    }
}
