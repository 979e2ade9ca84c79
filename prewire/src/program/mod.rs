//! The program `prewire`: what it is told, what it does, what it says.

mod arguments;
mod exit;
mod help;
mod info;
mod machine;
mod output;
mod progress;
mod record;
mod replay;
mod report;
mod run;
mod workers;
mod zarr;

use arguments::Command;
use exit::{Failure, Status};
use output::Output;
use std::process::ExitCode;

/// Runs the program with the process's arguments.
pub(crate) fn main() -> ExitCode {
    let mut output = Output::new();
    let result = arguments::parse(lexopt::Parser::from_env()).and_then(|command| execute(command, &mut output));
    let result = result.and_then(|status| output.finish().map(|()| status));
    match result {
        Ok(status) => status.into(),
        Err(Failure::Closed) => Status::Closed.into(),
        Err(failure) => {
            progress::clear();
            // Nobody is left to tell if this fails.
            let _unheard = output::complain(&format!("prewire: {failure}"));
            failure.status().into()
        }
    }
}

fn execute(command: Command, output: &mut Output) -> Result<Status, Failure> {
    match command {
        Command::Help(topic) => help::print(topic, output).map(|()| Status::Success),
        Command::Version => {
            output.line(format_args!("prewire {}", env!("CARGO_PKG_VERSION"))).map(|()| Status::Success)
        }
        Command::Info => info::print(output).map(|()| Status::Success),
        Command::Run(options) => run::execute(&options, output),
        Command::Replay(options) => replay::execute(&options, output),
        Command::Record(options) => record::execute(&options, output).map(|()| Status::Success),
        Command::Workers(options) => workers::execute(&options, output),
        Command::Zarr(arguments) => zarr::execute(arguments, output).map(|()| Status::Success),
    }
}
