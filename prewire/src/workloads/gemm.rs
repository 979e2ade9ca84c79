//! C = A · B in f32. Each tile of C is a sum over panels of the inner dimension: a cube core multiplies the panels of A and B into memory of the
//! task's own, a vector core adds the product to the tile of C.

use super::matrix::{Matrix, ROUNDING};
use super::target::scope;
use super::tiles::{accumulate, copy, multiply, tile};
use super::{Check, Kind, SizeOption, Sizes, Target, Workload, WorkloadError};
use prewire::{Argument, Buffer, DataType, Kernel, KernelId, NewTensor, Runtime, SubmitError, Task, Tensor};
use prewire_platform_sim::Random;

pub(super) const KIND: Kind = Kind {
    name: "gemm",
    meaning: "C = A·B: products on cube cores, sums over panels on vector cores",
    sizes: &[
        SizeOption { name: "rows", default: 768, least: 1, most: 1 << 16, meaning: "rows of A and C" },
        SizeOption { name: "columns", default: 768, least: 1, most: 1 << 16, meaning: "columns of B and C" },
        SizeOption { name: "inner", default: 768, least: 1, most: 1 << 16, meaning: "columns of A, rows of B" },
        SizeOption { name: "tile", default: 64, least: 1, most: 4096, meaning: "rows and columns of a tile of C" },
        SizeOption { name: "panel", default: 128, least: 1, most: 1 << 16, meaning: "inner length of one product" },
    ],
    input: Some("A; its shape gives --rows and --inner"),
    create,
};

struct Gemm {
    a: Matrix,
    b: Matrix,
    tile: usize,
    panel: usize,
    ready: Option<Ready>,
}

/// What exists once a runtime does.
struct Ready {
    c: Buffer,
    tensors: [Tensor; 3],
    multiply: KernelId,
    copy: KernelId,
    accumulate: KernelId,
    /// Keeps the inputs' memory.
    _inputs: [Buffer; 2],
}

fn create(sizes: &Sizes, seed: u64, input: Option<Matrix>) -> Result<Box<dyn Workload>, WorkloadError> {
    let mut random = Random::new(seed);
    let a = match input {
        Some(matrix) => {
            for (option, size) in [("rows", matrix.rows), ("inner", matrix.columns)] {
                if sizes.is_given(option) && sizes.of(option) != size {
                    let text = format!("--{option} {} and --input disagree: the file says {size}", sizes.of(option));
                    return Err(WorkloadError::Input(text));
                }
            }
            matrix
        }
        None => Matrix::random(sizes.of("rows"), sizes.of("inner"), &mut random),
    };
    let b = Matrix::random(a.columns, sizes.of("columns"), &mut random);
    Ok(Box::new(Gemm { a, b, tile: sizes.of("tile"), panel: sizes.of("panel"), ready: None }))
}

impl Gemm {
    fn tiles(&self) -> (usize, usize, usize) {
        let panels = self.a.columns.div_ceil(self.panel);
        (self.a.rows.div_ceil(self.tile), self.b.columns.div_ceil(self.tile), panels)
    }
}

impl Workload for Gemm {
    fn description(&self) -> String {
        let (rows, inner, columns) = (self.a.rows, self.a.columns, self.b.columns);
        format!(
            "C = A·B, {rows} x {inner} by {inner} x {columns} in tiles of {} and panels of {}",
            self.tile, self.panel
        )
    }

