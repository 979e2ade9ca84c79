//! Room for a task: its slot, its heap bytes, its edges and its index entries, all of it or nothing.

use super::Plan;
use crate::Orchestrator;
use crate::index::Room;
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::edge::EdgeFlags;

/// Where an admitted task goes. Nothing is reclaimed between the admission and the task's publication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission {
    pub(crate) heap_start: u64,
    pub(crate) edges_start: u64,
}

/// What there is no room for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shortage {
    /// No slot.
    Slots,
    /// Not this many heap bytes in one piece.
    Heap { bytes: u64 },
    /// Not this many edges in one piece; `retained` of them are needed even when their producers are done.
    Edges { needed: u32, retained: u32 },
    /// Not this much in the dependency index.
    Index { needs: Room },
}

impl Orchestrator {
    /// Finds room for the task that was looked up. Takes nothing yet.
    #[inline]
    pub(crate) fn admit(&mut self, plan: &Plan) -> Result<Admission, Shortage> {
        self.drop_closed_edges();
        let ring = &self.rings[self.ring.index()];
        if !ring.has_slot() {
            return Err(Shortage::Slots);
        }
        let mut admission = Admission { heap_start: 0, edges_start: 0 };
        if plan.bytes != 0 {
            admission.heap_start = ring.heap.place(plan.bytes).ok_or(Shortage::Heap { bytes: plan.bytes })?;
        }
        let edges = self.edge_set.len() as u32;
        if edges != 0 {
            admission.edges_start = ring.place_edges(edges).ok_or_else(|| self.edge_shortage())?;
        }
        let (needs, free) = (self.index.needs(), self.index.free());
        if needs.entries > free.entries || needs.touches > free.touches {
            return Err(Shortage::Index { needs });
        }
        Ok(admission)
    }

    /// Drops the producers that are done and need not be kept: they take no edge. What they failed of is remembered.
    #[inline]
    fn drop_closed_edges(&mut self) {
        if self.edge_set.len() == 0 {
            return;
        }
        let (slots, blame) = (&self.graph.slots, &mut self.scratch.blame);
        self.edge_set.retain(|&mut (producer, flags)| {
            if flags.contains(EdgeFlags::RETAIN) {
                return true;
            }
            let producer = slots.get(producer);
            match producer.consumers.ending() {
                None => true,
                Some(ending) => {
                    if ending == Ending::Failed && flags.contains(EdgeFlags::DATA) {
                        *blame = producer.cause().min(*blame);
                    }
                    false
                }
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
