//! Long streams through small windows.

use crate::counting::{calls, resident_bytes};
use crate::live::median;
use prewire::{Argument, Buffer, DataType, Kernel, KernelId, Runtime, Task, Tensor};
use std::time::Instant;

struct Stream {
    runtime: Runtime,
    own: KernelId,
    cells: Vec<Tensor>,
    buffer: Buffer,
}

/// Cells that the tasks go round.
const CELLS: usize = 64;

impl Stream {
    fn new() -> Self {
        let mut runtime = Runtime::builder().threads(2).ring_task_window(256).build().expect("the settings are valid");
        let own = runtime.register(Kernel::vector("own", |context| {
            context.output::<u32>(0)?.as_mut_slice()[0] += 1;
            Ok(())
        }));
        let buffer = runtime.buffer(4 * CELLS as u64).expect("there is memory");
        let whole = buffer.tensor(&[CELLS as u32], DataType::U32).expect("it fits");
        let cells = (0..CELLS as u32).map(|cell| whole.view(&[1], &[cell]).expect("it is within")).collect();
        Stream { own: own.expect("there is room"), runtime, cells, buffer }
    }

    fn check(&self, tasks: usize) {
        let cells = self.runtime.read::<u32>(&self.buffer).expect("the run is over");
        assert_eq!(cells.iter().map(|&cell| cell as usize).sum::<usize>(), tasks, "a task did not run");
    }
}

/// What [`submits`] measures.
pub(crate) struct Submits {
    pub(crate) tasks: usize,
    /// The median of one submit in the first and in the last 10 000 tasks, in nanoseconds.
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) grown_bytes: i64,
}

pub(crate) fn submits(tasks: usize) -> Submits {
    const SAMPLE: usize = 10_000;
    let mut stream = Stream::new();
    let (mut first, mut last) = (Vec::with_capacity(SAMPLE), Vec::with_capacity(SAMPLE));
    let mut resident = 0;
    let Stream { runtime, own, cells, .. } = &mut stream;
    let run = runtime.run(|run| {
        for number in 0..tasks {
            if number == 20_000 {
                resident = resident_bytes();
            }
            let arguments = [Argument::InOut(&cells[number % CELLS])];
            let task = Task::vector(*own).arguments(&arguments);
            let sample = if number < SAMPLE {
                &mut first
            } else if number >= tasks - SAMPLE {
                &mut last
            } else {
                run.submit(&task)?;
                continue;
            };
            let start = Instant::now();
            run.submit(&task)?;
            sample.push(start.elapsed().as_nanos() as f64);
        }
        resident = resident_bytes() - resident;
        Ok(())
    });
    run.expect("nothing fails");
    stream.check(tasks);
    Submits { tasks, first: median(&mut first), last: median(&mut last), grown_bytes: resident }
}

/// What [`allocations`] measures.
pub(crate) struct Allocations {
    pub(crate) tasks: usize,
    pub(crate) ns_per_task: f64,
    pub(crate) calls: u64,
    pub(crate) grown_bytes: i64,
}

pub(crate) fn allocations(tasks: usize) -> Allocations {
    let mut stream = Stream::new();
    let (mut called, mut resident) = (0, 0);
    let Stream { runtime, own, cells, .. } = &mut stream;
    let start = Instant::now();
    let run = runtime.run(|run| {
        for number in 0..tasks {
            if number == 10_000 {
                resident = resident_bytes();
                called = calls();
            }
            run.submit(&Task::vector(*own).arguments(&[Argument::InOut(&cells[number % CELLS])]))?;
        }
        called = calls() - called;
        resident = resident_bytes() - resident;
        Ok(())
    });
    run.expect("nothing fails");
    let ns_per_task = start.elapsed().as_nanos() as f64 / tasks as f64;
    stream.check(tasks);
    Allocations { tasks, ns_per_task, calls: called, grown_bytes: resident }
}
