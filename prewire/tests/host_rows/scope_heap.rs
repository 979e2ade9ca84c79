//! Memory that tasks and scopes own: how it is taken, kept, given back and reported.

use crate::stage::{FREE, Play, Stage, act, on_both};
use prewire::Argument::{Input, NoDependency, Output, OutputExisting};
use prewire::host::{self, Callable, HostBuilder};
use prewire::{DataType, ErrorCode, NewTensor, Run, Scalar, SubmitError, TaskId, Tensor};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) const HEAP: u64 = 8192;

pub(crate) fn bytes(count: u64) -> NewTensor {
    NewTensor::new(&[count as u32], DataType::U8)
}

/// Fills its output with its actor's number, acts, and fails if a byte of it has changed meanwhile.
pub(crate) fn guard() -> Callable {
    Callable::sub("guard", |task| {
        let actor = task.scalar::<u64>(0)?;
        task.output::<u8>(0)?.as_mut_slice().fill(actor as u8);
        act(task, actor)?;
        let kept = task.input::<u8>(0)?.as_slice().iter().all(|&byte| byte == actor as u8);
        if kept { Ok(()) } else { Err(prewire::KernelError::new(1, "the output was overwritten")) }
    })
}

pub(crate) fn with_heap(builder: HostBuilder, heap: u64, workers: u32) -> Stage {
    Stage::new(builder.subs(workers).engine(|engine| engine.ring_heap(heap)), vec![guard()])
}

/// Submits a guard with an output of so many bytes.
pub(crate) fn guarded(play: &Play, run: &mut Run<'_>, actor: u64, count: u64) -> Result<Submission, SubmitError> {
    let arguments = [Output(bytes(count)), NoDependency(&play.all)];
    let scalars: [Scalar; 1] = [actor.into()];
    let submitted = run.submit(&host::sub(play.ids[0]).arguments(&arguments).scalars(&scalars))?;
    Ok(Submission { id: submitted.id, output: submitted.outputs[0] })
}

pub(crate) struct Submission {
    pub(crate) id: TaskId,
    pub(crate) output: Tensor,
}

pub(crate) fn allocated(run: &mut Run<'_>, new: NewTensor) -> Result<Tensor, SubmitError> {
    Ok(run.allocate(&[new])?.outputs[0])
}

/// Does something a while from now, while the caller waits for its effect; says whether it was done.
fn soon(done: &AtomicBool, body: impl FnOnce()) {
    std::thread::sleep(Duration::from_millis(50));
    done.store(true, Ordering::SeqCst);
    body();
}

fn too_large(builder: HostBuilder) {
    let mut stage = with_heap(builder, HEAP, 1);
    let failed = stage
        .host
        .run(|run| {
            let refused = run.allocate(&[bytes(HEAP + 1)]).expect_err("it is larger than the heap").to_string();
            let words = ["8193", "ring 0", "8192", "PREWIRE_RING_HEAP"];
            assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
            Ok(())
        })
        .expect_err("the run has ended");
    assert_eq!(failed.error.code(), Some(ErrorCode::HeapDeadlock));
    stage.host.run(|run| run.allocate(&[bytes(HEAP)]).map(drop)).expect("the heap itself fits");
}

/// Claims HOST-055. It ends its run, so that the next allocation is the next run's. Nothing runs that could end a wait, and the no-progress budget is 20 s by
/// default: an error is one that did not wait.
#[test]
fn an_allocation_larger_than_its_heap_fails_at_once() {
    on_both(too_large);
}

fn empty_rings_start_over(builder: HostBuilder) {
    let mut stage = with_heap(builder, HEAP, 1);
    let in_scope = |run: &mut Run<'_>, count: u64| -> Result<u64, SubmitError> {
        run.scope(|run| Ok(run.allocate(&[bytes(count)])?.outputs[0].address()))
    };
    stage
        .host
        .run(|run| {
            let first = in_scope(run, 5 * 1024)?;
            for _ in 0..1000 {
                assert_eq!(in_scope(run, 5 * 1024)?, first);
            }
            for _ in 0..100 {
                assert_eq!(in_scope(run, 333)?, first);
                assert_eq!(in_scope(run, HEAP)?, first);
            }
            Ok(())
        })
        .expect("there is room each time");
}

