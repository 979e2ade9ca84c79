//! Which bytes a layout covers, counted from its first one, in a form in which equal sets look equal.

use super::{MAX_DIMENSIONS, Overlap, TensorLayout, overlap};

/// The bytes that a layout covers, relative to the first of them: runs of contiguous bytes, repeated along up to five strides.
///
/// The form is canonical. Dimensions of length 1 are gone, strides rise strictly towards the front, and whatever continues
/// an inner dimension has been merged into it, so that layouts which differ only in shape, element type or order of
/// dimensions give the same footprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Footprint {
    run_bytes: u64,
    span_bytes: u64,
    counts: [u64; MAX_DIMENSIONS],
    strides_bytes: [u64; MAX_DIMENSIONS],
    dimensions: u8,
}

impl Footprint {
    /// The bytes that `layout` covers; `None` if it covers none.
    pub fn new(layout: &TensorLayout) -> Option<Footprint> {
        if layout.is_empty() {
            return None;
        }
        let element_bytes = layout.data_type().bytes();
        // Innermost first while merging.
        let mut steps = [(0u64, 0u64); MAX_DIMENSIONS];
        let mut used = 0;
        for (&length, &stride) in layout.shape().iter().zip(layout.strides()).rev() {
            if length > 1 {
                let step = (u64::from(stride) * element_bytes, u64::from(length));
                let mut place = used;
                while place > 0 && steps[place - 1].0 > step.0 {
                    steps[place] = steps[place - 1];
                    place -= 1;
                }
                steps[place] = step;
                used += 1;
            }
        }
        let mut run_bytes = element_bytes;
        let mut merged = 0;
        for place in 0..used {
            let (stride, count) = steps[place];
            if merged == 0 && stride <= run_bytes {
                run_bytes += (count - 1) * stride;
            } else if merged > 0 && continues(steps[merged - 1], stride) {
                let (inner_stride, inner_count) = steps[merged - 1];
                steps[merged - 1].1 = inner_count + (count - 1) * (stride / inner_stride);
            } else {
                steps[merged] = (stride, count);
                merged += 1;
            }
        }
        let mut footprint = Footprint {
            run_bytes,
            span_bytes: layout.bytes(),
            counts: [1; MAX_DIMENSIONS],
            strides_bytes: [0; MAX_DIMENSIONS],
            dimensions: merged as u8,
        };
        for (place, &(stride, count)) in steps[..merged].iter().rev().enumerate() {
            footprint.strides_bytes[place] = stride;
            footprint.counts[place] = count;
        }
        Some(footprint)
    }

    /// The length in bytes of the innermost contiguous runs.
    #[inline]
    pub const fn run_bytes(&self) -> u64 {
        self.run_bytes
    }

    /// The bytes from the first to the last one, both included and gaps counted.
    #[inline]
    pub const fn span_bytes(&self) -> u64 {
        self.span_bytes
    }

    /// Whether the bytes are one contiguous run.
    #[inline]
    pub const fn is_contiguous(&self) -> bool {
        self.dimensions == 0
    }

    /// How often the runs repeat along each stride, outermost first; each count is at least 2.
    #[inline]
    pub fn counts(&self) -> &[u64] {
        &self.counts[..usize::from(self.dimensions)]
    }

    /// The distance between repetitions in bytes, outermost and largest first.
    #[inline]
    pub fn strides_bytes(&self) -> &[u64] {
        &self.strides_bytes[..usize::from(self.dimensions)]
    }

    /// How the bytes of this footprint at `start` lie to those of `other` at `other_start` in the same buffer.
    #[inline]
    pub fn overlap(&self, start: u64, other: &Footprint, other_start: u64) -> Overlap {
        overlap::overlap((start, self), (other_start, other))
    }

    /// Whether this footprint at `start` shares a byte with `other` at `other_start` in the same buffer.
    #[inline]
    pub fn intersects(&self, start: u64, other: &Footprint, other_start: u64) -> bool {
        overlap::intersects((start, self), (other_start, other))
    }

    /// The number of contiguous runs, with the runs of dimensions that overlap each other counted as often as they occur.
    #[inline]
    pub fn runs(&self) -> u64 {
        self.counts().iter().fold(1u64, |product, &count| product.saturating_mul(count))
    }
}

/// Whether repeating `inner` = (stride, count) at `stride` fills the same progression without a gap.
fn continues(inner: (u64, u64), stride: u64) -> bool {
    let (inner_stride, inner_count) = inner;
    stride.is_multiple_of(inner_stride) && stride / inner_stride <= inner_count
}
