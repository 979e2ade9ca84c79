//! The kernels of a run as a flat table: one look-up per dispatch, without a lock and without a count.

use prewire_runtime_core::id::KernelId;
use prewire_runtime_core::kernel::{CKernel, KernelFunction, KernelSet, MAX_KERNELS, RustKernel};
use std::sync::Arc;

/// What is called for a kernel id.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    Missing,
    /// A closure, kept by the table's set.
    Rust(*const RustKernel),
    /// A function with its user pointer; what it needs is kept by the table's set.
    C(CKernel, usize),
}

/// The table.
pub(crate) struct KernelTable {
    entries: Box<[Entry]>,
    set: Option<Arc<KernelSet>>,
}

// SAFETY: the pointers are to closures that are `Send + Sync` and kept by `set`.
unsafe impl Send for KernelTable {}
// SAFETY: as above.
unsafe impl Sync for KernelTable {}

impl KernelTable {
    pub(crate) fn empty() -> Self {
        KernelTable { entries: vec![Entry::Missing; MAX_KERNELS].into_boxed_slice(), set: None }
    }

    /// Makes this the table of `set`.
    pub(crate) fn load(&mut self, set: &Arc<KernelSet>) {
        if self.set.as_ref().is_some_and(|own| Arc::ptr_eq(own, set)) {
            return;
        }
        self.entries.fill(Entry::Missing);
        for (id, kernel) in set.iter() {
            self.entries[id.index()] = match &kernel.function {
                KernelFunction::Rust(function) => Entry::Rust(Arc::as_ptr(function)),
                KernelFunction::C { function, user, .. } => Entry::C(*function, *user),
            };
        }
        self.set = Some(Arc::clone(set));
    }

    /// What to call for a kernel; the pointer of a closure is valid while the table holds this set.
    #[inline]
    pub(crate) fn get(&self, kernel: KernelId) -> Entry {
        self.entries.get(kernel.index()).copied().unwrap_or(Entry::Missing)
    }
}
