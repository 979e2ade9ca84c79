//! Scalars of every kind reach the kernel, and the orchestration itself reads and writes elements: what it submits next depends on what a task found.
//!
//! `cargo run --example scalar_data`

use prewire::{Argument, DataType, Kernel, Report, Runtime, Task};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let report = run(&mut Runtime::builder().build()?)?;
    println!("{} tasks, and the orchestration read what it needed", report.tasks);
    Ok(())
}

/// Runs the example on a runtime, and checks what comes of it.
pub(crate) fn run(runtime: &mut Runtime) -> Result<Report, Box<dyn Error>> {
    let scalars = runtime.register(Kernel::vector("scalars", |kernel| {
        let mut values = kernel.output::<f32>(0)?;
        values.set(&[0], kernel.scalar::<f32>(0)?);
        values.set(&[1], kernel.scalar::<i32>(1)? as f32);
        values.set(&[2], kernel.scalar::<i64>(2)? as f32);
        values.set(&[3], f32::from(kernel.scalar::<u8>(3)?));
        Ok(())
    }))?;
    let halve = runtime.register(Kernel::vector("halve", |kernel| {
        let mut value = kernel.output::<i64>(0)?;
        let half = value.get(&[0]) / 2;
        value.set(&[0], half);
        let mut steps = kernel.output::<i32>(1)?;
        let count = steps.get(&[0]) + 1;
        steps.set(&[0], count);
        Ok(())
    }))?;
    let values_buffer = runtime.buffer(16)?;
    let (value_buffer, steps_buffer) = (runtime.buffer_from(&[0i64])?, runtime.buffer_from(&[0i32])?);
    let values = values_buffer.tensor(&[4], DataType::F32)?;
    let (value, steps) = (value_buffer.tensor(&[1], DataType::I64)?, steps_buffer.tensor(&[1], DataType::I32)?);

    let mut first = 0.0;
    let report = runtime.run(|run| {
        let cells = [1.5f32.into(), (-7i32).into(), (1i64 << 40).into(), 255u8.into()];
        run.submit(&Task::vector(scalars).arguments(&[Argument::OutputExisting(&values)]).scalars(&cells))?;
        // Waits for the task above and for nothing else.
        first = run.get::<f32>(&values, &[0])?;
        run.set::<i64>(&value, &[0], 1000)?;
        while run.get::<i64>(&value, &[0])? > 0 {
            run.submit(&Task::vector(halve).arguments(&[Argument::InOut(&value), Argument::InOut(&steps)]))?;
        }
        Ok(())
    })?;

    let found = (first, runtime.read::<f32>(&values_buffer)?, runtime.read::<i32>(&steps_buffer)?);
    let expected = (1.5, vec![1.5, -7.0, (1u64 << 40) as f32, 255.0], vec![10]);
    if found != expected || report.tasks != 11 {
        return Err(format!("{found:?} in {} tasks, and not {expected:?} in 11", report.tasks).into());
    }
    Ok(report)
}
