//! Handing a task's memory down: what a level above shares with a worker, the worker's own level shares with its workers, as the same memory.

use super::error::HostError;
use super::runtime::HostRuntime;
use crate::runtime::Buffer;
use prewire_platform_host::memory::SharedBuffer;
use prewire_platform_host::worker::given;
use prewire_runtime_core::kernel::KernelContext;
use prewire_runtime_core::tensor::Tensor;
use std::marker::PhantomData;
use std::sync::Arc;

/// The tensors of a task as tensors of the level below: the same bytes, which every worker of that level maps too. They are no tensors of it any more when this
/// is dropped and no run uses them.
#[derive(Debug)]
pub struct Lent<'t> {
    tensors: Vec<Tensor>,
    /// What the level below knows the memory by.
    _buffers: Vec<Buffer>,
    /// The memory is the task's, and only until the task's end.
    _task: PhantomData<&'t ()>,
}

impl Lent<'_> {
    /// A tensor argument of the task.
    ///
    /// # Panics
    /// If the task has no such argument.
    pub fn tensor(&self, argument: usize) -> &Tensor {
        &self.tensors[argument]
    }

    /// All tensor arguments of the task, in their order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }
}

impl HostRuntime {
    /// Hands the memory that a task of the level above names down to this one, which its worker holds. Nothing is copied: what a task of this level writes is
    /// written at the level above. Which tensors may be written is as the task was submitted.
    ///
    /// # Errors
    /// If the calling thread is not the worker whose task it is, the memory is lent to this level already, or a worker of this level cannot map it.
    pub fn lend<'t>(&mut self, task: &'t KernelContext<'_>) -> Result<Lent<'t>, HostError> {
        // What an earlier task had may be waiting to be given back.
        self.runtime.free_discarded();
        let mut shared: Vec<Arc<SharedBuffer>> = Vec::new();
        let mut buffers: Vec<Buffer> = Vec::new();
        let mut tensors = Vec::new();
        for (argument, tensor) in task.tensors().iter().enumerate() {
            let refused = |reason: String| HostError::NotLent { argument, reason };
            let address = tensor.first_byte();
            let buffer = given(address).ok_or_else(|| refused("this worker was given no such memory".to_owned()))?;
            let at = match shared.iter().position(|known| known.id == buffer.id) {
                Some(at) => at,
                None => {
                    self.crew.memory().adopt(&buffer).map_err(refused)?;
                    buffers.push(self.runtime.buffer_at(buffer.address(), buffer.memory.bytes() as u64));
                    shared.push(buffer);
                    shared.len() - 1
                }
            };
            let below = buffers[at].tensor_of(address - buffers[at].address(), tensor.layout());
            tensors.push(below.map_err(|error| refused(error.to_string()))?);
        }
        Ok(Lent { tensors, _buffers: buffers, _task: PhantomData })
    }
}
