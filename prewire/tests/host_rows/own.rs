//! Memory that not all workers share: a worker's own, and what forked workers have of this program's.

use crate::rig::host;
use crate::spawned::{library, worker};
use crate::stage::Stage;
use prewire::host::{self, Callable, DeviceBuffer, HostError, HostRuntime};
use prewire::{Argument, Buffer, CoreKind, DataType, Member, Placement, Task, Tensor};
use std::sync::atomic::{AtomicU64, Ordering};

/// Fills its first tensor with its scalar.
fn fills() -> Callable {
    Callable::any("fills", |task| {
        let value = task.scalar::<u64>(0)?;
        task.output::<u64>(0)?.as_mut_slice().fill(value);
        Ok(())
    })
}

/// Copies its first tensor to its second.
fn copies() -> Callable {
    Callable::any("copies", |task| {
        let from = task.input::<u64>(0)?;
        task.output::<u64>(1)?.as_mut_slice().copy_from_slice(from.as_slice());
        Ok(())
    })
}

fn words(buffer: &Buffer) -> Tensor {
    buffer.tensor(&[buffer.bytes() as u32 / 8], DataType::U64).expect("a tensor")
}

/// A run of this one task is refused, and nothing of it was begun.
fn refused(host: &mut HostRuntime, task: &Task<'_>, parts: &[&str]) {
    let failed = host.run(|run| run.submit(task).map(drop)).expect_err("it is refused");
    assert!(parts.iter().all(|part| failed.to_string().contains(part)), "{failed} does not say {parts:?}");
    assert_eq!(failed.report.tasks, 0);
}

fn run_one(host: &mut HostRuntime, task: &Task<'_>) {
    host.run(|run| run.submit(task).map(drop)).expect("it runs");
}

/// Claims HOST-026.
#[test]
fn a_workers_own_memory_is_for_tasks_that_are_sent_to_it() {
    let (mut host, ids) = host(HostRuntime::builder().next_level(2).subs(1), vec![fills(), copies()]);
    let own = host.device_buffer(CoreKind::Cube, 0, 64).expect("the worker has room");
    let tensor = own.tensor(&[8], DataType::U64).expect("a tensor");
    let shared = host.buffer(64).expect("a buffer");
    let to = words(&shared);
    let [first, second] = [0, 1].map(|id| host.worker(CoreKind::Cube, id).expect("it is there"));
    let sub = host.worker(CoreKind::Vector, 0).expect("it is there");
    assert_eq!(own.worker(), first);
    let (filled, scalars) = ([Argument::OutputExisting(&tensor)], [7u64.into()]);
    let fill = host::next_level(ids[0]).arguments(&filled).scalars(&scalars);
    let copied = [Argument::Input(&tensor), Argument::OutputExisting(&to)];
    let owner = "next-level worker 0";
    let there = "the task is sent to next-level worker 1";
    refused(&mut host, &fill.placement(Placement::Core(second)), &["argument 0", owner, there]);
    refused(&mut host, &fill, &["argument 0", owner, "the task is sent to any"]);
    for placement in [Placement::Any, Placement::Core(sub)] {
        let task = host::sub(ids[1]).arguments(&copied).placement(placement);
        refused(&mut host, &task, &["argument 0", owner, "the task is sent to", "sub worker 0"]);
    }
    let members = [Member::new(&copied)];
    refused(&mut host, &host::sub(ids[1]).group(&members), &["member 0", "argument 0", owner]);
    // Members of a group use what the workers have that are named for them.
    let theirs = host.device_buffer(CoreKind::Cube, 1, 64).expect("the worker has room");
    let theirs = (theirs.tensor(&[8], DataType::U64).expect("a tensor"), theirs);
    let [ones, twos] = [&tensor, &theirs.0].map(|tensor| [Argument::OutputExisting(tensor)]);
    let values = [[1u64.into()], [2u64.into()]];
    let [one, two] = [Member::new(&ones).scalars(&values[0]), Member::new(&twos).scalars(&values[1])];
    let (both, swapped) = ([one, two], [two, one]);
    let cores = [first, second];
    let group = host::next_level(ids[0]).placement(Placement::Cores(&cores));
    run_one(&mut host, &group.group(&both));
    refused(&mut host, &group.group(&swapped), &["member 0", "argument 0", "next-level worker 1 alone", owner]);
    // This program cannot look into it either.
    let failed = host.run(|run| run.get::<u64>(&tensor, &[0]).map(drop)).expect_err("it is not here");
    assert!(failed.to_string().contains("argument 0"), "{failed}");

    run_one(&mut host, &fill.placement(Placement::Core(first)));
    run_one(&mut host, &host::next_level(ids[1]).arguments(&copied).placement(Placement::Core(first)));
    assert_eq!(host.read::<u64>(&shared).expect("no run is on"), [7; 8]);
    drop(own);
    refused(&mut host, &fill.placement(Placement::Core(first)), &["argument 0", "released"]);
    host.close().expect("an orderly end");

    let (mut threads, _) = self::host(HostRuntime::builder().threads().subs(1), vec![fills()]);
    let error = threads.device_buffer(CoreKind::Vector, 0, 64).expect_err("it shares everything").to_string();
    assert!(error.contains("sub worker 0") && error.contains("thread"), "{error}");
}

