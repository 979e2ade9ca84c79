//! Starting beside threads that allocate and lock, and with workers that take their time.

use crate::rig::host;
use prewire::host::{self, Callable, HostBuilder, HostRuntime};
use prewire::{Argument, CoreKind, DataType, Member};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the warnings of the thread that it is the subscriber of.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panics with it"))
    }
}

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            *self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut Text(&mut text));
        self.0.lock().expect("nobody panics with it").push(text);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A host so small that little is copied with the process.
fn small() -> HostBuilder {
    HostRuntime::builder().engine(|engine| engine.ring_task_window(64).ring_heap(1 << 16))
}

/// How many other threads this process has.
fn other_threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc").count() - 1
}

/// A start, ten tasks, and a close. How many other threads the warning of the start tells of.
fn cycle(warnings: &Warnings) -> usize {
    let count = Callable::sub("counts", |task| {
        // It allocates, so a lock of the allocator that was taken at the fork would be met here.
        let more = vec![1u64; 1000];
        task.output::<u64>(0)?.as_mut_slice()[0] += more.iter().sum::<u64>();
        Ok(())
    });
    let (mut host, ids) = host(small().subs(1), vec![count]);
    let told = warnings.take();
    assert_eq!(told.len(), 1, "{told:?}");
    let (before, _) = told[0].split_once(" other threads").expect("it says so");
    let others = before.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("it says how many");
    let buffer = host.buffer(8).expect("a buffer");
    let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    host.run(|run| {
        for _ in 0..10 {
            run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(&word)]))?;
        }
        Ok(())
    })
    .expect("it runs");
    assert_eq!(host.read::<u64>(&buffer).expect("no run is on"), [10_000]);
    host.close().expect("an orderly end");
    assert_eq!(warnings.take(), Vec::<String>::new());
    others
}

/// Tells others that it is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Claims HOST-010. The first cycles are alone, so that it is known how many threads there are; the others go side by side.
#[test]
fn a_start_beside_busy_threads_warns_once_and_never_hangs() {
    let over = AtomicBool::new(false);
    let table = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (over, table) = (&over, &table);
            scope.spawn(move || {
                let mut round = thread;
                while !over.load(Ordering::Relaxed) {
                    round += 4;
                    // Some of it is freed by another thread.
                    let bytes = vec![round as u8; 64 + (round % 512) as usize];
                    table.lock().expect("nobody panics with it").insert(round % 64, bytes);
                    if round % 256 == thread {
                        // Now and then the processor is another's, so that the test is about locks and not about time slices.
                        std::thread::sleep(Duration::from_micros(100));
                    }
                }
            });
        }
        let cycles = |count: usize, look: &dyn Fn(usize)| {
            let warnings = Warnings::default();
            tracing::subscriber::with_default(warnings.clone(), || (0..count).for_each(|_| look(cycle(&warnings))));
        };
        // Also where a cycle fails.
        let _over = Over(&over);
        let exactly = other_threads();
        cycles(20, &|told| assert_eq!(told, exactly));
        let lanes: Vec<_> = (0..4).map(|_| scope.spawn(move || cycles(45, &|told| assert!(told >= 4)))).collect();
        lanes.into_iter().for_each(|lane| lane.join().expect("it does not panic"));
    });
}

/// What members of the group have for each other, from their own start on.
const MEET_WITHIN: Duration = Duration::from_millis(200);
/// Where a thread that only sleeps is late by more, the machine had no time for anybody, and the round says nothing.
const STALL: Duration = Duration::from_millis(40);

/// Runs `body` and tells whether the machine had time meanwhile.
fn undisturbed<T>(body: impl FnOnce() -> T) -> (T, bool) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let metronome = scope.spawn(|| {
            let mut latest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                std::thread::sleep(Duration::from_millis(2));
                latest = latest.max(begun.elapsed());
            }
            latest
        });
        let result = {
            let _over = Over(&over);
            body()
        };
        (result, metronome.join().expect("it does not panic") < STALL)
    })
}

/// One round: four workers that are ready at different times, and a group of all four as their first task. How long each member waited, in milliseconds.
fn round(number: u64) -> Result<Vec<u64>, String> {
    let builder = small().subs(4).initialise(CoreKind::Vector, move |id| {
        // 0 to 500 ms, another mixture in every round.
        let delay = (number * 7919 + u64::from(id) * 104_729) % 501;
        std::thread::sleep(Duration::from_millis(delay));
        Ok(())
    });
    let meets = Callable::sub("meets", |task| {
        let begun = Instant::now();
        task.barrier()?;
        task.output::<u64>(0)?.as_mut_slice()[0] = begun.elapsed().as_millis() as u64;
        Ok(())
    });
    let (mut host, ids) = host(builder, vec![meets]);
    let buffer = host.buffer(4 * 8).expect("a buffer");
    let all = buffer.tensor(&[4], DataType::U64).expect("a tensor");
    let own: Vec<_> = (0..4).map(|at| all.slice(0, at, at + 1, 1).expect("within")).collect();
    let own: Vec<_> = own.iter().map(|part| [Argument::OutputExisting(part)]).collect();
    let members: Vec<Member<'_>> = own.iter().map(|own| Member::new(own)).collect();
    let ran = host.run(|run| run.submit(&host::sub(ids[0]).group(&members).budget(MEET_WITHIN)).map(drop));
    ran.map_err(|failed| failed.to_string())?;
    host.close().map_err(|error| error.to_string())?;
    Ok(host.read::<u64>(&buffer).expect("no run is on"))
}

/// Claims HOST-090. Rounds are run side by side, as starting takes no processor, and one in which the machine stood still is run again.
#[test]
fn the_time_that_workers_take_to_start_is_no_tasks_time() {
    std::thread::scope(|scope| {
        for lane in 0..5u64 {
            scope.spawn(move || {
                for number in (lane * 6)..(lane * 6 + 6) {
                    let mut tries = 0;
                    loop {
                        let (outcome, had_time) = undisturbed(|| round(number));
                        let met = outcome.as_ref().is_ok_and(|waited| {
                            waited.len() == 4
                                && waited.iter().all(|&waited| u128::from(waited) < MEET_WITHIN.as_millis())
                        });
                        if met {
                            break;
                        }
                        tries += 1;
                        assert!(!had_time && tries < 20, "round {number}: {outcome:?}");
                    }
                }
            });
        }
    });
}

/// A thread that begins or ends holds a lock of the standard library; a copy of the process that is made just then has it locked for ever.
#[test]
fn a_start_beside_threads_that_come_and_go() {
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::thread::spawn(|| ()).join().expect("it does nothing");
                }
            });
        }
        let ended = std::panic::catch_unwind(|| {
            for _ in 0..60 {
                let nothing = Callable::sub("nothing", |_| Ok(()));
                let (mut host, ids) = host(small().subs(1).startup_timeout(Duration::from_secs(60)), vec![nothing]);
                host.run(|run| run.submit(&host::sub(ids[0])).map(drop)).expect("it runs");
                host.close().expect("an orderly end");
            }
        });
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
}
