//! Where tasks run and in which order: any worker, a named worker, groups, dependencies.

use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, CallableId, HostBuilder, HostRuntime};
use prewire::{Argument, Buffer, CoreKind, DataType, Dependency, KernelError, Member, Placement, Scalar, Tensor};
use std::sync::atomic::Ordering;

/// A word that tasks share without being ordered by it.
fn shared(host: &mut HostRuntime, count: u32) -> (Buffer, Tensor) {
    let buffer = host.buffer(u64::from(count) * 8).expect("a buffer");
    let tensor = buffer.tensor(&[count], DataType::U64).expect("a tensor");
    (buffer, tensor)
}

/// Sets word `scalar 0`, then waits until word `scalar 1` is not 0. A scalar of `u64::MAX` means neither.
fn meet() -> Callable {
    Callable::any("meet", |task| {
        let words = task_words(task, 0);
        let (set_at, wait_at) = (task.scalar::<u64>(0)?, task.scalar::<u64>(1)?);
        if set_at != u64::MAX {
            words[set_at as usize].fetch_add(1, Ordering::SeqCst);
        }
        if wait_at == u64::MAX { Ok(()) } else { hold(task, || get(&words[wait_at as usize]) != 0) }
    })
}

/// Appends its scalar 0 to a list whose length is word 0.
fn note() -> Callable {
    Callable::any("note", |task| {
        let words = task_words(task, 0);
        let at = words[0].fetch_add(1, Ordering::SeqCst) + 1;
        set(&words[at as usize], task.scalar::<u64>(0)?);
        Ok(())
    })
}

const NOTHING: u64 = u64::MAX;

fn scalars(set: u64, wait: u64) -> [Scalar; 2] {
    [set.into(), wait.into()]
}

fn subs(count: u32) -> HostBuilder {
    HostRuntime::builder().subs(count)
}

/// Claims HOST-028.
#[test]
fn a_task_starts_while_its_graph_is_being_built_and_its_reader_after_it() {
    let first = Callable::sub("first", |task| {
        let words = task_words(task, 0);
        set(&words[0], 1);
        hold(task, || get(&words[1]) != 0)?;
        set(&words[2], words[5].fetch_add(1, Ordering::SeqCst) + 1);
        Ok(())
    });
    let second = Callable::sub("second", |task| {
        let words = task_words(task, 0);
        set(&words[3], words[5].fetch_add(1, Ordering::SeqCst) + 1);
        Ok(())
    });
    let (mut host, ids) = host(subs(2), vec![first, second]);
    let (buffer, all) = shared(&mut host, 6);
    let (data, value) = shared(&mut host, 1);
    host.run(|run| {
        let arguments = [Argument::NoDependency(&all), Argument::OutputExisting(&value)];
        run.submit(&host::sub(ids[0]).arguments(&arguments))?;
        let arguments = [Argument::NoDependency(&all), Argument::Input(&value)];
        run.submit(&host::sub(ids[1]).arguments(&arguments))?;
        // The callback is still open, and the task has started.
        wait_until("the first task's start", || get(&words(&buffer)[0]) == 1);
        assert_eq!(get(&words(&buffer)[3]), 0, "the reader waits");
        set(&words(&buffer)[1], 1);
        Ok(())
    })
    .expect("it runs");
    assert!((get(&words(&buffer)[2]), get(&words(&buffer)[3])) == (1, 2), "the reader came behind the writer's end");
    drop(data);
}

