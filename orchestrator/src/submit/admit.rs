//! Room for a task: its slot, its heap bytes, its edges and its index entries, all of it or nothing.

use super::Plan;
use crate::Orchestrator;
use crate::index::Room;
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::edge::EdgeFlags;

/// What there is no room for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shortage {
    /// No slot.
    Slots,
    /// No slot of those that allocations have.
    Allocations,
    /// Not this many heap bytes in one piece.
    Heap { bytes: u64 },
    /// Not this many edges in one piece; `retained` of them are needed even when their producers are done.
    Edges { needed: u32, retained: u32 },
    /// Not this much in the dependency index.
    Index { needs: Room },
}

impl Orchestrator {
    /// Finds room for the task that was looked up, and says in the plan where. Takes nothing yet. Nothing is reclaimed between this and the task's
    /// publication.
    #[inline(always)]
    pub(crate) fn admit(&mut self, plan: &mut Plan) -> Result<(), Shortage> {
        plan.retains = self.drop_closed_edges();
        let ring = self.rings.get(self.ring);
        if !ring.has_slot() {
            return Err(Shortage::Slots);
        }
        if plan.group_units != 0 && !self.has_room_for_group(plan) {
            // What is short is the arguments of live tasks, whose number is the window's to limit.
            return Err(Shortage::Slots);
        }
        self.admit_memory(plan)
    }

    #[cold]
    fn has_room_for_group(&mut self, plan: &Plan) -> bool {
        self.rings.get_mut(self.ring).has_room_for_group(plan.group_units)
    }

    /// [`Orchestrator::admit`] for what is not a submit's first try.
    #[cold]
    pub(crate) fn admit_again(&mut self, plan: &mut Plan) -> Result<(), Shortage> {
        self.admit(plan)
    }

    /// Finds room for an allocation. Takes nothing yet.
    pub(crate) fn admit_allocation(&mut self, plan: &mut Plan) -> Result<(), Shortage> {
        if !self.rings.get(self.ring).allocations.has_slot() {
            return Err(Shortage::Allocations);
        }
        self.admit_memory(plan)
    }

    #[inline(always)]
    fn admit_memory(&mut self, plan: &mut Plan) -> Result<(), Shortage> {
        let ring = self.rings.get(self.ring);
        if plan.bytes != 0 {
            plan.heap_start = ring.heap.place(plan.bytes).ok_or(Shortage::Heap { bytes: plan.bytes })?;
        }
        if self.edge_set.len() != 0 {
            let place = ring.place_edges(self.edge_set.len() as u32);
            plan.edges_start = place.ok_or_else(|| self.edge_shortage())?;
        }
        let (needs, free) = (self.index.needs(), self.index.free());
        if needs.entries > free.entries || needs.touches > free.touches {
            return Err(Shortage::Index { needs });
        }
        Ok(())
    }

    /// Drops the producers that are done and need not be kept: they take no edge. What they failed of is remembered. True if there is one to be kept.
    #[inline]
    fn drop_closed_edges(&mut self) -> bool {
        let slots = self.graph.slots.as_slice();
        let mut meanings = EdgeFlags::NONE;
        for &(producer, flags) in self.edge_set.as_slice() {
            if !takes_edge(flags, || slots[producer.index()].consumers.ending()) {
                return self.drop_some_edges();
            }
            meanings = meanings.union(flags);
        }
        meanings.contains(EdgeFlags::RETAIN)
    }

    /// The same where there is one that is done.
    #[inline(never)]
    fn drop_some_edges(&mut self) -> bool {
        let (slots, blame) = (&self.graph.slots, &mut self.scratch.blame);
        let mut retains = false;
        self.edge_set.retain(|producer, flags| {
            let place = slots.get(producer);
            let taken = takes_edge(flags, || place.consumers.ending());
            if taken {
                retains |= flags.contains(EdgeFlags::RETAIN);
            } else if flags.contains(EdgeFlags::DATA) && place.consumers.ending() == Some(Ending::Failed) {
                *blame = place.cause().min(*blame);
            }
            taken
        });
        retains
    }

    #[cold]
    fn edge_shortage(&self) -> Shortage {
        let edges = self.edge_set.as_slice();
        let retained = edges.iter().filter(|(_, flags)| flags.contains(EdgeFlags::RETAIN)).count();
        Shortage::Edges { needed: edges.len() as u32, retained: retained as u32 }
    }
}

/// Whether a producer is to be kept, or is not done.
#[inline]
fn takes_edge(flags: EdgeFlags, ending: impl Fn() -> Option<Ending>) -> bool {
    let skipped = cfg!(prewire_mutation = "completed_producer_skipped") && ending().is_some();
    flags.contains(EdgeFlags::RETAIN) && !skipped || ending().is_none()
}
