//! A warning about a gang that keeps idle cores from tasks that name them. If those and what the gang waits for wait for one another, nothing ever ends, and nobody
//! has done anything wrong that could be refused.
//!
//! The instance that keeps the cores says which attempt it does so for; the watchdog, which has a clock, finds that one attempt lasts and asks for the warning; the
//! instance, which alone knows its cores and their tasks, writes it. An attempt is warned of once.

use super::{GATES, Gathered};
use crate::SchedulerGroup;
use crate::gang::gate::Phase;
use crate::instance::Round;
use crate::tracker::{Kinds, Place};
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::sync::{AtomicU64, Ordering, fence};

/// What an instance and the watchdog say to each other: numbers of attempts, 0 for none.
#[derive(Debug, Default)]
pub(crate) struct KeptIdle {
    /// The attempt that the instance keeps an idle core for, although a task waits for that core.
    attempt: AtomicU64,
    /// The attempt that it is to warn of.
    due: AtomicU64,
}

impl KeptIdle {
    pub(crate) fn reset(&self) {
        self.attempt.store(0, Ordering::Relaxed);
        self.due.store(0, Ordering::Relaxed);
    }
}

/// What the watchdog has seen of an instance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeptSince {
    attempt: u64,
    since_ns: u64,
    asked: bool,
}

impl<P: Platform> SchedulerGroup<P> {
    /// Asks for the warnings that are due.
    pub(crate) fn ask_for_warnings(&self, seen: &mut [KeptSince], now_ns: u64) {
        for (instance, (told, seen)) in self.told.iter().zip(seen).enumerate() {
            let attempt = told.kept.attempt.load(Ordering::Relaxed);
            if attempt != seen.attempt {
                *seen = KeptSince { attempt, since_ns: now_ns, asked: false };
            } else if attempt != 0
                && !seen.asked
                && u128::from(now_ns - seen.since_ns) >= self.config.gang_warning.as_nanos()
            {
                seen.asked = true;
                told.kept.due.store(attempt, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                self.wake(1 << instance);
            }
        }
    }
}

impl<P: Platform> Round<'_, P> {
    /// Says whether an idle core is kept from tasks that wait for it, and warns if that is due. To be called when the offers to the gates are as they will be for a
    /// while.
    pub(super) fn watch_kept(&mut self) {
        let kept = (0..GATES).find_map(|at| self.keeps_for(at));
        let attempt = kept.map_or(0, |(attempt, _)| attempt);
        let told = &self.group.told[self.own.index].kept;
        if attempt != self.own.kept_for {
            self.own.kept_for = attempt;
            told.attempt.store(attempt, Ordering::Relaxed);
        }
        if let Some((attempt, gang)) = kept
            && told.due.load(Ordering::Relaxed) == attempt
        {
            told.due.store(0, Ordering::Relaxed);
            self.warn_of(gang);
        }
    }

    /// Whether a warning is due that this instance has not written.
    pub(super) fn warning_is_due(&self) -> bool {
        self.own.kept_for != 0 && self.group.told[self.own.index].kept.due.load(Ordering::Relaxed) == self.own.kept_for
    }

    /// The number of a gate's attempt and its gang, if an idle core is kept for that from a task.
    fn keeps_for(&self, at: usize) -> Option<(u64, Gathered)> {
        let (generation, _) = self.own.offered[at]?;
        let gate = &self.group.gangs.gates[at];
        if gate.look() != Phase::Gathering(generation) {
            return None;
        }
        let gang = gate.task();
        // Another instance could launch a gang that names no cores without this one, and its slot would be another task's.
        let is_held_here =
            self.group.config.instances == 1 || gang.names_cores && gate.wanted(self.own.index, generation) > 0;
        if !is_held_here
            || self.own.directed.len() == 0
            || !self.places_kept_for(gang).any(|place| self.is_kept_from(place))
        {
            return None;
        }
        Some((u64::from(generation) << 32 | (at as u64 + 1), gang))
    }

    /// The places of this instance that a gang may have.
    fn places_kept_for(&self, gang: Gathered) -> impl Iterator<Item = Place> {
        let named = (0..if gang.names_cores { gang.blocks } else { 0 })
            .filter_map(move |block| self.own_place(self.core_of(gang, block)));
        let any = (0..if gang.names_cores { 0 } else { self.own.ports.len() })
            .map(|at| Place::new(at / 3, at % 3))
            .filter(move |&place| {
                self.platform.chip().has(self.own.ports[place.index()].core) && Kinds::of(gang.parts).has(place.kind())
            });
        named.chain(any)
    }

    fn is_kept_from(&self, place: Place) -> bool {
        self.own.tracker.is_idle(place) && self.own.directed.waits_for(place)
    }

    #[cold]
    fn warn_of(&self, gang: Gathered) {
        let chip = self.platform.chip();
        let name = |place: Place| chip.core_name(self.own.ports[place.index()].core);
        // SAFETY: the gang has not started its blocks, of which this instance has to start one; a task that waits here is in this thread's hand.
        let id = |slot: SlotIndex| unsafe { self.graph.slots.get(slot).body() }.id;
        let busy: Vec<String> =
            self.places_kept_for(gang).filter(|&place| !self.own.tracker.is_idle(place)).map(name).collect();
        let idle: Vec<String> = self
            .places_kept_for(gang)
            .filter(|&place| self.is_kept_from(place))
            .filter_map(|place| {
                Some(format!("{} idle, for which task {} is next", name(place), id(self.own.directed.next(place)?)))
            })
            .collect();
        let text = format!(
            "task {} has waited {} ms for {} and keeps {}; if the former wait for the latter, neither ends",
            id(gang.slot),
            self.group.config.gang_warning.as_millis(),
            busy.join(", "),
            idle.join(", ")
        );
        self.platform.warn(&text);
        self.graph.run.note(text);
    }
}
