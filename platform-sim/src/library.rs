//! Kernels from shared libraries.

use libloading::Library;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::kernel::{CKernel, Kernel, KernelFunction};
use std::ffi::{OsStr, c_void};
use std::sync::Arc;
use thiserror::Error;

/// Why a kernel cannot be had from a library.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LibraryError {
    /// The library does not open.
    #[error("kernel library {library} cannot be opened: {reason}")]
    NotOpened {
        /// The library as it was named.
        library: String,
        /// What the system said.
        reason: String,
    },
    /// The library has no such symbol.
    #[error("kernel library {library} has no function {symbol}: {reason}")]
    NoSymbol {
        /// The library as it was named.
        library: String,
        /// The symbol.
        symbol: String,
        /// What the system said.
        reason: String,
    },
}

/// A shared library with kernels. It stays loaded as long as a kernel from it exists.
#[derive(Clone, Debug)]
pub struct KernelLibrary {
    library: Arc<Library>,
    name: String,
}

impl KernelLibrary {
    /// Opens a library by its path, or by its name where the system looks for libraries.
    ///
    /// # Errors
    /// If it cannot be opened; the error names it.
    ///
    /// # Safety
    /// The library's initialisation and termination code may run in this process.
    pub unsafe fn open(path: impl AsRef<OsStr>) -> Result<KernelLibrary, LibraryError> {
        let path = path.as_ref();
        let name = path.to_string_lossy().into_owned();
        // SAFETY: by contract.
        match unsafe { Library::new(path) } {
            Ok(library) => Ok(KernelLibrary { library: Arc::new(library), name }),
            Err(error) => Err(LibraryError::NotOpened { library: name, reason: reason(&error) }),
        }
    }

    /// The kernel whose function is `symbol`, named after it, for cores of `kind` or of both. `user` is handed to every call.
    ///
    /// # Errors
    /// If the library has no such symbol; the error names both.
    ///
    /// # Safety
    /// The symbol is a function of the type [`CKernel`], and any thread may use `user`.
    pub unsafe fn kernel(
        &self,
        symbol: &str,
        kind: Option<CoreKind>,
        user: *mut c_void,
    ) -> Result<Kernel, LibraryError> {
        // SAFETY: by contract the symbol has this type.
        let found = unsafe { self.library.get::<CKernel>(symbol.as_bytes()) };
        let function = *found.map_err(|error| LibraryError::NoSymbol {
            library: self.name.clone(),
            symbol: symbol.to_owned(),
            reason: reason(&error),
        })?;
        let function = KernelFunction::C { function, user: user as usize, keep: Some(Arc::clone(&self.library) as _) };
        Ok(Kernel { name: symbol.to_owned(), kind, function })
    }
}

/// What the system said, which the library keeps as the error's source.
fn reason(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
