//! The live regions, buffer by buffer, and the search for those that meet a given one.
//!
//! Each buffer with live regions has a root. A root's regions are in up to four grids, one per size of tile, or, where they fit
//! none, among its loose regions, which are listed by the range of their bytes; a buffer with a single region has it there and no grid. A search looks at the
//! cells that the wanted region may touch, or at all regions of a grid if those are fewer, and tests what it finds exactly. A
//! root with one strict grid and nothing loose needs no search for a tile of that grid: the cell holds all there is.

mod lists;
mod look;
mod loose;

use crate::index::buckets::Buckets;
use crate::index::entry::Entry;
use crate::index::geometry::Geometries;
use crate::index::grid::Grid;
use crate::index::hash::{fold, hash_of_corner};
use crate::index::pool::{NONE, Pool};
use crate::index::root::{GRIDS, Roots};
use crate::index::siblings::KINDS;
use prewire_runtime_core::id::BufferId;

/// How many loose regions are offered to a new grid; an insertion costs no more than a constant.
const LOOSE_OFFERED: usize = 8;

/// Where a region is, in a buffer that has a root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) root: u32,
    pub(super) start: u64,
    pub(super) geometry: u32,
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
    /// Where the region goes if it is a cell of the root's only grid and nothing is in it.
    pub(super) corner: Option<Corner>,
}

/// Where an empty cell is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corner {
    hash: u32,
    bucket: usize,
}

/// The entry of a region that no other is near.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    pub(super) entry: u32,
    /// The entry was not there before.
    pub(super) fresh: bool,
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) entries: Pool<Entry>,
    pub(super) geometries: Geometries,
    pub(super) roots: Roots,
    grids: Pool<Grid>,
    /// Entries in grids, by grid and corner.
    buckets: Buckets,
    pub(super) compared: Comparisons,
}

/// How many regions look-ups have compared with what they wanted, and how many searches they made. Tests count, so that what a look-up costs can be asserted
/// without a clock.
#[derive(Debug, Default)]
pub(super) struct Comparisons {
    #[cfg(test)]
    pub(super) count: std::cell::Cell<usize>,
}

impl Comparisons {
    #[inline(always)]
    fn count(&self) {
        #[cfg(test)]
        self.count.update(|count| count + 1);
    }
}

impl Store {
    pub(super) fn new(entries: usize, arguments: usize) -> Store {
        Store {
            entries: Pool::new(entries),
            geometries: Geometries::new(2 * entries + KINDS, arguments),
            roots: Roots::new(entries),
            grids: Pool::new(entries),
            buckets: Buckets::new(entries),
            compared: Comparisons::default(),
        }
    }

    /// The entry of exactly this region, made if its cell is empty. None if the root is not the buffer's any more, if it takes a search, or if there is no room.
    #[inline(always)]
    pub(super) fn meet(&mut self, place: Place, buffer: BufferId) -> Option<Met> {
        if self.roots[place.root].buffer != buffer {
            return None;
        }
        let Sight { exact, corner } = self.glance(place)?;
        let Some(corner) = corner else { return Some(Met { entry: exact, fresh: false }) };
        let entry = self.entries.take_used();
        if entry == NONE {
            return self.meet_first(place);
        }
        self.list_at_corner(entry, place, corner);
        Some(Met { entry, fresh: true })
    }

    /// [`Store::meet`] for an empty cell when every entry that there ever was is in use.
    #[cold]
    fn meet_first(&mut self, place: Place) -> Option<Met> {
        let has_room = self.entries.in_use() < self.entries.capacity();
        has_room.then(|| Met { entry: self.insert_at_corner(place), fresh: true })
    }

    /// Lists a region that is not listed yet; `at_corner` says whether [`Sight`] had a corner, with the root unchanged since.
    #[inline]
    pub(super) fn insert(&mut self, place: Place, at_corner: bool) -> u32 {
        if at_corner { self.insert_at_corner(place) } else { self.insert_elsewhere(place) }
    }

    /// An entry to fill in.
    #[inline]
    fn take_entry(&mut self) -> u32 {
        let used = self.entries.take_used();
        if used == NONE { self.extend_entries() } else { used }
    }

