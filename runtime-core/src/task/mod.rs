//! What a submit says: kernels, arguments, blocks, dependencies. Plain references, so that building one costs nothing.

use crate::edge::EdgeFlags;
use crate::id::{CoreId, KernelId, TaskId};
use crate::slot::{Comparison, Parts};
use crate::tensor::Tensor;
use std::time::Duration;

mod argument;
mod limits;
mod member;
mod special;
mod work;

pub use argument::{Argument, NewTensor, Scalar};
pub use limits::ArgumentLimits;
pub use member::Member;
pub use special::Mistake;
use special::Special;
use work::Work;

/// Tensor arguments a task of a chip may have.
pub const MAX_TENSORS: usize = ArgumentLimits::CHIP.tensors as usize;
/// Scalar arguments a task of a chip may have.
pub const MAX_SCALARS: usize = ArgumentLimits::CHIP.scalars as usize;
/// Blocks a task may have.
pub const MAX_BLOCKS: u32 = 1 << 24;
/// Scopes that may be open inside one another.
pub const MAX_SCOPE_DEPTH: usize = 64;
/// Outputs of one task start at multiples of this within its packed buffer.
pub const OUTPUT_ALIGNMENT_BYTES: u64 = 1024;
/// Packed buffers start at multiples of this.
pub const HEAP_ALIGNMENT_BYTES: u64 = 64;

/// An explicit dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The producer.
    pub task: TaskId,
    /// [`EdgeFlags::WAIT`], with [`EdgeFlags::RETAIN`] unless the producer's memory is not used. Failure is always carried.
    pub flags: EdgeFlags,
}

impl Dependency {
    /// Waits for the task and keeps its outputs.
    pub const fn on(task: TaskId) -> Self {
        Dependency { task, flags: EdgeFlags::WAIT.union(EdgeFlags::RETAIN) }
    }

    /// Waits for the task only.
    pub const fn wait_only(task: TaskId) -> Self {
        Dependency { task, flags: EdgeFlags::WAIT }
    }
}

/// Runs a task only if an element compares so with a target when the task becomes ready.
#[derive(Clone, Copy, Debug)]
pub struct Predicate<'a> {
    /// The tensor the operand is in. It is an argument with the dependencies of an input.
    pub operand: &'a Tensor,
    /// The element's indices.
    pub indices: &'a [u32],
    /// How it is compared.
    pub comparison: Comparison,
    /// What it is compared with.
    pub target: i64,
}

/// Where a task's blocks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Placement<'a> {
    /// On any core of the right kind.
    #[default]
    Any,
    /// On this core, one block after the other.
    Core(CoreId),
    /// Each block on a core of its own, in this order, all at the same time or none.
    Cores(&'a [CoreId]),
}

/// A task to submit.
///
/// Building never fails: the first mistake sticks and is reported at submit.
///
/// A task is written anew for each submit, behind stores that may wait for another processor, so what few tasks have costs the others one store.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    work: Work,
    pub(crate) arguments: &'a [Argument<'a>],
    pub(crate) scalars: &'a [Scalar],
    pub(crate) dependencies: &'a [Dependency],
    /// What was said about the task beyond that.
    special: Option<Special<'a>>,
}

impl<'a> Task<'a> {
    const fn with_kernels(kernels: [KernelId; 3], parts: Parts) -> Self {
        Self::with_work(Work::new(kernels, parts))
    }

    const fn with_work(work: Work) -> Self {
        Task { work, arguments: &[], scalars: &[], dependencies: &[], special: None }
    }

    /// A task for one cube core per block.
    pub const fn cube(kernel: KernelId) -> Self {
        Self::with_kernels([kernel, KernelId(0), KernelId(0)], Parts::CUBE)
    }

    /// A task for one vector core per block.
    pub const fn vector(kernel: KernelId) -> Self {
        Self::with_kernels([KernelId(0), kernel, KernelId(0)], Parts::VECTOR_0)
    }

