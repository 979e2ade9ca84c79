//! MIX tasks: blocks that take several cores of one cluster.
//!
//! All parts of a block are placed by the cluster's owner at once, on idle cores only, so on every core they share any two blocks come in the same order
//! and blocks whose parts wait for one another cannot deadlock. They are never pre-loaded: one part would start and wait, with its watchdog's clock running, for
//! a sibling that stands behind a task of another length.

use super::KINDS;
use crate::instance::{Round, Work};
use crate::tracker::Place;
use prewire_runtime_core::graph::Queue;
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::slot::Parts;
use prewire_runtime_core::sync::{Ordering, fence};

/// All cores of a cluster.
const WHOLE: Parts = Parts(7);

impl<P: Platform> Round<'_, P> {
    /// Gives clusters with enough idle cores the oldest MIX tasks.
    pub(crate) fn dispatch_clusters(&mut self) -> bool {
        let mut worked = false;
        loop {
            let task = match self.own.cluster_task.take() {
                Some(task) => task,
                None => match self.take_cluster_task() {
                    Some(task) => task,
                    None => return worked,
                },
            };
            if self.graph.run.is_cancelled() || !self.admit(task) {
                self.own.tracker.unreserve_cluster();
                self.out_of_hand();
                worked = true;
                continue;
            }
            // SAFETY: the task is in this thread's hand.
            let parts = unsafe { self.graph.slots.get(task).body() }.parts;
            let free = self.own.tracker.free_clusters(parts).count_ones();
            if free == 0 {
                self.hold_cluster_task(task, parts);
                return worked;
            }
            let blocks = self.claim(task, Queue::Cluster, free);
            for block in blocks {
                let cluster = self.own.tracker.choose_cluster(parts);
                let cluster = cluster.expect("no more blocks were claimed than there are free clusters");
                self.place_parts(cluster, parts, task, block);
            }
            self.own.tracker.unreserve_cluster();
            if self.group.config.instances > 1 && self.group.cluster_keepers() != 0 {
                self.let_keepers_go_on();
            }
            for kind in KINDS {
                if crate::tracker::Kinds::of(parts).has(kind) {
                    self.group.gangs.served(kind);
                }
            }
            self.note_waiting_singles();
            worked = true;
            if self.own.singles_first != [false; 2] {
                // They have the next turn.
                return worked;
            }
        }
    }

    /// Puts all parts of one block on the idle cores of a cluster.
    pub(crate) fn place_parts(&mut self, cluster: usize, parts: Parts, slot: SlotIndex, block: u32) {
        for part in (0..3).filter(|&part| parts.has(part)) {
            self.own.in_hand += 1;
            self.run_block(Place::new(cluster, part), Work { slot, block, part: part as u8 });
        }
    }

    /// Takes the oldest MIX task if there is a cluster that it might fit, and sees to it that there will be one if not.
    fn take_cluster_task(&mut self) -> Option<SlotIndex> {
        let queue = self.graph.queue(Queue::Cluster);
        let queued = !queue.is_empty();
        if !queued && self.group.cluster_task_holders(self.own.index) == 0 {
            if self.own.tracker.has_reserved_cluster() {
                self.own.tracker.unreserve_cluster();
            }
            return None;
        }
        if !queued || !self.may_find_cluster() {
            // Another instance may hold a task that gets a cluster here sooner.
            if self.own.singles_first == [false; 2] {
                self.own.tracker.reserve_cluster(WHOLE);
            }
            return None;
        }
        self.mark_busy();
        let task = queue.pop()?;
        self.take_in_hand(1);
        Some(task)
    }

    /// Tells the others what this instance does about MIX tasks. They keep clusters for a task that one holds, and may go on once none does.
    pub(crate) fn tell_clusters(&mut self) {
        let told = &self.group.told[self.own.index];
        let holds = self.own.cluster_task.is_some() as u64;
        let keeps = self.own.tracker.has_reserved_cluster() as u64;
        if told.keeps_cluster.load(Ordering::Relaxed) != keeps {
            told.keeps_cluster.store(keeps, Ordering::Relaxed);
        }
        if told.holds_cluster_task.load(Ordering::Relaxed) != holds {
            told.holds_cluster_task.store(holds, Ordering::Relaxed);
            if holds == 0 {
                self.let_keepers_go_on();
            }
        }
    }

    /// A MIX task has gone from the queue or from a hand: whoever sleeps and keeps a cluster for it has to look again.
    fn let_keepers_go_on(&self) {
        fence(Ordering::SeqCst);
        self.group.wake(self.group.cluster_keepers());
    }

    /// If whole clusters have become free here, a sleeping instance that holds a MIX task is to put it back for this one.
    pub(crate) fn call_holders(&mut self) {
        if self.tell_free() && self.own.tracker.whole_clusters() != 0 {
            fence(Ordering::SeqCst);
            self.group.wake(self.group.cluster_task_holders(self.own.index));
        }
    }

    /// Whether this instance keeps a cluster that no MIX task wants any more.
    pub(crate) fn keeps_in_vain(&self) -> bool {
        self.own.tracker.has_reserved_cluster()
            && self.own.cluster_task.is_none()
            && self.graph.queue(Queue::Cluster).is_empty()
            && self.group.cluster_task_holders(self.own.index) == 0
    }

    /// Whether a MIX task from the queue may find a cluster here. While a gang waits nothing is held in hand for long, so only a cluster that fits
    /// every task counts then.
    pub(crate) fn may_find_cluster(&self) -> bool {
        if self.gang_waits() {
            self.own.tracker.whole_clusters() != 0
        } else {
            self.own.tracker.has_partly_free_cluster()
        }
    }

    /// Whether the MIX task in hand could be placed, here or elsewhere.
    pub(crate) fn could_place(&self, task: SlotIndex) -> bool {
        // SAFETY: the task is in this thread's hand.
        let parts = unsafe { self.graph.slots.get(task).body() }.parts;
        self.own.tracker.free_clusters(parts) != 0 || self.group.has_whole_cluster(self.own.index)
    }

    /// No cluster here has these cores idle. The task waits in hand for the cluster that is kept for it, unless another instance has a whole
    /// free one or a gang waits, which must see who else does.
    fn hold_cluster_task(&mut self, task: SlotIndex, parts: Parts) {
        if self.group.has_whole_cluster(self.own.index) || self.gang_waits() {
            self.own.tracker.unreserve_cluster();
            return self.put_back(Queue::Cluster, task);
        }
        self.own.tracker.reserve_cluster(parts);
        self.own.cluster_task = Some(task);
    }
}
