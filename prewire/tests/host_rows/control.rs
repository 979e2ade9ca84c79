//! What workers are told besides tasks: past tasks, past one another, and in bounded time.

use crate::gates::Gates;
use crate::rig::{LONG, get, hold, host, set, task_words, wait_until, words};
use crate::stage::Stage;
use prewire::host::{self, Callable, CommandError, HostBuilder, HostControl, HostError, HostRuntime};
use prewire::{Argument, CoreId, CoreKind, DataType, Placement, Run, SubmitError, Tensor};
use prewire_platform_host::mailbox::Mailbox;
use prewire_platform_host::shared::SharedMemory;
use rustix::process::{Pid, Signal, kill_process};
use std::sync::atomic::Ordering;
use std::time::Duration;

fn pids(host: &HostRuntime) -> Vec<i32> {
    host.workers().iter().map(|worker| worker.pid.expect("a process")).collect()
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a number"), signal).expect("the worker is there");
}

/// Stops a worker, all its threads.
fn stop(pid: i32) {
    signal(pid, Signal::STOP);
    let is_stopped = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task.expect("a thread").path().join("stat")).expect("a thread");
        stat.contains(") T ")
    };
    wait_until("the worker to stop", || {
        std::fs::read_dir(format!("/proc/{pid}/task")).expect("the worker is there").all(is_stopped)
    });
}

