//! What a host's tasks cost: hot and cold round trips against the bare words they stand on, tasks over 1 to 8 workers, what idle workers
//! use, and how long a death takes to be told.
//!
//! Everything is measured in one process, interleaved over rounds, and printed as medians and ratios. Nothing is asserted.

use prewire::host::{self, Callable, CallableId, HostRuntime};
use std::error::Error;
use std::time::{Duration, Instant};

mod bare;
mod death;

const ROUNDS: usize = 9;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn start(workers: u32) -> Result<(HostRuntime, CallableId), Box<dyn Error>> {
    let mut builder = HostRuntime::builder().subs(workers);
    let nothing = builder.register(Callable::sub("nothing", |_| Ok(())))?;
    Ok((builder.start()?, nothing))
}

/// Microseconds of a run of so many tasks.
fn run(host: &mut HostRuntime, nothing: CallableId, tasks: usize) -> f64 {
    let begun = Instant::now();
    host.run(|run| {
        for _ in 0..tasks {
            run.submit(&host::sub(nothing))?;
        }
        Ok(())
    })
    .expect("empty tasks succeed");
    begun.elapsed().as_secs_f64() * 1e6
}

/// The least-squares line through pairs: its value at 0 and its slope.
fn fit(pairs: &[(f64, f64)]) -> (f64, f64) {
    let count = pairs.len() as f64;
    let (x, y) =
        (pairs.iter().map(|pair| pair.0).sum::<f64>() / count, pairs.iter().map(|pair| pair.1).sum::<f64>() / count);
    let covariance: f64 = pairs.iter().map(|pair| (pair.0 - x) * (pair.1 - y)).sum();
    let variance: f64 = pairs.iter().map(|pair| (pair.0 - x).powi(2)).sum();
    let slope = covariance / variance;
    (y - slope * x, slope)
}

/// Ticks of processor time that a process has used.
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or_else(Vec::new, |(_, rest)| rest.split(' ').collect());
    [11, 12].iter().filter_map(|&at| fields.get(at)?.parse::<u64>().ok()).sum()
}

fn cold_and_hot() -> Result<(), Box<dyn Error>> {
    let (mut host, nothing) = start(1)?;
    let bare = bare::Peer::start()?;
    let (mut cold, mut futex, mut hot, mut spin) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let sizes: Vec<usize> = (0..=8).map(|power| 1 << power).collect();
    let mut lines = vec![Vec::new(); sizes.len()];
    run(&mut host, nothing, 1000);
    for _ in 0..ROUNDS {
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(5));
            cold.push(run(&mut host, nothing, 1));
            std::thread::sleep(Duration::from_millis(5));
            futex.push(bare.sleeping_round_trip());
        }
        run(&mut host, nothing, 200);
        for _ in 0..200 {
            hot.push(run(&mut host, nothing, 1));
        }
        spin.push(bare.spinning_round_trip(2000));
        for (line, &size) in lines.iter_mut().zip(&sizes) {
            line.push(run(&mut host, nothing, size));
        }
    }
    let (cold, futex, hot, spin) = (median(cold), median(futex), median(hot), median(spin));
    println!("one empty task through one forked worker, medians of {ROUNDS} rounds");
    println!(
        "  cold, everybody asleep   {cold:9.2} us   {:5.2} times a futex ping-pong of {futex:.2} us",
        cold / futex
    );
    println!("  hot                      {hot:9.2} us   {:5.2} times a spinning ping-pong of {spin:.2} us", hot / spin);
    let pairs: Vec<_> = sizes.iter().zip(lines).map(|(&size, line)| (size as f64, median(line))).collect();
    let (base, slope) = fit(&pairs);
    println!("  1 to 256 tasks           {base:9.2} us per run and {slope:.3} us per task");
    host.close()?;
    Ok(())
}

fn many_workers() -> Result<(), Box<dyn Error>> {
    println!("2000 independent empty tasks, medians of {ROUNDS} rounds; p99 of single-task runs over their median");
    let mut hosts: Vec<_> = [1, 2, 4, 8]
        .into_iter()
        .map(|workers| Ok((workers, start(workers)?)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let mut times = vec![Vec::new(); hosts.len()];
    for _ in 0..ROUNDS {
        for (times, (_, (host, nothing))) in times.iter_mut().zip(&mut hosts) {
            times.push(run(host, *nothing, 2000) / 2000.0);
        }
    }
    let times: Vec<f64> = times.into_iter().map(median).collect();
    for (time, (workers, (host, nothing))) in times.iter().zip(&mut hosts) {
        let mut singles: Vec<f64> = (0..1000).map(|_| run(host, *nothing, 1)).collect();
        singles.sort_by(f64::total_cmp);
        let tail = singles[990] / singles[500];
        println!(
            "  {workers} workers   {time:7.3} us per task, {:5.2} times 1 worker   p99 {tail:5.2} times the median",
            time / times[0]
        );
    }
    Ok(())
}

fn idle() -> Result<(), Box<dyn Error>> {
    let (mut host, nothing) = start(16)?;
    run(&mut host, nothing, 100);
    std::thread::sleep(Duration::from_millis(100));
    let pids: Vec<i32> =
        host.workers().iter().filter_map(|worker| worker.pid).chain([std::process::id() as i32]).collect();
    let used = || pids.iter().map(|&pid| ticks(pid)).sum::<u64>();
    let before = used();
    std::thread::sleep(Duration::from_secs(10));
    println!("16 idle workers and their parent used {} ticks of 1000 in 10 s", used() - before);
    host.close()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    cold_and_hot()?;
    many_workers()?;
    death::kill_to_error()?;
    idle()
}
