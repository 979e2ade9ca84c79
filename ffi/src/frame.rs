//! What goes on on this thread: the runs whose orchestrations it is in, and the kernels.
//!
//! A run belongs to the thread that called it, and a kernel's call to the thread that it was made on. Both lie on that thread's stack and are found through
//! it, so that a submit takes no lock, and a handle that is used on another thread, or too late, is not looked into.

use crate::error::Error;
use crate::handle;
use crate::kernel::prewire_kernel_call;
use crate::run::prewire_run;
use crate::status::prewire_status;
use prewire::{Dependency, KernelContext, Run};
use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::ptr;

thread_local! {
    static RUNS: Cell<*const RunFrame> = const { Cell::new(ptr::null()) };
    static CALLS: Cell<*const CallFrame> = const { Cell::new(ptr::null()) };
}

/// A run on the stack of its thread.
struct RunFrame {
    handle: *const prewire_run,
    run: *mut Run<'static>,
    outer: *const RunFrame,
    /// Whether a call uses the run: a kernel that the caller runs while it waits must not.
    busy: Cell<bool>,
    /// Room for explicit dependencies, so that a submit allocates nothing.
    dependencies: UnsafeCell<Vec<Dependency>>,
}

/// Explicit dependencies that a run has room for from the beginning.
const DEPENDENCIES: usize = 64;

/// Lets `body` call C with the run as the handle says.
pub(crate) fn enter_run<T>(handle: *const prewire_run, run: &mut Run<'_>, body: impl FnOnce() -> T) -> T {
    let frame = RunFrame {
        handle,
        run: ptr::from_mut(run).cast(),
        outer: RUNS.get(),
        busy: Cell::new(false),
        dependencies: UnsafeCell::new(Vec::with_capacity(DEPENDENCIES)),
    };
    RUNS.set(&raw const frame);
    let _leave = OnDrop(|| RUNS.set(frame.outer));
    body()
}

/// Uses the run of a handle.
#[inline]
pub(crate) fn with_run<T>(
    handle: *const prewire_run,
    body: impl FnOnce(&mut Run<'_>, &mut Vec<Dependency>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut at = RUNS.get();
    loop {
        if at.is_null() {
            return Err(not_here(handle));
        }
        // SAFETY: a frame is in the list while it is on this thread's stack.
        let frame = unsafe { &*at };
        if frame.handle != handle {
            at = frame.outer;
            continue;
        }
        if frame.busy.replace(true) {
            return Err(busy());
        }
        let _done = OnDrop(|| frame.busy.set(false));
        // SAFETY: whoever made the frame gave its borrow of the run away until the frame is left, and `busy` says that nobody else uses it.
        let run = unsafe { &mut *frame.run };
        // SAFETY: as above.
        let dependencies = unsafe { &mut *frame.dependencies.get() };
        return body(run, dependencies);
    }
}

#[cold]
fn not_here(handle: *const prewire_run) -> Error {
    match handle::lives(handle) {
        Ok(()) => Error::new(
            prewire_status::WrongThread,
            "a run is used on the thread that called prewire_runtime_run, inside its orchestration",
        ),
        Err(error) => error,
    }
}

#[cold]
fn busy() -> Error {
    Error::new(prewire_status::Busy, "a kernel cannot use the run that it is part of")
}

/// A kernel's call on the stack of its thread.
struct CallFrame {
    call: *const prewire_kernel_call,
    context: *const KernelContext<'static>,
    outer: *const CallFrame,
}

/// Lets `body` call a C kernel with `call`.
pub(crate) fn enter_call<T>(
    call: *const prewire_kernel_call,
    context: &KernelContext<'_>,
    body: impl FnOnce() -> T,
) -> T {
    let frame = CallFrame { call, context: ptr::from_ref(context).cast(), outer: CALLS.get() };
    CALLS.set(&raw const frame);
    let _leave = OnDrop(|| CALLS.set(frame.outer));
    body()
}

/// The kernel of a call, and what belongs to it.
pub(crate) struct Called<'a> {
    pub(crate) context: &'a KernelContext<'a>,
    pub(crate) call: &'a prewire_kernel_call,
    _here: PhantomData<*const ()>,
}

/// Uses the kernel of a call.
#[inline]
pub(crate) fn with_call<T>(
    call: *const prewire_kernel_call,
    body: impl FnOnce(Called<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut at = CALLS.get();
    loop {
        if at.is_null() {
            return Err(no_call(call.is_null()));
        }
        // SAFETY: a frame is in the list while it is on this thread's stack.
        let frame = unsafe { &*at };
        if frame.call != call {
            at = frame.outer;
            continue;
        }
        // SAFETY: the frame's maker keeps both alive, and only reads them, while the frame is there.
        let context = unsafe { &*frame.context };
        // SAFETY: as above.
        let call = unsafe { &*frame.call };
        return body(Called { context, call, _here: PhantomData });
    }
}

#[cold]
fn no_call(null: bool) -> Error {
    handle::bad(if null {
        "the kernel's call is NULL".to_owned()
    } else {
        "this is not the call of a kernel that runs on this thread; a call is good until the kernel returns, on the kernel's own thread".to_owned()
    })
}

/// Does something on every way out.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
