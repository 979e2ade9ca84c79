//! Workers that have nothing to do, that are interrupted, and that answer nonsense.

use crate::rig::{get, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, HostBuilder, HostRuntime};
use prewire::{Argument, Buffer, DataType, KernelError, Placement, RunError, Scalar, Tensor};
use prewire_platform_host::board::Board;
use prewire_platform_host::mailbox::{Mailbox, Phase};
use prewire_runtime_core::port::Token;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn shared_words(host: &mut HostRuntime, count: u32) -> (Buffer, Tensor) {
    let buffer = host.buffer(u64::from(count) * 8).expect("a buffer");
    let tensor = buffer.tensor(&[count], DataType::U64).expect("a tensor");
    (buffer, tensor)
}

/// Counts itself at the word that its scalar names.
fn count() -> Callable {
    Callable::any("count", |task| {
        task_words(task, 0)[task.scalar::<u64>(0)? as usize].fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

fn run_one(host: &mut HostRuntime, task: prewire::Task<'_>) {
    host.run(|run| run.submit(&task).map(drop)).expect("it runs");
}

/// The third and the fourteenth and fifteenth field of a process's state: its state, and its ticks in user and kernel mode.
fn state_and_ticks(pid: i32) -> (String, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let (_, fields) = text.rsplit_once(')').expect("the name is in brackets");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    (fields[0].to_owned(), ticks(11) + ticks(12))
}

/// Claims HOST-083, for workers of both kinds.
#[test]
fn an_idle_worker_sleeps_in_the_kernel() {
    let builder = HostRuntime::builder().next_level(1).subs(1);
    let (mut host, ids) = host(builder, vec![count()]);
    let (buffer, all) = shared_words(&mut host, 1);
    let (own, scalars): (_, [Scalar; 1]) = ([Argument::NoDependency(&all)], [0u64.into()]);
    let both = |host: &mut HostRuntime| {
        run_one(host, host::sub(ids[0]).arguments(&own).scalars(&scalars));
        run_one(host, host::next_level(ids[0]).arguments(&own).scalars(&scalars));
    };
    both(&mut host);
    std::thread::sleep(Duration::from_millis(100));
    let pids: Vec<i32> = host.workers().iter().map(|worker| worker.pid.expect("a process")).collect();
    let before: Vec<u64> = pids
        .iter()
        .map(|&pid| {
            let (state, ticks) = state_and_ticks(pid);
            assert_eq!(state, "S", "worker {pid} is not sleeping");
            ticks
        })
        .collect();
    std::thread::sleep(Duration::from_secs(5));
    for (&pid, before) in pids.iter().zip(before) {
        let used = state_and_ticks(pid).1 - before;
        assert!(used <= 5, "worker {pid} used {used} ticks of the clock while it was idle");
    }
    std::thread::sleep(Duration::from_secs(5));
    both(&mut host);
    assert_eq!(get(&words(&buffer)[0]), 4);
    host.close().expect("an orderly end");
}

/// How often the threads of this process have been taken off a processor.
fn context_switches() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
    let statuses = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
    let of = |status: String| -> u64 {
        let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
        lines.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
    };
    statuses.map(of).sum()
}

/// Claims HOST-082 together with the test of what happens between a scheduler's last look and its sleep: an idle runtime sleeps, without looking now and then, and
/// all its threads together make at most ten context switches in two seconds.
#[test]
fn an_idle_runtime_is_not_woken() {
    for threads in [false, true] {
        let builder = HostRuntime::builder().subs(2);
        let builder = if threads { builder.threads() } else { builder };
        let (mut host, ids) = host(builder, vec![count()]);
        let (buffer, all) = shared_words(&mut host, 1);
        let (own, scalars): (_, [Scalar; 1]) = ([Argument::NoDependency(&all)], [0u64.into()]);
        host.run(|run| {
            (0..100).try_for_each(|_| run.submit(&host::sub(ids[0]).arguments(&own).scalars(&scalars)).map(drop))
        })
        .expect("it runs");
        assert_eq!(get(&words(&buffer)[0]), 100);
        std::thread::sleep(Duration::from_millis(100));
        let before = context_switches();
        std::thread::sleep(Duration::from_secs(2));
        let switches = context_switches() - before;
        assert!(switches <= 10, "{switches} switches of an idle runtime");
        host.close().expect("an orderly end");
    }
}

extern "C" fn on_signal(_: libc::c_int) {}

/// Installs a handler that does nothing and does not ask for interrupted calls to be restarted. Worker processes inherit it.
fn be_interruptible() {
    // SAFETY: all zero is an action without flags and with an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler does nothing.
    let installed = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(installed, 0);
}

fn interrupted(builder: HostBuilder) {
    const TASKS: u64 = 20_000;
    be_interruptible();
    let once = Callable::sub("once", |task| {
        let words = task_words(task, 0);
        words[1 + task.scalar::<u64>(0)? as usize].fetch_add(1, Ordering::SeqCst);
        words[0].fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let (mut host, ids) = host(builder.subs(2), vec![once]);
    let (buffer, all) = shared_words(&mut host, TASKS as u32 + 1);
    let pids: Vec<i32> =
        host.workers().iter().filter_map(|worker| worker.pid).chain([std::process::id() as i32]).collect();
    let over = AtomicBool::new(false);
    let report = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                for &pid in &pids {
                    // SAFETY: processes of this test, which have a handler.
                    let _sent = unsafe { libc::kill(pid, libc::SIGUSR1) };
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let report = host.run(|run| {
            for task in 0..TASKS {
                let scalars: [Scalar; 1] = [task.into()];
                let own = [Argument::NoDependency(&all)];
                run.submit(&host::sub(ids[0]).arguments(&own).scalars(&scalars))?;
            }
            Ok(())
        });
        over.store(true, Ordering::SeqCst);
        report
    });
    assert_eq!(report.expect("it ends").completed, TASKS);
    let ran = host.read::<u64>(&buffer).expect("no run is on");
    assert_eq!(ran[0], TASKS);
    assert!(ran[1..].iter().all(|&times| times == 1), "a task ran never or twice");
    host.close().expect("an orderly end");
}

/// Claims HOST-088.
#[test]
fn signals_lose_and_double_nothing() {
    crate::stage::on_both(interrupted);
}

/// Where this process has mapped the shared memory of that name.
fn mapped(name: &str) -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.contains(name))?;
    u64::from_str_radix(line.split('-').next()?, 16).ok()
}

/// What a worker that has gone mad does with its frame.
const OUTDATED: u64 = 0;
const NO_STATE: u64 = 1;
const LENGTH: u64 = 2;
const RANDOM_FRAME: u64 = 3;
const RANDOM_MAILBOX: u64 = 4;

/// Writes numbers without meaning over memory.
///
/// # Safety
/// The memory is mapped, and whatever comes of it is what the test is about.
unsafe fn scribble(address: u64, bytes: usize) {
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    for at in 0..bytes / 8 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = (address + 8 * at as u64) as *mut u64;
        // SAFETY: by contract.
        unsafe { std::ptr::write_volatile(place, random | 1 << 63) };
    }
}

