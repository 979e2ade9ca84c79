//! Whether a submit costs more when much is alive or much has been done.
//!
//! Prints the ratios that CHIP-033 bounds: the median time of one submit with 4096 live tiles of one buffer against 64 (at most 2 is asked), for
//! contiguous pieces, square tiles and full-height column strips; and in a run of 1 000 000 tasks through windows of 256 the median of the last
//! 10 000 submits against the first 10 000 (at most 1.5), with the growth of memory after task 20 000 (less than 1 MiB). Then ten million tasks
//! through a window of 256, with the calls of the allocator and the growth of memory behind the start.

mod counting;
mod live;
mod stream;

use lexopt::prelude::*;
use std::process::ExitCode;

const USAGE: &str = "\
submit-cost [options]

    --quick      less of everything, to see that it works
    --rounds N   rounds over the tiles                     [default: 15, quick: 3]";

fn main() -> ExitCode {
    let (quick, rounds) = match parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("| live tiles of one buffer | 64, ns a submit | 4096 | ratio | asked |\n|---|---:|---:|---:|---:|");
    for row in live::measure(rounds) {
        let ratio = row.many / row.few;
        println!("| {} | {:.0} | {:.0} | {ratio:.2} | 2 |", row.name, row.few, row.many);
    }
    let run = stream::submits(if quick { 100_000 } else { 1_000_000 });
    println!(
        "\n{} tasks through windows of 256: a submit takes {:.0} ns in the first 10 000 and {:.0} in the last, ratio {:.2} (1.5 is asked); \
         memory grows by {} KiB after task 20 000 (less than 1024 is asked)",
        run.tasks,
        run.first,
        run.last,
        run.last / run.first,
        run.grown_bytes / 1024
    );
    let long = stream::allocations(if quick { 100_000 } else { 10_000_000 });
    println!(
        "{} tasks through a window of 256: {:.0} ns a task, {} calls of the allocator behind the first 10 000 tasks, memory grows by {} KiB",
        long.tasks,
        long.ns_per_task,
        long.calls,
        long.grown_bytes / 1024
    );
    ExitCode::SUCCESS
}

/// Whether to be quick, and how many rounds; none if help is asked for.
fn parse() -> Result<Option<(bool, usize)>, lexopt::Error> {
    let (mut quick, mut rounds) = (false, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Long("quick") => quick = true,
            Long("rounds") => rounds = Some(parser.value()?.parse()?),
            // Cargo says so to every benchmark.
            Long("bench") => {}
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some((quick, rounds.unwrap_or(if quick { 3 } else { 15 }))))
}
