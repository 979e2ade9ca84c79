//! Waiting and waking: spin, then yield, then sleep (architecture D10).
//!
//! Each party that may sleep has a bell. It announces that it is about to sleep, looks once more for work, and sleeps; whoever makes work looks for
//! sleepers behind it. Both sides put a full fence between their store and their look, so that at least one of them sees the other.

use crate::sync::{AtomicU64, Mutex, Ordering, fence, spin_hint, thread};
use std::sync::Arc as StdArc;
use std::time::Duration;

/// How a party waits before it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingPolicy {
    /// Rounds of a processor hint before it yields. 0 on an oversubscribed machine.
    pub spins: u32,
    /// Rounds of giving its processor away before it sleeps.
    pub yields: u32,
}

impl WaitingPolicy {
    /// Sleeps at the first idle moment; for tests, and for machines with far more parties than processors.
    pub const PARK_AT_ONCE: WaitingPolicy = WaitingPolicy { spins: 0, yields: 0 };

    /// What fits a machine with `processors` for `parties` that may all be awake: spinning only while each has a processor of its own.
    pub const fn for_machine(processors: usize, parties: usize) -> Self {
        WaitingPolicy { spins: if processors >= parties { 200 } else { 0 }, yields: 20 }
    }
}

/// How long a party has been waiting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    rounds: u32,
}

/// What the next round of waiting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wait {
    /// It spun or yielded; look again.
    Again,
    /// It is time to sleep on one's bell.
    Sleep,
}

impl Patience {
    /// Something was achieved: waiting begins anew.
    #[inline]
    pub fn reset(&mut self) {
        self.rounds = 0;
    }

    /// Waits one round.
    #[inline]
    pub fn wait(&mut self, policy: WaitingPolicy) -> Wait {
        if self.rounds < policy.spins {
            self.rounds += 1;
            spin_hint();
            Wait::Again
        } else if self.rounds < policy.spins.saturating_add(policy.yields) {
            self.rounds += 1;
            thread::yield_now();
            Wait::Again
        } else {
            Wait::Sleep
        }
    }
}

const POISON: &str = "a bell's lock is held over no code that panics";

/// Where the parties sleep, if not each on its own thread's token: a platform whose cores are other processes brings one, on words that those share, so
/// that a core wakes the scheduler that waits for it without a thread in between.
///
/// The order is the bells' own: `arm`, a full fence, a last look for work, then `doze`; whoever rings publishes, puts a full fence behind it, and rings.
pub trait Doorbell: Send + Sync {
    /// The party is about to sleep: from here on a ring is kept for it.
    fn arm(&self, party: usize);
    /// Sleeps until the party is rung, or for `timeout`; returns at once if it was rung since it was armed.
    fn doze(&self, party: usize, timeout: Duration);
    /// The party is awake.
    fn disarm(&self, party: usize);
    /// Wakes the party if it is armed.
    fn ring(&self, party: usize);
}

/// Who sleeps as a party.
#[derive(Clone, Debug)]
enum Sleeper {
    Thread(thread::Thread),
    /// On the doorbell, as this party.
    Doorbell(usize),
}

/// The bells of a run's parties: one per scheduler instance, and one for the orchestrator behind them.
///
/// A party's bit in `idle` is all there is to its state: the party sets it before it sleeps, and whoever rings clears it. Were there a second word beside
/// it, a ringer that is slow between the two could clear the announcement of the party's next sleep.
pub struct Bells {
    /// One bit per party that is about to sleep or sleeps and has not been rung.
    idle: AtomicU64,
    sleepers: Box<[Mutex<Option<Sleeper>>]>,
    doorbell: Option<StdArc<dyn Doorbell>>,
}

impl std::fmt::Debug for Bells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bells").field("idle", &self.idle).field("parties", &self.parties()).finish_non_exhaustive()
    }
}

impl Bells {
    /// Bells for `parties`, at most 64.
    ///
    /// # Panics
    /// If there are more than 64.
    pub fn new(parties: usize) -> Self {
        Bells::with_doorbell(parties, None)
    }

    /// The same, with a place of the platform's own to sleep in.
    ///
    /// # Panics
    /// If there are more than 64.
    pub fn with_doorbell(parties: usize, doorbell: Option<StdArc<dyn Doorbell>>) -> Self {
        assert!(parties <= 64, "{parties} parties cannot be told apart by 64 bits");
        Bells { idle: AtomicU64::new(0), sleepers: (0..parties).map(|_| Mutex::new(None)).collect(), doorbell }
    }

    /// The bit mask of parties that sleep or are about to.
    ///
    /// To be called behind a publication and a full fence ([`crate::sync::fence_behind_rmw`] if the publication was a read-modify-write).
    #[inline]
    pub fn idle(&self) -> u64 {
        self.idle.load(Ordering::Relaxed)
    }

