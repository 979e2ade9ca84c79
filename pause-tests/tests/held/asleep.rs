//! What happens between a scheduler's last look and its sleep, which has no end but a wake-up.

use crate::points::Pauses;
use crate::rig::wait_until;
use crate::stage::{FREE, Play, Stage, on_both};
use prewire::Argument::{Input, OutputExisting};
use prewire::host::{HostBuilder, HostRuntime};
use prewire::{Argument, Fatal, KernelError, Placement, Run, RunError, SubmitError};
use prewire_runtime_core::sync::pause::{Hold, Point};
use std::time::{Duration, Instant};

pub(crate) const HELD: u64 = 0;
const BEHIND: u64 = FREE;
const EARLIER: u64 = FREE + 1;

/// Long enough for what rings the scheduler to have done so; nothing is wrong if it was not.
pub(crate) fn a_moment() {
    std::thread::sleep(Duration::from_millis(50));
}

/// Holds the scheduler's thread where it goes to sleep beside a task that runs: what wakes it is still to come.
pub(crate) fn scheduler(
    play: &Play,
    run: &mut Run<'_>,
    pauses: &Pauses,
    uses: &[Argument<'_>],
    placement: Placement<'_>,
) -> Result<Hold, SubmitError> {
    // It sleeps already, or it would be held on its way there and would not have seen the task.
    a_moment();
    let hold = pauses.hold_next(Point::SchedulerSleeps);
    play.submit_at(run, HELD, uses, placement)?;
    hold.wait();
    let begun = Instant::now();
    while play.starts(HELD) == 0 {
        if begun.elapsed() > Duration::from_secs(10) {
            hold.again();
            hold.wait();
            play.wait_for(HELD);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(hold)
}

fn ready_task(builder: HostBuilder) {
    let pauses = Pauses::new();
    let mut stage = Stage::subs(builder, 2);
    let play = &stage.play;
    let ready = stage.host.run(|run| {
        let hold = scheduler(play, run, &pauses, &[], Placement::Any)?;
        play.submit(run, BEHIND, &[])?;
        hold.release();
        play.wait_for(BEHIND);
        play.release(HELD);
        Ok(())
    });
    ready.expect("the task was seen");
}

fn completion(builder: HostBuilder) {
    let pauses = Pauses::new();
    let mut stage = Stage::subs(builder, 2);
    let (_buffer, bytes) = stage.bytes(64);
    let play = &stage.play;
    let completed = stage.host.run(|run| {
        let hold = scheduler(play, run, &pauses, &[OutputExisting(&bytes)], Placement::Any)?;
        play.submit(run, BEHIND, &[Input(&bytes)])?;
        play.release(HELD);
        wait_until("the end of the held task", || play.ended().contains(&HELD));
        a_moment();
        assert_eq!(play.starts(BEHIND), 0);
        hold.release();
        play.wait_for(BEHIND);
        Ok(())
    });
    completed.expect("the end was seen");
}

fn death() {
    let pauses = Pauses::new();
    let mut stage = Stage::subs(HostRuntime::builder(), 2);
    let pid = stage.host.workers()[0].pid.expect("a process");
    let core = stage.sub(0);
    let play = &stage.play;
    let failed = stage
        .host
        .run(|run| {
            let hold = scheduler(play, run, &pauses, &[], Placement::Core(core))?;
            // SAFETY: the worker of this test.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            a_moment();
            hold.release();
            Ok(())
        })
        .expect_err("a worker died in its task");
    let RunError::KernelFailed { first, failed: 1, unrun: 0 } = &*failed.error else { panic!("{failed}") };
    assert_eq!(first.code, KernelError::LOST, "{failed}");
}

fn cancellation(builder: HostBuilder) {
    let pauses = Pauses::new();
    let mut stage = Stage::subs(builder, 2);
    let play = &stage.play;
    let failed = stage
        .host
        .run(|run| {
            let hold = scheduler(play, run, &pauses, &[], Placement::Any)?;
            assert!(run.canceller().cancel("enough"));
            hold.release();
            Ok(())
        })
        .expect_err("it was cancelled");
    assert!(matches!(&*failed.error, RunError::Fatal(Fatal::Cancelled { .. })), "{failed}");
}

fn stop(builder: HostBuilder) {
    let pauses = Pauses::new();
    let mut stage = Stage::subs(builder, 1);
    let play = &stage.play;
    let mut hold = None;
    stage
        .host
        .run(|run| {
            play.submit(run, EARLIER, &[])?;
            play.wait_for(EARLIER);
            hold = Some(pauses.hold_next(Point::SchedulerSleeps));
            Ok(())
        })
        .expect("it runs");
    let hold = hold.expect("the callback ran");
    hold.wait();
    std::thread::scope(|threads| {
        let ends = threads.spawn(move || drop(stage));
        a_moment();
        assert!(!ends.is_finished(), "it waits for its threads");
        hold.release();
    });
}

/// Claims HOST-082 together with the models of parking and with the test that counts the context switches of an idle runtime. A sleep of the scheduler has no end of
/// its own, so that a wake-up which is lost is a test that does not end.
#[test]
fn nothing_is_missed_between_the_last_look_and_the_sleep() {
    on_both(ready_task);
    on_both(completion);
    death();
    on_both(cancellation);
    on_both(stop);
}
