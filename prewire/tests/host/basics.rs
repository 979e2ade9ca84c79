//! Workers run tasks, in order where data says so, on the memory that all share.

use crate::rig::host;
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, DataType, NewTensor, Tensor};

fn scale() -> Callable {
    Callable::sub("scale", |task| {
        let factor = task.scalar::<f32>(0)?;
        task.output::<f32>(0)?.as_mut_slice().iter_mut().for_each(|value| *value *= factor);
        Ok(())
    })
}

fn add() -> Callable {
    Callable::any("add", |task| {
        let (one, other) = (task.input::<f32>(0)?, task.input::<f32>(1)?);
        let mut sum = task.output::<f32>(2)?;
        let pairs = one.as_slice().iter().zip(other.as_slice());
        for (sum, (one, other)) in sum.as_mut_slice().iter_mut().zip(pairs) {
            *sum = one + other;
        }
        Ok(())
    })
}

fn a_diamond_is_right(builder: host::HostBuilder) {
    let (mut host, ids) = host(builder, vec![scale(), add()]);
    let buffer = host.buffer_from(&[1.0f32, 2.0, 3.0, 4.0]).expect("a buffer");
    let result = host.buffer(16).expect("a buffer");
    let all = buffer.tensor(&[4], DataType::F32).expect("a tensor");
    let out = result.tensor(&[4], DataType::F32).expect("a tensor");
    for round in 0..20 {
        host.write(&buffer, &[1.0f32, 2.0, 3.0, 4.0]).expect("no run is on");
        let report = host.run(|run| {
            run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(&all)]).scalars(&[2.0f32.into()]))?;
            let left = run.submit(&host::sub(ids[1]).arguments(&[
                Argument::Input(&all),
                Argument::Input(&all),
                Argument::Output(NewTensor::new(&[4], DataType::F32)),
            ]))?;
            let left: Tensor = left.outputs[0];
            run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(&all)]).scalars(&[10.0f32.into()]))?;
            run.submit(&host::sub(ids[1]).arguments(&[
                Argument::Input(&left),
                Argument::Input(&all),
                Argument::OutputExisting(&out),
            ]))?;
            Ok(())
        });
        let report = report.unwrap_or_else(|failed| panic!("round {round}: {failed}"));
        assert_eq!(report.completed, 4);
        assert_eq!(host.read::<f32>(&result).expect("no run is on"), [24.0, 48.0, 72.0, 96.0]);
    }
    host.close().expect("an orderly end");
}

#[test]
fn a_diamond_is_right_on_threads() {
    a_diamond_is_right(HostRuntime::builder().subs(2).threads());
}

#[test]
fn a_diamond_is_right_on_processes() {
    a_diamond_is_right(HostRuntime::builder().subs(2));
}

#[test]
fn a_worker_is_a_process_of_its_own() {
    let pid = Callable::sub("pid", |task| {
        task.output::<u64>(0)?.as_mut_slice()[0] = std::process::id().into();
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(3), vec![pid]);
    let buffer = host.buffer(8).expect("a buffer");
    let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    let pids: Vec<i32> = host.workers().iter().map(|worker| worker.pid.expect("a process")).collect();
    assert!(pids.len() == 3 && pids.iter().all(|&pid| pid != std::process::id() as i32));
    host.run(|run| {
        run.submit(&host::sub(ids[0]).arguments(&[Argument::OutputExisting(&word)]))?;
        Ok(())
    })
    .expect("it runs");
    let ran_in = host.read::<u64>(&buffer).expect("no run is on")[0];
    assert!(pids.contains(&(ran_in as i32)), "{ran_in} is none of {pids:?}");
}

#[test]
fn the_program_shows_a_network_over_processes() {
    let trace = std::env::temp_dir().join(format!("prewire-workers-{}.json", std::process::id()));
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_prewire"))
        .args(["workers", "--chips", "2", "--subs", "2", "--trace"])
        .arg(&trace)
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&program.stdout);
    assert!(program.status.success() && text.contains("PASS") && text.contains("sub worker 0"), "{text}");
    let written = std::fs::read_to_string(&trace).expect("a trace");
    std::fs::remove_file(&trace).expect("it was written");
    let events: serde_json::Value = serde_json::from_str(&written).expect("JSON");
    let events = events["traceEvents"].as_array().expect("events");
    let pids: std::collections::BTreeSet<_> = events.iter().filter_map(|event| event["pid"].as_i64()).collect();
    assert_eq!(pids.len(), 3, "two chips and the worker that adds up");
    assert!(events.iter().filter(|event| event["ph"] == "X").count() >= 3 * (2 * 25 + 1));
}