    /// A task whose blocks use the named cores of one cluster: the cube core, the first and the second vector core.
    pub const fn cluster(cube: Option<KernelId>, vector_0: Option<KernelId>, vector_1: Option<KernelId>) -> Self {
        let (mut kernels, mut parts) = ([KernelId(0); 3], 0);
        if let Some(kernel) = cube {
            kernels[0] = kernel;
            parts |= Parts::CUBE.0;
        }
        if let Some(kernel) = vector_0 {
            kernels[1] = kernel;
            parts |= Parts::VECTOR_0.0;
        }
        if let Some(kernel) = vector_1 {
            kernels[2] = kernel;
            parts |= Parts::VECTOR_1.0;
        }
        Self::with_kernels(kernels, Parts(parts))
    }

    /// A task that only orders: dependencies and no kernel.
    pub const fn dummy() -> Self {
        Self::with_work(Work::none())
    }

    /// The tensor arguments; how many there may be is the platform's to say.
    #[must_use]
    pub const fn arguments(mut self, arguments: &'a [Argument<'a>]) -> Self {
        self.arguments = arguments;
        self
    }

    /// The scalar arguments; how many there may be is the platform's to say.
    #[must_use]
    pub const fn scalars(mut self, scalars: &'a [Scalar]) -> Self {
        self.scalars = scalars;
        self
    }

    /// Producers named by the user, besides those that the arguments imply.
    #[must_use]
    pub const fn dependencies(mut self, dependencies: &'a [Dependency]) -> Self {
        self.dependencies = dependencies;
        self
    }

    /// How many blocks run the kernels, each on cores of its own; 1 to 2²⁴.
    #[must_use]
    pub const fn blocks(mut self, blocks: i64) -> Self {
        if blocks < 1 || blocks > MAX_BLOCKS as i64 {
            return self.mistaken(Mistake::Blocks(blocks));
        }
        // A task has one block unless it says otherwise.
        if blocks != 1 || self.special.is_some() {
            self.special().blocks = blocks;
        }
        self
    }

    /// All blocks start together, or none does.
    #[must_use]
    pub const fn sync_start(mut self) -> Self {
        self.special().gang = true;
        self
    }

    /// Makes the task a group: one block for each member, with arguments of the member's own, all on different cores and all at the same time or none. The
    /// dependencies of all members are the task's, and so is the failure of any; the others then run to their end. The task's own arguments are those
    /// of its members.
    #[must_use]
    pub const fn group(mut self, members: &'a [Member<'a>]) -> Self {
        let special = self.special();
        special.members = Some(members);
        special.gang = true;
        self
    }

    /// The parts of one block talk to each other, so they must run at the same time. Implied by several parts and by [`Task::sync_start`].
    #[must_use]
    pub const fn communicates(mut self) -> Self {
        self.special().communicates = true;
        self
    }

    /// Where the blocks run.
    #[must_use]
    pub const fn placement(mut self, placement: Placement<'a>) -> Self {
        self.special().placement = placement;
        self
    }

    /// Runs the task only if the predicate holds when it becomes ready.
    #[must_use]
    pub const fn predicate(mut self, predicate: Predicate<'a>) -> Self {
        self.special().predicate = Some(predicate);
        self
    }

    /// A watchdog budget of the task's own.
    #[must_use]
    pub const fn budget(mut self, budget: Duration) -> Self {
        if budget.is_zero() {
            return self.mistaken(Mistake::ZeroBudget);
        }
        self.special().budget = Some(budget);
        self
    }

    /// The kernel is meant as it was registered under this issue, and not as whatever has its id now; see [`KernelSet::issue`](crate::kernel::KernelSet::issue).
    #[must_use]
    pub const fn issued(mut self, issue: u64) -> Self {
        self.special().issue = issue;
        self
    }

    const fn mistaken(mut self, mistake: Mistake) -> Self {
        let given = [self.arguments.len(), self.scalars.len()];
        let special = self.special();
        if special.mistake.is_none() {
            special.mistake = Some(mistake);
            special.given = given;
        }
        self
    }

    const fn special(&mut self) -> &mut Special<'a> {
        if self.special.is_none() {
            self.special = Some(Special::NOTHING);
        }
        self.special.as_mut().expect("it was just written")
    }
}

