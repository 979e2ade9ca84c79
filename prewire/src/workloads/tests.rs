//! Goal: each workload is right on every chip and engine, also with the smallest rings and with sizes that no tile divides; bad input is named;
//! what it records replays with the same edges.

use super::*;
use prewire::record::Recorder;
use prewire::{Chip, Engine, RunError};

/// Small sizes: some that the tile divides, some that it does not, and a single tile.
fn cases() -> Vec<(&'static Kind, Vec<(String, u64)>)> {
    let sizes = |list: &[(&str, u64)]| list.iter().map(|&(name, value)| (name.to_owned(), value)).collect::<Vec<_>>();
    let (attention, cholesky, gemm) = (Kind::named("attention"), Kind::named("cholesky"), Kind::named("gemm"));
    let (attention, cholesky, gemm) = (attention.expect("listed"), cholesky.expect("listed"), gemm.expect("listed"));
    vec![
        (attention, sizes(&[("heads", 2), ("queries", 32), ("keys", 48), ("head-size", 16), ("tile", 16)])),
        (attention, sizes(&[("heads", 3), ("queries", 17), ("keys", 21), ("head-size", 5), ("tile", 8)])),
        (attention, sizes(&[("heads", 1), ("queries", 1), ("keys", 1), ("head-size", 1), ("tile", 64)])),
        (cholesky, sizes(&[("size", 64), ("tile", 16)])),
        (cholesky, sizes(&[("size", 45), ("tile", 8)])),
        (cholesky, sizes(&[("size", 1), ("tile", 8)])),
        (gemm, sizes(&[("rows", 32), ("columns", 32), ("inner", 64), ("tile", 16), ("panel", 32)])),
        (gemm, sizes(&[("rows", 19), ("columns", 23), ("inner", 29), ("tile", 8), ("panel", 9)])),
        (gemm, sizes(&[("rows", 1), ("columns", 1), ("inner", 1), ("tile", 1), ("panel", 1)])),
    ]
}

fn run(workload: &mut dyn Workload, runtime: &mut Runtime) -> Check {
    workload.set_up(runtime).expect("there is memory");
    let mut last = 0;
    let report =
        runtime.run(|run| workload.orchestrate(run, &mut |submitted| last = submitted)).expect("nothing fails");
    assert_eq!((report.tasks, last), (workload.tasks(), workload.tasks()), "{}", workload.description());
    let result = workload.result(runtime).expect("the run is over");
    workload.check(&result)
}

#[test]
fn every_workload_is_right_on_every_chip_and_engine_with_large_and_small_rings() {
    for (kind, sizes) in cases() {
        for chip in Chip::ALL {
            for engine in [Engine::Inline, Engine::InlineOnly, Engine::Threads] {
                for window in [16, 1024] {
                    let mut workload = kind.create(&sizes, 7, None).expect("the sizes are valid");
                    let builder = Runtime::builder().platform(chip).engine(engine).clusters(3);
                    let mut runtime = builder.ring_task_window(window).build().expect("the settings are valid");
                    let check = run(&mut *workload, &mut runtime);
                    assert!(check.passes(), "{}, {chip}, {engine:?}, {window}: {check:?}", workload.description());
                }
            }
        }
    }
}

#[test]
fn a_wrong_result_does_not_pass() {
    for (kind, sizes) in cases() {
        let mut workload = kind.create(&sizes, 3, None).expect("the sizes are valid");
        let mut runtime = Runtime::builder().clusters(2).build().expect("the settings are valid");
        assert!(run(&mut *workload, &mut runtime).passes());
        let right = workload.result(&runtime).expect("the run is over");
        let last = right.values.len() - 1;
        for wrong in [f32::NAN, f32::INFINITY, right.values[last] + 0.01, right.values[last] * 1.01 + 1e-3] {
            let mut result = right.clone();
            result.values[last] = wrong;
            assert!(!workload.check(&result).passes(), "{}: {wrong}", workload.description());
        }
    }
}

#[test]
fn the_seed_makes_the_data() {
    let kind = Kind::named("gemm").expect("listed");
    let result = |seed| {
        let mut workload = kind.create(&[("rows".into(), 8), ("columns".into(), 8)], seed, None).expect("valid");
        let mut runtime = Runtime::builder().clusters(2).build().expect("the settings are valid");
        run(&mut *workload, &mut runtime);
        workload.result(&runtime).expect("the run is over")
    };
    assert_eq!(result(1), result(1));
    assert_ne!(result(1), result(2));
}

