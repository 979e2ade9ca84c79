//! Callables that come and go: undone where they cannot be everywhere, counted where they are the same, kept while they are in use.

use crate::gates::{Gates, symbol};
use crate::rig::{host, wait_until};
use prewire::host::{self, Callable, CallableId, HostError, HostRuntime};
use prewire::{Argument, CoreKind, DataType, Placement, RunError, Tensor};
use rustix::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

fn pids(host: &HostRuntime) -> Vec<i32> {
    host.workers().iter().map(|worker| worker.pid.expect("a process")).collect()
}

fn folder_fd(path: &std::path::Path) -> OwnedFd {
    std::fs::File::open(path).expect("the folder is there").into()
}

/// A path that leads to the library everywhere but in worker 2: by the number of a descriptor that stands for another folder there.
fn path_by_descriptor(gates: &Gates) -> (PathBuf, i32, PathBuf) {
    let elsewhere = gates.folder().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).expect("a folder");
    let number = folder_fd(gates.folder()).into_raw_fd();
    (PathBuf::from(format!("/proc/self/fd/{number}/libgates.so")), number, elsewhere)
}

fn three_workers(number: i32, elsewhere: PathBuf) -> host::HostBuilder {
    let builder = HostRuntime::builder().subs(3).restarts(2).command_timeout(Duration::from_millis(500));
    builder.initialise(CoreKind::Vector, move |id| {
        if id == 2 {
            let other = folder_fd(&elsewhere);
            // SAFETY: the number is the folder's that this process inherited, and nobody else uses it.
            let mut place = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
            rustix::io::dup2(&other, &mut place).map_err(|error| error.to_string())?;
            assert_eq!(place.as_raw_fd(), number);
        }
        Ok(())
    })
}

fn run_on_each(host: &mut HostRuntime, id: CallableId, word: &Tensor) {
    let cores: Vec<_> = (0..3).map(|at| host.worker(CoreKind::Vector, at).expect("it is there")).collect();
    host.run(|run| {
        cores.iter().try_for_each(|&core| {
            run.submit(&host::sub(id).arguments(&[Argument::InOut(word)]).placement(Placement::Core(core))).map(drop)
        })
    })
    .expect("it runs");
}

/// Claims HOST-016.
#[test]
fn a_registration_that_fails_somewhere_is_undone_everywhere() {
    let gates = Gates::new("undone");
    let (path, number, elsewhere) = path_by_descriptor(&gates);
    let adds = Callable::sub("adds", |task| {
        task.output::<u64>(0)?.as_mut_slice()[0] += 1;
        Ok(())
    });
    let (mut host, ids) = host(three_workers(number, elsewhere), vec![adds]);
    let buffer = host.buffer(8).expect("a buffer");
    let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    let before = pids(&host);

    let error = host.register(symbol("bump", &path, "bump")).expect_err("worker 2 has no such library");
    let HostError::Registration { each, .. } = &error else { panic!("{error}") };
    assert_eq!(each.len(), 3, "{error}");
    assert!(each[0].contains("sub worker 0: done") && each[1].contains("sub worker 1: done"), "{error}");
    assert!(each[2].contains("sub worker 2") && each[2].contains("libgates.so"), "{error}");
    for &pid in &before[..2] {
        assert_eq!((gates.count("loaded", pid), gates.count("unloaded", pid)), (1, 1), "it was undone");
        assert!(!gates.is_mapped(pid));
    }
    // It may be tried again, with the number that was not used up.
    let good = host.register(gates.other()).expect("every worker can load it by its own path");
    assert_eq!(good.kernel().0, ids[0].kernel().0 + 1);
    assert!(host.unregister(good).expect("they answer"));

    // Worker 0 is held in the undoing, until it is given up.
    gates.set("hold-unload", before[0]);
    let error = host.register(symbol("bump", &path, "bump")).expect_err("it fails as before");
    let HostError::Uncertain { each, .. } = &error else { panic!("{error}") };
    assert_eq!(each.len(), 3, "{error}");
    assert!(each[0].contains("sub worker 0") && each[0].contains("500 ms") && each[1].contains("done"), "{error}");
    assert!(error.to_string().contains("uncertain"), "{error}");
    for _ in 0..2 {
        let error = host.register(symbol("bump", &path, "bump")).expect_err("nobody knows who has it");
        assert!(error.to_string().contains("uncertain"), "{error}");
    }
    wait_until("the replacement of worker 0", || host.workers()[0].death.is_none() && pids(&host)[0] != before[0]);
    // All others work, those from before and those that come now.
    run_on_each(&mut host, ids[0], &word);
    let late = host.register(gates.other()).expect("another one loads");
    assert!(late.kernel() > ids[0].kernel());
    run_on_each(&mut host, late, &word);
    assert_eq!(host.read::<u64>(&buffer).expect("no run is on"), [303]);
    host.close().expect("an orderly end");
}

