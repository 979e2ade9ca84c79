//! Ends: idle workers, orphans, closing, and what is left behind.

use crate::data::shared;
use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use crate::start::{is_alive, parent_of};
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, CoreKind};
use std::io::{Read, Write};
use std::time::Duration;

fn nothing() -> Callable {
    Callable::any("nothing", |_| Ok(()))
}

/// State, and ticks of processor time, of a process.
fn state_of(pid: i32) -> (char, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is alive");
    let (_, rest) = stat.rsplit_once(") ").expect("a name in brackets");
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = [11, 12].iter().map(|&at| fields[at].parse::<u64>().expect("a number")).sum();
    (fields[0].chars().next().expect("a state"), ticks)
}

fn run_one(host: &mut HostRuntime, id: host::CallableId) {
    host.run(|run| {
        run.submit(&host::sub(id))?;
        Ok(())
    })
    .expect("it runs");
}

/// Claims HOST-083.
#[test]
fn an_idle_worker_sleeps_in_the_kernel() {
    let (mut host, ids) = host(HostRuntime::builder().subs(1), vec![nothing()]);
    run_one(&mut host, ids[0]);
    std::thread::sleep(Duration::from_millis(100));
    let pid = host.workers()[0].pid.expect("a process");
    // On a busy machine it may wait for a processor on its way there.
    wait_until("sleep in the kernel", || state_of(pid).0 == 'S');
    let before = state_of(pid).1;
    std::thread::sleep(Duration::from_secs(5));
    let used = state_of(pid).1 - before;
    assert!(used <= 5, "{used} ticks in 5 s");
    std::thread::sleep(Duration::from_secs(5));
    run_one(&mut host, ids[0]);
}

/// Claims HOST-042. What a task that finds no worker costs shows as the parent's time: it is taken from its queue only when a worker is free.
#[test]
fn ready_tasks_without_a_worker_cost_nothing() {
    let held = Callable::sub("held", |task| {
        let words = task_words(task, 0);
        words[0].fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        hold(task, || get(&words[1]) != 0)
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![held, nothing()]);
    let (buffer, all) = shared(&mut host, 2);
    let seen = [Argument::NoDependency(&all)];
    host.run(|run| {
        for _ in 0..2 {
            run.submit(&host::sub(ids[0]).arguments(&seen))?;
        }
        wait_until("both workers to be busy", || get(&words(&buffer)[0]) == 2);
        for _ in 0..1000 {
            run.submit(&host::sub(ids[1]))?;
        }
        std::thread::sleep(Duration::from_millis(100));
        let me = std::process::id() as i32;
        let before = state_of(me).1;
        std::thread::sleep(Duration::from_secs(1));
        let used = state_of(me).1 - before;
        set(&words(&buffer)[1], 1);
        assert!(used <= 5, "{used} ticks in 1 s");
        Ok(())
    })
    .expect("it runs");
}

/// Everything below a process, itself last.
fn tree(pid: i32) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let all: Vec<i32> = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at].to_string();
        found.extend(all.iter().filter(|&&child| parent_of(child).as_deref() == Some(&parent)));
        at += 1;
    }
    found
}

/// Runs `program` in a copy of this process, which says when it is ready by a byte; kills it; and waits until nothing of its tree is left.
fn killed_parent_leaves_nothing(program: impl FnOnce(&mut dyn FnMut())) {
    let (mut ready, told) = std::io::pipe().expect("a pipe");
    // SAFETY: the copy runs the program and leaves without unwinding.
    match unsafe { libc::fork() } {
        0 => {
            drop(ready);
            let mut told = told;
            program(&mut || told.write_all(&[1]).expect("the original listens"));
            // SAFETY: it ends this process.
            unsafe { libc::_exit(0) }
        }
        pid => {
            drop(told);
            ready.read_exact(&mut [0]).expect("the copy gets ready");
            let members = tree(pid);
            assert!(members.len() >= 3, "a parent, a launcher and a worker at least");
            // SAFETY: it kills the copy, and then waits for it.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            // SAFETY: as above.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            wait_until("the end of all orphans", || members.iter().all(|&member| !is_alive(member)));
        }
    }
}

fn spin() -> Callable {
    Callable::any("spin", |_| {
        loop {
            std::hint::spin_loop();
        }
    })
}

