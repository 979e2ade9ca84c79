//! A writer that ends while the next writer of its bytes is being submitted.

use crate::points::Pauses;
use crate::rig::wait_until;
use crate::stage::{FREE, Stage, on_both};
use prewire::Argument::{Input, OutputExisting};
use prewire::Placement;
use prewire::host::HostBuilder;
use prewire_runtime_core::sync::pause::{Hold, Point};
use std::sync::mpsc::channel;

const OLDER: u64 = 0;
const NEWER: u64 = 1;
const BEHIND: u64 = FREE;
const READER: u64 = FREE + 1;
const OTHERS: u64 = FREE + 2;
/// As many that the ring holds more than before, so that what has ended is taken back.
const COUNT: u64 = 8;

fn older_ends(builder: HostBuilder) {
    let pauses = Pauses::new();
    let mut stage = Stage::subs(builder, 3);
    let (_buffer, bytes) = stage.bytes(64);
    let cores = [0, 1, 2].map(|id| Placement::Core(stage.sub(id)));
    let play = &stage.play;
    let (armed, submits) = channel();
    let result = std::thread::scope(|threads| {
        threads.spawn(move || {
            let hold: Hold = submits.recv().expect("the newer writer is submitted");
            hold.wait();
            play.release(OLDER);
            wait_until("the end of the older writer", || play.starts(BEHIND) == 1);
            hold.release();
        });
        stage.host.run(|run| {
            let older = play.submit_at(run, OLDER, &[OutputExisting(&bytes)], cores[0])?.id;
            play.wait_for(OLDER);
            play.submit_behind(run, BEHIND, &[older])?;
            armed.send(pauses.hold_next(Point::SubmitWires)).expect("the other thread listens");
            play.submit_at(run, NEWER, &[OutputExisting(&bytes)], cores[1])?;
            play.wait_for(NEWER);
            for other in OTHERS..OTHERS + COUNT {
                play.submit_at(run, other, &[], cores[2])?;
            }
            play.submit(run, READER, &[Input(&bytes)])?;
            play.probe(run, &[])?;
            assert_eq!(play.starts(READER), 0, "the reader does not know of the newer writer");
            play.release(NEWER);
            Ok(())
        })
    });
    let report = result.expect("it runs");
    // The newer writer, the others, the reader and two probes; and perhaps the task behind the older one.
    assert!(report.rings[0].window.0 <= COUNT + 5, "the older writer was not taken back: {:?}", report.rings[0].window);
    let ended = play.ended();
    let place = |actor: u64| ended.iter().position(|&ended| ended == actor).expect("it has ended");
    assert!(place(OLDER) < place(NEWER) && place(NEWER) < place(READER), "{ended:?}");
}

/// Claims HOST-069 together with the program that shares an orchestrator between threads, which does not compile, and with the hundred thousand tasks below, which
/// run with the race detector, too. The older writer ends between the newer one's look-up and its entry, and is taken back afterwards.
#[test]
fn a_writer_that_ends_before_the_next_is_entered_takes_nothing_with_it() {
    on_both(older_ends);
}