/// Claims HOST-031.
#[test]
fn what_needs_no_worker_waits_for_none() {
    let (mut host, ids) = host(subs(2), vec![meet(), note()]);
    let (buffer, all) = shared(&mut host, 8);
    let (_data, value) = shared(&mut host, 1);
    host.run(|run| {
        let held = [Argument::NoDependency(&all)];
        let busy = run.submit(&host::sub(ids[0]).arguments(&held).scalars(&scalars(4, 6)))?.id;
        run.submit(&host::sub(ids[0]).arguments(&held).scalars(&scalars(5, 7)))?;
        wait_until("both workers to be busy", || get(&words(&buffer)[4]) == 1 && get(&words(&buffer)[5]) == 1);
        // A task without a kernel, and an allocation, with everybody busy: their ends are seen by what waits for data.
        let dummy = run.submit(&prewire::Task::dummy().arguments(&[Argument::OutputExisting(&value)]))?.id;
        run.allocate(&[prewire::NewTensor::new(&[1], DataType::U64)])?;
        run.get::<u64>(&value, &[0])?;
        set(&words(&buffer)[6], 1);
        let after = [Dependency::on(dummy), Dependency::on(busy)];
        let noted = [Argument::NoDependency(&all), Argument::InOut(&value)];
        run.submit(&host::sub(ids[1]).arguments(&noted).scalars(&[7u64.into()]).dependencies(&after))?;
        run.submit(&host::sub(ids[1]).arguments(&noted).scalars(&[8u64.into()]))?;
        wait_until("both readers on the free worker", || get(&words(&buffer)[2]) == 8);
        set(&words(&buffer)[7], 1);
        Ok(())
    })
    .expect("it runs");
    assert_eq!((get(&words(&buffer)[0]), get(&words(&buffer)[1]), get(&words(&buffer)[2])), (2, 7, 8));
}

/// The order of HOST-032's first half; its failure is with the other failures.
#[test]
fn an_explicit_dependency_orders_tasks_that_share_nothing() {
    let (mut host, ids) = host(subs(2), vec![meet()]);
    let (buffer, all) = shared(&mut host, 4);
    host.run(|run| {
        let held = [Argument::NoDependency(&all)];
        let first = run.submit(&host::sub(ids[0]).arguments(&held).scalars(&scalars(0, 1)))?.id;
        let after = [Dependency::wait_only(first)];
        run.submit(&host::sub(ids[0]).arguments(&held).scalars(&scalars(2, NOTHING)).dependencies(&after))?;
        wait_until("the first task's start", || get(&words(&buffer)[0]) == 1);
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(get(&words(&buffer)[2]), 0);
        set(&words(&buffer)[1], 1);
        Ok(())
    })
    .expect("it runs");
    assert_eq!(get(&words(&buffer)[2]), 1);
}

/// Claims HOST-036.
#[test]
fn workers_go_by_their_ids() {
    let who = Callable::next_level("who", |task| {
        task.output::<u64>(0)?.as_mut_slice()[0] = std::process::id().into();
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().next_level_ids(&[3, 7, 9]), vec![who]);
    let (seven, at_seven) = shared(&mut host, 1);
    let (nine, at_nine) = shared(&mut host, 1);
    let core = |id| host.worker(CoreKind::Cube, id).expect("it is there");
    let (core_7, core_9) = (core(7), core(9));
    let pid = |id| {
        let workers = host.workers();
        workers.iter().find(|worker| worker.id == id).and_then(|worker| worker.pid).expect("a process") as u64
    };
    let (pid_7, pid_9) = (pid(7), pid(9));
    let unknown = host.worker(CoreKind::Cube, 4).expect_err("there is none").to_string();
    assert!(unknown.contains('4') && unknown.contains("3, 7, 9"), "{unknown}");
    host.run(|run| {
        let first = [Argument::OutputExisting(&at_seven)];
        run.submit(&host::next_level(ids[0]).arguments(&first).placement(Placement::Core(core_7)))?;
        let second = [Argument::OutputExisting(&at_nine), Argument::Input(&at_seven)];
        run.submit(&host::next_level(ids[0]).arguments(&second).placement(Placement::Core(core_9)))?;
        Ok(())
    })
    .expect("it runs");
    assert_eq!(host.read::<u64>(&seven).expect("no run is on"), [pid_7]);
    assert_eq!(host.read::<u64>(&nine).expect("no run is on"), [pid_9]);
}

/// Claims HOST-038.
#[test]
fn a_busy_target_blocks_no_other() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(2), vec![meet(), note()]);
    let (buffer, all) = shared(&mut host, 4);
    let (list, noted) = shared(&mut host, 204);
    let (zero, one) = (host.worker(CoreKind::Cube, 0).unwrap(), host.worker(CoreKind::Cube, 1).unwrap());
    host.run(|run| {
        let held = [Argument::NoDependency(&all)];
        let busy = host::next_level(ids[0]).arguments(&held).placement(Placement::Core(zero));
        run.submit(&busy.scalars(&scalars(0, 1)))?;
        let notes = [Argument::NoDependency(&noted)];
        for at in 0..100u64 {
            for (core, from) in [(zero, 1000), (one, 0)] {
                let task = host::next_level(ids[1]).arguments(&notes).placement(Placement::Core(core));
                run.submit(&task.scalars(&[(from + at).into()]))?;
            }
        }
        wait_until("all tasks of worker 1", || get(&words(&list)[0]) == 100);
        set(&words(&buffer)[1], 1);
        Ok(())
    })
    .expect("it runs");
    let listed: Vec<u64> = words(&list)[1..=200].iter().map(get).collect();
    assert!(listed[..100].iter().all(|&number| number < 100) && listed[100..].iter().all(|&number| number >= 1000));
}

