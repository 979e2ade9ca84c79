//! A lattice of equal boxes over a buffer: where tiles are looked for.
//!
//! A tile with strides s1 > s2 > … and runs of R bytes splits any byte offset into digits: so many times s1, what is left so
//! many times s2, and so on. Boxes of digits as large as the tile are the cells of the grid. A tile that was cut from a matrix
//! along with its neighbours fills one cell, whether the neighbours lie side by side (contiguous pieces), interleave (square tiles),
//! or run through the whole buffer (column strips).

use super::divider::Divider;
use super::pool::NONE;
use prewire_runtime_core::tensor::{Footprint, MAX_DIMENSIONS};

/// The levels of digits: one per stride and the run.
pub(super) const LEVELS: usize = MAX_DIMENSIONS + 1;

#[derive(Clone, Copy, Debug)]
struct Level {
    /// Bytes per step.
    stride: Divider,
    /// Steps per cell.
    steps: Divider,
    /// Bytes from the first to the last one of the cell, as far as this level and the inner ones reach.
    span: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// The byte that digits are counted from.
    base: u64,
    levels: [Level; LEVELS],
    depth: usize,
    /// If every length is a power of two: the bits of an offset that are clear in a corner.
    corner_bits: Option<u64>,
    /// The bytes of a run, as a power of two at most as large: corners are about so far apart, at least.
    pub(super) run_bits: u8,
    /// Bytes in a cell.
    volume: u64,
    /// The footprint that the cells were made for, held as a user.
    pub(super) geometry: u32,
    /// The regions in the grid, as a list.
    pub(super) head: u32,
    pub(super) entries: u32,
    /// How many of them do not begin at the corner of a cell, and how many reach into the next cell.
    pub(super) off_corner: u32,
    pub(super) crossing: u32,
    /// How many share their cell with an older one.
    pub(super) twins: u32,
}

/// Where a region goes in a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// The first byte of the cell in which the region begins.
    pub(super) corner: u64,
    /// Whether the region reaches into a neighbouring cell.
    pub(super) crossing: bool,
}

/// The least and largest digits of a region's bytes, or a wider range: where a view runs over the end of a row, the inner digits may be anything.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: [u64; LEVELS],
    high: [u64; LEVELS],
}

/// The cells that a region may touch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cells {
    low: [u64; LEVELS],
    high: [u64; LEVELS],
    /// How many there are.
    pub(super) count: u64,
}

impl Grid {
    /// A grid whose cells are `footprint`, with digits counted from `base`.
    pub(super) fn new(base: u64, geometry: u32, footprint: &Footprint) -> Grid {
        let unit = Level { stride: Divider::new(1), steps: Divider::new(1), span: 1 };
        let mut levels = [unit; LEVELS];
        let strides = footprint.strides_bytes();
        for (level, (&stride, &count)) in levels.iter_mut().zip(strides.iter().zip(footprint.counts())) {
            *level = Level { stride: Divider::new(stride), steps: Divider::new(count), span: 1 };
        }
        levels[strides.len()].steps = Divider::new(footprint.run_bytes());
        let depth = strides.len() + 1;
        levels[..depth].iter_mut().rev().fold(1, |inner, level| {
            level.span = inner + (level.steps.divisor() - 1) * level.stride.divisor();
            level.span
        });
        let volume = levels[..depth].iter().fold(1u64, |volume, level| volume.saturating_mul(level.steps.divisor()));
        let powers = levels[..depth]
            .iter()
            .all(|level| level.stride.divisor().is_power_of_two() && level.steps.divisor().is_power_of_two());
        let bits = levels[..depth]
            .iter()
            .fold(0, |bits, level| bits | (level.steps.divisor() - 1).wrapping_mul(level.stride.divisor()));
        let corner_bits = powers.then_some(bits);
        Grid {
            base,
            levels,
            depth,
            corner_bits,
            run_bits: footprint.run_bytes().ilog2() as u8,
            volume,
            geometry,
            head: NONE,
            entries: 0,
            off_corner: 0,
            crossing: 0,
            twins: 0,
        }
    }

    /// Whether every region in the grid has a cell to itself and begins at its corner.
    #[inline]
    pub(super) fn is_strict(&self) -> bool {
        self.off_corner | self.crossing | self.twins == 0
    }

    /// Whether the grid's own footprint, placed at `start`, fills exactly one cell.
    #[inline]
    pub(super) fn is_corner(&self, start: u64) -> bool {
        let Some(offset) = start.checked_sub(self.base) else { return false };
        match self.corner_bits {
            // A cell of such lengths is less than one step of the next level, so that it cannot run over the end of a row.
            Some(bits) => offset & bits == 0,
            None => self.is_corner_offset(offset),
        }
    }

