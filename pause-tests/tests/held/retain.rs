//! A producer that ends while a submit that found it is under way.

use crate::points::Pauses;
use crate::rig::{get, hold, set, task_words, wait_until};
use crate::stage::{Play, Stage, on_both};
use prewire::host::{self, Callable, HostBuilder};
use prewire::{Argument, DataType, Dependency, KernelError, NewTensor, Run, SubmitError, Tensor};
use prewire_runtime_core::sync::pause::{Hold, Point};
use std::sync::mpsc::channel;

/// Bytes of what the producer writes. Two of them are the heap.
const BYTES: u32 = 4096;
/// The words at which the producer waits, and where each callable says that it has begun.
const GO: usize = 3000;
const FILLED: usize = 3001;
const RIGHT: usize = 3002;
/// The actor that holds the consumer back.
const SECOND: u64 = 1;

/// Waits until it may go on, and writes a pattern.
fn fill() -> Callable {
    Callable::sub("fill", |task| {
        let stage = task_words(task, 1);
        hold(task, || get(&stage[GO]) != 0)?;
        for (at, byte) in task.output::<u8>(0)?.as_mut_slice().iter_mut().enumerate() {
            *byte = pattern(at);
        }
        Ok(())
    })
}

fn pattern(at: usize) -> u8 {
    (at % 251) as u8 + 1
}

/// Says that the producer is over: it waits for that one and for nothing else.
fn behind() -> Callable {
    Callable::sub("behind", |task| {
        set(&task_words(task, 0)[FILLED], 1);
        Ok(())
    })
}

/// Counts the bytes that are the producer's.
fn check() -> Callable {
    Callable::sub("check", |task| {
        let stage = task_words(task, 2);
        let bytes = task.input::<u8>(0)?;
        let right = bytes.as_slice().iter().enumerate().filter(|&(at, &byte)| byte == pattern(at)).count();
        set(&stage[RIGHT], right as u64);
        if right == BYTES as usize { Ok(()) } else { Err(KernelError::new(1, "the bytes were used again")) }
    })
}

fn new() -> NewTensor {
    NewTensor::new(&[BYTES], DataType::U8)
}

fn allocate(run: &mut Run<'_>) -> Result<Tensor, SubmitError> {
    Ok(run.allocate(&[new().filled(0u8)])?.outputs[0])
}

/// The consumer's submit stands at `point` until its producer is over.
fn held_at(builder: HostBuilder, point: Point) {
    let pauses = &Pauses::new();
    let builder = builder.subs(3).engine(|engine| engine.ring_heap(2 * u64::from(BYTES)));
    let mut stage = Stage::new(builder, vec![fill(), behind(), check()]);
    let (_buffer, flag) = stage.bytes(64);
    let play: &Play = &stage.play;
    let all = Argument::NoDependency(&play.all);
    let [fill, behind, check] = [0, 1, 2].map(|at| play.ids[at]);
    let (armed, submits) = channel();
    let result = std::thread::scope(|threads| {
        threads.spawn(move || {
            let submit: Hold = submits.recv().expect("the consumer is submitted");
            submit.wait();
            play.set_word(GO, 1);
            wait_until("the producer's end", || play.word(FILLED) == 1);
            // What comes next to a sleep is the allocation for which there is no room.
            let sleeps = pauses.hold_next(Point::CallerSleeps);
            submit.release();
            sleeps.wait();
            assert_eq!(play.word(RIGHT), 0, "the consumer is held back");
            play.release(SECOND);
            sleeps.release();
        });
        stage.host.run(|run| {
            play.submit(run, SECOND, &[Argument::OutputExisting(&flag)])?;
            play.wait_for(SECOND);
            run.scope(|run| {
                let made = run.submit(&host::sub(fill).arguments(&[Argument::Output(new()), all]))?;
                let (producer, output) = (made.id, made.outputs[0]);
                let after = [Dependency::wait_only(producer)];
                run.submit(&host::sub(behind).arguments(&[all]).dependencies(&after))?;
                armed.send(pauses.hold_next(point)).expect("the other thread listens");
                let uses = [Argument::Input(&output), Argument::Input(&flag), all];
                run.submit(&host::sub(check).arguments(&uses)).map(drop)
            })?;
            // Half of the heap is free; the other half is the producer's, which only the consumer keeps now.
            run.scope(|run| {
                let first = allocate(run)?;
                let second = allocate(run)?;
                assert_eq!(play.word(RIGHT), u64::from(BYTES), "the bytes were taken before they were read");
                assert_ne!(first.first_byte(), second.first_byte());
                Ok(())
            })
        })
    });
    result.expect("the consumer reads what the producer wrote");
    assert_eq!(play.word(RIGHT), u64::from(BYTES));
}

/// Claims HOST-029 together with the model of a held slot.
#[test]
fn a_producer_that_ends_during_its_consumers_submit_is_kept() {
    for point in [Point::SubmitAdmits, Point::SubmitWires] {
        on_both(|builder| held_at(builder, point));
    }
}
