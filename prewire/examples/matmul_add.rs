//! Products and sums in turn: x ← x·W + b, sixteen times, the product on a cube core and the sum on a vector core. Then a blocked product, in which
//! cube cores add up a tile of the result in place.
//!
//! `cargo run --example matmul_add`

use prewire::{Argument, DataType, Kernel, KernelContext, KernelError, NewTensor, Report, Runtime, Task};
use std::error::Error;

/// Rows and columns of a tile, and tiles along each side of the blocked product.
const TILE: usize = 16;
const BLOCKS: usize = 4;
const ROUNDS: usize = 16;
/// The sums have at most 64 terms below 1; each rounding is 2⁻²⁴, and what is wrong after one round is not made larger by the next.
const TOLERANCE: f64 = 1e-5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut runtime = Runtime::builder().build()?;
    println!("alternating: largest error {:.1e}", alternating(&mut runtime)?.1);
    println!("blocked: largest error {:.1e}", blocked(&mut runtime)?.1);
    Ok(())
}

/// Argument 2 += argument 0 · argument 1.
fn multiply_add(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
    let (left, right) = (kernel.input::<f32>(0)?, kernel.input::<f32>(1)?);
    let mut sum = kernel.output::<f32>(2)?;
    for row in 0..left.shape()[0] as usize {
        let target = sum.row_mut(&[row]);
        for (inner, &factor) in left.row(&[row]).iter().enumerate() {
            for (target, &value) in target.iter_mut().zip(right.row(&[inner])) {
                *target += factor * value;
            }
        }
    }
    Ok(())
}

/// Numbers from -1/2 to 1/2 that repeat late.
fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7919 + salt * 104_729) % 1009) as f32 / 1008.0 - 0.5).collect()
}

/// left · right, square, in f64.
fn product(left: &[f64], right: &[f64], size: usize) -> Vec<f64> {
    let element = |row: usize, column: usize| {
        (0..size).map(|inner| left[row * size + inner] * right[inner * size + column]).sum::<f64>()
    };
    (0..size * size).map(|place| element(place / size, place % size)).collect()
}

fn largest_error(found: &[f32], expected: &[f64]) -> Result<f64, Box<dyn Error>> {
    let differences = found.iter().zip(expected).map(|(&found, &expected)| (f64::from(found) - expected).abs());
    let error = differences.fold(0.0, |most: f64, error| if error.is_nan() { f64::INFINITY } else { most.max(error) });
    if error > TOLERANCE { Err(format!("error {error:e}, and {TOLERANCE:e} is allowed").into()) } else { Ok(error) }
}

/// Runs the alternating example on a runtime, and returns its largest error.
pub(crate) fn alternating(runtime: &mut Runtime) -> Result<(Report, f64), Box<dyn Error>> {
    let multiply = runtime.register(Kernel::cube("multiply", multiply_add))?;
    let add = runtime.register(Kernel::vector("add", |kernel| {
        let (product, bias) = (kernel.input::<f32>(0)?, kernel.input::<f32>(1)?);
        let mut sum = kernel.output::<f32>(2)?;
        for ((sum, product), bias) in sum.as_mut_slice().iter_mut().zip(product.as_slice()).zip(bias.as_slice()) {
            // An eighth, so that the numbers neither grow nor vanish.
            *sum = product * 0.125 + bias;
        }
        Ok(())
    }))?;
    let count = TILE * TILE;
    let (x, weights, bias) = (numbers(count, 1), numbers(count, 2), numbers(count, 3));
    let buffers = [runtime.buffer_from(&x)?, runtime.buffer_from(&weights)?, runtime.buffer_from(&bias)?];
    let shape = [TILE as u32; 2];
    let [x_tensor, w_tensor, b_tensor] =
        [&buffers[0], &buffers[1], &buffers[2]].map(|buffer| buffer.tensor(&shape, DataType::F32));
    let (x_tensor, w_tensor, b_tensor) = (x_tensor?, w_tensor?, b_tensor?);
    let report = runtime.run(|run| {
        for _ in 0..ROUNDS {
            run.scope(|run| {
                let zeros = NewTensor::new(&shape, DataType::F32).filled(0.0f32);
                let arguments = [Argument::Input(&x_tensor), Argument::Input(&w_tensor), Argument::Output(zeros)];
                let product = run.submit(&Task::cube(multiply).arguments(&arguments))?.outputs[0];
                let arguments =
                    [Argument::Input(&product), Argument::Input(&b_tensor), Argument::OutputExisting(&x_tensor)];
                run.submit(&Task::vector(add).arguments(&arguments))?;
                Ok(())
            })?;
        }
        Ok(())
    })?;
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let (mut expected, weights, bias) = (wide(&x), wide(&weights), wide(&bias));
    for _ in 0..ROUNDS {
        expected = product(&expected, &weights, TILE)
            .iter()
            .zip(&bias)
            .map(|(product, bias)| product * 0.125 + bias)
            .collect();
    }
    let error = largest_error(&runtime.read::<f32>(&buffers[0])?, &expected)?;
    Ok((report, error))
}

/// Runs the blocked product on a runtime, and returns its largest error.
pub(crate) fn blocked(runtime: &mut Runtime) -> Result<(Report, f64), Box<dyn Error>> {
    let multiply = runtime.register(Kernel::cube("multiply and add", multiply_add))?;
    let size = TILE * BLOCKS;
    let (a, b) = (numbers(size * size, 4), numbers(size * size, 5));
    let (a_buffer, b_buffer) = (runtime.buffer_from(&a)?, runtime.buffer_from(&b)?);
    let c_buffer = runtime.buffer((size * size * 4) as u64)?;
    let shape = [size as u32; 2];
    let (a_tensor, b_tensor) = (a_buffer.tensor(&shape, DataType::F32)?, b_buffer.tensor(&shape, DataType::F32)?);
    let c_tensor = c_buffer.tensor(&shape, DataType::F32)?;
    let tile = |tensor: &prewire::Tensor, row: usize, column: usize| {
        tensor.view(&[TILE as u32; 2], &[(row * TILE) as u32, (column * TILE) as u32])
    };
    let report = runtime.run(|run| {
        for inner in 0..BLOCKS {
            for row in 0..BLOCKS {
                for column in 0..BLOCKS {
                    let (left, right) = (tile(&a_tensor, row, inner)?, tile(&b_tensor, inner, column)?);
                    let sum = tile(&c_tensor, row, column)?;
                    let arguments = [Argument::Input(&left), Argument::Input(&right), Argument::InOut(&sum)];
                    run.submit(&Task::cube(multiply).arguments(&arguments))?;
                }
            }
        }
        Ok(())
    })?;
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let error = largest_error(&runtime.read::<f32>(&c_buffer)?, &product(&wide(&a), &wide(&b), size))?;
    Ok((report, error))
}
