//! Workers killed, stopped and slowed at random moments under a stream of random graphs: every run has the right bytes or fails by naming a worker, none
//! hangs, and nothing is left behind.
//!
//! `cargo xtask chaos --seconds 60`, or `cargo run --release -p prewire --example chaos -- --seconds 60 --seed 7`.

use prewire::host::{self, Callable, CallableId, HostRuntime};
use prewire::{Argument, DataType, KernelError, RunError, Tensor};
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const WORKERS: u32 = 4;
const TILES: u32 = 8;
const TILE: u32 = 64;
const MOST_TASKS: u64 = 60;
/// A run that takes longer is a hang.
const HANG: Duration = Duration::from_secs(60);

/// A generator of seeded numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// `tile = tile * factor + other`, element by element.
#[derive(Clone, Copy)]
struct Step {
    tile: u32,
    other: u32,
    factor: u64,
}

fn combine() -> Callable {
    Callable::sub("combine", |task| {
        let factor = task.scalar::<u64>(0)?;
        let other: Vec<u64> = task.input::<u64>(1)?.as_slice().to_vec();
        let mut tile = task.output::<u64>(0)?;
        for (value, other) in tile.as_mut_slice().iter_mut().zip(other) {
            *value = value.wrapping_mul(factor).wrapping_add(other);
        }
        Ok(())
    })
}

fn interpret(values: &mut [u64], steps: &[Step]) {
    let at = |tile: u32| (tile * TILE) as usize;
    for step in steps {
        for element in 0..TILE as usize {
            let other = values[at(step.other) + element];
            let value = &mut values[at(step.tile) + element];
            *value = value.wrapping_mul(step.factor).wrapping_add(other);
        }
    }
}

/// Kills, stops and lets go at random, until told to end. Counts what it did.
fn havoc(pids: &Mutex<Vec<i32>>, end: &AtomicBool, seed: u64, counts: &[AtomicU64; 2]) {
    let mut random = Random(seed);
    while !end.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5 + random.below(60)));
        let victim = {
            let pids = pids.lock().expect("no code panics while it holds the list");
            if pids.is_empty() { continue } else { pids[random.below(pids.len() as u64) as usize] }
        };
        if random.below(3) == 0 {
            // SAFETY: it signals a worker of ours; one that is gone already is not signalled, since its number is not reused that soon.
            unsafe { libc::kill(victim, libc::SIGKILL) };
            counts[0].fetch_add(1, Ordering::Relaxed);
        } else {
            // SAFETY: as above.
            unsafe { libc::kill(victim, libc::SIGSTOP) };
            std::thread::sleep(Duration::from_millis(random.below(40)));
            // SAFETY: as above.
            unsafe { libc::kill(victim, libc::SIGCONT) };
            counts[1].fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn option(name: &str, default: u64) -> Result<u64, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == name) {
        None => Ok(default),
        Some(at) => Ok(arguments.get(at + 1).ok_or(format!("{name} needs a number"))?.parse()?),
    }
}

/// Of these processes, those that are still there and are of this program.
fn left(pids: &BTreeSet<i32>) -> Vec<i32> {
    let name = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    let own = name("self");
    pids.iter().copied().filter(|pid| own.is_some() && name(&pid.to_string()) == own).collect()
}

/// Descriptors and mappings of shared memory.
fn holdings() -> Result<(usize, usize), Box<dyn Error>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mapped = maps.lines().filter(|line| line.contains("prewire-")).count();
    Ok((std::fs::read_dir("/proc/self/fd")?.count(), mapped))
}

