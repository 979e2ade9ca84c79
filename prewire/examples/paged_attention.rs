//! Paged attention: one query for each sequence and head, keys and values in pages of a shared pool, found through a table of pages.
//!
//! The sequences have different lengths, their pages lie anywhere, and the pool is a tensor of four dimensions: pages, rows of a page, heads,
//! columns. A cube core forms the scores of one or several pages, a vector core their softmax, a cube core weighs the values, a vector core joins
//! the result with that of the pages before.
//!
//! `cargo run --example paged_attention`

use prewire::{Argument, DataType, Kernel, KernelContext, KernelError, NewTensor, Report, Runtime, Scalar, Task};
use std::error::Error;

const HEADS: usize = 2;
const COLUMNS: usize = 16;
const PAGE_ROWS: usize = 8;
const PAGES: usize = 32;
/// Keys of each sequence; the last page of one need not be full.
const LENGTHS: [usize; 5] = [33, 64, 7, 1, 48];
/// Sums over at most 64 keys and 16 columns of numbers below 1, each rounding by 2⁻²⁴.
const TOLERANCE: f64 = 1e-5;

/// What varies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    /// Sequences.
    pub(crate) batch: usize,
    /// Pages that one group of four tasks works on.
    pub(crate) unroll: usize,
    /// Runs on the same runtime, each with other queries.
    pub(crate) rounds: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    for variant in [
        Variant { batch: 1, unroll: 1, rounds: 1 },
        Variant { batch: 5, unroll: 1, rounds: 1 },
        Variant { batch: 5, unroll: 4, rounds: 1 },
        Variant { batch: 5, unroll: 2, rounds: 8 },
    ] {
        let (report, error) = run(&mut Runtime::builder().build()?, variant)?;
        println!("{variant:?}: {} tasks in the last round, largest error {error:.1e}", report.tasks);
    }
    Ok(())
}

/// Numbers from -1 to 1 that repeat late.
fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7919 + salt * 104_729) % 2017) as f32 / 1008.0 - 1.0).collect()
}

/// The page of the pool that is a sequence's `page`-th.
fn page_of(sequence: usize, page: usize) -> usize {
    (sequence * 8 + page) * 11 % PAGES
}

/// Keys in a group of pages: the rows that count.
fn rows_of(sequence: usize, first_page: usize, unroll: usize) -> usize {
    (LENGTHS[sequence] - first_page * PAGE_ROWS).min(unroll * PAGE_ROWS)
}

/// Cube: scores of a query (argument 0) with the keys of pages (arguments 1 to n) into the last argument. Scalar 0 is the number of keys.
fn scores(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
    let rows = kernel.scalar::<u64>(0)? as usize;
    let last = kernel.tensors().len() - 1;
    let query = kernel.input::<f32>(0)?;
    let mut scores = kernel.output::<f32>(last)?;
    for row in 0..rows {
        let page = kernel.input::<f32>(1 + row / PAGE_ROWS)?;
        let key = page.row(&[0, row % PAGE_ROWS, 0]);
        scores.set(&[row], query.as_slice().iter().zip(key).map(|(query, key)| query * key).sum());
    }
    Ok(())
}

/// Vector: argument 0 are scores; argument 1 takes their exponentials, argument 2 the largest score and the sum. Scalar 0 is the number of keys.
fn softmax(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
    let rows = kernel.scalar::<u64>(0)? as usize;
    let scale = 1.0 / (COLUMNS as f32).sqrt();
    let scores = kernel.input::<f32>(0)?;
    let scores = &scores.as_slice()[..rows];
    let largest = scores.iter().fold(f32::NEG_INFINITY, |most, score| most.max(score * scale));
    let mut sum = 0.0;
    for (weight, score) in kernel.output::<f32>(1)?.as_mut_slice().iter_mut().zip(scores) {
        *weight = (score * scale - largest).exp();
        sum += *weight;
    }
    kernel.output::<f32>(2)?.as_mut_slice().copy_from_slice(&[largest, sum]);
    Ok(())
}

