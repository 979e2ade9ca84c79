//! Roots: one per buffer with live regions.

use super::buckets::Buckets;
use super::hash::fold;
use super::pool::{NONE, Pool};
use prewire_runtime_core::id::BufferId;

/// The most grids of one buffer.
pub(super) const GRIDS: usize = 4;

/// What is known of one buffer. One cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Root {
    pub(super) buffer: BufferId,
    /// The key of the buffer's first byte.
    pub(super) base: u64,
    /// The sizes of the loose regions since there was last none, as a bit for each power of two.
    pub(super) loose_levels: u64,
    /// Changes when what a probe of the pending task was told may be so no more: with each region that comes for another probe, or is superseded.
    pub(super) version: u32,
    bucket_next: u32,
    /// The list of loose regions, and how many there are.
    pub(super) loose: u32,
    pub(super) loose_count: u32,
    /// The only grid, if it is strict and nothing is loose; [`NONE`] otherwise.
    pub(super) simple: u32,
    /// What the grid has under this name.
    pub(super) simple_run_bits: u8,
    pub(super) grids: [u32; GRIDS],
    pub(super) grid_count: u8,
    /// The buffer's bytes are gone, so that a failure needs no mark any more.
    pub(super) dropped: bool,
}

const _: () = assert!(size_of::<Root>() == 64);

impl Root {
    #[inline]
    pub(super) fn grids(&self) -> &[u32] {
        &self.grids[..usize::from(self.grid_count)]
    }

    /// Whether the buffer has no region.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.loose_count == 0 && self.grid_count == 0
    }

    pub(super) fn add_grid(&mut self, grid: u32) {
        self.grids[usize::from(self.grid_count)] = grid;
        self.grid_count += 1;
    }

    pub(super) fn remove_grid(&mut self, grid: u32) {
        let last = self.grids().last().copied();
        let place = self.grids().iter().position(|&known| known == grid);
        if let (Some(place), Some(last)) = (place, last) {
            self.grids[place] = last;
            self.grid_count -= 1;
        }
        if self.simple == grid {
            self.simple = NONE;
        }
    }
}

fn hash_of(buffer: BufferId) -> u64 {
    fold(0, buffer.to_bits())
}

/// The key of no buffer: that of a root which is gone, so that nobody takes it for the one it was.
const GONE: BufferId = BufferId::runtime(u64::MAX >> 1);

#[derive(Debug)]
pub(super) struct Roots {
    pool: Pool<Root>,
    buckets: Buckets,
    /// The buffer asked for last, and its root.
    last: Option<(BufferId, u32)>,
    /// No version is used twice, so that a probe recognises a root that has been freed and taken again.
    version: u32,
}

impl Roots {
    pub(super) fn new(capacity: usize) -> Roots {
        Roots { pool: Pool::new(capacity), buckets: Buckets::new(capacity), last: None, version: 0 }
    }

    /// The root of a buffer, or [`NONE`].
    #[inline]
    pub(super) fn find(&mut self, buffer: BufferId) -> u32 {
        match self.last {
            Some((known, root)) if known == buffer => root,
            _ => self.find_other(buffer),
        }
    }

    #[inline(never)]
    fn find_other(&mut self, buffer: BufferId) -> u32 {
        let mut root = self.buckets[self.buckets.of(hash_of(buffer))];
        while root != NONE {
            let record = &self.pool[root];
            if record.buffer == buffer {
                self.last = Some((buffer, root));
                return root;
            }
            root = record.bucket_next;
        }
        NONE
    }

    /// Makes the root of a buffer that has none.
    pub(super) fn add(&mut self, buffer: BufferId, base: u64) -> u32 {
        let bucket = self.buckets.of(hash_of(buffer));
        let (version, bucket_next) = (self.version, self.buckets[bucket]);
        let root = self.pool.take(Root {
            buffer,
            base,
            version,
            bucket_next,
            loose: NONE,
            loose_count: 0,
            loose_levels: 0,
            simple: NONE,
            simple_run_bits: 0,
            grids: [NONE; GRIDS],
            grid_count: 0,
            dropped: false,
        });
        self.buckets[bucket] = root;
        self.buckets.grow(&mut self.pool, |root| hash_of(root.buffer), |root| &mut root.bucket_next);
        self.last = Some((buffer, root));
        root
    }

    /// Notes that probes of the buffer may have been told what is so no more.
    #[inline]
    pub(super) fn change(&mut self, root: u32) {
        self.version = self.version.wrapping_add(1);
        self.pool[root].version = self.version;
    }

    pub(super) fn free(&mut self, root: u32) {
        let Root { buffer, bucket_next, .. } = self.pool[root];
        let bucket = self.buckets.of(hash_of(buffer));
        if self.buckets[bucket] == root {
            self.buckets[bucket] = bucket_next;
        } else {
            let mut before = self.buckets[bucket];
            while self.pool[before].bucket_next != root {
                before = self.pool[before].bucket_next;
            }
            self.pool[before].bucket_next = bucket_next;
        }
        if self.last == Some((buffer, root)) {
            self.last = None;
        }
        self.pool[root].buffer = GONE;
        self.pool.give(root);
    }

    pub(super) fn clear(&mut self) {
        self.pool.clear();
        self.buckets.clear();
        self.last = None;
    }
}

impl std::ops::Index<u32> for Roots {
    type Output = Root;

    #[inline]
    fn index(&self, root: u32) -> &Root {
        &self.pool[root]
    }
}

impl std::ops::IndexMut<u32> for Roots {
    #[inline]
    fn index_mut(&mut self, root: u32) -> &mut Root {
        &mut self.pool[root]
    }
}
