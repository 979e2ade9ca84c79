//! The mailbox between a runtime and one worker, in memory that both map: two frames for tasks, a word to sleep on, a sticky word for the end.
//!
//! A frame belongs to the runtime until it is published and from its end on; in between to the worker. Each transition is one store or one
//! compare-and-swap of the frame's state word. A frame may be published behind a running one; until the worker has started it, the runtime may take it
//! back. What a worker is commanded to do besides tasks never comes this way: it has a socket and a thread of its own for that.

mod frame;
#[cfg(test)]
mod models;
mod sleep;
mod state;

pub use frame::{Frame, Mailbox, TEXT_CAPACITY};
pub use sleep::{SleepWord, sleep_on};
pub use state::{FrameState, FrameWord, Phase, oldest_published};
