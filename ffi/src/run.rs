//! A run as its orchestration sees it: submit, scopes, data access.

use crate::convert;
use crate::error::{Error, guard};
use crate::frame::with_run;
use crate::handle::Handle;
use crate::pointer;
use crate::status::prewire_status;
use crate::submit;
use crate::task::prewire_task;
use crate::tensor::prewire_tensor;
use prewire::{DataType, Run, ScopeMode, Tensor};
use std::ffi::{c_char, c_void};

/// A run while its orchestration builds it. Good until the orchestration returns, on the thread that called `prewire_runtime_run` or
/// `prewire_runtime_submit`, and nowhere else.
#[derive(Debug)]
pub struct prewire_run {
    _opaque: [u8; 0],
}

impl Handle for prewire_run {
    /// The run itself lies on the stack of its thread.
    type Object = ();
    const KIND: u8 = 4;
    const NAME: &'static str = "run";
}

/// Builds a graph: called once by `prewire_runtime_run` or `prewire_runtime_submit`, with the run and the context given there. It returns 0, or any other number to fail the run. It must not
/// unwind: no exception may leave it.
pub type prewire_orchestration = Option<unsafe extern "C" fn(run: *mut prewire_run, context: *mut c_void) -> u32>;

/// A kind of scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_scope_kind {
    /// Dependencies are inferred.
    Automatic = 0,
    /// Nothing is inferred: the user orders tasks that touch common bytes by explicit dependencies, or their kernels race.
    Manual = 1,
}

/// Submits a task. Waits while there is no room for it; when it returns the task is wired and, if nothing is to be waited for, ready.
///
/// Unless `id` is NULL, `*id` is the task's id, and the tensors of outputs are written where the arguments say. A refused call has done nothing and the run goes
/// on; but the first refused one is the run's error, if nothing worse happens. Only inside the orchestration, on its thread. Everything that `task` points to
/// stays the caller's and is not kept.
///
/// # Safety
/// `task` is NULL or points to a `prewire_task` whose pointers are NULL or point to as much as it says; `id` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_run_submit(
    run: *mut prewire_run,
    task: *const prewire_task,
    id: *mut u64,
) -> prewire_status {
    guard(|| {
        with_run(run, |run, dependencies| {
            // SAFETY: by contract.
            let submitted = unsafe { submit::submit(run, dependencies, task) }?;
            if !id.is_null() {
                // SAFETY: by contract.
                unsafe { pointer::put(id, "id", submitted) }?;
            }
            Ok(())
        })
    })
}

/// Opens a scope: what its tasks own is given back after `prewire_run_close_scope`, when the last user is done. `kind` is a `prewire_scope_kind`. Scopes that are open
/// when the orchestration returns are closed with a note in the report. Only inside the orchestration, on its thread.
///
/// # Safety
/// In a manual scope, tasks that touch common bytes are ordered by explicit dependencies.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_run_open_scope(run: *mut prewire_run, kind: u32) -> prewire_status {
    guard(|| {
        with_run(run, |run, _| {
            let mode = match kind {
                0 => ScopeMode::Automatic,
                1 => ScopeMode::Manual,
                kind => return Err(submit::refused(run, convert::unknown("kind of scope", kind))),
            };
            Ok(run.open_scope(mode)?)
        })
    })
}

/// Closes the scope that was opened last. The scope that every run begins in is not closed so. Only inside the orchestration, on its thread.
///
/// # Safety
/// Any value may be given; one that is no handle of a run is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_run_close_scope(run: *mut prewire_run) -> prewire_status {
    guard(|| with_run(run, |run, _| Ok(run.close_scope()?)))
}

/// Reads one element of a tensor, as it is after every task submitted so far that writes it; waits for these. `data_type` must be the tensor's, and `value` have room
/// for an element. Only inside the orchestration, on its thread.
///
/// # Safety
/// `tensor` is NULL or points to a `prewire_tensor`; `indices` is NULL or points to `index_count` numbers; `value` is NULL or an element may be written to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_run_get(
    run: *mut prewire_run,
    tensor: *const prewire_tensor,
    indices: *const u32,
    index_count: usize,
    data_type: u32,
    value: *mut c_void,
) -> prewire_status {
    guard(|| {
        with_run(run, |run, _| {
            // SAFETY: by contract.
            let named = unsafe { element(tensor, indices, index_count, data_type) };
            let (tensor, indices) = named.map_err(|error| submit::refused(run, error))?;
            pointer::check(value.cast::<u8>(), "value").map_err(|error| submit::refused(run, error))?;
            macro_rules! get {
                ($type:ty) => {{
                    let got = run.get::<$type>(tensor, indices)?;
                    // SAFETY: by contract there is room for an element.
                    unsafe { value.cast::<$type>().write_unaligned(got) };
                }};
            }
            match tensor.data_type() {
                DataType::F32 => get!(f32),
                DataType::I8 => get!(i8),
                DataType::I16 => get!(i16),
                DataType::I32 => get!(i32),
                DataType::I64 => get!(i64),
                DataType::U8 => get!(u8),
                DataType::U16 => get!(u16),
                DataType::U32 => get!(u32),
                DataType::U64 => get!(u64),
                other => return Err(no_access(run, other)),
            }
            Ok(())
        })
    })
}

