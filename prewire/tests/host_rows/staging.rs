//! Tasks that are staged on a worker behind the one that it runs: when they are taken back, and that they are never lost or doubled.

use crate::rig::{get, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, Buffer, CoreKind, DataType, KernelContext, KernelError, Placement, RunError, Scalar, Tensor};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a task waits for another before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough for a scheduler to stage what is ready.
const STAGING: Duration = Duration::from_millis(100);

fn shared(host: &mut HostRuntime, count: u32) -> (Buffer, Tensor) {
    let buffer = host.buffer(u64::from(count) * 8).expect("a buffer");
    let tensor = buffer.tensor(&[count], DataType::U64).expect("a tensor");
    (buffer, tensor)
}

/// What a task does at the words: waits for the word of scalar 0 unless that is 0, notes its process at the word of scalar 1 and counts at the next one.
fn wait_and_note(task: &KernelContext<'_>) -> Result<(), KernelError> {
    let words = task_words(task, 0);
    let (wait_at, note_at) = (task.scalar::<u64>(0)? as usize, task.scalar::<u64>(1)? as usize);
    let begun = Instant::now();
    while wait_at != 0 && get(&words[wait_at]) == 0 {
        if begun.elapsed() > PATIENCE {
            return Err(KernelError::new(99, "nobody let it go on"));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    set(&words[note_at], std::process::id().into());
    words[note_at + 1].fetch_add(1, Ordering::SeqCst);
    Ok(())
}

fn note() -> Callable {
    Callable::sub("note", wait_and_note)
}

fn scalars(wait_at: u64, note_at: u64) -> [Scalar; 2] {
    [wait_at.into(), note_at.into()]
}

/// A on worker 0 waits for what C does; C is staged behind A, as a task directed at worker 1 is staged there. Worker 1 becomes idle and gets C, which runs there
/// once.
///
/// Claims HOST-044, together with the model of a frame that is started or taken back.
#[test]
fn a_staged_task_goes_to_a_worker_that_becomes_idle() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![note()]);
    let (buffer, all) = shared(&mut host, 16);
    let [zero, one] = [0, 1].map(|id| Placement::Core(host.worker(CoreKind::Vector, id).expect("a worker")));
    let pids: Vec<u64> = host.workers().iter().map(|worker| worker.pid.expect("a process") as u64).collect();
    let seen = [Argument::NoDependency(&all)];
    // Words: 1 lets B go; from 2 on the notes of A, B, D and C, whose count at word 9 lets A go.
    let task = |scalars| host::sub(ids[0]).arguments(&seen).scalars(scalars);
    let [a, b, d, c] = [scalars(9, 2), scalars(1, 4), scalars(0, 6), scalars(0, 8)];
    host.run(|run| {
        run.submit(&task(&a).placement(zero))?;
        run.submit(&task(&b).placement(one))?;
        run.submit(&task(&d).placement(one))?;
        std::thread::sleep(STAGING);
        run.submit(&task(&c))?;
        std::thread::sleep(STAGING);
        assert_eq!(get(&words(&buffer)[9]), 0, "C waits behind A");
        set(&words(&buffer)[1], 1);
        Ok(())
    })
    .expect("A ends, since C runs elsewhere");
    let notes: Vec<u64> = words(&buffer)[2..10].iter().map(get).collect();
    assert_eq!(notes, [pids[0], 1, pids[1], 1, pids[1], 1, pids[1], 1], "each runs once, C on worker 1");
}

