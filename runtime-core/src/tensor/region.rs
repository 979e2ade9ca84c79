//! A set of bytes of one buffer.

use super::{Footprint, Overlap, TensorLayout, overlap};

/// The bytes that a tensor covers within its buffer: a footprint and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    start: u64,
    footprint: Footprint,
}

impl Region {
    /// The bytes that `layout` covers from byte `start` of the buffer's key space; `None` if it covers none.
    pub fn new(start: u64, layout: &TensorLayout) -> Option<Region> {
        Footprint::new(layout).map(|footprint| Region { start, footprint })
    }

    /// A footprint at a place.
    #[inline]
    pub const fn of(start: u64, footprint: Footprint) -> Region {
        Region { start, footprint }
    }

    /// The first byte.
    #[inline]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// One past the last byte.
    #[inline]
    pub const fn end(&self) -> u64 {
        self.start + self.footprint.span_bytes()
    }

    /// The bytes relative to the first one.
    #[inline]
    pub const fn footprint(&self) -> &Footprint {
        &self.footprint
    }

    /// How the bytes of this region lie to those of `other`, a region of the same buffer.
    #[inline]
    pub fn overlap(&self, other: &Region) -> Overlap {
        overlap::overlap((self.start, &self.footprint), (other.start, &other.footprint))
    }

    /// Whether the two share a byte; cheaper than [`Region::overlap`] when covering does not matter.
    #[inline]
    pub fn intersects(&self, other: &Region) -> bool {
        overlap::intersects((self.start, &self.footprint), (other.start, &other.footprint))
    }
}
