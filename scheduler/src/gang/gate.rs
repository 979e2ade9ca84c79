//! The gate through which a gang gathers its cores across instances.
//!
//! One word carries the attempt's generation and its state. Instances offer the idle places they keep for the attempt; once the offers suffice,
//! one instance arms the launch, divides the blocks among the offers and opens it; each instance starts its share, and the last one closes the gate.
//! An offer stands until its attempt is over: the places stay idle, so an offer only grows. It carries its attempt's generation, so that one that comes
//! late says nothing about the next attempt.
//!
//! | from | to | by |
//! |---|---|---|
//! | free | held, next generation | whoever has a gang to gather for |
//! | held | gathering | the holder, once task and need are written |
//! | gathering | held | whoever sees enough offers; it divides the blocks |
//! | held | launching | the same |
//! | launching | free | whoever starts the last share |
//! | gathering | free | whoever sees the run cancelled |

use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::slot::Parts;
use prewire_runtime_core::sync::{AtomicU32, AtomicU64, CachePadded, Ordering};

/// The number of an attempt to gather.
pub(crate) type Generation = u32;

const FREE: u32 = 0;
const HELD: u32 = 1;
const GATHERING: u32 = 2;
const LAUNCHING: u32 = 3;

/// What the gate is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing.
    Free,
    /// Somebody sets up an attempt or divides its blocks.
    Held(Generation),
    /// Places are wanted.
    Gathering(Generation),
    /// Shares are to be started.
    Launching(Generation),
}

impl Phase {
    /// The attempt that places may be kept for.
    pub(crate) fn attempt(self) -> Option<Generation> {
        match self {
            Phase::Free => None,
            Phase::Held(generation) | Phase::Gathering(generation) | Phase::Launching(generation) => Some(generation),
        }
    }
}

/// A gang, as instances see that gather places for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gathered {
    pub(crate) slot: SlotIndex,
    /// Which cores of a cluster one block uses.
    pub(crate) parts: Parts,
    /// Whether its directory names a core for each block.
    pub(crate) names_cores: bool,
    pub(crate) blocks: u32,
}

/// The blocks of a gang that one instance starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// What one instance and the launcher tell each other: generation above, count (and first block) below.
#[derive(Debug)]
struct Seat {
    /// How many places the gang may have here.
    wanted: AtomicU64,
    offer: AtomicU64,
    share: AtomicU64,
}

/// A gate.
#[derive(Debug)]
pub(crate) struct Gate {
    word: CachePadded<AtomicU64>,
    task: AtomicU64,
    blocks: AtomicU32,
    open_shares: AtomicU32,
    seats: Box<[CachePadded<Seat>]>,
}

#[inline]
const fn word(generation: Generation, state: u32) -> u64 {
    ((generation as u64) << 32) | state as u64
}

impl Gate {
    pub(crate) fn new(instances: usize) -> Self {
        let seat =
            || CachePadded::new(Seat { wanted: AtomicU64::new(0), offer: AtomicU64::new(0), share: AtomicU64::new(0) });
        Gate {
            word: CachePadded::new(AtomicU64::new(word(0, FREE))),
            task: AtomicU64::new(0),
            blocks: AtomicU32::new(0),
            open_shares: AtomicU32::new(0),
            seats: (0..instances).map(|_| seat()).collect(),
        }
    }

    /// What the gate is doing. An answer shows everything that led to it.
    #[inline]
    pub(crate) fn look(&self) -> Phase {
        let now = self.word.load(if cfg!(prewire_mutation = "gate_look_relaxed") {
            Ordering::Relaxed
        } else {
            Ordering::Acquire
        });
        let generation = (now >> 32) as Generation;
        match now as u32 {
            HELD => Phase::Held(generation),
            GATHERING => Phase::Gathering(generation),
            LAUNCHING => Phase::Launching(generation),
            _ => Phase::Free,
        }
    }

    /// The gang that the gate gathers for. Meaningful while an attempt is seen to gather or launch.
    pub(crate) fn task(&self) -> Gathered {
        let task = self.task.load(Ordering::Relaxed);
        Gathered {
            slot: SlotIndex(task as u32),
            parts: Parts((task >> 32) as u8),
            names_cores: task >> 40 & 1 != 0,
            blocks: self.blocks.load(Ordering::Relaxed),
        }
    }

    /// Takes a free gate for a new attempt.
    pub(crate) fn claim(&self) -> Option<Generation> {
        let now = self.word.load(Ordering::Relaxed);
        if now as u32 != FREE {
            return None;
        }
        let generation = ((now >> 32) as Generation).wrapping_add(1);
        self.word
            .compare_exchange(now, word(generation, HELD), Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| generation)
    }