/// So large that it comes to lie where nothing has been, and not in a gap that the workers, being forked, have filled otherwise.
const LARGE: u64 = 1 << 26;

/// A buffer, and memory of two workers' own at an address with the same number.
fn at_one_address(host: &mut HostRuntime) -> (Buffer, [DeviceBuffer; 2]) {
    // What is mapped here and not there moves what comes later away from what is there.
    let away = prewire_platform_host::own::OwnMemory::map(0, 1 << 32).expect("addresses cost nothing");
    std::mem::forget(away);
    let mut others = Vec::new();
    for _ in 0..100 {
        let here = host.buffer(LARGE).expect("a buffer");
        let own = [0, 1].map(|id| {
            host.device_buffer_near(CoreKind::Vector, id, LARGE, here.address()).expect("the worker has room")
        });
        if own.iter().all(|own| own.address() == here.address()) {
            return (here, own);
        }
        others.push(here);
    }
    panic!("no address was free in all three processes");
}

/// Claims HOST-070, with the index's own test of what hashes alike.
#[test]
fn one_address_in_three_processes_is_three_buffers() {
    let builder = HostRuntime::builder().subs(2).engine(|engine| engine.record_graph(true));
    let mut stage = Stage::new(builder, vec![fills(), copies()]);
    let host = &mut stage.host;
    let (here, own) = at_one_address(host);
    let tensors = [&own[0], &own[1]].map(|own| own.tensor(&[1 << 13], DataType::U64).expect("a tensor"));
    let all = here.tensor(&[1 << 13], DataType::U64).expect("a tensor");
    let cores = [0, 1].map(|id| host.worker(CoreKind::Vector, id).expect("it is there"));
    // Three writers of one address wait for none of the others: the first two are held while the third runs.
    let play = &stage.play;
    let report = host
        .run(|run| {
            play.submit_at(run, 0, &[Argument::InOut(&tensors[0])], Placement::Core(cores[0]))?;
            play.submit_at(run, 1, &[Argument::InOut(&tensors[1])], Placement::Core(cores[1]))?;
            play.wait_for(0);
            play.wait_for(1);
            run.submit(&host::sub(play.ids[0]).arguments(&[Argument::OutputExisting(&all)]).scalars(&[1u64.into()]))?;
            play.release(0);
            play.release(1);
            Ok(())
        })
        .expect("it runs");
    assert_eq!(report.graph.expect("it was recorded").pairs(), []);
    for (at, value) in [(0, 10u64), (1, 20)] {
        let (written, scalars) = ([Argument::OutputExisting(&tensors[at])], [value.into()]);
        let task = host::sub(play.ids[0]).arguments(&written).scalars(&scalars).placement(Placement::Core(cores[at]));
        run_one(host, &task);
    }
    let copy = host.buffer(1 << 16).expect("a buffer");
    let to = words(&copy);
    for (at, value) in [(0, 10u64), (1, 20)] {
        let copied = [Argument::Input(&tensors[at]), Argument::OutputExisting(&to)];
        run_one(host, &host::sub(play.ids[1]).arguments(&copied).placement(Placement::Core(cores[at])));
        assert!(host.read::<u64>(&copy).expect("no run is on").iter().all(|&each| each == value));
    }
    let copied = [Argument::Input(&all), Argument::OutputExisting(&to)];
    run_one(host, &host::sub(play.ids[1]).arguments(&copied));
    assert!(host.read::<u64>(&copy).expect("no run is on").iter().all(|&each| each == 1));
    // Tasks over one of them wait as they should.
    let report = host
        .run(|run| {
            for at in [0, 1, 0, 1] {
                let (written, scalars) = ([Argument::InOut(&tensors[at])], [5u64.into()]);
                let task = host::sub(play.ids[0]).arguments(&written).scalars(&scalars);
                run.submit(&task.placement(Placement::Core(cores[at])))?;
            }
            Ok(())
        })
        .expect("it runs");
    assert_eq!(report.graph.expect("it was recorded").pairs().len(), 2);
    drop(own);
    stage.host.close().expect("an orderly end");
}

