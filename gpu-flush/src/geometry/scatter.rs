//! Tile and transpose in one index map: from an unpadded image in acquisition order to chunks in storage order.
//!
//! Every dimension is split into a chunk coordinate and a coordinate inside the chunk, each with its own stride in the
//! pool. Chunk strides of append dimensions are 0, because an epoch has one append coordinate.

use std::ops::{Add, AddAssign, Div, Mul, Rem};

use super::places::{Dense, Places, Target};
use crate::config::RANK_MAX;

/// One dimension of the map, in acquisition order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    /// Extent of the image, unpadded.
    extent: u64,
    /// Extent of a chunk.
    chunk: u64,
    /// Pool elements from one chunk to the next.
    chunk_stride: u64,
    /// Pool elements from one element of a chunk to the next.
    within_stride: u64,
}

/// The map from the elements of one epoch's image to elements of the epoch's region in the chunk pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scatter {
    axes: Vec<Axis>,
    /// Elements of the image.
    image_elements: u64,
    /// Elements of the pool region this level's chunks take.
    region_elements: u64,
    /// The axis whose elements are neighbours in the pool.
    fastest: usize,
    /// Image elements between neighbours of the fastest axis.
    fastest_step: u64,
}

/// An integer wide enough for the indices of a map.
trait Counter:
    Copy + Add<Output = Self> + AddAssign + Mul<Output = Self> + Div<Output = Self> + Rem<Output = Self>
{
    fn of(value: u64) -> Self;
}

impl Counter for u32 {
    fn of(value: u64) -> Self {
        value as u32
    }
}

impl Counter for u64 {
    fn of(value: u64) -> Self {
        value
    }
}

impl Scatter {
    /// Builds the map. `image` and `order` describe acquisition order (`order[storage position] = acquisition dimension`),
    /// `chunk_shape` and `chunk_counts` storage order; `chunk_stride` is in elements.
    pub(super) fn new(
        image: &[u64],
        chunk_shape: &[u64],
        chunk_counts: &[u64],
        order: &[usize],
        append_dimensions: usize,
        chunk_stride: u64,
    ) -> Self {
        let mut axes = vec![Axis { extent: 0, chunk: 0, chunk_stride: 0, within_stride: 0 }; image.len()];
        let (mut within_stride, mut stride) = (1, chunk_stride);
        for position in (0..order.len()).rev() {
            let append = position < append_dimensions;
            axes[order[position]] = Axis {
                extent: image[order[position]],
                chunk: chunk_shape[position],
                chunk_stride: if append { 0 } else { stride },
                within_stride,
            };
            within_stride *= chunk_shape[position];
            if !append {
                stride *= chunk_counts[position];
            }
        }
        // The neighbours in the pool belong to the last storage dimension whose chunks are longer than one element.
        let fastest = order.iter().rev().copied().find(|&axis| axes[axis].chunk > 1).unwrap_or(order[order.len() - 1]);
        Scatter {
            image_elements: image.iter().product(),
            region_elements: stride,
            fastest,
            fastest_step: image[fastest + 1..].iter().product(),
            axes,
        }
    }

    /// Elements of the image.
    #[must_use]
    pub fn image_elements(&self) -> u64 {
        self.image_elements
    }

    /// Elements of the pool that the level's chunks of one epoch take.
    #[must_use]
    pub fn region_elements(&self) -> u64 {
        self.region_elements
    }

    /// Pool strides of the chunk coordinates, in elements and acquisition order.
    #[must_use]
    pub fn chunk_strides(&self) -> Vec<u64> {
        self.axes.iter().map(|axis| axis.chunk_stride).collect()
    }

    /// Pool strides of the coordinates inside a chunk, in elements and acquisition order.
    #[must_use]
    pub fn within_strides(&self) -> Vec<u64> {
        self.axes.iter().map(|axis| axis.within_stride).collect()
    }

    /// Whether every index of the map fits 32 bits.
    #[must_use]
    pub fn fits_u32(&self) -> bool {
        self.image_elements <= u64::from(u32::MAX) && self.region_elements <= u64::from(u32::MAX)
    }

