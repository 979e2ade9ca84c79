//! Starting: all workers or none, with a reason; what is left behind is nothing.

use crate::rig::{host, wait_until};
use prewire::host::{self, Callable, CancelToken, HostRuntime};
use prewire::{Argument, CoreKind, DataType};
use std::time::{Duration, Instant};

/// Descriptors, shared mappings of ours, and children of this process.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    mappings: usize,
    children: Vec<i32>,
}

/// The children of this process, by the parent that /proc names.
fn children() -> Vec<i32> {
    let me = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent_of(*pid).as_deref() == Some(&me)).collect()
}

/// The parent of a process, if it is one.
pub(crate) fn parent_of(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1).map(str::to_owned)
}

/// Whether a process exists and is not a zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

fn holdings() -> Holdings {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    Holdings {
        descriptors: std::fs::read_dir("/proc/self/fd").expect("/proc").count(),
        mappings: maps.lines().filter(|line| line.contains("prewire-")).count(),
        children: children(),
    }
}

fn nothing() -> Callable {
    Callable::any("nothing", |_| Ok(()))
}

/// Claims HOST-002.
#[test]
fn a_level_that_is_none_is_refused_and_leaves_nothing() {
    let before = holdings();
    for level in [0, 1, 2, 7] {
        let error = HostRuntime::builder().level(level).subs(1).start().expect_err("no such level").to_string();
        assert!(error.contains(&level.to_string()) && error.contains("3 to 6"), "{error}");
    }
    assert_eq!(holdings(), before);
}

/// Claims HOST-001.
#[test]
fn the_level_is_a_label() {
    let fill = Callable::next_level("fill", |task| {
        let value = task.scalar::<u64>(0)?;
        task.output::<u64>(0)?.as_mut_slice().fill(value);
        Ok(())
    });
    let sum = Callable::sub("sum", |task| {
        let add: u64 = task.input::<u64>(0)?.as_slice().iter().sum();
        task.output::<u64>(1)?.as_mut_slice()[0] += add;
        Ok(())
    });
    let mut results = Vec::new();
    for level in 3..=6 {
        let builder = HostRuntime::builder().level(level).next_level(2).subs(1);
        let (mut host, ids) = host(builder, vec![fill.clone(), sum.clone()]);
        assert_eq!(host.level(), level);
        let parts = host.buffer(4 * 8 * 8).expect("a buffer");
        let total = host.buffer(8).expect("a buffer");
        let all = parts.tensor(&[4, 8], DataType::U64).expect("a tensor");
        let result = total.tensor(&[1], DataType::U64).expect("a tensor");
        let report = host
            .run(|run| {
                for row in 0..4 {
                    let row_of = all.slice(0, row, row + 1, 1)?.reshape(&[8])?;
                    let filled = [Argument::OutputExisting(&row_of)];
                    run.submit(&host::next_level(ids[0]).arguments(&filled).scalars(&[u64::from(row + 1).into()]))?;
                }
                for at in 0..6 {
                    let row_of = all.slice(0, at % 4, at % 4 + 1, 1)?.reshape(&[8])?;
                    run.submit(&host::sub(ids[1]).arguments(&[Argument::Input(&row_of), Argument::InOut(&result)]))?;
                }
                Ok(())
            })
            .expect("it runs");
        let bytes = (host.read::<u64>(&parts).expect("bytes"), host.read::<u64>(&total).expect("bytes"));
        results.push((report.tasks, report.completed, bytes));
    }
    assert_eq!((results[0].0, results[0].1), (10, 10));
    assert_eq!(results[0].2.1, [8 * (1 + 2 + 3 + 4 + 1 + 2)]);
    assert!(results.iter().all(|result| result == &results[0]));
}

/// Claims HOST-005.
#[test]
fn all_workers_are_there_before_the_first_task() {
    let builder = HostRuntime::builder().next_level(2).subs(2);
    let (mut host, ids) = host(builder, vec![nothing()]);
    let pids = || -> Vec<i32> { host.workers().iter().filter_map(|worker| worker.pid).collect() };
    let before = pids();
    let processes = |launcher: i32| -> usize {
        let all = std::fs::read_dir("/proc").expect("/proc").flatten();
        let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        all.filter(|&pid| parent_of(pid) == Some(launcher.to_string())).count()
    };
    let launcher = parent_of(before[0]).and_then(|pid| pid.parse().ok()).expect("a launcher");
    assert!(before.len() == 4 && before.iter().all(|&pid| is_alive(pid)));
    assert_eq!(processes(launcher), 4);
    let after = {
        host.run(|run| {
            run.submit(&host::sub(ids[0]))?;
            run.submit(&host::next_level(ids[0]))?;
            Ok(())
        })
        .expect("it runs");
        host.workers().iter().filter_map(|worker| worker.pid).collect::<Vec<_>>()
    };
    assert_eq!((after, processes(launcher)), (before, 4));
}

