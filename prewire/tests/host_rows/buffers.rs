//! Buffers that come into being while workers run, and go again.

use crate::rig::host;
use crate::stage::on_both;
use prewire::host::{self, Callable, CallableId, HostBuilder, HostRuntime};
use prewire::{Argument, CoreId, CoreKind, DataType, Placement, Tensor};

const MEBIBYTE: u64 = 1 << 20;

fn cores(host: &HostRuntime) -> [CoreId; 2] {
    [0, 1].map(|id| host.worker(CoreKind::Vector, id).expect("it is there"))
}

fn doubles() -> Callable {
    Callable::sub("doubles", |task| {
        task.output::<u32>(0)?.as_mut_slice().iter_mut().for_each(|value| *value = value.wrapping_mul(2) + 1);
        Ok(())
    })
}

/// Doubles each of these tensors on a worker of its own.
fn double(host: &mut HostRuntime, id: CallableId, parts: &[Tensor; 2]) {
    let cores = cores(host);
    host.run(|run| {
        for (part, core) in parts.iter().zip(cores) {
            let own = [Argument::InOut(part)];
            run.submit(&host::sub(id).arguments(&own).placement(Placement::Core(core)))?;
        }
        Ok(())
    })
    .expect("it runs");
}

fn created_after_the_start(builder: HostBuilder) {
    let (mut host, ids) = host(builder.subs(2), vec![doubles()]);
    let values: Vec<u32> = (0..MEBIBYTE as u32 / 4).collect();
    let half = values.len() as u32 / 2;
    // From the second round on the workers have run tasks before the buffer is there.
    for _ in 0..3 {
        let buffer = host.buffer(MEBIBYTE).expect("a buffer");
        host.write(&buffer, &values).expect("no run is on");
        let all = buffer.tensor(&[2 * half], DataType::U32).expect("a tensor");
        let parts = [0, 1].map(|at| all.slice(0, at * half, (at + 1) * half, 1).expect("within"));
        double(&mut host, ids[0], &parts);
        let left = host.read::<u32>(&buffer).expect("no run is on");
        assert!(left.iter().zip(&values).all(|(left, value)| *left == 2 * value + 1));
    }
}

/// Workers that are forked, or threads, and have run before read and write a buffer that was not there when they started.
#[test]
fn a_buffer_that_is_made_while_workers_run_is_theirs_too() {
    on_both(created_after_the_start);
}

/// Descriptors and mappings of a process that have to do with shared memory.
fn held(pid: i32) -> (usize, usize) {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is there").count();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process is there");
    (descriptors, maps.lines().filter(|line| line.contains("prewire-")).count())
}

/// Claims HOST-121. A worker is told of a release and does not answer; a later command is answered behind it.
#[test]
fn ten_thousand_buffers_leave_nothing_behind() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![doubles()]);
    let pids: Vec<i32> =
        host.workers().iter().filter_map(|worker| worker.pid).chain([std::process::id() as i32]).collect();
    let settled = |host: &HostRuntime| -> Vec<(usize, usize)> {
        for id in [0, 1] {
            host.query(CoreKind::Vector, id).expect("it answers");
        }
        pids.iter().map(|&pid| held(pid)).collect()
    };
    let mut first = Vec::new();
    let mut before: Option<Tensor> = None;
    let mut met_again = 0;
    for cycle in 0..10_000 {
        let buffer = host.buffer(8).expect("a buffer");
        let parts = [0, 4].map(|at| buffer.tensor_at(at, &[1], DataType::U32).expect("a tensor"));
        double(&mut host, ids[0], &parts);
        assert_eq!(host.read::<u32>(&buffer).expect("no run is on"), [1, 1]);
        if let Some(old) = before.filter(|old| old.address() == buffer.address() && cycle % 100 == 0) {
            met_again += 1;
            assert_eq!(old.buffer_bytes(), parts[0].buffer_bytes());
            let failed = host.run(|run| run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(&old)])).map(drop));
            let text = failed.expect_err("it is another buffer's handle").to_string();
            assert!(text.contains("argument 0") && text.contains("released"), "{text}");
            assert_eq!(host.read::<u32>(&buffer).expect("no run is on"), [1, 1]);
        }
        before = Some(parts[0]);
        drop(buffer);
        if cycle == 0 {
            first = settled(&host);
        }
    }
    assert_eq!(settled(&host), first);
    assert!(met_again > 0, "no buffer came to lie where an earlier one was");
    host.close().expect("an orderly end");
}
