//! Everything that can go wrong, with the facts in the variants and the numbers that users of these chips know.

mod code;
mod fatal;
mod refusal;
mod stall;

pub use code::ErrorCode;
pub use fatal::{BlockedOn, Fatal, KernelFailure, RunError};
pub use refusal::{Refusal, SubmitError};
pub use stall::{RunningTask, StallClass, StallReport, WaitingTask};
