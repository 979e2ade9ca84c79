//! The whole chip in virtual time, seed by seed: random programs, chips, rings and faults. `cargo xtask simulate` runs more of them.

#[path = "../oracle/random.rs"]
mod random;

mod case;
mod generator;
mod interpreter;
mod plan;
mod program;
mod runner;

use case::Ending;
use prewire::Engine;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Claims CHIP-171 for its ten thousand seeds.
#[test]
fn ten_thousand_seeds_end_as_they_should() {
    let (next, endings) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= 10_000 {
                        return;
                    }
                    let ending = case::check(seed).unwrap_or_else(|text| panic!("seed {seed}: {text}"));
                    *endings.lock().unwrap().entry(ending).or_insert(0) += 1;
                }
            });
        }
    });
    // Seeds that never end in one of these ways would show little.
    let endings = endings.into_inner().unwrap();
    for ending in [Ending::Right, Ending::RightAllTheSame, Ending::Error, Ending::RightByHints] {
        assert!(endings.get(&ending).is_some_and(|&count| count > 500), "{endings:?}");
    }
}

/// Claims CHIP-171 for its failures: the seed that a failure prints gives the same failure again.
#[test]
fn a_failing_seed_fails_again_in_the_same_way() {
    // An interpreter that is wrong about one bit of programs of more than a hundred steps.
    let wrong = |program: &program::Program| {
        let mut outcome = interpreter::interpret(program);
        if program.steps.len() > 100 {
            outcome.external[0][0] ^= 1;
        }
        outcome
    };
    let failures: Vec<String> = (0..200).filter_map(|seed| case::check_against(seed, wrong).err()).collect();
    assert!(failures.len() > 5, "{} of 200 seeds have so long a program", failures.len());
    for failure in &failures {
        let (_, seed) = failure.rsplit_once("cargo xtask simulate --seeds 1 --start ").expect("the line is printed");
        let again = case::check_against(seed.parse().unwrap(), wrong);
        assert_eq!(again.as_ref(), Err(failure));
    }
}

/// Claims CHIP-160.
#[test]
fn the_engines_agree() {
    let engines = [Engine::Inline, Engine::Threads, Engine::Virtual { seed: 160 }];
    let mut runners: Vec<_> = engines
        .into_iter()
        .flat_map(|engine| (1..=3).map(move |schedulers| (engine, schedulers)))
        .map(|(engine, schedulers)| {
            let builder = prewire::Runtime::builder().clusters(3).threads(schedulers + 1).engine(engine);
            let runtime = builder.record_graph(true).build().unwrap();
            (engine, schedulers, runner::Runner::with(runtime, true, prewire::Kernel::never_waits))
        })
        .collect();
    let limits = generator::Limits { tasks: 100, window: 256 };
    for seed in 0..200 {
        let mut program = generator::generate(seed, limits);
        // Behind an access tasks that have ended are taken back, and which have is a matter of timing; so then are the edges to them.
        program.steps.retain(|step| !matches!(step, program::Step::Get { .. } | program::Step::Set { .. }));
        let expected = interpreter::interpret(&program);
        let mut first = None;
        for (engine, schedulers, runner) in &mut runners {
            let context = || format!("seed {seed}, {engine:?}, {schedulers} schedulers");
            let ran = runner.run_and_report(&program);
            let (found, report) = ran.unwrap_or_else(|failed| panic!("{}: {failed}", context()));
            assert_eq!(found, expected, "{}", context());
            let mut edges = report.graph.unwrap().edges;
            // An allocation is over when it is made, so a dependency that names one orders nothing, and is gone with the allocation.
            edges.retain(|edge| edge.argument.is_some() || !edge.producer.is_allocation());
            let found = (report.tasks, report.completed, edges);
            match &first {
                None => first = Some(found),
                Some(first) => assert!(&found == first, "{}: other tasks or edges", context()),
            }
        }
    }
}