/// Counts at word 1 once word 0 is set.
fn counts() -> Callable {
    Callable::sub("counts", |task| {
        let words = task_words(task, 0);
        hold(task, || get(&words[0]) != 0)?;
        words[1].fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

/// Claims HOST-122.
#[test]
fn a_held_command_stalls_no_other_worker() {
    let gates = Gates::new("held");
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![counts()]);
    let buffer = host.buffer(16).expect("a buffer");
    let all = buffer.tensor(&[2], DataType::U64).expect("a tensor");
    let core = host.worker(CoreKind::Vector, 1).expect("it is there");
    let pids = pids(&host);
    let handle = host.submit(|run| {
        let own = [Argument::NoDependency(&all)];
        (0..1000)
            .try_for_each(|_| run.submit(&host::sub(ids[0]).arguments(&own).placement(Placement::Core(core))).map(drop))
    });
    let handle = handle.expect("it is accepted");
    gates.set("hold-load", pids[0]);
    let control = host.control();
    std::thread::scope(|threads| {
        let registration = threads.spawn(|| host.register(gates.bump()));
        wait_until("worker 0 to be held in a command", || gates.count("loaded", pids[0]) == 1);
        set(&words(&buffer)[0], 1);
        let report = handle.wait().expect("worker 1 runs its tasks");
        assert_eq!((report.completed, get(&words(&buffer)[1])), (1000, 1000));
        control.query(CoreKind::Vector, 1).expect("worker 1 takes a command of its own");
        assert_eq!(gates.count("loaded", pids[1]), 1, "and its part of the held one");
        assert!(!registration.is_finished(), "worker 0 is held");
        gates.clear("hold-load", pids[0]);
        registration.join().expect("no panic").expect("worker 0 has loaded it, too");
    });
    assert!(gates.is_mapped(pids[0]));
    host.close().expect("an orderly end");
}

/// Claims HOST-123.
#[test]
fn a_worker_carries_out_commands_in_the_middle_of_a_task() {
    let gates = Gates::new("middle");
    let mut stage = Stage::subs(HostRuntime::builder(), 1);
    let play = &stage.play;
    let handle = stage.host.submit(|run| play.submit(run, 0, &[]).map(drop)).expect("it is accepted");
    play.wait_for(0);
    let pid = pids(&stage.host)[0];
    let before = stage.host.query(CoreKind::Vector, 0).expect("it answers");
    let late = stage.host.register(gates.bump()).expect("it loads");
    assert!(gates.is_mapped(pid), "the worker has loaded it");
    let buffer = stage.host.buffer(8).expect("a buffer");
    let after = stage.host.query(CoreKind::Vector, 0).expect("it answers");
    assert_ne!(before, after, "the worker says how many buffers it has");
    assert_eq!((handle.is_over(), stage.play.ended()), (false, Vec::new()), "the task was not released");
    stage.play.release(0);
    assert_eq!(handle.wait().expect("it runs").completed, 1);
    let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    stage.host.run(|run| run.submit(&host::sub(late).arguments(&[Argument::InOut(&word)])).map(drop)).expect("it runs");
    assert_eq!(stage.host.read::<u64>(&buffer).expect("no run is on"), [7]);
    stage.host.close().expect("an orderly end");
}

/// The mailboxes that this process has mapped now, as mappings of the test's own.
fn mailboxes() -> Vec<SharedMemory> {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("/proc").flatten();
    let is_mailbox = |path: &std::path::Path| {
        std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains("prewire-mailbox"))
    };
    let paths = descriptors.map(|entry| entry.path()).filter(|path| is_mailbox(path));
    let open = |path: std::path::PathBuf| {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("it can be opened again");
        SharedMemory::map(file.into(), size_of::<Mailbox>()).expect("it can be mapped again")
    };
    paths.map(open).collect()
}

fn bytes(memory: &SharedMemory) -> Vec<u8> {
    // SAFETY: mapped for the life of the mapping; its worker is gone, and a byte that somebody writes all the same is what is looked for.
    unsafe { std::slice::from_raw_parts(memory.address().as_ptr(), memory.bytes()) }.to_vec()
}

/// A host of one sub worker that is replaced once, with short commands.
fn impatient() -> HostBuilder {
    HostRuntime::builder().subs(1).restarts(1).command_timeout(Duration::from_millis(200))
}

fn bump_on(run: &mut Run<'_>, id: host::CallableId, core: CoreId, word: &Tensor) -> Result<(), SubmitError> {
    run.submit(&host::sub(id).arguments(&[Argument::InOut(word)]).placement(Placement::Core(core))).map(drop)
}

/// What may be commanded, and what errors call it.
type Commanded = fn(&mut HostRuntime, host::CallableId, &Gates) -> Result<(), String>;
const COMMANDS: [(&str, Commanded); 4] = [
    ("say its status", |host, _, _| host.query(CoreKind::Vector, 0).map(drop).map_err(|error| error.to_string())),
    ("register a library symbol", |host, _, gates| {
        host.register(gates.other()).map(drop).map_err(|error| error.to_string())
    }),
    ("unregister a callable", |host, id, _| host.unregister(id).map(drop).map_err(|error| error.to_string())),
    ("import a buffer", |host, _, _| host.buffer(8).map(drop).map_err(|error| error.to_string())),
];

/// Claims HOST-124, the time-outs.
#[test]
fn a_command_that_is_not_answered_ends_its_worker_in_time() {
    let by_default = format!("{:?}", HostRuntime::builder());
    assert!(by_default.contains("command_timeout: 30s"), "{by_default}");
    for (name, command) in COMMANDS {
        let gates = Gates::new("silent");
        let adds = Callable::sub("adds", |task| {
            task.output::<u64>(0)?.as_mut_slice()[0] += 1;
            Ok(())
        });
        let (mut host, ids) = host(impatient(), vec![adds]);
        let late = host.register(gates.bump()).expect("it loads");
        let buffer = host.buffer(8).expect("a buffer");
        let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
        let core = host.worker(CoreKind::Vector, 0).expect("it is there");
        host.run(|run| bump_on(run, ids[0], core, &word)).expect("it runs");
        let (pid, old) = (pids(&host)[0], mailboxes());
        assert_eq!(old.len(), 1);
        stop(pid);
        let error = command(&mut host, late, &gates).expect_err("nobody answers");
        for part in [name, "sub worker 0", "200 ms"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!std::path::Path::new(&format!("/proc/{pid}/mem")).exists() || is_zombie(pid), "the worker was ended");
        let before = bytes(&old[0]);
        wait_until("the replacement", || host.workers()[0].death.is_none() && pids(&host)[0] != pid);
        host.query(CoreKind::Vector, 0).expect("the replacement answers");
        host.run(|run| (0..10).try_for_each(|_| bump_on(run, ids[0], core, &word))).expect("it runs");
        assert_eq!(host.read::<u64>(&buffer).expect("no run is on"), [11]);
        assert!(bytes(&old[0]) == before, "{name}: the mailbox of the worker that was ended was used");
        host.close().expect("an orderly end");
    }
}

/// What nobody waits for has an end as well: a worker that takes nothing in is given up, and does not hold up who tells it.
#[test]
fn a_worker_that_takes_nothing_in_holds_nobody_up() {
    let (mut host, _) = host(impatient(), vec![counts()]);
    // More than a channel has room for.
    let many: Vec<_> = (0..3000).map(|_| host.buffer(8).expect("a buffer")).collect();
    let pid = pids(&host)[0];
    stop(pid);
    drop(many);
    wait_until("the replacement", || host.workers()[0].death.is_none() && pids(&host)[0] != pid);
    host.query(CoreKind::Vector, 0).expect("the replacement answers");
    host.close().expect("an orderly end");
}

fn is_zombie(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z"))
}

/// What a worker says while it is stopped and then killed.
fn killed_meanwhile(host: &HostRuntime, control: &HostControl, pid: i32) -> HostError {
    stop(pid);
    std::thread::scope(|threads| {
        let query = threads.spawn(|| control.query(CoreKind::Vector, 0));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!query.is_finished() && host.workers()[0].death.is_none());
        signal(pid, Signal::KILL);
        query.join().expect("no panic").expect_err("it died first")
    })
}