/// Claims HOST-056. With no task there is nothing to wait for: an allocation that does not fit at once would be an error.
#[test]
fn an_empty_ring_starts_over_at_its_beginning() {
    on_both(empty_rings_start_over);
}

fn overlap(one: &Tensor, other: &Tensor) -> bool {
    let end = |tensor: &Tensor| tensor.first_byte() + tensor.layout().bytes();
    one.first_byte() < end(other) && other.first_byte() < end(one)
}

fn taken_back_in_order(builder: HostBuilder) {
    let mut stage = with_heap(builder, HEAP, 4);
    let play = &stage.play;
    let [a, b, c, d] = [0, 1, 2, 3];
    stage
        .host
        .run(|run| {
            run.scope(|run| {
                let slabs: Vec<Submission> = run.scope(|run| {
                    (0..4).map(|actor| guarded(play, run, actor, HEAP / 4)).collect::<Result<_, SubmitError>>()
                })?;
                [a, b, c, d].iter().for_each(|&actor| play.wait_for(actor));
                play.release(c);
                play.wait_for_ends(1);
                // The engine has taken its end in as well.
                play.probe(run, &[slabs[2].id])?;
                let released = AtomicBool::new(false);
                let place = std::thread::scope(|threads| {
                    threads.spawn(|| {
                        soon(&released, || {
                            play.release(a);
                            play.release(b);
                        });
                    });
                    run.scope(|run| {
                        let three = allocated(run, bytes(3 * HEAP / 4).filled(0xEEu8))?;
                        assert!(released.load(Ordering::SeqCst), "C alone made room");
                        Ok(three)
                    })
                })?;
                assert_eq!(place.first_byte(), slabs[0].output.first_byte(), "where A, B and C were");
                assert!(!overlap(&place, &slabs[3].output));
                assert_eq!(play.ended().len(), 3, "D is still running");
                play.release(d);
                Ok(())
            })
        })
        .expect("D's bytes are what they were");
    assert_eq!(play.ended()[0], c);
}

/// Claims HOST-057 together with the orchestrator's test of ten thousand random orders of release. The slabs' tasks and the allocation are of one ring: their
/// scopes are equally deep.
#[test]
fn memory_comes_back_in_the_order_in_which_it_was_taken() {
    on_both(taken_back_in_order);
}

fn running_keeps(builder: HostBuilder) {
    let mut stage = with_heap(builder, HEAP, 2);
    let play = &stage.play;
    stage
        .host
        .run(|run| {
            let held = run.scope(|run| guarded(play, run, 0, 2048))?.output;
            play.wait_for(0);
            let released = AtomicBool::new(false);
            std::thread::scope(|threads| {
                run.scope(|run| {
                    for _ in 0..3 {
                        let other = allocated(run, bytes(2048).filled(0xEEu8))?;
                        assert!(!overlap(&held, &other));
                    }
                    assert!(play.ended().is_empty());
                    threads.spawn(|| soon(&released, || play.release(0)));
                    let last = allocated(run, bytes(2048).filled(0xEEu8))?;
                    assert!(released.load(Ordering::SeqCst), "there was room beside the running task");
                    assert_eq!(play.ended(), [0]);
                    assert_eq!(last.first_byte(), held.first_byte());
                    Ok(())
                })
            })
        })
        .expect("the running task's bytes are what they were");
}

/// Claims HOST-058 together with the model of a held slot. (A scope's hold is no count that its end and a completion could race for: the submitting thread alone remembers
/// it and alone takes memory back, and the model is of what completion and reclaim do have in common.)
#[test]
fn a_running_task_keeps_its_output_beyond_its_scope() {
    on_both(running_keeps);
}

