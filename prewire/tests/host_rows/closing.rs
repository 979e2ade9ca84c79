//! Closing: what was accepted is drained, what is held is named, and everybody who closes is told the same.

use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, CallableId, HostBuilder, HostError, HostRuntime};
use prewire::{Argument, Buffer, DataType, RunError, Tensor};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

fn adds() -> Callable {
    Callable::sub("adds", |task| {
        task.output::<u64>(0)?.as_mut_slice()[0] += 1;
        Ok(())
    })
}

/// Two words: what has started, and whether it may end.
fn held() -> Callable {
    Callable::sub("held", |task| {
        let words = task_words(task, 0);
        words[0].fetch_add(1, Ordering::SeqCst);
        hold(task, || get(&words[1]) != 0)
    })
}

/// Never returns, whatever it is told.
fn stubborn() -> Callable {
    Callable::sub("stubborn", |task| {
        set(&task_words(task, 0)[0], 1);
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    })
}

fn two_words(host: &mut HostRuntime) -> (Buffer, Tensor) {
    let buffer = host.buffer(16).expect("a buffer");
    let all = buffer.tensor(&[2], DataType::U64).expect("a tensor");
    (buffer, all)
}

/// Submits while another thread closes, until it is refused. Returns how many runs were accepted.
fn submits_until_closed(host: &HostRuntime, adds: CallableId, word: &Tensor, close_after: usize) -> usize {
    const TASKS: u64 = 3;
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        let closer = scope.spawn(|| {
            start.wait();
            for _ in 0..close_after {
                std::hint::spin_loop();
            }
            host.close()
        });
        start.wait();
        let mut handles = Vec::new();
        let refused = loop {
            let submitted = host.submit(|run| {
                for _ in 0..TASKS {
                    run.submit(&host::sub(adds).arguments(&[Argument::InOut(word)]))?;
                }
                Ok(())
            });
            match submitted {
                Ok(handle) => handles.push(handle),
                Err(failed) => break failed,
            }
        };
        assert!(matches!(*refused.error, RunError::Closed) && refused.to_string().contains("clos"), "{refused}");
        closer.join().expect("it does not panic").expect("an orderly end");
        for handle in &handles {
            assert!(handle.is_over(), "closing waited for it");
            let report = handle.wait().expect("it was accepted");
            assert_eq!((report.completed, report.failed, report.unrun), (TASKS, 0, 0));
        }
        handles.len()
    })
}

/// A round of a race. Returns how many runs came before the close.
fn race(round: usize) -> usize {
    let builder = HostRuntime::builder().subs(1).engine(|engine| engine.ring_task_window(64).ring_heap(1 << 16));
    let builder = if round.is_multiple_of(5) { builder } else { builder.threads() };
    let (mut host, ids) = host(builder, vec![adds()]);
    let buffer = host.buffer(8).expect("a buffer");
    let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    let accepted = submits_until_closed(&host, ids[0], &word, round * 37 % 4000);
    assert_eq!(get(&words(&buffer)[0]), 3 * accepted as u64, "round {round}");
    accepted
}

/// Claims HOST-108. The close comes at another moment in each round: before the first submit, in one, and between two. Every fifth round has a worker process, the
/// others a thread, which starts faster; and rounds go side by side, as they wait for the most part.
#[test]
fn a_submit_that_races_a_close_is_drained_or_refused() {
    const LANES: usize = 4;
    let accepted: Vec<usize> = std::thread::scope(|scope| {
        let lane = |lane: usize| (lane..1000).step_by(LANES).map(race).collect::<Vec<usize>>();
        let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(move || lane(number))).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("it does not panic")).collect()
    });
    assert_eq!(accepted.len(), 1000);
    assert!(accepted.iter().any(|&count| count > 1), "some runs came before their close");
}

fn held_task_is_named(builder: HostBuilder) {
    let (mut host, ids) = host(builder.subs(2), vec![held(), adds()]);
    let (buffer, all) = two_words(&mut host);
    let handle = host
        .submit(|run| run.submit(&host::sub(ids[0]).arguments(&[Argument::NoDependency(&all)])).map(drop))
        .expect("it is accepted");
    wait_until("the start of the task", || get(&words(&buffer)[0]) == 1);
    for _ in 0..2 {
        let error = host.close_within(Duration::from_millis(500)).expect_err("a task is held");
        assert!(matches!(error, HostError::CloseTimedOut { timeout_ms: 500, .. }), "{error}");
        let text = error.to_string();
        assert!(["timed out", "held", "sub worker", "run 1"].iter().all(|part| text.contains(part)), "{text}");
        assert!(host.workers().iter().all(|worker| worker.death.is_none()), "nobody was ended");
        let refused = host.submit(|_| Ok(())).expect_err("it closes").to_string();
        assert!(refused.contains("clos"), "{refused}");
    }
    set(&words(&buffer)[1], 1);
    host.close().expect("an orderly end");
    assert_eq!(handle.wait().expect("it was drained").completed, 1);
}

