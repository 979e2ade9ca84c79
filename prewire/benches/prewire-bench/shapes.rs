//! The four shapes of the field's comparisons, each with a payload that checks itself.

use crate::machine::{Payloads, builder};
use crate::options::Options;
use crate::samples::Case;
use prewire::{Argument, Buffer, Builder, DataType, Run, Runtime, SubmitError, Task, Tensor};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each task after the one before.
    Chain,
    /// No task after another.
    Independent,
    /// A square of cells, each after the one above and the one to the left.
    Wavefront,
    /// Each node after its parent.
    Tree,
}

impl Shape {
    const ALL: [Shape; 4] = [Shape::Chain, Shape::Independent, Shape::Wavefront, Shape::Tree];

    /// The name in comparisons.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Chain => "chain",
            Shape::Independent => "indep",
            Shape::Wavefront => "wave",
            Shape::Tree => "tree",
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Shape::ALL.map(Shape::name).join(", ");
        Shape::ALL
            .into_iter()
            .find(|shape| shape.name() == text)
            .ok_or_else(|| format!("unknown; there are {}", known()))
    }
}

/// A shape of some size with the runtime that runs it.
#[derive(Debug)]
pub(crate) struct Graph {
    group: &'static str,
    name: String,
    shape: Shape,
    /// Tasks; for a wavefront, of one side.
    size: usize,
    runtime: Runtime,
    payloads: Payloads,
    buffer: Buffer,
    cells: Vec<Tensor>,
    zeros: Vec<u32>,
}

impl Graph {
    pub(crate) fn new(group: &'static str, name: String, shape: Shape, size: usize, builder: Builder) -> Self {
        let mut runtime = builder.build().unwrap_or_else(|error| panic!("{name}: {error}"));
        let payloads = Payloads::register(&mut runtime);
        let count = match shape {
            Shape::Chain => 1,
            Shape::Independent => size,
            Shape::Wavefront => size * size,
            // Nodes are numbered from 1.
            Shape::Tree => size + 1,
        };
        let buffer = runtime.buffer(4 * count as u64).expect("there is memory");
        let whole = buffer.tensor(&[count as u32], DataType::U32).expect("it fits");
        let cells = (0..count as u32).map(|cell| whole.view(&[1], &[cell]).expect("it is within")).collect();
        Graph { group, name, shape, size, runtime, payloads, buffer, cells, zeros: vec![0; count] }
    }

    pub(crate) fn tasks(&self) -> usize {
        match self.shape {
            Shape::Wavefront => self.size * self.size,
            _ => self.size,
        }
    }

    /// Runs the graph once, from the first submit until everything is done.
    pub(crate) fn run(&mut self) -> Duration {
        self.runtime.write(&self.buffer, &self.zeros).expect("no run is on");
        let Graph { shape, size, runtime, payloads, cells, .. } = self;
        let (size, payloads) = (*size, *payloads);
        let start = Instant::now();
        runtime
            .run(|run| match shape {
                Shape::Chain => chain(run, payloads, &cells[0], size),
                Shape::Independent => independent(run, payloads, cells),
                Shape::Wavefront => wavefront(run, payloads, cells, size),
                Shape::Tree => tree(run, payloads, cells, size),
            })
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let elapsed = start.elapsed();
        self.check();
        elapsed
    }

    fn check(&self) {
        let cells = self.runtime.read::<u32>(&self.buffer).expect("the run is over");
        let size = self.size;
        let right = match self.shape {
            Shape::Chain => cells[0] == size as u32,
            Shape::Independent => cells.iter().all(|&cell| cell == 1),
            Shape::Wavefront => {
                cells.iter().enumerate().all(|(cell, &value)| value as usize == cell / size + cell % size + 1)
            }
            Shape::Tree => (1..=size).all(|node| cells[node] == node.ilog2() + 1),
        };
        assert!(right, "{}: a dependency was not kept", self.name);
    }
}

