//! The host as a platform: worker processes and threads behind shared-memory mailboxes.
//!
//! A *core* of this platform is a worker: a process made by a launcher, or a thread. The engine dispatches to it as to a core of a chip; the dispatch is a
//! frame in memory that both sides map, the completion a store in the same frame, and either side sleeps in the kernel while it has nothing to do.

pub mod board;
pub mod crew;
mod groups;
mod in_frames;
pub mod library;
pub mod mailbox;
pub mod memory;
pub mod own;
mod platform;
pub mod process;
pub mod shared;
mod sync;
pub mod wire;
pub mod worker;

pub use platform::HostPlatform;