    /// The pool element of image element `index`, which must be below [`Scatter::image_elements`].
    #[must_use]
    pub fn destination(&self, index: u64) -> u64 {
        self.map::<u64>(index)
    }

    /// As [`Scatter::destination`] with 32-bit arithmetic; right where [`Scatter::fits_u32`].
    #[must_use]
    pub fn destination_u32(&self, index: u32) -> u32 {
        self.map::<u32>(index)
    }

    fn map<I: Counter>(&self, index: I) -> I {
        let (mut rest, mut pool) = (index, I::of(0));
        for axis in self.axes.iter().rev() {
            let coordinate = rest % I::of(axis.extent);
            rest = rest / I::of(axis.extent);
            pool += coordinate / I::of(axis.chunk) * I::of(axis.chunk_stride)
                + coordinate % I::of(axis.chunk) * I::of(axis.within_stride);
        }
        pool
    }

    /// Copies the image elements from `first` on, as many as `source` holds, into the region `pool` of one epoch.
    /// Both are bytes of `element_bytes` (1, 2, 4 or 8) per element.
    ///
    /// # Panics
    ///
    /// When `source` reaches past the image or `pool` is shorter than the region.
    pub fn scatter(&self, first: u64, source: &[u8], pool: &mut [u8], element_bytes: usize) {
        self.check(first, source.len(), pool.len(), element_bytes);
        let length = pool.len();
        // SAFETY: `pool` is exclusively borrowed and `check` proved that the region fits it.
        unsafe { self.scatter_raw(first, source, pool.as_mut_ptr(), length, element_bytes) }
    }

    /// As [`Scatter::scatter_raw`], with each chunk at its place in the shards of a batch, of which the image is epoch `epoch`.
    ///
    /// # Safety
    ///
    /// As for [`Scatter::scatter_raw`].
    ///
    /// # Panics
    ///
    /// When `source` reaches past the image, or the places are another geometry's or reach past `batch_bytes`.
    pub unsafe fn scatter_to_shards(
        &self,
        first: u64,
        source: &[u8],
        batch: *mut u8,
        batch_bytes: usize,
        (places, epoch): (&Places, u64),
        element_bytes: usize,
    ) {
        self.check_source(first, source.len(), element_bytes);
        places.check(self.region_elements * element_bytes as u64, epoch, batch_bytes as u64);
        // SAFETY: the caller's promise; the places of one epoch are disjoint, and `Places::check` proved that they are inside the batch.
        unsafe { self.scatter_with(first, source, places.target(batch, epoch), element_bytes) }
    }

    fn check_source(&self, first: u64, source_bytes: usize, element_bytes: usize) {
        let count = (source_bytes / element_bytes) as u64;
        assert_eq!(source_bytes % element_bytes, 0, "the source ends inside an element");
        assert!(first + count <= self.image_elements, "the source reaches past the image");
    }

    fn check(&self, first: u64, source_bytes: usize, pool_bytes: usize, element_bytes: usize) {
        self.check_source(first, source_bytes, element_bytes);
        assert!(
            self.region_elements * element_bytes as u64 <= pool_bytes as u64,
            "the pool is shorter than the region"
        );
    }

    /// As [`Scatter::scatter`], for several threads that fill one region from disjoint parts of the image: the map is
    /// injective, so they write disjoint elements.
    ///
    /// # Safety
    ///
    /// `pool` is valid for writes of `pool_bytes`, nobody reads it meanwhile, and nobody else writes the elements that this
    /// part of the image maps to.
    ///
    /// # Panics
    ///
    /// When `source` reaches past the image or the pool is shorter than the region.
    pub unsafe fn scatter_raw(
        &self,
        first: u64,
        source: &[u8],
        pool: *mut u8,
        pool_bytes: usize,
        element_bytes: usize,
    ) {
        self.check(first, source.len(), pool_bytes, element_bytes);
        // SAFETY: the caller's promise, and `check` proved that every destination is inside the pool.
        unsafe { self.scatter_with(first, source, Dense(pool), element_bytes) }
    }

