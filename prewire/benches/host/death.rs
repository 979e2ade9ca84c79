//! How long it takes from the kill of a worker that runs a task to the error that names it.

use crate::figures::median;
use crate::row::Row;
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, Buffer, DataType};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// In a round.
const KILLS: usize = 5;
/// What is aimed at, in milliseconds.
const MOST: f64 = 100.0;

fn first_word(address: u64) -> &'static AtomicU64 {
    // SAFETY: the address is that of a mapped buffer of at least eight bytes, which is used while it is mapped and as this word only.
    unsafe { &*(address as *const AtomicU64) }
}

/// Kills the worker once it has said that it runs the task. Returns when that was.
fn kill(buffer: &Buffer) -> Instant {
    let word = first_word(buffer.address());
    let pid = loop {
        match word.swap(0, Ordering::AcqRel) {
            0 => std::thread::sleep(Duration::from_micros(100)),
            pid => break pid,
        }
    };
    // Until everybody sleeps.
    std::thread::sleep(Duration::from_millis(5));
    let begun = Instant::now();
    // SAFETY: it signals a worker of ours, which runs a task of a minute.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    begun
}

/// Prints HOST-096.
pub(crate) fn kill_to_error(rounds: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let kills = rounds * KILLS;
    let mut builder = HostRuntime::builder().subs(4).restarts(u32::MAX);
    let stay = builder.register(Callable::sub("stay", |task| {
        first_word(task.tensors()[0].first_byte()).store(std::process::id().into(), Ordering::Release);
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    }))?;
    let mut host = builder.start()?;
    let buffer = host.buffer(8)?;
    let all = buffer.tensor(&[1], DataType::U64)?;
    let mut times = Vec::new();
    for _ in 0..kills {
        let begun = std::thread::scope(|threads| {
            let killer = threads.spawn(|| kill(&buffer));
            let outcome = host.run(|run| {
                run.submit(&host::sub(stay).arguments(&[Argument::NoDependency(&all)]))?;
                Ok(())
            });
            let ended = Instant::now();
            outcome.expect_err("the worker was killed");
            killer.join().map(|begun| ended - begun)
        });
        times.push(begun.map_err(|_| "the killer panicked")?.as_secs_f64() * 1e3);
    }
    // Workers that were killed are no surprise here.
    let _closed = host.close();
    let median = median(&times);
    let what = format!("from the kill of a busy worker to its error, {kills} times, to 100 ms");
    Ok(vec![Row::new("HOST-096", what, format!("{median:.2} ms"), median / MOST).at_most(1.0)])
}
