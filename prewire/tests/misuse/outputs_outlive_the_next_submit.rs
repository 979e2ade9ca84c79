//! The handles that a submit lends are copied before the next one, or not used behind it.

use prewire::{Argument, DataType, KernelId, NewTensor, Run, SubmitError, Task};

fn build(run: &mut Run<'_>, kernel: KernelId) -> Result<(), SubmitError> {
    let output = [Argument::Output(NewTensor::new(&[4], DataType::F32))];
    let first = run.submit(&Task::vector(kernel).arguments(&output))?;
    run.submit(&Task::vector(kernel))?;
    run.submit(&Task::vector(kernel).arguments(&[Argument::Input(&first.outputs[0])]))?;
    Ok(())
}

fn main() {}