/// Claims HOST-039.
#[test]
fn directed_tasks_start_in_the_order_of_submission() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(2), vec![note()]);
    let (list, noted) = shared(&mut host, 1001);
    let one = host.worker(CoreKind::Cube, 1).unwrap();
    host.run(|run| {
        let notes = [Argument::NoDependency(&noted)];
        for at in 0..1000u64 {
            let task = host::next_level(ids[0]).arguments(&notes).placement(Placement::Core(one));
            run.submit(&task.scalars(&[at.into()]))?;
        }
        Ok(())
    })
    .expect("it runs");
    let listed: Vec<u64> = words(&list)[1..].iter().map(get).collect();
    assert_eq!(listed, (0..1000).collect::<Vec<_>>());
}

/// Claims HOST-040.
#[test]
fn an_undirected_task_takes_any_worker_and_is_not_starved() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(2), vec![meet(), note()]);
    let (gate, all) = shared(&mut host, 4);
    let gates = words(&gate);
    let (list, noted) = shared(&mut host, 1100);
    let cores = [host.worker(CoreKind::Cube, 0).unwrap(), host.worker(CoreKind::Cube, 1).unwrap()];
    host.run(|run| {
        // Worker 0 ends only if the other task runs, which nobody directs.
        let held = [Argument::NoDependency(&all)];
        let busy = host::next_level(ids[0]).arguments(&held).placement(Placement::Core(cores[0]));
        run.submit(&busy.scalars(&scalars(NOTHING, 1)))?;
        run.submit(&host::next_level(ids[0]).arguments(&held).scalars(&scalars(1, NOTHING)))?;
        Ok(())
    })
    .expect("the undirected task goes to worker 1");
    host.run(|run| {
        // Both workers are held until everything is in the queues.
        let held = [Argument::NoDependency(&all)];
        for &core in &cores {
            let holds = host::next_level(ids[0]).arguments(&held).placement(Placement::Core(core));
            run.submit(&holds.scalars(&scalars(NOTHING, 2)))?;
        }
        let notes = [Argument::NoDependency(&noted)];
        for at in 0..1000u64 {
            let task = host::next_level(ids[1]).arguments(&notes).placement(Placement::Core(cores[at as usize % 2]));
            run.submit(&task.scalars(&[0u64.into()]))?;
            if at % 50 == 25 && at < 500 {
                run.submit(&host::next_level(ids[1]).arguments(&notes).scalars(&[1u64.into()]))?;
            }
        }
        set(&gates[2], 1);
        Ok(())
    })
    .expect("it runs");
    let listed: Vec<u64> = words(&list)[1..=1010].iter().map(get).collect();
    assert_eq!(listed.iter().sum::<u64>(), 10);
    assert_eq!(listed[..500].iter().sum::<u64>(), 10, "none waits until a worker has nothing directed at it any more");
    assert_eq!(listed[1009], 0, "the last to start is a directed one");
}

