//! What a kernel sees while it runs: exactly the arguments it declared, which block it is, and a few services of its platform.

use super::KernelError;
use super::access::{Input, Output};
use super::element::Element;
use super::opened::Opened;
use super::view::refuse;
use crate::platform::DispatchPayload;
use crate::tensor::TensorArgument;

/// A condition that must hold before the task of a returned kernel is complete: a 32-bit counter in device memory reaches a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The counter's address.
    pub counter: u64,
    /// The value it must reach or pass.
    pub expected: u32,
}

/// What a platform does for running kernels.
pub trait KernelServices: Sync {
    /// Whether the kernel's run has ended, so that it should return as soon as it can.
    fn is_cancelled(&self, payload: &DispatchPayload) -> bool;
    /// A sign of life: the watchdog's clock of this core starts anew.
    fn alive(&self, payload: &DispatchPayload);
    /// Waits until every block (and part) of the task has called it as often. Fails if a sibling failed or the run ended.
    fn barrier(&self, payload: &DispatchPayload) -> Result<(), KernelError>;
    /// Whether another block or part of the task, of those that run at the same time, has failed.
    fn sibling_failed(&self, _payload: &DispatchPayload) -> bool {
        false
    }
    /// Sends a value to another part of the same block through a bounded pipe; waits for room.
    fn send(&self, payload: &DispatchPayload, to_part: usize, value: u64) -> Result<(), KernelError>;
    /// Receives the oldest value that the part sent to this one; waits for it.
    fn receive(&self, payload: &DispatchPayload, from_part: usize) -> Result<u64, KernelError>;
    /// Registers a condition for the completion of this block.
    fn defer(&self, payload: &DispatchPayload, condition: Condition);
    /// Gives up the processor in a way that fits the engine; for kernels that poll.
    fn relax(&self);
}

/// A kernel's view of its task.
pub struct KernelContext<'a> {
    payload: &'a DispatchPayload,
    services: &'a dyn KernelServices,
    opened: Opened,
}

impl std::fmt::Debug for KernelContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelContext")
            .field("task", &self.payload.task)
            .field("block", &self.payload.block)
            .finish_non_exhaustive()
    }
}

impl<'a> KernelContext<'a> {
    /// A context for the dispatch that `payload` describes.
    ///
    /// # Safety
    /// For `'a`, the payload's argument pointers are valid, its tensors' memory may be read and, where their tags say so, written, and nothing
    /// but tasks that the dependencies order against this one touches that memory.
    #[inline]
    pub unsafe fn new(payload: &'a DispatchPayload, services: &'a dyn KernelServices) -> Self {
        KernelContext { payload, services, opened: Opened::default() }
    }

    /// The tensor arguments' descriptors, in the order of the submit.
    #[inline]
    pub fn tensors(&self) -> &'a [TensorArgument] {
        // SAFETY: valid for the lifetime by the contract of `new`; a null pointer is never stored for a non-empty list.
        unsafe { slice_of(self.payload.tensors, self.payload.tensor_count) }
    }

    #[inline]
    fn scalars(&self) -> &'a [u64] {
        // SAFETY: as for the tensors.
        unsafe { slice_of(self.payload.scalars, self.payload.scalar_count) }
    }

    /// A scalar argument's cell.
    ///
    /// # Errors
    /// If the task has no such scalar.
    #[inline]
    pub fn scalar_bits(&self, index: usize) -> Result<u64, KernelError> {
        match self.scalars().get(index) {
            Some(&cell) => Ok(cell),
            None => Err(self.no_scalar(index)),
        }
    }

    #[cold]
    #[inline(never)]
    fn no_scalar(&self, index: usize) -> KernelError {
        refuse(format!("scalar {index} was asked for and the task has {}", self.scalars().len()))
    }

    /// A scalar argument as the type it was given in.
    ///
    /// # Errors
    /// If the task has no such scalar.
    #[inline]
    pub fn scalar<T: Element>(&self, index: usize) -> Result<T, KernelError> {
        self.scalar_bits(index).map(T::from_cell)
    }

    /// How many scalar arguments there are.
    pub fn scalar_count(&self) -> usize {
        self.scalars().len()
    }

    /// Read access to a tensor argument.
    ///
    /// # Errors
    /// If there is no such argument, its element type is another, or an argument over common bytes is open for writing.
    #[inline]
    pub fn input<T: Element>(&self, index: usize) -> Result<Input<'_, T>, KernelError> {
        Input::open(self.tensors(), index, &self.opened)
    }

    /// Write access to a tensor argument.
    ///
    /// # Errors
    /// If there is no such argument, its element type is another, it was declared as an input, or an argument over common bytes is open.
    #[inline]
    pub fn output<T: Element>(&self, index: usize) -> Result<Output<'_, T>, KernelError> {
        Output::open(self.tensors(), index, &self.opened)
    }

    /// This block's index, from 0.
    pub fn block_index(&self) -> u32 {
        self.payload.block
    }

    /// How many blocks the task has.
    pub fn block_count(&self) -> u32 {
        self.payload.blocks
    }

    /// This core's part of the cluster: 0 cube, 1 and 2 vector.
    pub fn part(&self) -> usize {
        self.payload.part as usize
    }

    /// What describes the dispatch.
    pub fn payload(&self) -> &'a DispatchPayload {
        self.payload
    }

    /// Whether the run has ended, so that the kernel should return as soon as it can.
    pub fn is_cancelled(&self) -> bool {
        self.services.is_cancelled(self.payload)
    }

    /// A sign of life for the watchdog.
    pub fn alive(&self) {
        self.services.alive(self.payload);
    }

    /// Waits for all blocks and parts of the task.
    ///
    /// # Errors
    /// If a sibling failed or the run ended meanwhile.
    pub fn barrier(&self) -> Result<(), KernelError> {
        self.services.barrier(self.payload)
    }

    /// Whether another member of the group, or block or part of a task that runs together, has failed, so that there may be no use in going on.
    pub fn sibling_failed(&self) -> bool {
        self.services.sibling_failed(self.payload)
    }

    /// Sends a value to another part of the same block.
    ///
    /// # Errors
    /// If that part failed, is not part of the task, or the run ended.
    pub fn send(&self, to_part: usize, value: u64) -> Result<(), KernelError> {
        self.services.send(self.payload, to_part, value)
    }

    /// Receives the oldest value that another part of the same block sent to this one.
    ///
    /// # Errors
    /// If that part failed, is not part of the task, or the run ended.
    pub fn receive(&self, from_part: usize) -> Result<u64, KernelError> {
        self.services.receive(self.payload, from_part)
    }

    /// Makes the task's completion wait for a counter.
    pub fn complete_when(&self, condition: Condition) {
        self.services.defer(self.payload, condition);
    }

    /// Gives up the processor for a moment; for kernels that poll.
    pub fn relax(&self) {
        self.services.relax();
    }
}

/// # Safety
/// `data` points to `count` values that live and are not written for `'a`, or `count` is 0.
#[inline]
unsafe fn slice_of<'a, T>(data: *const T, count: u16) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(data, count as usize) }
}
