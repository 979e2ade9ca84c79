//! The tensors that the runtime allocates for a task: where they lie in its packed buffer, and what they hold at first.

use super::Plan;
use crate::Orchestrator;
use prewire_runtime_core::error::Refusal;
use prewire_runtime_core::id::{BufferId, TaskId};
use prewire_runtime_core::task::{Argument, NewTensor, OUTPUT_ALIGNMENT_BYTES, Scalar, Task};
use prewire_runtime_core::tensor::{MAX_DIMENSIONS, Tensor, TensorError, TensorLayout};

/// An output that is to be allocated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedOutput {
    layout: TensorLayout,
    /// Where it begins within the task's packed buffer.
    offset: u64,
    initial: Option<Scalar>,
}

impl Orchestrator {
    /// Plans the outputs of a task.
    #[inline(never)]
    pub(crate) fn plan_outputs(&mut self, task: &Task<'_>, plan: &mut Plan) -> Result<(), Refusal> {
        plan.bytes = 0;
        let of_members = task.members_named().unwrap_or_default().iter().flat_map(|member| member.tensors_named());
        for (number, argument) in task.tensors_named().iter().chain(of_members).enumerate() {
            if let Argument::Output(output) = argument {
                plan.bytes = self.plan_output(number, output, plan.bytes)?;
            }
        }
        Ok(())
    }

    /// Plans an output behind the `bytes` bytes of those before it. Returns the bytes of all of them together.
    pub(crate) fn plan_output(&mut self, argument: usize, output: &NewTensor, bytes: u64) -> Result<u64, Refusal> {
        if output.dimensions() > MAX_DIMENSIONS {
            let error = TensorError::TooManyDimensions { dimensions: output.dimensions() };
            return Err(Refusal::Tensor { argument, error });
        }
        if !self.knows(output.data_type()) {
            let (data_type, chip) = (output.data_type(), self.chip.name);
            return Err(Refusal::UnknownDataType { argument, data_type, chip });
        }
        let layout = TensorLayout::row_major(output.shape(), output.data_type())
            .map_err(|error| Refusal::Tensor { argument, error })?;
        let offset = bytes.checked_next_multiple_of(OUTPUT_ALIGNMENT_BYTES).ok_or(Refusal::OutputsTooLarge)?;
        self.scratch.planned.push(PlannedOutput { layout, offset, initial: output.initial() });
        // The sum stays far enough from the end of 64 bits to be rounded up once more.
        offset.checked_add(layout.bytes()).filter(|&end| end <= 1 << 63).ok_or(Refusal::OutputsTooLarge)
    }

    /// Makes the planned outputs tensors of task `id` in the buffer at `address`, with what they hold at first.
    pub(crate) fn make_outputs(&mut self, id: TaskId, address: u64, first_buffer: u64) {
        let scope = self.scopes.innermost().serial;
        for (number, planned) in (first_buffer..).zip(&self.scratch.planned) {
            let buffer = BufferId::runtime(number);
            let tensor = Tensor::output(address + planned.offset, buffer, planned.layout, id, scope)
                .expect("an output lies within its heap and is aligned for every element type");
            if let Some(value) = planned.initial
                && !tensor.is_empty()
            {
                let element_bytes = tensor.data_type().bytes();
                // SAFETY: the bytes have just been taken for this task, which is not published yet.
                unsafe { self.memory.fill(tensor.address(), value, element_bytes, tensor.elements()) };
            }
            self.scratch.outputs.push(tensor);
        }
    }
}
