//! Kernels as users make them: closures, C functions, symbols of shared libraries.

use prewire_platform_sim::{KernelLibrary, LibraryError};
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::kernel::{
    CKernel, Kernel as Registered, KernelContext, KernelError, KernelFunction, RegistrationError,
};
use std::ffi::c_void;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// A kernel to register.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub(super) registered: Registered,
    pub(super) never_waits: bool,
    pub(super) lasts: Option<Duration>,
}

/// Why a kernel could not be registered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The table has no place for it.
    #[error(transparent)]
    Table(#[from] RegistrationError),
    /// The library or its symbol cannot be loaded.
    #[error(transparent)]
    Library(#[from] LibraryError),
}

impl Kernel {
    fn rust(
        name: &str,
        kind: Option<CoreKind>,
        body: impl Fn(&KernelContext<'_>) -> Result<(), KernelError> + Send + Sync + 'static,
    ) -> Self {
        Kernel::of(Registered { name: name.to_owned(), kind, function: KernelFunction::Rust(Arc::new(body)) })
    }

    /// A kernel for cube cores.
    pub fn cube(
        name: &str,
        body: impl Fn(&KernelContext<'_>) -> Result<(), KernelError> + Send + Sync + 'static,
    ) -> Self {
        Self::rust(name, Some(CoreKind::Cube), body)
    }

    /// A kernel for vector cores.
    pub fn vector(
        name: &str,
        body: impl Fn(&KernelContext<'_>) -> Result<(), KernelError> + Send + Sync + 'static,
    ) -> Self {
        Self::rust(name, Some(CoreKind::Vector), body)
    }

    /// A kernel for either kind of core.
    pub fn any(
        name: &str,
        body: impl Fn(&KernelContext<'_>) -> Result<(), KernelError> + Send + Sync + 'static,
    ) -> Self {
        Self::rust(name, None, body)
    }

    /// A C function for cores of `kind` (or of either), called with `user`.
    ///
    /// # Safety
    /// The function may be called from any thread, by several at once, with `user`, for as long as the kernel is registered or runs, and touches only
    /// what its call describes.
    pub unsafe fn c(name: &str, kind: Option<CoreKind>, function: CKernel, user: *mut c_void) -> Self {
        Kernel::of(Registered {
            name: name.to_owned(),
            kind,
            function: KernelFunction::C { function, user: user as usize, keep: None },
        })
    }

    /// A symbol of a shared library, which stays loaded while the kernel is registered or runs.
    ///
    /// # Errors
    /// If the library or the symbol is not found; both are named.
    ///
    /// # Safety
    /// The symbol is a [`CKernel`], with the duties of [`Kernel::c`]; loading the library runs its initialisers.
    pub unsafe fn symbol(
        name: &str,
        kind: Option<CoreKind>,
        library: &Path,
        symbol: &str,
    ) -> Result<Self, RegisterError> {
        // SAFETY: the caller vouches for the library and the symbol.
        let library = unsafe { KernelLibrary::open(library) }?;
        // SAFETY: as above; a null pointer may be used by any thread.
        let mut kernel = unsafe { library.kernel(symbol, kind, std::ptr::null_mut()) }?;
        kernel.name = name.to_owned();
        Ok(Kernel::of(kernel))
    }

    fn of(registered: Registered) -> Self {
        Kernel { registered, never_waits: false, lasts: None }
    }

    /// Says that the kernel uses no barrier and no pipe, so that the blocks of a gang and the parts of a cluster task need no threads of their own where
    /// they are simulated. A kernel that waits all the same gets an error where it does.
    #[must_use]
    pub fn never_waits(mut self) -> Self {
        self.never_waits = true;
        self
    }

    /// Says how long each block takes in virtual time, whatever its function does; by default it is what its arguments make likely. The other engines
    /// take no notice.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasts = Some(time);
        self
    }

    /// What reports call it.
    pub fn name(&self) -> &str {
        &self.registered.name
    }
}
