//! Callables from shared libraries, loaded by the runtime and by each worker, which must find the same content.

use libloading::Library;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::kernel::{CKernel, Kernel, KernelFunction};
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;

/// Why a symbol cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum SymbolError {
    #[error("library {library} cannot be opened for symbol {symbol}: {reason}")]
    NotOpened { library: String, symbol: String, reason: String },
    #[error("library {library} has no function {symbol}: {reason}")]
    NoSymbol { library: String, symbol: String, reason: String },
    #[error("library {library} with symbol {symbol} has changed: its content was {expected:016x} and is {found:016x}")]
    Changed { library: String, symbol: String, expected: u64, found: u64 },
}

/// What a library's content comes to.
///
/// # Errors
/// If it cannot be read.
pub fn digest(library: &Path) -> std::io::Result<u64> {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    Ok(std::fs::read(library)?.iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// The symbol of a library as a kernel called `name`. The library stays loaded while the kernel is registered or runs.
///
/// # Errors
/// If the library or the symbol is not there, or the content is not the expected one; the error names all.
///
/// # Safety
/// The symbol is a [`CKernel`] that may be called from any thread; the library's initialisers and finalisers may run in this process.
pub unsafe fn load(
    name: &str,
    kind: Option<CoreKind>,
    library: &Path,
    symbol: &str,
    expected: Option<u64>,
) -> Result<Kernel, SymbolError> {
    let path = || library.display().to_string();
    let not_opened = |reason: String| SymbolError::NotOpened { library: path(), symbol: symbol.to_owned(), reason };
    if let Some(expected) = expected {
        let found = digest(library).map_err(|error| not_opened(error.to_string()))?;
        if found != expected {
            return Err(SymbolError::Changed { library: path(), symbol: symbol.to_owned(), expected, found });
        }
    }
    // SAFETY: by contract.
    let loaded = unsafe { Library::new(library) }.map_err(|error| not_opened(why(&error)))?;
    // SAFETY: by contract the symbol has this type.
    let found = unsafe { loaded.get::<CKernel>(symbol.as_bytes()) };
    let function = *found.map_err(|error| SymbolError::NoSymbol {
        library: path(),
        symbol: symbol.to_owned(),
        reason: why(&error),
    })?;
    let function = KernelFunction::C { function, user: 0, keep: Some(Arc::new(loaded)) };
    Ok(Kernel { name: name.to_owned(), kind, function })
}

/// What the system said, which the library keeps as the error's source.
fn why(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
