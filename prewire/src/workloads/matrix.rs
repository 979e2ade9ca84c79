//! A dense row-major matrix of f32.

use prewire_platform_sim::Random;

/// A matrix in the host's memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f32>,
}

impl Matrix {
    pub(super) fn from_fn(rows: usize, columns: usize, mut value: impl FnMut(usize, usize) -> f32) -> Self {
        let mut values = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for column in 0..columns {
                values.push(value(row, column));
            }
        }
        Matrix { rows, columns, values }
    }

    /// Numbers from -1 up to 1.
    pub(super) fn random(rows: usize, columns: usize, random: &mut Random) -> Self {
        Matrix::from_fn(rows, columns, |_, _| random.symmetric())
    }

    pub(super) fn at(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.columns + column]
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }
}

/// The distance between 1 and the next larger f32, halved: the relative error of one rounding.
pub(super) const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;