/// Cube: weights (argument 0) with the values of pages (arguments 1 to n) into the last argument. Scalar 0 is the number of keys.
fn weigh(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
    let rows = kernel.scalar::<u64>(0)? as usize;
    let last = kernel.tensors().len() - 1;
    let weights = kernel.input::<f32>(0)?;
    let mut sum = kernel.output::<f32>(last)?;
    let sum = sum.as_mut_slice();
    sum.fill(0.0);
    for (row, weight) in weights.as_slice()[..rows].iter().enumerate() {
        let page = kernel.input::<f32>(1 + row / PAGE_ROWS)?;
        for (sum, value) in sum.iter_mut().zip(page.row(&[0, row % PAGE_ROWS, 0])) {
            *sum += weight * value;
        }
    }
    Ok(())
}

/// Vector: joins new largest score and sum (argument 0) and weighted values (argument 1) with the old (arguments 2 and 3), and puts the average into
/// argument 4 behind the last group.
fn join(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
    let (new, values) = (kernel.input::<f32>(0)?, kernel.input::<f32>(1)?);
    let (mut state, mut sums) = (kernel.output::<f32>(2)?, kernel.output::<f32>(3)?);
    let [new_largest, new_sum] = [new.get(&[0]), new.get(&[1])];
    let largest = state.get(&[0]).max(new_largest);
    let (old, fresh) = ((state.get(&[0]) - largest).exp(), (new_largest - largest).exp());
    let sum = old * state.get(&[1]) + fresh * new_sum;
    state.as_mut_slice().copy_from_slice(&[largest, sum]);
    let last = kernel.scalar::<u64>(0)? == 1;
    let mut output = kernel.output::<f32>(4)?;
    for (column, (total, value)) in sums.as_mut_slice().iter_mut().zip(values.as_slice()).enumerate() {
        *total = old * *total + fresh * value;
        if last {
            output.set(&[0, 0, column], *total / sum);
        }
    }
    Ok(())
}

