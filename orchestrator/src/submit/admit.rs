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

/// A mutation: producers that are done are dropped though they are to be kept.
const SKIPPED: bool = cfg!(prewire_mutation = "completed_producer_skipped");

impl Orchestrator {
    /// Finds room for the task that was looked up, and says in the plan where. Takes nothing yet. Nothing is reclaimed between this and the task's
    /// publication.
    #[inline(always)]
    pub(crate) fn admit(&mut self, plan: &mut Plan) -> Result<(), Shortage> {
        if SKIPPED {
            self.drop_closed_edges();
        }
        plan.retains = self.edge_set.retains();
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
            // Who is done by now is not asked: its slot's line comes once, when the edge is linked, and an edge that turns out to be needless does no harm.
            plan.edges_start = match ring.place_edges(self.edge_set.len() as u32) {
                Some(start) => start,
                None => self.place_needed_edges()?,
            };
        }
        if self.index.has_room() { Ok(()) } else { Err(Shortage::Index { needs: self.index.needs() }) }
    }

    /// Finds room for the edges to all producers or, if there is none, to those that take one.
    #[cold]
    fn place_needed_edges(&mut self) -> Result<u64, Shortage> {
        self.drop_closed_edges();
        match self.edge_set.len() {
            0 => Ok(0),
            count => {
                let place = self.rings.get(self.ring).place_edges(count as u32);
                place.ok_or_else(|| self.edge_shortage())
            }
        }
    }

    /// Drops the producers that are done and need not be kept: they take no edge. What they failed of is remembered.
    fn drop_closed_edges(&mut self) {
        let (slots, blame) = (&self.graph.slots, &mut self.scratch.blame);
        self.edge_set.retain(|producer, flags| {
            let kept = flags.contains(EdgeFlags::RETAIN) && !SKIPPED;
            let producer = slots.get(producer);
            match producer.consumers.ending() {
                Some(ending) if !kept => {
                    if ending == Ending::Failed && flags.contains(EdgeFlags::DATA) {
                        *blame = producer.cause().min(*blame);
                    }
                    false
                }
                _ => true,
            }
        });
    }

    #[cold]
    fn edge_shortage(&self) -> Shortage {
        let edges = self.edge_set.as_slice();
        let retained = edges.iter().filter(|(_, flags)| flags.contains(EdgeFlags::RETAIN)).count();
        Shortage::Edges { needed: edges.len() as u32, retained: retained as u32 }
    }
}
