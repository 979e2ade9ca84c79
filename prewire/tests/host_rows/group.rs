//! Groups over workers: members that start together or not at all, on workers of their own.

use crate::rig::{get, hold, set, task_words, wait_until};
use crate::stage::{FREE, Play, Stage, act, on_both};
use prewire::Argument::{Input, NoDependency, Output, OutputExisting};
use prewire::host::{self, Callable, HostBuilder};
use prewire::{
    Argument, CoreId, DataType, KernelError, Member, NewTensor, Placement, Run, RunError, Scalar, SubmitError,
};
use prewire::{TaskId, Tensor};
use std::sync::atomic::Ordering;

/// Where members note which core they run on, and that they have come.
const PLACES: usize = 4000;
const CAME: usize = 3999;

/// A member notes where it is, waits for the others to come, and acts as its scalar says.
fn member() -> Callable {
    Callable::sub("member", |task| {
        let stage = task_words(task, task.tensors().len() - 1);
        set(&stage[PLACES + task.block_index() as usize], task.payload().core.0.into());
        stage[CAME].fetch_add(1, Ordering::SeqCst);
        hold(task, || get(&stage[CAME]) >= task.block_count().into())?;
        act(task, task.scalar::<u64>(0)?)
    })
}

fn with_members(builder: HostBuilder, workers: u32) -> Stage {
    Stage::new(builder.subs(workers), vec![member()])
}

