//! What a slot says of its task: the part that fits the hot line, and the cold part that few tasks have.

use crate::id::{CoreId, KernelId, TaskId};

/// Where a task's blocks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shape {
    /// One cube core per block.
    Cube = 0,
    /// One vector core per block.
    Vector = 1,
    /// Several cores of one cluster per block.
    Cluster = 2,
    /// No core: dependencies only, or memory only.
    Dummy = 3,
}

/// The cores of a cluster that a block uses, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Parts(pub u8);

impl Parts {
    /// The cluster's cube core.
    pub const CUBE: Parts = Parts(1);
    /// The cluster's first vector core.
    pub const VECTOR_0: Parts = Parts(2);
    /// The cluster's second vector core.
    pub const VECTOR_1: Parts = Parts(4);

    /// How many cores one block uses.
    #[inline]
    pub const fn count(self) -> u32 {
        // Two bits for each of the eight sets: processors that count bits in one instruction are not the least that we build for.
        const COUNTS: u32 = 0b11_10_10_01_10_01_01_00;
        COUNTS >> (2 * (self.0 & 7) as u32) & 3
    }

    /// Whether the part (0 cube, 1 and 2 vector) is used.
    #[inline]
    pub const fn has(self, part: usize) -> bool {
        self.0 >> part & 1 != 0
    }

    /// The shape these parts make. A single vector part is a vector task whichever of the two it names.
    pub const fn shape(self) -> Shape {
        match self.0 {
            0 => Shape::Dummy,
            1 => Shape::Cube,
            2 | 4 => Shape::Vector,
            _ => Shape::Cluster,
        }
    }
}

/// What few tasks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct TaskFlags(pub u8);

impl TaskFlags {
    /// All blocks start together or none.
    pub const GANG: TaskFlags = TaskFlags(1);
    /// Runs only if its predicate holds when it becomes ready.
    pub const PREDICATE: TaskFlags = TaskFlags(2);
    /// Runs on the core that `extra.core` names and nowhere else; the blocks of a gang on those that its directory names.
    pub const DIRECTED: TaskFlags = TaskFlags(4);
    /// Has a watchdog budget of its own in `extra.budget_ns`.
    pub const BUDGET: TaskFlags = TaskFlags(8);
    /// At least one of its edges retains its producer.
    pub const RETAINS: TaskFlags = TaskFlags(16);
    /// An allocation: completed by the orchestrator at submit.
    pub const ALLOCATION: TaskFlags = TaskFlags(32);
    /// Several parts or blocks that may wait for one another, so that they need cores that run at the same time.
    pub const CONCURRENT: TaskFlags = TaskFlags(64);
    /// Its blocks have arguments or cores of their own: `arguments` is the first unit of a directory ([`crate::arguments::Entry`]) with an entry for each
    /// block.
    pub const DIRECTORY: TaskFlags = TaskFlags(128);

    /// Both sets together.
    #[inline]
    pub const fn with(self, other: TaskFlags) -> TaskFlags {
        TaskFlags(self.0 | other.0)
    }

    /// Whether every flag of `other` is set.
    #[inline]
    pub const fn has(self, other: TaskFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The comparison of a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Comparison {
    /// Always true.
    #[default]
    None = 0,
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

impl Comparison {
    /// Whether `operand` compares so with `target`; `i128` holds every operand and every target.
    pub const fn holds(self, operand: i128, target: i64) -> bool {
        let target = target as i128;
        match self {
            Comparison::None => true,
            Comparison::Equal => operand == target,
            Comparison::NotEqual => operand != target,
            Comparison::Greater => operand > target,
            Comparison::Less => operand < target,
            Comparison::GreaterOrEqual => operand >= target,
            Comparison::LessOrEqual => operand <= target,
        }
    }
}

/// The part of a slot that never changes between publication and reclaim.
///
/// Packed to four bytes, so that it and the slot's words share one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
pub struct TaskBody {
    /// The task.
    pub id: TaskId,
    /// The kernel of each part: cube, first vector, second vector. Meaningful where `parts` has the bit.
    pub kernels: [KernelId; 3],
    /// Which cores of a cluster one block uses; none for a dummy.
    pub parts: Parts,
    /// What else there is to know.
    pub flags: TaskFlags,
    /// Blocks, at least 1.
    pub blocks: u32,
    /// First unit of the task's span in the argument arena: tensors first, scalars behind them, eight to a unit; or of its directory.
    pub arguments: u32,
    /// First edge of the task's run.
    pub edges: u32,
    /// Edges in that run.
    pub edge_count: u32,
    /// Tensor arguments.
    pub tensors: u16,
    /// Scalar arguments.
    pub scalars: u16,
}

/// The cold part: read only where a flag of [`TaskBody`] says that it was written.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TaskExtra {
    /// The watchdog budget of the task, in nanoseconds.
    pub budget_ns: u64,
    /// Where the predicate's operand lies.
    pub predicate_address: u64,
    /// What the operand is compared with.
    pub predicate_target: i64,
    /// How it is compared.
    pub predicate: Comparison,
    /// The operand's element type, as [`crate::tensor::DataType`] numbers it.
    pub predicate_data_type: u8,
    /// The core of a directed task.
    pub core: CoreId,
    /// The link of the inbox that a directed task waits in.
    pub next_directed: u32,
}

impl TaskExtra {
    /// An extra part with nothing in it.
    pub const PLAIN: Self = TaskExtra {
        budget_ns: 0,
        predicate_address: 0,
        predicate_target: 0,
        predicate: Comparison::None,
        predicate_data_type: 0,
        core: CoreId(0),
        next_directed: 0,
    };
}
