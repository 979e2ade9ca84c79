//! A consumer of two producers that fail one after the other.

use crate::points::Pauses;
use crate::rig::wait_until;
use crate::stage::{FREE, Stage, act, on_both};
use prewire::Argument::{Input, NoDependency, OutputExisting};
use prewire::host::{self, Callable, HostBuilder};
use prewire::{Argument, KernelError, RunError, Scalar, SubmitError};
use prewire_runtime_core::sync::pause::Point;

/// The producers, by their order of submission.
const PRODUCERS: [u64; 2] = [0, 1];
const CONSUMER: u64 = FREE;
/// Start when the consumer, and when a producer, is over, however that ended.
const BEHIND_CONSUMER: u64 = FREE + 1;
const BEHIND_PRODUCER: [u64; 2] = [FREE + 2, FREE + 3];
/// What the producers fail with.
const CODE: i32 = 60;

fn fails() -> Callable {
    Callable::sub("fails", |task| {
        let actor = task.scalar::<u64>(0)?;
        act(task, actor)?;
        Err(KernelError::new(CODE + actor as i32, "on purpose"))
    })
}

/// The `late` one has run and its result is held until all that the other's failure leads to has happened.
fn one_is_late(builder: HostBuilder, late: usize) {
    let early = 1 - late;
    let pauses = Pauses::new();
    let mut stage = Stage::new(builder.subs(4), vec![fails()]);
    let buffers: Vec<_> = (0..6).map(|_| stage.bytes(8)).collect();
    let play = &stage.play;
    let [made_0, made_1, beside_0, beside_1, result, kept] = [0, 1, 2, 3, 4, 5].map(|at: usize| &buffers[at].1);
    let (made, beside) = ([made_0, made_1], [beside_0, beside_1]);
    let mut seen = None;
    let failed = stage
        .host
        .run(|run| {
            for producer in PRODUCERS {
                let at = producer as usize;
                let scalars: [Scalar; 1] = [producer.into()];
                let uses: [Argument<'_>; 3] =
                    [OutputExisting(made[at]), OutputExisting(beside[at]), NoDependency(&play.all)];
                run.submit(&host::sub(play.ids[0]).arguments(&uses).scalars(&scalars))?;
                play.wait_for(producer);
            }
            let uses = [Input(made[0]), Input(made[1]), OutputExisting(result), OutputExisting(kept)];
            play.submit(run, CONSUMER, &uses)?;
            // Whoever overwrites what another should have written waits for it, and does not share its fate.
            play.submit(run, BEHIND_CONSUMER, &[OutputExisting(result)])?;
            for at in 0..2 {
                play.submit(run, BEHIND_PRODUCER[at], &[OutputExisting(beside[at])])?;
            }
            let hold = pauses.hold_next(Point::WorkerFinishes);
            play.release(PRODUCERS[late]);
            hold.wait();
            play.release(PRODUCERS[early]);
            play.wait_for(BEHIND_PRODUCER[early]);
            play.probe(run, &[])?;
            assert_eq!([BEHIND_CONSUMER, BEHIND_PRODUCER[late]].map(|actor| play.starts(actor)), [0, 0]);
            hold.release();
            play.wait_for(BEHIND_CONSUMER);
            seen = Some(run.get::<u8>(kept, &[0]));
            Ok(())
        })
        .expect_err("two tasks fail");
    let first = |code| code == CODE + PRODUCERS[0] as i32;
    let Some(Err(SubmitError::DataLost(cause))) = seen else { panic!("{seen:?}") };
    assert!(first(cause.code), "the consumer's cause: {cause}");
    let RunError::KernelFailed { first: cause, failed: 2, unrun: 1 } = &*failed.error else { panic!("{failed}") };
    assert!(first(cause.code), "{failed}");
    assert_eq!(play.starts(CONSUMER), 0);
    wait_until("the last end", || play.starts(BEHIND_PRODUCER[late]) == 1);
}

/// Claims HOST-077 together with the model of failure marking against readiness.
#[test]
fn a_consumer_is_retired_with_its_last_producer_and_blames_the_first() {
    for late in 0..2 {
        on_both(|builder| one_is_late(builder, late));
    }
}
