//! Loose regions: those that no grid takes, found by the range of their bytes.
//!
//! A region of more than 2^(l-1) and at most 2^l bytes is on level l, under the multiple of 2^l at or before its first byte, so that
//! it reaches into the next multiple at most. Whoever looks for a range visits, on each level in use, the multiples in it and
//! the one before, or the whole list if that is shorter.

use super::{Store, hash_of_loose};
use crate::index::entry::Entry;
use crate::index::pool::NONE;

/// The smallest regions share a level, so that the low bits of a multiple have room for the level's number.
const LEAST_LEVEL: u32 = 6;

fn level_of(span_bytes: u64) -> u32 {
    (u64::BITS - (span_bytes - 1).leading_zeros()).max(LEAST_LEVEL)
}

/// What the regions that begin at or after the `multiple`-th multiple, and before the next one, are listed under.
fn corner_of(multiple: u64, level: u32) -> u64 {
    multiple << level | u64::from(level)
}

/// In place of levels: the only loose region is not listed by its range, because most buffers never have a second one.
const ALONE: u64 = 1;

impl Store {
    #[inline]
    pub(super) fn list_loose(&mut self, entry: u32) {
        let index = self.entries[entry].root;
        let root = &mut self.roots[index];
        let next = std::mem::replace(&mut root.loose, entry);
        root.loose_count += 1;
        let listed = &mut self.entries[entry];
        listed.grid = NONE;
        listed.previous = NONE;
        listed.next = next;
        if next == NONE {
            root.loose_levels = ALONE;
            return;
        }
        self.entries[next].previous = entry;
        if root.loose_levels == ALONE {
            root.loose_levels = 0;
            self.list_by_range(next);
        }
        self.list_by_range(entry);
    }

    #[inline(never)]
    fn list_by_range(&mut self, entry: u32) {
        let Entry { root, start, geometry, .. } = self.entries[entry];
        let level = level_of(self.geometries.footprint(geometry).span_bytes());
        let corner = corner_of(start >> level, level);
        let hash = hash_of_loose(root, corner);
        let bucket = self.buckets.of(u64::from(hash));
        self.roots[root].loose_levels |= 1 << level;
        let bucket_next = std::mem::replace(&mut self.buckets[bucket], entry);
        let listed = &mut self.entries[entry];
        listed.corner = corner;
        listed.hash = hash;
        listed.bucket_next = bucket_next;
    }

    #[inline]
    pub(super) fn unlist_loose(&mut self, entry: u32) {
        let Entry { root: index, hash, bucket_next, previous, next, .. } = self.entries[entry];
        if self.roots[index].loose_levels != ALONE {
            let bucket = self.buckets.of(u64::from(hash));
            self.unlist_from_bucket(entry, bucket, bucket_next);
        }
        self.bridge(previous, next);
        let root = &mut self.roots[index];
        if previous == NONE {
            root.loose = next;
        }
        root.loose_count -= 1;
        if root.loose_count == 0 {
            root.loose_levels = 0;
        }
    }

    /// Calls `meet` at least with every loose region of a root that has bytes in `start..end`, with none twice.
    pub(super) fn walk_loose(&self, index: u32, start: u64, end: u64, meet: &mut impl FnMut(u32)) {
        let root = &self.roots[index];
        let multiples = |level: u32| (start >> level).saturating_sub(1)..=(end - 1) >> level;
        let levels = || (LEAST_LEVEL..u64::BITS).filter(|level| root.loose_levels >> level & 1 != 0);
        let visits = || levels().map(multiples).map(|range| range.end() - range.start() + 1).sum::<u64>();
        if root.loose_count <= 2 || visits() >= u64::from(root.loose_count) {
            return self.walk(root.loose, meet);
        }
        for level in levels() {
            for multiple in multiples(level) {
                let corner = corner_of(multiple, level);
                let mut entry = self.buckets[self.buckets.of(u64::from(hash_of_loose(index, corner)))];
                while entry != NONE {
                    let listed = &self.entries[entry];
                    if listed.corner == corner && listed.grid == NONE && listed.root == index {
                        meet(entry);
                    }
                    entry = listed.bucket_next;
                }
            }
        }
    }
}
