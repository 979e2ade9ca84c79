//! Sets of places that gangs reserve: all cores of a kind, or named ones.

use super::{GATES, WaitingGang};
use crate::tracker::Kinds;
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::id::CoreId;
use std::collections::VecDeque;

/// The places of one gang or of several.
#[derive(Clone, Debug)]
pub(crate) struct PlaceSet {
    /// Kinds of which any core may be needed.
    kinds: Kinds,
    /// Kinds of which some cores are named.
    named_kinds: Kinds,
    /// The named cores, a bit each.
    named: Box<[u64]>,
}

impl PlaceSet {
    pub(crate) fn new(chip: &ChipSpec) -> Self {
        let words = usize::from(chip.cores()).div_ceil(64);
        PlaceSet { kinds: Kinds::default(), named_kinds: Kinds::default(), named: vec![0; words].into_boxed_slice() }
    }

    pub(crate) fn clear(&mut self) {
        self.kinds = Kinds::default();
        self.named_kinds = Kinds::default();
        self.named.fill(0);
    }

    /// Adds all cores of these kinds.
    pub(crate) fn add_kinds(&mut self, kinds: Kinds) {
        self.kinds = self.kinds.with(kinds);
    }

    /// Adds one core, which is of these kinds.
    pub(crate) fn add_core(&mut self, core: CoreId, kinds: Kinds) {
        self.named_kinds = self.named_kinds.with(kinds);
        self.named[core.index() / 64] |= 1 << (core.index() % 64);
    }

    pub(crate) fn add(&mut self, other: &PlaceSet) {
        self.kinds = self.kinds.with(other.kinds);
        self.named_kinds = self.named_kinds.with(other.named_kinds);
        for (word, other) in self.named.iter_mut().zip(&other.named) {
            *word |= other;
        }
    }

    /// Whether the sets have a place in common, or might: any core of a kind may turn out to be a named one.
    pub(crate) fn meets(&self, other: &PlaceSet) -> bool {
        self.kinds.meet(other.kinds)
            || self.kinds.meet(other.named_kinds)
            || self.named_kinds.meet(other.kinds)
            || self.named.iter().zip(&other.named).any(|(word, other)| word & other != 0)
    }

    /// Whether every core is in it.
    pub(crate) fn is_everything(&self) -> bool {
        self.kinds == Kinds::ALL
    }
}

/// The ready gangs in their order, and what they and the gathering ones reserve.
#[derive(Debug)]
pub(crate) struct WaitingGangs {
    pub(crate) list: VecDeque<WaitingGang>,
    /// What the gang of each gate reserves, while the gate is not free.
    pub(crate) gathering: [PlaceSet; GATES],
    /// Room to work out what is reserved ahead of a gang, and what that one wants.
    pub(crate) taken: PlaceSet,
    pub(crate) wanted: PlaceSet,
}

impl WaitingGangs {
    pub(crate) fn new(chip: &ChipSpec) -> Self {
        let set = PlaceSet::new(chip);
        WaitingGangs {
            list: VecDeque::with_capacity(64),
            gathering: std::array::from_fn(|_| set.clone()),
            taken: set.clone(),
            wanted: set,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use prewire_runtime_core::slot::Parts;

    #[test]
    fn sets_meet_where_they_have_or_may_have_a_place_in_common() {
        let chip = ChipSpec::unit(40);
        let vectors = Kinds::of(Parts::VECTOR_0);
        let named = |cores: &[u16]| {
            let mut set = PlaceSet::new(&chip);
            cores.iter().for_each(|&core| set.add_core(CoreId(core), vectors));
            set
        };
        let kinds = |kinds| {
            let mut set = PlaceSet::new(&chip);
            set.add_kinds(kinds);
            set
        };
        assert!(named(&[40, 119]).meets(&named(&[119])));
        assert!(!named(&[40, 41]).meets(&named(&[42, 104])));
        assert!(named(&[40]).meets(&kinds(vectors)) && kinds(vectors).meets(&named(&[40])));
        assert!(!named(&[40]).meets(&kinds(Kinds::of(Parts::CUBE))));
        let mut both = named(&[40]);
        both.add(&named(&[77]));
        assert!(both.meets(&named(&[77])) && !both.is_everything());
        both.add(&kinds(Kinds::of(Parts(7))));
        assert!(both.is_everything());
        both.clear();
        assert!(!both.meets(&kinds(Kinds::ALL)));
    }
}
