//! Submits while so many tiles of one buffer are alive.

use prewire::{Argument, Buffer, DataType, Kernel, KernelId, Runtime, Task, Tensor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A kind of tile: the median of one submit in nanoseconds, with few and with many alive.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) few: f64,
    pub(crate) many: f64,
}

const FEW: usize = 64;
const MANY: usize = 4096;
/// Submits of one sample, and how many of them are timed together, as the clock itself takes a good part of one.
const MEASURED: usize = 2048;
const TOGETHER: usize = 16;

/// How a buffer is cut.
#[derive(Clone, Copy)]
enum Cut {
    Pieces,
    Squares,
    Strips,
}

impl Cut {
    fn name(self) -> &'static str {
        match self {
            Cut::Pieces => "contiguous pieces of 64",
            Cut::Squares => "squares of 8 x 8",
            Cut::Strips => "strips of 64 x 4",
        }
    }

    /// The shape of the whole and of one tile, for so many tiles.
    fn shapes(self, tiles: usize) -> ([u32; 2], [u32; 2]) {
        let side = tiles.isqrt() as u32;
        match self {
            Cut::Pieces => ([1, 64 * tiles as u32], [1, 64]),
            Cut::Squares => ([8 * side, 8 * side], [8, 8]),
            Cut::Strips => ([64, 4 * tiles as u32], [64, 4]),
        }
    }
}

struct Tiles {
    runtime: Runtime,
    gate: KernelId,
    own: KernelId,
    open: Arc<AtomicBool>,
    gated: Tensor,
    tiles: Vec<Tensor>,
    _buffers: [Buffer; 2],
}

impl Tiles {
    fn new(cut: Cut, count: usize) -> Self {
        let window = (count + MEASURED + 2).next_power_of_two() as u64;
        let builder = Runtime::builder().threads(2).ring_task_window(window).ring_dep_pool(4 * window);
        let mut runtime = builder.build().expect("the settings are valid");
        let open = Arc::new(AtomicBool::new(false));
        let flag = open.clone();
        let gate = runtime.register(Kernel::vector("gate", move |context| {
            while !flag.load(Ordering::Acquire) && !context.is_cancelled() {
                context.alive();
                std::thread::sleep(Duration::from_micros(50));
            }
            Ok(())
        }));
        let own = runtime.register(Kernel::vector("own", |_| Ok(())));
        let (whole, tile) = cut.shapes(count);
        let buffer = runtime.buffer(4 * u64::from(whole[0]) * u64::from(whole[1])).expect("there is memory");
        let all = buffer.tensor(&whole, DataType::F32).expect("it fits");
        let mut tiles = Vec::new();
        for row in 0..whole[0] / tile[0] {
            for column in 0..whole[1] / tile[1] {
                tiles.push(all.view(&tile, &[row * tile[0], column * tile[1]]).expect("it is within"));
            }
        }
        assert_eq!(tiles.len(), count);
        let gated = runtime.buffer(4).expect("there is memory");
        Tiles {
            gate: gate.expect("there is room"),
            own: own.expect("there is room"),
            open,
            gated: gated.tensor(&[1], DataType::F32).expect("it fits"),
            tiles,
            _buffers: [buffer, gated],
            runtime,
        }
    }

    /// Appends samples of one submit: each finds exactly one live task on its tile.
    fn sample(&mut self, samples: &mut Vec<f64>) {
        self.open.store(false, Ordering::Release);
        let Tiles { runtime, gate, own, open, gated, tiles, .. } = self;
        let run = runtime.run(|run| {
            run.submit(&Task::vector(*gate).arguments(&[Argument::InOut(gated)]))?;
            for tile in tiles.iter() {
                run.submit(&Task::vector(*own).arguments(&[Argument::InOut(tile), Argument::Input(gated)]))?;
            }
            for first in (0..MEASURED).step_by(TOGETHER) {
                let start = Instant::now();
                for number in first..first + TOGETHER {
                    // No tile count here shares a factor with this step, so that all tiles have their turn.
                    let tile = &tiles[number * 7919 % tiles.len()];
                    run.submit(&Task::vector(*own).arguments(&[Argument::InOut(tile)]))?;
                }
                samples.push(start.elapsed().as_nanos() as f64 / TOGETHER as f64);
            }
            open.store(true, Ordering::Release);
            Ok(())
        });
        run.expect("nothing fails");
    }
}

/// The median.
pub(crate) fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Few and many of each kind in turn, so many times.
pub(crate) fn measure(rounds: usize) -> Vec<Row> {
    let mut cases: Vec<_> = [Cut::Pieces, Cut::Squares, Cut::Strips]
        .into_iter()
        .map(|cut| (cut, [FEW, MANY].map(|count| (Tiles::new(cut, count), Vec::new()))))
        .collect();
    for round in 0..=rounds {
        for (_, sizes) in &mut cases {
            for (tiles, samples) in sizes {
                tiles.sample(samples);
                // The first round warms up.
                if round == 0 {
                    samples.clear();
                }
            }
        }
    }
    cases
        .into_iter()
        .map(|(cut, [(_, mut few), (_, mut many)])| Row {
            name: cut.name(),
            few: median(&mut few),
            many: median(&mut many),
        })
        .collect()
}