/// Claims HOST-124, the deaths.
#[test]
fn a_command_to_a_worker_that_dies_fails_with_its_death() {
    let gates = Gates::new("dies");
    let builder = HostRuntime::builder().subs(1).command_timeout(LONG);
    let (mut host, ids) = host(builder, vec![counts()]);
    let pid = pids(&host)[0];
    let error = killed_meanwhile(&host, &host.control(), pid);
    let HostError::Command(CommandError::Died { worker, command, death }) = &error else { panic!("{error}") };
    assert_eq!((worker.as_str(), *command), ("sub worker 0", "say its status"));
    assert!(death.contains(&format!("pid {pid}")) && death.contains("signal 9"), "{error}");
    // Nothing more comes to it: a later command fails with the same death, a later task finds no worker.
    let old = mailboxes();
    let before: Vec<_> = old.iter().map(bytes).collect();
    let error = host.query(CoreKind::Vector, 0).expect_err("it is dead").to_string();
    assert!(error.contains("signal 9"), "{error}");
    let failed = host.run(|run| run.submit(&host::sub(ids[0])).map(drop)).expect_err("there is no worker").to_string();
    assert!(failed.contains("sub worker 0"), "{failed}");
    assert!(old.iter().map(bytes).eq(before), "the mailbox of a dead worker was used");

    // In the middle of a command, too.
    let (mut host, _) = self::host(HostRuntime::builder().subs(1).command_timeout(LONG), vec![counts()]);
    let pid = pids(&host)[0];
    gates.set("hold-load", pid);
    let error = std::thread::scope(|threads| {
        let registration = threads.spawn(|| host.register(gates.bump()));
        wait_until("the worker to be held in a command", || gates.count("loaded", pid) == 1);
        signal(pid, Signal::KILL);
        registration.join().expect("no panic").expect_err("it died first").to_string()
    });
    for part in ["sub worker 0", "register a library symbol", "signal 9"] {
        assert!(error.contains(part), "{error}");
    }
}

/// Claims HOST-125.
#[test]
fn a_broadcast_reaches_all_workers_at_the_same_time() {
    let gates = Gates::new("broadcast");
    let builder = HostRuntime::builder().next_level_ids(&[7, 2, 4, 0]).subs(12).command_timeout(LONG);
    let (mut host, _) = host(builder, vec![Callable::any("nothing", |_| Ok(()))]);
    // Each worker, once it loads the library, waits until as many have begun to, besides this process.
    pids(&host).iter().for_each(|&pid| gates.set("meet", pid));
    let (_, outcomes) = host.register_with_outcomes(gates.bump()).expect("all have met");
    let told: Vec<_> = outcomes.iter().map(|each| (each.kind, each.id)).collect();
    let next_level = [0, 2, 4, 7].map(|id| (CoreKind::Cube, id));
    assert_eq!(told, next_level.into_iter().chain((0..12).map(|id| (CoreKind::Vector, id))).collect::<Vec<_>>());
    assert!(outcomes.iter().all(|each| each.outcome.is_ok()), "{outcomes:?}");
    assert!(pids(&host).iter().all(|&pid| gates.count("loaded", pid) == 1));
    host.close().expect("an orderly end");
}
