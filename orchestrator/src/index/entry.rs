//! One region that live tasks touch.

use super::pool::NONE;

/// A region, its last writer, and the readers since. One cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Entry {
    /// The first byte within the buffer's key space.
    pub(super) start: u64,
    /// The corner of the grid cell it is listed under.
    pub(super) corner: u64,
    /// What it is found by, in a bucket.
    pub(super) hash: u32,
    /// The number of the cause that the writer retired with if it failed, else [`NONE`].
    pub(super) failed: u32,
    pub(super) geometry: u32,
    pub(super) root: u32,
    /// The grid it is in, [`NONE`] if it is one of the root's loose regions.
    pub(super) grid: u32,
    /// The next entry of the same hash bucket, if it is in a grid.
    pub(super) bucket_next: u32,
    /// Neighbours in the list of the grid's, or the root's loose, regions.
    pub(super) previous: u32,
    pub(super) next: u32,
    /// The slot of the last writer, [`NONE`] if it is gone, and its touch.
    pub(super) writer: u32,
    pub(super) writer_touch: u32,
    /// The newest reader's touch, and how many readers there are.
    pub(super) readers: u32,
    pub(super) reader_count: u32,
}

const _: () = assert!(size_of::<Entry>() == 64);

impl Entry {
    /// What is stored before anything is known.
    pub(super) const BLANK: Entry = Entry::new(0, NONE, NONE);

    pub(super) const fn new(start: u64, geometry: u32, root: u32) -> Entry {
        Entry {
            start,
            corner: start,
            hash: 0,
            failed: NONE,
            geometry,
            root,
            grid: NONE,
            bucket_next: NONE,
            previous: NONE,
            next: NONE,
            writer: NONE,
            writer_touch: NONE,
            readers: NONE,
            reader_count: 0,
        }
    }

    /// Whether nothing is known of the region any more.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.writer == NONE && self.readers == NONE && self.failed == NONE
    }
}
