//! Attention with an online softmax: softmax(Q·Kᵀ/√d)·V for each head, one tile of queries against one tile of keys at a time, so that no row of
//! scores ever exists as a whole.
//!
//! For each pair of tiles a cube core forms the scores, a vector core their exponentials with the row's largest score and sum, a cube core multiplies
//! them with the values, and a vector core joins that with what the tiles before gave, rescaled to the new largest score.

use super::matrix::{Matrix, ROUNDING};
use super::target::scope;
use super::tiles::{extents, multiply, multiply_transposed, tile};
use super::{Check, Kind, SizeOption, Sizes, Target, Workload, WorkloadError};
use prewire::{
    Argument, Buffer, DataType, Kernel, KernelContext, KernelError, KernelId, NewTensor, Runtime, Scalar, SubmitError,
    Task, Tensor,
};
use prewire_platform_sim::Random;

pub(super) const KIND: Kind = Kind {
    name: "attention",
    meaning: "softmax(Q·Kᵀ/√d)·V by tiles: products on cube cores, softmax and sums on vector cores",
    sizes: &[
        SizeOption { name: "heads", default: 8, least: 1, most: 1024, meaning: "attention heads" },
        SizeOption { name: "queries", default: 256, least: 1, most: 1 << 16, meaning: "rows of Q of each head" },
        SizeOption { name: "keys", default: 512, least: 1, most: 1 << 16, meaning: "rows of K and V of each head" },
        SizeOption { name: "head-size", default: 64, least: 1, most: 1024, meaning: "columns of Q, K and V" },
        SizeOption { name: "tile", default: 64, least: 1, most: 4096, meaning: "rows of a tile of queries or keys" },
    ],
    input: None,
    create,
};

struct Attention {
    heads: usize,
    head_size: usize,
    tile: usize,
    /// The heads below one another.
    queries: Matrix,
    keys: Matrix,
    values: Matrix,
    ready: Option<Ready>,
}

struct Ready {
    output: Buffer,
    /// Queries, keys, values, output; each of shape heads, rows, columns.
    tensors: [Tensor; 4],
    scores: KernelId,
    softmax: KernelId,
    weigh: KernelId,
    join: KernelId,
    _inputs: [Buffer; 3],
}

fn create(sizes: &Sizes, seed: u64, _: Option<Matrix>) -> Result<Box<dyn Workload>, WorkloadError> {
    let mut random = Random::new(seed);
    let (heads, head_size) = (sizes.of("heads"), sizes.of("head-size"));
    let mut matrix = |rows: usize| Matrix::random(heads * rows, head_size, &mut random);
    let (queries, keys) = (sizes.of("queries"), sizes.of("keys"));
    Ok(Box::new(Attention {
        heads,
        head_size,
        tile: sizes.of("tile"),
        queries: matrix(queries),
        keys: matrix(keys),
        values: matrix(keys),
        ready: None,
    }))
}

/// Vector: argument 0 are scores and argument 1 takes their exponentials, less each row's largest score; arguments 2 and 3 take that score and the
/// exponentials' sum. Scalar 0 scales the scores.
fn softmax(context: &KernelContext<'_>) -> Result<(), KernelError> {
    let scale = context.scalar::<f32>(0)?;
    let scores = context.input::<f32>(0)?;
    let mut weights = context.output::<f32>(1)?;
    let mut largest = context.output::<f32>(2)?;
    let mut sums = context.output::<f32>(3)?;
    let (rows, _) = extents(scores.shape());
    for row in 0..rows {
        let scores = scores.row(&[row]);
        let most = scores.iter().fold(f32::NEG_INFINITY, |most, &score| most.max(score * scale));
        let mut sum = 0.0;
        for (weight, &score) in weights.row_mut(&[row]).iter_mut().zip(scores) {
            *weight = (score * scale - most).exp();
            sum += *weight;
        }
        largest.set(&[row], most);
        sums.set(&[row], sum);
    }
    Ok(())
}

