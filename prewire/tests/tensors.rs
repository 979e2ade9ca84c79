//! Views as kernels see them, data-dependent control flow, and the same bits on every chip.

mod common;

use common::{everywhere, small};
use prewire::{Argument, Chip, DataType, Engine, Kernel, KernelError, Runtime, Task, Tensor};

/// Copies a tensor of up to five dimensions, element by element in row-major order, into one of one dimension.
fn flattens() -> Kernel {
    Kernel::vector("flattens", |kernel| {
        let from = kernel.input::<u32>(0)?;
        let mut to = kernel.output::<u32>(1)?;
        let shape: Vec<usize> = from.shape().iter().map(|&extent| extent as usize).collect();
        let mut indices = vec![0; shape.len()];
        for at in 0..shape.iter().product() {
            to.set(&[at], from.get(&indices));
            for dimension in (0..shape.len()).rev() {
                indices[dimension] += 1;
                if indices[dimension] < shape[dimension] {
                    break;
                }
                indices[dimension] = 0;
            }
        }
        Ok(())
    })
}

/// What a kernel reads of a view.
fn read(runtime: &mut Runtime, kernel: prewire::KernelId, view: &Tensor) -> Vec<u32> {
    let count: u32 = view.shape().iter().product();
    let buffer = runtime.buffer(4 * count as u64).unwrap();
    let flat = buffer.tensor(&[count], DataType::U32).unwrap();
    runtime
        .run(|run| {
            run.submit(&Task::vector(kernel).arguments(&[Argument::Input(view), Argument::OutputExisting(&flat)]))
                .map(|_| ())
        })
        .unwrap();
    runtime.read(&buffer).unwrap()
}

/// Claims CHIP-008.
#[test]
fn a_view_shares_its_parents_bytes() {
    let mut runtime = small().build().unwrap();
    let buffer = runtime.buffer(4 * 32).unwrap();
    let parent = buffer.tensor(&[4, 8], DataType::F32).unwrap();
    let view = parent.view(&[2, 3], &[1, 2]).unwrap();
    assert_eq!((view.start(), view.strides(), view.extent(), view.address()), (10, &[8, 1][..], 11, parent.address()));
    let writes = runtime
        .register(Kernel::vector("writes", |kernel| {
            kernel.output::<f32>(0)?.set(&[1, 2], 42.5);
            Ok(())
        }))
        .unwrap();
    let checks = runtime
        .register(Kernel::vector("checks", |kernel| match kernel.input::<f32>(0)?.get(&[2, 4]) {
            42.5 => Ok(()),
            other => Err(KernelError::new(1, format!("{other}"))),
        }))
        .unwrap();
    runtime
        .run(|run| {
            run.submit(&Task::vector(writes).arguments(&[Argument::InOut(&view)]))?;
            run.submit(&Task::vector(checks).arguments(&[Argument::Input(&parent)])).map(|_| ())
        })
        .unwrap();
    assert_eq!(runtime.read::<f32>(&buffer).unwrap()[2 * 8 + 4], 42.5);
}

/// Claims CHIP-009.
#[test]
fn slices_of_slices() {
    let mut runtime = small().build().unwrap();
    let kernel = runtime.register(flattens()).unwrap();
    let buffer = runtime.buffer_from(&(0..32u32).collect::<Vec<_>>()).unwrap();
    let parent = buffer.tensor(&[4, 8], DataType::U32).unwrap();
    let slice = parent.slice(1, 1, 8, 3).unwrap();
    assert_eq!((slice.shape(), slice.strides()), (&[4, 3][..], &[8, 3][..]));
    let expected: Vec<u32> = (0..4).flat_map(|row| [1, 4, 7].map(|column| 8 * row + column)).collect();
    assert_eq!(read(&mut runtime, kernel, &slice), expected);
    let again = slice.slice(1, 0, 3, 2).unwrap();
    assert_eq!(again.strides(), &[8, 6]);
    let expected: Vec<u32> = (0..4).flat_map(|row| [1, 7].map(|column| 8 * row + column)).collect();
    assert_eq!(read(&mut runtime, kernel, &again), expected);
}

fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for (at, &first) in of.iter().enumerate() {
        let rest: Vec<usize> = of.iter().enumerate().filter(|&(other, _)| other != at).map(|(_, &axis)| axis).collect();
        all.extend(permutations(&rest).into_iter().map(|mut tail| {
            tail.insert(0, first);
            tail
        }));
    }
    all
}

/// Claims CHIP-010.
#[test]
fn every_permutation_of_five_dimensions() {
    let mut runtime = small().build().unwrap();
    let kernel = runtime.register(flattens()).unwrap();
    let shape = [3u32, 4, 5, 6, 7];
    let count: u32 = shape.iter().product();
    let buffer = runtime.buffer_from(&(0..count).collect::<Vec<_>>()).unwrap();
    let tensor = buffer.tensor(&shape, DataType::U32).unwrap();
    let strides = [840u32, 210, 42, 7, 1];
    let all = permutations(&[0, 1, 2, 3, 4]);
    assert_eq!(all.len(), 120);
    for order in all {
        let permuted = tensor.permute(&order).unwrap();
        let extents: Vec<u32> = order.iter().map(|&axis| shape[axis]).collect();
        let mut expected = vec![0u32];
        for &axis in &order {
            expected =
                expected.iter().flat_map(|&base| (0..shape[axis]).map(move |at| base + at * strides[axis])).collect();
        }
        assert_eq!(permuted.shape(), extents);
        assert_eq!(read(&mut runtime, kernel, &permuted), expected, "{order:?}");
    }
    assert_eq!(tensor.transpose(1, 3).unwrap().transpose(1, 3).unwrap(), tensor);
    let flat = runtime.buffer_from(&(0..32u32).collect::<Vec<_>>()).unwrap();
    let matrix = flat.tensor(&[4, 8], DataType::U32).unwrap();
    for shape in [&[8, 4][..], &[2, 2, 8]] {
        let reshaped = matrix.reshape(shape).unwrap();
        assert_eq!((reshaped.shape(), reshaped.address()), (shape, matrix.address()));
        assert_eq!(read(&mut runtime, kernel, &reshaped), (0..32).collect::<Vec<_>>());
    }
}

/// Claims CHIP-011.
#[test]
fn descriptor_mistakes_are_errors() {
    let mut runtime = small().build().unwrap();
    let buffer = runtime.buffer(4 * 32).unwrap();
    let tensor = buffer.tensor(&[4, 8], DataType::F32).unwrap();
    let says = |result: Result<Tensor, prewire::TensorError>, words: &[&str]| {
        let text = result.unwrap_err().to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text} should contain {words:?}");
    };
    says(tensor.view(&[2, 3], &[3, 2]), &["0", "4"]);
    says(tensor.slice(1, 0, 9, 1), &["9", "8"]);
    says(tensor.slice(1, 0, 8, 0), &["0"]);
    says(tensor.permute(&[1, 1]), &["1"]);
    says(tensor.reshape(&[33]), &["33", "32"]);
    says(tensor.transpose(0, 1).unwrap().reshape(&[32]), &["contiguous"]);
    says(buffer.tensor(&[1, 1, 1, 1, 1, 1], DataType::F32), &["6", "5"]);
    let broadcast = prewire::TensorLayout::strided(&[4, 8], &[0, 1], DataType::F32).unwrap_err().to_string();
    assert!(broadcast.contains('0'), "{broadcast}");
    assert_eq!(runtime.run(|_| Ok(())).unwrap().tasks, 0);
}

