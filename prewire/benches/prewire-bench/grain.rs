//! How large a task must be: METG(50 %), the smallest granularity at which half of the peak rate of work is reached (Slaughter et al., "Task Bench", SC 2020),
//! on the field's patterns.
//!
//! Granularity is elapsed time × threads ÷ tasks, so it counts the work of a task and what the runtime adds to it. The peak is that of the same graph
//! with tasks so large that nothing else counts, in the same round.

use crate::options::Options;
use crate::samples::Case;
use prewire::{Argument, Buffer, DataType, Kernel, KernelId, Run, Runtime, SubmitError, Task, Tensor};
use std::hint::black_box;
use std::time::Instant;

/// Cells of a row.
const WIDTH: usize = 32;
/// Most producers of a cell.
const PRODUCERS_MOST: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Pattern {
    /// Each cell after itself and both neighbours in the row before.
    Stencil,
    /// Each cell after itself and the two at a distance that doubles with each row.
    Fft,
    /// Each node after its parent; the rows are the levels.
    Tree,
    /// Each cell after some of the five next to it in the row before, itself always among them.
    RandomNearest,
}

impl Pattern {
    const ALL: [Pattern; 4] = [Pattern::Stencil, Pattern::Fft, Pattern::Tree, Pattern::RandomNearest];

    fn name(self) -> &'static str {
        match self {
            Pattern::Stencil => "stencil",
            Pattern::Fft => "fft",
            Pattern::Tree => "tree",
            Pattern::RandomNearest => "random nearest",
        }
    }

    /// The producers of a cell among the cells of the row before, or of a tree's node among all nodes.
    fn producers(self, row: usize, column: usize) -> Vec<usize> {
        let near = |reach: usize| column.saturating_sub(reach)..=(column + reach).min(WIDTH - 1);
        match self {
            Pattern::Stencil => near(1).collect(),
            Pattern::Fft => {
                let reach = 1 << ((row - 1) % WIDTH.ilog2() as usize);
                near(reach).filter(|&other| other == column || other.abs_diff(column) == reach).collect()
            }
            Pattern::RandomNearest => {
                near(2).filter(|&other| other == column || is_chosen(row, column, other)).collect()
            }
            Pattern::Tree => vec![(column - 1) / 2],
        }
    }
}

/// A fixed coin for each pair.
fn is_chosen(row: usize, column: usize, other: usize) -> bool {
    let word = ((row * WIDTH + column) * WIDTH + other) as u64;
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 63 != 0
}

/// A pattern and the runtime that runs it.
struct Grain {
    pattern: Pattern,
    runtime: Runtime,
    threads: usize,
    kernel: KernelId,
    buffer: Buffer,
    cells: Vec<Tensor>,
    /// The producers of each cell, by their places.
    producers: Vec<Vec<usize>>,
}

impl Grain {
    fn new(pattern: Pattern, options: &Options) -> Self {
        // Every thread works: the submitting one drives a scheduler as soon as it has nothing to submit.
        let builder = Runtime::builder().threads(options.threads + 1).caller_drives(true);
        let mut runtime = builder.build().unwrap_or_else(|error| panic!("{}: {error}", pattern.name()));
        let kernel = runtime.register(Kernel::vector("work", |context| {
            let mut word = 1u64;
            for _ in 0..context.scalar_bits(0)? {
                word = black_box(word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            }
            let last = context.tensors().len() - 1;
            let mut deepest = 0;
            for producer in 0..last {
                deepest = deepest.max(context.input::<u32>(producer)?.as_slice()[0]);
            }
            context.output::<u32>(last)?.as_mut_slice()[0] = deepest + 1;
            Ok(())
        }));
        let rows = if options.quick { 8 } else { 64 };
        let count = rows * WIDTH;
        let producers = (0..count).map(|place| match pattern {
            _ if place == 0 => Vec::new(),
            Pattern::Tree => pattern.producers(0, place),
            _ if place < WIDTH => Vec::new(),
            _ => {
                let (row, column) = (place / WIDTH, place % WIDTH);
                pattern.producers(row, column).into_iter().map(|other| (row - 1) * WIDTH + other).collect()
            }
        });
        let buffer = runtime.buffer(64 * count as u64).expect("there is memory");
        let whole = buffer.tensor(&[count as u32, 16], DataType::U32).expect("it fits");
        let cells = (0..count as u32).map(|cell| whole.view(&[1, 1], &[cell, 0]).expect("it is within")).collect();
        Grain {
            pattern,
            threads: options.threads as usize,
            kernel: kernel.expect("there is room for a kernel"),
            producers: producers.collect(),
            buffer,
            cells,
            runtime,
        }
    }

    /// Runs the graph with tasks of so much work; returns the granularity in nanoseconds.
    fn granularity(&mut self, iterations: u64) -> f64 {
        let Grain { runtime, kernel, cells, producers, .. } = self;
        let start = Instant::now();
        let run = runtime.run(|run| submit(run, *kernel, cells, producers, iterations));
        let elapsed = start.elapsed();
        run.unwrap_or_else(|error| panic!("{}: {error}", self.pattern.name()));
        self.check();
        elapsed.as_nanos() as f64 * self.threads as f64 / self.cells.len() as f64
    }

    fn check(&self) {
        let values = self.runtime.read::<u32>(&self.buffer).expect("the run is over");
        for (place, value) in values.into_iter().step_by(16).enumerate() {
            let depth = match self.pattern {
                Pattern::Tree => (place + 1).ilog2() as usize,
                _ => place / WIDTH,
            };
            assert_eq!(value as usize, depth + 1, "{}: a dependency was not kept", self.pattern.name());
        }
    }
}

fn submit(
    run: &mut Run<'_>,
    kernel: KernelId,
    cells: &[Tensor],
    producers: &[Vec<usize>],
    iterations: u64,
) -> Result<(), SubmitError> {
    let scalars = [iterations.into()];
    for (cell, producers) in cells.iter().zip(producers) {
        let mut arguments = [Argument::OutputExisting(cell); PRODUCERS_MOST + 1];
        for (argument, &producer) in arguments.iter_mut().zip(producers) {
            *argument = Argument::Input(&cells[producer]);
        }
        run.submit(&Task::vector(kernel).scalars(&scalars).arguments(&arguments[..=producers.len()]))?;
    }
    Ok(())
}

impl Case for Grain {
    fn name(&self) -> (&'static str, String) {
        ("METG(50 %)", self.pattern.name().into())
    }

    fn sample(&mut self) -> f64 {
        let mut iterations = 1u64 << 15;
        // Work per nanosecond and thread; the peak is the best of the large ones.
        let mut granularity = self.granularity(iterations);
        let mut peak = iterations as f64 / granularity;
        loop {
            let (larger, larger_rate) = (granularity, iterations as f64 / granularity);
            iterations /= 2;
            granularity = self.granularity(iterations);
            let rate = iterations as f64 / granularity;
            peak = peak.max(rate);
            if rate < peak / 2.0 || iterations == 1 {
                // Between the two, along a line in the logarithms.
                let share = ((larger_rate / (peak / 2.0)).ln() / (larger_rate / rate).ln()).clamp(0.0, 1.0);
                return larger * (granularity / larger).powf(share);
            }
        }
    }
}

/// The field's patterns.
pub(crate) fn cases(options: &Options) -> Vec<Box<dyn Case>> {
    Pattern::ALL.into_iter().map(|pattern| -> Box<dyn Case> { Box::new(Grain::new(pattern, options)) }).collect()
}