/// Four of the five situations of HOST-105: idle, in a task, in the middle of the start, and as grandchild.
#[test]
fn orphans_end() {
    killed_parent_leaves_nothing(|ready| {
        let (host, _) = host(HostRuntime::builder().subs(2), vec![nothing()]);
        ready();
        std::thread::sleep(Duration::from_secs(60));
        drop(host);
    });
    killed_parent_leaves_nothing(|ready| {
        let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![spin()]);
        let _ = host.run(|run| {
            run.submit(&host::sub(ids[0]))?;
            std::thread::sleep(Duration::from_millis(50));
            ready();
            Ok(())
        });
    });
    killed_parent_leaves_nothing(|ready| {
        let builder = HostRuntime::builder().subs(2).initialise(CoreKind::Vector, |_| {
            std::thread::sleep(Duration::from_secs(60));
            Ok(())
        });
        let starter = std::thread::spawn(move || builder.start().map(drop));
        std::thread::sleep(Duration::from_millis(200));
        ready();
        let _ = starter.join();
    });
    killed_parent_leaves_nothing(|ready| {
        let builder = HostRuntime::builder().level(4).next_level(2);
        let builder = builder.hosts(|_| (HostRuntime::builder().subs(2), ()));
        let (host, _) = host(builder, vec![nothing()]);
        ready();
        std::thread::sleep(Duration::from_secs(60));
        drop(host);
    });
}

/// Claims HOST-111.
#[test]
fn a_worker_that_ignores_the_shutdown_is_killed_and_named() {
    let builder = HostRuntime::builder().subs(4).initialise_with_end(CoreKind::Vector, |id| {
        Ok(move || {
            if id == 2 {
                std::thread::sleep(Duration::from_secs(600));
            }
        })
    });
    let (host, _) = host(builder, vec![nothing()]);
    let pids: Vec<i32> = host.workers().iter().filter_map(|worker| worker.pid).collect();
    let error = host.close_within(Duration::from_millis(500)).expect_err("one had to be killed").to_string();
    assert!(error.contains("sub worker 2") && error.contains("signal 9"), "{error}");
    assert!([0, 1, 3].iter().all(|id| !error.contains(&format!("sub worker {id}"))), "{error}");
    assert!(pids.iter().all(|&pid| !is_alive(pid)));
}

/// Claims HOST-113.
#[test]
fn the_users_own_children_stay_the_users() {
    let child = |status: i32| std::process::Command::new("sh").args(["-c", &format!("exit {status}")]).spawn();
    let mut before = child(3).expect("a shell");
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![nothing()]);
    let mut after = child(4).expect("a shell");
    run_one(&mut host, ids[0]);
    host.close().expect("an orderly end");
    assert_eq!(before.wait().expect("it is ours").code(), Some(3));
    assert_eq!(after.wait().expect("it is ours").code(), Some(4));
}

/// A deadlock of waiting for somebody who is gone would show here: user code reaps everything, and a killed worker is noticed all the same. What HOST-106 says
/// about the unknown status does not come about, as the launcher reaps workers, and knows.
#[test]
fn user_code_that_reaps_everything_does_no_harm() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2).restarts(1), vec![nothing()]);
    let reaper = std::thread::spawn(|| {
        for _ in 0..200 {
            // SAFETY: it waits for any child, which is what is tried out here.
            unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let pid = host.workers()[0].pid.expect("a process");
    // SAFETY: it signals a worker of ours.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    wait_until("a replacement", || host.workers()[0].pid.is_some_and(|now| now != pid));
    run_one(&mut host, ids[0]);
    reaper.join().expect("it ends");
    host.close().expect("an orderly end");
}

/// The mutation's test of D18, and most of HOST-117: the level below keeps a process that outlives it for a second, and until that is gone the task is not
/// reported.
#[test]
fn a_dead_level_is_reported_when_everything_below_it_is_gone() {
    let outlive = Callable::next_level("outlive", |task| {
        let words = task_words(task, 0);
        // SAFETY: the copy writes the shared words for a second and leaves; the original ends at once.
        if unsafe { libc::fork() } == 0 {
            for _ in 0..100 {
                std::thread::sleep(Duration::from_millis(10));
                words[0].fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
            // SAFETY: it ends the copy.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: it ends the worker.
        unsafe { libc::raise(libc::SIGKILL) };
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().next_level(1), vec![outlive]);
    let (buffer, all) = shared(&mut host, 1);
    let error = host
        .run(|run| {
            run.submit(&host::next_level(ids[0]).arguments(&[Argument::InOut(&all)]))?;
            Ok(())
        })
        .expect_err("the worker died");
    assert!(error.to_string().contains("signal 9"), "{error}");
    assert_eq!(get(&words(&buffer)[0]), 100, "nobody writes any more");
}
