//! Words in shared memory that tests and tasks meet at.

use prewire::host::{Callable, CallableId, HostBuilder, HostRuntime};
use prewire::{Buffer, KernelContext, KernelError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A host of forked sub workers with these callables.
pub(crate) fn host(builder: HostBuilder, callables: Vec<Callable>) -> (HostRuntime, Vec<CallableId>) {
    let mut builder = builder;
    let ids = callables.into_iter().map(|callable| builder.register(callable).expect("it can be registered")).collect();
    (builder.start().expect("the workers come up"), ids)
}

/// The words of a buffer of this process.
pub(crate) fn words(buffer: &Buffer) -> &[AtomicU64] {
    let (address, count) = (buffer.address() as *const AtomicU64, buffer.bytes() as usize / 8);
    // SAFETY: the buffer is mapped and aligned, and tests and tasks use its words only as atomics.
    unsafe { std::slice::from_raw_parts(address, count) }
}

/// The words of a task's tensor.
pub(crate) fn task_words<'a>(task: &'a KernelContext<'_>, argument: usize) -> &'a [AtomicU64] {
    let tensor = &task.tensors()[argument];
    let (address, count) = (tensor.first_byte() as *const AtomicU64, tensor.layout().elements() as usize);
    // SAFETY: the tensor is mapped for the task's life, and tests and tasks use its words only as atomics.
    unsafe { std::slice::from_raw_parts(address, count) }
}

/// Waits until `done`, as a task.
pub(crate) fn hold(task: &KernelContext<'_>, done: impl Fn() -> bool) -> Result<(), KernelError> {
    let begun = Instant::now();
    while !done() {
        if task.is_cancelled() || begun.elapsed() > LONG {
            return Err(KernelError::new(99, "held for too long"));
        }
        task.relax();
    }
    Ok(())
}

/// Waits until `done`, as a test.
pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LONG, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::SeqCst)
}

pub(crate) fn set(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::SeqCst);
}