/// Vector: joins the weighted values of one tile of keys (argument 2; argument 0 the largest scores, argument 1 the sums) with what the earlier tiles
/// gave (argument 5; arguments 3 and 4 likewise). Behind the last tile (scalar 0 is 1) argument 6 takes the average.
fn join(context: &KernelContext<'_>) -> Result<(), KernelError> {
    let last = context.scalar::<u64>(0)? == 1;
    let (tile_largest, tile_sums) = (context.input::<f32>(0)?, context.input::<f32>(1)?);
    let tile_values = context.input::<f32>(2)?;
    let (mut largest, mut sums) = (context.output::<f32>(3)?, context.output::<f32>(4)?);
    let mut values = context.output::<f32>(5)?;
    let mut output = context.output::<f32>(6)?;
    let (rows, _) = extents(tile_values.shape());
    for row in 0..rows {
        let most = largest.get(&[row]).max(tile_largest.get(&[row]));
        // Before the first tile the largest score is minus infinity, and the factor 0.
        let (old, new) = ((largest.get(&[row]) - most).exp(), (tile_largest.get(&[row]) - most).exp());
        let sum = old * sums.get(&[row]) + new * tile_sums.get(&[row]);
        largest.set(&[row], most);
        sums.set(&[row], sum);
        let values = values.row_mut(&[row]);
        for (value, &more) in values.iter_mut().zip(tile_values.row(&[row])) {
            *value = old * *value + new * more;
        }
        if last {
            for (output, &value) in output.row_mut(&[row]).iter_mut().zip(&*values) {
                *output = value / sum;
            }
        }
    }
    Ok(())
}

impl Attention {
    /// Rows of queries and of keys of each head.
    fn rows(&self) -> (usize, usize) {
        (self.queries.rows / self.heads, self.keys.rows / self.heads)
    }

    fn scale(&self) -> f64 {
        1.0 / (self.head_size as f64).sqrt()
    }

    /// One tile of queries against all keys.
    fn tile_of_queries(&self, target: &mut dyn Target, head: [&Tensor; 4], row: usize) -> Result<(), SubmitError> {
        let ready = self.ready.as_ref().expect("it has been set up");
        let [queries, keys, values, output] = head;
        let shape = [self.tile, self.head_size];
        let query = tile(queries, row, 0, shape)?;
        let output = tile(output, row, 0, shape)?;
        let rows = query.shape()[0];
        let scale = [Scalar::from(self.scale() as f32)];
        let of_rows = || NewTensor::new(&[rows], DataType::F32);
        scope(target, |target| {
            let state = target.allocate(&[
                of_rows().filled(f32::NEG_INFINITY),
                of_rows().filled(0.0f32),
                NewTensor::new(query.shape(), DataType::F32).filled(0.0f32),
            ])?;
            let [largest, sums, sum_of_values] = [state.outputs[0], state.outputs[1], state.outputs[2]];
            let tiles = self.rows().1.div_ceil(self.tile);
            for column in 0..tiles {
                let key = tile(keys, column, 0, shape)?;
                let value = tile(values, column, 0, shape)?;
                scope(target, |target| {
                    let scores = NewTensor::new(&[rows, key.shape()[0]], DataType::F32);
                    let arguments = [Argument::Input(&query), Argument::Input(&key), Argument::Output(scores)];
                    let raw = target.submit(&Task::cube(ready.scores).arguments(&arguments))?.outputs[0];
                    let arguments = [
                        Argument::Input(&raw),
                        Argument::Output(scores),
                        Argument::Output(of_rows()),
                        Argument::Output(of_rows()),
                    ];
                    let softmax = Task::vector(ready.softmax).arguments(&arguments).scalars(&scale);
                    let outputs = target.submit(&softmax)?.outputs;
                    let [weights, tile_largest, tile_sums] = [outputs[0], outputs[1], outputs[2]];
                    let weighted = NewTensor::new(query.shape(), DataType::F32);
                    let arguments = [Argument::Input(&weights), Argument::Input(&value), Argument::Output(weighted)];
                    let weighted = target.submit(&Task::cube(ready.weigh).arguments(&arguments))?.outputs[0];
                    let arguments = [
                        Argument::Input(&tile_largest),
                        Argument::Input(&tile_sums),
                        Argument::Input(&weighted),
                        Argument::InOut(&largest),
                        Argument::InOut(&sums),
                        Argument::InOut(&sum_of_values),
                        Argument::InOut(&output),
                    ];
                    let last = [Scalar::from(u64::from(column + 1 == tiles))];
                    target.submit(&Task::vector(ready.join).arguments(&arguments).scalars(&last))?;
                    Ok(())
                })?;
            }
            Ok(())
        })
    }
}

impl Workload for Attention {
    fn description(&self) -> String {
        let (queries, keys) = self.rows();
        format!(
            "softmax(Q·Kᵀ/√d)·V, {} heads, {queries} queries, {keys} keys, d = {}, in tiles of {}",
            self.heads, self.head_size, self.tile
        )
    }

