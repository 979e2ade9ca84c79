//! What arguments cost on their way to a worker.

use crate::figures::{median, run, start};
use crate::row::Row;
use prewire::host;
use prewire::{Argument, DataType, Tensor};
use std::error::Error;
use std::time::Instant;

/// Arguments of the longer tasks.
const MANY: usize = 142;
const TASKS: usize = 200;

/// Prints HOST-139.
pub(crate) fn many(rounds: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let (mut host, nothing) = start(1)?;
    let buffer = host.buffer(8 * MANY as u64)?;
    let all = buffer.tensor(&[MANY as u32], DataType::U64)?;
    let cells = (0..MANY as u32).map(|at| all.slice(0, at, at + 1, 1)).collect::<Result<Vec<Tensor>, _>>()?;
    let arguments: Vec<Argument<'_>> = cells.iter().map(Argument::Input).collect();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (times, count) in times.iter_mut().zip([1, MANY]) {
            run(&mut host, nothing, 200);
            let begun = Instant::now();
            host.run(|run| {
                for _ in 0..TASKS {
                    run.submit(&host::sub(nothing).arguments(&arguments[..count]))?;
                }
                Ok(())
            })?;
            times.push(begun.elapsed().as_secs_f64() * 1e6 / TASKS as f64);
        }
    }
    host.close()?;
    let [one, many] = times.map(|times| median(&times));
    let what = "a task of 142 tensors, to one of 1 tensor";
    Ok(vec![Row::new("HOST-139", what, format!("{many:.2} µs to {one:.2} µs"), many / one).at_most(12.0)])
}
