//! The assembly: a chip, its memory, an orchestrator, scheduler instances with their threads, and the runs that go through them.

mod assemble;
mod buffer;
mod builder;
mod caller;
mod chip;
mod close;
mod conduct;
mod environment;
mod handle;
mod instance;
mod kernel;
mod lifecycle;
pub(crate) mod machine;
mod notice;
mod pace;
mod report;
mod run;
mod runs;
mod shared;
mod staging;
mod stand_in;
mod submit;
mod supervisor;
mod virtual_caller;

pub(crate) use assemble::Equipment;
pub use buffer::{Buffer, BufferError};
pub use builder::{BuildError, Builder};
pub use chip::Chip;
pub(crate) use close::Unsettled;
pub use environment::SettingError;
pub use handle::RunHandle;
pub use kernel::{Kernel, RegisterError};
pub use lifecycle::{Failed, Runtime};
pub use report::{Report, RingPeaks};
pub use run::Run;
pub use staging::StagedError;
