//! The atomics of words that processes share: the models' own under loom, the machine's everywhere else. A mailbox is memory of its own, mapped by several
//! processes, and the system waits on words in it, so that the schedules of one process have nothing to say about it.

#[cfg(loom)]
pub(crate) use prewire_runtime_core::sync::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