/// Claims HOST-119.
#[test]
fn declared_memory_is_what_it_was_at_the_fork_and_read_only() {
    let memory: Vec<AtomicU64> = (0..100).map(AtomicU64::new).collect();
    let (address, bytes) = (memory.as_ptr().cast::<u8>(), 800);
    let mut builder = HostRuntime::builder().next_level(1).subs(1);
    // SAFETY: the memory outlives the runtime, and is written by nobody while it starts.
    let id = unsafe { builder.inherit(address, bytes) };
    let (mut host, ids) = host(builder, vec![fills(), copies()]);
    memory.iter().for_each(|word| word.store(9, Ordering::SeqCst));
    let shared = host.buffer(800).expect("a buffer");
    let inherited = host.inherited(id).expect("it was declared");
    let (from, to) = (inherited.tensor(&[100], DataType::U64).expect("a tensor"), words(&shared));
    let copied = [Argument::Input(&from), Argument::OutputExisting(&to)];
    for task in [host::sub(ids[1]), host::next_level(ids[1])] {
        host.write(&shared, &[0u64; 100]).expect("no run is on");
        run_one(&mut host, &task.arguments(&copied));
        assert_eq!(host.read::<u64>(&shared).expect("no run is on"), (0..100).collect::<Vec<u64>>());
    }
    for written in [Argument::OutputExisting(&from), Argument::InOut(&from)] {
        let own = [Argument::Input(&to), written];
        refused(&mut host, &host::sub(ids[1]).arguments(&own), &["argument 1", "read-only", "buffer_from"]);
    }
    // SAFETY: it is not looked at.
    let late = unsafe { host.inherit(address, bytes) }.expect_err("the workers are there already");
    assert!(matches!(late, HostError::TooLateToInherit { .. }));
    assert!(
        late.to_string().contains("before start") && late.to_string().contains("HostRuntime::buffer_from"),
        "{late}"
    );
    host.close().expect("an orderly end");

    let mut builder = HostRuntime::builder().next_level(1).subs(1).spawn(CoreKind::Vector, worker());
    // SAFETY: as above.
    let id = unsafe { builder.inherit(address, bytes) };
    let (mut host, ids) = self::host(builder, vec![crate::gates::symbol("doubles", &library(), "doubles")]);
    let declared = host.inherited(id).expect("it was declared");
    let from = declared.tensor(&[100], DataType::U64).expect("a tensor");
    let read = [Argument::Input(&from)];
    let scalars = [0u64.into()];
    let named = ["argument 0", "sub worker 0", "HostRuntime::buffer_from"];
    refused(&mut host, &host::sub(ids[0]).arguments(&read).scalars(&scalars), &named);
    // The forked worker of the same runtime has it.
    run_one(&mut host, &host::next_level(ids[0]).arguments(&read).scalars(&scalars));
    host.close().expect("an orderly end");
}
