//! Kernels: registered by a C function or a symbol, and what one may ask while it runs.

use crate::convert;
use crate::error::{Error, guard, guard_or};
use crate::frame::with_call;
use crate::pointer;
use crate::status::prewire_status;
use crate::tensor::PREWIRE_MAX_DIMENSIONS;
use prewire::{Condition, KernelCall, KernelError, TensorArgument};
use std::ffi::{c_char, c_void};
use std::mem::offset_of;

/// The kind of core that a kernel runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_core_kind {
    /// Either.
    Any = 0,
    /// Cube cores (AIC).
    Cube = 1,
    /// Vector cores (AIV).
    Vector = 2,
}

/// A tensor as a kernel gets it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_tensor_argument {
    /// The address of its buffer's first byte.
    pub address: u64,
    /// Its first element, counted in elements from the buffer's first byte.
    pub start: u64,
    /// The length of each dimension.
    pub shape: [u32; PREWIRE_MAX_DIMENSIONS],
    /// The distance between neighbours along each dimension, in elements.
    pub strides: [u32; PREWIRE_MAX_DIMENSIONS],
    /// A `prewire_data_type`.
    pub data_type: u8,
    /// How many dimensions it has.
    pub dimensions: u8,
    /// The library's.
    pub reserved: u16,
    /// A `prewire_argument_kind`.
    pub kind: u8,
    /// The library's.
    pub flags: u8,
    /// The library's.
    pub spare: u16,
}

/// What a kernel is called with. Everything is the library's, valid until the kernel returns, and for the kernel's own thread.
#[derive(Debug)]
#[repr(C)]
pub struct prewire_kernel_call {
    /// The tensor arguments, in the order of the submit.
    pub tensors: *const prewire_tensor_argument,
    /// How many tensor arguments there are.
    pub tensor_count: usize,
    /// The scalar arguments.
    pub scalars: *const u64,
    /// How many scalar arguments there are.
    pub scalar_count: usize,
    /// This block's index, from 0.
    pub block_index: u32,
    /// How many blocks the task has.
    pub block_count: u32,
    /// This core's part of its cluster: 0 cube, 1 and 2 vector.
    pub part: u32,
    /// What was given at registration.
    pub context: *mut c_void,
    /// Where a failing kernel may write a text with a NUL at its end; `prewire_kernel_fail` does.
    pub text: *mut c_char,
    /// The room for the text.
    pub text_bytes: usize,
}

// A symbol of a shared library has the same form whoever registers it.
const _: () = assert!(size_of::<prewire_kernel_call>() == size_of::<KernelCall>());
const _: () = assert!(offset_of!(prewire_kernel_call, scalar_count) == offset_of!(KernelCall, scalar_count));
const _: () = assert!(offset_of!(prewire_kernel_call, block_index) == offset_of!(KernelCall, block_index));
const _: () = assert!(offset_of!(prewire_kernel_call, part) == offset_of!(KernelCall, part));
const _: () = assert!(offset_of!(prewire_kernel_call, context) == offset_of!(KernelCall, user));
const _: () = assert!(offset_of!(prewire_kernel_call, text_bytes) == offset_of!(KernelCall, text_bytes));
const _: () = assert!(size_of::<prewire_tensor_argument>() == size_of::<TensorArgument>());

const _: () = assert!(size_of::<prewire_kernel_call>() == 72 && size_of::<prewire_tensor_argument>() == 64);
const _: () = assert!(size_of::<prewire_view>() == 64);

/// A kernel: 0 for success, else a code of its own. Many may run at once, on any threads. It must not unwind: no exception may leave it.
pub type prewire_kernel_function = Option<unsafe extern "C" fn(call: *mut prewire_kernel_call) -> i32>;

