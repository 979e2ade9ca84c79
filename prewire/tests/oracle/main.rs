//! The oracle: random programs over overlapping strided views give the same bytes as running their tasks one by one.
//!
//! A generator makes programs of all kinds of arguments, scopes, blocks, clusters, gangs, dummies, predicates, named dependencies, data accesses, late
//! completions and failing kernels that fit into rings of a given size; a plain interpreter says what they leave behind, which tasks run and which a failed
//! one takes with it. A failure prints a line that runs it again and makes it small; small ones are kept in `kept/`.

mod cases;
mod difference;
mod generator;
mod interpreter;
mod kept;
mod kernel;
mod lost;
mod program;
mod runner;
mod shrink;

use cases::{Bench, Machine};
use kept::Kept;
use prewire::{Chip, Engine};
use program::{Argument, Kind, Program, Step, TaskStep};
use std::path::Path;

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

/// What once failed does not fail again: on both chips, every engine, and in rings of every size in which it fits.
#[test]
fn kept_programs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/kept");
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "there is none in {}", folder.display());
    let mut bench = Bench::default();
    for path in paths {
        let Kept { why, window, program } = Kept::read(&path).unwrap();
        for chip in Chip::ALL {
            for engine in [Engine::Inline, Engine::InlineOnly, Engine::Threads] {
                for window in [window, 0] {
                    for _ in 0..20 {
                        let machine = Machine { chip, engine, window };
                        let checked = bench.check_program(&program, machine);
                        checked.unwrap_or_else(|text| panic!("{}: {why}\n{machine:?}: {text}", path.display()));
                    }
                }
            }
        }
    }
}

fn tasks(program: &Program) -> impl Iterator<Item = &TaskStep> {
    program.steps.iter().filter_map(|step| match step {
        Step::Task(task) => Some(task),
        _ => None,
    })
}

/// The generator makes what the oracle is to cover, and failures matter in what it makes.
#[test]
fn programs_hold_everything() {
    let limits = Machine { chip: Chip::A5, engine: Engine::Inline, window: 64 }.limits(200);
    let (mut lost, mut unrun, mut ran_behind, mut failed_gangs) = (0, 0, 0, 0);
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let program = generator::generate(seed, limits);
        let outcome = interpreter::interpret(&program);
        unrun += outcome.unrun;
        lost += outcome.accesses.iter().filter(|accessed| matches!(accessed, interpreter::Accessed::Lost(_))).count();
        if let Some(&first) = outcome.failed.first() {
            ran_behind += outcome.ran.iter().filter(|&&task| task > first).count();
        }
        for task in tasks(&program) {
            failed_gangs += usize::from(task.gang && task.fails.is_some());
            seen.insert(match task.kind {
                Kind::Cube => "cube",
                Kind::Vector => "vector",
                Kind::Mix(_) => "mix",
                Kind::Dummy => "dummy",
            });
            for (there, what) in [
                (task.gang, "gang"),
                (task.gang && matches!(task.kind, Kind::Mix(_)), "gang of clusters"),
                (task.predicate.is_some(), "predicate"),
                (task.deferred, "deferred"),
                (task.deferred && task.kernels() > 1, "deferred, of several kernels"),
                (task.fails.is_some(), "failure"),
                (!task.dependencies.is_empty(), "named dependency"),
                (task.arguments.iter().any(|argument| matches!(argument, Argument::NoDependency(_))), "no dependency"),
            ] {
                if there {
                    seen.insert(what);
                }
            }
        }
    }
    assert_eq!(seen.len(), 12, "{seen:?}");
    assert!(
        lost >= 20 && unrun >= 1000 && ran_behind >= 1000,
        "{lost} lost, {unrun} unrun, {ran_behind} ran behind a failure"
    );
    assert!(failed_gangs >= 3, "{failed_gangs} gangs fail");
}

/// A program of two hundred tasks of which one matters is made as small as that task and what it needs.
#[test]
fn failing_programs_become_small() {
    let limits = Machine { chip: Chip::A5, engine: Engine::Inline, window: 64 }.limits(200);
    let mut shrunk = 0;
    for seed in 0..20 {
        let program = generator::generate(seed, limits);
        // As if predicates were not heeded.
        let unheeded = |program: &Program| {
            let mut program = program.clone();
            for step in &mut program.steps {
                if let Step::Task(task) = step {
                    task.predicate = None;
                }
            }
            program
        };
        let mut differs = |program: &Program| {
            interpreter::interpret(program).external != interpreter::interpret(&unheeded(program)).external
        };
        if !differs(&program) {
            continue;
        }
        let small = shrink::shrink(&program, &mut differs);
        assert!(differs(&small));
        // The operand may need to be written first, by a few.
        assert!(tasks(&small).count() <= 8, "seed {seed}: {small:?}");
        assert!(tasks(&small).any(|task| task.predicate.is_some()));
        let kept = Kept { why: "it is a test".to_owned(), window: 64, program: small };
        let read: Kept = serde_json::from_str(&kept.text()).unwrap();
        assert_eq!(read.program, kept.program, "a file keeps everything");
        shrunk += 1;
    }
    assert!(shrunk >= 5, "only {shrunk} programs had a predicate that mattered");
}
