//! Hosts to measure, and what is made of samples.

use prewire::host::{self, Callable, CallableId, HostRuntime};
use std::error::Error;
use std::time::Instant;

/// The middle of the samples.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The sample below which this share of all lies.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// The least-squares line through pairs: its value at 0 and its slope.
pub(crate) fn fit(pairs: &[(f64, f64)]) -> (f64, f64) {
    let count = pairs.len() as f64;
    let (x, y) =
        (pairs.iter().map(|pair| pair.0).sum::<f64>() / count, pairs.iter().map(|pair| pair.1).sum::<f64>() / count);
    let covariance: f64 = pairs.iter().map(|pair| (pair.0 - x) * (pair.1 - y)).sum();
    let variance: f64 = pairs.iter().map(|pair| (pair.0 - x).powi(2)).sum();
    let slope = covariance / variance;
    (y - slope * x, slope)
}

/// A host of so many worker processes, and a callable that does nothing.
pub(crate) fn start(workers: u32) -> Result<(HostRuntime, CallableId), Box<dyn Error>> {
    let mut builder = HostRuntime::builder().subs(workers);
    let nothing = builder.register(Callable::sub("nothing", |_| Ok(())))?;
    Ok((builder.start()?, nothing))
}

/// Microseconds of a run of so many independent tasks without arguments.
pub(crate) fn run(host: &mut HostRuntime, nothing: CallableId, tasks: usize) -> f64 {
    let begun = Instant::now();
    host.run(|run| {
        for _ in 0..tasks {
            run.submit(&host::sub(nothing))?;
        }
        Ok(())
    })
    .expect("empty tasks succeed");
    begun.elapsed().as_secs_f64() * 1e6
}