/// Overwrites one element of a tensor, behind every task submitted so far that uses it and before every later one. `data_type` must be the tensor's, and `value` point to an
/// element. Only inside the orchestration, on its thread.
///
/// # Safety
/// `tensor` is NULL or points to a `prewire_tensor`; `indices` is NULL or points to `index_count` numbers; `value` is NULL or points to an element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_run_set(
    run: *mut prewire_run,
    tensor: *const prewire_tensor,
    indices: *const u32,
    index_count: usize,
    data_type: u32,
    value: *const c_void,
) -> prewire_status {
    guard(|| {
        with_run(run, |run, _| {
            // SAFETY: by contract.
            let named = unsafe { element(tensor, indices, index_count, data_type) };
            let (tensor, indices) = named.map_err(|error| submit::refused(run, error))?;
            pointer::check(value.cast::<u8>(), "value").map_err(|error| submit::refused(run, error))?;
            macro_rules! set {
                ($type:ty) => {{
                    // SAFETY: by contract it points to an element.
                    let value = unsafe { value.cast::<$type>().read_unaligned() };
                    run.set::<$type>(tensor, indices, value)?
                }};
            }
            match tensor.data_type() {
                DataType::F32 => set!(f32),
                DataType::I8 => set!(i8),
                DataType::I16 => set!(i16),
                DataType::I32 => set!(i32),
                DataType::I64 => set!(i64),
                DataType::U8 => set!(u8),
                DataType::U16 => set!(u16),
                DataType::U32 => set!(u32),
                DataType::U64 => set!(u64),
                other => return Err(no_access(run, other)),
            }
            Ok(())
        })
    })
}

#[cold]
fn no_access(run: &mut Run<'_>, data_type: DataType) -> Error {
    let text = format_args!(
        "single elements of type {data_type} are not read or written; use a task, or a tensor of integers over the same bytes"
    );
    submit::refused(run, Error::argument(text))
}

/// A tensor and the indices of an element, with the type that the caller takes it for.
///
/// # Safety
/// `tensor` is NULL or points to a tensor, `indices` is NULL or points to `count` numbers; both live for `'a`.
unsafe fn element<'a>(
    tensor: *const prewire_tensor,
    indices: *const u32,
    count: usize,
    data_type: u32,
) -> Result<(&'a Tensor, &'a [u32]), Error> {
    // SAFETY: by contract.
    let tensor = unsafe { prewire_tensor::read(tensor, "tensor") }?;
    // SAFETY: by contract.
    let indices = unsafe { pointer::slice(indices, count, "indices") }?;
    let named = convert::data_type(data_type)?;
    if named != tensor.data_type() {
        return Err(Error::argument(format_args!(
            "the tensor holds {} and was accessed as {named}",
            tensor.data_type()
        )));
    }
    Ok((tensor, indices))
}

/// Ends the run with code 9 and the caller's text; it returns `PREWIRE_STATUS_EXPLICIT_FATAL`, as every later call of the run does. `text` stays the caller's. Only inside the
/// orchestration, on its thread.
///
/// # Safety
/// `text` is NULL or points to a text with a NUL at its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_run_fail(run: *mut prewire_run, text: *const c_char) -> prewire_status {
    guard(|| {
        with_run(run, |run, _| {
            // SAFETY: by contract.
            let text = unsafe { pointer::text(text, "text") }.map_err(|error| submit::refused(run, error))?;
            Err(run.fail(text).into())
        })
    })
}

/// How long the run has gone on, in nanoseconds, by the clock of the platform. Only inside the orchestration, on its thread.
///
/// # Safety
/// `elapsed_ns` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_run_elapsed(run: *mut prewire_run, elapsed_ns: *mut u64) -> prewire_status {
    guard(|| {
        let value = with_run(run, |run, _| Ok(run.elapsed().as_nanos() as u64))?;
        // SAFETY: by contract.
        unsafe { pointer::put(elapsed_ns, "elapsed_ns", value) }
    })
}
