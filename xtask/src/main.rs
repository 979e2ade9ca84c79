//! The developer commands of Prewire: `cargo xtask COMMAND`. CI runs nothing else.

/// `println!` for a reader that may have gone away, as in `… | head`: what it no longer wants to read is no reason to panic.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod asan;
mod bench;
mod c;
mod chaos;
mod ci;
mod commands;
mod conformance;
mod deny;
mod examples;
mod fuzz;
mod header;
mod install;
mod loom;
mod miri;
mod mutations;
mod oracle;
mod outcome;
mod process;
mod rungs;
mod rust_source;
mod sanitizer;
mod shuttle;
mod simulate;
mod test;
mod tidy;
mod tree;
mod tsan;
mod verify;
mod workspace;

use std::process::ExitCode;

use lexopt::prelude::*;

use crate::commands::COMMANDS;
use crate::outcome::Outcome;

/// The exit code for a command line that makes no sense.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let mut arguments = lexopt::Parser::from_env();
    let name = match arguments.next() {
        Ok(Some(Value(name))) => name.to_string_lossy().into_owned(),
        Ok(Some(Long("help") | Short('h')) | None) => "help".to_owned(),
        Ok(Some(argument)) => return usage_error(&argument.unexpected().to_string()),
        Err(error) => return usage_error(&error.to_string()),
    };
    if name == "help" {
        print_help(arguments.value().ok().and_then(|value| value.into_string().ok()).as_deref());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return usage_error(&format!("there is no command `{name}`"));
    };
    // Everything after `--` belongs to the program that the command runs.
    let ours = std::env::args_os().skip(2).take_while(|argument| argument != "--");
    if ours.into_iter().any(|argument| argument == "--help" || argument == "-h") {
        print_help(Some(command.name));
        return ExitCode::SUCCESS;
    }
    match (command.run)(arguments) {
        Ok(outcome) => {
            if outcome != Outcome::Passed {
                eprintln!("cargo xtask {name}: {outcome}");
            }
            outcome.exit_code()
        }
        Err(error) if error.is::<lexopt::Error>() => usage_error(&error.to_string()),
        Err(error) => {
            eprintln!("cargo xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage_error(text: &str) -> ExitCode {
    eprintln!("{text}; `cargo xtask help` lists the commands and what they take");
    ExitCode::from(EXIT_USAGE)
}

fn print_help(command: Option<&str>) {
    match command.and_then(|name| COMMANDS.iter().find(|command| command.name == name)) {
        Some(command) => say!("cargo xtask {}: {}\n\n{}", command.name, command.summary, command.usage),
        None => {
            say!("cargo xtask COMMAND [--help] ...\n");
            for command in COMMANDS {
                say!("    {:12} {}", command.name, command.summary);
            }
            say!("\nExit codes: 0 passed, 1 failed, {EXIT_USAGE} usage, 3 did not run (and says why).");
        }
    }
}
