//! Fixed storage for what live tasks do with regions: the touches of a task are taken one after the other and given back all at once.

use super::pool::NONE;

/// One tensor argument of a live task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) slot: u32,
    /// The entry that it reads or writes; [`NONE`] for a reader that a later writer has taken the place of. A writer's is
    /// current only while the entry names the touch.
    pub(super) entry: u32,
    /// The next touch of the same slot, or the next free one.
    pub(super) slot_next: u32,
    /// Neighbours in the entry's list of readers.
    pub(super) previous: u32,
    pub(super) next: u32,
    pub(super) reads: bool,
}

impl Touch {
    /// Neither a task's nor anywhere.
    pub(super) const BLANK: Touch =
        Touch { slot: NONE, entry: NONE, slot_next: NONE, previous: NONE, next: NONE, reads: false };
}

/// The touches that one task has taken so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    first: u32,
    last: u32,
}

impl Chain {
    pub(super) const EMPTY: Chain = Chain { first: NONE, last: NONE };
}

/// Up to a fixed number of touches. Memory is reserved at construction and touched as touches are first used; those given back last are handed out first.
#[derive(Debug)]
pub(super) struct Touches {
    items: Vec<Touch>,
    /// The first free one; the others follow as `slot_next` has it.
    free: u32,
    in_use: usize,
}

impl Touches {
    pub(super) fn new(capacity: usize) -> Touches {
        assert!(capacity < NONE as usize, "{capacity} touches cannot be numbered with 32 bits");
        Touches { items: Vec::with_capacity(capacity), free: NONE, in_use: 0 }
    }

    /// Takes one more touch for the task of a chain. Free ones are linked as those of a task are, so that `slot_next` need not be written.
    #[inline(always)]
    pub(super) fn take(&mut self, chain: &mut Chain, new: Touch) -> u32 {
        let index = if self.free == NONE { self.extend(chain.last) } else { self.free };
        let touch = &mut self.items[index as usize];
        self.free = touch.slot_next;
        touch.slot = new.slot;
        touch.entry = new.entry;
        touch.previous = new.previous;
        touch.next = new.next;
        touch.reads = new.reads;
        self.in_use += 1;
        if chain.first == NONE {
            chain.first = index;
        }
        chain.last = index;
        index
    }

    /// Ends a task's chain, and returns its first touch.
    #[inline(always)]
    pub(super) fn end(&mut self, chain: Chain) -> u32 {
        if chain.last != NONE {
            self.items[chain.last as usize].slot_next = NONE;
        }
        chain.first
    }

    #[cold]
    #[inline(never)]
    fn extend(&mut self, last: u32) -> u32 {
        assert!(self.items.len() < self.items.capacity(), "more was touched than the index was built for");
        let index = self.items.len() as u32;
        self.items.push(Touch::BLANK);
        if last != NONE {
            self.items[last as usize].slot_next = index;
        }
        index
    }

    /// Gives a task's touches back, which are `count` from `first` to `last`.
    #[inline(always)]
    pub(super) fn give(&mut self, first: u32, last: u32, count: usize) {
        self.items[last as usize].slot_next = self.free;
        self.free = first;
        self.in_use -= count;
    }

    #[inline]
    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.items.capacity()
    }

    /// The most touches that were in use at one time: storage grows only while every one is in use.
    pub(super) fn peak(&self) -> usize {
        self.items.len()
    }

    /// Gives every touch back and forgets the peak.
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.free = NONE;
        self.in_use = 0;
    }
}

impl std::ops::Index<u32> for Touches {
    type Output = Touch;

    #[inline]
    fn index(&self, touch: u32) -> &Touch {
        &self.items[touch as usize]
    }
}

impl std::ops::IndexMut<u32> for Touches {
    #[inline]
    fn index_mut(&mut self, touch: u32) -> &mut Touch {
        &mut self.items[touch as usize]
    }
}
