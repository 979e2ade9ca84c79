//! A = L·Lᵀ in f32, right-looking by tiles. Vector cores factor the diagonal tile and solve for the tiles below it; cube cores multiply those tiles
//! with one another, and vector cores subtract the products from what remains. Only the lower half is touched.

use super::matrix::{Matrix, ROUNDING};
use super::target::scope;
use super::tiles::{dot, extents, multiply_transposed, subtract, tile};
use super::{Check, Kind, SizeOption, Sizes, Target, Workload, WorkloadError};
use prewire::{
    Argument, Buffer, DataType, Kernel, KernelContext, KernelError, KernelFailure, KernelId, NewTensor, Runtime,
    Scalar, SubmitError, Task, Tensor,
};
use prewire_platform_sim::Random;

pub(super) const KIND: Kind = Kind {
    name: "cholesky",
    meaning: "A = L·Lᵀ: products on cube cores, factors, solutions and differences on vector cores",
    sizes: &[
        SizeOption { name: "size", default: 768, least: 1, most: 1 << 15, meaning: "rows and columns of A" },
        SizeOption { name: "tile", default: 64, least: 1, most: 4096, meaning: "rows and columns of a tile" },
    ],
    input: Some("A, symmetric and positive definite; its shape gives --size"),
    create,
};

/// The code of the failure of a matrix that has no factor.
const NOT_POSITIVE_DEFINITE: i32 = 1;

struct Cholesky {
    a: Matrix,
    tile: usize,
    ready: Option<Ready>,
}

struct Ready {
    buffer: Buffer,
    matrix: Tensor,
    factor: KernelId,
    solve: KernelId,
    multiply: KernelId,
    subtract: KernelId,
}

fn create(sizes: &Sizes, seed: u64, input: Option<Matrix>) -> Result<Box<dyn Workload>, WorkloadError> {
    let a = match input {
        None => positive_definite(sizes.of("size"), seed),
        Some(matrix) => {
            if matrix.rows != matrix.columns {
                let text = format!("--input: {} x {} is not square", matrix.rows, matrix.columns);
                return Err(WorkloadError::Input(text));
            }
            if sizes.is_given("size") && sizes.of("size") != matrix.rows {
                let text = format!("--size {} and --input disagree: the file says {}", sizes.of("size"), matrix.rows);
                return Err(WorkloadError::Input(text));
            }
            if let Some((row, column)) = asymmetry(&matrix) {
                let text = format!(
                    "--input: not symmetric: [{row}, {column}] is {} and [{column}, {row}] is {}",
                    matrix.at(row, column),
                    matrix.at(column, row)
                );
                return Err(WorkloadError::Input(text));
            }
            matrix
        }
    };
    Ok(Box::new(Cholesky { a, tile: sizes.of("tile"), ready: None }))
}

/// Where a matrix differs from its transpose by more than rounding, if it does.
fn asymmetry(matrix: &Matrix) -> Option<(usize, usize)> {
    let differs = |row: usize, column: usize| {
        let (lower, upper) = (matrix.at(row, column), matrix.at(column, row));
        (lower - upper).abs() > 4.0 * f32::EPSILON * lower.abs().max(upper.abs())
    };
    (0..matrix.rows)
        .flat_map(|row| (0..row).map(move |column| (row, column)))
        .find(|&(row, column)| differs(row, column))
}

/// D·K·D with a correlation K of neighbours, 0.9 to the power of their distance, and random positive D: positive definite by construction, and by no
/// means dominated by its diagonal.
fn positive_definite(size: usize, seed: u64) -> Matrix {
    let mut random = Random::new(seed);
    let scales: Vec<f64> = (0..size).map(|_| 1.25 + 0.75 * f64::from(random.symmetric())).collect();
    let powers: Vec<f64> = (0..size).map(|distance| 0.9f64.powi(distance as i32)).collect();
    Matrix::from_fn(size, size, |row, column| (scales[row] * scales[column] * powers[row.abs_diff(column)]) as f32)
}

/// Vector: the factor of a diagonal tile, in place; scalar 0 is the tile's first row in the matrix.
fn factor(context: &KernelContext<'_>) -> Result<(), KernelError> {
    let first = context.scalar::<u64>(0)?;
    let mut tile = context.output::<f32>(0)?;
    let (size, _) = extents(tile.shape());
    // The rows above the current one are read while it is written, so they are kept in a copy.
    let mut above: Vec<Vec<f32>> = Vec::with_capacity(size);
    for row in 0..size {
        let current = tile.row_mut(&[row]);
        for column in 0..row {
            let rest = current[column] - dot(&current[..column], &above[column][..column]);
            current[column] = rest / above[column][column];
        }
        let pivot = current[row] - dot(&current[..row], &current[..row]);
        // A pivot that is no number fails, too.
        if !(pivot > 0.0 && pivot.is_finite()) {
            let number = first + row as u64;
            let text = format!("the matrix is not positive definite: pivot {number} (counted from 0) is {pivot}");
            return Err(KernelError::new(NOT_POSITIVE_DEFINITE, text));
        }
        current[row] = pivot.sqrt();
        above.push(current[..=row].to_vec());
    }
    Ok(())
}