/// Claims HOST-109.
#[test]
fn a_close_that_times_out_names_the_task_and_can_be_repeated_and_one_that_may_kill_kills() {
    held_task_is_named(HostRuntime::builder());
    held_task_is_named(HostRuntime::builder().threads());
    let builder = HostRuntime::builder().subs(2).restarts(1).kill_at_close(Duration::from_secs(600));
    let (mut host, ids) = host(builder, vec![stubborn(), adds()]);
    let (buffer, all) = two_words(&mut host);
    let other = host.buffer(8).expect("a buffer");
    let word = other.tensor(&[1], DataType::U64).expect("a tensor");
    let handle = host
        .submit(|run| {
            run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(&all)]))?;
            run.submit(&host::sub(ids[1]).arguments(&[Argument::InOut(&word), Argument::Input(&all)])).map(drop)
        })
        .expect("it is accepted");
    wait_until("the start of the task", || get(&words(&buffer)[0]) == 1);
    let error = host.close_within(Duration::from_millis(100)).expect_err("one had to be killed").to_string();
    assert!(error.contains("sub worker") && error.contains("signal 9") && error.contains("100 ms"), "{error}");
    let failed = handle.wait().expect_err("its task was killed");
    assert!(failed.to_string().contains("the runtime was closed"), "{failed}");
    assert_eq!(get(&words(&other)[0]), 0, "what depends on the killed task never ran");
    assert_eq!(host.close().expect_err("everybody is told the same").to_string(), error);
}

/// A runtime that is dropped with a task held does not wait for it where it may kill.
#[test]
fn a_drop_that_may_kill_does_not_wait_for_ever() {
    let builder = HostRuntime::builder().subs(1).kill_at_close(Duration::from_millis(100));
    let (mut host, ids) = host(builder, vec![stubborn()]);
    let (buffer, all) = two_words(&mut host);
    let handle = host
        .submit(|run| run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(&all)])).map(drop))
        .expect("it is accepted");
    wait_until("the start of the task", || get(&words(&buffer)[0]) == 1);
    drop(host);
    assert!(handle.wait().is_err());
}

/// Claims HOST-112. Two threads close at the same moment a runtime of which one worker ends with status 3: both are told so, and every worker ran its end once.
#[test]
fn a_close_inside_a_callback_is_refused_and_two_at_once_are_told_the_same() {
    let (host, ids) = host(HostRuntime::builder().subs(1), vec![adds()]);
    let mut inside = None;
    let handle = host.submit(|_| {
        inside = Some(host.close());
        Ok(())
    });
    handle.expect("the callback goes on").wait().expect("it is an ordinary run");
    let error = inside.expect("it was called").expect_err("it would wait for itself").to_string();
    assert!(error.contains("inside"), "{error}");
    host.submit(|run| {
        let named = [prewire::NewTensor::new(&[1], DataType::U64)];
        run.submit(&host::sub(ids[0]).arguments(&[Argument::Output(named[0])])).map(drop)
    })
    .expect("nothing was closed")
    .wait()
    .expect("the worker is there");
    host.close().expect("an orderly end");

    for round in 0..20 {
        let ends = Arc::new(std::env::temp_dir().join(format!("prewire-ends-{}-{round}", std::process::id())));
        std::fs::create_dir_all(&*ends).expect("a folder");
        let folder = ends.clone();
        let builder = HostRuntime::builder().subs(2).initialise_with_end(prewire::CoreKind::Vector, move |id| {
            let folder = folder.clone();
            Ok(move || {
                // A second end would find the file there.
                std::fs::File::create_new(folder.join(id.to_string())).expect("it ends once");
                if id == 1 {
                    // SAFETY: it ends this worker.
                    unsafe { libc::_exit(3) };
                }
            })
        });
        let (host, _) = crate::rig::host(builder, vec![adds()]);
        let (start, told) = (Barrier::new(2), AtomicBool::new(false));
        let outcomes: Vec<Option<String>> = std::thread::scope(|scope| {
            let close = || {
                start.wait();
                let outcome = host.close().err().map(|error| error.to_string());
                told.store(true, Ordering::SeqCst);
                outcome
            };
            let closers = [scope.spawn(close), scope.spawn(close)];
            closers.into_iter().map(|closer| closer.join().expect("it does not panic")).collect()
        });
        let error = outcomes[0].clone().expect("worker 1 ends with a status of its own");
        assert!(error.contains("sub worker 1") && error.contains("status 3"), "{error}");
        assert_eq!(outcomes[0], outcomes[1]);
        assert!(told.load(Ordering::SeqCst));
        assert_eq!(std::fs::read_dir(&*ends).expect("the folder").count(), 2);
        std::fs::remove_dir_all(&*ends).expect("it can be removed");
    }
}