/// What the orchestrator reads of a [`Task`].
impl<'a> Task<'a> {
    /// The kernel of each part of a cluster: cube, first vector, second vector.
    #[inline]
    pub fn kernels_named(&self) -> [Option<KernelId>; 3] {
        std::array::from_fn(|part| self.work.parts().has(part).then(|| self.work.kernel(part)))
    }

    /// The same as the parts of a cluster that have a kernel, and the kernels, which mean something where there is such a part.
    #[inline]
    pub const fn parts_named(&self) -> (Parts, [KernelId; 3]) {
        (self.work.parts(), self.work.kernels())
    }

    /// The kernel of one of the parts, which are numbered so.
    #[inline(always)]
    pub const fn kernel_of_part(&self, part: usize) -> KernelId {
        self.work.kernel(part)
    }

    /// Whether the task is meant to have no kernel.
    #[inline]
    pub const fn is_dummy(&self) -> bool {
        self.work.is_none()
    }

    /// Whether nothing was said about the task beyond its kernels, arguments and dependencies: one block for any core, no mistake.
    #[inline]
    pub const fn is_ordinary(&self) -> bool {
        self.special.is_none()
    }

    /// The tensor arguments.
    #[inline]
    pub const fn tensors_named(&self) -> &'a [Argument<'a>] {
        self.arguments
    }

    /// The scalar arguments.
    #[inline]
    pub const fn scalars_named(&self) -> &'a [Scalar] {
        self.scalars
    }

    /// The explicit dependencies.
    #[inline]
    pub const fn dependencies_named(&self) -> &'a [Dependency] {
        self.dependencies
    }

    /// The block count, within its limits unless [`Task::first_mistake`] says otherwise.
    #[inline]
    pub const fn block_count(&self) -> u32 {
        if let Some(special) = &self.special { special.blocks as u32 } else { 1 }
    }

    /// Whether all blocks start together.
    #[inline]
    pub const fn is_gang(&self) -> bool {
        matches!(&self.special, Some(Special { gang: true, .. }))
    }

    /// Whether parts of one block must run at the same time by the user's word.
    #[inline]
    pub const fn parts_communicate(&self) -> bool {
        matches!(&self.special, Some(Special { communicates: true, .. }))
    }

    /// The members, if the task is a group.
    #[inline]
    pub const fn members_named(&self) -> Option<&'a [Member<'a>]> {
        if let Some(special) = &self.special { special.members } else { None }
    }

    /// Where the blocks run.
    #[inline]
    pub const fn placed(&self) -> Placement<'a> {
        if let Some(special) = &self.special { special.placement } else { Placement::Any }
    }

    /// The predicate, if there is one.
    #[inline]
    pub const fn predicated(&self) -> Option<&Predicate<'a>> {
        if let Some(special) = &self.special { special.predicate.as_ref() } else { None }
    }

    /// The task's own budget, if it has one.
    #[inline]
    pub const fn own_budget(&self) -> Option<Duration> {
        if let Some(special) = &self.special { special.budget } else { None }
    }

    /// The issue under which the kernel is meant; 0 for whatever is registered under its id.
    #[inline]
    pub const fn issue_named(&self) -> u64 {
        if let Some(special) = &self.special { special.issue } else { 0 }
    }

    /// The first mistake made while building, if any.
    #[inline]
    pub const fn first_mistake(&self) -> Option<Mistake> {
        if let Some(special) = &self.special { special.mistake } else { None }
    }

    /// How many tensors and scalars had been given when the first mistake was made: too many of them were an earlier one.
    pub const fn given_before_mistake(&self) -> [usize; 2] {
        if let Some(special) = &self.special { special.given } else { [0; 2] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_bits_in_cells() {
        assert_eq!(Scalar::from(1.5f32).0, 0x3FC0_0000);
        assert_eq!(Scalar::from(-1i32).0, 0xFFFF_FFFF);
        assert_eq!(Scalar::from(-1i64).0, u64::MAX);
        assert_eq!(Scalar::from(-0.0f64).0, 1 << 63);
    }

    #[test]
    fn the_first_mistake_sticks() {
        let task = Task::cube(KernelId(0)).budget(Duration::ZERO).blocks(0);
        assert_eq!(task.first_mistake(), Some(Mistake::ZeroBudget));
    }
}
