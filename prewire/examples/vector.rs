//! f = (a + b + 1)(a + b + 2) + (a + b), element by element: five tasks, and six dependencies that nobody had to name.
//!
//! `cargo run --example vector`

use prewire::{Argument, DataType, Kernel, NewTensor, Report, Runtime, Task};
use std::error::Error;

/// Elements of a, b and f.
const COUNT: u32 = 16 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let report = run(&mut Runtime::builder().record_graph(true).build()?)?;
    let edges = report.graph.map_or(0, |graph| graph.pairs().len());
    println!("{} tasks, {edges} dependencies, every element is right", report.tasks);
    Ok(())
}

/// Runs the example on a runtime, and checks every element.
pub(crate) fn run(runtime: &mut Runtime) -> Result<Report, Box<dyn Error>> {
    let add = runtime.register(Kernel::vector("add", |kernel| {
        let (left, right) = (kernel.input::<f32>(0)?, kernel.input::<f32>(1)?);
        let mut sum = kernel.output::<f32>(2)?;
        for ((sum, left), right) in sum.as_mut_slice().iter_mut().zip(left.as_slice()).zip(right.as_slice()) {
            *sum = left + right;
        }
        Ok(())
    }))?;
    let add_scalar = runtime.register(Kernel::vector("add scalar", |kernel| {
        let (from, scalar) = (kernel.input::<f32>(0)?, kernel.scalar::<f32>(0)?);
        for (to, from) in kernel.output::<f32>(1)?.as_mut_slice().iter_mut().zip(from.as_slice()) {
            *to = from + scalar;
        }
        Ok(())
    }))?;
    let multiply = runtime.register(Kernel::vector("multiply", |kernel| {
        let (left, right) = (kernel.input::<f32>(0)?, kernel.input::<f32>(1)?);
        let mut product = kernel.output::<f32>(2)?;
        for ((product, left), right) in product.as_mut_slice().iter_mut().zip(left.as_slice()).zip(right.as_slice()) {
            *product = left * right;
        }
        Ok(())
    }))?;

    // Small whole numbers, so that every result is exact.
    let a: Vec<f32> = (0..COUNT).map(|index| (index % 17) as f32).collect();
    let b: Vec<f32> = (0..COUNT).map(|index| (index % 5) as f32 - 2.0).collect();
    let (a_buffer, b_buffer) = (runtime.buffer_from(&a)?, runtime.buffer_from(&b)?);
    let f_buffer = runtime.buffer(u64::from(COUNT) * 4)?;
    let shape = [COUNT];
    let (a_tensor, b_tensor) = (a_buffer.tensor(&shape, DataType::F32)?, b_buffer.tensor(&shape, DataType::F32)?);
    let f_tensor = f_buffer.tensor(&shape, DataType::F32)?;

    let report = runtime.run(|run| {
        let new = || Argument::Output(NewTensor::new(&shape, DataType::F32));
        let sum = [Argument::Input(&a_tensor), Argument::Input(&b_tensor), new()];
        let sum = run.submit(&Task::vector(add).arguments(&sum))?.outputs[0];
        // What the scope's tasks allocate is given back at its end.
        run.scope(|run| {
            let plus = [Argument::Input(&sum), new()];
            let one = run.submit(&Task::vector(add_scalar).arguments(&plus).scalars(&[1.0f32.into()]))?.outputs[0];
            let two = run.submit(&Task::vector(add_scalar).arguments(&plus).scalars(&[2.0f32.into()]))?.outputs[0];
            let product = [Argument::Input(&one), Argument::Input(&two), new()];
            let product = run.submit(&Task::vector(multiply).arguments(&product))?.outputs[0];
            let last = [Argument::Input(&product), Argument::Input(&sum), Argument::OutputExisting(&f_tensor)];
            run.submit(&Task::vector(add).arguments(&last))?;
            Ok(())
        })
    })?;

    for (index, f) in runtime.read::<f32>(&f_buffer)?.into_iter().enumerate() {
        let sum = a[index] + b[index];
        let expected = (sum + 1.0) * (sum + 2.0) + sum;
        if f != expected {
            return Err(format!("element {index} is {f} and not {expected}").into());
        }
    }
    Ok(report)
}
