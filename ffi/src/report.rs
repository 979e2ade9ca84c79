//! The report of a run.

use crate::config::PREWIRE_RING_COUNT;
use crate::error::{Error, guard, guard_or};
use crate::handle::{self, Handle};
use crate::pointer;
use crate::status::prewire_status;
use prewire::{Fatal, KernelSet, Report, RunError, StallReport, TaskId};
use std::ffi::{CString, c_char};

/// What a run did, whether it succeeded or not. Made by a run; given back to `prewire_report_destroy`.
#[derive(Debug)]
pub struct prewire_report {
    _opaque: [u8; 0],
}

/// What stands behind the handle.
pub(crate) struct Outcome {
    pub(crate) report: Report,
    error: Option<RunError>,
    pub(crate) kernels: KernelSet,
    error_text: CString,
    failure_text: CString,
    notes: Vec<CString>,
}

impl Handle for prewire_report {
    type Object = Outcome;
    const KIND: u8 = 3;
    const NAME: &'static str = "report";
}

fn text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

impl Outcome {
    pub(crate) fn new(report: Report, error: Option<RunError>, kernels: KernelSet) -> Self {
        let error_text = error.as_ref().map_or_else(CString::default, |error| text(&error.to_string()));
        let failure_text = match &error {
            Some(RunError::KernelFailed { first, .. }) => text(&first.text),
            _ => CString::default(),
        };
        let notes = report.notes.iter().map(|note| text(note)).collect();
        Outcome { report, error, kernels, error_text, failure_text, notes }
    }

    fn stall(&self) -> Option<&StallReport> {
        match &self.error {
            Some(RunError::Fatal(Fatal::Stalled(stall))) => Some(stall),
            _ => None,
        }
    }
}

/// What one ring needed: the most in use at once, and how much there is.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct prewire_ring_peaks {
    /// Slots in use at once.
    pub window_peak: u64,
    /// Slots there are.
    pub window: u64,
    /// Heap bytes in use at once.
    pub heap_peak_bytes: u64,
    /// Heap bytes there are.
    pub heap_bytes: u64,
    /// Edges in use at once.
    pub edges_peak: u64,
    /// Edges there are.
    pub edges: u64,
}

/// The numbers of a report.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct prewire_report_counts {
    /// `sizeof(prewire_report_counts)`; set it before the call.
    pub size: usize,
    /// The run's number within its runtime, from 1.
    pub run: u32,
    /// Scopes that the orchestration left open and the runtime closed.
    pub scopes_left_open: u32,
    /// Tasks submitted, allocations among them.
    pub tasks: u64,
    /// Of these, allocations.
    pub allocations: u64,
    /// Tasks completed, of whatever kind and ending.
    pub completed: u64,
    /// Tasks whose kernels failed.
    pub failed: u64,
    /// Tasks retired unrun because of another's failure.
    pub unrun: u64,
    /// From the first submit's chance to the last completion, in nanoseconds.
    pub elapsed_ns: u64,
    /// Entries of the dependency index in use at once.
    pub index_peak: u64,
    /// Entries of the dependency index there are.
    pub index_entries: u64,
    /// The watchdog's budget that was in force, in nanoseconds.
    pub watchdog_ns: u64,
    /// How many notes there are for `prewire_report_note`.
    pub notes: u64,
    /// What each ring needed.
    pub rings: [prewire_ring_peaks; PREWIRE_RING_COUNT],
}

/// The first failed kernel of a run.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_kernel_failure {
    /// The task's id, as the submit gave it.
    pub task: u64,
    /// The kernel's id.
    pub kernel: u32,
    /// The block that failed first, as far as was seen.
    pub block: u32,
    /// The kernel's own code.
    pub code: i32,
    /// 0.
    pub reserved: u32,
    /// The kernel's own text. It belongs to the report.
    pub text: *const c_char,
}

/// What kind of standstill a run ended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_stall_class {
    /// A task runs on a core and shows no sign of life.
    RunningStalled = 1,
    /// A task is ready and nobody dispatches it.
    ReadyIdle = 3,
    /// Tasks wait and nothing that they wait for runs.
    DependencyDeadlock = 4,
    /// Everything submitted is done and the orchestration does not go on.
    OrchestratorStarvation = 5,
    /// None of these.
    Unknown = 99,
}

/// What a run that stood still looked like. The run's error text names the cores and kernels.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_stall {
    /// A `prewire_stall_class`.
    pub stall_class: u32,
    /// Whether the orchestration had finished: 1 or 0.
    pub orchestration_done: u32,
    /// The budget that was exceeded, in milliseconds.
    pub budget_ms: u64,
    /// Tasks submitted.
    pub submitted: u64,
    /// Tasks completed.
    pub completed: u64,
    /// Tasks on cores.
    pub running: u64,
    /// Tasks that were ready.
    pub ready: u64,
    /// Tasks that waited.
    pub waiting: u64,
    /// The id of the task that is stuck on a core; all ones if there is none.
    pub stuck_task: u64,
    /// How long it has been there without a sign of life, in milliseconds.
    pub stuck_ms: u64,
}

/// Gives a report and its texts back. The handle is no longer the caller's. Any thread may call it.
///
/// # Safety
/// Any value may be given; one that is no handle of a report is an error. No text of the report may be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_report_destroy(report: *mut prewire_report) -> prewire_status {
    guard(|| handle::remove(report).map(drop))
}

