//! What the cost must not grow with: live tiles of one buffer, the window, the tasks already run, the cores.

use crate::machine::{Payloads, builder};
use crate::options::Options;
use crate::samples::{Case, Samples};
use crate::shapes::{Graph, Shape};
use prewire::{Argument, Buffer, Chip, DataType, Dependency, Kernel, KernelId, Runtime, Task, Tensor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The submits of tasks on one buffer of which so many tiles are live. However many they are, the same number of tasks is held back on them, so that
/// nothing but the tiles differs.
struct Tiles {
    tiles: usize,
    runtime: Runtime,
    payloads: Payloads,
    gate: KernelId,
    open: Arc<AtomicBool>,
    buffer: Buffer,
    gated: Tensor,
    cells: Vec<Tensor>,
    _gated: Buffer,
}

/// Tasks that are held back before the measured submits.
const HELD: usize = 16_384;
/// Submits that are measured in one sample.
const MEASURED: usize = 4096;

impl Tiles {
    fn new(tiles: usize, options: &Options) -> Self {
        let window = (HELD + MEASURED + 2).next_power_of_two() as u64;
        let sized = builder(options).ring_task_window(window).ring_dep_pool(4 * window);
        let mut runtime = sized.build().unwrap_or_else(|error| panic!("{tiles} tiles: {error}"));
        let payloads = Payloads::register(&mut runtime);
        let open = Arc::new(AtomicBool::new(false));
        let flag = open.clone();
        let gate = runtime.register(Kernel::vector("gate", move |context| {
            while !flag.load(Ordering::Acquire) && !context.is_cancelled() {
                context.alive();
                std::thread::sleep(std::time::Duration::from_micros(50));
            }
            Ok(())
        }));
        let buffer = runtime.buffer(64 * tiles as u64).expect("there is memory");
        let whole = buffer.tensor(&[tiles as u32, 16], DataType::U32).expect("it fits");
        let cells = (0..tiles as u32).map(|tile| whole.view(&[1, 16], &[tile, 0]).expect("it is within")).collect();
        let gated = runtime.buffer(4).expect("there is memory");
        Tiles {
            tiles,
            payloads,
            gate: gate.expect("there is room for a kernel"),
            open,
            buffer,
            gated: gated.tensor(&[1], DataType::U32).expect("it fits"),
            cells,
            _gated: gated,
            runtime,
        }
    }
}

impl Case for Tiles {
    fn name(&self) -> (&'static str, String) {
        ("tiles", self.tiles.to_string())
    }

    fn sample(&mut self) -> f64 {
        self.open.store(false, Ordering::Release);
        let Tiles { runtime, payloads, gate, open, gated, cells, .. } = self;
        let mut elapsed = 0;
        let run = runtime.run(|run| {
            let gate = run.submit(&Task::vector(*gate).arguments(&[Argument::InOut(gated)]))?.id;
            let behind = [Dependency::wait_only(gate)];
            for number in 0..HELD {
                // The first task on each tile waits for the gate, the others for the one before them.
                let arguments = [Argument::InOut(&cells[number % cells.len()])];
                let named = if number < cells.len() { &behind[..] } else { &[] };
                run.submit(&Task::vector(payloads.own).arguments(&arguments).dependencies(named))?;
            }
            // Each of these finds exactly one live task before it.
            let start = Instant::now();
            for number in HELD..HELD + MEASURED {
                run.submit(&Task::vector(payloads.own).arguments(&[Argument::InOut(&cells[number % cells.len()])]))?;
            }
            elapsed = start.elapsed().as_nanos();
            open.store(true, Ordering::Release);
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{} tiles: {error}", self.tiles));
        let cells = self.runtime.read::<u32>(&self.buffer).expect("the run is over");
        let sum: u32 = cells.iter().step_by(16).sum();
        let zeros = vec![0u32; cells.len()];
        self.runtime.write(&self.buffer, &zeros).expect("no run is on");
        assert_eq!(sum as usize, HELD + MEASURED, "{} tiles: a task did not run", self.tiles);
        elapsed as f64 / MEASURED as f64
    }
}

/// Everything that is measured for growth.
pub(crate) fn cases(options: &Options) -> Vec<Box<dyn Case>> {
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    for power in [4, 6, 8, 10, 12, 14].into_iter().filter(|&power| power <= 10 || !options.quick) {
        cases.push(Box::new(Tiles::new(1 << power, options)));
    }
    let side = if options.quick { 64 } else { 256 };
    for power in [8, 10, 12, 14, 16] {
        let sized = builder(options).ring_task_window(1 << power).ring_dep_pool(1 << (power + 2));
        cases.push(Box::new(Graph::new("window", format!("2^{power}, wave"), Shape::Wavefront, side, sized)));
    }
    for power in [3, 4, 5, 6, 7].into_iter().filter(|&power| power <= 5 || !options.quick) {
        let tasks = 10usize.pow(power);
        cases.push(Box::new(Graph::new("tasks", format!("10^{power}, chain"), Shape::Chain, tasks, builder(options))));
    }
    for (chip, clusters) in [(Chip::A2a3, 8), (Chip::A2a3, 16), (Chip::A2a3, 24), (Chip::A5, 36)] {
        let machine = || builder(options).platform(chip).clusters(clusters);
        let name = || format!("{} of {chip}", 3 * clusters);
        let tasks = if options.quick { 10_000 } else { 100_000 };
        cases.push(Box::new(Graph::new("cores, indep", name(), Shape::Independent, tasks, machine())));
        cases.push(Box::new(Graph::new("cores, wave", name(), Shape::Wavefront, side, machine())));
    }
    cases
}

/// The last of each group over its first: how much the cost grows.
pub(crate) fn summary(samples: &Samples) -> String {
    let mut text = String::new();
    for group in ["tiles", "window", "tasks", "cores, indep", "cores, wave"] {
        let medians = samples.medians(group);
        let (Some((first, from)), Some((last, to))) = (medians.first(), medians.last()) else { continue };
        text.push_str(&format!(
            "{group}: from {first} to {last} the median grows by {:+.0} %\n",
            100.0 * (to / from - 1.0)
        ));
    }
    text
}