    fn set_up(&mut self, runtime: &mut Runtime) -> Result<(), WorkloadError> {
        let (queries, keys) = self.rows();
        let buffers = [
            runtime.buffer_from(&self.queries.values)?,
            runtime.buffer_from(&self.keys.values)?,
            runtime.buffer_from(&self.values.values)?,
        ];
        let output = runtime.buffer((self.queries.values.len() * 4) as u64)?;
        let tensor = |buffer: &Buffer, rows: usize| {
            buffer.tensor(&[self.heads as u32, rows as u32, self.head_size as u32], DataType::F32)
        };
        self.ready = Some(Ready {
            tensors: [
                tensor(&buffers[0], queries)?,
                tensor(&buffers[1], keys)?,
                tensor(&buffers[2], keys)?,
                tensor(&output, queries)?,
            ],
            output,
            scores: runtime.register(Kernel::cube("scores", multiply_transposed))?,
            softmax: runtime.register(Kernel::vector("softmax", softmax))?,
            weigh: runtime.register(Kernel::cube("weigh values", multiply))?,
            join: runtime.register(Kernel::vector("join", join))?,
            _inputs: buffers,
        });
        Ok(())
    }

    fn tasks(&self) -> u64 {
        let (queries, keys) = self.rows();
        let (rows, columns) = (queries.div_ceil(self.tile), keys.div_ceil(self.tile));
        (self.heads * rows * (1 + 4 * columns)) as u64
    }

    fn orchestrate(&self, target: &mut dyn Target, submitted: &mut dyn FnMut(u64)) -> Result<(), SubmitError> {
        let ready = self.ready.as_ref().expect("it has been set up");
        let (queries, keys) = self.rows();
        let per_tile = 1 + 4 * keys.div_ceil(self.tile) as u64;
        let mut done = 0;
        for head in 0..self.heads as u32 {
            let of_head = |tensor: &Tensor| {
                let rows = tensor.shape()[1];
                let columns = tensor.shape()[2];
                tensor.view(&[1, rows, columns], &[head, 0, 0])?.reshape(&[rows, columns])
            };
            let [q, k, v, o] = &ready.tensors;
            let tensors = [of_head(q)?, of_head(k)?, of_head(v)?, of_head(o)?];
            for row in 0..queries.div_ceil(self.tile) {
                self.tile_of_queries(target, tensors.each_ref(), row)?;
                done += per_tile;
                submitted(done);
            }
        }
        Ok(())
    }

    fn external(&self) -> Vec<(&'static str, Tensor)> {
        let [queries, keys, values, output] = self.ready.as_ref().expect("it has been set up").tensors;
        vec![("Q", queries), ("K", keys), ("V", values), ("output", output)]
    }

    fn result(&self, runtime: &Runtime) -> Result<Matrix, WorkloadError> {
        let ready = self.ready.as_ref().expect("it has been set up");
        let values = runtime.read::<f32>(&ready.output)?;
        Ok(Matrix { rows: self.queries.rows, columns: self.head_size, values })
    }

    fn check(&self, result: &Matrix) -> Check {
        let (queries, keys) = self.rows();
        let mut error = 0.0f64;
        let mut scores = vec![0.0f64; keys];
        let mut expected = vec![0.0f64; self.head_size];
        for row in 0..self.queries.rows {
            let head = row / queries;
            let query = self.queries.row(row);
            for (key, score) in scores.iter_mut().enumerate() {
                let key = self.keys.row(head * keys + key);
                *score = self.scale() * query.iter().zip(key).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
            }
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|score| (score - most).exp()).sum();
            expected.fill(0.0);
            for (key, score) in scores.iter().enumerate() {
                let weight = (score - most).exp() / sum;
                for (expected, &value) in expected.iter_mut().zip(self.values.row(head * keys + key)) {
                    *expected += weight * f64::from(value);
                }
            }
            for (&found, &expected) in result.row(row).iter().zip(&expected) {
                let difference = (f64::from(found) - expected).abs();
                error = if difference.is_nan() { f64::INFINITY } else { error.max(difference) };
            }
        }
        let terms = (keys + 4 * self.head_size) as f64;
        Check {
            measure: "largest |output - reference|, where |values| < 1",
            error,
            tolerance: terms * ROUNDING,
            reason: format!(
                "sums over {keys} keys, and over {} columns in the exponents, round by 2^-24 each",
                self.head_size
            ),
        }
    }
}