/// Claims HOST-041.
#[test]
fn sub_tasks_take_any_idle_sub_worker_and_wait_for_no_other_kind() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(2).subs(4), vec![meet(), all_meet()]);
    let (buffer, all) = shared(&mut host, 8);
    for busy in [false, true] {
        host.run(|run| {
            words(&buffer).iter().for_each(|word| set(word, 0));
            let held = [Argument::NoDependency(&all)];
            if busy {
                for at in 0..2u64 {
                    run.submit(&host::next_level(ids[0]).arguments(&held).scalars(&scalars(2 + at, 1)))?;
                }
                wait_until("the next level to be busy", || get(&words(&buffer)[2]) + get(&words(&buffer)[3]) == 2);
            }
            for _ in 0..4 {
                run.submit(&host::sub(ids[1]).arguments(&held).scalars(&[4u64.into()]))?;
            }
            wait_until("all four", || get(&words(&buffer)[4]) == 4);
            set(&words(&buffer)[1], 1);
            Ok(())
        })
        .expect("they meet");
    }
}

/// Adds one to word 0, or 4, and waits until it is `scalar 0`.
fn all_meet() -> Callable {
    Callable::any("all meet", |task| {
        let words = task_words(task, 0);
        let all = task.scalar::<u64>(0)?;
        words[4].fetch_add(1, Ordering::SeqCst);
        hold(task, || get(&words[4]) >= all)
    })
}

/// Claims HOST-043.
#[test]
fn a_callable_sees_what_was_submitted_and_reads_inputs_only() {
    let see = Callable::sub("see", |task| {
        let check = |right: bool, what: &str| if right { Ok(()) } else { Err(KernelError::new(1, what)) };
        check(task.tensors().len() == 2 && task.scalar_count() == 2, "counts")?;
        let [bytes, view] = [&task.tensors()[0], &task.tensors()[1]];
        check(bytes.shape() == [4] && bytes.data_type() == DataType::U8, "first tensor")?;
        check(
            view.shape() == [2, 2] && view.strides() == [8, 2] && view.data_type() == DataType::I16,
            "second tensor",
        )?;
        check(task.input::<u8>(0)?.as_slice() == [1, 2, 3, 4], "bytes")?;
        let view = task.input::<i16>(1)?;
        check([view.get(&[0, 0]), view.get(&[0, 1]), view.get(&[1, 0]), view.get(&[1, 1])] == [0, 2, 8, 10], "view")?;
        check(task.scalar::<f32>(0)? == 2.5 && task.scalar::<i64>(1)? == -3, "scalars")?;
        check(task.output::<u8>(0).is_err(), "an input is read only")
    });
    let bare = Callable::sub("bare", |task| {
        let nothing = task.tensors().is_empty() && task.scalar_count() == 0;
        if nothing { Ok(()) } else { Err(KernelError::new(2, "arguments out of nowhere")) }
    });
    let (mut host, ids) = host(subs(1), vec![see, bare]);
    let bytes = host.buffer_from(&[1u8, 2, 3, 4]).expect("a buffer");
    let numbers: Vec<i16> = (0..32).collect();
    let numbers = host.buffer_from(&numbers).expect("a buffer");
    let first = bytes.tensor(&[4], DataType::U8).expect("a tensor");
    let second = numbers.tensor(&[4, 8], DataType::I16).expect("a tensor");
    let second = second.view(&[2, 4], &[0, 0]).and_then(|view| view.slice(1, 0, 4, 2)).expect("a view");
    host.run(|run| {
        let arguments = [Argument::Input(&first), Argument::Input(&second)];
        run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[2.5f32.into(), (-3i64).into()]))?;
        run.submit(&host::sub(ids[1]))?;
        Ok(())
    })
    .expect("the callable finds everything as it was submitted");
}

fn member_meets() -> Callable {
    Callable::any("member", |task| {
        let words = task_words(task, 0);
        let at = task.scalar::<u64>(0)?;
        set(&words[at as usize], 1 + u64::from(std::process::id()));
        task.barrier()
    })
}