/// Runs a variant on a runtime; returns the last round's report and the largest error of all.
pub(crate) fn run(runtime: &mut Runtime, variant: Variant) -> Result<(Report, f64), Box<dyn Error>> {
    let scores = runtime.register(Kernel::cube("scores", scores))?;
    let softmax = runtime.register(Kernel::vector("softmax", softmax))?;
    let weigh = runtime.register(Kernel::cube("weigh", weigh))?;
    let join = runtime.register(Kernel::vector("join", join))?;
    let pool = PAGES * PAGE_ROWS * HEADS * COLUMNS;
    let (keys, values) = (numbers(pool, 1), numbers(pool, 2));
    let (key_buffer, value_buffer) = (runtime.buffer_from(&keys)?, runtime.buffer_from(&values)?);
    let query_buffer = runtime.buffer((variant.batch * HEADS * COLUMNS * 4) as u64)?;
    let output_buffer = runtime.buffer(query_buffer.bytes())?;
    let pool_shape = [PAGES as u32, PAGE_ROWS as u32, HEADS as u32, COLUMNS as u32];
    let key_pool = key_buffer.tensor(&pool_shape, DataType::F32)?;
    let value_pool = value_buffer.tensor(&pool_shape, DataType::F32)?;
    let query_shape = [variant.batch as u32, HEADS as u32, COLUMNS as u32];
    let queries = query_buffer.tensor(&query_shape, DataType::F32)?;
    let output = output_buffer.tensor(&query_shape, DataType::F32)?;
    let page = |pool: &prewire::Tensor, page: usize, head: usize| {
        pool.view(&[1, PAGE_ROWS as u32, 1, COLUMNS as u32], &[page as u32, 0, head as u32, 0])
    };
    let new = |length: usize| NewTensor::new(&[length as u32], DataType::F32);

    let mut worst = 0.0f64;
    let mut last_report = None;
    for round in 0..variant.rounds {
        let query_values = numbers(variant.batch * HEADS * COLUMNS, 3 + round);
        runtime.write(&query_buffer, &query_values)?;
        let report = runtime.run(|run| {
            for (sequence, head) in (0..variant.batch).flat_map(|sequence| (0..HEADS).map(move |head| (sequence, head)))
            {
                let place = [sequence as u32, head as u32, 0];
                let query = queries.view(&[1, 1, COLUMNS as u32], &place)?;
                let result = output.view(&[1, 1, COLUMNS as u32], &place)?;
                run.scope(|run| {
                    let state = run.allocate(&[new(2).filled(f32::NEG_INFINITY), new(COLUMNS).filled(0.0f32)])?;
                    let (state, sums) = (state.outputs[0], state.outputs[1]);
                    // The largest score starts at minus infinity and the sum at 0.
                    run.set::<f32>(&state, &[1], 0.0)?;
                    let pages = LENGTHS[sequence].div_ceil(PAGE_ROWS);
                    for first in (0..pages).step_by(variant.unroll) {
                        let rows = rows_of(sequence, first, variant.unroll);
                        let group = first..(first + variant.unroll).min(pages);
                        let mut key_pages = Vec::new();
                        let mut value_pages = Vec::new();
                        for number in group {
                            key_pages.push(page(&key_pool, page_of(sequence, number), head)?);
                            value_pages.push(page(&value_pool, page_of(sequence, number), head)?);
                        }
                        let count = [Scalar::from(rows as u64)];
                        run.scope(|run| {
                            let length = variant.unroll * PAGE_ROWS;
                            let mut arguments = vec![Argument::Input(&query)];
                            arguments.extend(key_pages.iter().map(Argument::Input));
                            arguments.push(Argument::Output(new(length)));
                            let raw = run.submit(&Task::cube(scores).arguments(&arguments).scalars(&count))?.outputs[0];
                            let arguments =
                                [Argument::Input(&raw), Argument::Output(new(length)), Argument::Output(new(2))];
                            let both =
                                run.submit(&Task::vector(softmax).arguments(&arguments).scalars(&count))?.outputs;
                            let (weights, largest_and_sum) = (both[0], both[1]);
                            let mut arguments = vec![Argument::Input(&weights)];
                            arguments.extend(value_pages.iter().map(Argument::Input));
                            arguments.push(Argument::Output(new(COLUMNS)));
                            let weighed =
                                run.submit(&Task::cube(weigh).arguments(&arguments).scalars(&count))?.outputs[0];
                            let arguments = [
                                Argument::Input(&largest_and_sum),
                                Argument::Input(&weighed),
                                Argument::InOut(&state),
                                Argument::InOut(&sums),
                                Argument::InOut(&result),
                            ];
                            let last = [Scalar::from(u64::from(first + variant.unroll >= pages))];
                            run.submit(&Task::vector(join).arguments(&arguments).scalars(&last))?;
                            Ok(())
                        })?;
                    }
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        let found = runtime.read::<f32>(&output_buffer)?;
        worst = worst.max(error(&found, &query_values, &keys, &values, variant.batch));
        last_report = Some(report);
    }
    if worst > TOLERANCE {
        return Err(format!("{variant:?}: error {worst:e}, and {TOLERANCE:e} is allowed").into());
    }
    Ok((last_report.ok_or("there is no round")?, worst))
}

/// The largest difference from softmax(q·Kᵀ/√d)·V in f64.
fn error(found: &[f32], queries: &[f32], keys: &[f32], values: &[f32], batch: usize) -> f64 {
    let row = |pool: &[f32], page: usize, row: usize, head: usize| {
        let start = ((page * PAGE_ROWS + row) * HEADS + head) * COLUMNS;
        pool[start..start + COLUMNS].iter().map(|&value| f64::from(value)).collect::<Vec<_>>()
    };
    let mut worst = 0.0f64;
    for (sequence, head) in (0..batch).flat_map(|sequence| (0..HEADS).map(move |head| (sequence, head))) {
        let start = (sequence * HEADS + head) * COLUMNS;
        let query: Vec<f64> = queries[start..start + COLUMNS].iter().map(|&value| f64::from(value)).collect();
        let place = |key: usize| (page_of(sequence, key / PAGE_ROWS), key % PAGE_ROWS);
        let weights: Vec<f64> = (0..LENGTHS[sequence])
            .map(|key| {
                let key = row(keys, place(key).0, place(key).1, head);
                let score: f64 = query.iter().zip(&key).map(|(query, key)| query * key).sum();
                (score / (COLUMNS as f64).sqrt()).exp()
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        for column in 0..COLUMNS {
            let weighed = weights
                .iter()
                .enumerate()
                .map(|(key, weight)| weight * row(values, place(key).0, place(key).1, head)[column]);
            let difference = (f64::from(found[start + column]) - weighed.sum::<f64>() / sum).abs();
            worst = if difference.is_nan() { f64::INFINITY } else { worst.max(difference) };
        }
    }
    worst
}