/// Where a kernel finds the elements of a tensor argument: the one at indices i, j, ... is `data[i * strides[0] + j * strides[1] + ...]`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_view {
    /// The first element.
    pub data: *mut c_void,
    /// The number of elements.
    pub elements: u64,
    /// The length of each dimension.
    pub shape: [u32; PREWIRE_MAX_DIMENSIONS],
    /// The distance between neighbours along each dimension, in elements.
    pub strides: [u32; PREWIRE_MAX_DIMENSIONS],
    /// How many dimensions there are.
    pub dimensions: u32,
    /// 1 if the elements lie one behind the other in row-major order, else 0.
    pub is_contiguous: u32,
}

/// What a kernel does with a tensor argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_access {
    /// It only reads.
    Read = 0,
    /// It writes, and may read.
    Write = 1,
}

/// Typed access to a tensor argument: where its elements are, if it holds `data_type` (a `prewire_data_type`) and may be used so (`access` is a
/// `prewire_access`; an input cannot be written). Two arguments over common bytes give views of common bytes; the kernel must heed that. Only inside the kernel, on its thread.
///
/// # Safety
/// `view` is NULL or may be written. What the view shows is used only until the kernel returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_kernel_tensor(
    call: *const prewire_kernel_call,
    index: usize,
    data_type: u32,
    access: u32,
    view: *mut prewire_view,
) -> prewire_status {
    guard(|| {
        let value = with_call(call, |called| {
            let tensors = called.context.tensors();
            let Some(tensor) = tensors.get(index) else {
                return Err(Error::argument(format_args!(
                    "tensor {index} was asked for and the task has {}",
                    tensors.len()
                )));
            };
            let wanted = convert::data_type(data_type)?;
            if tensor.data_type() != wanted {
                return Err(Error::argument(format_args!(
                    "tensor {index} holds {} and was asked for as {wanted}",
                    tensor.data_type()
                )));
            }
            match access {
                0 => {}
                1 if tensor.tag() != prewire::ArgumentTag::Input => {}
                1 => {
                    return Err(Error::argument(format_args!(
                        "tensor {index} was declared as an input and cannot be written"
                    )));
                }
                access => return Err(convert::unknown("kind of access", access)),
            }
            Ok(view_of(tensor))
        })?;
        // SAFETY: by contract.
        unsafe { pointer::put(view, "view", value) }
    })
}

fn view_of(tensor: &TensorArgument) -> prewire_view {
    let layout = tensor.layout();
    let mut view = prewire_view {
        data: std::ptr::with_exposed_provenance_mut(tensor.first_byte() as usize),
        elements: layout.elements(),
        shape: [1; PREWIRE_MAX_DIMENSIONS],
        strides: [1; PREWIRE_MAX_DIMENSIONS],
        dimensions: layout.dimensions() as u32,
        is_contiguous: u32::from(layout.is_contiguous()),
    };
    view.shape[..layout.dimensions()].copy_from_slice(layout.shape());
    view.strides[..layout.dimensions()].copy_from_slice(layout.strides());
    view
}

/// A scalar argument: the value's bits in the low bytes of `*value`. Only inside the kernel, on its thread.
///
/// # Safety
/// `value` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_kernel_scalar(
    call: *const prewire_kernel_call,
    index: usize,
    value: *mut u64,
) -> prewire_status {
    guard(|| {
        let bits = with_call(call, |called| called.context.scalar_bits(index).map_err(asked_wrong))?;
        // SAFETY: by contract.
        unsafe { pointer::put(value, "value", bits) }
    })
}

fn asked_wrong(error: KernelError) -> Error {
    match error.code {
        KernelError::ACCESS => Error::argument(error.text),
        _ => Error::new(prewire_status::KernelFailed, error.text),
    }
}

