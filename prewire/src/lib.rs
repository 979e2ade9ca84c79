//! Runs graphs of tasks on accelerators.
//!
//! A program submits tasks and says which tensors each one reads and writes. Prewire infers the dependencies, wires them before a task becomes
//! visible, keeps the cores of the chip busy in bounded memory, and says exactly what is wrong when something hangs.
//!
//! ```
//! use prewire::{Argument, DataType, Kernel, NewTensor, Runtime, Task};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut runtime = Runtime::builder().build()?;
//! let double = runtime.register(Kernel::vector("double", |kernel| {
//!     let from = kernel.input::<f32>(0)?;
//!     let mut to = kernel.output::<f32>(1)?;
//!     for (to, from) in to.as_mut_slice().iter_mut().zip(from.as_slice()) {
//!         *to = 2.0 * from;
//!     }
//!     Ok(())
//! }))?;
//!
//! let input = runtime.buffer_from(&[1.0f32, 2.0, 3.0])?;
//! let output = runtime.buffer(12)?;
//! let (x, y) = (input.tensor(&[3], DataType::F32)?, output.tensor(&[3], DataType::F32)?);
//! runtime.run(|run| {
//!     // The intermediate is allocated by the runtime; the second task is known to need the first.
//!     let twice = run.submit(&Task::vector(double).arguments(&[
//!         Argument::Input(&x),
//!         Argument::Output(NewTensor::new(&[3], DataType::F32)),
//!     ]))?;
//!     let twice = twice.outputs[0];
//!     run.submit(&Task::vector(double).arguments(&[Argument::Input(&twice), Argument::OutputExisting(&y)]))?;
//!     Ok(())
//! })?;
//! assert_eq!(runtime.read::<f32>(&output)?, [4.0, 8.0, 12.0]);
//! # Ok(())
//! # }
//! ```

pub mod graph_format;
pub mod host;
pub mod quality;
pub mod record;
pub mod replay;
pub mod runtime;
pub mod trace;
mod unrun;

pub use prewire_orchestrator::{EdgeLog, Hazards, ScopeMode, Submitted};
pub use prewire_platform_sim::{Engine, Execution as BlockRecord, Fault, Injection, KernelLibrary, LibraryError};
pub use prewire_runtime_core::chip::{ChipSpec, CoreKind};
pub use prewire_runtime_core::edge::EdgeFlags;
pub use prewire_runtime_core::error::{
    ErrorCode, Fatal, KernelFailure, Refusal, RunError, StallClass, StallReport, SubmitError,
};
pub use prewire_runtime_core::id::{CoreId, KernelId, RingIndex, TaskId};
pub use prewire_runtime_core::kernel::{
    CKernel, Condition, Element, Input, KernelCall, KernelContext, KernelError, KernelFunction, KernelSet, Output,
};
pub use prewire_runtime_core::settings;
pub use prewire_runtime_core::slot::Comparison;
pub use prewire_runtime_core::task::{
    Argument, ArgumentLimits, Dependency, Member, NewTensor, Placement, Predicate, Scalar, Task,
};
pub use prewire_runtime_core::tensor::{ArgumentTag, DataType, Tensor, TensorArgument, TensorError, TensorLayout};
pub use prewire_runtime_core::waiting::WaitingPolicy;
pub use runtime::{
    Buffer, BufferError, BuildError, Builder, Canceller, Chip, Failed, Kernel, RegisterError, Report, RingPeaks, Run,
    RunHandle, Runtime, StagedError,
};

/// The README's example is compiled and run like any other.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