fn run_group(host: &mut HostRuntime, id: CallableId, all: &Tensor, cores: &[prewire::CoreId], at: [u64; 2]) {
    let arguments = [Argument::NoDependency(all)];
    let scalars = at.map(|at| [Scalar::from(at)]);
    let members = [Member::new(&arguments).scalars(&scalars[0]), Member::new(&arguments).scalars(&scalars[1])];
    host.run(|run| {
        run.submit(&host::next_level(id).group(&members).placement(Placement::Cores(cores)))?;
        Ok(())
    })
    .expect("the members meet");
}

/// Claims HOST-045 together with the engine's own test of groups: here each member is in the process that its target names.
#[test]
fn members_run_in_the_processes_that_are_named() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(2), vec![member_meets(), note()]);
    let (buffer, all) = shared(&mut host, 4);
    let cores = [host.worker(CoreKind::Cube, 1).unwrap(), host.worker(CoreKind::Cube, 0).unwrap()];
    let pids: Vec<u64> = host.workers().iter().map(|worker| worker.pid.unwrap() as u64).collect();
    run_group(&mut host, ids[0], &all, &cores, [0, 1]);
    assert_eq!([get(&words(&buffer)[0]), get(&words(&buffer)[1])], [1 + pids[1], 1 + pids[0]]);
}

/// Claims HOST-047.
#[test]
fn a_group_starts_whole() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(2), vec![meet(), member_meets()]);
    let (buffer, all) = shared(&mut host, 8);
    let cores = [host.worker(CoreKind::Cube, 0).unwrap(), host.worker(CoreKind::Cube, 1).unwrap()];
    let arguments = [Argument::NoDependency(&all)];
    let numbers = [[Scalar::from(4u64)], [Scalar::from(5u64)]];
    let members = [Member::new(&arguments).scalars(&numbers[0]), Member::new(&arguments).scalars(&numbers[1])];
    host.run(|run| {
        let busy = host::next_level(ids[0]).arguments(&arguments).placement(Placement::Core(cores[1]));
        run.submit(&busy.scalars(&scalars(0, 1)))?;
        wait_until("worker 1 to be busy", || get(&words(&buffer)[0]) == 1);
        run.submit(&host::next_level(ids[1]).group(&members).placement(Placement::Cores(&cores)))?;
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert_eq!([get(&words(&buffer)[4]), get(&words(&buffer)[5])], [0, 0], "no member has started");
        set(&words(&buffer)[1], 1);
        Ok(())
    })
    .expect("the members meet");
    assert!(get(&words(&buffer)[4]) != 0 && get(&words(&buffer)[5]) != 0);
}

/// Claims HOST-050.
#[test]
fn a_group_passes_one_that_needs_other_workers() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(4), vec![meet(), member_meets()]);
    let (buffer, all) = shared(&mut host, 12);
    let cores: Vec<_> = (0..4).map(|id| host.worker(CoreKind::Cube, id).unwrap()).collect();
    let arguments = [Argument::NoDependency(&all)];
    let numbers: Vec<[Scalar; 1]> = (4..8u64).map(|at| [at.into()]).collect();
    let members: Vec<_> = numbers.iter().map(|numbers| Member::new(&arguments).scalars(numbers)).collect();
    host.run(|run| {
        let busy = host::next_level(ids[0]).arguments(&arguments).placement(Placement::Core(cores[0]));
        run.submit(&busy.scalars(&scalars(0, 1)))?;
        wait_until("worker 0 to be busy", || get(&words(&buffer)[0]) == 1);
        run.submit(&host::next_level(ids[1]).group(&members[..2]).placement(Placement::Cores(&cores[..2])))?;
        run.submit(&host::next_level(ids[1]).group(&members[2..]).placement(Placement::Cores(&cores[2..])))?;
        wait_until("the second group", || get(&words(&buffer)[6]) != 0 && get(&words(&buffer)[7]) != 0);
        assert_eq!(get(&words(&buffer)[4]), 0, "the first group waits for worker 0");
        set(&words(&buffer)[1], 1);
        Ok(())
    })
    .expect("both meet");
}
