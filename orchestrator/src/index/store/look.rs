//! Looking for a region.

use super::{Corner, Near, Place, Sight, Store};
use crate::index::hash::hash_of_corner;
use crate::index::pool::NONE;
use prewire_runtime_core::tensor::Overlap;

impl Store {
    /// Looks for a region; `near`, which is empty, gets every other one that shares bytes with it. `writes` is whether it matters what the region covers.
    #[inline(always)]
    pub(in crate::index) fn look(&self, place: Place, writes: bool, near: &mut Vec<Near>) -> Sight {
        match self.glance(place) {
            Some(sight) => sight,
            None => self.search(place, writes, near),
        }
    }

    /// What can be said without a search.
    #[inline(always)]
    pub(super) fn glance(&self, wanted: Place) -> Option<Sight> {
        let root = &self.roots[wanted.root];
        if root.simple != NONE {
            let hash = hash_of_corner(root.simple, root.simple_run_bits, wanted.start);
            let bucket = self.buckets.of(u64::from(hash));
            let mut entry = self.buckets[bucket];
            while entry != NONE {
                self.compared.count();
                let listed = &self.entries[entry];
                if listed.start == wanted.start && listed.grid == root.simple {
                    let same = listed.geometry == wanted.geometry;
                    return same.then_some(Sight { exact: entry, corner: None });
                }
                entry = listed.bucket_next;
            }
            let grid = &self.grids[root.simple];
            let at_corner = wanted.geometry == grid.geometry && grid.is_corner(wanted.start);
            return at_corner.then_some(Sight { exact: NONE, corner: Some(Corner { hash, bucket }) });
        }
        if root.loose_count == 1 && root.grid_count == 0 {
            self.compared.count();
            let only = &self.entries[root.loose];
            let same = only.start == wanted.start && only.geometry == wanted.geometry;
            return same.then_some(Sight { exact: root.loose, corner: None });
        }
        None
    }

    #[inline(never)]
    fn search(&self, wanted: Place, writes: bool, near: &mut Vec<Near>) -> Sight {
        self.compared.count();
        let root = &self.roots[wanted.root];
        let footprint = self.geometries.footprint(wanted.geometry);
        let mut exact = NONE;
        let mut meet = |entry: u32| {
            self.compared.count();
            let listed = &self.entries[entry];
            if listed.start == wanted.start && listed.geometry == wanted.geometry {
                exact = entry;
                return;
            }
            let other = self.geometries.footprint(listed.geometry);
            if !writes {
                if footprint.intersects(wanted.start, other, listed.start) {
                    near.push(Near { entry, covered: false });
                }
                return;
            }
            match footprint.overlap(wanted.start, other, listed.start) {
                Overlap::Disjoint => {}
                overlap => near.push(Near { entry, covered: overlap == Overlap::Covers }),
            }
        };
        self.walk_loose(wanted.root, wanted.start, wanted.start + footprint.span_bytes(), &mut meet);
        for &index in root.grids() {
            let grid = &self.grids[index];
            if wanted.geometry == grid.geometry && grid.is_strict() && grid.is_corner(wanted.start) {
                self.walk_cell(index, wanted.start, &mut meet);
                continue;
            }
            match grid.cells(wanted.start, footprint) {
                Some(cells) if cells.count <= u64::from(grid.entries) => {
                    grid.for_each_corner(&cells, |corner| self.walk_cell(index, corner, &mut meet));
                }
                _ => self.walk(grid.head, &mut meet),
            }
        }
        Sight { exact, corner: None }
    }

    fn walk_cell(&self, grid: u32, corner: u64, meet: &mut impl FnMut(u32)) {
        let mut entry = self.buckets[self.buckets.of(u64::from(self.hash_in_grid(grid, corner)))];
        while entry != NONE {
            let listed = &self.entries[entry];
            if listed.corner == corner && listed.grid == grid {
                meet(entry);
            }
            entry = listed.bucket_next;
        }
    }

    /// Every region of a buffer.
    pub(in crate::index) fn all(&self, root: u32, near: &mut Vec<Near>) {
        let root = &self.roots[root];
        let mut meet = |entry| near.push(Near { entry, covered: true });
        self.walk(root.loose, &mut meet);
        for &grid in root.grids() {
            self.walk(self.grids[grid].head, &mut meet);
        }
    }

    pub(super) fn walk(&self, head: u32, meet: &mut impl FnMut(u32)) {
        let mut entry = head;
        while entry != NONE {
            meet(entry);
            entry = self.entries[entry].next;
        }
    }
}
