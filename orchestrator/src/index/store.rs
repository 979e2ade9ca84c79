//! The live regions, buffer by buffer, and the search for those that meet a given one.
//!
//! Each buffer with live regions has a root. A root's regions are in up to five grids, one per size of tile, or, where they fit
//! none, in a plain list of loose regions; a buffer with a single region has it there and no grid. A search looks at the
//! cells that the wanted region may touch, or at all regions of a grid if those are fewer, and tests what it finds exactly. A
//! root with one strict grid and nothing loose needs no search for a tile of that grid: the cell holds all there is.

use super::entry::Entry;
use super::geometry::Geometries;
use super::grid::{Grid, Placement};
use super::hash::{bucket_bits, bucket_of_hash, fold};
use super::pool::{NONE, Pool};
use super::root::{GRIDS, Roots};
use prewire_runtime_core::id::BufferId;
use prewire_runtime_core::tensor::Overlap;

/// How many loose regions are offered to a new grid; an insertion costs no more than a constant.
const LOOSE_OFFERED: usize = 8;

/// A region to look for, in a buffer that has a root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) root: u32,
    pub(super) start: u64,
    pub(super) geometry: u32,
    /// Whether it matters what the region covers.
    pub(super) writes: bool,
}

/// A live region that shares bytes with the wanted one without being the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Near {
    pub(super) entry: u32,
    /// Whether the wanted region covers it.
    pub(super) covered: bool,
}

/// What a look at a root gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// The entry of exactly the wanted region, or [`NONE`].
    pub(super) exact: u32,
    /// The region is a cell of the root's only grid and nothing is in it.
    pub(super) at_corner: bool,
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) entries: Pool<Entry>,
    pub(super) geometries: Geometries,
    pub(super) roots: Roots,
    grids: Pool<Grid>,
    /// Entries in grids, by grid and corner.
    buckets: Vec<u32>,
    bits: u32,
    /// How many regions look-ups have compared with what they wanted, and how many searches they made.
    #[cfg(test)]
    pub(super) compared: std::cell::Cell<usize>,
}

impl Store {
    pub(super) fn new(entries: usize, arguments: usize) -> Store {
        let bits = bucket_bits(entries);
        Store {
            entries: Pool::new(entries),
            geometries: Geometries::new(2 * entries, arguments),
            roots: Roots::new(entries),
            grids: Pool::new(entries),
            buckets: vec![NONE; 1 << bits],
            bits,
            #[cfg(test)]
            compared: std::cell::Cell::new(0),
        }
    }

    /// Tests count comparisons, so that what a look-up costs can be asserted without a clock.
    #[inline(always)]
    fn count_comparison(&self) {
        #[cfg(test)]
        self.compared.update(|compared| compared + 1);
    }

    /// Looks for the wanted region; `near`, which is empty, gets every other one that shares bytes with it.
    #[inline(always)]
    pub(super) fn look(&self, wanted: Wanted, near: &mut Vec<Near>) -> Sight {
        match self.glance(wanted) {
            Some(sight) => sight,
            None => self.search(wanted, near),
        }
    }

    /// What can be said without a search.
    #[inline(always)]
    fn glance(&self, wanted: Wanted) -> Option<Sight> {
        let root = &self.roots[wanted.root];
        if root.simple != NONE {
            let mut entry = self.buckets[self.bucket(root.simple, wanted.start)];
            while entry != NONE {
                self.count_comparison();
                let listed = &self.entries[entry];
                if listed.start == wanted.start && listed.grid == root.simple {
                    let same = listed.geometry == wanted.geometry;
                    return same.then_some(Sight { exact: entry, at_corner: false });
                }
                entry = listed.bucket_next;
            }
            let grid = &self.grids[root.simple];
            let at_corner = wanted.geometry == grid.geometry && grid.is_corner(wanted.start);
            return at_corner.then_some(Sight { exact: NONE, at_corner });
        }
        if root.live == 1 && root.loose != NONE {
            self.count_comparison();
            let only = &self.entries[root.loose];
            let same = only.start == wanted.start && only.geometry == wanted.geometry;
            return same.then_some(Sight { exact: root.loose, at_corner: false });
        }
        None
    }

