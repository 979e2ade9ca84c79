//! A callback that waits for heap memory while its run is ended from outside.

use crate::points::Pauses;
use crate::stage::{Stage, on_both};
use prewire::Argument::Output;
use prewire::host::{HostBuilder, HostRuntime};
use prewire::{Canceller, DataType, Fatal, NewTensor, RunError, SubmitError};
use prewire_runtime_core::sync::pause::{Hold, Point};
use std::sync::mpsc::channel;
use std::time::Duration;

const HEAP: u32 = 4096;
const HELD: u64 = 0;

fn all_of_it() -> NewTensor {
    NewTensor::new(&[HEAP], DataType::U8)
}

/// Ends the run while its callback is between its last look for room and its sleep. Returns what the waiting call and the run came to.
fn ended(builder: HostBuilder, end: impl FnOnce(&HostRuntime, &Canceller) + Send) -> [String; 2] {
    let pauses = &Pauses::new();
    let stage = Stage::subs(builder.engine(|engine| engine.ring_heap(u64::from(HEAP))), 1);
    let (host, play) = (&stage.host, &stage.play);
    let (waits, waiting) = channel::<(Hold, Canceller)>();
    let mut seen = None;
    let failed = std::thread::scope(|threads| {
        threads.spawn(move || {
            let (asleep, canceller) = waiting.recv().expect("the callback is open");
            asleep.wait();
            let latches = pauses.hold_next(Point::CancelLatches);
            threads.spawn(move || end(host, &canceller));
            latches.wait();
            latches.release();
            // Long enough for it to be recorded and for everybody to be rung; nothing is wrong if it was not.
            std::thread::sleep(Duration::from_millis(50));
            asleep.release();
        });
        let outcome = host.submit(|run| {
            run.scope(|run| play.submit(run, HELD, &[Output(all_of_it())]).map(drop))?;
            play.wait_for(HELD);
            waits.send((pauses.hold_next(Point::CallerSleeps), run.canceller())).expect("the other thread listens");
            let outcome = run.scope(|run| run.allocate(&[all_of_it()]).map(drop));
            seen = Some(outcome.clone());
            outcome
        });
        outcome.expect_err("there was no room before the end")
    });
    let Some(Err(SubmitError::Fatal(fatal))) = seen else { panic!("{seen:?}") };
    let RunError::Fatal(cause) = &*failed.error else { panic!("{failed}") };
    assert!(matches!((&fatal, cause), (Fatal::Cancelled { .. }, Fatal::Cancelled { .. })), "{failed}");
    [fatal.to_string(), failed.to_string()]
}

/// Claims HOST-063: cancelled by another thread, and closed without more patience for what runs, which only processes can be.
#[test]
fn a_wait_for_room_ends_with_its_run() {
    on_both(|builder| {
        let texts = ended(builder, |_, canceller| assert!(canceller.cancel("enough")));
        assert!(texts.iter().all(|text| text.contains("cancelled") && text.contains("enough")), "{texts:?}");
    });
    let builder = HostRuntime::builder().kill_at_close(Duration::from_millis(1));
    // What it says of the killed worker is its own affair.
    let texts = ended(builder, |host, _| drop(host.close()));
    assert!(texts.iter().all(|text| text.contains("the runtime was closed")), "{texts:?}");
}
