//! Workers that die just before or behind a step, and workers that were given up and live on.

use crate::points::Pauses;
use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, CallableId, HostRuntime};
use prewire::{Argument, Buffer, CoreKind, DataType, Failed, KernelContext, KernelError, NewTensor, Placement, Report};
use prewire::{RunError, Tensor};
use prewire_runtime_core::sync::pause::{Hold, Point};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Says at word 0 that it is there, with its process, and counts at word 2 when word 1 lets it go.
fn held() -> Callable {
    Callable::sub("held", |task| {
        let words = task_words(task, 0);
        set(&words[0], std::process::id().into());
        hold(task, || get(&words[1]) != 0)?;
        words[2].fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

/// Counts at word 3.
fn count() -> Callable {
    Callable::sub("count", |task| {
        task_words(task, 0)[3].fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

fn words_of(host: &mut HostRuntime) -> (Buffer, Tensor) {
    let buffer = host.buffer(64).expect("a buffer");
    let tensor = buffer.tensor(&[8], DataType::U64).expect("a tensor");
    (buffer, tensor)
}

/// A task on worker 0, whose worker is killed while it is held at `point`, and one that depends on it.
fn killed_at(point: Point) -> (Result<Report, Failed>, [u64; 2]) {
    let pauses = Pauses::new();
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![held(), count()]);
    let (buffer, all) = words_of(&mut host);
    let (_data, data) = words_of(&mut host);
    let zero = Placement::Core(host.worker(CoreKind::Vector, 0).expect("a worker"));
    set(&words(&buffer)[1], 1);
    let reached = pauses.hold_next(point);
    let outcome = std::thread::scope(|threads| {
        threads.spawn(|| {
            reached.wait();
            // SAFETY: it signals a worker of ours, which is held.
            unsafe { libc::kill(get(&words(&buffer)[0]) as i32, libc::SIGKILL) };
        });
        host.run(|run| {
            let seen = Argument::NoDependency(&all);
            run.submit(&host::sub(ids[0]).arguments(&[seen, Argument::OutputExisting(&data)]).placement(zero))?;
            run.submit(&host::sub(ids[1]).arguments(&[seen, Argument::Input(&data)]))?;
            Ok(())
        })
    });
    (outcome, [2, 3].map(|at| get(&words(&buffer)[at])))
}

/// Claims HOST-104.
#[test]
fn a_result_that_was_stored_counts_and_one_that_was_not_does_not() {
    let (outcome, counts) = killed_at(Point::WorkerFinishes);
    let error = outcome.expect_err("it died before it had stored its result");
    assert_eq!((error.report.completed, error.report.failed, error.report.unrun), (2, 1, 1));
    assert!(
        matches!(&*error.error, RunError::KernelFailed { first, .. } if first.code == KernelError::LOST),
        "{error}"
    );
    assert_eq!(counts, [1, 0], "the task itself had ended");

    let (outcome, counts) = killed_at(Point::WorkerRings);
    let report = outcome.expect("its result was there");
    assert_eq!((report.completed, report.failed), (2, 0));
    assert_eq!(counts, [1, 1]);
}

extern "C" fn sleep_for_ever(_: libc::c_int) {
    loop {
        // SAFETY: it may be called in a handler, and waits for a signal.
        unsafe { libc::pause() };
    }
}

/// Stops the thread of this worker that listens to its control channel, and no other.
fn go_deaf() -> Result<(), KernelError> {
    let failed = |what: &str| KernelError::new(1, format!("{what}: {}", std::io::Error::last_os_error()));
    let handler = sleep_for_ever as extern "C" fn(libc::c_int);
    // SAFETY: the handler touches nothing.
    if unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) } == libc::SIG_ERR {
        return Err(failed("the handler"));
    }
    for task in std::fs::read_dir("/proc/self/task").map_err(|_| failed("the list of threads"))?.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let thread = task.file_name().to_string_lossy().parse::<libc::pid_t>().unwrap_or(0);
        if name.trim() == "control" {
            // SAFETY: it signals a thread of this process.
            let sent = unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), thread, libc::SIGUSR1) };
            return if sent == 0 { Ok(()) } else { Err(failed("the signal")) };
        }
    }
    Err(failed("no such thread"))
}

