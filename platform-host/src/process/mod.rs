//! Worker processes: who makes them, what they say, what they do.

mod channel;
mod launcher;
mod main_loop;
mod message;
mod spawned;

pub use channel::{Channel, Received};
pub use main_loop::{Birth, Initialise};
pub use message::{Command, Exit, WorkerReport};
pub use spawned::{Program, serve_spawned};

pub(crate) use launcher::{ForkOrder, Launcher, ProcessParts, uncopied};
pub(crate) use main_loop::WorkerRecipe;
pub(crate) use message::LauncherReport;
pub(crate) use spawned::{greet, reap};