fn one_run(host: &mut HostRuntime, combine: CallableId, random: &mut Random) -> Result<bool, Box<dyn Error>> {
    let mut expected: Vec<u64> = (0..TILES * TILE).map(|_| random.next()).collect();
    let buffer = host.buffer_from(&expected)?;
    let all = buffer.tensor(&[TILES, TILE], DataType::U64)?;
    let tiles: Vec<Tensor> = (0..TILES)
        .map(|tile| all.slice(0, tile, tile + 1, 1).and_then(|row| row.reshape(&[TILE])))
        .collect::<Result<_, _>>()?;
    let steps: Vec<Step> = (0..1 + random.below(MOST_TASKS))
        .map(|_| {
            let tile = random.below(TILES.into()) as u32;
            let other = (tile + 1 + random.below(u64::from(TILES) - 1) as u32) % TILES;
            Step { tile, other, factor: random.next() | 1 }
        })
        .collect();
    let begun = Instant::now();
    let result = host.run(|run| {
        for step in &steps {
            let arguments = [Argument::InOut(&tiles[step.tile as usize]), Argument::Input(&tiles[step.other as usize])];
            run.submit(&host::sub(combine).arguments(&arguments).scalars(&[step.factor.into()]))?;
        }
        Ok(())
    });
    if begun.elapsed() > HANG {
        return Err("a run took longer than anything here takes".into());
    }
    match result {
        Ok(_) => {
            interpret(&mut expected, &steps);
            if host.read::<u64>(&buffer)? != expected {
                return Err("a run that says that it succeeded left wrong bytes".into());
            }
            Ok(true)
        }
        Err(failed) => match &*failed.error {
            RunError::KernelFailed { first, .. }
                if first.code == KernelError::LOST && first.text.contains("sub worker") =>
            {
                Ok(false)
            }
            other => Err(format!("a failure that names no killed worker: {other}").into()),
        },
    }
}

/// What happened in a storm.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) right: u64,
    pub(crate) failed: u64,
    pub(crate) kills: u64,
    pub(crate) stops: u64,
}

/// Random runs for so long, under random kills and stops.
pub(crate) fn storm(time: Duration, seed: u64) -> Result<Tally, Box<dyn Error>> {
    let before = holdings()?;
    let mut builder = HostRuntime::builder().subs(WORKERS).restarts(u32::MAX);
    let combine = builder.register(combine())?;
    let mut host = builder.start()?;
    let (pids, end) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let counts: Arc<[AtomicU64; 2]> = Arc::default();
    let trouble = {
        let (pids, end, counts) = (pids.clone(), end.clone(), counts.clone());
        std::thread::spawn(move || havoc(&pids, &end, seed, &counts))
    };
    let mut random = Random(seed);
    let (mut right, mut failed) = (0u64, 0u64);
    let mut seen = BTreeSet::new();
    let begun = Instant::now();
    let outcome = loop {
        if begun.elapsed() >= time {
            break Ok(());
        }
        let living: Vec<i32> =
            host.workers().iter().filter(|worker| worker.death.is_none()).filter_map(|worker| worker.pid).collect();
        seen.extend(&living);
        *pids.lock().expect("no code panics while it holds the list") = living;
        match one_run(&mut host, combine, &mut random) {
            Ok(true) => right += 1,
            Ok(false) => failed += 1,
            Err(error) => break Err(error),
        }
    };
    end.store(true, Ordering::Relaxed);
    trouble.join().map_err(|_| "the troublemaker panicked")?;
    // How the last workers ended is up to the troublemaker; that they ended is not.
    if let Err(error) = host.close() {
        println!("closing: {error}");
    }
    drop(host);
    outcome?;
    let [kills, stops] = [&counts[0], &counts[1]].map(|count| count.load(Ordering::Relaxed));
    let after = holdings()?;
    if after != before {
        return Err(format!("descriptors and mappings were {before:?} and are {after:?}").into());
    }
    let left = left(&seen);
    if !left.is_empty() {
        return Err(format!("workers {left:?} are left, alive or as zombies").into());
    }
    // SAFETY: it asks for children of this process and waits for none.
    if unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } != -1 {
        return Err("a child process is left".into());
    }
    Ok(Tally { right, failed, kills, stops })
}

fn main() -> Result<(), Box<dyn Error>> {
    let (seconds, seed) = (option("--seconds", 10)?, option("--seed", 1)?);
    let Tally { right, failed, kills, stops } = storm(Duration::from_secs(seconds), seed)?;
    println!("seed {seed}: {right} runs right, {failed} failed by name, {kills} kills, {stops} stops in {seconds} s");
    Ok(())
}
