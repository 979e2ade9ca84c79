//! The whole chip in virtual time, seed by seed: random programs, chips, rings and faults. `cargo xtask simulate` runs more of them.

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

mod case;
mod plan;

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

/// What the oracle covers is simulated, too, and kernels that fail take others with them.
#[test]
fn programs_hold_everything() {
    let (mut failed, mut unrun, mut seen) = (0, 0, BTreeMap::new());
    for seed in 0..1000 {
        let plan = plan::Plan::of(seed);
        let program = plan.program();
        let outcome = interpreter::interpret(&program);
        failed += usize::from(!outcome.failed.is_empty());
        unrun += outcome.unrun;
        for step in &program.steps {
            let program::Step::Task(task) = step else { continue };
            let clusters = matches!(task.kind, program::Kind::Mix(_));
            for (there, what) in [
                (clusters, "cluster"),
                (clusters && plan.may_wait, "cluster whose kernels wait for one another"),
                (task.gang && plan.may_wait, "gang whose kernels wait for one another"),
                (task.gang && task.fails.is_some(), "gang of which a kernel fails"),
                (task.deferred, "deferred"),
            ] {
                *seen.entry(what).or_insert(0) += usize::from(there);
            }
        }
    }
    assert!(failed >= 100 && unrun >= 500, "{failed} programs fail, {unrun} tasks are unrun");
    assert!(seen.values().all(|&count| count >= 5), "{seen:?}");
}

/// Claims CHIP-171 for its failures: the seed that a failure prints gives the same failure again.
#[test]
fn a_failing_seed_fails_again_in_the_same_way() {
    // An interpreter that is wrong about one bit of programs of more than a hundred steps.
    let wrong = |program: &program::Program| {
        let mut outcome = interpreter::interpret(program);
        if program.steps.len() > 100 {
            outcome.external[0][0] = outcome.external[0][0].map(|value| value ^ 1);
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
            let manner = runner::Manner { gangs: true, meets: false, late: engine == Engine::Threads };
            (engine, schedulers, runner::Runner::new(runtime, manner, |kernel| kernel))
        })
        .collect();
    let limits = generator::Limits { tasks: 100, window: 256, failing: false };
    for seed in 0..200 {
        let mut program = generator::generate(seed, limits);
        // Behind an access tasks that have ended are taken back, and which have is a matter of timing; so then are the edges to them.
        program.steps.retain(|step| !matches!(step, program::Step::Get { .. } | program::Step::Set { .. }));
        let expected = interpreter::interpret(&program);
        let mut first = None;
        for (engine, schedulers, runner) in &mut runners {
            let context = || format!("seed {seed}, {engine:?}, {schedulers} schedulers");
            let ran = runner.run(&program).unwrap_or_else(|error| panic!("{}: {error}", context()));
            assert_eq!(difference::difference(&ran, &expected), None, "{}", context());
            let report = ran.report;
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
