//! Registering kernels: C functions, and symbols of shared libraries.

use crate::convert;
use crate::error::{Error, guard};
use crate::frame;
use crate::handle;
use crate::kernel::{prewire_kernel_call, prewire_kernel_function};
use crate::pointer;
use crate::runtime::prewire_runtime;
use crate::status::prewire_status;
use crate::task::PREWIRE_NO_KERNEL;
use prewire::{
    CKernel, CoreKind, Kernel, KernelCall, KernelContext, KernelError, KernelFunction, KernelId, KernelLibrary,
};
use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

/// The kernel uses no barrier and no pipe, so that its blocks and parts need not run at the same time.
pub const PREWIRE_KERNEL_NEVER_WAITS: u32 = 1;

/// A kernel to register. Begin with `PREWIRE_KERNEL_INIT`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_kernel {
    /// `sizeof(prewire_kernel)`.
    pub size: usize,
    /// What reports call it; copied.
    pub name: *const c_char,
    /// A `prewire_core_kind`.
    pub core_kind: u32,
    /// `PREWIRE_KERNEL_NEVER_WAITS` or 0.
    pub flags: u32,
    /// What it does; NULL where it is a symbol of a library.
    pub function: prewire_kernel_function,
    /// Handed to every call. It stays the caller's, who keeps it until the kernel was unregistered, or its runtime destroyed, and no run is on.
    pub context: *mut c_void,
    /// How long each block takes in virtual time, in nanoseconds; 0 for what its arguments make likely.
    pub lasts_ns: u64,
    /// The id to register it at, from 0 to 1023; `PREWIRE_NO_KERNEL` for the first free one.
    pub id: u32,
    /// 0.
    pub reserved: u32,
}

/// Room for a kernel's text.
const TEXT_BYTES: usize = 256;

/// Registers a C function as a kernel; `*id` is its id. `kernel` stays the caller's. Any thread may call it while no run is on.
///
/// # Safety
/// `kernel` is NULL or points to a `prewire_kernel` whose function may be called by any thread, by several at once, with its context, and touches only what its
/// calls describe; `id` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_runtime_register(
    runtime: *mut prewire_runtime,
    kernel: *const prewire_kernel,
    id: *mut u32,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let kernel = unsafe { pointer::sized(kernel, "kernel") }?;
        // SAFETY: the two types differ only in what the pointer is called.
        let function = kernel.function.map(|function| unsafe { std::mem::transmute::<_, CKernel>(function) });
        let function = function.ok_or_else(|| Error::argument("kernel.function is NULL"))?;
        // SAFETY: by contract.
        unsafe { register(runtime, kernel, function, None, id) }
    })
}

/// Registers a function of a shared library as a kernel; `*id` is its id. `library` is a path, or a name where the system looks for libraries; `symbol` is a function with
/// the form of `prewire_kernel_function`. The library stays loaded while the kernel is registered or runs. All texts stay the caller's. Any thread may call it while no run is on.
///
/// # Safety
/// As for `prewire_runtime_register`, with the symbol as the function; loading the library runs its initialisers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_runtime_register_symbol(
    runtime: *mut prewire_runtime,
    kernel: *const prewire_kernel,
    library: *const c_char,
    symbol: *const c_char,
    id: *mut u32,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let kernel = unsafe { pointer::sized(kernel, "kernel") }?;
        if kernel.function.is_some() {
            return Err(Error::argument("kernel.function is set beside a symbol; leave it NULL"));
        }
        // SAFETY: by contract.
        let library = unsafe { pointer::path(library, "library") }?;
        // SAFETY: by contract.
        let symbol = unsafe { pointer::text(symbol, "symbol") }?;
        let failed = |error: prewire::LibraryError| Error::new(prewire_status::RegistrationFailed, error.to_string());
        // SAFETY: by contract.
        let library = unsafe { KernelLibrary::open(library) }.map_err(failed)?;
        // SAFETY: by contract; nothing is called here.
        let found = unsafe { library.kernel(symbol, None, std::ptr::null_mut()) }.map_err(failed)?;
        let KernelFunction::C { function, keep, .. } = found.function else {
            return Err(Error::new(prewire_status::RegistrationFailed, "the symbol is no function of C"));
        };
        // SAFETY: by contract.
        unsafe { register(runtime, kernel, function, keep, id) }
    })
}

