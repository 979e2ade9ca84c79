//! A run as a trace for Perfetto.

use crate::error::{Error, guard};
use crate::handle;
use crate::pointer;
use crate::report::prewire_report;
use crate::status::prewire_status;
use prewire::trace::Trace;
use std::ffi::c_char;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes what every core did and when to a file that Perfetto and Chrome open. The runtime must have been made with `PREWIRE_RECORD_TRACE`; with
/// `PREWIRE_RECORD_GRAPH` there are arrows for dependencies. `path` stays the caller's. Any thread may call it.
///
/// # Safety
/// `path` is NULL or points to a text with a NUL at its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_report_write_trace(
    report: *const prewire_report,
    path: *const c_char,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let path = unsafe { pointer::path(path, "path") }?;
        handle::with(report, |outcome| {
            let trace = Trace::of(&outcome.report, &outcome.kernels).ok_or_else(|| {
                let text = "the trace was not recorded; make the runtime with PREWIRE_RECORD_TRACE";
                Error::new(prewire_status::NotAvailable, text)
            })?;
            let mut file = BufWriter::new(File::create(path).map_err(|error| failed(path, &error))?);
            trace.write(&mut file).and_then(|()| file.flush()).map_err(|error| failed(path, &error))
        })
    })
}

/// A file that cannot be used.
pub(crate) fn failed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(prewire_status::FileFailed, format!("{}: {error}", path.display()))
}
