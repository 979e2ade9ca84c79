//! Many chips and processes behind the same engine: a host runtime whose cores are workers.
//!
//! A *sub worker* runs functions; a *next-level worker* holds a runtime of the level below, a chip's or another host's, and its functions run graphs on it. Both
//! are processes (or, for tests and small machines, threads) that share buffers with the runtime that drives them. Tasks, dependencies, scopes, failure
//! and back-pressure are those of every [`Runtime`](crate::Runtime).
//!
//! ```
//! use prewire::host::{self, Callable, HostRuntime};
//! use prewire::{Argument, DataType};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut builder = HostRuntime::builder().subs(2);
//! let double = builder.register(Callable::sub("double", |task| {
//!     task.output::<f32>(0)?.as_mut_slice().iter_mut().for_each(|value| *value *= 2.0);
//!     Ok(())
//! }))?;
//! let mut host = builder.start()?;
//! let buffer = host.buffer_from(&[1.0f32, 2.0, 3.0, 4.0])?;
//! let all = buffer.tensor(&[4], DataType::F32)?;
//! host.run(|run| {
//!     // Two halves, in two processes, at the same time.
//!     for half in 0..2 {
//!         let half = all.slice(0, 2 * half, 2 * half + 2, 1)?;
//!         run.submit(&host::sub(double).arguments(&[Argument::InOut(&half)]))?;
//!     }
//!     Ok(())
//! })?;
//! assert_eq!(host.read::<f32>(&buffer)?, [2.0, 4.0, 6.0, 8.0]);
//! host.close()?;
//! # Ok(())
//! # }
//! ```

mod builder;
mod callable;
mod close;
mod control;
mod error;
mod lend;
mod level;
mod own;
mod register;
mod runtime;
mod spawned;

pub use builder::HostBuilder;
pub use callable::{Callable, CallableId};
pub use control::HostControl;
pub use error::{HostError, HostStartError};
pub use lend::Lent;
pub use level::{Level, LevelError};
pub use own::{DeviceBuffer, InheritedBuffer, InheritedId};
pub use prewire_platform_host::crew::{CancelToken, CloseError, CommandError, StartError};
pub use register::WorkerOutcome;
pub use runtime::{HostRuntime, WorkerStatus};
pub use spawned::worker_main;

use crate::Task;

/// A task for any sub worker.
pub fn sub<'a>(callable: CallableId) -> Task<'a> {
    Task::vector(callable.kernel()).issued(callable.issue)
}

/// A task for any next-level worker.
pub fn next_level<'a>(callable: CallableId) -> Task<'a> {
    Task::cube(callable.kernel()).issued(callable.issue)
}
