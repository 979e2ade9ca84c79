//! What a kernel sees of the arguments that its task was given.

mod common;

use prewire::{Argument, DataType, Kernel, KernelError, NewTensor, Task};

/// Claims CHIP-001 and CHIP-003 (what a kernel sees of its arguments; refusals are asserted with the orchestrator).
#[test]
fn a_kernel_sees_all_its_arguments_in_order() {
    for (chip, engine) in common::everywhere() {
        let mut runtime = common::small().platform(chip).clusters(4).engine(engine).build().unwrap();
        let kernel = runtime
            .register(Kernel::vector("looks", |kernel| {
                let check = |right: bool, what: &str| if right { Ok(()) } else { Err(KernelError::new(1, what)) };
                check(kernel.tensors().len() == 32 && kernel.scalar_count() == 16, "32 tensors and 16 scalars")?;
                for at in 0..31 {
                    check(kernel.input::<u32>(at)?.get(&[0]) == 100 + at as u32, "tensors in order")?;
                }
                check(kernel.output::<u32>(31)?.get(&[0]) == 7, "an initial value")?;
                check(kernel.scalar_bits(0)? == 0x3FC0_0000, "f32")?;
                check(kernel.scalar_bits(1)? == 0xFFFF_FFFF, "i32")?;
                check(kernel.scalar_bits(2)? == u64::MAX, "i64")?;
                check(kernel.scalar_bits(3)? == 1 << 63, "f64")?;
                check([4, 5, 6].map(|at| kernel.scalar::<i32>(at).unwrap()) == [-1, 2, -3], "three i32")?;
                check([4, 6].map(|at| kernel.scalar_bits(at).unwrap() >> 32) == [0, 0], "zero-extended")?;
                for at in 7..16 {
                    check(kernel.scalar::<u64>(at)? == at as u64, "scalars in order")?;
                }
                Ok(())
            }))
            .unwrap();
        let values: Vec<u32> = (100..131).collect();
        let buffer = runtime.buffer_from(&values).unwrap();
        let tensors: Vec<_> = (0..31).map(|at| buffer.tensor_at(4 * at, &[1], DataType::U32).unwrap()).collect();
        runtime
            .run(|run| {
                let mut arguments: Vec<_> = tensors.iter().map(Argument::Input).collect();
                arguments.push(Argument::Output(NewTensor::new(&[1], DataType::U32).filled(7u32)));
                let mut scalars = vec![1.5f32.into(), (-1i32).into(), (-1i64).into(), (-0.0f64).into()];
                scalars.extend([-1i32, 2, -3].map(prewire::Scalar::from));
                scalars.extend((7u64..16).map(prewire::Scalar::from));
                run.submit(&Task::vector(kernel).arguments(&arguments).scalars(&scalars)).map(|_| ())
            })
            .unwrap();
    }
}