    /// # Safety
    ///
    /// As [`Scatter::typed`].
    unsafe fn scatter_with<T: Target>(&self, first: u64, source: &[u8], target: T, element_bytes: usize) {
        match element_bytes {
            // SAFETY: the caller's promise.
            1 => unsafe { self.typed::<1, T>(first, source, target) },
            // SAFETY: as above.
            2 => unsafe { self.typed::<2, T>(first, source, target) },
            // SAFETY: as above.
            4 => unsafe { self.typed::<4, T>(first, source, target) },
            // SAFETY: as above.
            8 => unsafe { self.typed::<8, T>(first, source, target) },
            _ => unreachable!("element sizes are 1, 2, 4 and 8"),
        }
    }

    /// Walks the image in blocks of one whole row of the fastest axis with all its faster neighbours, and the ragged ends by element.
    ///
    /// # Safety
    ///
    /// `pool` has a place for every destination of the part, valid for writes and unshared.
    unsafe fn typed<const N: usize, T: Target>(&self, first: u64, source: &[u8], pool: T) {
        let (source, rest) = source.as_chunks::<N>();
        debug_assert!(rest.is_empty());
        let block = self.axes[self.fastest].extent * self.fastest_step;
        let last = first + source.len() as u64;
        let mut index = first;
        while index < last {
            let part = &source[(index - first) as usize..];
            let into_block = index % block;
            if into_block == 0 && last - index >= block {
                let mut outer = Outer::at(self, index / block);
                for block in part.chunks_exact(block as usize) {
                    // SAFETY: a whole block of the image maps inside the region.
                    unsafe { self.block::<N, T>(outer.pool, block, pool) };
                    outer.advance(self);
                }
                index += part.len() as u64 / block * block;
            } else {
                let count = (block - into_block).min(last - index);
                let (base, part) = (self.block_place(index / block), &part[..count as usize]);
                // SAFETY: the part of the block maps inside the region.
                unsafe { self.block_part::<N, T>(base, into_block, part, pool) };
                index += count;
            }
        }
    }

    /// The pool element of the first element of block number `block` of the image.
    fn block_place(&self, block: u64) -> u64 {
        let (mut rest, mut pool) = (block, 0);
        for axis in self.axes[..self.fastest].iter().rev() {
            let coordinate = rest % axis.extent;
            rest /= axis.extent;
            pool += coordinate / axis.chunk * axis.chunk_stride + coordinate % axis.chunk * axis.within_stride;
        }
        pool
    }

    /// Copies part of a block, from its element `start` on; the block's first element goes to `base`.
    ///
    /// # Safety
    ///
    /// As [`Scatter::typed`].
    unsafe fn block_part<const N: usize, T: Target>(&self, base: u64, start: u64, part: &[[u8; N]], pool: T) {
        match self.fastest_step {
            // SAFETY: the caller's promise.
            1 => unsafe { self.row_part::<N, T>(base, start, part, pool) },
            // SAFETY: the caller's promise.
            2 => unsafe { self.groups::<N, 2, T>(base, start, part, pool) },
            // SAFETY: the caller's promise.
            3 => unsafe { self.groups::<N, 3, T>(base, start, part, pool) },
            // SAFETY: the caller's promise.
            4 => unsafe { self.groups::<N, 4, T>(base, start, part, pool) },
            step => {
                for lane in 0..step.min(part.len() as u64) {
                    // Only lanes that the part touches: as many as it has elements, from where it starts.
                    let lane = (start + lane) % step;
                    // SAFETY: the caller's promise.
                    unsafe { self.lane::<N, T>(base, lane, start, part, pool) };
                }
            }
        }
    }

