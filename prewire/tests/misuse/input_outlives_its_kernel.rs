//! What a kernel reads belongs to it while it runs.

use prewire::{Input, KernelContext, KernelError};

fn keep(kernel: &KernelContext<'_>) -> Result<Input<'static, f32>, KernelError> {
    kernel.input(0)
}

fn main() {
    let _ = keep;
}
