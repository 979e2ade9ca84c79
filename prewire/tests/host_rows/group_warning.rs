//! A group that keeps a worker idle for long.

use crate::stage::{FREE, Play, Stage, on_both};
use prewire::Argument::NoDependency;
use prewire::host::{self, HostBuilder};
use prewire::{Argument, CoreId, Member, Placement, Run, Scalar, SubmitError, TaskId};
use std::time::Duration;

/// Several times the warning time below, and the time between two looks of whoever watches.
const LONG_ENOUGH: Duration = Duration::from_millis(700);
const WARNING: Duration = Duration::from_millis(100);
const WAKE_UPS: u64 = 100;

fn submit_group(play: &Play, run: &mut Run<'_>, cores: &[CoreId]) -> Result<TaskId, SubmitError> {
    let all: [Argument<'_>; 1] = [NoDependency(&play.all)];
    let scalars: [Scalar; 1] = [FREE.into()];
    let members = [Member::new(&all).scalars(&scalars); 2];
    Ok(run.submit(&host::sub(play.act()).group(&members).placement(Placement::Cores(cores)))?.id)
}

fn kept_idle(builder: HostBuilder) {
    let builder = builder.subs(3).engine(|engine| engine.gang_warning(WARNING));
    let mut stage = Stage::new(builder, Vec::new());
    let cores = [0, 1, 2].map(|id| stage.sub(id));
    let play = &stage.play;
    let mut ids = Vec::new();
    let report = stage
        .host
        .run(|run| {
            for busy in 0..2 {
                play.submit_at(run, busy, &[], Placement::Core(cores[1]))?;
                play.wait_for(busy);
                let group = submit_group(play, run, &cores[..2])?;
                let ends = play.ended().len();
                if busy == 0 {
                    // Nobody waits for the idle worker, so that there is nothing to be warned of.
                    std::thread::sleep(LONG_ENOUGH);
                }
                let queued =
                    [0, 1].map(|_| play.submit_at(run, FREE, &[], Placement::Core(cores[0])).map(|made| made.id));
                let [first, second] = queued;
                ids.push((group, first?, second?));
                for _ in 0..WAKE_UPS / 2 {
                    play.submit_at(run, FREE, &[], Placement::Core(cores[2]))?;
                }
                std::thread::sleep(LONG_ENOUGH);
                for _ in 0..WAKE_UPS / 2 {
                    play.submit_at(run, FREE, &[], Placement::Core(cores[2]))?;
                    std::thread::sleep(Duration::from_millis(1));
                }
                play.wait_for_ends(ends + WAKE_UPS as usize);
                assert_eq!(
                    play.ended().len(),
                    ends + WAKE_UPS as usize,
                    "the group or what stands behind it has started"
                );
                play.release(busy);
                play.wait_for_ends(ends + WAKE_UPS as usize + 5);
            }
            Ok(())
        })
        .expect("the group starts when its worker is free, and the run does not fail");
    assert_eq!(report.notes.len(), 2, "one warning for each group: {:?}", report.notes);
    for (note, (group, first, second)) in report.notes.iter().zip(&ids) {
        let words = [
            format!("task {group} "),
            "for sub worker 1".to_owned(),
            "sub worker 0 idle".to_owned(),
            format!("task {first} "),
        ];
        assert!(words.iter().all(|word| note.contains(word)), "{note}");
        assert!(!note.contains(&second.to_string()) && !note.contains("sub worker 2"), "{note}");
    }
}

/// Claims HOST-054.
#[test]
fn a_group_that_keeps_a_worker_idle_for_long_is_named_once() {
    on_both(kept_idle);
}
