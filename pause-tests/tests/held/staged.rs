//! A scheduler that is held behind the moment at which it has staged a task.

use crate::points::Pauses;
use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use crate::stage::on_both;
use prewire::host::{self, Callable, HostBuilder};
use prewire::{Argument, DataType, KernelError, Scalar};
use prewire_runtime_core::sync::pause::Point;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Scalars of a task, the first of which is its number.
const SCALARS: u64 = 100;

fn scalar(number: u64, at: u64) -> u64 {
    if at == 0 { number } else { number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at }
}

/// Words 3n, 3n + 1 and 3n + 2 of task n: started, may end, ended. The frame is what it was submitted with from the start to the end.
fn check() -> Callable {
    Callable::sub("check", |task| {
        let (words, number) = (task_words(task, 0), task.scalar::<u64>(0)?);
        let own = &words[3 * number as usize..][..3];
        own[0].fetch_add(1, Ordering::SeqCst);
        hold(task, || get(&own[1]) != 0)?;
        for at in 0..SCALARS {
            let found = task.scalar_bits(at as usize)?;
            if found != scalar(number, at) {
                return Err(KernelError::new(1, format!("scalar {at} of task {number} is {found:x}")));
            }
        }
        own[2].fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

fn the_worker_starts_what_is_staged(builder: HostBuilder) {
    let pauses = Pauses::new();
    let (mut host, ids) = host(builder.subs(1), vec![check()]);
    let buffer = host.buffer(3 * 3 * 8).expect("a buffer");
    let all = buffer.tensor(&[9], DataType::U64).expect("a tensor");
    let words = words(&buffer);
    let staged = pauses.hold_next(Point::SchedulerStages);
    std::thread::scope(|threads| {
        // The hold goes with its thread, so that a failure holds nobody for ever.
        threads.spawn(move || {
            staged.wait();
            // Whoever drives the scheduler is held, be it the thread that waits for the run.
            wait_until("the first task's start", || get(&words[0]) == 1);
            assert_eq!([3, 6].map(|at| get(&words[at])), [0, 0], "one runs, one is staged");
            (0..3).for_each(|task| set(&words[3 * task + 1], 1));
            wait_until("the end of the staged task", || get(&words[5]) == 1);
            std::thread::sleep(Duration::from_millis(20));
            assert!(staged.is_held());
            assert_eq!(
                [2, 5].map(|at| get(&words[at])),
                [1, 1],
                "both ran, with the bytes that they were submitted with"
            );
            assert_eq!(get(&words[6]), 0, "the third was not offered");
            staged.release();
        });
        let outcome = host.run(|run| {
            for number in 0..3 {
                let scalars: Vec<Scalar> = (0..SCALARS).map(|at| scalar(number, at).into()).collect();
                run.submit(&host::sub(ids[0]).arguments(&[Argument::NoDependency(&all)]).scalars(&scalars))?;
            }
            Ok(())
        });
        outcome.expect("all three have their bytes");
    });
    assert_eq!(words.iter().map(get).collect::<Vec<_>>(), [1; 9], "each once");
}

/// Claims HOST-085.
#[test]
fn a_worker_starts_the_second_of_two_frames_by_itself() {
    on_both(the_worker_starts_what_is_staged);
}
