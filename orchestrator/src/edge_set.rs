//! The producers of one task: each once, with everything that is known about why.

use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::id::SlotIndex;

/// Producers that are found by looking through the list; beyond that each slot remembers its place in it.
const LINEAR: usize = 8;

/// A set of producers.
#[derive(Debug)]
pub(crate) struct EdgeSet {
    edges: Vec<(SlotIndex, EdgeFlags)>,
    /// Everything that any of the edges means.
    meanings: EdgeFlags,
    /// By slot, once the list is long: the epoch in which the slot was entered, and its place in the list.
    places: Box<[(u32, u32)]>,
    epoch: u32,
}

impl EdgeSet {
    /// A set for producers among `slots` slots.
    pub(crate) fn new(slots: usize) -> Self {
        EdgeSet {
            edges: Vec::with_capacity(slots),
            meanings: EdgeFlags::NONE,
            places: vec![(0, 0); slots].into_boxed_slice(),
            epoch: 0,
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.edges.clear();
        self.meanings = EdgeFlags::NONE;
    }

    /// Adds an edge, or its flags to the one that is there.
    #[inline(always)]
    pub(crate) fn add(&mut self, producer: SlotIndex, flags: EdgeFlags) {
        self.meanings = self.meanings.union(flags);
        if self.edges.len() <= LINEAR {
            for (known, union) in &mut self.edges {
                if *known == producer {
                    *union = union.union(flags);
                    return;
                }
            }
            self.edges.push((producer, flags));
        } else {
            self.add_to_many(producer, flags);
        }
    }

    #[cold]
    fn add_to_many(&mut self, producer: SlotIndex, flags: EdgeFlags) {
        if self.edges.len() == LINEAR + 1 {
            self.begin_epoch();
        }
        let (epoch, place) = &mut self.places[producer.index()];
        if *epoch == self.epoch {
            let union = &mut self.edges[*place as usize].1;
            *union = union.union(flags);
        } else {
            *epoch = self.epoch;
            *place = self.edges.len() as u32;
            self.edges.push((producer, flags));
        }
    }

    /// Enters the edges so far by slot.
    fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.places.fill((0, 0));
            self.epoch = 1;
        }
        for (place, (producer, _)) in self.edges.iter().enumerate() {
            self.places[producer.index()] = (self.epoch, place as u32);
        }
    }

    /// Drops the edges that `keep` refuses. The set takes no more edges before it is cleared.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(SlotIndex, EdgeFlags) -> bool) {
        self.edges.retain(|&(producer, flags)| keep(producer, flags));
    }

    /// Whether any producer is to be kept.
    #[inline]
    pub(crate) fn retains(&self) -> bool {
        self.meanings.contains(EdgeFlags::RETAIN)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[(SlotIndex, EdgeFlags)] {
        &self.edges
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.edges.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Against a map, around the length at which the way of finding changes, in many rounds so that old epochs would show.
    #[test]
    fn each_producer_is_there_once_with_the_union_of_its_flags() {
        let mut set = EdgeSet::new(200);
        let mut random = 7u64;
        for round in 0..500 {
            set.clear();
            let mut model: HashMap<SlotIndex, EdgeFlags> = HashMap::new();
            for _ in 0..(round % 90) {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let producer = SlotIndex((random >> 40) as u32 % 60);
                let flags = [EdgeFlags::WAIT, EdgeFlags::RETAIN, EdgeFlags::DATA][(random >> 33) as usize % 3];
                set.add(producer, flags);
                let known = model.entry(producer).or_insert(EdgeFlags::NONE);
                *known = known.union(flags);
            }
            assert_eq!(set.len(), model.len());
            assert!(set.as_slice().iter().all(|(producer, flags)| model[producer] == *flags));
        }
    }
}
