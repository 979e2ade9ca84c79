//! Tasks that fail, panic, or take their worker with them.

use crate::rig::{host, wait_until};
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, DataType, KernelError, RunError};

#[test]
fn a_killed_worker_fails_its_task_by_name() {
    let die = Callable::sub("die", |_| {
        // SAFETY: it ends this process, and nothing else.
        unsafe { libc::raise(libc::SIGKILL) };
        Ok(())
    });
    let fine = Callable::sub("fine", |task| {
        task.output::<u64>(0)?.as_mut_slice()[0] += 1;
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(2).restarts(1), vec![die, fine]);
    let pids: Vec<_> = host.workers().iter().map(|worker| worker.pid).collect();
    let error = host
        .run(|run| {
            run.submit(&host::sub(ids[0]))?;
            Ok(())
        })
        .expect_err("the worker died");
    let RunError::KernelFailed { first, failed: 1, .. } = &*error.error else { panic!("{error}") };
    assert_eq!(first.code, KernelError::LOST);
    let text = error.to_string();
    assert!(text.contains("signal 9") && text.contains("sub worker") && text.contains("die"), "{text}");

    let buffer = host.buffer(8).expect("a buffer");
    let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    for _ in 0..50 {
        host.run(|run| {
            run.submit(&host::sub(ids[1]).arguments(&[Argument::InOut(&word)]))?;
            Ok(())
        })
        .expect("the others go on");
    }
    assert_eq!(host.read::<u64>(&buffer).expect("no run is on"), [50]);
    wait_until("a replacement", || {
        let workers = host.workers();
        let replaced = workers.iter().zip(&pids).filter(|(worker, before)| worker.pid != **before).count();
        replaced == 1 && workers.iter().all(|worker| worker.death.is_none())
    });
    host.close().expect("an orderly end");
}
