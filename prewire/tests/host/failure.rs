//! Tasks that fail, panic, or take their worker with them.

use crate::data::shared;
use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, CoreKind, Dependency, Failed, KernelError, KernelFailure, Placement, RunError, Tensor};
use std::sync::atomic::Ordering;

fn first_of(failed: &Failed) -> &KernelFailure {
    match &*failed.error {
        RunError::KernelFailed { first, .. } => first,
        other => panic!("{other}"),
    }
}

/// Leaves a mark at word `scalar 0`, and fails if `scalar 1` is not 0.
pub(crate) fn mark() -> Callable {
    Callable::any("scale", |task| {
        let words = task_words(task, 0);
        words[task.scalar::<u64>(0)? as usize].fetch_add(1, Ordering::SeqCst);
        if task.scalar::<u64>(1)? == 0 { Ok(()) } else { Err(KernelError::new(4, "boom")) }
    })
}

/// Claims HOST-072.
#[test]
fn an_error_names_task_worker_and_text_and_the_worker_lives_on() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![mark()]);
    let pids: Vec<_> = host.workers().iter().map(|worker| worker.pid).collect();
    let (buffer, all) = shared(&mut host, 2);
    let one = host.worker(CoreKind::Vector, 1).expect("a worker");
    let arguments = [Argument::NoDependency(&all)];
    let mut id = None;
    let error = host
        .run(|run| {
            let task = host::sub(ids[0]).arguments(&arguments).placement(Placement::Core(one));
            id = Some(run.submit(&task.scalars(&[0u64.into(), 1u64.into()]))?.id);
            Ok(())
        })
        .expect_err("it fails");
    assert_eq!((first_of(&error).code, first_of(&error).task), (4, id.expect("an id")));
    let text = error.to_string();
    for part in ["boom", "scale", "sub worker 1", &id.expect("an id").to_string()] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    host.run(|run| {
        let task = host::sub(ids[0]).arguments(&arguments).placement(Placement::Core(one));
        run.submit(&task.scalars(&[1u64.into(), 0u64.into()]))?;
        Ok(())
    })
    .expect("the next run");
    assert_eq!(get(&words(&buffer)[1]), 1);
    assert_eq!(host.workers().iter().map(|worker| worker.pid).collect::<Vec<_>>(), pids);
}

/// Claims HOST-073.
#[test]
fn a_panic_is_the_tasks_failure_with_its_place() {
    let panics = Callable::sub("panics", |_| panic!("the bits fell out"));
    let (mut host, ids) = host(HostRuntime::builder().subs(1), vec![panics, mark()]);
    let (buffer, all) = shared(&mut host, 1);
    let pid = host.workers()[0].pid;
    let error = host
        .run(|run| {
            run.submit(&host::sub(ids[0]))?;
            Ok(())
        })
        .expect_err("it panics")
        .to_string();
    assert!(error.contains("the bits fell out") && error.contains("failure.rs:"), "{error}");
    host.run(|run| {
        let arguments = [Argument::NoDependency(&all)];
        run.submit(&host::sub(ids[1]).arguments(&arguments).scalars(&[0u64.into(), 0u64.into()]))?;
        Ok(())
    })
    .expect("the next run");
    assert_eq!((get(&words(&buffer)[0]), host.workers()[0].pid), (1, pid));
}