    /// Sleeps until any of `parties` (a bit mask) is rung, at most `timeout`, unless `look` finds something to do behind the announcement. True if it
    /// found something.
    ///
    /// One thread at a time waits as one party; a thread that plays several waits as all of them.
    pub fn sleep(&self, parties: u64, timeout: Duration, look: impl FnOnce() -> bool) -> bool {
        // A thread that plays several parties sleeps as the first of them.
        let bed = self.doorbell.as_deref().map(|doorbell| (doorbell, parties.trailing_zeros() as usize));
        for (party, sleeper) in self.sleepers.iter().enumerate() {
            if parties >> party & 1 != 0 {
                let who = bed.map_or_else(|| Sleeper::Thread(thread::current()), |(_, party)| Sleeper::Doorbell(party));
                *sleeper.lock().expect(POISON) = Some(who);
            }
        }
        if let Some((doorbell, party)) = bed {
            doorbell.arm(party);
        }
        self.idle.fetch_or(parties, Ordering::AcqRel);
        if !cfg!(prewire_mutation = "park_without_fence") {
            fence(Ordering::SeqCst);
        }
        let found = !cfg!(prewire_mutation = "park_without_recheck") && look();
        match bed {
            Some((doorbell, party)) if !found => doorbell.doze(party, timeout),
            None if !found => self.doze(parties, timeout),
            _ => {}
        }
        if let Some((doorbell, party)) = bed {
            doorbell.disarm(party);
        }
        self.idle.fetch_and(!parties, Ordering::AcqRel);
        found
    }

    fn nobody_rang(&self, parties: u64) -> bool {
        self.idle.load(Ordering::Acquire) & parties == parties
    }

    /// Sleeps until a bell has been rung, or for `timeout`. It may wake early; whoever waits looks again anyway.
    #[cfg(not(any(loom, prewire_shuttle)))]
    fn doze(&self, parties: u64, timeout: Duration) {
        if self.nobody_rang(parties) {
            thread::park_timeout(timeout);
        }
    }

    /// A model has no clock: it sleeps until rung, so that a lost wake-up is a deadlock that loom reports.
    #[cfg(loom)]
    fn doze(&self, parties: u64, _: Duration) {
        while self.nobody_rang(parties) {
            thread::park();
        }
    }

    /// Who polls comes back by itself, as if its time were over. Whoever relies on being rung sleeps until then, so that a lost wake-up is a deadlock that
    /// shuttle reports.
    #[cfg(prewire_shuttle)]
    fn doze(&self, parties: u64, timeout: Duration) {
        const POLLS: Duration = Duration::from_secs(1);
        if timeout < POLLS {
            return crate::sync::sleep(timeout);
        }
        while self.nobody_rang(parties) {
            thread::park();
        }
    }

    /// Announces the sleep of `parties` that are played by somebody who does not sleep for them: the thread that runs everything in virtual time. It looks
    /// for work behind this call, and finds in [`Bells::idle`] who has been rung.
    pub fn announce(&self, parties: u64) {
        self.idle.fetch_or(parties, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// Takes an announcement back.
    pub fn withdraw(&self, parties: u64) {
        self.idle.fetch_and(!parties, Ordering::AcqRel);
    }

    /// Wakes a party if it sleeps. Cheap if it does not.
    pub fn ring(&self, party: usize) {
        let bit = 1 << party;
        if self.idle.fetch_and(!bit, Ordering::AcqRel) & bit != 0 {
            let sleeper = self.sleepers[party].lock().expect(POISON).clone();
            match (sleeper, &self.doorbell) {
                (Some(Sleeper::Thread(sleeper)), _) => sleeper.unpark(),
                (Some(Sleeper::Doorbell(party)), Some(doorbell)) => doorbell.ring(party),
                (None | Some(Sleeper::Doorbell(_)), _) => {}
            }
        }
        if cfg!(prewire_mutation = "ring_clears_late") {
            self.idle.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// Wakes everybody: a fatal error, or the end.
    pub fn ring_all(&self) {
        for party in 0..self.sleepers.len() {
            self.ring(party);
        }
    }

    /// How many parties there are.
    pub fn parties(&self) -> usize {
        self.sleepers.len()
    }
}

/// What a party that waits does meanwhile: it drives a scheduler instance if it may, and otherwise spins, yields and sleeps. In virtual time it
/// advances the clock. Given by the assembly, so that an orchestrator that is out of room helps without knowing any scheduler.
pub trait Blocking {
    /// One round of waiting. `look` says whether there is anything to go on with; it is asked again before a sleep. True if the round achieved
    /// something for the run.
    fn round(&mut self, look: &mut dyn FnMut() -> bool) -> bool;

    /// Waiting is over; the next wait begins with fresh patience.
    fn done(&mut self);

    /// The run's clock in nanoseconds.
    fn now_ns(&self) -> u64;
}