    fn is_corner_offset(&self, offset: u64) -> bool {
        let mut left = offset;
        let mut outer = u64::MAX;
        for level in &self.levels[..self.depth] {
            if left + level.span > outer {
                return false;
            }
            let (digit, rest) = level.stride.divide(left);
            if level.steps.divide(digit).1 != 0 {
                return false;
            }
            left = rest;
            outer = level.stride.divisor();
        }
        true
    }

    /// Where a region goes, if it is a box of about the size of a cell.
    pub(super) fn place(&self, start: u64, footprint: &Footprint) -> Option<Placement> {
        /// How much smaller than a cell a region may be; more of them would crowd one cell.
        const SMALLEST: u64 = 4;
        let bounds = self.bounds(start.checked_sub(self.base)?, footprint);
        let mut placement = Placement { corner: self.base, crossing: false };
        let mut volume = 1u64;
        for (place, level) in self.levels[..self.depth].iter().enumerate() {
            let (low, high) = (bounds.low[place], bounds.high[place]);
            let steps = level.steps.divisor();
            if high - low >= steps {
                return None;
            }
            volume = volume.saturating_mul(high - low + 1);
            let inside = level.steps.divide(low).1;
            placement.crossing |= inside + (high - low) >= steps;
            placement.corner += (low - inside) * level.stride.divisor();
        }
        (volume.saturating_mul(SMALLEST) >= self.volume).then_some(placement)
    }

    /// The cells in which regions may begin that meet the given one; `None` if it begins before the grid does.
    pub(super) fn cells(&self, start: u64, footprint: &Footprint) -> Option<Cells> {
        let bounds = self.bounds(start.checked_sub(self.base)?, footprint);
        let mut cells = Cells { low: [0; LEVELS], high: [0; LEVELS], count: 1 };
        for (place, level) in self.levels[..self.depth].iter().enumerate() {
            let first = level.steps.divide(bounds.low[place]).0;
            // A region no larger than a cell that reaches into this one begins here or one cell before.
            let first = if self.crossing > 0 { first.saturating_sub(1) } else { first };
            let last = level.steps.divide(bounds.high[place]).0;
            cells.low[place] = first;
            cells.high[place] = last;
            cells.count = cells.count.saturating_mul(last - first + 1);
        }
        Some(cells)
    }

    /// Calls `visit` with the corner of each cell.
    pub(super) fn for_each_corner(&self, cells: &Cells, mut visit: impl FnMut(u64)) {
        let mut at = cells.low;
        loop {
            let digits = self.levels[..self.depth].iter().zip(&at);
            visit(digits.fold(self.base, |corner, (level, &cell)| {
                corner.wrapping_add(cell.wrapping_mul(level.steps.divisor()).wrapping_mul(level.stride.divisor()))
            }));
            let mut place = self.depth;
            loop {
                if place == 0 {
                    return;
                }
                place -= 1;
                if at[place] < cells.high[place] {
                    at[place] += 1;
                    break;
                }
                at[place] = cells.low[place];
            }
        }
    }

    fn bounds(&self, offset: u64, footprint: &Footprint) -> Bounds {
        let levels = &self.levels[..self.depth];
        let mut low = [0; LEVELS];
        let mut left = offset;
        for (level, digit) in levels.iter().zip(&mut low) {
            (*digit, left) = level.stride.divide(left);
        }
        let mut high = low;
        for (&stride, &count) in footprint.strides_bytes().iter().zip(footprint.counts()) {
            let mut left = stride;
            for (level, digit) in levels.iter().zip(&mut high) {
                let (step, rest) = level.stride.divide(left);
                *digit += step * (count - 1);
                left = rest;
            }
        }
        high[self.depth - 1] += footprint.run_bytes() - 1;

        let mut bounds = Bounds { low, high };
        // The most that the inner digits add up to.
        let mut reach = 0;
        for place in (0..self.depth).rev() {
            let stride = levels[place].stride.divisor();
            if reach >= stride {
                bounds.high[place] += reach / stride;
                let mut outer = stride;
                for (inner, level) in levels.iter().enumerate().skip(place + 1) {
                    let stride = level.stride.divisor();
                    bounds.low[inner] = 0;
                    bounds.high[inner] = (outer - 1) / stride;
                    outer = stride;
                }
                reach = stride - 1;
            }
            reach += bounds.high[place] * stride;
        }
        bounds
    }
}
