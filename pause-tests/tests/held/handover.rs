//! Who gets a worker that a task has freed: its own successor, a group, or an older task of the worker's own.

use crate::asleep::{HELD, a_moment, scheduler};
use crate::points::Pauses;
use crate::stage::{FREE, Play, Stage, on_both};
use prewire::Argument::{Input, NoDependency, OutputExisting};
use prewire::host::{self, HostBuilder};
use prewire::{Argument, CoreId, Member, Placement, Run, Scalar, SubmitError};
use prewire_runtime_core::sync::pause::Point;

/// The task that frees its worker, and one that keeps the other worker.
const FIRST: u64 = HELD;
const OTHER: u64 = 1;
const SUCCESSOR: u64 = FREE;
const OLDER: u64 = FREE + 1;
const MEMBERS: [u64; 2] = [FREE + 2, FREE + 3];

fn submit_group(play: &Play, run: &mut Run<'_>, placement: Placement<'_>) -> Result<(), SubmitError> {
    let all: [Argument<'_>; 1] = [NoDependency(&play.all)];
    let scalars: [[Scalar; 1]; 2] = MEMBERS.map(|member| [member.into()]);
    let members = [0, 1].map(|at| Member::new(&all).scalars(&scalars[at]));
    run.submit(&host::sub(play.act()).group(&members).placement(placement)).map(drop)
}

/// The order in which these have ended.
fn places<const N: usize>(play: &Play, actors: [u64; N]) -> [usize; N] {
    let ended = play.ended();
    actors.map(|actor| ended.iter().position(|&ended| ended == actor).expect("it has ended"))
}

/// What waits when the worker becomes free.
#[derive(Clone, Copy, Debug)]
enum Waits {
    /// A task that names the worker.
    Older,
    /// The same, of which the scheduler has not heard when it takes the end in.
    OlderUnseen,
    /// A group that names both workers, ready before.
    Group,
    /// The same, ready only when the task's end is taken in.
    LateGroup,
    /// A group that any workers may run, ready only then.
    AnyLateGroup,
}

fn freed(builder: HostBuilder, waits: Waits) {
    let pauses = Pauses::new();
    let mut stage = Stage::subs(builder, 2);
    let (_buffer, bytes) = stage.bytes(64);
    let cores: [CoreId; 2] = [0, 1].map(|id| stage.sub(id));
    let play = &stage.play;
    stage
        .host
        .run(|run| {
            play.submit_at(run, OTHER, &[], Placement::Core(cores[1]))?;
            play.wait_for(OTHER);
            let asleep = scheduler(play, run, &pauses, &[OutputExisting(&bytes)], Placement::Core(cores[0]))?;
            match waits {
                Waits::Older | Waits::OlderUnseen => {
                    play.submit_at(run, OLDER, &[], Placement::Core(cores[0]))?;
                }
                Waits::Group => submit_group(play, run, Placement::Cores(&cores))?,
                Waits::LateGroup | Waits::AnyLateGroup => {}
            }
            play.submit(run, SUCCESSOR, &[Input(&bytes)])?;
            if matches!(waits, Waits::OlderUnseen) {
                play.release(FIRST);
                play.wait_for_ends(1);
                a_moment();
                asleep.release();
                play.wait_for(SUCCESSOR);
                play.release(OTHER);
                return Ok(());
            }
            asleep.release();
            // Time enough for the scheduler to have taken in what waits.
            a_moment();
            let hold = pauses.hold_next(Point::TaskReleasesConsumers);
            play.release(FIRST);
            hold.wait();
            match waits {
                Waits::LateGroup => submit_group(play, run, Placement::Cores(&cores))?,
                Waits::AnyLateGroup => submit_group(play, run, Placement::Any)?,
                Waits::Older | Waits::OlderUnseen | Waits::Group => {}
            }
            hold.release();
            if matches!(waits, Waits::Older) {
                play.wait_for(SUCCESSOR);
            } else {
                // Time enough for what must not happen.
                a_moment();
                assert_eq!(play.starts(SUCCESSOR), 0, "{waits:?}: the worker is kept for the group");
            }
            play.release(OTHER);
            Ok(())
        })
        .expect("it runs");
    let [successor, first] = places(play, [SUCCESSOR, FIRST]);
    // The members start together, so that what comes before them ends before both.
    let before = match waits {
        Waits::Older | Waits::OlderUnseen => places(play, [OLDER])[0],
        Waits::Group | Waits::LateGroup | Waits::AnyLateGroup => {
            let [one, other] = places(play, MEMBERS);
            one.min(other)
        }
    };
    assert!(first < before && before < successor, "{waits:?}: {:?}", play.ended());
}

/// Claims HOST-053.
#[test]
fn a_freed_worker_goes_to_who_has_waited_for_it() {
    for waits in [Waits::Older, Waits::OlderUnseen, Waits::Group, Waits::LateGroup, Waits::AnyLateGroup] {
        on_both(|builder| freed(builder, waits));
    }
}