fn chain(run: &mut Run<'_>, payloads: Payloads, cell: &Tensor, tasks: usize) -> Result<(), SubmitError> {
    for _ in 0..tasks {
        run.submit(&Task::vector(payloads.own).arguments(&[Argument::InOut(cell)]))?;
    }
    Ok(())
}

fn independent(run: &mut Run<'_>, payloads: Payloads, cells: &[Tensor]) -> Result<(), SubmitError> {
    for cell in cells {
        run.submit(&Task::vector(payloads.own).arguments(&[Argument::InOut(cell)]))?;
    }
    Ok(())
}

fn wavefront(run: &mut Run<'_>, payloads: Payloads, cells: &[Tensor], side: usize) -> Result<(), SubmitError> {
    for row in 0..side {
        for column in 0..side {
            let place = row * side + column;
            let own = Argument::OutputExisting(&cells[place]);
            match (row, column) {
                (0, 0) => run.submit(&Task::vector(payloads.own).arguments(&[Argument::InOut(&cells[0])]))?,
                (0, _) => {
                    run.submit(&Task::vector(payloads.one).arguments(&[Argument::Input(&cells[place - 1]), own]))?
                }
                (_, 0) => {
                    run.submit(&Task::vector(payloads.one).arguments(&[Argument::Input(&cells[place - side]), own]))?
                }
                _ => run.submit(&Task::vector(payloads.two).arguments(&[
                    Argument::Input(&cells[place - side]),
                    Argument::Input(&cells[place - 1]),
                    own,
                ]))?,
            };
        }
    }
    Ok(())
}

fn tree(run: &mut Run<'_>, payloads: Payloads, cells: &[Tensor], nodes: usize) -> Result<(), SubmitError> {
    run.submit(&Task::vector(payloads.own).arguments(&[Argument::InOut(&cells[1])]))?;
    for node in 2..=nodes {
        let arguments = [Argument::Input(&cells[node / 2]), Argument::OutputExisting(&cells[node])];
        run.submit(&Task::vector(payloads.one).arguments(&arguments))?;
    }
    Ok(())
}

impl Case for Graph {
    fn name(&self) -> (&'static str, String) {
        (self.group, self.name.clone())
    }

    fn sample(&mut self) -> f64 {
        self.run().as_nanos() as f64 / self.tasks() as f64
    }
}

fn size_of(shape: Shape, quick: bool) -> usize {
    match (shape, quick) {
        (Shape::Chain | Shape::Independent, false) => 100_000,
        (Shape::Chain | Shape::Independent, true) => 10_000,
        (Shape::Wavefront, false) => 256,
        (Shape::Wavefront, true) => 64,
        (Shape::Tree, false) => (1 << 17) - 1,
        (Shape::Tree, true) => (1 << 13) - 1,
    }
}

/// The four shapes at the size of the field's comparisons.
pub(crate) fn cases(options: &Options) -> Vec<Box<dyn Case>> {
    let case = |shape: Shape| -> Box<dyn Case> {
        let size = size_of(shape, options.quick);
        Box::new(Graph::new("shape", shape.name().into(), shape, size, builder(options)))
    };
    Shape::ALL.into_iter().map(case).collect()
}

/// One shape in the language of the other runtimes' benchmarks.
pub(crate) fn speak(shape: Shape, options: &Options) {
    let size = size_of(shape, options.quick);
    let mut graph = Graph::new("shape", shape.name().into(), shape, size, builder(options));
    let variant = if options.caller_drives { "caller drives" } else { "full hazards" };
    graph.run();
    for repetition in 1..=options.repetitions {
        let before = processor_time();
        let run = graph.run();
        let spent = processor_time().saturating_sub(before);
        let tasks = graph.tasks();
        let per_task = |time: Duration| time.as_nanos() as f64 / tasks as f64;
        println!(
            "prewire,{variant},{},{},{tasks},{repetition},0.00,{:.2},{:.2}",
            shape.name(),
            options.threads,
            per_task(run),
            per_task(spent)
        );
    }
}

/// The processor time that all threads of the process have used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
