//! The dependency index belongs to the submitting thread alone: a writer that ends while the next one is submitted, and very many tasks.

use crate::points::Pauses;
use crate::rig::{host, wait_until};
use crate::stage::{FREE, Stage, on_both};
use prewire::Argument::{InOut, Input, OutputExisting};
use prewire::host::{self, Callable, HostBuilder, HostRuntime};
use prewire::{DataType, Placement, Tensor};
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

const TASKS: u64 = 100_000;
/// The words that the tasks share, each of which is a chain of tasks.
const CELLS: u64 = 64;

/// Claims HOST-069 together with the test above; `cargo xtask tsan -p prewire-pause-tests a_hundred_thousand_tasks` runs it with the race detector. Every task adds one to
/// what the one before left, by plain loads and stores that nothing but the dependencies orders.
#[test]
fn a_hundred_thousand_tasks_see_what_the_ones_before_them_wrote() {
    let add = Callable::sub("add", |task| {
        task.output::<u64>(0)?.as_mut_slice()[0] += 1;
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().threads().subs(2), vec![add]);
    let buffer = host.buffer(8 * CELLS).expect("a buffer");
    let cells: Vec<Tensor> =
        (0..CELLS).map(|at| buffer.tensor_at(8 * at, &[1], DataType::U64).expect("a tensor")).collect();
    let report = host
        .run(|run| {
            (0..TASKS).try_for_each(|task| {
                let uses = [InOut(&cells[(task % CELLS) as usize])];
                run.submit(&host::sub(ids[0]).arguments(&uses)).map(drop)
            })
        })
        .expect("it runs");
    assert_eq!(report.completed, TASKS);
    let sums = host.read::<u64>(&buffer).expect("no run is on");
    let expected: Vec<u64> = (0..CELLS).map(|at| (TASKS - at).div_ceil(CELLS)).collect();
    assert_eq!(sums, expected);
}
