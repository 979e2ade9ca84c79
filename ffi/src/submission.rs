//! Runs that are built now and waited for later.

use crate::error::{Error, guard};
use crate::frame;
use crate::handle::{self, Handle};
use crate::log::Logger;
use crate::pointer;
use crate::report::{Outcome, prewire_report};
use crate::run::{prewire_orchestration, prewire_run};
use crate::runtime::{clear, gave_up, hand_over, prewire_runtime};
use crate::status::prewire_status;
use prewire::{Failed, KernelSet, RunHandle};
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// No limit to a wait.
pub const PREWIRE_WAIT_FOREVER: u64 = u64::MAX;

/// A run that was submitted. Made by `prewire_runtime_submit`, given back to `prewire_submission_destroy`, which does nothing to the run.
#[derive(Debug)]
pub struct prewire_submission {
    _opaque: [u8; 0],
}

/// What stands behind the handle.
pub(crate) struct Submitted {
    run: RunHandle,
    kernels: KernelSet,
}

impl Handle for prewire_submission {
    type Object = Submitted;
    const KIND: u8 = 6;
    const NAME: &'static str = "submission";
    const BRIEF: bool = true;
}

/// Has `orchestration` build a graph, and returns while it runs. A run that is submitted behind others is built while they run, and its tasks start when they are
/// over. With as many runs in flight as the runtime takes (two) the call waits.
///
/// `orchestration` and `context` are as for `prewire_runtime_run`: called once, on the calling thread, before this returns. If it gives up, or a call in it is the end of
/// the run, the status says so, `*submission` is NULL, and what of the run had begun is over. Otherwise `*submission` is the caller's, who gives it back to
/// `prewire_submission_destroy`. In virtual time the run is over when the call returns. Any thread may call it, one at a time for one runtime.
///
/// While runs are in flight, buffers cannot be read or written by `prewire_buffer_read` and `prewire_buffer_write`; `prewire_runtime_destroy` waits for all of them.
///
/// # Safety
/// `orchestration` is NULL or a function that may be called so with `context`, and does not unwind; `submission` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_runtime_submit(
    runtime: *mut prewire_runtime,
    orchestration: prewire_orchestration,
    context: *mut c_void,
    submission: *mut *mut prewire_submission,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        unsafe { pointer::put(submission, "submission", std::ptr::null_mut()) }?;
        let orchestration =
            orchestration.ok_or_else(|| Error::argument("orchestration is NULL; give the function that submits"))?;
        let submitted = handle::with(runtime, |assembled| {
            let handle = handle::insert::<prewire_run>(())?;
            let submitted = catch_unwind(AssertUnwindSafe(|| {
                Logger::during(assembled.logger.as_ref(), || {
                    assembled.runtime.submit(|run| {
                        // SAFETY: by contract of this function.
                        gave_up(frame::enter_run(handle, run, || unsafe { orchestration(handle, context) }))
                    })
                })
            }));
            handle::remove(handle)?;
            let run = match submitted {
                Ok(Ok(run)) => run,
                Ok(Err(failed)) => return Err(Error::from(&*failed.error)),
                Err(panic) => return Err(crate::error::panicked(&*panic)),
            };
            Ok(Submitted { run, kernels: assembled.runtime.kernels().clone() })
        })?;
        let handle = handle::insert::<prewire_submission>(submitted)?;
        // SAFETY: as above.
        unsafe { pointer::put(submission, "submission", handle) }
    })
}

/// Waits until a run is over, or for `timeout_ms` milliseconds, or without a limit for `PREWIRE_WAIT_FOREVER`.
///
/// `*is_over` is afterwards 1 if the run is over, and 0 if the time was too short, which loses nothing. Of a run that is over the status, the last error and `*report` are
/// those of `prewire_runtime_run`, each time and for everybody who waits; otherwise `*report` is NULL. Any thread may call it, several at once for one run.
///
/// # Safety
/// `is_over` and `report` are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_submission_wait(
    submission: *mut prewire_submission,
    timeout_ms: u64,
    is_over: *mut u32,
    report: *mut *mut prewire_report,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        unsafe { clear(report) }?;
        // SAFETY: by contract.
        unsafe { over(is_over, false) }?;
        // The wait itself is outside of the handle, so that several may wait.
        let (run, kernels) =
            handle::with(submission, |submitted| Ok((submitted.run.clone(), submitted.kernels.clone())))?;
        let ended = match timeout_ms {
            PREWIRE_WAIT_FOREVER => Some(run.wait()),
            timeout_ms => run.wait_timeout(Duration::from_millis(timeout_ms)),
        };
        let (outcome, result) = match ended {
            None => return Ok(()),
            Some(Ok(report)) => (Outcome::new(report, None, kernels), Ok(())),
            Some(Err(Failed { error, report })) => {
                let said = Error::from(&*error);
                (Outcome::new(*report, Some(*error), kernels), Err(said))
            }
        };
        // SAFETY: by contract.
        unsafe { over(is_over, true) }?;
        // SAFETY: by contract.
        unsafe { hand_over(report, outcome) }?;
        result
    })
}

/// # Safety
/// `is_over` is NULL or may be written.
unsafe fn over(is_over: *mut u32, value: bool) -> Result<(), Error> {
    if is_over.is_null() {
        return Ok(());
    }
    // SAFETY: by contract.
    unsafe { pointer::put(is_over, "is_over", u32::from(value)) }
}

/// Ends a run with code 9 and the caller's reason, unless it is over or has been ended: what runs is told to return, and nothing else of it is started. No other run is
/// touched. `reason` stays the caller's. Any thread may call it.
///
/// # Safety
/// `reason` is NULL or points to a text with a NUL at its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_submission_cancel(
    submission: *mut prewire_submission,
    reason: *const c_char,
) -> prewire_status {
    guard(|| {
        let run = handle::with(submission, |submitted| Ok(submitted.run.clone()))?;
        // SAFETY: by contract.
        let reason = unsafe { pointer::text(reason, "reason") }?;
        run.cancel(reason);
        Ok(())
    })
}

/// Gives a submission back. The run goes on. The handle is no longer the caller's; using or destroying it again is `PREWIRE_STATUS_BAD_HANDLE`. Any thread may call it.
///
/// # Safety
/// Any value may be given; one that is no handle of a submission is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_submission_destroy(submission: *mut prewire_submission) -> prewire_status {
    guard(|| handle::remove(submission).map(drop))
}
