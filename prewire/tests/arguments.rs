//! What a kernel sees of the arguments that its task was given.

mod common;

use prewire::{Argument, ArgumentLimits, ChipSpec, DataType, Kernel, KernelError, NewTensor, Task};

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

/// The engine's part of HOST-020: where the platform says so a task has 256 tensors and 128 scalars, every one of which arrives; one more of either is
/// refused with the number and the limit, and takes nothing.
#[test]
fn a_platform_says_how_many_arguments_a_task_has() {
    for (chip, engine) in common::everywhere() {
        let spec = ChipSpec { arguments: ArgumentLimits::HOST, ..chip.spec() };
        let mut runtime = common::small().chip(spec).clusters(2).engine(engine).build().unwrap();
        let kernel = runtime
            .register(Kernel::vector("looks", |kernel| {
                let check = |right: bool, what: &str| if right { Ok(()) } else { Err(KernelError::new(1, what)) };
                check(kernel.tensors().len() == 256 && kernel.scalar_count() == 128, "256 tensors and 128 scalars")?;
                for at in 0..255 {
                    check(kernel.input::<u32>(at)?.get(&[0]) == 1000 + at as u32, "tensors in order")?;
                }
                let _reading = (kernel.input::<u32>(100)?, kernel.input::<u32>(100)?);
                let (mut last, same) = (kernel.output::<u32>(255)?, kernel.input::<u32>(255));
                check(same.is_err_and(|error| error.text.contains("tensor 255")), "255 is open for writing")?;
                last.set(&[0], (0..128).map(|at| kernel.scalar::<u32>(at).unwrap()).sum());
                Ok(())
            }))
            .unwrap();
        let values: Vec<u32> = (1000..1256).collect();
        let buffer = runtime.buffer_from(&values).unwrap();
        let tensors: Vec<_> = (0..256).map(|at| buffer.tensor_at(4 * at, &[1], DataType::U32).unwrap()).collect();
        let scalars: Vec<_> = (0..129u32).map(prewire::Scalar::from).collect();
        let mut arguments: Vec<_> = tensors[..255].iter().map(Argument::Input).collect();
        arguments.extend([Argument::OutputExisting(&tensors[255]), Argument::Input(&tensors[0])]);
        let failed = runtime
            .run(|run| {
                let task = Task::vector(kernel);
                for (arguments, scalars, words) in [
                    (&arguments[..], &scalars[..128], "257 tensor arguments, a task may have 256"),
                    (&arguments[..256], &scalars[..], "129 scalar arguments, a task may have 128"),
                ] {
                    let refused = run.submit(&task.arguments(arguments).scalars(scalars)).unwrap_err().to_string();
                    assert!(refused.contains(words), "{refused}");
                }
                run.submit(&task.arguments(&arguments[..256]).scalars(&scalars[..128])).map(|_| ())
            })
            .unwrap_err();
        assert!(failed.error.to_string().contains("257"), "{failed}");
        assert_eq!((failed.report.tasks, failed.report.completed, failed.report.failed), (1, 1, 0));
        assert_eq!(runtime.read::<u32>(&buffer).unwrap()[255], (0..128).sum::<u32>());
    }
}

/// A reader of the last of 256 outputs is no concern of their creator's failure once that output has been overwritten whole; a reader of its neighbour is.
#[test]
fn each_of_256_outputs_may_be_overwritten_by_itself() {
    let spec = ChipSpec { arguments: ArgumentLimits::HOST, ..prewire::Chip::A5.spec() };
    let mut runtime = common::small().chip(spec).clusters(1).ring_task_window(1024).build().unwrap();
    let fails = runtime.register(Kernel::vector("fails", |_| Err(KernelError::new(7, "on purpose")))).unwrap();
    let idle = runtime.register(Kernel::vector("idle", |_| Ok(()))).unwrap();
    for (overwritten, unrun) in [(255, 255), (64, 255), (63, 255), (0, 255)] {
        let failed = runtime
            .run(|run| {
                let outputs = [Argument::Output(NewTensor::new(&[1], DataType::U32)); 256];
                let created = run.submit(&Task::vector(fails).arguments(&outputs))?.outputs.to_vec();
                let over = [Argument::OutputExisting(&created[overwritten])];
                run.submit(&Task::vector(idle).arguments(&over))?;
                for tensor in &created {
                    run.submit(&Task::vector(idle).arguments(&[Argument::Input(tensor)]))?;
                }
                Ok(())
            })
            .unwrap_err();
        assert_eq!((failed.report.failed, failed.report.unrun), (1, unrun), "output {overwritten}: {failed}");
    }
}