/// The numbers of a report. `counts` stays the caller's, who has set its `size`. Any thread may call it.
///
/// # Safety
/// `counts` is NULL or points to a `prewire_report_counts` whose `size` was set and which may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_report_get_counts(
    report: *const prewire_report,
    counts: *mut prewire_report_counts,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let size = unsafe { pointer::sized(counts.cast_const(), "counts") }?.size;
        let value = handle::with(report, |outcome| {
            let report = &outcome.report;
            Ok(prewire_report_counts {
                size,
                run: report.run,
                scopes_left_open: report.scopes_left_open as u32,
                tasks: report.tasks,
                allocations: report.allocations,
                completed: report.completed,
                failed: report.failed,
                unrun: report.unrun,
                elapsed_ns: report.elapsed.as_nanos() as u64,
                index_peak: report.index_entries.0,
                index_entries: report.index_entries.1,
                watchdog_ns: report.watchdog.as_nanos() as u64,
                notes: report.notes.len() as u64,
                rings: report.rings.map(|ring| prewire_ring_peaks {
                    window_peak: ring.window.0,
                    window: ring.window.1,
                    heap_peak_bytes: ring.heap_bytes.0,
                    heap_bytes: ring.heap_bytes.1,
                    edges_peak: ring.edges.0,
                    edges: ring.edges.1,
                }),
            })
        })?;
        // SAFETY: by contract.
        unsafe { pointer::put(counts, "counts", value) }
    })
}

/// The status that the run ended with, and its cause. The same as the run's call returned; `PREWIRE_STATUS_BAD_HANDLE` if the report is none. Any thread may call it.
///
/// # Safety
/// Any value may be given; one that is no handle of a report is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_report_status(report: *const prewire_report) -> prewire_status {
    let mut status = prewire_status::Ok;
    let asked = guard(|| {
        handle::with(report, |outcome| {
            status = outcome.error.as_ref().map_or(prewire_status::Ok, |error| Error::from(error).status);
            Ok(())
        })
    });
    if asked == prewire_status::Ok { status } else { asked }
}

/// Why the run failed, in one sentence with what would help; empty if it did not fail, NULL if the report is none. The text belongs to the report. Any thread may call it.
///
/// # Safety
/// Any value may be given; one that is no handle of a report is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_report_error(report: *const prewire_report) -> *const c_char {
    guard_or(std::ptr::null(), || handle::with(report, |outcome| Ok(outcome.error_text.as_ptr())))
}

/// A note: a cause that came after the first fatal one, or a warning. NULL if there is none of this number, or the report is none. The text belongs to the report. Any
/// thread may call it.
///
/// # Safety
/// Any value may be given; one that is no handle of a report is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_report_note(report: *const prewire_report, index: usize) -> *const c_char {
    guard_or(std::ptr::null(), || {
        handle::with(report, |outcome| {
            let count = outcome.notes.len();
            let note = outcome.notes.get(index);
            note.map(|note| note.as_ptr()).ok_or_else(|| {
                Error::new(prewire_status::NotAvailable, format!("note {index} was asked for and there are {count}"))
            })
        })
    })
}

/// The first submitted task whose kernel failed, if the run failed for it; else `PREWIRE_STATUS_NOT_AVAILABLE`. Any thread may call it.
///
/// # Safety
/// `failure` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_report_kernel_failure(
    report: *const prewire_report,
    failure: *mut prewire_kernel_failure,
) -> prewire_status {
    guard(|| {
        let value = handle::with(report, |outcome| match &outcome.error {
            Some(RunError::KernelFailed { first, .. }) => Ok(prewire_kernel_failure {
                task: first.task.to_bits(),
                kernel: u32::from(first.kernel.0),
                block: first.block,
                code: first.code,
                reserved: 0,
                text: outcome.failure_text.as_ptr(),
            }),
            _ => Err(Error::new(prewire_status::NotAvailable, "the run did not fail for a kernel")),
        })?;
        // SAFETY: by contract.
        unsafe { pointer::put(failure, "failure", value) }
    })
}

/// What the run looked like when the watchdog ended it; else `PREWIRE_STATUS_NOT_AVAILABLE`. Any thread may call it.
///
/// # Safety
/// `stall` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_report_stall(
    report: *const prewire_report,
    stall: *mut prewire_stall,
) -> prewire_status {
    guard(|| {
        let value = handle::with(report, |outcome| {
            let seen = outcome
                .stall()
                .ok_or_else(|| Error::new(prewire_status::NotAvailable, "the run was not ended by the watchdog"))?;
            let stuck = seen.running_tasks.first();
            Ok(prewire_stall {
                stall_class: seen.class as u32,
                orchestration_done: u32::from(seen.orchestration_done),
                budget_ms: seen.budget_ms,
                submitted: seen.submitted,
                completed: seen.completed,
                running: seen.running,
                ready: seen.ready,
                waiting: seen.waiting,
                stuck_task: stuck.map_or(TaskId::NONE, |task| task.task).to_bits(),
                stuck_ms: stuck.map_or(0, |task| task.running_ms),
            })
        })?;
        // SAFETY: by contract.
        unsafe { pointer::put(stall, "stall", value) }
    })
}

const _: () = assert!(size_of::<prewire_report_counts>() == 288);
