//! The producers that the user names.

use crate::Orchestrator;
use crate::log::EdgeOrigin;
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::error::Refusal;
use prewire_runtime_core::id::{SlotIndex, TaskId};
use prewire_runtime_core::sync::prefetch_for_write;
use prewire_runtime_core::task::Dependency;

impl Orchestrator {
    /// Adds the producers that the user named. A producer that is already reclaimed is done; whether it failed is still known.
    #[inline]
    pub(super) fn look_up_dependencies(&mut self, dependencies: &[Dependency]) -> Result<(), Refusal> {
        for &Dependency { task: id, flags } in dependencies {
            let producer = match self.rings.0.get(id.ring().index()).and_then(|ring| ring.live_of_run(id)) {
                Some(producer) => producer,
                None => match self.look_up_unusual(id)? {
                    Some(producer) => producer,
                    None => continue,
                },
            };
            // A dependency that is named waits, and carries failure.
            let flags = flags.union(EdgeFlags::WAIT).union(EdgeFlags::DATA);
            // It will be linked to, and whoever ran it may have its line.
            prefetch_for_write(self.graph.slots.pointer(producer));
            self.edge_set.add(producer, flags);
            if self.config.record {
                self.log_explicit(producer, flags);
            }
        }
        Ok(())
    }

    /// The live allocation with this id, or none for what is already reclaimed.
    #[cold]
    fn look_up_unusual(&mut self, id: TaskId) -> Result<Option<SlotIndex>, Refusal> {
        let Some(ring) = self.rings.0.get(id.ring().index()) else {
            return Err(Refusal::Dependency { id, problem: "was never issued" });
        };
        let (head, first_of_run) = if id.is_allocation() {
            (ring.allocations.head(), ring.allocations.first_of_run())
        } else {
            (ring.head(), ring.first_of_run())
        };
        if id.sequence() >= head {
            return Err(Refusal::Dependency { id, problem: "was never issued" });
        }
        if id.sequence() < first_of_run {
            return Err(Refusal::Dependency { id, problem: "is of an earlier run" });
        }
        if ring.has(id) {
            return Ok(Some(ring.slot_of_id(id)));
        }
        if let Some(&cause) = self.failed.get(&id) {
            self.scratch.blame = cause.min(self.scratch.blame);
        }
        Ok(None)
    }

    #[cold]
    fn log_explicit(&mut self, producer: SlotIndex, flags: EdgeFlags) {
        if let Some(log) = &mut self.parties().producers.log {
            log.add(producer, flags, EdgeOrigin::Explicit, None);
        }
    }
}
