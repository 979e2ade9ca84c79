//! While hot: a line through runs of 1 to 256 tasks, and the longest of a thousand runs.

use crate::bare::Peer;
use crate::figures::{fit, median, quantile, run, start};
use crate::row::Row;
use std::error::Error;

/// Runs of each length in a round.
const RUNS: usize = 20;
/// Spinning round trips in a round.
const SPINS: u32 = 2000;
/// What is aimed at, in microseconds.
const RUN_MOST: f64 = 5.0;
const TASK_MOST: f64 = 0.7;
/// The peer as published, and its engine without Python on a machine like ours; microseconds per run and per task.
const PUBLISHED: (f64, f64) = (43.3, 8.08);
const ENGINE: (f64, f64) = (15.7, 2.0);

/// Prints HOST-136.
pub(crate) fn line(rounds: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let bare = Peer::start()?;
    let (mut host, nothing) = start(1)?;
    let sizes: Vec<usize> = (0..=8).map(|power| 1 << power).collect();
    let (mut bases, mut slopes, mut spins) = (Vec::new(), Vec::new(), Vec::new());
    run(&mut host, nothing, 1000);
    for _ in 0..rounds {
        spins.push(bare.spinning_round_trip(SPINS));
        run(&mut host, nothing, 200);
        let pairs: Vec<(f64, f64)> = sizes
            .iter()
            .map(|&size| {
                let times: Vec<f64> = (0..RUNS).map(|_| run(&mut host, nothing, size)).collect();
                (size as f64, median(&times))
            })
            .collect();
        let (base, slope) = fit(&pairs);
        bases.push(base);
        slopes.push(slope);
    }
    host.close()?;
    let (base, slope, spin) = (median(&bases), median(&slopes), median(&spins));
    let per_run = format!("{base:.2} µs");
    let per_task = format!("{slope:.3} µs");
    let row = |what: &str, measured: &str, ratio| Row::new("HOST-136", what, measured, ratio);
    Ok(vec![
        row("while hot, per run, to 5 µs", &per_run, base / RUN_MOST).at_most(1.0),
        row("while hot, per task, to 0.7 µs", &per_task, slope / TASK_MOST).at_most(1.0),
        row(&format!("per run, to a bare spinning round trip of {spin:.2} µs"), &per_run, base / spin),
        row(&format!("per task, to a bare spinning round trip of {spin:.2} µs"), &per_task, slope / spin),
        row("per run, to the peer's published 43.3 µs", &per_run, base / PUBLISHED.0).at_most(0.12),
        row("per task, to the peer's published 8.08 µs", &per_task, slope / PUBLISHED.1).at_most(0.09),
        row("per run, to the 15.7 µs that its engine took elsewhere", &per_run, base / ENGINE.0).at_most(0.32),
        row("per task, to the 2.0 µs that its engine took elsewhere", &per_task, slope / ENGINE.1).at_most(0.35),
    ])
}

/// Prints HOST-138.
pub(crate) fn longest(rounds: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    const TASKS: usize = 2000;
    let runs = if rounds < crate::ROUNDS { 100 } else { 1000 };
    let (mut host, nothing) = start(1)?;
    run(&mut host, nothing, TASKS);
    let times: Vec<f64> = (0..runs).map(|_| run(&mut host, nothing, TASKS)).collect();
    host.close()?;
    let (median, longest) = (median(&times), quantile(&times, 1.0));
    let what = format!("the longest of {runs} runs of {TASKS} tasks, to their median");
    let measured = format!("{:.2} ms to {:.2} ms", longest / 1e3, median / 1e3);
    Ok(vec![Row::new("HOST-138", what, measured, longest / median).at_most(20.0)])
}
