//! Recorded graphs, run again.

use crate::error::{Error, guard};
use crate::handle;
use crate::pointer;
use crate::report::prewire_report;
use crate::runtime::{clear, hand_over, prewire_runtime, run};
use crate::status::prewire_status;
use crate::trace::failed;
use prewire::graph_format::RecordedGraph;
use prewire::replay::{KernelTimes, Replay, ReplayError};
use std::ffi::c_char;
use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

/// Kernels of a replay take as long as the recording says; in virtual time, those of which it says nothing take what their arguments make likely.
pub const PREWIRE_REPLAY_RECORDED: u64 = u64::MAX;

/// Runs a recorded graph: the same scopes, tasks, tensors and named dependencies, with kernels that touch nothing and take `kernel_ns` nanoseconds each, 0 for none
/// at all, or `PREWIRE_REPLAY_RECORDED`. Statuses and `report` are as for `prewire_runtime_run`. The kernels that it registers are taken out again behind it. `path`
/// stays the caller's. Any thread may call it while no run is on.
///
/// # Safety
/// `path` is NULL or points to a text with a NUL at its end; `report` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_runtime_replay(
    runtime: *mut prewire_runtime,
    path: *const c_char,
    kernel_ns: u64,
    report: *mut *mut prewire_report,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        unsafe { clear(report) }?;
        // SAFETY: by contract.
        let path = unsafe { pointer::path(path, "path") }?;
        let file = File::open(path).map_err(|error| failed(path, &error))?;
        let graph = RecordedGraph::read(BufReader::new(file)).map_err(|error| failed(path, &error))?;
        let times = match kernel_ns {
            0 => KernelTimes::Empty,
            PREWIRE_REPLAY_RECORDED => KernelTimes::Recorded,
            ns => KernelTimes::Fixed(Duration::from_nanos(ns)),
        };
        let registered = |runtime: &prewire::Runtime| runtime.kernels().iter().map(|(id, _)| id).collect::<Vec<_>>();
        let (before, replay) = handle::with(runtime, |assembled| {
            let before = registered(&assembled.runtime);
            Ok((before, Replay::new(&mut assembled.runtime, &graph, times)))
        })?;
        let ran = replay.map_err(Error::from).and_then(|mut replay| run(runtime, |run, _| replay.submit(run)));
        handle::with(runtime, |assembled| {
            for kernel in registered(&assembled.runtime) {
                if !before.contains(&kernel) {
                    assembled.runtime.unregister(kernel);
                }
            }
            Ok(())
        })?;
        let (outcome, result) = ran?;
        // SAFETY: by contract.
        unsafe { hand_over(report, outcome) }?;
        result
    })
}

impl From<ReplayError> for Error {
    fn from(error: ReplayError) -> Self {
        let status = match &error {
            ReplayError::Buffer { .. } | ReplayError::OutOfMemory(_) => prewire_status::OutOfMemory,
            ReplayError::Kernel { .. } => prewire_status::RegistrationFailed,
            _ => prewire_status::FileFailed,
        };
        Error::new(status, error.to_string())
    }
}
