//! What sixteen workers use while there is nothing to do, and the first task behind a second of it.

use crate::bare::Peer;
use crate::figures::{median, run, start};
use crate::row::Row;
use std::error::Error;
use std::time::Duration;

const WORKERS: u32 = 16;
const IDLE: Duration = Duration::from_secs(10);
/// Behind the last task.
const SETTLE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(1);
/// The share of one processor that all of them may use.
const SHARE_MOST: f64 = 0.01;

/// Nanoseconds of processor time that a process has used, all its threads together.
fn used_ns(pid: i32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_thread = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    threads.filter_map(|thread| of_thread(thread.path())).sum()
}

/// Prints HOST-135.
pub(crate) fn processors(rounds: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let bare = Peer::start()?;
    let (mut host, nothing) = start(WORKERS)?;
    run(&mut host, nothing, 1000);
    std::thread::sleep(SETTLE);
    let pids: Vec<i32> =
        host.workers().iter().filter_map(|worker| worker.pid).chain([std::process::id() as i32]).collect();
    let used = || pids.iter().map(|&pid| used_ns(pid)).sum::<u64>();
    let before = used();
    std::thread::sleep(IDLE);
    let used = (used() - before) as f64 / 1e9 / IDLE.as_secs_f64();
    let (mut first, mut futex) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        std::thread::sleep(PAUSE);
        first.push(run(&mut host, nothing, 1));
        std::thread::sleep(PAUSE);
        futex.push(bare.sleeping_round_trip());
    }
    host.close()?;
    let (first, futex) = (median(&first), median(&futex));
    let share = format!("{:.3} % of one processor", 100.0 * used);
    let what = "the first task behind 1 s of idleness, to a futex ping-pong behind the same pause";
    Ok(vec![
        Row::new("HOST-135", "16 idle workers and their parent over 10 s, to 1 %", share, used / SHARE_MOST)
            .at_most(1.0),
        Row::new("HOST-135", what, format!("{first:.1} µs to {futex:.1} µs"), first / futex).at_most(2.0),
    ])
}
