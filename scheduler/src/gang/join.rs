//! What one instance does about gangs in a step: it offers places to those that gather, and starts its shares.

use super::{GATES, Gathered, Generation};
use crate::gang::gate::Phase;
use crate::instance::{Round, Work};
use crate::tracker::{Kinds, Place};
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::sync::{Ordering, fence};

impl<P: Platform> Round<'_, P> {
    /// Takes part in gathering and launching gangs.
    pub(crate) fn join_gangs(&mut self) -> bool {
        if !self.gang_waits() && self.own.offers == 0 {
            return false;
        }
        let mut worked = false;
        self.own.tracker.gather_nothing();
        for gate in 0..GATES {
            worked |= self.join_gate(gate);
        }
        worked |= self.admit_gangs();
        self.watch_kept();
        worked
    }

    /// Notes what is offered to a gate's attempt.
    fn set_offer(&mut self, at: usize, offer: Option<(Generation, u32)>) {
        let offered = &mut self.own.offered[at];
        self.own.offers = self.own.offers + offer.is_some() as u64 - offered.is_some() as u64;
        *offered = offer;
    }

    /// Does what one gate asks of this instance and keeps the cores free that it gathers.
    fn join_gate(&mut self, at: usize) -> bool {
        let gate = &self.group.gangs.gates[at];
        let mut worked = false;
        if let Phase::Gathering(generation) = gate.look() {
            worked = self.offer_places(at, generation);
        }
        let phase = gate.look();
        if let Phase::Launching(generation) = phase {
            // Whatever is not part of the launch is free for others again.
            self.set_offer(at, None);
            let Some(share) = gate.take_share(self.own.index, generation) else { return worked };
            self.start_blocks(gate.task(), share.first..share.first + share.count);
            gate.started(generation);
            return true;
        }
        match self.own.offered[at] {
            Some((generation, _)) if phase.attempt() == Some(generation) => self.keep_free(at, generation),
            _ => self.set_offer(at, None),
        }
        worked
    }

    /// Keeps the cores of this instance free that an attempt gathers.
    fn keep_free(&mut self, at: usize, generation: Generation) {
        let gate = &self.group.gangs.gates[at];
        let gang = gate.task();
        if !gang.names_cores {
            return self.own.tracker.gather(Kinds::of(gang.parts));
        }
        let mut left = gate.wanted(self.own.index, generation);
        for block in 0..gang.blocks {
            if left == 0 {
                return;
            }
            if let Some(place) = self.own_place(self.core_of(gang, block)) {
                self.own.tracker.gather_place(place);
                left -= 1;
            }
        }
    }

    /// The core that a gang's directory names for a block.
    ///
    /// The gang has not started all of its blocks: it is in this thread's hand or in the list, or a share of this instance's is to be started.
    pub(super) fn core_of(&self, gang: Gathered, block: u32) -> CoreId {
        let slot = self.graph.slots.get(gang.slot);
        // SAFETY: blocks of the gang are still to be started, so it is not released.
        let directory = unsafe { slot.body() }.arguments;
        // SAFETY: as above, and a gang that names cores has a directory of all its blocks.
        unsafe { self.graph.arguments.entry(directory, block) }.core
    }

    /// The core as a place of this instance, if it is one.
    pub(super) fn own_place(&self, core: CoreId) -> Option<Place> {
        let instances = self.group.config.instances;
        let (cluster, part) = self.platform.chip().place_of(core);
        let (cluster, owner) = (usize::from(cluster) / instances, usize::from(cluster) % instances);
        (owner == self.own.index).then(|| Place::new(cluster, part))
    }

    /// How many places for blocks of a gang are idle here, of `wanted` that it may have here.
    pub(super) fn places_for(&self, gang: Gathered, wanted: u32) -> u32 {
        if !gang.names_cores {
            return self.own.tracker.gang_places(gang.parts).min(wanted);
        }
        let (mut left, mut idle) = (wanted, 0);
        for block in 0..gang.blocks {
            if left == 0 {
                break;
            }
            if let Some(place) = self.own_place(self.core_of(gang, block)) {
                left -= 1;
                idle += self.own.tracker.is_idle(place) as u32;
            }
        }
        idle
    }

    /// Offers the idle places of this instance to an attempt, and launches it if the offers suffice.
    pub(super) fn offer_places(&mut self, at: usize, generation: Generation) -> bool {
        let gate = &self.group.gangs.gates[at];
        let gang = gate.task();
        let places = self.places_for(gang, gate.wanted(self.own.index, generation));
        let offer = Some((generation, places));
        let news = self.own.offered[at] != offer;
        if news {
            self.mark_busy();
            self.set_offer(at, offer);
            gate.offer(self.own.index, generation, places);
        }
        if gate.try_launch(generation) {
            self.group.gangs.launched(Kinds::of(gang.parts));
            fence(Ordering::SeqCst);
            self.group.wake(u64::MAX);
            return true;
        }
        news
    }

    /// Takes part in an attempt that this instance has just begun.
    pub(super) fn join_gathering(&mut self, at: usize, generation: Generation) {
        self.keep_free(at, generation);
        self.offer_places(at, generation);
    }

    /// Puts blocks of a gang on idle places: these, or as many of those whose cores this instance owns.
    pub(super) fn start_blocks(&mut self, gang: Gathered, blocks: std::ops::Range<u32>) {
        let Gathered { slot, parts, .. } = gang;
        if gang.names_cores {
            let mut left = blocks.len();
            let mut block = 0;
            // Behind the last of them the gang may be over.
            while left > 0 {
                if let Some(place) = self.own_place(self.core_of(gang, block)) {
                    self.own.in_hand += 1;
                    left -= 1;
                    self.run_block(place, Work { slot, block, part: Self::only_part(parts) });
                }
                block += 1;
            }
            return;
        }
        for block in blocks {
            let place = self.own.tracker.choose_for_gang(parts).expect("a share is no larger than what was offered");
            if parts.0.is_power_of_two() {
                self.own.in_hand += 1;
                self.run_block(place, Work { slot, block, part: Self::only_part(parts) });
            } else {
                self.place_parts(place.cluster as usize, parts, slot, block);
            }
        }
    }

    /// Whether a gate asks something of this instance, or has let it go: the cores kept for an attempt that is over are free again.
    pub(crate) fn gates_ask(&self) -> bool {
        let gangs = &self.group.gangs;
        self.warning_is_due()
            || (0..GATES).any(|at| {
                let (gate, offered) = (&gangs.gates[at], self.own.offered[at]);
                match gate.look() {
                    Phase::Gathering(generation) => {
                        let places = self.places_for(gate.task(), gate.wanted(self.own.index, generation));
                        offered != Some((generation, places)) || gate.offers_suffice(generation)
                    }
                    Phase::Launching(generation) => offered.is_some() || gate.has_share(self.own.index, generation),
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
        self.own.forget_offers();
        self.own.tracker.gather_nothing();
        self.watch_kept();
    }
}
