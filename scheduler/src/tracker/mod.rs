//! Which cores of an instance's clusters are idle, running or full, as plain bit sets: one bit per cluster, one word per part of a cluster.

use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::platform::Availability;
use prewire_runtime_core::slot::Parts;

/// Clusters that one instance may own.
pub(crate) const MOST_CLUSTERS: usize = 64;

/// A core as its owner counts: its cluster among the owner's, and its part of it (0 cube, 1 and 2 vector).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) cluster: u8,
    pub(crate) part: u8,
}

impl Place {
    #[inline]
    pub(crate) const fn new(cluster: usize, part: usize) -> Self {
        Place { cluster: cluster as u8, part: part as u8 }
    }

    /// The place as an array index.
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.cluster as usize * 3 + self.part as usize
    }

    #[inline]
    pub(crate) const fn kind(self) -> CoreKind {
        if self.part == 0 { CoreKind::Cube } else { CoreKind::Vector }
    }

    #[inline]
    const fn bit(self) -> u64 {
        1 << self.cluster
    }
}

/// Kinds of core, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Kinds(pub(crate) u8);

impl Kinds {
    /// Every kind there is.
    pub(crate) const ALL: Kinds = Kinds(3);

    pub(crate) const fn of(parts: Parts) -> Kinds {
        Kinds((parts.has(0) as u8) | (((parts.has(1) || parts.has(2)) as u8) << 1))
    }

    pub(crate) const fn has(self, kind: CoreKind) -> bool {
        self.0 >> kind as u8 & 1 != 0
    }

