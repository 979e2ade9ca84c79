//! Levels: chips and hosts inside next-level workers.

use crate::rig::host;
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, DataType, Kernel, KernelError, KernelId, Placement, RunError, Runtime, Task};

/// A chip of one cluster with a kernel that adds a scalar, and fails for 13.
fn chip(_: u32) -> prewire::Builder {
    Runtime::builder().clusters(1).ring_task_window(256)
}

fn make(runtime: &mut Runtime) -> Result<KernelId, String> {
    let add = Kernel::vector("add", |kernel| {
        let value = kernel.scalar::<u64>(0)?;
        if value == 13 {
            return Err(KernelError::new(13, "boom"));
        }
        kernel.output::<u64>(0)?.as_mut_slice().iter_mut().for_each(|each| *each += value);
        Ok(())
    });
    runtime.register(add).map_err(|error| error.to_string())
}

/// Runs `scalar 0` tasks on the chip over a copy of the tensor, each adding `scalar 1`.
fn on_chip() -> Callable {
    Callable::level("on chip", |level, task| {
        let (runtime, &mut kernel) = level.chip::<KernelId>()?;
        let mut words = task.output::<u64>(0)?;
        let (tasks, value) = (task.scalar::<u64>(0)?, task.scalar::<u64>(1)?);
        let fault = |error: prewire::BufferError| KernelError::new(5, error.to_string());
        let buffer = runtime.buffer_from(words.as_mut_slice()).map_err(fault)?;
        let count = words.as_mut_slice().len() as u32;
        let tensor = buffer.tensor(&[count], DataType::U64).map_err(|error| KernelError::new(6, error.to_string()))?;
        runtime.run(|run| {
            for _ in 0..tasks {
                run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&tensor)]).scalars(&[value.into()]))?;
            }
            Ok(())
        })?;
        words.as_mut_slice().copy_from_slice(&runtime.read::<u64>(&buffer).map_err(fault)?);
        Ok(())
    })
}

/// Claims HOST-004.
#[test]
fn chips_in_two_processes_share_nothing() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(2).chips(chip, make), vec![on_chip()]);
    let buffer = host.buffer(2 * 4 * 8).expect("a buffer");
    let all = buffer.tensor(&[2, 4], DataType::U64).expect("a tensor");
    let cores: Vec<_> = (0..2).map(|id| host.worker(prewire::CoreKind::Cube, id).expect("a worker")).collect();
    for round in 0..100u64 {
        host.write(&buffer, &[round, 1, 2, 3, 1000 + round, 5, 6, 7]).expect("no run is on");
        host.run(|run| {
            for (at, &core) in cores.iter().enumerate() {
                let row = all.slice(0, at as u32, at as u32 + 1, 1)?.reshape(&[4])?;
                let scalars = [1000u64.into(), (at as u64 + 1).into()];
                let task = host::next_level(ids[0]).placement(Placement::Core(core));
                run.submit(&task.arguments(&[Argument::InOut(&row)]).scalars(&scalars))?;
            }
            Ok(())
        })
        .expect("it runs");
        let expected = [round + 1000, 1001, 1002, 1003, 3000 + round, 2005, 2006, 2007];
        assert_eq!(host.read::<u64>(&buffer).expect("no run is on"), expected);
    }
    host.close().expect("an orderly end");
}

/// A host of two sub workers, each a process, that adds one to a word per task.
fn lower(_: u32) -> (host::HostBuilder, host::CallableId) {
    let mut builder = HostRuntime::builder().subs(2);
    let add = builder.register(Callable::sub("add one", |task| {
        let value = task.scalar::<u64>(0)?;
        if value == 13 {
            return Err(KernelError::new(13, "boom"));
        }
        task.output::<u64>(0)?.as_mut_slice()[0] += value;
        Ok(())
    }));
    (builder, add.expect("a place"))
}

/// Four tasks of the level below, on words of its own, and their results back.
fn orchestrate() -> Callable {
    Callable::level("orchestrate", |level, task| {
        let (lower, &mut add) = level.host::<host::CallableId>()?;
        let value = task.scalar::<u64>(0)?;
        let mut words = task.output::<u64>(0)?;
        let fault = |error: prewire::BufferError| KernelError::new(5, error.to_string());
        let buffer = lower.buffer_from(words.as_mut_slice()).map_err(fault)?;
        let all = buffer.tensor(&[4], DataType::U64).map_err(|error| KernelError::new(6, error.to_string()))?;
        lower.run(|run| {
            for at in 0..4 {
                let word = all.slice(0, at, at + 1, 1)?;
                let scalar = if at == 0 { value } else { 1 };
                run.submit(&host::sub(add).arguments(&[Argument::InOut(&word)]).scalars(&[scalar.into()]))?;
            }
            Ok(())
        })?;
        words.as_mut_slice().copy_from_slice(&lower.read::<u64>(&buffer).map_err(fault)?);
        Ok(())
    })
}

/// Claims HOST-114 and HOST-115.
#[test]
fn hosts_of_hosts_run_and_an_error_comes_up_with_its_path() {
    let builder = HostRuntime::builder().level(4).next_level(2).hosts(lower);
    let (mut top, ids) = host(builder, vec![orchestrate()]);
    let pids: Vec<_> = top.workers().iter().map(|worker| worker.pid).collect();
    let buffer = top.buffer(2 * 4 * 8).expect("a buffer");
    let all = buffer.tensor(&[2, 4], DataType::U64).expect("a tensor");
    let cores: Vec<_> = (0..2).map(|id| top.worker(prewire::CoreKind::Cube, id).expect("a worker")).collect();
    let round = |top: &mut HostRuntime, values: [u64; 2]| {
        top.run(|run| {
            for (at, &core) in cores.iter().enumerate() {
                let row = all.slice(0, at as u32, at as u32 + 1, 1)?.reshape(&[4])?;
                let task = host::next_level(ids[0]).placement(Placement::Core(core));
                run.submit(&task.arguments(&[Argument::InOut(&row)]).scalars(&[values[at].into()]))?;
            }
            Ok(())
        })
    };
    for expected in 1..=3u64 {
        round(&mut top, [1, 1]).expect("it runs");
        assert_eq!(top.read::<u64>(&buffer).expect("no run is on"), [expected; 8]);
    }
    let error = round(&mut top, [1, 13]).expect_err("a task at the bottom fails");
    let RunError::KernelFailed { first, failed: 1, .. } = &*error.error else { panic!("{error}") };
    let text = first.to_string();
    let order = ["orchestrate", "next-level worker 1", "add one", "sub worker", "boom"].map(|part| text.find(part));
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{text}");
    assert_eq!(top.read::<u64>(&buffer).expect("no run is on")[..4], [4; 4], "the other child's tasks completed");
    round(&mut top, [1, 1]).expect("both children run the next run");
    assert_eq!(top.read::<u64>(&buffer).expect("no run is on")[..4], [5; 4]);
    assert_eq!(top.workers().iter().map(|worker| worker.pid).collect::<Vec<_>>(), pids);
    top.close().expect("an orderly end");
}
