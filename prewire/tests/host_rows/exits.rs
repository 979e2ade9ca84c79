//! The ways in which a program with workers can end, and what is left behind.

use crate::rig::{LONG, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, HostBuilder, HostRuntime};
use prewire::{Argument, DataType, KernelError};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Return,
    Error,
    Panic,
    Exit,
    Terminated,
    Killed,
}

use Ending::{Error, Exit, Killed, Panic, Return, Terminated};

/// State, parent and process group of a process.
fn facts_of(pid: i32) -> Option<(char, i32, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn processes() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Everything below a process.
fn below(pid: i32) -> Vec<i32> {
    let all = processes();
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(all.iter().filter(|&&child| facts_of(child).is_some_and(|(_, known, _)| known == parent)));
        at += 1;
    }
    found.split_off(1)
}

fn shared_memory() -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = std::fs::read_dir("/dev/shm")
        .map_or_else(|_| Vec::new(), |all| all.flatten().map(|each| each.file_name()).collect());
    names.sort();
    names
}

/// A second, in looks: on a machine that has no time a look takes longer.
fn within_a_second(what: &str, ending: Ending, done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{ending:?}: {what}");
}

fn lower(_: u32) -> (HostBuilder, ()) {
    (HostRuntime::builder().subs(1), ())
}

fn fails() -> Callable {
    Callable::sub("fails", |_| Err(KernelError::new(1, "on purpose")))
}

fn spins() -> Callable {
    Callable::sub("spins", |task| {
        set(&task_words(task, 0)[0], 1);
        loop {
            std::hint::spin_loop();
        }
    })
}

/// The program: it makes a tree of workers, waits until it was looked at, and ends as it is told to.
#[expect(clippy::disallowed_methods, reason = "what it skips is what is tried out here")]
fn program(ending: Ending, go: &mut dyn FnMut()) -> Result<(), Box<dyn std::error::Error>> {
    let builder = HostRuntime::builder().level(4).next_level(1).subs(2).hosts(lower);
    let (mut host, ids) = host(builder, vec![fails(), spins()]);
    let buffer = host.buffer(8)?;
    let word = buffer.tensor(&[1], DataType::U64)?;
    if matches!(ending, Exit | Terminated | Killed) {
        // Nobody waits for what a worker is inside of.
        let _running =
            host.submit(|run| run.submit(&host::sub(ids[1]).arguments(&[Argument::InOut(&word)])).map(drop))?;
        wait_until("the task", || crate::rig::get(&words(&buffer)[0]) == 1);
        go();
        if ending == Exit {
            std::process::exit(0);
        }
        std::thread::sleep(LONG);
        return Ok(());
    }
    go();
    match ending {
        Error => {
            host.run(|run| run.submit(&host::sub(ids[0])).map(drop))?;
        }
        Panic => panic!("a program that panics, with its workers"),
        _ => host.close()?,
    }
    Ok(())
}

/// What the copy of this process does. It survives its program, if that lets it.
fn copy(ending: Ending, mut tell: std::io::PipeWriter, mut told: std::io::PipeReader) -> ! {
    // SAFETY: it makes a group of this process and those that it makes.
    unsafe { libc::setpgid(0, 0) };
    // A panic of the program is no message of this test.
    std::panic::set_hook(Box::new(|_| {}));
    let mut go = || {
        tell.write_all(b"g").expect("the test listens");
        told.read_exact(&mut [0]).expect("the test answers");
    };
    let ended = catch_unwind(AssertUnwindSafe(|| program(ending, &mut go)));
    let as_told = match ending {
        Return => matches!(ended, Ok(Ok(()))),
        Error => matches!(ended, Ok(Err(_))),
        _ => ended.is_err(),
    };
    // SAFETY: it asks for children, of which there are none.
    let childless = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } == -1;
    tell.write_all(if as_told && childless { b"y" } else { b"n" }).expect("the test listens");
    told.read_exact(&mut [0]).expect("the test answers");
    // SAFETY: it ends this process.
    unsafe { libc::_exit(0) }
}

fn leaves_nothing(ending: Ending) {
    let before = shared_memory();
    let (mut from_copy, tell) = std::io::pipe().expect("a pipe");
    let (told, mut to_copy) = std::io::pipe().expect("a pipe");
    // SAFETY: the copy leaves without unwinding.
    let pid = match unsafe { libc::fork() } {
        0 => {
            drop((from_copy, to_copy));
            copy(ending, tell, told)
        }
        pid => pid,
    };
    drop((tell, told));
    let mut word = [0];
    from_copy.read_exact(&mut word).expect("it makes its workers");
    let tree = below(pid);
    // Two launchers, two sub workers, a next-level worker, and its sub worker.
    assert!(tree.len() >= 6, "{ending:?}: {tree:?}");
    let is_gone = |pid: i32| facts_of(pid).is_none_or(|(state, ..)| state == 'Z');
    assert!(tree.iter().all(|&member| !is_gone(member)));
    let survives = matches!(ending, Return | Error | Panic);
    match ending {
        // SAFETY: it signals the copy.
        Terminated => drop(unsafe { libc::kill(pid, libc::SIGTERM) }),
        // SAFETY: as above.
        Killed => drop(unsafe { libc::kill(pid, libc::SIGKILL) }),
        _ => to_copy.write_all(&[1]).expect("it listens"),
    }
    if survives {
        from_copy.read_exact(&mut word).expect("it survives");
        assert_eq!(word, *b"y", "{ending:?}: it ended as it was told to, and without a child");
    } else {
        // SAFETY: it waits for the copy.
        assert_eq!(unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }, pid);
    }
    within_a_second("a process is left", ending, || tree.iter().all(|&member| is_gone(member)));
    within_a_second("a process of the group is left", ending, || {
        let of_group = |&other: &i32| facts_of(other).is_some_and(|(state, _, group)| group == pid && state != 'Z');
        processes().iter().filter(|&&other| other != pid).all(|other| !of_group(other))
    });
    within_a_second("shared memory is left", ending, || shared_memory() == before);
    if survives {
        let children = below(pid);
        assert!(children.is_empty(), "{ending:?}: {children:?}");
        to_copy.write_all(&[1]).expect("it listens");
        // SAFETY: it waits for the copy.
        assert_eq!(unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }, pid);
    }
}

/// Claims HOST-110.
#[test]
fn no_way_to_end_leaves_anything() {
    for ending in [Return, Error, Panic, Exit, Terminated, Killed] {
        leaves_nothing(ending);
    }
}