/// A worker's double: it answers with what its scalar says in place of the worker's own words, and does not come back.
fn mad() -> Callable {
    Callable::sub("mad", |task| {
        let missing = || KernelError::new(1, "the worker's memory was not found");
        let mailbox = mapped("prewire-mailbox").ok_or_else(missing)?;
        let board = mapped("prewire-board").ok_or_else(missing)?;
        // SAFETY: the worker's own mailbox is mapped there for as long as it lives.
        let shared = unsafe { &*(mailbox as *const Mailbox) };
        // SAFETY: as is the board.
        let board = unsafe { &*(board as *const Board) };
        let running = shared.frames.iter().position(|frame| frame.state.look().phase == Some(Phase::Running));
        let frame = &shared.frames[running.ok_or_else(missing)?];
        let token = frame.state.look().token;
        let word = |phase: u64, token: u32| phase << 32 | u64::from(token);
        match task.scalar::<u64>(0)? {
            OUTDATED => frame.state.write_raw(word(3, token.wrapping_sub(2))),
            NO_STATE => frame.state.write_raw(word(77, token)),
            LENGTH => {
                let length = (&raw const *frame as u64 + 12) as *mut u32;
                // SAFETY: the length of the failure's text, behind the state and the code, in the frame that this worker runs.
                unsafe { std::ptr::write_volatile(length, 1 << 31) };
                let token = Token::from_register(token).ok_or_else(missing)?;
                frame.state.finish(token, false);
            }
            // SAFETY: the frame is mapped.
            RANDOM_FRAME => unsafe { scribble(&raw const *frame as u64, size_of_val(frame)) },
            // SAFETY: the mailbox is mapped.
            _ => unsafe { scribble(mailbox, size_of::<Mailbox>()) },
        }
        loop {
            board.ring_scheduler();
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

/// Claims HOST-084. A thread cannot be ended, so that only processes are asked.
#[test]
fn a_worker_that_answers_nonsense_is_ended_and_nothing_is_believed() {
    let cases = [
        (OUTDATED, "frame field state"),
        (NO_STATE, "frame field state"),
        (LENGTH, "frame field text_bytes: 2147483648"),
        (RANDOM_FRAME, "frame field state"),
        (RANDOM_MAILBOX, "frame field state"),
    ];
    for (how, field) in cases {
        let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![mad(), count()]);
        let cores = [0, 1].map(|id| host.worker(prewire::CoreKind::Vector, id).expect("it is there"));
        let (buffer, all) = shared_words(&mut host, 4);
        let own = [Argument::NoDependency(&all)];
        let failed = host
            .run(|run| {
                let scalars: [Scalar; 1] = [how.into()];
                let task = host::sub(ids[0]).arguments(&own).scalars(&scalars);
                run.submit(&task.placement(Placement::Core(cores[0])))?;
                for _ in 0..500 {
                    let scalars: [Scalar; 1] = [0u64.into()];
                    let task = host::sub(ids[1]).arguments(&own).scalars(&scalars);
                    run.submit(&task.placement(Placement::Core(cores[1])))?;
                }
                Ok(())
            })
            .expect_err("nothing that it said was believed");
        let RunError::KernelFailed { first, failed: 1, unrun: 0 } = &*failed.error else { panic!("{failed}") };
        assert_eq!(first.code, KernelError::LOST, "{failed}");
        let text = failed.to_string();
        assert!(text.contains("sub worker 0") && text.contains(field), "case {how}: {text}");
        assert_eq!(get(&words(&buffer)[0]), 500, "the other worker's tasks ran");
        wait_until("the worker's end", || host.workers()[0].death.is_some());
        assert!(host.workers()[1].death.is_none());
        // Nothing is left of what it wrote: the next run goes on with the other worker.
        set(&words(&buffer)[0], 0);
        let scalars: [Scalar; 1] = [0u64.into()];
        run_one(&mut host, host::sub(ids[1]).arguments(&own).scalars(&scalars));
        assert_eq!(get(&words(&buffer)[0]), 1);
        let begun = Instant::now();
        let _ended_by_force = host.close();
        assert!(begun.elapsed() < crate::rig::LONG);
    }
}
