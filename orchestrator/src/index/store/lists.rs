//! The lists and buckets that entries are in.

use super::Store;
use crate::index::entry::Entry;
use crate::index::grid::Placement;
use crate::index::pool::NONE;

impl Store {
    pub(super) fn list_in_grid(&mut self, entry: u32, index: u32, placement: Placement) {
        let hash = self.hash_in_grid(index, placement.corner);
        let bucket = self.buckets.of(u64::from(hash));
        let bucket_next = std::mem::replace(&mut self.buckets[bucket], entry);
        let twins = self.in_cell(bucket_next, index, placement.corner);
        let geometry = self.entries[entry].geometry;
        if geometry == self.grids[index].geometry {
            // The grid holds it for all that have it.
            self.geometries.drop(geometry);
        }
        let grid = &mut self.grids[index];
        grid.twins += u32::from(twins > 0);
        let head = std::mem::replace(&mut grid.head, entry);
        grid.entries += 1;
        let listed = &mut self.entries[entry];
        grid.off_corner += u32::from(listed.start != placement.corner);
        grid.crossing += u32::from(placement.crossing);
        listed.grid = index;
        listed.corner = placement.corner;
        listed.hash = hash;
        listed.bucket_next = bucket_next;
        listed.previous = NONE;
        listed.next = head;
        if head != NONE {
            self.entries[head].previous = entry;
        }
    }

    #[inline]
    pub(super) fn unlist_from_grid(&mut self, entry: u32, index: u32) {
        let Entry { start, corner, hash, geometry, bucket_next, root, previous, next, .. } = self.entries[entry];
        let bucket = self.buckets.of(u64::from(hash));
        self.unlist_from_bucket(entry, bucket, bucket_next);
        self.bridge(previous, next);
        let twins = if self.grids[index].twins == 0 { 0 } else { self.in_cell(self.buckets[bucket], index, corner) };
        let grid = &mut self.grids[index];
        if previous == NONE {
            grid.head = next;
        }
        grid.twins -= u32::from(twins > 0);
        let crossing = grid.crossing > 0
            && grid.place(start, self.geometries.footprint(geometry)).is_some_and(|placement| placement.crossing);
        grid.entries -= 1;
        grid.off_corner -= u32::from(start != corner);
        grid.crossing -= u32::from(crossing);
        if grid.entries == 0 {
            let geometry = grid.geometry;
            self.roots[root].remove_grid(index);
            self.grids.give(index);
            self.geometries.drop(geometry);
        }
    }

    #[inline]
    pub(super) fn unlist_from_bucket(&mut self, entry: u32, bucket: usize, bucket_next: u32) {
        if self.buckets[bucket] == entry {
            self.buckets[bucket] = bucket_next;
        } else {
            let mut before = self.buckets[bucket];
            while self.entries[before].bucket_next != entry {
                before = self.entries[before].bucket_next;
            }
            self.entries[before].bucket_next = bucket_next;
        }
    }

    /// How many regions of a cell there are from `entry` on in its bucket.
    #[inline]
    fn in_cell(&self, mut entry: u32, grid: u32, corner: u64) -> usize {
        let mut count = 0;
        while entry != NONE {
            let listed = &self.entries[entry];
            count += usize::from(listed.corner == corner && listed.grid == grid);
            entry = listed.bucket_next;
        }
        count
    }

    #[inline]
    pub(super) fn bridge(&mut self, previous: u32, next: u32) {
        if previous != NONE {
            self.entries[previous].next = next;
        }
        if next != NONE {
            self.entries[next].previous = previous;
        }
    }
}
