//! Gangs: tasks whose blocks start together or not at all.
//!
//! Ready gangs wait in one ordered list. A gang may gather cores when no gang before it, gathering or waiting, needs the same: any core of a kind, or cores
//! that it names. So two gangs never hold a part each of what both need, and one that needs other cores passes. While a gang gathers, all cores of its kinds,
//! or those that it names, are kept for it: nothing is dispatched to them when they are idle, nothing is pre-loaded and no successor is kept on them. Running cores are never waited for in place: each
//! instance goes on stepping and offers more places as they become idle.
//!
//! So that an endless supply of gangs does not starve other tasks, a gang of kinds on which other tasks wait is admitted only after one of those was
//! dispatched since the last launch.

mod admit;
mod gate;
mod join;
mod kept;
#[cfg(test)]
mod models;
mod places;

pub(crate) use gate::{Gate, Gathered, Generation};
pub(crate) use kept::{KeptIdle, KeptSince};
pub(crate) use places::{PlaceSet, WaitingGangs};

use crate::tracker::Kinds;
use prewire_runtime_core::chip::{ChipSpec, CoreKind};
use prewire_runtime_core::sync::{AtomicBool, AtomicU32, Mutex, Ordering};

/// So many gangs can gather at once; those that name their cores may be many that have none in common.
pub(crate) const GATES: usize = 16;

/// A ready gang.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingGang(pub(crate) Gathered);

/// What the instances share about gangs.
#[derive(Debug)]
pub(crate) struct Gangs {
    pub(crate) gates: [Gate; GATES],
    pub(crate) waiting_gangs: Mutex<WaitingGangs>,
    /// Gangs in the list, and gangs that gather.
    waiting: AtomicU32,
    /// Per kind: a gang was launched and no other task has been dispatched to such a core since.
    owed: [AtomicBool; 2],
}

impl Gangs {
    pub(crate) fn new(instances: usize, chip: &ChipSpec) -> Self {
        Gangs {
            gates: std::array::from_fn(|_| Gate::new(instances)),
            waiting_gangs: Mutex::new(WaitingGangs::new(chip)),
            waiting: AtomicU32::new(0),
            owed: [AtomicBool::new(false), AtomicBool::new(false)],
        }
    }

    /// Forgets everything. Only between runs.
    pub(crate) fn reset(&self) {
        self.gates.iter().for_each(Gate::reset);
        self.waiting_gangs.lock().expect(crate::POISON).list.clear();
        self.waiting.store(0, Ordering::Relaxed);
        self.owed.iter().for_each(|owed| owed.store(false, Ordering::Relaxed));
    }

    /// Gangs that are ready and not launched, besides those in the queue.
    #[inline]
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn arrived(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A gang of these kinds was launched: others that wait for such cores are next.
    pub(crate) fn launched(&self, kinds: Kinds) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        for kind in [CoreKind::Cube, CoreKind::Vector] {
            if kinds.has(kind) {
                self.owed[kind as usize].store(true, Ordering::Relaxed);
            }
        }
    }

    /// A task that is no gang was dispatched to a core of this kind.
    #[inline]
    pub(crate) fn served(&self, kind: CoreKind) {
        if self.owed[kind as usize].load(Ordering::Relaxed) {
            self.owed[kind as usize].store(false, Ordering::Relaxed);
        }
    }

    /// Whether other tasks come before the next gang on cores of this kind, if there are any.
    pub(crate) fn owes(&self, kind: CoreKind) -> bool {
        self.owed[kind as usize].load(Ordering::Relaxed)
    }
}
