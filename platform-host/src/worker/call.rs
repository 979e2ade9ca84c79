//! Calling what a task names: a closure or a C function, with whatever it does wrong turned into the task's failure.

use prewire_runtime_core::kernel::{CKernel, KernelCall, KernelContext, KernelError, KernelFunction, KernelServices};
use prewire_runtime_core::platform::DispatchPayload;
use std::any::Any;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Room for the text of a C function that fails.
const TEXT_BYTES: usize = 512;

thread_local! {
    /// Where this thread's last panic was, if it runs a task.
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
}

/// A panic in a task is the task's failure and no message on the terminal: the hook keeps its place for the failure's text.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if IN_TASK.get() {
                PLACE.set(panic.location().map(ToString::to_string));
            } else {
                before(panic);
            }
        }));
    });
}

/// Calls a function for a task.
///
/// # Safety
/// The payload's arguments are valid until the call returns, the tensors' memory may be read and, where their tags say so, written, and nothing but tasks
/// that the dependencies order against this one touches it.
pub(super) unsafe fn call(
    function: &KernelFunction,
    payload: &DispatchPayload,
    services: &dyn KernelServices,
) -> Result<(), KernelError> {
    match function {
        KernelFunction::Rust(function) => {
            install_hook();
            // SAFETY: by contract.
            let context = unsafe { KernelContext::new(payload, services) };
            IN_TASK.set(true);
            let result = catch_unwind(AssertUnwindSafe(|| function(&context)));
            IN_TASK.set(false);
            result.unwrap_or_else(|panic| Err(panicked(&*panic)))
        }
        // SAFETY: by contract.
        KernelFunction::C { function, user, .. } => unsafe { call_c(*function, *user, payload) },
    }
}

/// # Safety
/// As for [`call`].
unsafe fn call_c(function: CKernel, user: usize, payload: &DispatchPayload) -> Result<(), KernelError> {
    let mut text: [c_char; TEXT_BYTES] = [0; TEXT_BYTES];
    let mut call = KernelCall {
        tensors: payload.tensors,
        tensor_count: payload.tensor_count.into(),
        scalars: payload.scalars,
        scalar_count: payload.scalar_count.into(),
        block_index: payload.block,
        block_count: payload.blocks,
        part: payload.part.into(),
        user: user as *mut c_void,
        text: text.as_mut_ptr(),
        text_bytes: TEXT_BYTES,
    };
    // SAFETY: by contract.
    let code = unsafe { function(&raw mut call) };
    if code == 0 {
        return Ok(());
    }
    // A text without an end is cut.
    text[TEXT_BYTES - 1] = 0;
    // SAFETY: the last byte is NUL.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy();
    Err(KernelError::new(code, if text.is_empty() { "the function left no text" } else { &*text }))
}

#[cold]
fn panicked(panic: &(dyn Any + Send)) -> KernelError {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned());
    let place = PLACE.take().map_or_else(String::new, |place| format!(" at {place}"));
    KernelError::new(KernelError::PANIC, format!("panicked: {text}{place}"))
}
