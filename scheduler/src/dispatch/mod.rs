//! From the queues to the cores.
//!
//! In each step: directed tasks first, as only their core can take them; then MIX tasks, as they need whole clusters; then single blocks; and pre-loading
//! behind running cores only when no core of the kind is idle anywhere on the chip. Where a platform can take back what a core has not started, that comes
//! before everything else. Two rules keep either side from starving the other: a MIX task that finds
//! no cluster has one reserved, which then takes no single blocks; and single blocks that waited while a MIX task was placed come first the next time.

mod cluster;
mod directed;
mod launch;
mod returned;
mod single;

pub(crate) use directed::DirectedTasks;
pub(crate) use returned::ReturnedBlocks;

use crate::instance::Round;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::graph::Queue;
use prewire_runtime_core::platform::Platform;

const KINDS: [CoreKind; 2] = [CoreKind::Cube, CoreKind::Vector];

impl<P: Platform> Round<'_, P> {
    /// Gives free cores something to do.
    pub(crate) fn dispatch(&mut self) -> bool {
        let mut worked = self.platform.can_revoke() && self.dispatch_returned();
        worked |= self.dispatch_directed();
        let [cube_first, vector_first] = self.own.singles_first;
        if cube_first {
            worked |= self.dispatch_singles(CoreKind::Cube);
        }
        if vector_first {
            worked |= self.dispatch_singles(CoreKind::Vector);
        }
        worked |= self.dispatch_clusters();
        if !cube_first {
            worked |= self.dispatch_singles(CoreKind::Cube);
        }
        if !vector_first {
            worked |= self.dispatch_singles(CoreKind::Vector);
        }
        if self.own.dispatches > 0 && self.platform.can_preload() {
            worked |= self.preload_singles(CoreKind::Cube);
            worked |= self.preload_singles(CoreKind::Vector);
            if self.platform.can_revoke() {
                worked |= self.take_back(CoreKind::Cube);
                worked |= self.take_back(CoreKind::Vector);
            }
        }
        self.pass_wakes_on();
        worked
    }

    /// What this instance could not place may fit the free cores of one that sleeps.
    fn pass_wakes_on(&mut self) {
        if self.group.config.instances == 1 {
            return;
        }
        self.tell_clusters();
        self.call_holders();
        for queue in [Queue::Cube, Queue::Vector, Queue::Cluster] {
            if !self.graph.queue(queue).is_empty() {
                self.group.pass_wake_on(queue);
            }
        }
    }

    /// Whether a look into the queues would find something that a free core of this instance could take.
    pub(crate) fn could_dispatch(&self) -> bool {
        let tracker = &self.own.tracker;
        if self.could_dispatch_directed() || self.platform.can_revoke() && self.could_dispatch_returned() {
            return true;
        }
        let singles = KINDS.into_iter().any(|kind| {
            !self.graph.queue(Self::queue_of(kind)).is_empty()
                && (tracker.free_cores(kind) > 0 || self.may_preload(kind) && tracker.open_cores(kind) > 0)
        });
        let clusters = match self.own.cluster_task {
            Some(task) => self.could_place(task),
            None => !self.graph.queue(Queue::Cluster).is_empty() && self.may_find_cluster(),
        };
        singles || clusters || self.keeps_in_vain()
    }

    /// Pre-loading is for when no core of the kind is idle anywhere, no gang waits, and nothing that was taken back comes first.
    pub(crate) fn may_preload(&self, kind: CoreKind) -> bool {
        self.platform.can_preload()
            && self.own.tracker.free_cores(kind) == 0
            && !self.group.has_free_core(kind, self.own.index)
            && !self.gang_waits()
            && !(self.platform.can_revoke() && self.own.returned.wants(kind))
    }
}