/// A run of one task with the callable is refused, and nothing of it was begun.
fn refused(host: &mut HostRuntime, id: CallableId, word: &Tensor, why: &str) {
    let failed = host.run(|run| run.submit(&host::sub(id).arguments(&[Argument::InOut(word)])).map(drop));
    let failed = failed.expect_err("it is refused");
    assert!(matches!(&*failed.error, RunError::Refused(_)), "{failed}");
    assert!(failed.to_string().contains(why), "{failed}");
    assert_eq!(failed.report.tasks, 0);
    assert!(failed.report.rings.iter().all(|ring| ring.window.0 == 0), "a slot was used");
}

/// Claims HOST-017.
#[test]
fn a_symbol_is_loaded_once_and_stays_for_its_last_handle() {
    let gates = Gates::new("twice");
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![Callable::sub("nothing", |_| Ok(()))]);
    let buffer = host.buffer(8).expect("a buffer");
    let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    let [first, second] = [0, 1].map(|_| host.register(gates.bump()).expect("it loads"));
    assert_ne!(first, second);
    let pids = pids(&host);
    assert!(pids.iter().all(|&pid| gates.count("loaded", pid) == 1), "one load for each worker");
    let cores = [0, 1].map(|id| host.worker(CoreKind::Vector, id).expect("it is there"));
    let run = |host: &mut HostRuntime, id: CallableId| {
        host.run(|run| {
            cores.iter().try_for_each(|&core| {
                run.submit(&host::sub(id).arguments(&[Argument::InOut(&word)]).placement(Placement::Core(core)))
                    .map(drop)
            })
        })
        .expect("it runs");
        host.read::<u64>(&buffer).expect("no run is on")[0]
    };
    assert_eq!([run(&mut host, first), run(&mut host, second)], [14, 28]);
    assert!(host.unregister(first).expect("they answer"));
    assert!(!host.unregister(first).expect("nobody is asked"), "it is not registered any more");
    assert_eq!(run(&mut host, second), 42, "the other handle's is there");
    refused(&mut host, first, &word, "unregistered");
    assert!(host.unregister(second).expect("they answer"));
    assert!(pids.iter().all(|&pid| !gates.is_mapped(pid) && gates.count("unloaded", pid) == 1), "it is gone");
    // Another callable may get the number; the handles that were given back do not mean it.
    let other = host.register(gates.other()).expect("it loads");
    assert!([first.kernel(), second.kernel()].contains(&other.kernel()), "the number is used again");
    refused(&mut host, first, &word, "unregistered");
    refused(&mut host, second, &word, "unregistered");
    assert_eq!(run(&mut host, other), 242);

    let (mut another, _) = self::host(HostRuntime::builder().subs(1), vec![Callable::sub("nothing", |_| Ok(()))]);
    let theirs = another.buffer(8).expect("a buffer");
    let theirs = theirs.tensor(&[1], DataType::U64).expect("a tensor");
    for id in [ids[0], other] {
        refused(&mut another, id, &theirs, "another runtime");
    }
    another.close().expect("an orderly end");
    host.close().expect("an orderly end");
}

/// Claims HOST-018.
#[test]
fn what_is_in_flight_keeps_its_callable() {
    let (gates, others) = (Gates::new("flight"), Gates::new("meanwhile"));
    let (mut host, _) = host(HostRuntime::builder().subs(1), vec![Callable::sub("nothing", |_| Ok(()))]);
    let buffer = host.buffer(8).expect("a buffer");
    let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    let late = host.register(gates.bump()).expect("it loads");
    let pid = pids(&host)[0];
    // The first of the eleven is held in the middle, the others are queued behind it.
    let held = gates.hold("hold-call", pid);
    let handle = host.submit(|run| {
        (0..11).try_for_each(|_| run.submit(&host::sub(late).arguments(&[Argument::InOut(&word)])).map(drop))
    });
    let handle = handle.expect("it is accepted");
    wait_until("the first to run", || gates.count("called", pid) == 1);
    assert!(host.unregister(late).expect("nobody is asked yet"));
    assert!(!host.unregister(late).expect("nobody is asked yet"), "it is not registered any more");
    let meanwhile = host.register(others.other()).expect("it loads");
    assert_ne!(meanwhile.kernel(), late.kernel(), "the number is not free yet");
    host.query(CoreKind::Vector, 0).expect("it answers");
    assert!(gates.is_mapped(pid) && !handle.is_over(), "the worker was told nothing of it yet");
    drop(held);
    assert_eq!(handle.wait().expect("all of them run").completed, 11);
    assert_eq!(host.read::<u64>(&buffer).expect("no run is on"), [77]);
    // What the worker is told now comes behind its being told to forget.
    host.query(CoreKind::Vector, 0).expect("it answers");
    assert!(!gates.is_mapped(pid) && gates.count("unloaded", pid) == 1);
    refused(&mut host, late, &word, "unregistered");
    let again = host.register(gates.bump()).expect("it loads");
    assert_eq!(again.kernel(), late.kernel(), "the number is free again");
    host.close().expect("an orderly end");
}
