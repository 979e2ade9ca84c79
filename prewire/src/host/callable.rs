//! What workers can be asked to do.

use super::level::Level;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::id::KernelId;
use prewire_runtime_core::kernel::{CKernel, Kernel, KernelContext, KernelError, KernelFunction};
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A registered callable of one host runtime. It means that registration for ever: its number may be another one's later, the handle is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallableId {
    pub(super) kernel: KernelId,
    pub(super) issue: u64,
}

/// Whoever registers callables: a builder and the runtimes that it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Issuer(u32);

impl Issuer {
    /// One that there was not before in this process.
    pub(super) fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        Issuer(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The handle of a registration that comes now.
    pub(super) fn issue(self, kernel: KernelId) -> CallableId {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        CallableId { kernel, issue: u64::from(self.0) << 32 | u64::from(number) }
    }
}

impl CallableId {
    /// The number that tasks name it by.
    pub fn kernel(self) -> KernelId {
        self.kernel
    }
}

/// A callable to register.
#[derive(Clone, Debug)]
pub struct Callable {
    pub(super) name: String,
    pub(super) kind: Option<CoreKind>,
    pub(super) made_of: MadeOf,
}

#[derive(Clone, Debug)]
pub(super) enum MadeOf {
    /// A closure or a function of this program: workers that were forked behind its registration have it.
    Function(KernelFunction),
    /// A symbol of a shared library, which every worker loads itself.
    Symbol { library: PathBuf, symbol: String },
}

type Result = std::result::Result<(), KernelError>;

impl Callable {
    fn function(name: &str, kind: Option<CoreKind>, function: KernelFunction) -> Self {
        Callable { name: name.to_owned(), kind, made_of: MadeOf::Function(function) }
    }

    fn closure(
        name: &str,
        kind: Option<CoreKind>,
        body: impl Fn(&KernelContext<'_>) -> Result + Send + Sync + 'static,
    ) -> Self {
        Callable::function(name, kind, KernelFunction::Rust(Arc::new(body)))
    }

    /// A closure for sub workers. A worker process has a copy of what it captures, as of the start.
    pub fn sub(name: &str, body: impl Fn(&KernelContext<'_>) -> Result + Send + Sync + 'static) -> Self {
        Callable::closure(name, Some(CoreKind::Vector), body)
    }

    /// A closure for next-level workers that does not use the level below.
    pub fn next_level(name: &str, body: impl Fn(&KernelContext<'_>) -> Result + Send + Sync + 'static) -> Self {
        Callable::closure(name, Some(CoreKind::Cube), body)
    }

    /// A closure for any worker.
    pub fn any(name: &str, body: impl Fn(&KernelContext<'_>) -> Result + Send + Sync + 'static) -> Self {
        Callable::closure(name, None, body)
    }

    /// An orchestration for next-level workers: it runs graphs on the runtime of the level below that the worker holds.
    pub fn level(name: &str, body: impl Fn(&mut Level, &KernelContext<'_>) -> Result + Send + Sync + 'static) -> Self {
        Callable::closure(name, Some(CoreKind::Cube), move |kernel| super::level::with(|level| body(level, kernel)))
    }

    /// A C function, called with `user`.
    ///
    /// # Safety
    /// The function may be called with `user` in every worker that was forked behind the registration, or on any thread worker, and touches only what its
    /// call describes.
    pub unsafe fn c(name: &str, kind: Option<CoreKind>, function: CKernel, user: *mut c_void) -> Self {
        Callable::function(name, kind, KernelFunction::C { function, user: user as usize, keep: None })
    }

    /// A symbol of a shared library. It may be registered before and after the start, and for every kind of worker process.
    ///
    /// # Safety
    /// The symbol is a [`CKernel`] that touches only what its call describes; the library's initialisers run in every worker.
    pub unsafe fn symbol(name: &str, kind: Option<CoreKind>, library: &Path, symbol: &str) -> Self {
        let made_of = MadeOf::Symbol { library: library.to_owned(), symbol: symbol.to_owned() };
        Callable { name: name.to_owned(), kind, made_of }
    }

    /// What reports call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn kernel(name: String, kind: Option<CoreKind>, function: KernelFunction) -> Kernel {
        Kernel { name, kind, function }
    }
}