/// Claims HOST-074.
#[test]
fn exactly_the_dependents_of_a_failure_are_skipped() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![mark()]);
    let (marks, all) = shared(&mut host, 5);
    let (_data, data) = shared(&mut host, 4);
    let part = |at: u32| data.slice(0, at, at + 1, 1).expect("a word");
    let (a, b, c, d) = (part(0), part(1), part(2), part(3));
    let seen = Argument::NoDependency(&all);
    let error = host
        .run(|run| {
            let mut submit = |at: u64, fails: u64, arguments: &[Argument<'_>]| -> Result<_, prewire::SubmitError> {
                let task = host::sub(ids[0]).arguments(arguments);
                Ok(run.submit(&task.scalars(&[at.into(), fails.into()]))?.id)
            };
            submit(0, 0, &[seen, Argument::OutputExisting(&a)])?;
            submit(1, 1, &[seen, Argument::Input(&a), Argument::OutputExisting(&b)])?;
            submit(2, 0, &[seen, Argument::Input(&a), Argument::OutputExisting(&c)])?;
            submit(3, 0, &[seen, Argument::Input(&b), Argument::Input(&c), Argument::OutputExisting(&d)])?;
            wait_until("B's failure", || get(&words(&marks)[1]) == 1);
            std::thread::sleep(std::time::Duration::from_millis(20));
            submit(4, 0, &[seen])?;
            Ok(())
        })
        .expect_err("B fails");
    assert_eq!(words(&marks).iter().map(get).collect::<Vec<_>>(), [1, 1, 1, 0, 1]);
    assert_eq!((error.report.failed, error.report.unrun), (1, 1));

    words(&marks).iter().for_each(|word| set(word, 0));
    let chain = std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        let error = host
            .run(|run| {
                for at in 0..100_000u64 {
                    let arguments = [seen_of(&all), Argument::InOut(&a)];
                    let fails = u64::from(at == 0);
                    run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[0u64.into(), fails.into()]))?;
                }
                Ok(())
            })
            .expect_err("the head fails");
        (error.report.failed, error.report.unrun, get(&words(&marks)[0]))
    });
    assert_eq!(chain.expect("a thread").join().expect("no stack overflow"), (1, 99_999, 1));
}

fn seen_of(tensor: &Tensor) -> Argument<'_> {
    Argument::NoDependency(tensor)
}

/// Claims HOST-075.
#[test]
fn failure_goes_along_data() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![mark()]);
    let (marks, all) = shared(&mut host, 8);
    let (_data, data) = shared(&mut host, 6);
    let part = |from: u32, to: u32| data.slice(0, from, to, 1).expect("words");
    let (x, y, z) = (part(0, 2), part(2, 4), part(4, 6));
    let (z_low, z_high) = (part(4, 5), part(5, 6));
    let seen = Argument::NoDependency(&all);
    host.run(|run| {
        let mut submit = |at: u64, fails: u64, argument: Argument<'_>| -> Result<(), prewire::SubmitError> {
            let arguments = [seen, argument];
            run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[at.into(), fails.into()]))?;
            Ok(())
        };
        // A reader fails; the next writer runs.
        submit(0, 1, Argument::Input(&x))?;
        submit(1, 0, Argument::OutputExisting(&x))?;
        // A writer fails and everything is overwritten: the writer and its reader run.
        submit(2, 1, Argument::OutputExisting(&y))?;
        submit(3, 0, Argument::OutputExisting(&y))?;
        submit(4, 0, Argument::Input(&y))?;
        // Half is overwritten, by a writer that counts as a reader of what is there: it is skipped, and so is a reader of the other half.
        submit(5, 1, Argument::OutputExisting(&z))?;
        submit(6, 0, Argument::OutputExisting(&z_low))?;
        submit(7, 0, Argument::Input(&z_high))?;
        Ok(())
    })
    .expect_err("three fail");
    assert_eq!(words(&marks).iter().map(get).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 1, 0, 0]);
}

/// Claims HOST-076.
#[test]
fn a_failure_is_remembered_when_its_slot_is_gone() {
    let builder = HostRuntime::builder().subs(1).engine(|engine| engine.ring_task_window(8));
    let (mut host, ids) = host(builder, vec![mark()]);
    let (marks, all) = shared(&mut host, 3);
    let (_data, data) = shared(&mut host, 1);
    let seen = Argument::NoDependency(&all);
    let error = host
        .run(|run| {
            run.scope(|run| {
                let arguments = [seen, Argument::OutputExisting(&data)];
                run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[0u64.into(), 1u64.into()]))?;
                for _ in 0..100 {
                    run.submit(&host::sub(ids[0]).arguments(&[seen]).scalars(&[1u64.into(), 0u64.into()]))?;
                }
                Ok(())
            })?;
            let arguments = [seen, Argument::Input(&data)];
            run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[2u64.into(), 0u64.into()]))?;
            Ok(())
        })
        .expect_err("it fails");
    assert_eq!(words(&marks).iter().map(get).collect::<Vec<_>>(), [1, 100, 0]);
    assert!(error.to_string().contains("boom") && error.report.unrun == 1);
}

