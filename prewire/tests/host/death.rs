//! Workers that die, and what becomes of their tasks and of them.

use crate::data::shared;
use crate::failure::mark;
use crate::rig::{get, host, wait_until, words};
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, CoreKind, Placement};
use std::time::Duration;

fn die() -> Callable {
    Callable::any("die", |_| {
        // SAFETY: it ends this process, and nothing else.
        unsafe { libc::raise(libc::SIGKILL) };
        Ok(())
    })
}

/// Claims HOST-099.
#[test]
fn what_was_queued_for_a_dead_worker_fails_with_its_name() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(2), vec![die(), mark()]);
    let (marks, all) = shared(&mut host, 3);
    let (_data, data) = shared(&mut host, 1);
    let zero = host.worker(CoreKind::Cube, 0).expect("a worker");
    let seen = Argument::NoDependency(&all);
    let mut queued = Vec::new();
    let error = host
        .run(|run| {
            run.submit(&host::next_level(ids[0]).placement(Placement::Core(zero)))?;
            for at in 0..50 {
                let with_data = [seen, Argument::InOut(&data)];
                let arguments = if at == 49 { &with_data[..] } else { &with_data[..1] };
                let task = host::next_level(ids[1]).arguments(arguments).placement(Placement::Core(zero));
                queued.push(run.submit(&task.scalars(&[0u64.into(), 0u64.into()]))?.id);
            }
            let dependent = [seen, Argument::Input(&data)];
            run.submit(&host::next_level(ids[1]).arguments(&dependent).scalars(&[1u64.into(), 0u64.into()]))?;
            run.submit(&host::next_level(ids[1]).arguments(&[seen]).scalars(&[2u64.into(), 0u64.into()]))?;
            Ok(())
        })
        .expect_err("worker 0 died");
    assert_eq!((error.report.failed, error.report.unrun), (51, 1));
    assert_eq!(words(&marks).iter().map(get).collect::<Vec<_>>(), [0, 0, 1]);
    assert!(error.to_string().contains("next-level worker 0") && error.to_string().contains("signal 9"), "{error}");
    let status = &host.workers()[0];
    assert!(status.death.as_ref().is_some_and(|death| death.contains("signal 9")), "{status:?}");
}

/// The part of HOST-100 that needs no device memory: same id, new process, everything known, and an end of it.
#[test]
fn a_dead_worker_is_replaced_so_often_and_no_more() {
    let (mut host, ids) = host(HostRuntime::builder().subs(1).restarts(3), vec![die(), mark()]);
    let (marks, all) = shared(&mut host, 2);
    let seen = [Argument::NoDependency(&all)];
    let mut pids = vec![host.workers()[0].pid];
    for life in 1..=4u64 {
        let error = host
            .run(|run| {
                run.submit(&host::sub(ids[0]))?;
                for _ in 0..5 {
                    run.submit(&host::sub(ids[1]).arguments(&seen).scalars(&[0u64.into(), 0u64.into()]))?;
                }
                Ok(())
            })
            .expect_err("the first task dies");
        if life < 4 {
            assert_eq!((error.report.failed, get(&words(&marks)[0])), (1, 5 * life), "only what ran was lost");
            assert_eq!(host.workers()[0].name, "sub worker 0");
            pids.push(host.workers()[0].pid);
        } else {
            assert_eq!((error.report.failed, get(&words(&marks)[0])), (6, 15), "there is nobody left");
        }
    }
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 4, "each life is a process of its own");
    assert!(host.workers()[0].death.is_some());
}

/// Claims HOST-097.
#[test]
fn a_death_while_idle_is_noticed_by_itself() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(2), vec![mark()]);
    let (marks, all) = shared(&mut host, 1);
    let seen = [Argument::NoDependency(&all)];
    let pid = host.workers()[0].pid.expect("a process");
    // SAFETY: it signals a worker of ours.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    wait_until("the notice", || host.workers()[0].death.is_some());
    let death = host.workers()[0].death.clone().expect("it was noticed");
    assert!(death.contains("signal 9") && death.contains(&pid.to_string()), "{death}");
    let zero = host.worker(CoreKind::Cube, 0).expect("a worker");
    let error = host
        .run(|run| {
            let scalars = [0u64.into(), 0u64.into()];
            let task = host::next_level(ids[0]).arguments(&seen).scalars(&scalars);
            run.submit(&task.placement(Placement::Core(zero)))?;
            for _ in 0..10 {
                run.submit(&task)?;
            }
            Ok(())
        })
        .expect_err("one was directed at the dead")
        .to_string();
    assert!(error.contains("signal 9") && error.contains(&pid.to_string()), "{error}");
    assert_eq!(get(&words(&marks)[0]), 10);
}

/// Claims HOST-103.
#[test]
fn a_task_beyond_its_budget_loses_its_worker_and_nothing_else() {
    let never = || {
        Callable::sub("never", |task| {
            let words = crate::rig::task_words(task, 0);
            // Deaf to everything but the test's word.
            while get(&words[1]) == 0 {
                words[0].fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        })
    };
    let long = Callable::sub("long", |_| {
        std::thread::sleep(Duration::from_secs(12));
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(2).restarts(1), vec![never(), long]);
    let (_buffer, all) = shared(&mut host, 2);
    let mut id = None;
    let error = host
        .run(|run| {
            run.submit(&host::sub(ids[1]))?;
            let arguments = [Argument::NoDependency(&all)];
            let task = host::sub(ids[0]).arguments(&arguments).budget(Duration::from_millis(200));
            id = Some(run.submit(&task)?.id);
            Ok(())
        })
        .expect_err("one exceeds its budget");
    let text = error.to_string();
    for part in ["budget", "sub worker", &id.expect("an id").to_string()] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    assert_eq!((error.report.completed, error.report.failed), (2, 1), "the long task completed");

    // A thread cannot be ended: the run is, and what the task may still touch is kept.
    let (mut threads, ids) = crate::rig::host(HostRuntime::builder().subs(1).threads(), vec![never()]);
    let (buffer, all) = shared(&mut threads, 2);
    let error = threads
        .run(|run| {
            let arguments = [Argument::NoDependency(&all)];
            run.submit(&host::sub(ids[0]).arguments(&arguments).budget(Duration::from_millis(200)))?;
            Ok(())
        })
        .expect_err("the run fails")
        .to_string();
    assert!(error.contains("budget") && error.contains("sub worker 0"), "{error}");
    let refused = threads.run(|_| Ok(())).expect_err("the task is still at it").to_string();
    assert!(refused.contains("not started"), "{refused}");
    let before = get(&words(&buffer)[0]);
    wait_until("the task's next write, into memory that is still its", || get(&words(&buffer)[0]) > before);
    crate::rig::set(&words(&buffer)[1], 1);
    let begun = std::time::Instant::now();
    while threads.run(|_| Ok(())).is_err() {
        assert!(begun.elapsed() < crate::rig::LONG, "the runtime is usable again");
        std::thread::sleep(Duration::from_millis(20));
    }
}