/// Takes a kernel out; its id is free again. Any thread may call it while no run is on.
///
/// # Safety
/// Any value may be given; one that is no kernel is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_runtime_unregister(runtime: *mut prewire_runtime, id: u32) -> prewire_status {
    guard(|| {
        handle::with(runtime, |assembled| {
            let kernel = u16::try_from(id).ok().map(KernelId);
            if kernel.is_some_and(|kernel| assembled.runtime.unregister(kernel)) {
                return Ok(());
            }
            Err(Error::argument(format_args!("kernel {id} is not registered")))
        })
    })
}

/// # Safety
/// The function is one that may be called so, for as long as the kernel is registered or runs; the kernel's texts are NULL or texts; `id` is NULL or may be written.
unsafe fn register(
    runtime: *mut prewire_runtime,
    kernel: &prewire_kernel,
    function: CKernel,
    keep: Option<Arc<dyn Send + Sync>>,
    id: *mut u32,
) -> Result<(), Error> {
    // SAFETY: by contract.
    let name = unsafe { pointer::text(kernel.name, "kernel.name") }?;
    pointer::check(id, "id")?;
    if kernel.flags & !PREWIRE_KERNEL_NEVER_WAITS != 0 {
        return Err(convert::unknown("set of kernel flags", kernel.flags));
    }
    let foreign = Foreign { function, context: kernel.context as usize, _keep: keep };
    let body = move |context: &KernelContext<'_>| foreign.call(context);
    let mut made = match convert::core_kind(kernel.core_kind)? {
        Some(CoreKind::Cube) => Kernel::cube(name, body),
        Some(CoreKind::Vector) => Kernel::vector(name, body),
        None => Kernel::any(name, body),
    };
    if kernel.flags & PREWIRE_KERNEL_NEVER_WAITS != 0 {
        made = made.never_waits();
    }
    if kernel.lasts_ns != 0 {
        made = made.lasting(Duration::from_nanos(kernel.lasts_ns));
    }
    let registered = handle::with(runtime, |assembled| {
        Ok(match kernel.id {
            PREWIRE_NO_KERNEL => assembled.runtime.register(made)?,
            at => assembled.runtime.register_at(at, made)?,
        })
    })?;
    // SAFETY: by contract.
    unsafe { pointer::put(id, "id", u32::from(registered.0)) }
}

/// A function of another language.
struct Foreign {
    function: CKernel,
    /// An address, so that it may travel between threads.
    context: usize,
    /// What must stay loaded while the function may be called.
    _keep: Option<Arc<dyn Send + Sync>>,
}

impl Foreign {
    fn call(&self, context: &KernelContext<'_>) -> Result<(), KernelError> {
        let payload = context.payload();
        let mut text: [c_char; TEXT_BYTES] = [0; TEXT_BYTES];
        let mut call = prewire_kernel_call {
            tensors: payload.tensors.cast(),
            tensor_count: usize::from(payload.tensor_count),
            scalars: payload.scalars,
            scalar_count: usize::from(payload.scalar_count),
            block_index: payload.block,
            block_count: payload.blocks,
            part: u32::from(payload.part),
            context: self.context as *mut c_void,
            text: text.as_mut_ptr(),
            text_bytes: TEXT_BYTES,
        };
        let place = &raw mut call;
        // SAFETY: whoever registered the function vouched for it; everything in the call is valid until it returns.
        let code = frame::enter_call(place, context, || unsafe { (self.function)(place.cast::<KernelCall>()) });
        if code == 0 {
            return Ok(());
        }
        // A text without an end is cut.
        text[TEXT_BYTES - 1] = 0;
        // SAFETY: the last byte is NUL.
        let text = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy();
        Err(KernelError::new(code, if text.is_empty() { "the kernel left no text" } else { &*text }))
    }
}

const _: () = assert!(size_of::<prewire_kernel>() == 56);