    pub(crate) const fn meet(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn with(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

/// The state of an instance's cores.
///
/// A core is idle, or runs something. A running core that has said so and has nothing behind it is open: a second dispatch may be pre-loaded.
/// Some cores are kept free on purpose: all of a kind that a gang gathers, or those that it names, and the cores of one cluster that a MIX task waits for.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    all: u64,
    /// The cores that exist.
    present: [u64; 3],
    idle: [u64; 3],
    open: [u64; 3],
    gathered: [u64; 3],
    reserved: [u64; 3],
    /// Cores that take nothing now.
    down: [u64; 3],
    /// Cores that take only what nobody else may run.
    gone: [u64; 3],
}

impl Tracker {
    /// All cores of `clusters` clusters are idle.
    pub(crate) fn new(clusters: usize) -> Self {
        assert!(clusters <= MOST_CLUSTERS, "an instance owns at most {MOST_CLUSTERS} clusters, not {clusters}");
        let all = if clusters == MOST_CLUSTERS { u64::MAX } else { (1 << clusters) - 1 };
        Tracker {
            all,
            present: [all; 3],
            idle: [all; 3],
            open: [0; 3],
            gathered: [0; 3],
            reserved: [0; 3],
            down: [0; 3],
            gone: [0; 3],
        }
    }

    /// The place has no core. Before anything is dispatched.
    pub(crate) fn remove(&mut self, place: Place) {
        self.present[place.part as usize] &= !place.bit();
        self.idle[place.part as usize] &= !place.bit();
    }

    /// Takes in whether a core can be given work.
    pub(crate) fn set_availability(&mut self, place: Place, availability: Availability) {
        let part = place.part as usize;
        self.down[part] &= !place.bit();
        self.gone[part] &= !place.bit();
        match availability {
            Availability::Up => {}
            Availability::Down => self.down[part] |= place.bit(),
            Availability::Gone => self.gone[part] |= place.bit(),
        }
    }

    /// Idle cores of a part that can be given work by name.
    #[inline]
    fn able(&self, part: usize) -> u64 {
        self.idle[part] & !self.down[part]
    }

    /// Whether a core that exists can be given what is directed at it.
    #[inline]
    pub(crate) fn is_able(&self, place: Place) -> bool {
        self.able(place.part as usize) & place.bit() != 0
    }

    /// Whether the core may be given the successor of what it ran. It is idle.
    #[inline]
    pub(crate) fn is_unfit_for_any(&self, place: Place) -> bool {
        let part = place.part as usize;
        (self.down[part] | self.gone[part]) & place.bit() != 0
    }

    /// Cores that are gone, unless all of the kind are: then work that any of them could do ends on them.
    #[inline]
    fn avoided(&self, part: usize) -> u64 {
        if self.gone == [0; 3] {
            return 0;
        }
        let all_gone = match part {
            0 => self.present[0] & !self.gone[0] == 0,
            _ => self.present[1] & !self.gone[1] == 0 && self.present[2] & !self.gone[2] == 0,
        };
        if all_gone { 0 } else { self.gone[part] }
    }

    /// Keeps no core for a gang any more.
    #[inline]
    pub(crate) fn gather_nothing(&mut self) {
        self.gathered = [0; 3];
    }

    /// Keeps all cores of these kinds for a gang, too.
    pub(crate) fn gather(&mut self, kinds: Kinds) {
        for part in 0..3 {
            if kinds.has(Place::new(0, part).kind()) {
                self.gathered[part] = self.all;
            }
        }
    }

    /// Keeps a core for a gang that names it, too.
    pub(crate) fn gather_place(&mut self, place: Place) {
        self.gathered[place.part as usize] |= place.bit();
    }

    /// Whether the core may be given something else when it becomes free.
    #[inline]
    pub(crate) fn is_kept_free(&self, place: Place) -> bool {
        (self.gathered[place.part as usize] | self.reserved[place.part as usize]) & place.bit() != 0
    }

    /// Cores of a part that may take a single block now.
    #[inline]
    fn free(&self, part: usize) -> u64 {
        self.able(part) & !self.avoided(part) & !self.reserved[part] & !self.gathered[part]
    }

    /// How many cores of the kind may take a single block now.
    #[inline]
    pub(crate) fn free_cores(&self, kind: CoreKind) -> usize {
        match kind {
            CoreKind::Cube => self.free(0).count_ones() as usize,
            CoreKind::Vector => (self.free(1).count_ones() + self.free(2).count_ones()) as usize,
        }
    }

    /// Whether the core may take a single block now.
    #[inline]
    pub(crate) fn may_take_any(&self, place: Place) -> bool {
        self.free(place.part as usize) & place.bit() != 0
    }

    /// A core of the kind for a single block: the one used last if it is free, as it is warm, and else one of the first cluster that has one, so that
    /// whole clusters stay free for those who need them.
    #[inline]
    pub(crate) fn choose(&self, kind: CoreKind, warm: Place) -> Option<Place> {
        if self.free(warm.part as usize) & warm.bit() != 0 {
            return Some(warm);
        }
        Self::first(kind, self.free(0), self.free(1), self.free(2))
    }

    /// A core of the kind for a single block: the next free one behind `last`, in the order of clusters, so that all cores take turns.
    #[inline]
    pub(crate) fn choose_next(&self, kind: CoreKind, last: Place) -> Option<Place> {
        if last.part == 1 && self.free(2) & last.bit() != 0 {
            return Some(Place { part: 2, ..last });
        }
        let behind = !(last.bit() | (last.bit() - 1));
        Self::first(kind, self.free(0) & behind, self.free(1) & behind, self.free(2) & behind)
            .or_else(|| Self::first(kind, self.free(0), self.free(1), self.free(2)))
    }

    /// A running core of the kind that a single block may be pre-loaded behind.
    #[inline]
    pub(crate) fn choose_open(&self, kind: CoreKind) -> Option<Place> {
        let open = |part: usize| self.open[part] & !self.reserved[part] & !self.gathered[part];
        Self::first(kind, open(0), open(1), open(2))
    }

    #[inline]
    fn first(kind: CoreKind, cubes: u64, vectors_0: u64, vectors_1: u64) -> Option<Place> {
        let of = match kind {
            CoreKind::Cube => cubes,
            CoreKind::Vector => vectors_0 | vectors_1,
        };
        if of == 0 {
            return None;
        }
        let cluster = of.trailing_zeros() as usize;
        let part = match kind {
            CoreKind::Cube => 0,
            CoreKind::Vector if vectors_0 >> cluster & 1 != 0 => 1,
            CoreKind::Vector => 2,
        };
        Some(Place::new(cluster, part))
    }

    /// How many cores of the kind a single block may be pre-loaded behind.
    pub(crate) fn open_cores(&self, kind: CoreKind) -> usize {
        let open = |part: usize| (self.open[part] & !self.reserved[part] & !self.gathered[part]).count_ones();
        match kind {
            CoreKind::Cube => open(0) as usize,
            CoreKind::Vector => (open(1) + open(2)) as usize,
        }
    }

    /// Whether any block that uses several cores of a cluster could find a cluster now.
    #[inline]
    pub(crate) fn has_partly_free_cluster(&self) -> bool {
        let free = |part: usize| self.idle[part] & !self.gathered[part];
        (free(0) & (free(1) | free(2))) | (free(1) & free(2)) != 0
    }

    /// The clusters in which all of these cores may take a block now. Cores reserved for a MIX task count: this is how it gets them.
    #[inline]
    pub(crate) fn free_clusters(&self, parts: Parts) -> u64 {
        (0..3)
            .filter(|&part| parts.has(part))
            .fold(self.all, |clusters, part| clusters & self.idle[part] & !self.gathered[part])
    }

    /// The clusters whose cores are all idle and kept for no gang.
    pub(crate) fn whole_clusters(&self) -> u64 {
        self.free_clusters(Parts(7))
    }

    /// The cluster for a block with these parts: the reserved one, else one whose other cores are busy anyway, else any.
    pub(crate) fn choose_cluster(&self, parts: Parts) -> Option<usize> {
        let free = self.free_clusters(parts);
        let reserved = free & (self.reserved[0] | self.reserved[1] | self.reserved[2]);
        let partly_busy = free & !(self.idle[0] & self.idle[1] & self.idle[2]);
        let best = [reserved, partly_busy, free].into_iter().find(|&clusters| clusters != 0)?;
        Some(best.trailing_zeros() as usize)
    }

    /// Keeps the cluster that is nearest to having these cores idle for a MIX task, unless one is kept already.
    pub(crate) fn reserve_cluster(&mut self, parts: Parts) {
        if self.reserved != [0; 3] || self.all == 0 {
            return;
        }
        let idle_parts =
            |cluster: &usize| (0..3).filter(|&part| parts.has(part) && self.idle[part] >> cluster & 1 != 0).count();
        let clusters = 64 - self.all.leading_zeros() as usize;
        // The first of the best: ties go to the lowest number, so that the choice is the same whenever the state is.
        let best = (0..clusters).rev().max_by_key(idle_parts).unwrap_or(0);
        for part in (0..3).filter(|&part| parts.has(part)) {
            self.reserved[part] = 1 << best;
        }
    }

    /// Whether a cluster is kept for a MIX task.
    #[inline]
    pub(crate) fn has_reserved_cluster(&self) -> bool {
        self.reserved != [0; 3]
    }

    /// No cluster is kept for a MIX task any more.
    #[inline]
    pub(crate) fn unreserve_cluster(&mut self) {
        self.reserved = [0; 3];
    }

    /// How many places a gang of this kind finds here: single cores, or clusters. Reservations do not count against it; its own keep others away.
    pub(crate) fn gang_places(&self, parts: Parts) -> u32 {
        match parts.0.count_ones() {
            1 if parts == Parts::CUBE => self.able(0).count_ones(),
            1 => self.able(1).count_ones() + self.able(2).count_ones(),
            _ => self.idle_clusters(parts).count_ones(),
        }
    }

    fn idle_clusters(&self, parts: Parts) -> u64 {
        (0..3).filter(|&part| parts.has(part)).fold(self.all, |clusters, part| clusters & self.idle[part])
    }

    /// A place for one block of a gang: a core for a single part, else a cluster (as its cube part).
    pub(crate) fn choose_for_gang(&self, parts: Parts) -> Option<Place> {
        match parts.0.count_ones() {
            1 if parts == Parts::CUBE => self.first_able(CoreKind::Cube),
            1 => self.first_able(CoreKind::Vector),
            _ => match self.idle_clusters(parts) {
                0 => None,
                clusters => Some(Place::new(clusters.trailing_zeros() as usize, 0)),
            },
        }
    }

    /// An idle core of the kind, one that is gone only if there is no other.
    fn first_able(&self, kind: CoreKind) -> Option<Place> {
        let [cubes, vectors_0, vectors_1] = std::array::from_fn(|part| self.able(part));
        let better = |part: usize, able: u64| able & !self.gone[part];
        Self::first(kind, better(0, cubes), better(1, vectors_0), better(2, vectors_1))
            .or_else(|| Self::first(kind, cubes, vectors_0, vectors_1))
    }

    /// The core was given a dispatch.
    #[inline]
    pub(crate) fn started(&mut self, place: Place) {
        debug_assert!(self.is_idle(place), "{place:?} was given a dispatch while it was running");
        self.idle[place.part as usize] &= !place.bit();
    }

    /// The core has said that it runs its dispatch, and nothing is behind it.
    #[inline]
    pub(crate) fn opened(&mut self, place: Place) {
        debug_assert!(!self.is_idle(place));
        self.open[place.part as usize] |= place.bit();
    }

    /// Something was pre-loaded behind what the core runs.
    #[inline]
    pub(crate) fn filled(&mut self, place: Place) {
        debug_assert!(self.open[place.part as usize] & place.bit() != 0, "{place:?} had no room behind what it runs");
        self.open[place.part as usize] &= !place.bit();
    }

    /// The core has nothing to do.
    #[inline]
    pub(crate) fn freed(&mut self, place: Place) {
        self.open[place.part as usize] &= !place.bit();
        self.idle[place.part as usize] |= place.bit();
    }

    /// Whether the core has nothing to do.
    #[inline]
    pub(crate) fn is_idle(&self, place: Place) -> bool {
        self.idle[place.part as usize] & place.bit() != 0
    }

    /// The running cores.
    pub(crate) fn busy(&self) -> impl Iterator<Item = Place> + use<> {
        let busy: [u64; 3] = std::array::from_fn(|part| self.present[part] & !self.idle[part]);
        (0..3).flat_map(move |part| {
            let mut left = busy[part];
            std::iter::from_fn(move || {
                let cluster = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(Place::new(cluster, part))
            })
        })
    }

    /// What other instances are told: free cube cores, free vector cores and whole free clusters, 16 bits each.
    #[inline]
    pub(crate) fn summary(&self) -> u64 {
        self.free_cores(CoreKind::Cube) as u64
            | (self.free_cores(CoreKind::Vector) as u64) << 16
            | (self.whole_clusters().count_ones() as u64) << 32
    }
}

#[cfg(test)]
mod tests;
