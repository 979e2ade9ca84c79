//! The network: what each chip computes of it, what the sub worker adds up, and the plain reference.

use super::timeline::{Log, now_ns};
use prewire::host::Level;
use prewire::{Argument, Builder, DataType, Kernel, KernelContext, KernelError, KernelId, NewTensor, Runtime, Task};
use prewire_platform_sim::Random;
use std::sync::{Arc, Mutex};

pub(super) const ROWS: u32 = 64;
pub(super) const MODEL: u32 = 128;
pub(super) const LAYERS: u32 = 3;
/// The width of the hidden layer, all chips together.
const HIDDEN: u32 = 512;
/// Rows that one task of a chip computes.
const TILE: u32 = 8;
/// Clusters of each chip.
const CLUSTERS: u16 = 4;

/// The numbers of the network.
#[derive(Debug)]
pub(super) struct Network {
    chips: u32,
    pub(super) input: Vec<f32>,
    /// For each chip, its columns of the first matrix.
    pub(super) up: Vec<f32>,
    /// For each chip, its rows of the second matrix.
    pub(super) down: Vec<f32>,
}

impl Network {
    pub(super) fn new(chips: u32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut values =
            |count: u32, scale: f32| -> Vec<f32> { (0..count).map(|_| random.symmetric() * scale).collect() };
        let shard = HIDDEN.div_ceil(chips);
        Network {
            chips,
            input: values(ROWS * MODEL, 1.0),
            up: values(chips * MODEL * shard, 1.0 / 8.0),
            down: values(chips * shard * MODEL, 1.0 / 8.0),
        }
    }

    /// The hidden columns of one chip.
    pub(super) fn shard(&self) -> u32 {
        HIDDEN.div_ceil(self.chips)
    }

    pub(super) fn description(&self) -> String {
        let hidden = self.shard() * self.chips;
        format!(
            "{LAYERS} layers of relu(x up) down, x of {ROWS} x {MODEL}, {hidden} hidden columns over {} chips",
            self.chips
        )
    }

    /// The largest difference from the same in f64, and how much of it rounding explains.
    pub(super) fn check(&self, result: &[f32]) -> (f64, f64) {
        let (model, shard) = (MODEL as usize, self.shard() as usize);
        let mut values: Vec<f64> = self.input.iter().map(|&value| value.into()).collect();
        for _ in 0..LAYERS {
            let mut next = vec![0.0; values.len()];
            for chip in 0..self.chips as usize {
                let (up, down) = (&self.up[chip * model * shard..], &self.down[chip * shard * model..]);
                for row in 0..ROWS as usize {
                    for column in 0..shard {
                        let products =
                            (0..model).map(|at| values[row * model + at] * f64::from(up[at * shard + column]));
                        let hidden = products.sum::<f64>().max(0.0);
                        for at in 0..model {
                            next[row * model + at] += hidden * f64::from(down[column * model + at]);
                        }
                    }
                }
            }
            values = next;
        }
        let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let error = values
            .iter()
            .zip(result)
            .fold(0.0f64, |error, (value, &found)| error.max((value - f64::from(found)).abs()));
        // Each element is a sum of so many products, three times over.
        let terms = f64::from(LAYERS * (MODEL + HIDDEN));
        (error, largest * f64::from(f32::EPSILON) * terms)
    }
}

/// What a worker keeps beside its chip.
#[derive(Debug)]
pub(super) struct Chip {
    multiply: KernelId,
    relu: KernelId,
    /// Core, start and end of what its kernels did.
    blocks: Arc<Mutex<Vec<[u64; 3]>>>,
}

const POISON: &str = "no code panics while it holds a chip's log";

impl Chip {
    pub(super) fn builder(_: u32) -> Builder {
        Runtime::builder().clusters(CLUSTERS)
    }

    pub(super) fn make(runtime: &mut Runtime) -> Result<Chip, String> {
        let blocks: Arc<Mutex<Vec<[u64; 3]>>> = Arc::default();
        let timed = |body: fn(&KernelContext<'_>) -> Result<(), KernelError>| {
            let blocks = blocks.clone();
            move |kernel: &KernelContext<'_>| {
                let start = now_ns();
                let result = body(kernel);
                blocks.lock().expect(POISON).push([kernel.payload().core.0.into(), start, now_ns()]);
                result
            }
        };
        let mut register = |kernel: Kernel| runtime.register(kernel).map_err(|error| error.to_string());
        Ok(Chip {
            multiply: register(Kernel::cube("multiply", timed(multiply)))?,
            relu: register(Kernel::vector("relu", timed(relu)))?,
            blocks: blocks.clone(),
        })
    }
}

