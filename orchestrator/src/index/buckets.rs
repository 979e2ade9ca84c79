//! A hash table of lists that grows with what is in it, one bucket at a time (linear hashing, after Litwin, 1980): the part in use stays as small as the live
//! items and so in the cache, no insertion pays for all, and nothing is allocated behind construction.

use super::pool::{NONE, Pool};

/// Buckets for each item: with as many as items a third of all looks would meet another item first, and each of these is a line that is far away when there are
/// many.
const BUCKETS_PER_ITEM: usize = 2;

/// Buckets in use at first, at most.
const FIRST: usize = 4096;

/// Heads of lists of the items of a [`Pool`], which carry the links.
#[derive(Debug)]
pub(super) struct Buckets {
    heads: Vec<u32>,
    /// Buckets in use: one more than `mask`, a power of two, and one more for each that was split since.
    mask: usize,
    split: usize,
}

impl Buckets {
    /// Buckets for up to `items` items.
    pub(super) fn new(items: usize) -> Buckets {
        let most = (BUCKETS_PER_ITEM * items.max(8)).next_power_of_two();
        Buckets { heads: vec![NONE; most], mask: most.min(FIRST) - 1, split: 0 }
    }

    /// The bucket of a hash.
    #[inline(always)]
    pub(super) fn of(&self, hash: u64) -> usize {
        let hash = hash as usize;
        let bucket = hash & self.mask;
        if bucket < self.split { hash & (2 * self.mask + 1) } else { bucket }
    }

    /// How many buckets there were before the first of the present round was split.
    fn round(&self) -> usize {
        self.mask + 1
    }

    /// Splits as many buckets as an item needs, if they are too few. To be called behind each insertion.
    #[inline]
    pub(super) fn grow<T>(
        &mut self,
        items: &mut Pool<T>,
        hash_of: impl Fn(&T) -> u64,
        link: impl Fn(&mut T) -> &mut u32,
    ) {
        while BUCKETS_PER_ITEM * items.in_use() > self.round() + self.split && 2 * self.round() <= self.heads.len() {
            self.split_one(items, &hash_of, &link);
        }
    }

    /// Divides the next bucket's list among it and its twin. Neither turns the order of what it gets round.
    #[cold]
    fn split_one<T>(&mut self, items: &mut Pool<T>, hash_of: impl Fn(&T) -> u64, link: impl Fn(&mut T) -> &mut u32) {
        let (stays, goes) = (self.split, self.split + self.round());
        let mut item = std::mem::replace(&mut self.heads[stays], NONE);
        let mut last = [NONE; 2];
        while item != NONE {
            let listed = &mut items[item];
            let next = std::mem::replace(link(listed), NONE);
            let twin = usize::from(hash_of(listed) as usize & self.round() != 0);
            match last[twin] {
                NONE => self.heads[[stays, goes][twin]] = item,
                last => *link(&mut items[last]) = item,
            }
            last[twin] = item;
            item = next;
        }
        self.split += 1;
        if self.split == self.round() {
            (self.mask, self.split) = (2 * self.mask + 1, 0);
        }
    }

    /// Empties every bucket.
    pub(super) fn clear(&mut self) {
        let in_use = self.round() + self.split;
        self.heads[..in_use].fill(NONE);
        (self.mask, self.split) = (self.heads.len().min(FIRST) - 1, 0);
    }
}

impl std::ops::Index<usize> for Buckets {
    type Output = u32;

    #[inline]
    fn index(&self, bucket: usize) -> &u32 {
        &self.heads[bucket]
    }
}

impl std::ops::IndexMut<usize> for Buckets {
    #[inline]
    fn index_mut(&mut self, bucket: usize) -> &mut u32 {
        &mut self.heads[bucket]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct Item {
        hash: u64,
        next: u32,
    }

    /// Every item is found in the bucket of its hash at any time while the table grows, and lists stay short.
    #[test]
    fn items_are_found_while_the_table_grows() {
        const ITEMS: usize = 20_000;
        let mut buckets = Buckets::new(ITEMS);
        let mut items = Pool::new(ITEMS);
        let mut random = 5u64;
        let mut hashes = Vec::new();
        for count in 1..=ITEMS {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let hash = random >> 17;
            let bucket = buckets.of(hash);
            let item = items.take(Item { hash, next: buckets[bucket] });
            buckets[bucket] = item;
            hashes.push(hash);
            buckets.grow(&mut items, |item| item.hash, |item| &mut item.next);
            if count % 997 != 0 {
                continue;
            }
            for (item, &hash) in hashes.iter().enumerate() {
                let (mut at, mut length) = (buckets[buckets.of(hash)], 1);
                while at != item as u32 {
                    assert_ne!(at, NONE, "item {item} of {count} is lost");
                    at = items[at].next;
                    length += 1;
                }
                assert!(length < 16, "{length} items share a bucket");
            }
        }
        assert!(buckets.round() + buckets.split >= ITEMS / 2, "the table grew");
        buckets.clear();
        assert!(hashes.iter().all(|&hash| buckets[buckets.of(hash)] == NONE));
    }
}