    /// Asks for places for the blocks of a gang. Only who claimed the gate for this generation.
    pub(crate) fn gather(&self, generation: Generation, gang: Gathered) {
        let (slot, parts, names_cores) = (gang.slot.0 as u64, gang.parts.0 as u64, gang.names_cores as u64);
        self.task.store(slot | parts << 32 | names_cores << 40, Ordering::Relaxed);
        self.blocks.store(gang.blocks, Ordering::Relaxed);
        self.word.store(word(generation, GATHERING), Ordering::Release);
    }

    /// Says how many places of an instance the gang may have, before it gathers. Only who claimed the gate for this generation.
    pub(crate) fn want(&self, instance: usize, generation: Generation, places: u32) {
        self.seats[instance].wanted.store(word(generation, places), Ordering::Relaxed);
    }

    /// How many places of an instance the attempt may have. If it is not 0, the attempt does not come to its launch without the instance, or the gang names
    /// no cores: so the gang of one that does is not over before the instance has started its share.
    pub(crate) fn wanted(&self, instance: usize, generation: Generation) -> u32 {
        let wanted = self.seats[instance].wanted.load(Ordering::Relaxed);
        if (wanted >> 32) as Generation == generation { wanted as u32 } else { 0 }
    }

    /// Says how many idle places an instance keeps for the attempt. The number may only grow while the attempt lasts.
    pub(crate) fn offer(&self, instance: usize, generation: Generation, places: u32) {
        self.seats[instance].offer.store(word(generation, places), Ordering::Release);
    }

    /// How many places an instance offers for this attempt.
    fn offered(&self, instance: usize, generation: Generation) -> u32 {
        let offer = self.seats[instance].offer.load(Ordering::Acquire);
        let current = (offer >> 32) as Generation == generation || cfg!(prewire_mutation = "gate_offer_untagged");
        if current { offer as u32 } else { 0 }
    }

    /// Whether the offers to this attempt cover all blocks.
    pub(crate) fn offers_suffice(&self, generation: Generation) -> bool {
        let offers = (0..self.seats.len()).map(|instance| self.offered(instance, generation));
        offers.sum::<u32>() >= self.blocks.load(Ordering::Relaxed)
    }

    /// Opens the launch if the offers suffice. True if this call did; the caller then wakes the instances.
    pub(crate) fn try_launch(&self, generation: Generation) -> bool {
        if !self.offers_suffice(generation) {
            return false;
        }
        if cfg!(prewire_mutation = "gate_launch_unarmed") {
            self.word.store(word(generation, HELD), Ordering::Release);
        }
        let armed = self.word.compare_exchange(
            word(generation, GATHERING),
            word(generation, HELD),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if armed.is_err() && !cfg!(prewire_mutation = "gate_launch_unarmed") {
            return false;
        }
        let blocks = self.blocks.load(Ordering::Relaxed);
        let mut first = 0;
        let mut shares = 0;
        for (instance, seat) in self.seats.iter().enumerate() {
            let offer = self.offered(instance, generation);
            let count = offer.min(blocks - first);
            if count > 0 {
                seat.share.store(word(generation, first << 16 | count), Ordering::Relaxed);
                shares += 1;
                first += count;
            }
        }
        debug_assert_eq!(first, blocks, "an offer shrank");
        self.open_shares.store(shares, Ordering::Relaxed);
        let order = if cfg!(prewire_mutation = "gate_launch_relaxed") { Ordering::Relaxed } else { Ordering::Release };
        self.word.store(word(generation, LAUNCHING), order);
        true
    }

    /// Whether an instance has a share to start in a launch.
    pub(crate) fn has_share(&self, instance: usize, generation: Generation) -> bool {
        let share = self.seats[instance].share.load(Ordering::Relaxed);
        (share >> 32) as Generation == generation && share as u32 != 0
    }

    /// Takes an instance's share of a launch, once. [`Gate::started`] must follow.
    pub(crate) fn take_share(&self, instance: usize, generation: Generation) -> Option<Share> {
        if !self.has_share(instance, generation) {
            return None;
        }
        let share = self.seats[instance].share.swap(0, Ordering::Relaxed) as u32;
        Some(Share { first: share >> 16, count: share & 0xFFFF })
    }

    /// The blocks of a share run. The last of them frees the gate.
    pub(crate) fn started(&self, generation: Generation) {
        if self.open_shares.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.word.store(word(generation, FREE), Ordering::Release);
        }
    }

    /// Gives an attempt up, if it has not come to its launch. True if this call did.
    pub(crate) fn abandon(&self, generation: Generation) -> bool {
        let (from, to) = (word(generation, GATHERING), word(generation, FREE));
        self.word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Frees the gate whatever it was doing. Only between runs, when no instance looks.
    pub(crate) fn reset(&self) {
        let generation = (self.word.load(Ordering::Relaxed) >> 32) as Generation;
        for seat in &self.seats {
            seat.share.store(0, Ordering::Relaxed);
        }
        self.word.store(word(generation, FREE), Ordering::Release);
    }
}
