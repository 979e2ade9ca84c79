//! What one instance does about gangs in a step: it lets waiting ones in, offers places to those that gather, and starts its shares.

use super::{GATES, Generation, WaitingGang};
use crate::gang::gate::Phase;
use crate::instance::{Round, Work};
use crate::tracker::Kinds;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::graph::Queue;
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::slot::Parts;
use prewire_runtime_core::sync::{Ordering, fence};
use std::collections::VecDeque;

impl<P: Platform> Round<'_, P> {
    /// Takes part in gathering and launching gangs.
    pub(crate) fn join_gangs(&mut self) -> bool {
        if !self.gang_waits() && self.own.offered == [None; GATES] {
            return false;
        }
        let mut worked = false;
        let mut kinds = Kinds::default();
        for gate in 0..GATES {
            worked |= self.join_gate(gate, &mut kinds);
        }
        self.own.tracker.gather(kinds);
        worked | self.admit_gangs()
    }

    /// Does what one gate asks of this instance and adds the kinds of core that must be kept free for it.
    fn join_gate(&mut self, at: usize, kinds: &mut Kinds) -> bool {
        let gate = &self.group.gangs.gates[at];
        let mut worked = false;
        if let Phase::Gathering(generation) = gate.look() {
            worked = self.offer_places(at, generation);
        }
        let phase = gate.look();
        if let Phase::Launching(generation) = phase {
            // Whatever is not part of the launch is free for others again.
            self.own.offered[at] = None;
            let Some(share) = gate.take_share(self.own.index, generation) else { return worked };
            let (slot, parts) = gate.task();
            self.start_blocks(slot, parts, share.first..share.first + share.count);
            gate.started(generation);
            return true;
        }
        match self.own.offered[at] {
            Some((generation, _)) if phase.attempt() == Some(generation) => {
                *kinds = kinds.with(Kinds::of(gate.task().1));
            }
            _ => self.own.offered[at] = None,
        }
        worked
    }

    /// Offers the idle places of this instance to an attempt, and launches it if the offers suffice.
    fn offer_places(&mut self, at: usize, generation: Generation) -> bool {
        let gate = &self.group.gangs.gates[at];
        let parts = gate.task().1;
        let places = self.own.tracker.gang_places(parts);
        let offer = Some((generation, places));
        let news = self.own.offered[at] != offer;
        if news {
            self.mark_busy();
            self.own.offered[at] = offer;
            gate.offer(self.own.index, generation, places);
        }
        if gate.try_launch(generation) {
            self.group.gangs.launched(Kinds::of(parts));
            fence(Ordering::SeqCst);
            self.group.wake(u64::MAX);
            return true;
        }
        news
    }

    /// Puts blocks of a gang on idle places.
    fn start_blocks(&mut self, slot: SlotIndex, parts: Parts, blocks: std::ops::Range<u32>) {
        for block in blocks {
            let place = self.own.tracker.choose_for_gang(parts).expect("a share is no larger than what was offered");
            if parts.0.is_power_of_two() {
                self.own.in_hand += 1;
                self.run_on(place, Work { slot, block, part: Self::only_part(parts) }, false);
            } else {
                self.place_parts(place.cluster as usize, parts, slot, block);
            }
        }
    }

    /// Lets in what the order of waiting gangs allows.
    fn admit_gangs(&mut self) -> bool {
        let gangs = &self.group.gangs;
        // Waited for, not tried: whoever is at it may have looked at a gate before this instance freed it, and would not look again.
        let mut list = gangs.list.lock().expect(crate::POISON);
        let mut worked = self.fill_list(&mut list);
        let mut taken = gangs.gates.iter().fold(Kinds::default(), |kinds, gate| match gate.look() {
            Phase::Free => kinds,
            Phase::Held(_) | Phase::Gathering(_) | Phase::Launching(_) => kinds.with(Kinds::of(gate.task().1)),
        });
        let mut at = 0;
        while let Some(&gang) = list.get(at) {
            let kinds = Kinds::of(gang.parts);
            let admitted = !taken.meet(kinds) && !self.others_first(kinds) && self.admit_gang(gang);
            taken = taken.with(kinds);
            if admitted {
                list.remove(at);
                worked = true;
            } else {
                at += 1;
            }
            if taken.has(CoreKind::Cube) && taken.has(CoreKind::Vector) {
                break;
            }
        }
        worked
    }

    /// Moves ready gangs from their queue into the ordered list. Those that do not run at all end here.
    fn fill_list(&mut self, list: &mut VecDeque<WaitingGang>) -> bool {
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
                self.group.gangs.arrived();
                list.push_back(WaitingGang { slot, parts: body.parts, blocks: body.blocks });
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
    fn admit_gang(&mut self, gang: WaitingGang) -> bool {
        let slot = self.graph.slots.get(gang.slot);
        if self.own.tracker.gang_places(gang.parts) >= gang.blocks {
            slot.claim_blocks(gang.blocks, gang.blocks);
            self.mark_busy();
            self.start_blocks(gang.slot, gang.parts, 0..gang.blocks);
            self.group.gangs.launched(Kinds::of(gang.parts));
            return true;
        }
        for (at, gate) in self.group.gangs.gates.iter().enumerate() {
            let Some(generation) = gate.claim() else { continue };
            slot.claim_blocks(gang.blocks, gang.blocks);
            gate.gather(generation, gang.slot, gang.parts, gang.blocks);
            let kinds = self.own.tracker.gathered().with(Kinds::of(gang.parts));
            self.own.tracker.gather(kinds);
            self.offer_places(at, generation);
            fence(Ordering::SeqCst);
            self.group.wake(u64::MAX);
            return true;
        }
        false
    }

    /// Whether a gate asks something of this instance, or has let it go: the cores kept for an attempt that is over are free again.
    pub(crate) fn gates_ask(&self) -> bool {
        let gangs = &self.group.gangs;
        (0..GATES).any(|at| {
            let offered = self.own.offered[at];
            match gangs.gates[at].look() {
                Phase::Gathering(generation) => {
                    let places = self.own.tracker.gang_places(gangs.gates[at].task().1);
                    offered != Some((generation, places)) || gangs.gates[at].offers_suffice(generation)
                }
                Phase::Launching(generation) => {
                    offered.is_some() || gangs.gates[at].has_share(self.own.index, generation)
                }
                Phase::Free | Phase::Held(_) => offered.is_some(),
            }
        })
    }

    /// The run has ended: attempts to gather are given up, and nothing is kept free for them.
    pub(crate) fn abandon_gangs(&mut self) {
        for gate in &self.group.gangs.gates {
            if let Phase::Gathering(generation) = gate.look() {
                gate.abandon(generation);
            }
        }
        self.own.offered = [None; GATES];
        self.own.tracker.gather(Kinds::default());
    }
}