    /// There are never more entries than when one that was not used before is taken, so that this is when the table of their buckets grows.
    #[cold]
    #[inline(never)]
    fn extend_entries(&mut self) -> u32 {
        let entry = self.entries.extend(Entry::BLANK);
        self.buckets.grow(&mut self.entries, |entry| u64::from(entry.hash), |entry| &mut entry.bucket_next);
        entry
    }

    #[inline(never)]
    fn insert_elsewhere(&mut self, place: Place) -> u32 {
        let Place { root, start, geometry } = place;
        self.roots.change(root);
        self.geometries.hold(geometry);
        let entry = self.take_entry();
        self.entries[entry] = Entry::new(start, geometry, root);
        if self.roots[root].is_empty() {
            self.list_loose(entry);
        } else {
            self.place(entry);
        }
        entry
    }

    /// Lists a region that fills an empty cell of a simple root's grid.
    #[inline]
    fn insert_at_corner(&mut self, place: Place) -> u32 {
        self.roots.change(place.root);
        let entry = self.take_entry();
        // Behind the entry, with which the buckets may have become more.
        let hash = self.hash_in_grid(self.roots[place.root].simple, place.start);
        self.list_at_corner(entry, place, Corner { hash, bucket: self.buckets.of(u64::from(hash)) });
        entry
    }

    /// Lists an entry in the bucket of an empty cell of a simple root's grid. The root stays simple.
    #[inline(always)]
    fn list_at_corner(&mut self, entry: u32, place: Place, Corner { hash, bucket }: Corner) {
        let Place { root, start, geometry } = place;
        let grid_index = self.roots[root].simple;
        let grid = &mut self.grids[grid_index];
        let next = std::mem::replace(&mut grid.head, entry);
        grid.entries += 1;
        let bucket_next = std::mem::replace(&mut self.buckets[bucket], entry);
        let blank = Entry::new(start, geometry, root);
        self.entries[entry] = Entry { grid: grid_index, hash, bucket_next, next, ..blank };
        if next != NONE {
            self.entries[next].previous = entry;
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
        let &Entry { grid: index, geometry, hash, bucket_next, previous, next, .. } = &self.entries[entry];
        if index == NONE || self.grids[index].entries == 1 || !self.grids[index].is_strict() {
            return self.remove_elsewhere(entry);
        }
        // One of several in a strict grid, which stays so: its root stays as simple as it was.
        let bucket = self.buckets.of(u64::from(hash));
        self.unlist_from_bucket(entry, bucket, bucket_next);
        self.bridge(previous, next);
        let grid = &mut self.grids[index];
        grid.entries -= 1;
        if previous == NONE {
            grid.head = next;
        }
        if grid.geometry != geometry {
            self.geometries.drop(geometry);
        }
        self.entries.give(entry);
    }

    #[inline(never)]
    fn remove_elsewhere(&mut self, entry: u32) {
        let Entry { root: index, geometry, grid, .. } = self.entries[entry];
        let held = grid == NONE || self.grids[grid].geometry != geometry;
        if grid == NONE {
            self.unlist_loose(entry);
        } else {
            self.unlist_from_grid(entry, grid);
        }
        self.entries.give(entry);
        if held {
            self.geometries.drop(geometry);
        }
        let root = &self.roots[index];
        if root.is_empty() {
            self.roots.free(index);
        } else if grid == NONE || root.simple == NONE {
            self.settle(index);
        }
    }

    /// Finds out anew whether the root is simple.
    fn settle(&mut self, index: u32) {
        let root = &mut self.roots[index];
        root.simple = match *root.grids() {
            [grid] if root.loose == NONE && self.grids[grid].is_strict() => {
                root.simple_run_bits = self.grids[grid].run_bits;
                grid
            }
            _ => NONE,
        };
    }

    #[inline]
    fn hash_in_grid(&self, grid: u32, corner: u64) -> u32 {
        hash_of_corner(grid, self.grids[grid].run_bits, corner)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.geometries.clear();
        self.roots.clear();
        self.grids.clear();
        self.buckets.clear();
    }
}

/// The complement keeps roots apart from grids.
fn hash_of_loose(root: u32, corner: u64) -> u32 {
    fold(u64::from(!root), corner) as u32
}