/// Claims HOST-006.
#[test]
fn starting_and_closing_leaves_nothing() {
    let before = holdings();
    for threads in [false, true] {
        let builder = HostRuntime::builder().next_level(1).subs(2);
        let builder = if threads { builder.threads() } else { builder };
        drop(builder.clone());
        let (host, _) = host(builder, vec![nothing()]);
        host.close().expect("an orderly end");
        host.close().expect("nothing to do");
        drop(host);
        assert_eq!(holdings(), before);
    }
}

/// Claims HOST-007.
#[test]
fn closed_is_final() {
    let (mut host, ids) = host(HostRuntime::builder().subs(1), vec![nothing()]);
    let report = host
        .run(|run| {
            run.submit(&host::sub(ids[0]))?;
            Ok(())
        })
        .expect("it runs");
    host.close().expect("an orderly end");
    let before = children();
    let closed = |text: String| assert!(text.contains("closed"), "{text}");
    closed(host.run(|_| Ok(())).expect_err("it is closed").to_string());
    closed(host.buffer(8).expect_err("it is closed").to_string());
    closed(host.query(CoreKind::Vector, 0).expect_err("it is closed").to_string());
    closed(host.register(nothing()).expect_err("it is closed").to_string());
    closed(host.unregister(ids[0]).expect_err("it is closed").to_string());
    assert_eq!(children(), before, "nothing was forked");
    assert_eq!(report.completed, 1);
}

/// Claims HOST-008.
#[test]
fn a_copy_of_the_program_has_no_workers() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![nothing()]);
    // SAFETY: the copy does nothing but what follows, and leaves without unwinding.
    match unsafe { libc::fork() } {
        0 => {
            let text = host.run(|_| Ok(())).map_or_else(|error| error.to_string(), |_| "it ran".to_owned());
            let refused = text.contains("forked process");
            drop(host);
            // SAFETY: it ends this process.
            unsafe { libc::_exit(if refused { 0 } else { 1 }) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: the status is written here.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            assert_eq!(status, 0, "the copy is refused and drops the runtime");
        }
    }
    let report = host
        .run(|run| {
            for _ in 0..100 {
                run.submit(&host::sub(ids[0]))?;
            }
            Ok(())
        })
        .expect("the original goes on");
    assert_eq!(report.completed, 100);
    host.close().expect("an orderly end");
}

/// Claims HOST-009.
#[test]
fn workers_outlive_the_thread_that_made_them() {
    let (mut host, ids) = std::thread::spawn(|| host(HostRuntime::builder().subs(2), vec![nothing()])).join().unwrap();
    let pids = |host: &HostRuntime| host.workers().iter().map(|worker| worker.pid).collect::<Vec<_>>();
    let before = pids(&host);
    std::thread::sleep(Duration::from_secs(1));
    host.run(|run| {
        for _ in 0..10 {
            run.submit(&host::sub(ids[0]))?;
        }
        Ok(())
    })
    .expect("it runs");
    assert_eq!(pids(&host), before);
}

/// Claims HOST-019.
#[test]
fn a_callable_that_nobody_can_run_is_refused() {
    let mut builder = HostRuntime::builder().subs(1);
    builder.register(Callable::next_level("chip work", |_| Ok(()))).expect("a place");
    let error = builder.start().expect_err("no next-level worker").to_string();
    assert!(error.contains("chip work") && error.contains("next-level"), "{error}");
    let mut host = HostRuntime::builder().next_level(1).start().expect("it starts");
    // SAFETY: it is never called.
    let late = unsafe { Callable::symbol("helper", Some(CoreKind::Vector), "/no/such/library".as_ref(), "helper") };
    let error = host.register(late).expect_err("no sub worker").to_string();
    assert!(error.contains("helper") && error.contains("sub"), "{error}");
}