/// A group whose members act as these actors and use these tensors.
fn submit_group(
    play: &Play,
    run: &mut Run<'_>,
    actors: &[u64],
    uses: &[&[Argument<'_>]],
    placement: Placement<'_>,
) -> Result<TaskId, SubmitError> {
    let all = Argument::NoDependency(&play.all);
    let arguments: Vec<Vec<Argument<'_>>> = (0..actors.len())
        .map(|at| uses.get(at).copied().unwrap_or(&[]).iter().copied().chain([all]).collect())
        .collect();
    let scalars: Vec<[Scalar; 1]> = actors.iter().map(|&actor| [actor.into()]).collect();
    let members: Vec<Member<'_>> =
        arguments.iter().zip(&scalars).map(|(own, scalars)| Member::new(own).scalars(scalars)).collect();
    Ok(run.submit(&host::sub(play.ids[0]).group(&members).placement(placement))?.id)
}

fn own_workers(builder: HostBuilder) {
    let mut stage = with_members(builder, 3);
    let cores = [stage.sub(1), stage.sub(0)];
    let (_buffer, bytes) = stage.bytes(3);
    let parts: Vec<Tensor> = (0..3).map(|at| bytes.slice(0, at, at + 1, 1).expect("within")).collect();
    let play = &stage.play;
    let report = stage
        .host
        .run(|run| {
            play.submit(run, 0, &[OutputExisting(&parts[0])])?;
            play.wait_for(0);
            let uses: [&[Argument<'_>]; 2] =
                [&[Input(&parts[0]), OutputExisting(&parts[1])], &[Input(&parts[0]), OutputExisting(&parts[2])]];
            submit_group(play, run, &[1, 2], &uses, Placement::Cores(&cores))?;
            play.submit(run, FREE + 1, &[Input(&parts[1])])?;
            play.submit(run, FREE + 2, &[Input(&parts[2])])?;
            play.probe(run, &[])?;
            assert_eq!([1, 2].map(|actor| play.starts(actor)), [0, 0], "the producer has not ended");
            play.release(0);
            play.wait_for(1);
            play.wait_for(2);
            play.release(2);
            play.wait_for_ends(2);
            play.probe(run, &[])?;
            assert_eq!([1, 2].map(|actor| play.starts(FREE + actor)), [0, 0], "a member has not ended");
            play.release(1);
            Ok(())
        })
        .expect("it runs");
    assert_eq!([0, 1].map(|member| play.word(PLACES + member)), cores.map(|core| u64::from(core.0)));
    assert_eq!(play.ended()[..3], [0, 2, 1]);
    // Three edges: the group's to its producer, one for both members, and each consumer's to the group.
    assert_eq!(report.rings[0].edges.0, 3);
}

/// Claims HOST-045.
#[test]
fn members_run_on_the_workers_that_are_named_for_them() {
    on_both(own_workers);
}

fn refusals(builder: HostBuilder) {
    let mut stage = with_members(builder, 3);
    let [zero, one, two] = [0, 1, 2].map(|id| stage.sub(id));
    let play = &stage.play;
    let any: &[CoreId] = &[];
    let cases: [(u64, &[CoreId], &[&str]); 5] = [
        (0, any, &["no members"]),
        (2, &[one, one], &["sub worker 1", "two blocks"]),
        (2, &[zero, one, two], &["2 blocks", "3 cores"]),
        (2, &[zero], &["2 blocks", "1 cores"]),
        (4, any, &["4 members", "there are 3 sub workers"]),
    ];
    for (members, cores, words) in cases {
        let actors: Vec<u64> = (0..members).map(|member| FREE + member).collect();
        let failed = stage
            .host
            .run(|run| {
                let placement = if cores.is_empty() { Placement::Any } else { Placement::Cores(cores) };
                let refused = submit_group(play, run, &actors, &[], placement).expect_err("it makes no sense");
                let text = refused.to_string();
                assert!(words.iter().all(|word| text.contains(word)), "{text}");
                Ok(())
            })
            .expect_err("a call was refused");
        assert!(matches!(*failed.error, RunError::Refused(_)), "{failed}");
        assert_eq!((failed.report.tasks, failed.report.rings[0].window.0), (0, 0), "a slot was used");
    }
}

/// Claims HOST-046.
#[test]
fn a_group_that_makes_no_sense_is_refused_with_its_numbers() {
    on_both(refusals);
}

fn all_or_none(builder: HostBuilder) {
    let mut stage = with_members(builder, 2);
    let cores = [stage.sub(0), stage.sub(1)];
    let play = &stage.play;
    stage
        .host
        .run(|run| {
            play.submit_at(run, 0, &[], Placement::Core(cores[1]))?;
            play.wait_for(0);
            // Both workers have a task behind the group, one of them idle; neither is given it.
            submit_group(play, run, &[FREE, FREE + 1], &[], Placement::Cores(&cores))?;
            play.submit_at(run, FREE + 2, &[], Placement::Core(cores[0]))?;
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert_eq!((play.word(CAME), play.starts(FREE + 2)), (0, 0), "a member has started alone");
            play.release(0);
            Ok(())
        })
        .expect("members wait for each other, so both are there");
    let ended = play.ended();
    let place = |actor: u64| ended.iter().position(|&ended| ended == actor);
    assert_eq!((play.word(CAME), ended.len(), place(0)), (2, 4, Some(0)));
    assert!(place(FREE) < place(FREE + 2), "what stood behind the group on its idle worker came before it");
}

/// Claims HOST-047.
#[test]
fn a_group_starts_as_a_whole() {
    on_both(all_or_none);
}

/// Notes whether it runs before the group, and counts itself: where its scalar says.
fn single() -> Callable {
    Callable::sub("single", |task| {
        let stage = task_words(task, task.tensors().len() - 1);
        let at = task.scalar::<u64>(0)? as usize;
        stage[at].fetch_add(1, Ordering::SeqCst);
        if get(&stage[CAME]) < 2 {
            stage[at + 1].fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    })
}

/// Counters of singles, each with the count of those that came before the group behind it.
const BEHIND: usize = 3000;
const BESIDE: usize = 3010;

fn reserved(builder: HostBuilder) {
    let mut stage = Stage::new(builder.subs(3), vec![member(), single()]);
    let cores = [0, 1, 2].map(|id| stage.sub(id));
    let play = &stage.play;
    stage
        .host
        .run(|run| {
            play.submit_at(run, 0, &[], Placement::Core(cores[1]))?;
            play.wait_for(0);
            submit_group(play, run, &[FREE, FREE + 1], &[], Placement::Cores(&cores[..2]))?;
            let own = [NoDependency(&play.all)];
            for _ in 0..1000 {
                for (core, counter) in [(0, BEHIND), (2, BESIDE)] {
                    let scalars: [Scalar; 1] = [(counter as u64).into()];
                    let task = host::sub(play.ids[1]).arguments(&own).scalars(&scalars);
                    run.submit(&task.placement(Placement::Core(cores[core])))?;
                }
            }
            wait_until("the singles of the worker beside", || play.word(BESIDE) == 1000);
            assert_eq!((play.word(CAME), play.word(BEHIND)), (0, 0));
            play.release(0);
            Ok(())
        })
        .expect("it runs");
    assert_eq!([BEHIND, BESIDE].map(|at| (play.word(at), play.word(at + 1))), [(1000, 0), (1000, 1000)]);
}

/// Claims HOST-048.
#[test]
fn a_waiting_group_keeps_its_idle_worker() {
    on_both(reserved);
}

const ROUNDS: u64 = 1000;

/// Waits for its sibling, notes the group's number in its worker's list, and takes a while.
fn ring_member() -> Callable {
    Callable::sub("ring member", |task| {
        task.barrier()?;
        let list = task_words(task, 0);
        let at = list[0].fetch_add(1, Ordering::SeqCst) + 1;
        let number = task.scalar::<u64>(0)?;
        set(&list[at as usize], number);
        for _ in 0..number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 51 {
            std::hint::spin_loop();
        }
        Ok(())
    })
}

fn ring_of_groups(builder: HostBuilder) {
    let mut stage = Stage::new(builder.subs(3), vec![ring_member()]);
    let cores = [0, 1, 2].map(|id| stage.sub(id));
    let lists: Vec<_> = (0..3).map(|_| stage.host.buffer(8 * (2 * ROUNDS + 1)).expect("a buffer")).collect();
    let tensors: Vec<Tensor> =
        lists.iter().map(|list| list.tensor(&[2 * ROUNDS as u32 + 1], DataType::U64).expect("a tensor")).collect();
    let play = &stage.play;
    stage
        .host
        .run(|run| {
            for round in 0..ROUNDS {
                for (at, pair) in [[0, 1], [1, 2], [2, 0]].into_iter().enumerate() {
                    let scalars: [Scalar; 1] = [(3 * round + at as u64).into()];
                    let own = pair.map(|worker| [NoDependency(&tensors[worker])]);
                    let members = [0, 1].map(|member| Member::new(&own[member]).scalars(&scalars));
                    let named = pair.map(|worker| cores[worker]);
                    let group = host::sub(play.ids[0]).group(&members);
                    run.submit(&group.placement(Placement::Cores(&named)))?;
                }
            }
            Ok(())
        })
        .expect("nobody waits for ever");
    for list in &lists {
        let started = stage.host.read::<u64>(list).expect("no run is on");
        assert_eq!(started[0], 2 * ROUNDS);
        assert!(started[1..].is_sorted_by(|before, after| before < after), "groups have overtaken one another");
    }
}

/// Claims HOST-049 together with the models of gang admission. All groups are ready at their submit, and any two of them share a worker.
#[test]
fn groups_in_a_ring_start_in_order_and_never_hold_half_each() {
    on_both(ring_of_groups);
}

fn only_those_that_share(builder: HostBuilder) {
    let mut stage = with_members(builder, 4);
    let cores = [0, 1, 2, 3].map(|id| stage.sub(id));
    let play = &stage.play;
    stage
        .host
        .run(|run| {
            play.submit_at(run, 0, &[], Placement::Core(cores[0]))?;
            play.wait_for(0);
            submit_group(play, run, &[FREE, FREE + 1], &[], Placement::Cores(&cores[..2]))?;
            submit_group(play, run, &[FREE + 2, FREE + 3], &[], Placement::Cores(&cores[2..]))?;
            play.wait_for_ends(2);
            assert_eq!(play.word(CAME), 2);
            play.release(0);
            Ok(())
        })
        .expect("it runs");
    let mut first = play.ended()[..2].to_vec();
    first.sort_unstable();
    assert_eq!((first, play.ended()[2]), (vec![FREE + 2, FREE + 3], 0));
}

/// Claims HOST-050.
#[test]
fn a_waiting_group_blocks_only_those_that_share_a_worker() {
    on_both(only_those_that_share);
}

fn any_workers(builder: HostBuilder) {
    let mut stage = Stage::new(builder.subs(4), vec![member(), single()]);
    let play = &stage.play;
    stage
        .host
        .run(|run| {
            let own = [NoDependency(&play.all)];
            let scalars: [Scalar; 1] = [(BEHIND as u64).into()];
            for round in 0..1000 {
                run.submit(&host::sub(play.ids[1]).arguments(&own).scalars(&scalars))?;
                if round == 20 {
                    submit_group(play, run, &[FREE, FREE + 1, FREE + 2], &[], Placement::Any)?;
                }
            }
            Ok(())
        })
        .expect("the members are on workers of their own");
    let mut places: Vec<u64> = (0..3).map(|member| play.word(PLACES + member)).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!((places.len(), play.word(CAME), play.word(BEHIND)), (3, 3, 1000));
    assert!(play.word(BEHIND + 1) < 900, "{} of 1000 singles went ahead of the group", play.word(BEHIND + 1));
}

/// Claims HOST-052.
#[test]
fn a_group_takes_any_workers_and_is_not_overtaken_for_ever() {
    on_both(any_workers);
}

/// The second of three members fails, or takes its worker with it. The others learn of it and write their outputs long after.
fn failing_member() -> Callable {
    Callable::sub("failing member", |task| {
        let stage = task_words(task, 1);
        stage[CAME].fetch_add(1, Ordering::SeqCst);
        hold(task, || get(&stage[CAME]) == 3)?;
        if task.block_index() == 1 {
            if task.scalar::<u64>(0)? != 0 {
                // SAFETY: it ends this process, and nothing else.
                unsafe { libc::raise(libc::SIGKILL) };
            }
            return Err(KernelError::new(51, "the second of three"));
        }
        hold(task, || task.sibling_failed())?;
        stage[PLACES].fetch_add(1, Ordering::SeqCst);
        hold(task, || get(&stage[PLACES + 1]) != 0)?;
        task.output::<u8>(0)?.as_mut_slice().fill(0xDD);
        stage[PLACES + 2].fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

/// Heap bytes of an output of the group: three of them and a bit are the heap.
const OUTPUT: u64 = 2048;

fn one_fails(builder: HostBuilder, kill: bool) {
    let builder = builder.subs(4).engine(|engine| engine.ring_heap(4 * OUTPUT));
    let mut stage = Stage::new(builder, vec![failing_member()]);
    let play = &stage.play;
    let failed = stage
        .host
        .run(|run| {
            let new = || Output(NewTensor::new(&[OUTPUT as u32], DataType::U8));
            let own = [new(), NoDependency(&play.all)];
            let scalars: [Scalar; 1] = [u64::from(kill).into()];
            let outputs = run.scope(|run| {
                let members = [Member::new(&own).scalars(&scalars); 3];
                let outputs = run.submit(&host::sub(play.ids[0]).group(&members))?.outputs.to_vec();
                for output in &outputs {
                    play.submit(run, FREE, &[Input(output)])?;
                }
                Ok(outputs)
            })?;
            wait_until("the siblings to learn of it", || play.word(PLACES) == 2);
            // What others are given meanwhile is none of the members' bytes; what does not fit beside them waits for their end.
            run.scope(|run| {
                let beside = run.allocate(&[NewTensor::new(&[OUTPUT as u32], DataType::U8).filled(0u8)])?.outputs[0];
                assert_eq!(play.word(PLACES + 2), 0, "the siblings are still running");
                let within = |output: &&Tensor| beside.first_byte().abs_diff(output.first_byte()) < OUTPUT;
                assert_eq!(outputs.iter().find(within), None);
                Ok(())
            })?;
            std::thread::scope(|threads| {
                threads.spawn(|| {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    play.set_word(PLACES + 1, 1);
                });
                run.scope(|run| {
                    run.allocate(&[NewTensor::new(&[3 * OUTPUT as u32], DataType::U8).filled(0u8)])?;
                    assert_eq!(play.word(PLACES + 2), 2, "bytes were reused before the last member had ended");
                    Ok(())
                })
            })
        })
        .expect_err("a member failed");
    let RunError::KernelFailed { first, failed: 1, unrun: 3 } = &*failed.error else { panic!("{failed}") };
    let text = failed.to_string();
    assert!(first.block == 1 && text.contains("block 1"), "{text}");
    assert!(text.contains(if kill { "signal 9" } else { "the second of three" }), "{text}");
    assert_eq!(
        (play.word(PLACES + 2), play.starts(FREE)),
        (2, 0),
        "the siblings ran to their end, and no consumer ran"
    );
}

/// Claims HOST-051. A thread cannot be killed by itself.
#[test]
fn a_member_that_fails_lets_its_siblings_end() {
    on_both(|builder| one_fails(builder, false));
    one_fails(host::HostRuntime::builder(), true);
}
