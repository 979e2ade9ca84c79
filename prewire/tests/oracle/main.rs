//! The oracle: random programs over overlapping strided views give the same bytes as running their tasks one by one.
//!
//! A generator makes programs of all kinds of arguments, scopes, blocks, gangs, dummies, predicates, named dependencies and data accesses that fit into
//! rings of a given size; a plain interpreter says what they leave behind. A failure prints its seed, and
//! `cargo xtask oracle --seed S --cases 1` runs it again.

mod cases;
mod generator;
mod interpreter;
mod program;
mod random;
mod runner;

use cases::{Bench, Machine};
use prewire::{Chip, Engine};

/// CHIP-025's five hundred programs of two hundred tasks, in windows of 4 to 64.
fn five_hundred_programs(engine: Engine) {
    let mut bench = Bench::default();
    for seed in 0..500u64 {
        let window = [4, 8, 16, 32, 64][seed as usize % 5];
        let chip = Chip::ALL[seed as usize % 2];
        bench.check(seed, 200, Machine { chip, engine, window }).unwrap_or_else(|text| panic!("{text}"));
    }
}

/// Claims CHIP-025 for the inline engine.
#[test]
fn five_hundred_programs_inline() {
    five_hundred_programs(Engine::Inline);
}

/// Claims CHIP-025 for the engine that runs everything on the dispatching thread.
#[test]
fn five_hundred_programs_inline_only() {
    five_hundred_programs(Engine::InlineOnly);
}

/// Claims CHIP-025 for the threaded engine.
#[test]
fn five_hundred_programs_on_threads() {
    five_hundred_programs(Engine::Threads);
}

/// Three hundred other programs, each on both chips and both engines, with rings that hardly hold them and with rings of the default sizes.
#[test]
fn three_hundred_programs_with_tiny_and_large_rings() {
    let mut bench = Bench::default();
    for seed in 1000..1300 {
        for chip in Chip::ALL {
            for engine in [Engine::Inline, Engine::Threads] {
                for window in [4, 0] {
                    bench.check(seed, 40, Machine { chip, engine, window }).unwrap_or_else(|text| panic!("{text}"));
                }
            }
        }
    }
}

/// The oracle can fail: programs differ, and a changed byte or a swapped pair of tasks is seen.
#[test]
fn the_interpreter_tells_programs_apart() {
    let limits = Machine { chip: Chip::A5, engine: Engine::Inline, window: 64 }.limits(100);
    let (mut swapped, mut same) = (0, 0);
    for seed in 0..50 {
        let program = generator::generate(seed, limits);
        let outcome = interpreter::interpret(&program);
        assert_eq!(outcome, interpreter::interpret(&program));
        assert_ne!(outcome.external, interpreter::interpret(&generator::generate(seed + 1000, limits)).external);
        // Two neighbouring kernel tasks without outputs, exchanged.
        let plain = |step: &program::Step| {
            matches!(step, program::Step::Task(task) if task.kind != program::Kind::Dummy
                && task.arguments.iter().all(|argument| !matches!(argument, program::Argument::Output(..))))
        };
        let pair =
            (1..program.steps.len()).find(|&place| plain(&program.steps[place - 1]) && plain(&program.steps[place]));
        let mut other = program.clone();
        let place = pair.expect("a program of a hundred tasks has such a pair");
        other.steps.swap(place - 1, place);
        match interpreter::interpret(&other).external == outcome.external {
            true => same += 1,
            false => swapped += 1,
        }
    }
    assert!(swapped >= 5, "only {swapped} of {} exchanges of neighbours changed anything", swapped + same);
}