    fn set_up(&mut self, runtime: &mut Runtime) -> Result<(), WorkloadError> {
        let a = runtime.buffer_from(&self.a.values)?;
        let b = runtime.buffer_from(&self.b.values)?;
        let c = runtime.buffer((self.a.rows * self.b.columns * 4) as u64)?;
        let tensor =
            |buffer: &Buffer, rows: usize, columns: usize| buffer.tensor(&[rows as u32, columns as u32], DataType::F32);
        self.ready = Some(Ready {
            tensors: [
                tensor(&a, self.a.rows, self.a.columns)?,
                tensor(&b, self.b.rows, self.b.columns)?,
                tensor(&c, self.a.rows, self.b.columns)?,
            ],
            c,
            multiply: runtime.register(Kernel::cube("multiply", multiply))?,
            copy: runtime.register(Kernel::vector("copy", copy))?,
            accumulate: runtime.register(Kernel::vector("accumulate", accumulate))?,
            _inputs: [a, b],
        });
        Ok(())
    }

    fn tasks(&self) -> u64 {
        let (rows, columns, panels) = self.tiles();
        (rows * columns * panels * 2) as u64
    }

    fn orchestrate(&self, target: &mut dyn Target, submitted: &mut dyn FnMut(u64)) -> Result<(), SubmitError> {
        let ready = self.ready.as_ref().expect("it has been set up");
        let [a, b, c] = &ready.tensors;
        let (rows, columns, panels) = self.tiles();
        let mut done = 0;
        for row in 0..rows {
            for column in 0..columns {
                let result = tile(c, row, column, [self.tile, self.tile])?;
                for panel in 0..panels {
                    let left = tile(a, row, panel, [self.tile, self.panel])?;
                    let right = tile(b, panel, column, [self.panel, self.tile])?;
                    scope(target, |target| {
                        let product = NewTensor::new(result.shape(), DataType::F32);
                        let arguments = [Argument::Input(&left), Argument::Input(&right), Argument::Output(product)];
                        let product = target.submit(&Task::cube(ready.multiply).arguments(&arguments))?.outputs[0];
                        let (kernel, sum) = match panel {
                            0 => (ready.copy, Argument::OutputExisting(&result)),
                            _ => (ready.accumulate, Argument::InOut(&result)),
                        };
                        target.submit(&Task::vector(kernel).arguments(&[sum, Argument::Input(&product)]))?;
                        Ok(())
                    })?;
                    done += 2;
                    submitted(done);
                }
            }
        }
        Ok(())
    }

    fn external(&self) -> Vec<(&'static str, Tensor)> {
        let [a, b, c] = self.ready.as_ref().expect("it has been set up").tensors;
        vec![("A", a), ("B", b), ("C", c)]
    }

    fn result(&self, runtime: &Runtime) -> Result<Matrix, WorkloadError> {
        let ready = self.ready.as_ref().expect("it has been set up");
        let values = runtime.read::<f32>(&ready.c)?;
        Ok(Matrix { rows: self.a.rows, columns: self.b.columns, values })
    }

    fn check(&self, result: &Matrix) -> Check {
        let mut error = 0.0f64;
        let mut products = vec![0.0f64; self.b.columns];
        let mut sizes = vec![0.0f64; self.b.columns];
        for row in 0..self.a.rows {
            products.fill(0.0);
            sizes.fill(0.0);
            for (inner, &factor) in self.a.row(row).iter().enumerate() {
                let factor = f64::from(factor);
                for ((product, size), &value) in products.iter_mut().zip(&mut sizes).zip(self.b.row(inner)) {
                    let term = factor * f64::from(value);
                    *product += term;
                    *size += term.abs();
                }
            }
            for ((&found, &product), &size) in result.row(row).iter().zip(&products).zip(&sizes) {
                let difference = (f64::from(found) - product).abs();
                // A result that is no number counts as infinitely wrong, which `max` alone would overlook.
                let relative = if difference == 0.0 { 0.0 } else { difference / size };
                error = if relative.is_nan() { f64::INFINITY } else { error.max(relative) };
            }
        }
        let terms = self.a.columns as f64;
        Check {
            measure: "largest |C - reference| / (|A|·|B|), element by element",
            error,
            tolerance: (terms + 1.0) * ROUNDING,
            reason: format!("a sum of {terms} products rounds {terms} + 1 times, by 2^-24 each"),
        }
    }
}
