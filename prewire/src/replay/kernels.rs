//! The kernels of a replay: they touch nothing, and either return at once or take a time.

use super::{ReplayError, model};
use crate::graph_format::RecordedGraph;
use crate::{CoreKind, Kernel, KernelContext, KernelId, Runtime};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long kernels take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KernelTimes {
    /// They return at once.
    #[default]
    Empty,
    /// As long as the recording says. Those of which it says nothing return at once; in virtual time they take what their arguments make likely.
    Recorded,
    /// All this long.
    Fixed(Duration),
}

/// Below this a sleep is too coarse, and the kernel computes instead.
const SHORTEST_SLEEP: Duration = Duration::from_micros(100);
/// A kernel looks this often whether its run has ended.
const LONGEST_SLEEP: Duration = Duration::from_millis(5);

/// Registers the kernels of a recording, and says which number of the recording became which id.
pub(super) fn register(
    runtime: &mut Runtime,
    graph: &RecordedGraph,
    times: KernelTimes,
) -> Result<HashMap<u16, KernelId>, ReplayError> {
    let mut ids = HashMap::new();
    let modelled = if runtime.is_virtual() { model::times(graph, runtime.chip()) } else { Default::default() };
    for (&number, record) in &graph.header.kernels {
        let unsaid = modelled.get(&number).copied().unwrap_or(Duration::ZERO);
        let time = match times {
            KernelTimes::Empty => Duration::ZERO,
            KernelTimes::Recorded => record.duration_ns.map_or(unsaid, Duration::from_nanos),
            KernelTimes::Fixed(time) => time,
        };
        // In virtual time a kernel lasts without doing anything.
        let kernel = match (record.kind, time.is_zero() || runtime.is_virtual()) {
            (CoreKind::Cube, true) => Kernel::cube(&record.name, |_| Ok(())).never_waits(),
            (CoreKind::Vector, true) => Kernel::vector(&record.name, |_| Ok(())).never_waits(),
            (CoreKind::Cube, false) => Kernel::cube(&record.name, move |context| take(time, context)),
            (CoreKind::Vector, false) => Kernel::vector(&record.name, move |context| take(time, context)),
        };
        let kernel = kernel.lasting(time);
        let failed = |error| ReplayError::Kernel { name: record.name.clone(), error };
        ids.insert(number, runtime.register(kernel).map_err(failed)?);
    }
    Ok(ids)
}

fn take(time: Duration, context: &KernelContext<'_>) -> Result<(), crate::KernelError> {
    let start = Instant::now();
    loop {
        let left = time.saturating_sub(start.elapsed());
        if left.is_zero() || context.is_cancelled() {
            return Ok(());
        }
        context.alive();
        if left > SHORTEST_SLEEP {
            std::thread::sleep((left - SHORTEST_SLEEP / 2).min(LONGEST_SLEEP));
        } else {
            std::hint::spin_loop();
        }
    }
}
