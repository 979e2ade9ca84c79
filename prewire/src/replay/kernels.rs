//! The kernels of a replay: they touch nothing, and either return at once or take a time.

use super::ReplayError;
use crate::graph_format::Header;
use crate::{CoreKind, Kernel, KernelContext, KernelId, Runtime};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long kernels take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KernelTimes {
    /// They return at once.
    #[default]
    Empty,
    /// As long as the recording says; those of which it says nothing return at once.
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
    header: &Header,
    times: KernelTimes,
) -> Result<HashMap<u16, KernelId>, ReplayError> {
    let mut ids = HashMap::new();
    for (&number, record) in &header.kernels {
        let time = match times {
            KernelTimes::Empty => Duration::ZERO,
            KernelTimes::Recorded => Duration::from_nanos(record.duration_ns.unwrap_or(0)),
            KernelTimes::Fixed(time) => time,
        };
        let kernel = match (record.kind, time.is_zero()) {
            (CoreKind::Cube, true) => Kernel::cube(&record.name, |_| Ok(())).never_waits(),
            (CoreKind::Vector, true) => Kernel::vector(&record.name, |_| Ok(())).never_waits(),
            (CoreKind::Cube, false) => Kernel::cube(&record.name, move |context| take(time, context)),
            (CoreKind::Vector, false) => Kernel::vector(&record.name, move |context| take(time, context)),
        };
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
