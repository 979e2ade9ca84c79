//! The only door to atomics, cells, threads and their time: std's types in a normal build, loom's under `--cfg loom`, shuttle's under
//! `--cfg prewire_shuttle`.
//!
//! Everything lock-free in this crate, and everything that meets it in the crates above, is written against these names, so that the code that ships is the
//! code that the models and the random schedules explore.

pub mod pause;
#[cfg(prewire_shuttle)]
mod scheduled_time;

#[cfg(loom)]
pub use loom::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
};
#[cfg(prewire_shuttle)]
pub use scheduled_time::{Instant, sleep};
#[cfg(prewire_shuttle)]
pub use shuttle::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread, thread_local,
};
#[cfg(not(any(loom, prewire_shuttle)))]
#[allow(clippy::disallowed_types, reason = "for the platforms; who uses it here is told")]
pub use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    thread::sleep,
    thread_local,
    time::Instant,
};

pub use crossbeam_utils::CachePadded;

/// A cell whose accesses go through closures, the form in which loom can check them.
#[cfg(not(loom))]
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Gives `read` a pointer that may be read while nobody writes.
    #[inline(always)]
    pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Gives `write` a pointer that may be written while nobody else looks.
    #[inline(always)]
    pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

#[cfg(loom)]
pub use loom::cell::UnsafeCell;

/// Tells the processor (or a checking build's scheduler) that this thread waits for another one.
#[inline]
pub fn spin_hint() {
    #[cfg(any(loom, prewire_shuttle))]
    thread::yield_now();
    #[cfg(not(any(loom, prewire_shuttle)))]
    std::hint::spin_loop();
}

/// A full fence directly behind a read-modify-write of the same thread.
///
/// On x86-64 every atomic read-modify-write is a full barrier already, so only the compiler needs to be told; elsewhere, and in every checking
/// build, it is a real fence. It is what makes "publish, then look whether anybody sleeps" free of charge.
#[inline]
pub fn fence_behind_rmw() {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    fence(Ordering::SeqCst);
}

/// Asks for the cache line of `target` ahead of its use; nothing happens under loom or miri, or where the machine has no such instruction.
#[inline]
pub fn prefetch<T>(target: *const T) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    // SAFETY: a prefetch never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(target.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    let _ = target;
}

/// As [`prefetch`], for a line that will be written: it is taken out of other processors' hands now, and the store does not wait for it.
#[inline]
pub fn prefetch_for_write<T>(target: *const T) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    // SAFETY: the instruction never faults, whatever the address, changes no register or flag, and is ignored where a processor does not know it.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) target.addr(), options(nostack, preserves_flags, nomem));
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    let _ = target;
}

/// Runs a model: every interleaving under loom, once natively, so that each model is also an ordinary test.
#[cfg(test)]
pub(crate) fn model(body: impl Fn() + Send + Sync + 'static) {
    #[cfg(loom)]
    loom::model(body);
    #[cfg(not(loom))]
    body();
}