/// Claims HOST-078.
#[test]
fn a_failed_run_does_not_poison_the_next() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![mark()]);
    let (marks, all) = shared(&mut host, 2);
    let (_data, data) = shared(&mut host, 1);
    let seen = Argument::NoDependency(&all);
    let round = |fails: u64, host: &mut HostRuntime| {
        host.run(|run| {
            if fails != 0 {
                let arguments = [seen, Argument::OutputExisting(&data)];
                run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[0u64.into(), fails.into()]))?;
            }
            let arguments = [seen, Argument::Input(&data)];
            run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[1u64.into(), 0u64.into()]))?;
            Ok(())
        })
    };
    round(1, &mut host).expect_err("it fails");
    assert_eq!(get(&words(&marks)[1]), 0, "the reader was skipped");
    let report = round(0, &mut host).expect("the next run knows nothing of it");
    assert_eq!((report.failed, report.unrun, report.notes.len(), get(&words(&marks)[1])), (0, 0, 0, 1));
}

/// Claims HOST-079.
#[test]
fn a_callback_that_gives_up_ends_its_run() {
    let held = Callable::sub("held", |task| {
        let words = task_words(task, 0);
        words[0].fetch_add(1, Ordering::SeqCst);
        hold(task, || get(&words[1]) != 0)?;
        words[2].fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![held, mark()]);
    let (buffer, all) = shared(&mut host, 4);
    let seen = [Argument::NoDependency(&all)];
    for panics in [false, true] {
        words(&buffer).iter().for_each(|word| set(word, 0));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            host.run(|run| {
                run.open_scope(prewire::ScopeMode::Automatic)?;
                for _ in 0..2 {
                    run.submit(&host::sub(ids[0]).arguments(&seen))?;
                }
                for _ in 0..8 {
                    run.submit(&host::sub(ids[1]).arguments(&seen).scalars(&[3u64.into(), 0u64.into()]))?;
                }
                wait_until("two running tasks", || get(&words(&buffer)[0]) == 2);
                let words = words(&buffer);
                if panics {
                    panic!("enough");
                }
                let error = run.fail("enough");
                set(&words[1], 1);
                Err(error)
            })
        }));
        match outcome {
            Ok(result) => assert!(result.expect_err("it gave up").to_string().contains("enough")),
            Err(panic) => assert_eq!(panic.downcast_ref::<&str>(), Some(&"enough")),
        }
        assert_eq!(get(&words(&buffer)[3]), 0, "the others never ran");
        set(&words(&buffer)[1], 1);
        let report = host.run(|_| Ok(())).expect("the next run");
        assert!(report.rings.iter().all(|ring| ring.left == (0, 0, 0)) && report.scopes_left_open == 0);
    }
}

/// The failure of HOST-032; its order is with the other orders. Claims HOST-032.
#[test]
fn an_explicit_dependency_carries_failure_and_knows_its_tasks() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![mark()]);
    let (marks, all) = shared(&mut host, 3);
    let seen = [Argument::NoDependency(&all)];
    let mut old = None;
    host.run(|run| {
        let first = run.submit(&host::sub(ids[0]).arguments(&seen).scalars(&[0u64.into(), 1u64.into()]))?.id;
        old = Some(first);
        let after = [Dependency::wait_only(first)];
        run.submit(&host::sub(ids[0]).arguments(&seen).scalars(&[1u64.into(), 0u64.into()]).dependencies(&after))?;
        Ok(())
    })
    .expect_err("the first fails");
    assert_eq!(words(&marks).iter().map(get).collect::<Vec<_>>(), [1, 0, 0]);
    let old = old.expect("an id");
    let error = host
        .run(|run| {
            let after = [Dependency::on(old)];
            run.submit(&host::sub(ids[0]).arguments(&seen).scalars(&[2u64.into(), 0u64.into()]).dependencies(&after))?;
            Ok(())
        })
        .expect_err("an earlier run's task")
        .to_string();
    assert!(error.contains(&old.to_string()), "{error}");
}

/// Claims HOST-087.
#[test]
fn a_long_error_is_cut_between_characters() {
    let shout = Callable::sub("shout", |_| Err(KernelError::new(-17, "äß漢🦀".repeat(1000))));
    let (mut host, ids) = host(HostRuntime::builder().subs(1), vec![shout]);
    let error = host
        .run(|run| {
            run.submit(&host::sub(ids[0]))?;
            Ok(())
        })
        .expect_err("it shouts");
    let first = first_of(&error);
    assert_eq!(first.code, -17);
    assert!(first.text.starts_with("äß漢🦀äß") && first.text.ends_with("… (cut)") && first.text.len() <= 2032);
}