/// Claims HOST-091.
#[test]
fn a_worker_that_cannot_start_says_why_and_the_others_end_in_order() {
    let before = holdings();
    let folder = std::env::temp_dir().join(format!("prewire-host-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let marks = folder.clone();
    let builder = HostRuntime::builder().subs(3).initialise_with_end(CoreKind::Vector, move |id| {
        if id == 1 {
            // The others are READY by then.
            std::thread::sleep(Duration::from_millis(200));
            return Err("no device 3".to_owned());
        }
        let mark = marks.join(id.to_string());
        Ok(move || std::fs::write(mark, "ended").expect("the folder can be written"))
    });
    let error = builder.start().expect_err("worker 1 fails").to_string();
    assert!(error.contains("no device 3") && error.contains("sub worker 1"), "{error}");
    assert!([0, 2].iter().all(|id| folder.join(id.to_string()).exists()), "the others ran their orderly end");
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    assert_eq!(holdings(), before);
}

/// Claims HOST-092.
#[test]
fn a_worker_that_dies_at_birth_fails_the_start_at_once() {
    for (signal, expected) in [(false, "status 7"), (true, "signal 9")] {
        let begun = Instant::now();
        let builder = HostRuntime::builder().subs(3).initialise(CoreKind::Vector, move |id| {
            if id == 2 {
                end_at_once(signal);
            }
            Ok(())
        });
        let error = builder.startup_timeout(Duration::from_secs(300)).start().expect_err("a death").to_string();
        assert!(error.contains("sub worker 2") && error.contains("pid ") && error.contains(expected), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(100), "nobody waited for the deadline");
    }
}

/// Claims HOST-089.
#[test]
fn nobody_gets_a_task_before_all_are_ready() {
    let begun = Instant::now();
    let builder = HostRuntime::builder().subs(2).initialise(CoreKind::Vector, |id| {
        std::thread::sleep(Duration::from_millis(if id == 1 { 2000 } else { 0 }));
        Ok(())
    });
    let when = Callable::sub("when", |task| {
        task.output::<u64>(0)?.as_mut_slice()[0] = now_ms();
        Ok(())
    });
    let (mut host, ids) = host(builder, vec![when]);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let started = now_ms();
    let buffer = host.buffer(8).expect("a buffer");
    let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    host.run(|run| {
        run.submit(&host::sub(ids[0]).arguments(&[Argument::OutputExisting(&word)]))?;
        Ok(())
    })
    .expect("it runs");
    assert!(host.read::<u64>(&buffer).expect("a word")[0] >= started);
}

fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_millis() as u64
}

/// Claims HOST-094.
#[test]
fn a_start_can_be_cancelled() {
    let before = children();
    let token = CancelToken::default();
    let builder = HostRuntime::builder().subs(2).startup_timeout(Duration::from_secs(600)).cancel_with(&token);
    let builder = builder.initialise(CoreKind::Vector, |id| {
        if id == 1 {
            hang();
        }
        Ok(())
    });
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        token.cancel();
    });
    let error = builder.start().expect_err("it is cancelled").to_string();
    assert!(error.contains("cancelled"), "{error}");
    canceller.join().expect("it ends");
    wait_until("all processes to be gone", || children() == before);
}

/// A deadline that passes names those that were not ready; the part of HOST-093 without a tree.
#[test]
fn a_start_has_a_deadline() {
    let before = children();
    let builder = HostRuntime::builder().subs(3).startup_timeout(Duration::from_millis(300));
    let builder = builder.initialise(CoreKind::Vector, |id| {
        if id != 1 {
            hang();
        }
        Ok(())
    });
    let error = builder.start().expect_err("two hang").to_string();
    assert!(error.contains("deadline") && error.contains("sub worker 0, sub worker 2"), "{error}");
    assert_eq!(children(), before);
    let error =
        HostRuntime::builder().subs(1).startup_timeout(Duration::ZERO).start().expect_err("no time").to_string();
    assert!(error.contains("positive"), "{error}");
}

fn hang() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn end_at_once(by_signal: bool) {
    if by_signal {
        // SAFETY: it ends this process.
        unsafe { libc::raise(libc::SIGKILL) };
    }
    // SAFETY: as above.
    unsafe { libc::_exit(7) }
}
