//! Settings: the builder's word, else the environment's, else the default; a wrong one is an error that names it.

mod common;

use common::small;
use prewire::{Argument, Chip, DataType, ErrorCode, Kernel, Runtime, Task};

fn environment(set: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    move |name| set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
}

/// Window, heap bytes and edges of each ring, as a run's report shows them.
fn sizes(runtime: &mut Runtime) -> [(u64, u64, u64); 4] {
    let report = runtime.run(|_| Ok(())).unwrap();
    report.rings.map(|ring| (ring.window.1, ring.heap_bytes.1, ring.edges.1))
}

/// Claims CHIP-036.
#[test]
fn ring_sizes_come_from_the_builder_else_the_environment_else_the_defaults() {
    let mut runtime = Runtime::builder().build_in(&environment(&[])).unwrap();
    assert_eq!(sizes(&mut runtime), [(16_384, 256 << 20, 16_384); 4]);

    const ONE: &[(&str, &str)] =
        &[("PREWIRE_RING_TASK_WINDOW", "64"), ("PREWIRE_RING_HEAP", "65536"), ("PREWIRE_RING_DEP_POOL", "100")];
    let mut runtime = Runtime::builder().build_in(&environment(ONE)).unwrap();
    assert_eq!(sizes(&mut runtime), [(64, 65_536, 100); 4]);

    const FOUR: &[(&str, &str)] = &[("PREWIRE_RING_TASK_WINDOW", "64,128,256,512")];
    let mut runtime = Runtime::builder().ring_heap(1 << 20).build_in(&environment(FOUR)).unwrap();
    assert_eq!(sizes(&mut runtime).map(|(window, _, _)| window), [64, 128, 256, 512]);

    let mut runtime = Runtime::builder()
        .ring_task_window([4, 8, 16, 32])
        .ring_heap(4096)
        .ring_dep_pool(7)
        .build_in(&environment(ONE))
        .unwrap();
    assert_eq!(
        sizes(&mut runtime),
        [4, 8, 16, 32].map(|window| (window, 4096, 7)),
        "the builder beats the environment"
    );

    let wrong: [(&str, &str); 6] = [
        ("PREWIRE_RING_TASK_WINDOW", "100"),
        ("PREWIRE_RING_TASK_WINDOW", "2"),
        ("PREWIRE_RING_TASK_WINDOW", "64,64,64"),
        ("PREWIRE_RING_DEP_POOL", "abc"),
        ("PREWIRE_RING_HEAP", "512"),
        ("PREWIRE_RING_HEAP", "9223372036854775808,9223372036854775808,1024,1024"),
    ];
    for (name, value) in wrong {
        let lookup = move |asked: &str| (asked == name).then(|| value.to_owned());
        let error = Runtime::builder().build_in(&lookup).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(value), "{error}");
    }
    let error = Runtime::builder().ring_task_window(100).build_in(&environment(&[])).unwrap_err().to_string();
    assert!(error.contains("ring_task_window") && error.contains("100"), "{error}");
}

/// Claims CHIP-157.
#[test]
fn the_element_types_differ_by_chip() {
    let common = [
        (DataType::F32, 4),
        (DataType::F16, 2),
        (DataType::BF16, 2),
        (DataType::I8, 1),
        (DataType::I16, 2),
        (DataType::I32, 4),
        (DataType::I64, 8),
        (DataType::U8, 1),
        (DataType::U16, 2),
        (DataType::U32, 4),
        (DataType::U64, 8),
        (DataType::Bool, 1),
    ];
    let small_floats = [DataType::Fp8E4M3Fn, DataType::Fp8E8M0, DataType::Fp4E2M1];
    for (chip, name) in [(Chip::A2a3, "a2a3"), (Chip::A5, "a5")] {
        let mut runtime = small().platform(chip).clusters(4).build().unwrap();
        let kernel = runtime.register(Kernel::vector("nothing", |_| Ok(()))).unwrap();
        let buffer = runtime.buffer(64).unwrap();
        for (data_type, bytes) in common {
            assert_eq!(data_type.bytes(), bytes);
            let tensor = buffer.tensor(&[8], data_type).unwrap();
            runtime
                .run(|run| run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&tensor)])).map(|_| ()))
                .unwrap();
        }
        for data_type in small_floats {
            assert_eq!(data_type.bytes(), 1);
            let tensor = buffer.tensor(&[8], data_type).unwrap();
            let result =
                runtime.run(|run| run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&tensor)])).map(|_| ()));
            match chip {
                Chip::A5 => assert_eq!(result.unwrap().tasks, 1),
                Chip::A2a3 => {
                    let failed = result.unwrap_err();
                    assert_eq!(failed.error.code(), Some(ErrorCode::InvalidArguments));
                    let text = failed.to_string();
                    assert!(text.contains(name) && text.contains(&format!("{data_type:?}")), "{text}");
                }
            }
        }
    }
}
