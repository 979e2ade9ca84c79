//! The three cores of a cluster work hand in hand: the cube core forms a product while the two vector cores add up the one before, each its half of
//! the rows, with a barrier between the steps. One MIX task is a whole pipeline.
//!
//! `cargo run --example pipeline`

use prewire::{Argument, DataType, Kernel, KernelContext, KernelError, NewTensor, Report, Runtime, Task};
use std::error::Error;

/// Rows and columns of a tile, and steps of a pipeline.
const TILE: usize = 16;
const STEPS: usize = 8;
const PIPELINES: usize = 6;
/// Sums of 128 products below 1/4, each rounding by 2⁻²⁴.
const TOLERANCE: f64 = 1e-5;

fn main() -> Result<(), Box<dyn Error>> {
    let (report, error) = run(&mut Runtime::builder().build()?)?;
    println!("{} tasks of three cores each, largest error {error:.1e}", report.tasks);
    Ok(())
}

/// Cube: step by step, the product of a tile of argument 0 and one of argument 1 into one of the two halves of argument 2.
fn produce(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
    for step in 0..=STEPS {
        if step < STEPS {
            let (left, right) = (kernel.input::<f32>(0)?, kernel.input::<f32>(1)?);
            let mut half = [0.0f32; TILE * TILE];
            for row in 0..TILE {
                let factors = &left.row(&[row])[step * TILE..][..TILE];
                let target = &mut half[row * TILE..][..TILE];
                for (inner, factor) in factors.iter().enumerate() {
                    for (target, value) in target.iter_mut().zip(right.row(&[step * TILE + inner])) {
                        *target += factor * value;
                    }
                }
            }
            // The other half is being read meanwhile, so that only single elements of this one are touched.
            let mut products = kernel.output::<f32>(2)?;
            for (place, value) in half.into_iter().enumerate() {
                products.set(&[step % 2, place / TILE, place % TILE], value);
            }
        }
        kernel.barrier()?;
    }
    Ok(())
}

/// Vector: step by step, adds its half of the rows of the product before to argument 3.
fn consume(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
    let first = (kernel.part() - 1) * TILE / 2;
    for step in 0..=STEPS {
        if step > 0 {
            let products = kernel.input::<f32>(2)?;
            let mut sum = kernel.output::<f32>(3)?;
            for row in first..first + TILE / 2 {
                for column in 0..TILE {
                    let value = sum.get(&[row, column]) + products.get(&[(step - 1) % 2, row, column]);
                    sum.set(&[row, column], value);
                }
            }
        }
        kernel.barrier()?;
    }
    Ok(())
}

/// Numbers from -1/2 to 1/2 that repeat late.
fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7919 + salt * 104_729) % 1009) as f32 / 1008.0 - 0.5).collect()
}

/// Runs the example on a runtime, and returns its largest error.
pub(crate) fn run(runtime: &mut Runtime) -> Result<(Report, f64), Box<dyn Error>> {
    let cube = runtime.register(Kernel::cube("produce", produce))?;
    let vector = runtime.register(Kernel::vector("consume", consume))?;
    let inner = TILE * STEPS;
    let (left, right) = (numbers(PIPELINES * TILE * inner, 1), numbers(PIPELINES * inner * TILE, 2));
    let (left_buffer, right_buffer) = (runtime.buffer_from(&left)?, runtime.buffer_from(&right)?);
    let sum_buffer = runtime.buffer((PIPELINES * TILE * TILE * 4) as u64)?;
    let part = |buffer: &prewire::Buffer, pipeline: usize, rows: usize, columns: usize| {
        buffer.tensor_at((pipeline * rows * columns * 4) as u64, &[rows as u32, columns as u32], DataType::F32)
    };
    let report = runtime.run(|run| {
        for pipeline in 0..PIPELINES {
            let (a, b) = (part(&left_buffer, pipeline, TILE, inner)?, part(&right_buffer, pipeline, inner, TILE)?);
            let sum = part(&sum_buffer, pipeline, TILE, TILE)?;
            run.scope(|run| {
                let products = NewTensor::new(&[2, TILE as u32, TILE as u32], DataType::F32);
                let arguments =
                    [Argument::Input(&a), Argument::Input(&b), Argument::Output(products), Argument::InOut(&sum)];
                run.submit(
                    &Task::cluster(Some(cube), Some(vector), Some(vector)).arguments(&arguments).communicates(),
                )?;
                Ok(())
            })?;
        }
        Ok(())
    })?;
    let found = runtime.read::<f32>(&sum_buffer)?;
    let mut worst = 0.0f64;
    for (place, &found) in found.iter().enumerate() {
        let (pipeline, row, column) = (place / (TILE * TILE), place / TILE % TILE, place % TILE);
        let expected: f64 = (0..inner)
            .map(|index| {
                let left = left[(pipeline * TILE + row) * inner + index];
                let right = right[(pipeline * inner + index) * TILE + column];
                f64::from(left) * f64::from(right)
            })
            .sum();
        let difference = (f64::from(found) - expected).abs();
        worst = if difference.is_nan() { f64::INFINITY } else { worst.max(difference) };
    }
    if worst > TOLERANCE {
        Err(format!("error {worst:e}, and {TOLERANCE:e} is allowed").into())
    } else {
        Ok((report, worst))
    }
}