fn multiply(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
    let (left, right) = (kernel.input::<f32>(0)?, kernel.input::<f32>(1)?);
    let mut product = kernel.output::<f32>(2)?;
    let inner = right.shape()[0] as usize;
    for row in 0..left.shape()[0] as usize {
        let factors = left.row(&[row]);
        let sums = product.row_mut(&[row]);
        sums.fill(0.0);
        for (at, &factor) in factors.iter().enumerate().take(inner) {
            for (sum, &value) in sums.iter_mut().zip(right.row(&[at])) {
                *sum += factor * value;
            }
        }
    }
    Ok(())
}

fn relu(kernel: &KernelContext<'_>) -> Result<(), KernelError> {
    kernel.output::<f32>(0)?.as_mut_slice().iter_mut().for_each(|value| *value = value.max(0.0));
    Ok(())
}

fn fault(error: impl std::fmt::Display) -> KernelError {
    KernelError::new(1, error.to_string())
}

/// One chip's part of a layer: its columns of the hidden layer, for all rows.
pub(super) fn part(level: &mut Level, task: &KernelContext<'_>) -> Result<(), KernelError> {
    let start = now_ns();
    let (runtime, chip) = level.chip::<Chip>()?;
    chip.blocks.lock().expect(POISON).clear();
    let shard = task.tensors()[1].shape()[1];
    let (x, up, down, y) = {
        let slices = [task.input::<f32>(0)?, task.input::<f32>(1)?, task.input::<f32>(2)?];
        let copy = |runtime: &mut Runtime, at: usize| runtime.buffer_from(slices[at].as_slice()).map_err(fault);
        let y = runtime.buffer(u64::from(4 * ROWS * MODEL)).map_err(fault)?;
        (copy(runtime, 0)?, copy(runtime, 1)?, copy(runtime, 2)?, y)
    };
    let tensor = |buffer: &prewire::Buffer, shape: [u32; 2]| buffer.tensor(&shape, DataType::F32).map_err(fault);
    let (x, up) = (tensor(&x, [ROWS, MODEL])?, (tensor(&up, [MODEL, shard])?, up, x));
    let (down, out) = ((tensor(&down, [shard, MODEL])?, down), tensor(&y, [ROWS, MODEL])?);
    runtime.run(|run| {
        for first in (0..ROWS).step_by(TILE as usize) {
            let (rows, result) = (x.slice(0, first, first + TILE, 1)?, out.slice(0, first, first + TILE, 1)?);
            let new = Argument::Output(NewTensor::new(&[TILE, shard], DataType::F32));
            let arguments = [Argument::Input(&rows), Argument::Input(&up.0), new];
            let hidden = run.submit(&Task::cube(chip.multiply).arguments(&arguments))?.outputs[0];
            run.submit(&Task::vector(chip.relu).arguments(&[Argument::InOut(&hidden)]))?;
            let arguments = [Argument::Input(&hidden), Argument::Input(&down.0), Argument::OutputExisting(&result)];
            run.submit(&Task::cube(chip.multiply).arguments(&arguments))?;
        }
        Ok(())
    })?;
    task.output::<f32>(3)?.as_mut_slice().copy_from_slice(&runtime.read::<f32>(&y).map_err(fault)?);
    let mut words = task.output::<u64>(4)?;
    let mut log = Log::new(words.as_mut_slice());
    for &[core, start, end] in chip.blocks.lock().expect(POISON).iter() {
        log.add(core + 1, start, end);
    }
    log.add(0, start, now_ns());
    Ok(())
}

/// Adds up the parts of all chips.
pub(super) fn all_reduce(task: &KernelContext<'_>) -> Result<(), KernelError> {
    let start = now_ns();
    {
        let parts = task.input::<f32>(0)?;
        let mut sum = task.output::<f32>(1)?;
        let sum = sum.as_mut_slice();
        sum.fill(0.0);
        for part in parts.as_slice().chunks_exact(sum.len()) {
            sum.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
    }
    let mut words = task.output::<u64>(2)?;
    Log::new(words.as_mut_slice()).add(0, start, now_ns());
    Ok(())
}
