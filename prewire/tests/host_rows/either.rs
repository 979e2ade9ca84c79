//! One program on workers that are threads and on workers that are processes.

use crate::rig::host;
use crate::stage::on_both;
use prewire::host::{self, Callable, HostBuilder, HostRuntime};
use prewire::{Argument, DataType, KernelError, Member, RunError, Tensor};
use std::time::Duration;

const CELLS: u32 = 12;

fn callables() -> Vec<Callable> {
    let step = Callable::sub("step", |task| {
        let (factor, sum) = (task.scalar::<u64>(0)?, task.scalar::<u64>(1)?);
        let mut cell = task.output::<u64>(0)?;
        let value = &mut cell.as_mut_slice()[0];
        *value = *value * factor + sum;
        Ok(())
    });
    let copy = Callable::sub("copy", |task| {
        let from = task.input::<u64>(0)?.as_slice()[0];
        task.output::<u64>(1)?.as_mut_slice()[0] = from + task.scalar::<u64>(0)?;
        Ok(())
    });
    let member = Callable::sub("member", |task| {
        task.barrier()?;
        task.output::<u64>(0)?.as_mut_slice()[0] = 100 + u64::from(task.block_index());
        Ok(())
    });
    let fails = Callable::sub("fails", |_| Err(KernelError::new(42, "on purpose")));
    vec![step, copy, member, fails]
}

fn program(builder: HostBuilder) {
    let (mut host, ids) = host(builder.subs(2), callables());
    let buffer = host.buffer(u64::from(CELLS) * 8).expect("a buffer");
    let all = buffer.tensor(&[CELLS], DataType::U64).expect("a tensor");
    let cells: Vec<Tensor> = (0..CELLS).map(|at| all.slice(0, at, at + 1, 1).expect("within")).collect();
    let failed = host
        .run(|run| {
            // A chain of three: 0, 5, 15, 22.
            for (factor, sum) in [(1u64, 5u64), (3, 0), (1, 7)] {
                let own = [Argument::InOut(&cells[0])];
                run.submit(&host::sub(ids[0]).arguments(&own).scalars(&[factor.into(), sum.into()]))?;
            }
            // Four that read what it leaves.
            for at in 0..4u64 {
                let own = [Argument::Input(&cells[0]), Argument::OutputExisting(&cells[1 + at as usize])];
                run.submit(&host::sub(ids[1]).arguments(&own).scalars(&[at.into()]))?;
            }
            // Two that meet.
            let own = [5, 6].map(|at: usize| [Argument::OutputExisting(&cells[at])]);
            let members = [Member::new(&own[0]), Member::new(&own[1])];
            run.submit(&host::sub(ids[2]).group(&members))?;
            // One that fails, one that would read what it writes, and one beside them.
            run.submit(&host::sub(ids[3]).arguments(&[Argument::InOut(&cells[7])]))?;
            let behind = [Argument::Input(&cells[7]), Argument::OutputExisting(&cells[8])];
            run.submit(&host::sub(ids[1]).arguments(&behind).scalars(&[9u64.into()]))?;
            let beside = [Argument::Input(&cells[6]), Argument::OutputExisting(&cells[9])];
            run.submit(&host::sub(ids[1]).arguments(&beside).scalars(&[1u64.into()])).map(drop)
        })
        .expect_err("one fails");
    let RunError::KernelFailed { first, failed: 1, unrun: 1 } = &*failed.error else { panic!("{failed}") };
    let text = first.to_string();
    assert!(["fails", "42", "on purpose", "sub worker"].iter().all(|part| text.contains(part)), "{text}");
    assert_eq!((failed.report.tasks, failed.report.completed, failed.report.failed), (11, 11, 1));
    let expected = [22, 22, 23, 24, 25, 100, 101, 0, 0, 102, 0, 0];
    assert_eq!(host.read::<u64>(&buffer).expect("no run is on"), expected);
    host.close().expect("an orderly end");
}

/// Claims HOST-003.
#[test]
fn a_program_is_the_same_on_threads_and_on_processes() {
    on_both(program);
    let asked: [fn(HostBuilder) -> HostBuilder; 2] =
        [|builder| builder.restarts(1), |builder| builder.kill_at_close(Duration::from_secs(1))];
    for (ask, what) in asked.into_iter().zip(["replaced", "killed"]) {
        let text = ask(HostRuntime::builder().subs(2).threads()).start().expect_err("a thread cannot").to_string();
        assert!(text.contains("thread worker") && text.contains("sub worker 0") && text.contains(what), "{text}");
        ask(HostRuntime::builder().subs(2)).start().expect("a process can");
    }
}
