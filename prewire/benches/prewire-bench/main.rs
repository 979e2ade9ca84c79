//! What a task costs, from its submit to its end: the field's four shapes, the graph of a real model, whether the cost grows with what it must not
//! grow with, and how large a task must be to be worth it.
//!
//! Samples are taken in rounds, every case once in each, so that a busy spell of the machine touches all of them. Every payload leaves a value that only
//! a run which kept the order can leave, and a wrong one ends the program. `--shape` speaks the language of other runtimes' benchmarks, one line for each
//! repetition: `peer,variant,shape,threads,tasks,rep,build,run,cpu`, the last three in ns per task.

mod grain;
mod growth;
mod machine;
mod model;
mod options;
mod samples;
mod shapes;

use options::Options;
use samples::{Case, Samples};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{}", options::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    if let Some(shape) = options.shape {
        shapes::speak(shape, &options);
        return ExitCode::SUCCESS;
    }
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    cases.extend(shapes::cases(&options));
    cases.extend(model::cases(&options));
    if !options.no_growth {
        cases.extend(growth::cases(&options));
        cases.extend(grain::cases(&options));
    }
    if let Some(only) = &options.only {
        cases.retain(|case| case.name().0.starts_with(only.as_str()));
    }
    let samples = Samples::take(&mut cases, options.rounds);
    println!("{}", samples.table());
    println!("{}", growth::summary(&samples));
    match samples.write("prewire-bench") {
        Ok(path) => println!("all samples: {}", path.display()),
        Err(error) => {
            eprintln!("the samples cannot be written: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
