//! Two causes that would end one run, each about to be recorded.

use crate::points::Pauses;
use crate::stage::{FREE, Stage, on_both};
use prewire::host::HostBuilder;
use prewire::{Canceller, DataType, ErrorCode, Fatal, NewTensor, Run, RunError, SubmitError};
use prewire_runtime_core::sync::pause::Point;
use std::sync::mpsc::channel;

const HEAP: u64 = 4096;

/// Asks for more than fits, in one scope: nothing that could end would make room.
fn deadlock(run: &mut Run<'_>) -> Result<(), SubmitError> {
    let more_than_half = || NewTensor::new(&[HEAP as u32 / 2 + 64], DataType::U8);
    run.scope(|run| {
        run.allocate(&[more_than_half()])?;
        run.allocate(&[more_than_half()]).map(drop)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Cancellation,
    Deadlock,
}

fn two_causes(builder: HostBuilder, first: First) {
    let pauses = Pauses::new();
    let stage = Stage::subs(builder.engine(|engine| engine.ring_heap(HEAP).runs_in_flight(2)), 1);
    let (host, play) = (&stage.host, &stage.play);
    let (opens, opened) = channel::<Canceller>();
    let (returns, returned) = channel::<Result<(), SubmitError>>();
    let (ends, ended) = channel::<()>();
    let (failed, behind) = std::thread::scope(|threads| {
        let (deadlocks, cancels) = (pauses.hold_next(Point::SubmitLatches), pauses.hold_next(Point::CancelLatches));
        let failing = threads.spawn(move || {
            host.submit(|run| {
                opens.send(run.canceller()).expect("the test listens");
                let outcome = deadlock(run);
                returns.send(outcome.clone()).expect("the test listens");
                // The run is there until both causes have been told.
                ended.recv().expect("the test says so");
                outcome
            })
        });
        let canceller = opened.recv().expect("the callback is open");
        let behind = threads.spawn(move || host.submit(|run| play.submit(run, FREE, &[]).map(drop)));
        let cancelling = threads.spawn(move || canceller.cancel("no more of it"));
        deadlocks.wait();
        cancels.wait();
        let (cancelled, outcome) = match first {
            First::Cancellation => {
                cancels.release();
                let cancelled = cancelling.join().expect("it returns");
                deadlocks.release();
                (cancelled, returned.recv().expect("the callback goes on"))
            }
            First::Deadlock => {
                deadlocks.release();
                let outcome = returned.recv().expect("the callback goes on");
                cancels.release();
                (cancelling.join().expect("it returns"), outcome)
            }
        };
        assert_eq!(cancelled, first == First::Cancellation);
        let Err(SubmitError::Fatal(seen)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(seen.code(), expected(first), "{seen}");
        ends.send(()).expect("the callback listens");
        let failed = failing.join().expect("it returns").expect_err("a cause ended it");
        (failed, behind.join().expect("it returns"))
    });
    let RunError::Fatal(cause) = &*failed.error else { panic!("{failed}") };
    assert_eq!(cause.code(), expected(first), "{failed}");
    assert_eq!(matches!(cause, Fatal::Cancelled { .. }), first == First::Cancellation);
    let later = match first {
        First::Cancellation => "heap deadlock",
        First::Deadlock => "was cancelled",
    };
    let [note] = &failed.report.notes[..] else { panic!("one consequence: {:?}", failed.report.notes) };
    assert!(note.starts_with("later: ") && note.contains(later), "{note}");
    let report = behind.expect("it is accepted").wait().expect("nothing has happened to it");
    assert_eq!((report.tasks, report.completed, report.notes), (1, 1, Vec::new()));
    assert_eq!(play.ended(), [FREE]);
}

fn expected(first: First) -> ErrorCode {
    match first {
        First::Cancellation => ErrorCode::ExplicitFatal,
        First::Deadlock => ErrorCode::HeapDeadlock,
    }
}

/// Claims HOST-080.
#[test]
fn the_cause_that_is_recorded_first_stays() {
    for first in [First::Cancellation, First::Deadlock] {
        on_both(|builder| two_causes(builder, first));
    }
}