/// Goes deaf and writes into its output, tensor 1, at ever another value until word 1 lets it go.
fn scribble(task: &KernelContext<'_>) -> Result<(), KernelError> {
    go_deaf()?;
    let (words, output) = (task_words(task, 0), task_words(task, 1));
    let mut value = 1;
    while get(&words[1]) == 0 {
        output.iter().for_each(|word| set(word, value));
        set(&words[0], value);
        value += 1;
        std::thread::sleep(Duration::from_micros(100));
    }
    words[2].fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Elements of an output: two of them do not fit a heap.
const OUTPUT: u32 = 96;
const HEAP_BYTES: u64 = 1024;

/// What a run with a deaf worker looks like while its kill is held, and how it ended.
struct Deaf {
    host: HostRuntime,
    ids: Vec<CallableId>,
    buffer: Buffer,
    all: Tensor,
}

impl Deaf {
    fn new() -> Deaf {
        let builder = HostRuntime::builder().subs(2).command_timeout(Duration::from_millis(200));
        let builder = builder.engine(|engine| engine.ring_heap(HEAP_BYTES));
        let (mut host, ids) = host(builder, vec![Callable::sub("scribble", scribble), count()]);
        let (buffer, all) = words_of(&mut host);
        Deaf { host, ids, buffer, all }
    }

    /// A run of a deaf task on worker 0, one that reads its output, and one whose output has room only in place of it. `meanwhile` is called while the kill is
    /// held, with what says whether the last task was accepted.
    fn run(&self, kill: Hold, meanwhile: impl Fn(&AtomicBool, &dyn Fn() -> bool) + Send) -> Result<Report, Failed> {
        let words = words(&self.buffer);
        let zero = Placement::Core(self.host.worker(CoreKind::Vector, 0).expect("a worker"));
        let (accepted, over) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|threads| {
            let runner = threads.spawn(|| {
                let handle = self.host.submit(|run| {
                    let seen = Argument::NoDependency(&self.all);
                    let output = Argument::Output(NewTensor::new(&[OUTPUT], DataType::U64));
                    run.scope(|run| {
                        let task = host::sub(self.ids[0]);
                        let written = run.submit(&task.arguments(&[seen, output]).placement(zero))?.outputs[0];
                        run.submit(&host::sub(self.ids[1]).arguments(&[seen, Argument::Input(&written)])).map(drop)
                    })?;
                    // The scope of the first output is over, so only its task keeps it.
                    run.scope(|run| run.submit(&host::sub(self.ids[1]).arguments(&[seen, output])).map(drop))?;
                    accepted.store(true, Ordering::SeqCst);
                    Ok(())
                });
                let outcome = handle.and_then(|handle| handle.wait());
                over.store(true, Ordering::SeqCst);
                outcome
            });
            wait_until("the first task's start", || get(&words[0]) != 0);
            let asker = threads.spawn(|| self.host.query(CoreKind::Vector, 0));
            kill.wait();
            meanwhile(&accepted, &|| over.load(Ordering::SeqCst));
            kill.release();
            let refused = asker.join().expect("it asks").expect_err("nobody answers").to_string();
            assert!(refused.contains("200 ms"), "{refused}");
            runner.join().expect("it runs")
        })
    }
}

/// Claims HOST-102.
#[test]
fn a_worker_that_was_given_up_is_believed_once_it_is_dead() {
    let pauses = Pauses::new();
    let deaf = Deaf::new();
    let words = words(&deaf.buffer);
    let error = deaf
        .run(pauses.hold_next(Point::WorkerIsKilled), |accepted, over| {
            for _ in 0..10 {
                let before = get(&words[0]);
                wait_until("the next write", || get(&words[0]) > before);
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(
                (over(), get(&words[3])),
                (false, 0),
                "the task is not reported, and nothing that depends on it moves"
            );
            assert!(!accepted.load(Ordering::SeqCst), "its bytes are given to no other task");
        })
        .expect_err("the task is lost with its worker");
    assert_eq!((error.report.completed, error.report.failed, error.report.unrun), (3, 1, 1), "it fails once");
    assert!(error.to_string().contains("status within 200 ms"), "{error}");
    assert_eq!(get(&words[3]), 1, "only what needs its room has run");
}

/// What a worker stores while it is given up and not dead yet is looked at when it is: not before, and once.
#[test]
fn a_result_of_a_worker_that_was_given_up_waits_for_its_end() {
    let pauses = Pauses::new();
    let deaf = Deaf::new();
    let words = words(&deaf.buffer);
    let report = deaf
        .run(pauses.hold_next(Point::WorkerIsKilled), |accepted, over| {
            set(&words[1], 1);
            wait_until("the task's end", || get(&words[2]) == 1);
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!((over(), get(&words[3])), (false, 0), "nobody believes it yet");
            assert!(!accepted.load(Ordering::SeqCst));
        })
        .expect("its result was stored");
    assert_eq!((report.completed, report.failed, get(&words[3])), (3, 0, 2));
}
