//! The whole engine under random schedules: orchestrator, scheduler instances and cores take turns at every access to what they share, in an order that
//! a seed decides, and random programs give what a plain sequential interpreter gives.
//!
//! `cargo xtask shuttle --schedules N --start S`
//!
//! Time is the schedule's own, so one seed is one execution. Who waits to be rung waits for ever if nobody rings, which shuttle reports as a deadlock. Every
//! access counts as sequentially consistent here; weaker orderings are the business of the models.

#![cfg(prewire_shuttle)]

#[path = "../oracle/difference.rs"]
mod difference;
#[path = "../oracle/generator.rs"]
mod generator;
#[path = "../oracle/interpreter.rs"]
mod interpreter;
#[path = "../oracle/kernel.rs"]
mod kernel;
#[path = "../oracle/lost.rs"]
mod lost;
#[path = "../oracle/program.rs"]
mod program;
#[path = "../oracle/runner.rs"]
mod runner;

use difference::difference;
use generator::{Limits, generate};
use interpreter::interpret;
use prewire::{Chip, Engine, Runtime, WaitingPolicy};
use runner::{Manner, Runner};
use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, FailurePersistence, MaxSteps};
use std::time::Duration;

/// Tasks of a program, at most.
const TASKS: usize = 24;
/// Slots of each ring: few enough that the orchestrator waits.
const WINDOW: usize = 4;
/// Switches between threads after which a run counts as one that does not end.
const STEPS: usize = 50_000_000;
/// Every stack, in bytes: all threads run on stacks of shuttle's.
const STACK: usize = 1 << 20;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn random_programs_under_random_schedules() {
    let (schedules, start) = (setting("SHUTTLE_SCHEDULES", 20), setting("SHUTTLE_START", 0));
    for seed in start..start + schedules {
        // On stdout, which is shown when a schedule fails.
        println!("seed {seed}; again: cargo xtask shuttle --schedules 1 --start {seed}");
        run(seed);
    }
}

fn run(seed: u64) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(STEPS);
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    // Fair: with priorities, a party that polls would keep out the one that it waits for.
    shuttle::Runner::new(RandomScheduler::new_from_seed(seed, 1), config).run(move || program_of(seed));
}

/// Two programs on one runtime, so that what the first leaves behind would show in the second.
fn program_of(seed: u64) {
    let limits = Limits { tasks: TASKS, window: WINDOW, failing: true };
    let engine = [Engine::Inline, Engine::Threads][seed as usize / 2 % 2];
    let builder = Runtime::builder().platform(Chip::ALL[seed as usize % 2]).clusters(3).engine(engine).threads(3);
    let builder =
        builder.ring_task_window(WINDOW as u64).ring_heap(limits.heap_bytes()).ring_dep_pool(32 * WINDOW as u64);
    let builder = builder.index_entries(1 << 10).waiting(WaitingPolicy::PARK_AT_ONCE);
    // However long a thread is left out, something that is not over is in somebody's hand, and no wait is given up as hopeless.
    let builder = builder.caller_drives(seed % 8 >= 4).no_progress(Duration::from_millis(1));
    let runtime = builder.build().expect("the settings are right");
    // Kernels that wait for one another wait by the clock of the wall.
    let manner = Manner { gangs: true, meets: false, late: false };
    let mut runner = Runner::new(runtime, manner, |kernel| kernel);
    for program in [2 * seed, 2 * seed + 1] {
        let program = generate(program, limits);
        let expected = interpret(&program);
        let ran = runner.run(&program).unwrap_or_else(|error| panic!("{error}"));
        if let Some(text) = difference(&ran, &expected) {
            panic!("{text}");
        }
    }
}
