//! Kernels on tiles that several workloads share: the products run on cube cores, the rest on vector cores.

use prewire::{KernelContext, KernelError, Tensor, TensorError};

/// The tile of a matrix at tile row `row` and tile column `column`; tiles at the lower and the right edge are what is left.
pub(super) fn tile(matrix: &Tensor, row: usize, column: usize, tile: [usize; 2]) -> Result<Tensor, TensorError> {
    let start = [row * tile[0], column * tile[1]];
    let shape: [u32; 2] = std::array::from_fn(|dimension| {
        (matrix.shape()[dimension] as usize).saturating_sub(start[dimension]).min(tile[dimension]) as u32
    });
    matrix.view(&shape, &start.map(|offset| offset as u32))
}

/// The shape of a tensor of two dimensions.
pub(super) fn extents(shape: &[u32]) -> (usize, usize) {
    (shape[0] as usize, shape[1] as usize)
}

/// Adds `scale` times one row to another.
#[inline]
pub(super) fn add_scaled(target: &mut [f32], scale: f32, source: &[f32]) {
    for (target, &source) in target.iter_mut().zip(source) {
        *target += scale * source;
    }
}

/// The sum of products, in eight interleaved partial sums, as wide units form it.
#[inline]
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let (left_chunks, right_chunks) = (left.chunks_exact(8), right.chunks_exact(8));
    let rest: f32 = left_chunks.remainder().iter().zip(right_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in left_chunks.zip(right_chunks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Cube: argument 2 = argument 0 · argument 1.
pub(super) fn multiply(context: &KernelContext<'_>) -> Result<(), KernelError> {
    let (left, right) = (context.input::<f32>(0)?, context.input::<f32>(1)?);
    let mut product = context.output::<f32>(2)?;
    let (rows, inner) = extents(left.shape());
    for row in 0..rows {
        let target = product.row_mut(&[row]);
        target.fill(0.0);
        let factors = left.row(&[row]);
        for (index, &factor) in factors.iter().enumerate().take(inner) {
            add_scaled(target, factor, right.row(&[index]));
        }
    }
    Ok(())
}

/// Cube: argument 2 = argument 0 · argument 1ᵀ.
pub(super) fn multiply_transposed(context: &KernelContext<'_>) -> Result<(), KernelError> {
    let (left, right) = (context.input::<f32>(0)?, context.input::<f32>(1)?);
    let mut product = context.output::<f32>(2)?;
    let (rows, _) = extents(left.shape());
    for row in 0..rows {
        let factors = left.row(&[row]);
        for (column, value) in product.row_mut(&[row]).iter_mut().enumerate() {
            *value = dot(factors, right.row(&[column]));
        }
    }
    Ok(())
}

/// Vector: argument 0 = argument 1.
pub(super) fn copy(context: &KernelContext<'_>) -> Result<(), KernelError> {
    let source = context.input::<f32>(1)?;
    let mut target = context.output::<f32>(0)?;
    for row in 0..extents(source.shape()).0 {
        target.row_mut(&[row]).copy_from_slice(source.row(&[row]));
    }
    Ok(())
}

/// Vector: argument 0 += argument 1.
pub(super) fn accumulate(context: &KernelContext<'_>) -> Result<(), KernelError> {
    let term = context.input::<f32>(1)?;
    let mut sum = context.output::<f32>(0)?;
    for row in 0..extents(term.shape()).0 {
        add_scaled(sum.row_mut(&[row]), 1.0, term.row(&[row]));
    }
    Ok(())
}

/// Vector: argument 0 -= argument 1.
pub(super) fn subtract(context: &KernelContext<'_>) -> Result<(), KernelError> {
    let term = context.input::<f32>(1)?;
    let mut difference = context.output::<f32>(0)?;
    for row in 0..extents(term.shape()).0 {
        add_scaled(difference.row_mut(&[row]), -1.0, term.row(&[row]));
    }
    Ok(())
}
