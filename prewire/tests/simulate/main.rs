//! The whole chip in virtual time, seed by seed: random programs, chips, rings and faults. `cargo xtask simulate` runs more of them.

#[path = "../oracle/generator.rs"]
mod generator;
#[path = "../oracle/interpreter.rs"]
mod interpreter;
#[path = "../oracle/program.rs"]
mod program;
#[path = "../oracle/random.rs"]
mod random;
#[allow(dead_code, reason = "the oracle uses other parts of it")]
#[path = "../oracle/runner.rs"]
mod runner;

mod case;
mod plan;

#[test]
fn seeds_end_as_they_should() {
    for seed in 0..300 {
        case::check(seed).unwrap_or_else(|text| panic!("{text}"));
    }
}
