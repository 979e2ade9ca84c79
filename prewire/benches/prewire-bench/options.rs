//! What to measure.

use crate::shapes::Shape;
use lexopt::prelude::*;

pub(crate) const USAGE: &str = "\
prewire-bench [options]

    --quick         fewer rounds and tasks, to see that everything works
    --rounds N      rounds, in each of which every case runs once            [default: 15, quick: 3]
    --threads N     threads of a run: one submits, the others schedule       [default: 2]
    --caller-drives the submitting thread also drives a scheduler while it waits
    --no-growth     only the shapes and the model's graph
    --only GROUP    only the cases whose group begins so, as tiles, window, tasks, cores, model or METG
    --shape NAME    only chain, indep, wave or tree, as lines for a comparison with other runtimes
    --reps N        with --shape: repetitions                                [default: 3]";

/// The options.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) threads: i64,
    pub(crate) caller_drives: bool,
    pub(crate) no_growth: bool,
    pub(crate) only: Option<String>,
    pub(crate) shape: Option<Shape>,
    pub(crate) repetitions: usize,
}

impl Options {
    /// Those of the command line; none if it asks for help.
    pub(crate) fn parse() -> Result<Option<Self>, lexopt::Error> {
        let mut options = Options {
            quick: false,
            rounds: 0,
            threads: 2,
            caller_drives: false,
            no_growth: false,
            only: None,
            shape: None,
            repetitions: 3,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("help") | Short('h') => return Ok(None),
                Long("quick") => options.quick = true,
                Long("rounds") => options.rounds = parser.value()?.parse()?,
                Long("threads") => options.threads = parser.value()?.parse()?,
                Long("caller-drives") => options.caller_drives = true,
                Long("no-growth") => options.no_growth = true,
                Long("reps") => options.repetitions = parser.value()?.parse()?,
                Long("only") => options.only = Some(parser.value()?.string()?),
                Long("shape") => options.shape = Some(parser.value()?.parse()?),
                // Cargo says so to every benchmark.
                Long("bench") => {}
                _ => return Err(argument.unexpected()),
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.quick { 3 } else { 15 };
        }
        Ok(Some(options))
    }
}