    /// Copies part of a block of `S` lanes: whole coordinates of the fastest axis together, the elements before and behind one by one.
    ///
    /// # Safety
    ///
    /// As [`Scatter::typed`].
    unsafe fn groups<const N: usize, const S: usize, T: Target>(
        &self,
        base: u64,
        start: u64,
        part: &[[u8; N]],
        pool: T,
    ) {
        let step = S as u64;
        let head = ((step - start % step) % step).min(part.len() as u64) as usize;
        let (head, rest) = part.split_at(head);
        let (groups, tail) = rest.split_at(rest.len() / S * S);
        let first_group = start + head.len() as u64;
        // SAFETY: the caller's promise; these coordinates are whole.
        unsafe { self.lanes::<N, S, T>(base, first_group / step, groups, pool) };
        let behind = first_group + groups.len() as u64;
        let singles = (start..).zip(head).chain((behind..).zip(tail));
        for (at, element) in singles {
            let (axis, coordinate) = (self.axes[self.fastest], at / step);
            let place = coordinate / axis.chunk * axis.chunk_stride + coordinate % axis.chunk;
            // SAFETY: the element is one of the block's, which maps inside the region.
            let place = unsafe { pool.at::<N>(base + self.trailing(at % step) + place) };
            // SAFETY: `place` is valid for a write; `[u8; N]` has no alignment.
            unsafe { place.write(*element) };
        }
    }

    /// Copies part of one row of the fastest axis when it is also the fastest of the image: runs of at most a chunk.
    ///
    /// # Safety
    ///
    /// As [`Scatter::typed`].
    unsafe fn row_part<const N: usize, T: Target>(&self, row: u64, start: u64, part: &[[u8; N]], pool: T) {
        let axis = self.axes[self.fastest];
        let (mut coordinate, mut done) = (start, 0);
        while done < part.len() {
            let within = coordinate % axis.chunk;
            let run = ((axis.chunk - within) as usize).min(part.len() - done);
            let destination = row + coordinate / axis.chunk * axis.chunk_stride + within;
            // SAFETY: the run stays inside one chunk of the region.
            let place = unsafe { pool.at::<N>(destination) };
            // SAFETY: source and pool do not overlap, and both hold `run` elements from here.
            unsafe { std::ptr::copy_nonoverlapping(part[done..].as_ptr(), place, run) };
            done += run;
            coordinate += run as u64;
        }
    }

    /// Copies a whole block: every run of the fastest axis for every combination of the faster image axes.
    ///
    /// # Safety
    ///
    /// As [`Scatter::typed`].
    unsafe fn block<const N: usize, T: Target>(&self, base: u64, block: &[[u8; N]], pool: T) {
        match self.fastest_step {
            // SAFETY: a whole block maps inside the region.
            1 => unsafe { self.row_part::<N, T>(base, 0, block, pool) },
            // SAFETY: a whole block maps inside the region.
            2 => unsafe { self.lanes::<N, 2, T>(base, 0, block, pool) },
            // SAFETY: a whole block maps inside the region.
            3 => unsafe { self.lanes::<N, 3, T>(base, 0, block, pool) },
            // SAFETY: a whole block maps inside the region.
            4 => unsafe { self.lanes::<N, 4, T>(base, 0, block, pool) },
            step => {
                for lane in 0..step {
                    // SAFETY: the lane of a whole block maps inside the region.
                    unsafe { self.lane::<N, T>(base, lane, 0, block, pool) };
                }
            }
        }
    }

    /// Copies one lane, every `fastest_step`-th element, of a part of a block that starts `start` elements into it.
    ///
    /// # Safety
    ///
    /// As [`Scatter::typed`].
    unsafe fn lane<const N: usize, T: Target>(&self, base: u64, lane: u64, start: u64, part: &[[u8; N]], pool: T) {
        let (axis, step) = (self.axes[self.fastest], self.fastest_step);
        let first = start + (lane + step - start % step) % step;
        let end = start + part.len() as u64;
        let lane_base = base + self.trailing(lane);
        let mut at = first;
        while at < end {
            let coordinate = at / step;
            let within = coordinate % axis.chunk;
            let run = (axis.chunk - within).min((end - at).div_ceil(step)) as usize;
            let destination = lane_base + coordinate / axis.chunk * axis.chunk_stride + within;
            // SAFETY: the run stays inside one chunk of the region.
            let place = unsafe { pool.at::<N>(destination) };
            let from = &part[(at - start) as usize..];
            for (offset, element) in from.iter().step_by(step as usize).take(run).enumerate() {
                // SAFETY: `offset` is below `run`, which the chunk holds from here.
                let place = unsafe { place.add(offset) };
                // SAFETY: `place` is valid for a write; `[u8; N]` has no alignment.
                unsafe { place.write(*element) };
            }
            at += run as u64 * step;
        }
    }

