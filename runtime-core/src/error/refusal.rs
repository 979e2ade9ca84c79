//! Calls that are refused for their arguments (code 5): nothing was done, the run goes on, and the run's result says so.

use super::Fatal;
use crate::id::TaskId;
use crate::tensor::{DataType, TensorError};
use std::ops::Range;
use thiserror::Error;

/// Why a call was refused.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Refusal {
    #[error("invalid arguments (code 5): {count} tensor arguments, a task may have {limit}")]
    TooManyTensors { count: usize, limit: usize },
    #[error("invalid arguments (code 5): {count} scalar arguments, a task may have {limit}")]
    TooManyScalars { count: usize, limit: usize },
    #[error("invalid arguments (code 5): argument {argument}: {error}")]
    Tensor { argument: usize, error: TensorError },
    #[error("invalid arguments (code 5): {error}")]
    View { error: TensorError },
    #[error("invalid arguments (code 5): argument {argument} belongs to task {owner}, whose scope has closed")]
    ScopeClosed { argument: usize, owner: TaskId },
    #[error("invalid arguments (code 5): argument {argument} is no memory of this runtime, or has been released")]
    ForeignMemory { argument: usize },
    #[error("invalid arguments (code 5): argument {argument} {problem}")]
    Memory { argument: usize, problem: String },
    #[error(
        "invalid arguments (code 5): element type {data_type:?} of argument {argument} is unknown to the chip {chip}"
    )]
    UnknownDataType { argument: usize, data_type: DataType, chip: &'static str },
    #[error(
        "invalid arguments (code 5): arguments {} and {} both write some byte of {:#x}..{:#x} and {:#x}..{:#x}; name it in one of them only",
        arguments[0], arguments[1], bytes[0].start, bytes[0].end, bytes[1].start, bytes[1].end
    )]
    OverlappingWrites { arguments: [usize; 2], bytes: [Range<u64>; 2] },
    #[error("invalid arguments (code 5): the outputs of one task sum to more than 64 bits hold")]
    OutputsTooLarge,
    #[error("invalid arguments (code 5): the task names no kernel; use a dummy task for dependencies only")]
    NoKernel,
    #[error("invalid arguments (code 5): kernel {kernel} is not registered")]
    UnknownKernel { kernel: u32 },
    #[error("invalid arguments (code 5): the handle of callable {kernel} {problem}")]
    Callable { kernel: u32, problem: &'static str },
    #[error("invalid arguments (code 5): kernel {name} is registered for {registered} and placed on {placed}")]
    WrongKind { name: String, registered: &'static str, placed: &'static str },
    #[error("invalid arguments (code 5): {blocks} blocks; a task has 1 to {limit}")]
    Blocks { blocks: i64, limit: u32 },
    #[error("invalid arguments (code 5): core {core} {problem}")]
    Core { core: u32, problem: &'static str },
    #[error("invalid arguments (code 5): a group of no members; give it at least one")]
    NoMembers,
    #[error(
        "invalid arguments (code 5): a group of {members} members, and there are {available} {kind} to start them on at the same time"
    )]
    GroupTooLarge { members: usize, kind: &'static str, available: usize },
    #[error("invalid arguments (code 5): {blocks} blocks are directed at {cores} cores; name one core for each block")]
    CoresAndBlocks { blocks: usize, cores: usize },
    #[error("invalid arguments (code 5): core {core} ({name}) is named for two blocks that start together")]
    RepeatedCore { core: u32, name: String },
    #[error(
        "invalid arguments (code 5): a group has its arguments in its members; the task has {tensors} tensors and {scalars} scalars of its own"
    )]
    GroupWithArguments { tensors: usize, scalars: usize },
    #[error("invalid arguments (code 5): {count} outputs are to be allocated for one group, which may have {limit}")]
    TooManyOutputs { count: usize, limit: usize },
    #[error("member {member}: {refusal}")]
    Member { member: usize, refusal: Box<Refusal> },
    #[error("invalid arguments (code 5): a watchdog budget of 0; give a positive time or none")]
    ZeroBudget,
    #[error("invalid arguments (code 5): the predicate {problem}")]
    Predicate { problem: String },
    #[error("invalid arguments (code 5): explicit dependency on {id}, which {problem}")]
    Dependency { id: TaskId, problem: &'static str },
    #[error("invalid arguments (code 5): an allocation takes outputs only and at least one; this one has {problem}")]
    Allocation { problem: &'static str },
    #[error(
        "invalid arguments (code 5): an automatic scope inside a manual one; open a manual scope or close the outer one first"
    )]
    AutomaticInManual,
    #[error("invalid arguments (code 5): scopes nest {limit} deep")]
    TooDeep { limit: usize },
    #[error("invalid arguments (code 5): no scope is open that could be closed")]
    NoOpenScope,
    #[error(
        "invalid arguments (code 5): the task needs cores that run at the same time; choose the engine `threads` or the default instead of `inline`"
    )]
    NeedsConcurrency,
    #[error("invalid arguments (code 5): {text}")]
    Other { text: String },
}

/// Why a submit, or another call of a running orchestration, gave nothing.
#[derive(Clone, Debug, Error)]
pub enum SubmitError {
    /// The call was refused; the orchestration may go on.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The run has ended; every later call says the same.
    #[error("{0}")]
    Fatal(#[from] Fatal),
    /// The data asked for was to be written by a task that failed or was not run.
    #[error("the data was to be written by a failed task: {0}")]
    DataLost(#[from] super::KernelFailure),
}

impl From<TensorError> for SubmitError {
    fn from(error: TensorError) -> Self {
        SubmitError::Refused(Refusal::View { error })
    }
}