/// While the queue is never empty, a task that is staged behind one which waits for it is overtaken by so many others and no more.
#[test]
fn a_staged_task_is_not_overtaken_without_end() {
    const STREAM: u64 = 500;
    let counts = Callable::sub("count", |task| {
        task_words(task, 0)[1].fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let place = Callable::sub("place", |task| {
        let words = task_words(task, 0);
        set(&words[2], get(&words[1]) + 1);
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![note(), counts, place]);
    let (buffer, all) = shared(&mut host, 16);
    let [zero, one] = [0, 1].map(|id| Placement::Core(host.worker(CoreKind::Vector, id).expect("a worker")));
    let seen = [Argument::NoDependency(&all)];
    let task = |id: usize| host::sub(ids[id]).arguments(&seen);
    host.run(|run| {
        // The first task waits for the place of the third.
        run.submit(&task(0).scalars(&scalars(2, 4)).placement(zero))?;
        run.submit(&task(0).scalars(&scalars(3, 6)).placement(one))?;
        run.submit(&task(0).scalars(&scalars(0, 8)).placement(one))?;
        std::thread::sleep(STAGING);
        run.submit(&task(2))?;
        for _ in 0..STREAM {
            run.submit(&task(1))?;
        }
        set(&words(&buffer)[3], 1);
        Ok(())
    })
    .expect("the first task is let go");
    let place = get(&words(&buffer)[2]);
    assert!((1..STREAM / 2).contains(&place), "it ran behind {place} of {STREAM}");
}

/// A run that is cut short takes back what was staged: it never runs, not even once the worker is free again.
#[test]
fn what_is_staged_when_a_run_is_cut_short_never_runs() {
    let (mut host, ids) = host(HostRuntime::builder().subs(1).threads(), vec![note()]);
    let (buffer, all) = shared(&mut host, 16);
    let seen = [Argument::NoDependency(&all)];
    let task = |scalars| host::sub(ids[0]).arguments(&seen).scalars(scalars);
    let [long, staged, later] = [scalars(1, 2), scalars(0, 4), scalars(0, 6)];
    let error = host
        .run(|run| {
            // Deaf to everything but the test's word, and beyond its budget.
            run.submit(&task(&long).budget(Duration::from_millis(300)))?;
            run.submit(&task(&staged))?;
            Ok(())
        })
        .expect_err("the first task exceeds its budget");
    assert!(error.to_string().contains("budget"), "{error}");
    set(&words(&buffer)[1], 1);
    wait_until("the end of the first task", || get(&words(&buffer)[3]) == 1);
    let begun = Instant::now();
    while host.run(|run| run.submit(&task(&later)).map(drop)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the runtime is usable again");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!([3, 5, 7].map(|at| get(&words(&buffer)[at])), [1, 0, 1]);
}

/// 1000 tasks on 4 workers, one of which is killed while it runs one and holds another.
///
/// Claims HOST-098.
#[test]
fn a_killed_worker_loses_what_it_had_started_and_nothing_else() {
    const TASKS: u64 = 1000;
    const VICTIM: u64 = 500;
    // Words: 0 the process of the victim's worker, from 1 on a mark for each task.
    let marks = Callable::sub("mark", |task| {
        let (words, number) = (task_words(task, 0), task.scalar::<u64>(0)?);
        if number == VICTIM {
            set(&words[0], std::process::id().into());
            std::thread::sleep(PATIENCE);
            return Err(KernelError::new(99, "nobody killed it"));
        }
        std::thread::sleep(Duration::from_micros(500));
        words[1 + number as usize].fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    for restarts in [0, 1] {
        let builder = HostRuntime::builder().subs(4).restarts(restarts);
        let (mut host, ids) = host(builder, vec![marks.clone()]);
        let (buffer, all) = shared(&mut host, 1 + TASKS as u32);
        let seen = [Argument::NoDependency(&all)];
        let mut victim = None;
        let killer = std::thread::scope(|threads| {
            let killer = threads.spawn(|| {
                let words = words(&buffer);
                wait_until("the victim", || get(&words[0]) != 0);
                // Others go on meanwhile, and one more waits behind the victim.
                std::thread::sleep(Duration::from_millis(20));
                let pid = get(&words[0]) as i32;
                // SAFETY: it signals a worker of ours, which runs the victim until then.
                unsafe { libc::kill(pid, libc::SIGKILL) };
                pid
            });
            let outcome = host.run(|run| {
                for number in 0..TASKS {
                    let id = run.submit(&host::sub(ids[0]).arguments(&seen).scalars(&[number.into()]))?.id;
                    if number == VICTIM {
                        victim = Some(id);
                    }
                }
                Ok(())
            });
            (killer.join().expect("the killer ends"), outcome.expect_err("the victim fails"))
        });
        let (pid, error) = killer;
        assert_eq!((error.report.failed, error.report.unrun, error.report.completed), (1, 0, TASKS));
        let RunError::KernelFailed { first, .. } = &*error.error else { panic!("{error}") };
        assert_eq!((Some(first.task), first.code), (victim, KernelError::LOST));
        assert!(first.text.contains(&pid.to_string()) && first.text.contains("signal 9"), "{}", first.text);
        let all: Vec<u64> = words(&buffer)[1..].iter().map(get).collect();
        let expected: Vec<u64> = (0..TASKS).map(|number| u64::from(number != VICTIM)).collect();
        let wrong: Vec<_> = (0..TASKS as usize).filter(|&at| all[at] != expected[at]).map(|at| (at, all[at])).collect();
        assert_eq!(wrong, [], "lost or doubled");
    }
}