    /// Copies a part of a block that starts at coordinate `start` of the fastest axis, all `S` lanes of it: a run of one chunk
    /// at a time, so that its input is read from the first cache.
    ///
    /// # Safety
    ///
    /// As [`Scatter::typed`].
    unsafe fn lanes<const N: usize, const S: usize, T: Target>(
        &self,
        base: u64,
        start: u64,
        part: &[[u8; N]],
        pool: T,
    ) {
        let axis = self.axes[self.fastest];
        let (groups, _) = part.as_chunks::<S>();
        let bases: [u64; S] = std::array::from_fn(|lane| base + self.trailing(lane as u64));
        let mut done = 0;
        while done < groups.len() {
            let coordinate = start + done as u64;
            let within = coordinate % axis.chunk;
            let run = ((axis.chunk - within) as usize).min(groups.len() - done);
            let run_groups = &groups[done..done + run];
            for (lane, lane_base) in bases.into_iter().enumerate() {
                let destination = lane_base + coordinate / axis.chunk * axis.chunk_stride + within;
                // SAFETY: the run stays inside one chunk of the region; callers hand over parts that map inside it.
                let place = unsafe { pool.at::<N>(destination) };
                // SAFETY: the run's elements are valid for writes, nobody else writes them, and bytes need no alignment.
                let places = unsafe { std::slice::from_raw_parts_mut(place, run) };
                for (place, group) in places.iter_mut().zip(run_groups) {
                    *place = group[lane];
                }
            }
            done += run;
        }
    }

    /// The pool offset that the image axes faster than the fastest pool axis contribute.
    fn trailing(&self, lane: u64) -> u64 {
        let (mut rest, mut pool) = (lane, 0);
        for axis in self.axes[self.fastest + 1..].iter().rev() {
            let coordinate = rest % axis.extent;
            rest /= axis.extent;
            pool += coordinate / axis.chunk * axis.chunk_stride + coordinate % axis.chunk * axis.within_stride;
        }
        pool
    }
}

/// The coordinates of a block along the axes slower than the fastest pool axis, stepped without a division.
struct Outer {
    /// Of each axis the coordinate in the image and the one in its chunk.
    at: [(u64, u64); RANK_MAX],
    /// The pool element of the block's first element.
    pool: u64,
}

impl Outer {
    /// Block number `block` of the image.
    fn at(scatter: &Scatter, block: u64) -> Self {
        let mut outer = Outer { at: [(0, 0); RANK_MAX], pool: 0 };
        let mut rest = block;
        for (axis, at) in scatter.axes[..scatter.fastest].iter().zip(&mut outer.at).rev() {
            let coordinate = rest % axis.extent;
            rest /= axis.extent;
            *at = (coordinate, coordinate % axis.chunk);
            outer.pool += coordinate / axis.chunk * axis.chunk_stride + at.1 * axis.within_stride;
        }
        outer
    }

    /// Goes on to the next block; behind the last one it starts over.
    fn advance(&mut self, scatter: &Scatter) {
        for (axis, (coordinate, inside)) in scatter.axes[..scatter.fastest].iter().zip(&mut self.at).rev() {
            *coordinate += 1;
            *inside += 1;
            if *coordinate == axis.extent {
                let last = axis.extent - 1;
                self.pool -= last / axis.chunk * axis.chunk_stride + last % axis.chunk * axis.within_stride;
                (*coordinate, *inside) = (0, 0);
                continue;
            }
            self.pool += axis.within_stride;
            if *inside == axis.chunk {
                self.pool += axis.chunk_stride;
                self.pool -= axis.chunk * axis.within_stride;
                *inside = 0;
            }
            return;
        }
    }
}
