//! Walks the windows of a reduction: for each row of the result, the source rows that fall into it.

use crate::config::RANK_MAX;

/// A reduction of an image: each dimension either keeps its extent or becomes half of it, rounded up.
pub(super) struct Windows<'a> {
    source: &'a [u64],
    result: &'a [u64],
    halved: [bool; RANK_MAX],
    /// Elements that move together: the extents behind the last dimension of the walk.
    lanes: usize,
}

/// One row of the result: where it starts, and the starts of the source rows of its windows.
pub(super) struct Row<'a> {
    pub(super) result: usize,
    pub(super) sources: &'a [usize],
}

/// Source rows of a window that fit the stack; more go to the heap.
const ROWS_ON_STACK: usize = 32;

impl<'a> Windows<'a> {
    /// # Panics
    ///
    /// When a result extent is neither the source's nor half of it rounded up.
    pub(super) fn new(source: &'a [u64], result: &'a [u64]) -> Self {
        assert_eq!(source.len(), result.len(), "the ranks differ");
        let mut halved = [false; RANK_MAX];
        for (dimension, (&from, &to)) in source.iter().zip(result).enumerate() {
            assert!(to == from || to == from.div_ceil(2), "dimension {dimension} cannot go from {from} to {to}");
            halved[dimension] = to != from;
        }
        Windows { source, result, halved, lanes: 1 }
    }

    /// As [`Windows::new`], with the trailing dimensions that keep their extent taken as lanes of one element: an image with
    /// its channels innermost has rows of a channel's width otherwise.
    pub(super) fn with_lanes(source: &'a [u64], result: &'a [u64]) -> Self {
        let windows = Windows::new(source, result);
        match windows.halved[..source.len()].iter().rposition(|halved| *halved) {
            Some(last) => {
                let lanes = source[last + 1..].iter().product::<u64>() as usize;
                Windows { source: &source[..=last], result: &result[..=last], lanes, ..windows }
            }
            None => windows,
        }
    }

    /// Elements that move together.
    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Elements of a result row, elements of a source row, and whether rows are halved.
    pub(super) fn row_shape(&self) -> (usize, usize, bool) {
        let last = self.source.len() - 1;
        (self.result[last] as usize * self.lanes, self.source[last] as usize * self.lanes, self.halved[last])
    }

    /// Calls `visit` for each row of the result, in order. The source rows of a window come in the source's order.
    pub(super) fn for_each_row(&self, mut visit: impl FnMut(Row<'_>)) {
        let outer = self.source.len() - 1;
        let (result_row, source_row, _) = self.row_shape();
        let rows: u64 = self.result[..outer].iter().product();
        let window = 1usize << self.halved[..outer].iter().filter(|halved| **halved).count();
        let mut stack = [0; ROWS_ON_STACK];
        let mut heap = if window > ROWS_ON_STACK { vec![0; window] } else { Vec::new() };
        let sources = if window > ROWS_ON_STACK { &mut heap[..] } else { &mut stack[..] };
        let mut at = [0u64; RANK_MAX];
        for row in 0..rows as usize {
            let count = self.source_rows(&at[..outer], sources);
            for start in &mut sources[..count] {
                *start *= source_row;
            }
            visit(Row { result: row * result_row, sources: &sources[..count] });
            for dimension in (0..outer).rev() {
                at[dimension] += 1;
                if at[dimension] < self.result[dimension] {
                    break;
                }
                at[dimension] = 0;
            }
        }
    }

    /// Writes the indices of the source rows that belong to the result row at `at`, and returns how many there are.
    fn source_rows(&self, at: &[u64], sources: &mut [usize]) -> usize {
        sources[0] = 0;
        let mut count = 1;
        for (dimension, &coordinate) in at.iter().enumerate() {
            let extent = self.source[dimension];
            if !self.halved[dimension] {
                for source in &mut sources[..count] {
                    *source = *source * extent as usize + coordinate as usize;
                }
                continue;
            }
            let pair = 2 * coordinate + 1 < extent;
            for index in (0..count).rev() {
                let first = sources[index] * extent as usize + 2 * coordinate as usize;
                if pair {
                    sources[2 * index] = first;
                    sources[2 * index + 1] = first + 1;
                } else {
                    sources[index] = first;
                }
            }
            count <<= u32::from(pair);
        }
        count
    }
}