/// Claims CHIP-128.
#[test]
fn data_dependent_control_flow_works() {
    for (chip, engine) in everywhere() {
        let mut runtime = small().platform(chip).clusters(4).engine(engine).ring_task_window(8).build().unwrap();
        let halves = runtime
            .register(Kernel::vector("counts down", |kernel| {
                let mut state = kernel.output::<u32>(0)?;
                let left = state.get(&[0]) - 1;
                state.set(&[0], left);
                kernel.output::<u32>(1)?.set(&[0], (left > 0) as u32);
                Ok(())
            }))
            .unwrap();
        let buffer = runtime.buffer(8).unwrap();
        let state = buffer.tensor_at(0, &[1], DataType::U32).unwrap();
        let flag = buffer.tensor_at(4, &[1], DataType::U32).unwrap();
        for _ in 0..100 {
            let mut iterations = 0;
            runtime
                .run(|run| {
                    run.set::<u32>(&state, &[0], 37)?;
                    loop {
                        run.submit(
                            &Task::vector(halves)
                                .arguments(&[Argument::InOut(&state), Argument::OutputExisting(&flag)]),
                        )?;
                        iterations += 1;
                        if run.get::<u32>(&flag, &[0])? == 0 {
                            return Ok(());
                        }
                    }
                })
                .unwrap();
            assert_eq!(iterations, 37);
        }
    }
}

/// Claims CHIP-159 (results; the words are looked for by `cargo xtask tidy`).
#[test]
fn the_same_program_gives_the_same_bits_on_every_chip() {
    let mut results = Vec::new();
    for (chip, clusters) in [(Chip::A2a3, 24), (Chip::A5, 36), (Chip::A2a3, 2)] {
        for engine in [Engine::Inline, Engine::Threads] {
            let mut runtime = Runtime::builder().platform(chip).clusters(clusters).engine(engine).build().unwrap();
            let mixes = runtime
                .register(Kernel::any("mixes", |kernel| {
                    let factor = kernel.scalar::<f32>(0)?;
                    let from = kernel.input::<f32>(0)?.as_slice().to_vec();
                    for (to, from) in kernel.output::<f32>(1)?.as_mut_slice().iter_mut().zip(from) {
                        *to = (*to + factor * from).sin();
                    }
                    Ok(())
                }))
                .unwrap();
            let values: Vec<f32> = (0..256).map(|at| at as f32 / 7.0).collect();
            let buffer = runtime.buffer_from(&values).unwrap();
            let all = buffer.tensor(&[256], DataType::F32).unwrap();
            runtime
                .run(|run| {
                    for step in 0..400u32 {
                        let tile = |at: u32| all.view(&[16], &[16 * (at % 16)]);
                        let (from, to) = (tile(step * 7 + 3)?, tile(step * 5)?);
                        if from == to {
                            continue;
                        }
                        let task = if step % 3 == 0 { Task::cube(mixes) } else { Task::vector(mixes) };
                        run.submit(
                            &task
                                .arguments(&[Argument::Input(&from), Argument::InOut(&to)])
                                .scalars(&[(0.3 + step as f32 / 100.0).into()]),
                        )?;
                    }
                    Ok(())
                })
                .unwrap();
            results.push(runtime.read::<f32>(&buffer).unwrap().iter().map(|value| value.to_bits()).collect::<Vec<_>>());
        }
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_buffer_is_read_into_memory_that_is_there() {
    let mut runtime = small().build().unwrap();
    let buffer = runtime.buffer_from(&[1u32, 2, 3]).unwrap();
    let mut values = [0u32; 3];
    runtime.read_into(&buffer, &mut values).unwrap();
    assert_eq!(values, [1, 2, 3]);
    let told = runtime.read_into(&buffer, &mut values[..2]).unwrap_err().to_string();
    assert!(told.contains("8 bytes") && told.contains("12"), "{told}");
    let other = small().build().unwrap();
    assert!(matches!(other.read_into(&buffer, &mut values), Err(prewire::BufferError::Foreign)));
}