/// Vector: X such that X · Lᵀ = argument 1, in its place, with L the lower half of argument 0.
fn solve(context: &KernelContext<'_>) -> Result<(), KernelError> {
    let lower = context.input::<f32>(0)?;
    let mut solution = context.output::<f32>(1)?;
    let (rows, columns) = extents(solution.shape());
    for row in 0..rows {
        let current = solution.row_mut(&[row]);
        for column in 0..columns {
            let factors = lower.row(&[column]);
            let rest = current[column] - dot(&current[..column], &factors[..column]);
            current[column] = rest / factors[column];
        }
    }
    Ok(())
}

impl Workload for Cholesky {
    fn description(&self) -> String {
        format!("A = L·Lᵀ, {0} x {0} in tiles of {1}", self.a.rows, self.tile)
    }

    fn set_up(&mut self, runtime: &mut Runtime) -> Result<(), WorkloadError> {
        let buffer = runtime.buffer_from(&self.a.values)?;
        let size = self.a.rows as u32;
        self.ready = Some(Ready {
            matrix: buffer.tensor(&[size, size], DataType::F32)?,
            buffer,
            factor: runtime.register(Kernel::vector("factor", factor))?,
            solve: runtime.register(Kernel::vector("solve", solve))?,
            multiply: runtime.register(Kernel::cube("multiply transposed", multiply_transposed))?,
            subtract: runtime.register(Kernel::vector("subtract", subtract))?,
        });
        Ok(())
    }

    fn tasks(&self) -> u64 {
        // Behind each diagonal tile of n: n solutions, and n(n+1)/2 products with as many differences.
        (0..self.a.rows.div_ceil(self.tile) as u64).map(|below| 1 + below + below * (below + 1)).sum()
    }

    fn orchestrate(&self, target: &mut dyn Target, submitted: &mut dyn FnMut(u64)) -> Result<(), SubmitError> {
        let ready = self.ready.as_ref().expect("it has been set up");
        let tiles = self.a.rows.div_ceil(self.tile);
        let at = |row: usize, column: usize| tile(&ready.matrix, row, column, [self.tile, self.tile]);
        let mut done = 0;
        for step in 0..tiles {
            let diagonal = at(step, step)?;
            let first = [Scalar::from((step * self.tile) as u64)];
            target.submit(&Task::vector(ready.factor).arguments(&[Argument::InOut(&diagonal)]).scalars(&first))?;
            done += 1;
            for row in step + 1..tiles {
                let below = at(row, step)?;
                let arguments = [Argument::Input(&diagonal), Argument::InOut(&below)];
                target.submit(&Task::vector(ready.solve).arguments(&arguments))?;
                done += 1;
            }
            submitted(done);
            for row in step + 1..tiles {
                let left = at(row, step)?;
                for column in step + 1..=row {
                    let right = at(column, step)?;
                    let rest = at(row, column)?;
                    scope(target, |target| {
                        let product = NewTensor::new(rest.shape(), DataType::F32);
                        let arguments = [Argument::Input(&left), Argument::Input(&right), Argument::Output(product)];
                        let product = target.submit(&Task::cube(ready.multiply).arguments(&arguments))?.outputs[0];
                        let arguments = [Argument::InOut(&rest), Argument::Input(&product)];
                        target.submit(&Task::vector(ready.subtract).arguments(&arguments))?;
                        Ok(())
                    })?;
                    done += 2;
                }
                submitted(done);
            }
        }
        Ok(())
    }

    fn external(&self) -> Vec<(&'static str, Tensor)> {
        vec![("A", self.ready.as_ref().expect("it has been set up").matrix)]
    }

    fn explain(&self, failure: &KernelFailure) -> Option<String> {
        (failure.code == NOT_POSITIVE_DEFINITE).then(|| failure.text.clone())
    }

    fn result(&self, runtime: &Runtime) -> Result<Matrix, WorkloadError> {
        let ready = self.ready.as_ref().expect("it has been set up");
        let values = runtime.read::<f32>(&ready.buffer)?;
        let full = Matrix { rows: self.a.rows, columns: self.a.columns, values };
        Ok(Matrix::from_fn(
            full.rows,
            full.columns,
            |row, column| if column <= row { full.at(row, column) } else { 0.0 },
        ))
    }

    fn check(&self, result: &Matrix) -> Check {
        let size = self.a.rows;
        let lower: Vec<f64> = result.values.iter().map(|&value| f64::from(value)).collect();
        let mut error = 0.0f64;
        for row in 0..size {
            for column in 0..=row {
                let left = &lower[row * size..][..=column];
                let right = &lower[column * size..][..=column];
                let product: f64 = left.iter().zip(right).map(|(a, b)| a * b).sum();
                let magnitude: f64 = left.iter().zip(right).map(|(a, b)| (a * b).abs()).sum();
                let difference = (product - f64::from(self.a.at(row, column))).abs();
                let relative = if difference == 0.0 { 0.0 } else { difference / magnitude };
                error = if relative.is_nan() { f64::INFINITY } else { error.max(relative) };
            }
        }
        Check {
            measure: "largest |L·Lᵀ - A| / (|L|·|Lᵀ|), element by element, in f64",
            error,
            // Higham, Accuracy and Stability of Numerical Algorithms, theorem 10.3; one rounding more for each tile that is subtracted on its own.
            tolerance: (size + size.div_ceil(self.tile) + 1) as f64 * ROUNDING,
            reason: format!(
                "the bound of Cholesky's method: {size} + 1 roundings and one for each tile, by 2^-24 each"
            ),
        }
    }
}
