//! What a submit says, as C says it.

use crate::tensor::{PREWIRE_MAX_DIMENSIONS, prewire_tensor};

/// No kernel in this place; or, where a kernel is registered, at the first free id.
pub const PREWIRE_NO_KERNEL: u32 = u32::MAX;
/// Blocks run on any core of the right kind.
pub const PREWIRE_ANY_CORE: i32 = -1;
/// All blocks of the task start together, or none does.
pub const PREWIRE_TASK_SYNC_START: u32 = 1;
/// The parts of one block talk to each other, so they must run at the same time.
pub const PREWIRE_TASK_COMMUNICATES: u32 = 2;
/// A dependency that waits for its producer and does not use its memory.
pub const PREWIRE_DEPENDENCY_WAIT_ONLY: u32 = 1;

/// What a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_task_kind {
    /// One cube core for each block; `kernels[0]` is its kernel.
    Cube = 1,
    /// One vector core for each block; `kernels[0]` is its kernel.
    Vector = 2,
    /// The named cores of one cluster for each block: `kernels` are those of the cube core, the first and the second vector core.
    Cluster = 3,
    /// Dependencies and no kernel.
    Dummy = 4,
    /// Memory and no kernel: all arguments are outputs. Done when the submit returns.
    Allocation = 5,
}

/// What a task does with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_argument_kind {
    /// It reads the tensor.
    Input = 0,
    /// The runtime allocates the tensor, as `allocation` says, and the task writes it.
    Output = 1,
    /// It reads and writes the tensor, or writes parts of it.
    Inout = 2,
    /// It overwrites all of a tensor that exists.
    OutputExisting = 3,
    /// It uses the tensor and the user orders it: only its allocation is waited for and kept.
    NoDependency = 4,
}

/// How the operand of a predicate is compared with its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_comparison {
    /// Operand = target.
    Equal = 1,
    /// Operand ≠ target.
    NotEqual = 2,
    /// Operand > target.
    Greater = 3,
    /// Operand < target.
    Less = 4,
    /// Operand ≥ target.
    GreaterOrEqual = 5,
    /// Operand ≤ target.
    LessOrEqual = 6,
}

/// A tensor that the runtime is to allocate.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_new_tensor {
    /// The length of each dimension.
    pub shape: [u32; PREWIRE_MAX_DIMENSIONS],
    /// How many dimensions it has.
    pub dimensions: u32,
    /// A `prewire_data_type`.
    pub data_type: u32,
    /// 1 if every element starts with `initial`; 0 if nothing is promised about what it starts with.
    pub is_filled: u32,
    /// The bits of the value that every element starts with, in the low bytes.
    pub initial: u64,
}

/// One tensor argument.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_argument {
    /// A `prewire_argument_kind`.
    pub kind: u32,
    /// 0.
    pub reserved: u32,
    /// The tensor, unless it is an output.
    pub tensor: *const prewire_tensor,
    /// What an output looks like; NULL for the others.
    pub allocation: *const prewire_new_tensor,
    /// Where an output's tensor is written to when the task was submitted; NULL if nobody wants it. It dies with the scope.
    pub allocated: *mut prewire_tensor,
}

/// An explicit dependency.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_dependency {
    /// The producer's id.
    pub task: u64,
    /// 0, or `PREWIRE_DEPENDENCY_WAIT_ONLY`.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

/// Runs a task only if an element compares so with a target when the task becomes ready.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_predicate {
    /// The tensor that the operand is in, which is waited for like an input.
    pub operand: *const prewire_tensor,
    /// The element's indices.
    pub indices: *const u32,
    /// How many indices there are.
    pub index_count: usize,
    /// A `prewire_comparison`.
    pub comparison: u32,
    /// 0.
    pub reserved: u32,
    /// What it is compared with.
    pub target: i64,
}

/// A task to submit. Begin with `PREWIRE_TASK_INIT`; nothing in it is kept once the submit has returned.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_task {
    /// `sizeof(prewire_task)`.
    pub size: usize,
    /// A `prewire_task_kind`.
    pub kind: u32,
    /// `PREWIRE_TASK_SYNC_START`, `PREWIRE_TASK_COMMUNICATES`, both joined by `|`, or 0.
    pub flags: u32,
    /// The kernels' ids, as `kind` says; `PREWIRE_NO_KERNEL` where there is none.
    pub kernels: [u32; 3],
    /// The core that all blocks run on, or `PREWIRE_ANY_CORE`. Cube cores come first, then vector cores.
    pub core: i32,
    /// How many blocks run the kernels, from 1 to 2^24.
    pub blocks: i64,
    /// The tensor arguments, at most 32.
    pub arguments: *const prewire_argument,
    /// How many tensor arguments there are.
    pub argument_count: usize,
    /// The scalar arguments, at most 16: the values' bits in the low bytes of each.
    pub scalars: *const u64,
    /// How many scalar arguments there are.
    pub scalar_count: usize,
    /// Producers besides those that the arguments imply.
    pub dependencies: *const prewire_dependency,
    /// How many producers are named.
    pub dependency_count: usize,
    /// Runs the task only if the predicate holds; NULL for always.
    pub predicate: *const prewire_predicate,
    /// A watchdog budget of the task's own, in nanoseconds; 0 for the runtime's.
    pub budget_ns: u64,
}

const _: () = assert!(size_of::<prewire_new_tensor>() == 40);
const _: () = assert!(size_of::<prewire_argument>() == 32);
const _: () = assert!(size_of::<prewire_dependency>() == 16);
const _: () = assert!(size_of::<prewire_predicate>() == 40);
const _: () = assert!(size_of::<prewire_task>() == 104);
