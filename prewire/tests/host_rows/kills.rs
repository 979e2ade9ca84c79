//! Workers that are killed from outside: what is said about it, that nobody has to look for it, and that replacements come whatever the parent does.

use crate::rig::{get, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, DataType};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Notes its process at word 0 and stays until word 1 lets it go.
fn stay() -> Callable {
    Callable::sub("stay", |task| {
        let words = task_words(task, 0);
        set(&words[0], std::process::id().into());
        let begun = Instant::now();
        while get(&words[1]) == 0 && begun.elapsed() < crate::rig::LONG {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    })
}

fn kill(pid: i32) {
    // SAFETY: it signals a worker of ours that lives.
    let sent = unsafe { libc::kill(pid, libc::SIGKILL) };
    assert_eq!(sent, 0, "the worker is there to be killed");
}

/// Claims HOST-096 together with the test of switches below and the benchmark `host`, which prints the time from kill to error.
#[test]
fn a_kill_is_an_error_that_names_worker_process_signal_and_task() {
    let (mut host, ids) = host(HostRuntime::builder().subs(3), vec![stay()]);
    let buffer = host.buffer(16).expect("a buffer");
    let all = buffer.tensor(&[2], DataType::U64).expect("a tensor");
    let workers = host.workers();
    let mut id = None;
    let (pid, error) = std::thread::scope(|threads| {
        let killer = threads.spawn(|| {
            wait_until("the task's start", || get(&words(&buffer)[0]) != 0);
            let pid = get(&words(&buffer)[0]) as i32;
            kill(pid);
            pid
        });
        let outcome = host.run(|run| {
            id = Some(run.submit(&host::sub(ids[0]).arguments(&[Argument::NoDependency(&all)]))?.id);
            Ok(())
        });
        (killer.join().expect("the killer ends"), outcome.expect_err("its worker was killed"))
    });
    let worker = workers.iter().find(|worker| worker.pid == Some(pid)).expect("it was a worker");
    let (text, id) = (error.to_string(), id.expect("an id").to_string());
    for part in [&*worker.name, &pid.to_string(), "signal 9", &id] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    assert_eq!(error.report.failed, 1);
}

/// How often the threads of this process were switched away from so far, by thread.
fn switches() -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").expect("there are threads") {
        let path = task.expect("a thread").path();
        // One may have ended meanwhile.
        let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
        let value = |line: &str| line.split_whitespace().last().and_then(|value| value.parse::<u64>().ok());
        let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
        let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
        counts.insert(format!("{} {}", path.display(), name.trim()), lines.filter_map(value).sum());
    }
    counts
}

/// Claims HOST-096, its other half: nobody looks whether workers live. While 16 workers are busy with tasks of 5 s their parent is switched at most 20 times
/// a second.
#[test]
fn a_parent_of_busy_workers_sleeps() {
    const WORKERS: u32 = 16;
    let long = Callable::sub("long", |task| {
        task_words(task, 0)[0].fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(5));
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(WORKERS), vec![long]);
    let buffer = host.buffer(8).expect("a buffer");
    let all = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    let counted = Mutex::new(None);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            wait_until("all tasks' start", || get(&words(&buffer)[0]) == u64::from(WORKERS));
            // Until whoever has something to do about the starts has done it.
            std::thread::sleep(Duration::from_millis(500));
            let (before, begun) = (switches(), Instant::now());
            std::thread::sleep(Duration::from_secs(3));
            let (after, seconds) = (switches(), begun.elapsed().as_secs_f64());
            let by_thread: Vec<(String, u64)> = after
                .into_iter()
                .map(|(thread, count)| (thread.clone(), count - before.get(&thread).copied().unwrap_or(0)))
                .collect();
            *counted.lock().expect("nobody panicked") = Some((by_thread, seconds));
        });
        host.run(|run| {
            for _ in 0..WORKERS {
                run.submit(&host::sub(ids[0]).arguments(&[Argument::NoDependency(&all)]))?;
            }
            Ok(())
        })
        .expect("long tasks succeed");
    });
    let (by_thread, seconds) = counted.into_inner().expect("nobody panicked").expect("it was counted");
    let all: u64 = by_thread.iter().map(|(_, count)| count).sum();
    // One run of the counter itself is in it.
    assert!(all as f64 <= 20.0 * seconds, "{all} switches in {seconds:.1} s: {by_thread:?}");
}

/// Says that all is over, also where a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Claims HOST-101.
#[test]
fn replacements_are_made_whatever_the_parents_threads_do() {
    const LIVES: u64 = 50;
    let (mut host, ids) = host(HostRuntime::builder().subs(1).restarts(LIVES as u32), vec![stay()]);
    let buffer = host.buffer(16).expect("a buffer");
    let all = buffer.tensor(&[2], DataType::U64).expect("a tensor");
    set(&words(&buffer)[1], 1);
    let (over, common) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        let _over = Over(&over);
        for _ in 0..4 {
            // What they hold at the moment of a fork would be held for ever in a child of this process.
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let piece = vec![0u8; 4096];
                    let mut common = common.lock().expect("nobody panicked");
                    common.push(piece);
                    if common.len() > 64 {
                        common.clear();
                    }
                }
            });
        }
        let mut pids = vec![host.workers()[0].pid.expect("a process")];
        for _ in 0..LIVES {
            kill(pids[pids.len() - 1]);
            // It waits for the replacement, which is READY when it has run it.
            let outcome = host.run(|run| {
                run.submit(&host::sub(ids[0]).arguments(&[Argument::NoDependency(&all)]))?;
                Ok(())
            });
            outcome.expect("a task on a replacement");
            let pid = host.workers()[0].pid.expect("a process");
            assert_eq!(get(&words(&buffer)[0]), pid as u64, "it ran on the worker of now");
            pids.push(pid);
        }
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len() as u64, LIVES + 1, "each life is a process of its own");
    });
    assert!(host.workers()[0].death.is_none(), "the last one lives");
}