    #[inline(never)]
    fn search(&self, wanted: Wanted, near: &mut Vec<Near>) -> Sight {
        self.count_comparison();
        let root = &self.roots[wanted.root];
        let footprint = self.geometries.footprint(wanted.geometry);
        let mut exact = NONE;
        let mut meet = |entry: u32| {
            self.count_comparison();
            let listed = &self.entries[entry];
            if listed.start == wanted.start && listed.geometry == wanted.geometry {
                exact = entry;
                return;
            }
            let other = self.geometries.footprint(listed.geometry);
            if !wanted.writes {
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
        self.walk(root.loose, &mut meet);
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
        Sight { exact, at_corner: false }
    }

    fn walk_cell(&self, grid: u32, corner: u64, meet: &mut impl FnMut(u32)) {
        let mut entry = self.buckets[self.bucket(grid, corner)];
        while entry != NONE {
            let listed = &self.entries[entry];
            if listed.corner == corner && listed.grid == grid {
                meet(entry);
            }
            entry = listed.bucket_next;
        }
    }

    /// Every region of a buffer.
    pub(super) fn all(&self, root: u32, near: &mut Vec<Near>) {
        let root = &self.roots[root];
        let mut meet = |entry| near.push(Near { entry, covered: true });
        self.walk(root.loose, &mut meet);
        for &grid in root.grids() {
            self.walk(self.grids[grid].head, &mut meet);
        }
    }

    fn walk(&self, head: u32, meet: &mut impl FnMut(u32)) {
        let mut entry = head;
        while entry != NONE {
            meet(entry);
            entry = self.entries[entry].next;
        }
    }

    /// Lists a region that is not listed yet; `at_corner` as [`Sight`] had it, with the root unchanged since.
    #[inline(always)]
    pub(super) fn insert(&mut self, wanted: Wanted, at_corner: bool) -> u32 {
        let Wanted { root: index, geometry, .. } = wanted;
        self.geometries.hold(geometry);
        self.roots.change(index);
        let root = &mut self.roots[index];
        root.live += 1;
        if at_corner {
            return self.insert_at_corner(wanted);
        }
        self.insert_elsewhere(wanted)
    }

    #[inline(never)]
    fn insert_elsewhere(&mut self, wanted: Wanted) -> u32 {
        let Wanted { root, start, geometry, .. } = wanted;
        let entry = self.entries.take(Entry::new(start, geometry, root));
        if self.roots[root].live == 1 {
            self.list_loose(entry);
        } else {
            self.place(entry);
        }
        entry
    }

    /// Lists a region that fills an empty cell of a simple root's grid. The root stays simple.
    #[inline(always)]
    fn insert_at_corner(&mut self, wanted: Wanted) -> u32 {
        let Wanted { root, start, geometry, .. } = wanted;
        let grid = self.roots[root].simple;
        let bucket = self.bucket(grid, start);
        let (bucket_next, next) = (self.buckets[bucket], self.grids[grid].head);
        let entry = self.entries.take(Entry { grid, bucket_next, next, ..Entry::new(start, geometry, root) });
        self.buckets[bucket] = entry;
        let grid = &mut self.grids[grid];
        grid.head = entry;
        grid.entries += 1;
        if next != NONE {
            self.entries[next].previous = entry;
        }
        entry
    }

    /// The root of a buffer, made if there is none.
    pub(super) fn root_of(&mut self, buffer: BufferId, base: u64) -> u32 {
        match self.roots.find(buffer) {
            NONE => self.roots.add(buffer, base),
            root => root,
        }
    }

    /// Finds a grid for an entry, makes one if there is room for it, or leaves it loose.
    #[inline(never)]
    fn place(&mut self, entry: u32) {
        let (index, start, geometry) = {
            let listed = &self.entries[entry];
            (listed.root, listed.start, listed.geometry)
        };
        let footprint = *self.geometries.footprint(geometry);
        let (grids, grid_count) = (self.roots[index].grids, self.roots[index].grid_count);
        for &grid in &grids[..usize::from(grid_count)] {
            if let Some(placement) = self.grids[grid].place(start, &footprint) {
                self.list_in_grid(entry, grid, placement);
                self.settle(index);
                return;
            }
        }
        let fresh = Grid::new(self.roots[index].base, geometry, &footprint);
        let placement = if usize::from(grid_count) < GRIDS { fresh.place(start, &footprint) } else { None };
        if let Some(placement) = placement {
            self.geometries.hold(geometry);
            let grid = self.grids.take(fresh);
            self.roots[index].add_grid(grid);
            self.list_in_grid(entry, grid, placement);
            self.gather_loose(index, grid);
        } else {
            self.list_loose(entry);
        }
        self.settle(index);
    }

    /// Moves what fits from the loose regions into a new grid.
    fn gather_loose(&mut self, index: u32, grid: u32) {
        let mut entry = self.roots[index].loose;
        for _ in 0..LOOSE_OFFERED {
            if entry == NONE {
                break;
            }
            let Entry { start, geometry, next, .. } = self.entries[entry];
            if let Some(placement) = self.grids[grid].place(start, self.geometries.footprint(geometry)) {
                self.unlist_loose(entry);
                self.list_in_grid(entry, grid, placement);
            }
            entry = next;
        }
    }

    /// Forgets a region.
    #[inline]
    pub(super) fn remove(&mut self, entry: u32) {
        let Entry { root: index, geometry, grid, .. } = self.entries[entry];
        if grid == NONE {
            self.unlist_loose(entry);
        } else {
            self.unlist_from_grid(entry, grid);
        }
        let listed = &mut self.entries[entry];
        listed.writer_touch = NONE;
        self.entries.give(entry);
        self.geometries.drop(geometry);
        self.roots.change(index);
        let root = &mut self.roots[index];
        root.live -= 1;
        if root.live == 0 {
            self.roots.free(index);
        } else if grid == NONE || root.simple == NONE {
            self.settle(index);
        }
    }

    fn list_loose(&mut self, entry: u32) {
        let index = self.entries[entry].root;
        let head = self.roots[index].loose;
        let listed = &mut self.entries[entry];
        listed.grid = NONE;
        listed.previous = NONE;
        listed.next = head;
        if head != NONE {
            self.entries[head].previous = entry;
        }
        self.roots[index].loose = entry;
    }

    fn unlist_loose(&mut self, entry: u32) {
        let Entry { root, previous, next, .. } = self.entries[entry];
        self.bridge(previous, next);
        if previous == NONE {
            self.roots[root].loose = next;
        }
    }

    fn list_in_grid(&mut self, entry: u32, index: u32, placement: Placement) {
        let bucket = self.bucket(index, placement.corner);
        let bucket_next = std::mem::replace(&mut self.buckets[bucket], entry);
        let twins = self.in_cell(bucket_next, index, placement.corner);
        let grid = &mut self.grids[index];
        grid.twins += u32::from(twins > 0);
        let head = std::mem::replace(&mut grid.head, entry);
        grid.entries += 1;
        let listed = &mut self.entries[entry];
        grid.off_corner += u32::from(listed.start != placement.corner);
        grid.crossing += u32::from(placement.crossing);
        listed.grid = index;
        listed.corner = placement.corner;
        listed.bucket_next = bucket_next;
        listed.previous = NONE;
        listed.next = head;
        if head != NONE {
            self.entries[head].previous = entry;
        }
    }

    #[inline]
    fn unlist_from_grid(&mut self, entry: u32, index: u32) {
        let Entry { start, corner, geometry, bucket_next, root, previous, next, .. } = self.entries[entry];
        let bucket = self.bucket(index, corner);
        if self.buckets[bucket] == entry {
            self.buckets[bucket] = bucket_next;
        } else {
            let mut before = self.buckets[bucket];
            while self.entries[before].bucket_next != entry {
                before = self.entries[before].bucket_next;
            }
            self.entries[before].bucket_next = bucket_next;
        }
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
    fn bridge(&mut self, previous: u32, next: u32) {
        if previous != NONE {
            self.entries[previous].next = next;
        }
        if next != NONE {
            self.entries[next].previous = previous;
        }
    }

    /// Finds out anew whether the root is simple.
    fn settle(&mut self, index: u32) {
        let root = &mut self.roots[index];
        root.simple = match *root.grids() {
            [grid] if root.loose == NONE && self.grids[grid].is_strict() => grid,
            _ => NONE,
        };
    }

    #[inline]
    fn bucket(&self, grid: u32, corner: u64) -> usize {
        bucket_of_hash(fold(u64::from(grid), corner), self.bits)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.geometries.clear();
        self.roots.clear();
        self.grids.clear();
        self.buckets.fill(NONE);
    }
}