/// Leaves `text`, cut to what there is room for, and returns `code`, or -1 if that is 0: `return prewire_kernel_fail(call, 7, "negative input");`. `text` stays the
/// caller's and may be NULL. Only inside the kernel, on its thread; a call that is none gives `code` back and leaves nothing.
///
/// # Safety
/// `text` is NULL or points to a text with a NUL at its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_kernel_fail(call: *mut prewire_kernel_call, code: i32, text: *const c_char) -> i32 {
    let code = if code == 0 { -1 } else { code };
    guard_or(code, || {
        with_call(call, |called| {
            // SAFETY: by contract.
            let Some(text) = (unsafe { pointer::optional_text(text, "text") })? else { return Ok(code) };
            let bytes = text.as_bytes();
            let length = bytes.len().min(called.call.text_bytes.saturating_sub(1));
            // SAFETY: the call has room for so many bytes and the NUL, which nobody else uses.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), called.call.text.cast::<u8>(), length) };
            // SAFETY: as above.
            let end = unsafe { called.call.text.add(length) };
            // SAFETY: as above.
            unsafe { end.write(0) };
            Ok(code)
        })
    })
}

/// Whether the run has ended, so that the kernel should return as soon as it can: 1 or 0; 1 if the call is none. Only inside the kernel, on its thread.
///
/// # Safety
/// Any value may be given; one that is not the call of a running kernel is told apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_kernel_is_cancelled(call: *const prewire_kernel_call) -> u32 {
    guard_or(1, || with_call(call, |called| Ok(u32::from(called.context.is_cancelled()))))
}

/// A sign of life: the watchdog's clock of this core starts anew. Only inside the kernel, on its thread.
///
/// # Safety
/// Any value may be given; one that is not the call of a running kernel is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_kernel_alive(call: *const prewire_kernel_call) -> prewire_status {
    guard(|| {
        with_call(call, |called| {
            called.context.alive();
            Ok(())
        })
    })
}

/// Gives up the processor for a moment; for kernels that poll. Only inside the kernel, on its thread.
///
/// # Safety
/// Any value may be given; one that is not the call of a running kernel is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_kernel_relax(call: *const prewire_kernel_call) -> prewire_status {
    guard(|| {
        with_call(call, |called| {
            called.context.relax();
            Ok(())
        })
    })
}

/// Waits for all blocks and parts of the task; fails with `PREWIRE_STATUS_KERNEL_FAILED` if one of them failed or the run ended. Only inside the kernel, on its thread.
///
/// # Safety
/// Any value may be given; one that is not the call of a running kernel is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_kernel_barrier(call: *const prewire_kernel_call) -> prewire_status {
    guard(|| with_call(call, |called| called.context.barrier().map_err(asked_wrong)))
}

/// Sends a value to another part of the same block, waiting for room; fails as `prewire_kernel_barrier` does. Only inside the kernel, on its thread.
///
/// # Safety
/// Any value may be given; one that is not the call of a running kernel is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_kernel_send(
    call: *const prewire_kernel_call,
    to_part: u32,
    value: u64,
) -> prewire_status {
    guard(|| with_call(call, |called| called.context.send(to_part as usize, value).map_err(asked_wrong)))
}

/// Receives the oldest value that another part of the same block sent to this one, waiting for it; fails as `prewire_kernel_barrier` does. Only inside the kernel, on its thread.
///
/// # Safety
/// `value` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_kernel_receive(
    call: *const prewire_kernel_call,
    from_part: u32,
    value: *mut u64,
) -> prewire_status {
    guard(|| {
        let got = with_call(call, |called| called.context.receive(from_part as usize).map_err(asked_wrong))?;
        // SAFETY: by contract.
        unsafe { pointer::put(value, "value", got) }
    })
}

/// Makes the task's completion wait until the 32-bit counter at `counter`, an address in device memory, has reached `expected`. Only inside the kernel, on its thread.
///
/// # Safety
/// `counter` is the address of a 32-bit number in memory of the runtime that stays until then; another address ends the run with an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_kernel_complete_when(
    call: *const prewire_kernel_call,
    counter: u64,
    expected: u32,
) -> prewire_status {
    guard(|| {
        with_call(call, |called| {
            called.context.complete_when(Condition { counter, expected });
            Ok(())
        })
    })
}