fn kept_by_its_scope(builder: HostBuilder) {
    let mut stage = with_heap(builder, HEAP, 2);
    let play = &stage.play;
    let failed = stage
        .host
        .run(|run| {
            let kept = run.scope(|run| {
                let made = guarded(play, run, FREE + 1, 1024)?;
                play.submit(run, FREE + 2, &[Input(&made.output)])?;
                play.wait_for_ends(2);
                play.probe(run, &[made.id])?;
                // Everybody is done with it, and what needs memory now is given other memory.
                for _ in 0..5 {
                    assert!(!overlap(&made.output, &allocated(run, bytes(1024).filled(0xEEu8))?));
                }
                assert_eq!(run.get::<u8>(&made.output, &[1023])?, (FREE + 1) as u8);
                play.submit(run, FREE + 3, &[Input(&made.output)])?;
                Ok(made.output)
            })?;
            play.wait_for_ends(3);
            for reused in [false, true] {
                if reused {
                    let other = run.scope(|run| allocated(run, bytes(HEAP)))?;
                    assert!(overlap(&kept, &other), "the memory is somebody else's now");
                }
                for argument in [Input(&kept), OutputExisting(&kept), prewire::Argument::InOut(&kept)] {
                    let refused = play.submit(run, FREE + 4, &[argument]).expect_err("the scope has ended");
                    assert!(refused.to_string().contains("scope"), "{refused}");
                }
            }
            Ok(())
        })
        .expect_err("calls were refused");
    assert!(failed.error.to_string().contains("scope"), "{failed}");
    assert_eq!(play.ended(), [FREE + 1, FREE + 2, FREE + 3]);
}

/// Claims HOST-059.
#[test]
fn an_output_is_readable_until_its_scope_ends() {
    on_both(kept_by_its_scope);
}

fn rings_of_depths(builder: HostBuilder) {
    let mut stage = with_heap(builder, HEAP, 2);
    let play = &stage.play;
    let report = stage
        .host
        .run(|run| {
            let mut bases = Vec::new();
            descend(run, 0, &mut bases)?;
            let heaps: Vec<u64> = bases.iter().map(|base: &Tensor| base.first_byte()).collect();
            for (depth, heap) in heaps[..4].iter().enumerate() {
                let others = heaps[..4].iter().filter(|other| *other != heap);
                assert!(
                    others.clone().count() == 3 && others.clone().all(|other| heap.abs_diff(*other) >= HEAP),
                    "{depth}"
                );
            }
            assert!(
                heaps[4] - heaps[3] == 512 && heaps[5] - heaps[4] == 1024,
                "depth 4 and 5 share the heap of depth 3"
            );
            Ok(())
        })
        .expect("there is room");
    let used: Vec<u64> = report.rings.iter().map(|ring| ring.heap_bytes.0).collect();
    // Pieces of different sizes may leave gaps, for which the report adds room.
    assert!(used[..3] == [64, 128, 256] && used[3] >= 512 + 1024 + 2048, "{used:?}");
    // An inner heap is used up again and again, then filled by a task that runs: the outer ones do not notice.
    stage
        .host
        .run(|run| {
            let outer = allocated(run, bytes(1024).filled(0x5Au8))?;
            for _ in 0..1000 {
                run.scope(|run| allocated(run, bytes(HEAP).filled(0xEEu8)).map(drop))?;
            }
            run.scope(|run| guarded(play, run, 0, HEAP).map(drop))?;
            play.wait_for(0);
            allocated(run, bytes(HEAP - 1024))?;
            assert!(play.ended().is_empty(), "the outer allocation did not wait for the inner heap");
            play.release(0);
            for place in 0..1024 {
                assert_eq!(run.get::<u8>(&outer, &[place])?, 0x5A);
            }
            Ok(())
        })
        .expect("there is room");
}

/// An allocation at each depth from 0 to 5, of 64 bytes and twice as many each time.
fn descend(run: &mut Run<'_>, depth: u32, made: &mut Vec<Tensor>) -> Result<(), SubmitError> {
    made.push(allocated(run, bytes(64 << depth))?);
    if depth < 5 { run.scope(|run| descend(run, depth + 1, made)) } else { Ok(()) }
}

/// Claims HOST-060.
#[test]
fn four_depths_have_heaps_of_their_own() {
    on_both(rings_of_depths);
}