#[test]
fn a_recording_replays_with_exactly_its_edges() {
    for (kind, sizes) in cases() {
        let mut workload = kind.create(&sizes, 1, None).expect("the sizes are valid");
        let mut runtime = Runtime::builder().clusters(2).build().expect("the settings are valid");
        workload.set_up(&mut runtime).expect("there is memory");
        let chip = runtime.chip().clone();
        let mut recorder = Recorder::new(&chip, runtime.kernels(), workload.tasks()).expect("there is memory");
        for (name, tensor) in workload.external() {
            recorder.name(&tensor, name).expect("they are apart");
        }
        workload.orchestrate(&mut recorder, &mut |_| {}).expect("nothing is refused");
        let graph = recorder.finish();
        let counts = graph.statistics();
        assert_eq!(counts.tasks, workload.tasks());
        let mut text = Vec::new();
        graph.write(&mut text).expect("memory takes everything");
        let read = prewire::graph_format::RecordedGraph::read(&text[..]).expect("it was written well");
        assert_eq!(read, graph);
        let edges = prewire::replay::compare_edges(&read, &chip).expect("it replays");
        assert!(edges.is_exact() && edges.other_source.is_empty(), "{}: {edges:?}", workload.description());
        assert_eq!(edges.found as u64, counts.pairs);
    }
}

/// A matrix that is not positive definite is an error that names the pivot, whichever tile it is in; the runtime is usable afterwards.
#[test]
fn the_pivot_that_fails_is_named() {
    let kind = Kind::named("cholesky").expect("listed");
    for bad in [0usize, 5, 8, 29] {
        let mut matrix = Matrix::from_fn(30, 30, |row, column| if row == column { 2.0 } else { 0.0 });
        matrix.values[bad * 30 + bad] = -3.0;
        let path = std::env::temp_dir().join(format!("prewire-pivot-{}-{bad}.npy", std::process::id()));
        write_npy(&path, &matrix).expect("the folder can be written");
        let mut workload = kind.create(&[("tile".into(), 8)], 0, Some(&path)).expect("it is symmetric");
        std::fs::remove_file(&path).expect("it was written");
        let mut runtime = Runtime::builder().clusters(2).build().expect("the settings are valid");
        workload.set_up(&mut runtime).expect("there is memory");
        let failed = runtime.run(|run| workload.orchestrate(run, &mut |_| {})).expect_err("there is no factor");
        let RunError::KernelFailed { first, .. } = &*failed.error else { panic!("{failed}") };
        let text = workload.explain(first).expect("the failure is the input's");
        assert!(text.contains(&format!("pivot {bad} (counted from 0) is -3")), "{text}");
        let mut right = kind.create(&[("size".into(), 20), ("tile".into(), 8)], 0, None).expect("valid");
        assert!(run(&mut *right, &mut runtime).passes());
    }
}

#[test]
fn inputs_and_sizes_that_do_not_fit_are_named() {
    let kind = Kind::named("cholesky").expect("listed");
    let error = |kind: &Kind, options: &[(String, u64)], matrix: Option<Matrix>| {
        let path = std::env::temp_dir().join(format!("prewire-input-{}.npy", std::process::id()));
        if let Some(matrix) = &matrix {
            write_npy(&path, matrix).expect("the folder can be written");
        }
        let result = kind.create(options, 0, matrix.is_some().then_some(&path));
        result.err().expect("it does not fit").to_string()
    };
    let text = error(kind, &[], Some(Matrix::from_fn(2, 3, |_, _| 1.0)));
    assert!(text.contains("2 x 3 is not square"), "{text}");
    let text = error(kind, &[], Some(Matrix::from_fn(3, 3, |row, column| (row * 3 + column) as f32)));
    assert!(text.contains("not symmetric: [1, 0] is 3 and [0, 1] is 1"), "{text}");
    let text = error(kind, &[("size".into(), 4)], Some(Matrix::from_fn(3, 3, |_, _| 1.0)));
    assert!(text.contains("--size 4 and --input disagree: the file says 3"), "{text}");
    let text = error(kind, &[("tile".into(), 0)], None);
    assert_eq!(text, "--tile 0: it must be from 1 to 4096");
    let text = error(kind, &[("heads".into(), 1)], None);
    assert_eq!(text, "--heads is no option of cholesky; its options are --size, --tile");
    let attention = Kind::named("attention").expect("listed");
    let text = error(attention, &[], Some(Matrix::from_fn(1, 1, |_, _| 1.0)));
    assert!(text.contains("attention makes its data from --seed"), "{text}");
}
