//! The runtime: made, asked, run, destroyed.

use crate::config::prewire_config;
use crate::error::{Error, guard};
use crate::frame;
use crate::handle::{self, Handle};
use crate::log::Logger;
use crate::pointer;
use crate::report::{Outcome, prewire_report};
use crate::run::{prewire_orchestration, prewire_run};
use crate::status::prewire_status;
use prewire::{Failed, Refusal, Report, Run, Runtime, SubmitError};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A chip and everything that runs graphs on it. Made by `prewire_runtime_create`; runs one graph at a time, any number of times.
#[derive(Debug)]
pub struct prewire_runtime {
    _opaque: [u8; 0],
}

/// What stands behind the handle.
pub(crate) struct Assembled {
    pub(crate) runtime: Runtime,
    pub(crate) logger: Option<Logger>,
}

impl Handle for prewire_runtime {
    type Object = Assembled;
    const KIND: u8 = 1;
    const NAME: &'static str = "runtime";
}

/// What the chip of a runtime is.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct prewire_chip_info {
    /// Clusters: the most blocks of a gang of cube or cluster tasks.
    pub clusters: u32,
    /// Cube cores.
    pub cube_cores: u32,
    /// Vector cores: the most blocks of a gang of vector tasks.
    pub vector_cores: u32,
    /// 1 if runs take place in virtual time, else 0.
    pub is_virtual: u32,
}

/// Makes a runtime: its chip, its memory and its threads.
///
/// `config` may be NULL for the defaults, and is not kept. On success `*runtime` is the caller's, who gives it back to `prewire_runtime_destroy`; on failure it is
/// NULL. Any thread may call it.
///
/// # Safety
/// `config` is NULL or points to a `prewire_config`; `runtime` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_runtime_create(
    config: *const prewire_config,
    runtime: *mut *mut prewire_runtime,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        unsafe { pointer::put(runtime, "runtime", std::ptr::null_mut()) }?;
        let (builder, logger) = if config.is_null() {
            (Runtime::builder(), None)
        } else {
            // SAFETY: by contract.
            let config = unsafe { pointer::sized(config, "config") }?;
            (config.builder()?, config.logger()?)
        };
        let built = Logger::during(logger.as_ref(), || builder.build())?;
        let handle = handle::insert::<prewire_runtime>(Assembled { runtime: built, logger })?;
        // SAFETY: as above.
        unsafe { pointer::put(runtime, "runtime", handle) }
    })
}

/// Ends a runtime: its threads stop and its memory is given back. Buffers made from it stay good for nothing but to be destroyed.
///
/// The handle is no longer the caller's; using or destroying it again is `PREWIRE_STATUS_BAD_HANDLE`. While a run is on it is `PREWIRE_STATUS_BUSY` and
/// nothing happens. Any thread may call it.
///
/// # Safety
/// No kernel's context may be freed before this returns, unless its kernel was unregistered and no run is on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_runtime_destroy(runtime: *mut prewire_runtime) -> prewire_status {
    guard(|| {
        let assembled = handle::remove(runtime)?;
        let Assembled { runtime, logger } = assembled;
        Logger::during(logger.as_ref(), || drop(runtime));
        Ok(())
    })
}

/// What the chip of a runtime is. `*info` stays the caller's. Any thread may call it while no run is on.
///
/// # Safety
/// `info` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_runtime_chip(
    runtime: *const prewire_runtime,
    info: *mut prewire_chip_info,
) -> prewire_status {
    guard(|| {
        let value = handle::with(runtime, |assembled| {
            let chip = assembled.runtime.chip();
            Ok(prewire_chip_info {
                clusters: u32::from(chip.clusters),
                cube_cores: chip.cube_cores() as u32,
                vector_cores: chip.vector_cores() as u32,
                is_virtual: u32::from(assembled.runtime.is_virtual()),
            })
        })?;
        // SAFETY: by contract.
        unsafe { pointer::put(info, "info", value) }
    })
}

/// Runs the graph that `orchestration` builds, and returns when no thread touches it any more.
///
/// `orchestration` is called once, on the calling thread, with a run that is good until it returns, and with `context`. What it returns: 0, or any other number to
/// say that it gives up, which fails the run. Where a run fails, the status and the thread's last error are the cause: a fatal one that ended the run, else
/// the first refused call, else the first submitted task whose kernel failed.
///
/// Unless `report` is NULL, `*report` is afterwards the report of what was done, also of a run that failed, and the caller's, who gives it back to
/// `prewire_report_destroy`; it is NULL if nothing was run. Any thread may call it, one at a time for one runtime.
///
/// # Safety
/// `orchestration` is NULL or a function that may be called so with `context`, and does not unwind; `report` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_runtime_run(
    runtime: *mut prewire_runtime,
    orchestration: prewire_orchestration,
    context: *mut c_void,
    report: *mut *mut prewire_report,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        unsafe { clear(report) }?;
        let orchestration =
            orchestration.ok_or_else(|| Error::argument("orchestration is NULL; give the function that submits"))?;
        let (outcome, result) = run(runtime, |run, handle| {
            // SAFETY: by contract of this function.
            gave_up(frame::enter_run(handle, run, || unsafe { orchestration(handle, context) }))
        })?;
        // SAFETY: by contract.
        unsafe { hand_over(report, outcome) }?;
        result
    })
}

/// What an orchestration's number means.
pub(crate) fn gave_up(code: u32) -> Result<(), SubmitError> {
    if code == 0 {
        return Ok(());
    }
    let text = format!("the orchestration returned {code}");
    Err(SubmitError::Refused(Refusal::Other { text }))
}

/// No report yet.
///
/// # Safety
/// `report` is NULL or may be written.
pub(crate) unsafe fn clear(report: *mut *mut prewire_report) -> Result<(), Error> {
    if report.is_null() {
        return Ok(());
    }
    // SAFETY: by contract.
    unsafe { pointer::put(report, "report", std::ptr::null_mut()) }
}

/// Gives the outcome of a run to whoever wants it.
///
/// # Safety
/// `report` is NULL or may be written.
pub(crate) unsafe fn hand_over(report: *mut *mut prewire_report, outcome: Outcome) -> Result<(), Error> {
    if report.is_null() {
        return Ok(());
    }
    let handle = handle::insert::<prewire_report>(outcome)?;
    // SAFETY: by contract.
    unsafe { pointer::put(report, "report", handle) }
}

/// One run of a runtime: what it did, and how it went.
pub(crate) fn run(
    runtime: *mut prewire_runtime,
    orchestration: impl FnOnce(&mut Run<'_>, *mut prewire_run) -> Result<(), SubmitError>,
) -> Result<(Outcome, Result<(), Error>), Error> {
    handle::with(runtime, |assembled| {
        let handle = handle::insert::<prewire_run>(())?;
        let logger = assembled.logger.as_ref();
        let ran = catch_unwind(AssertUnwindSafe(|| {
            Logger::during(logger, || assembled.runtime.run(|run| orchestration(run, handle)))
        }));
        handle::remove(handle)?;
        let ran: Result<Report, Failed> = match ran {
            Ok(ran) => ran,
            Err(panic) => return Err(crate::error::panicked(&*panic)),
        };
        let kernels = assembled.runtime.kernels().clone();
        Ok(match ran {
            Ok(report) => (Outcome::new(report, None, kernels), Ok(())),
            Err(Failed { error, report }) => {
                let said = Error::from(&*error);
                (Outcome::new(*report, Some(*error), kernels), Err(said))
            }
        })
    })
}
