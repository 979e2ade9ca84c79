//! Fixed storage whose items are named by number.

/// The number that names no item.
pub(super) const NONE: u32 = u32::MAX;

/// Up to a fixed number of items. Memory is reserved at construction and touched as items are first used; the item given
/// back last is handed out first, so that what is in use stays in the cache.
#[derive(Debug)]
pub(super) struct Pool<T> {
    items: Vec<T>,
    free: Vec<u32>,
}

impl<T> Pool<T> {
    pub(super) fn new(capacity: usize) -> Pool<T> {
        assert!(capacity < NONE as usize, "a pool of {capacity} items cannot be numbered with 32 bits");
        Pool { items: Vec::with_capacity(capacity), free: Vec::with_capacity(capacity) }
    }

    /// Stores `item` and gives its number. The caller has made sure that there is room.
    ///
    /// The number is found first, so that the item is written where it stays: one that is put together elsewhere and copied would be read before its parts
    /// have reached the cache, behind everything that the processor has still to write.
    #[inline(always)]
    pub(super) fn take(&mut self, item: T) -> u32
    where
        T: Copy,
    {
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.extend(item),
        };
        self.items[index as usize] = item;
        index
    }

    /// Takes an item that was in use before, as it was left; [`NONE`] if there is no such item.
    #[inline(always)]
    pub(super) fn take_used(&mut self) -> u32 {
        self.free.pop().unwrap_or(NONE)
    }

    /// Stores an item that is the first in its place.
    #[cold]
    #[inline(never)]
    pub(super) fn extend(&mut self, item: T) -> u32
    where
        T: Copy,
    {
        assert!(self.items.len() < self.items.capacity(), "the pool was asked for more than it was built for");
        self.items.push(item);
        self.items.len() as u32 - 1
    }

    #[inline]
    pub(super) fn give(&mut self, index: u32) {
        debug_assert!(self.free.len() < self.items.len());
        self.free.push(index);
    }

    #[inline]
    pub(super) fn in_use(&self) -> usize {
        self.items.len() - self.free.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.items.capacity()
    }

    /// The most items that were in use at one time: storage grows only while every item of it is in use.
    pub(super) fn peak(&self) -> usize {
        self.items.len()
    }

    /// Gives every item back and forgets the peak.
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.free.clear();
    }
}

impl<T> std::ops::Index<u32> for Pool<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.items[index as usize]
    }
}

impl<T> std::ops::IndexMut<u32> for Pool<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.items[index as usize]
    }
}
