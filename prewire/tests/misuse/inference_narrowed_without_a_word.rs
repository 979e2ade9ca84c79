//! Who orders tasks by hand says so: kernels race if they are wrong.

use prewire::{Hazards, Run, Runtime, SubmitError};

fn build(run: &mut Run<'_>) -> Result<(), SubmitError> {
    run.manual_scope(|_| Ok(()))
}

fn main() {
    let _ = Runtime::builder().hazards(Hazards::ReadAfterWrite);
    let _ = build;
}
