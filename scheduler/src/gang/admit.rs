//! Which ready gang may gather or start: the first one of the list that has no place in common with those before it, and so on.

use super::{Gathered, PlaceSet, WaitingGang, WaitingGangs};
use crate::gang::gate::Phase;
use crate::instance::Round;
use crate::tracker::Kinds;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::graph::Queue;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::slot::TaskFlags;
use prewire_runtime_core::sync::{Ordering, fence};

impl<P: Platform> Round<'_, P> {
    /// Lets in what the order of waiting gangs allows.
    pub(super) fn admit_gangs(&mut self) -> bool {
        let gangs = &self.group.gangs;
        // Waited for, not tried: whoever is at it may have looked at a gate before this instance freed it, and would not look again.
        let mut waiting = gangs.waiting_gangs.lock().expect(crate::POISON);
        let mut worked = self.fill_list(&mut waiting);
        let WaitingGangs { list, gathering, taken, wanted } = &mut *waiting;
        taken.clear();
        for (gate, places) in gangs.gates.iter().zip(&*gathering) {
            if gate.look() != Phase::Free {
                taken.add(places);
            }
        }
        let mut at = 0;
        while let Some(&WaitingGang(gang)) = list.get(at) {
            self.reserve(gang, wanted);
            let admitted = !taken.meets(wanted)
                && !self.others_first(Kinds::of(gang.parts))
                && self.admit_gang(gang, wanted, gathering);
            taken.add(wanted);
            if admitted {
                list.remove(at);
                worked = true;
            } else {
                at += 1;
            }
            if taken.is_everything() {
                break;
            }
        }
        worked
    }

    /// Works out what a gang in the list reserves.
    fn reserve(&self, gang: Gathered, places: &mut PlaceSet) {
        places.clear();
        let kinds = Kinds::of(gang.parts);
        if !gang.names_cores {
            return places.add_kinds(kinds);
        }
        for block in 0..gang.blocks {
            places.add_core(self.core_of(gang, block), kinds);
        }
    }

    /// Moves ready gangs from their queue into the ordered list. Those that do not run at all end here.
    fn fill_list(&mut self, waiting: &mut WaitingGangs) -> bool {
        let list = &mut waiting.list;
        let mut worked = false;
        let queue = self.graph.queue(Queue::Gang);
        // The list has a fixed size; what finds no room waits in the queue, in order as well.
        while !queue.is_empty() && list.len() < list.capacity() {
            self.mark_busy();
            let Some(slot) = queue.pop() else { break };
            worked = true;
            self.take_in_hand(1);
            if self.admit(slot) {
                // SAFETY: the task is in this thread's hand.
                let body = unsafe { self.graph.slots.get(slot).body() };
                let names_cores = body.flags.has(TaskFlags::DIRECTED);
                self.group.gangs.arrived();
                list.push_back(WaitingGang(Gathered { slot, parts: body.parts, blocks: body.blocks, names_cores }));
            }
            self.out_of_hand();
        }
        worked
    }

    /// Whether tasks that are no gangs wait for cores of these kinds and have not had their turn since the last launch.
    fn others_first(&self, kinds: Kinds) -> bool {
        [CoreKind::Cube, CoreKind::Vector].into_iter().any(|kind| {
            kinds.has(kind)
                && self.group.gangs.owes(kind)
                && !(self.graph.queue(Self::queue_of(kind)).is_empty() && self.graph.queue(Queue::Cluster).is_empty())
        })
    }

    /// Starts a gang here if it fits, or opens a gate for it. False if it has to wait.
    fn admit_gang(&mut self, gang: Gathered, reserved: &PlaceSet, gathering: &mut [PlaceSet]) -> bool {
        let slot = self.graph.slots.get(gang.slot);
        if self.places_for(gang, u32::MAX) >= gang.blocks {
            slot.claim_blocks(gang.blocks, gang.blocks);
            self.mark_busy();
            self.start_blocks(gang, 0..gang.blocks);
            self.group.gangs.launched(Kinds::of(gang.parts));
            return true;
        }
        for (at, gate) in self.group.gangs.gates.iter().enumerate() {
            let Some(generation) = gate.claim() else { continue };
            slot.claim_blocks(gang.blocks, gang.blocks);
            gathering[at].clear();
            gathering[at].add(reserved);
            for instance in 0..self.group.config.instances {
                gate.want(instance, generation, self.places_of(instance, gang));
            }
            gate.gather(generation, gang);
            self.join_gathering(at, generation);
            fence(Ordering::SeqCst);
            self.group.wake(u64::MAX);
            return true;
        }
        false
    }

    /// How many blocks of a gang an instance may be asked to start.
    fn places_of(&self, instance: usize, gang: Gathered) -> u32 {
        if !gang.names_cores {
            return u32::MAX;
        }
        (0..gang.blocks).filter(|&block| self.graph.owner_of(self.core_of(gang, block)) == instance).count() as u32
    }
}
