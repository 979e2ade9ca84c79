//! The command line.

use super::exit::Failure;
use super::machine::{Machine, number, text};
use crate::workloads::Kind;
use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the user wants.
#[derive(Debug)]
pub(super) enum Command {
    /// Help about everything, or about one command.
    Help(Option<String>),
    Version,
    Info,
    Run(RunOptions),
    Replay(ReplayOptions),
    Record(RecordOptions),
    Workers(WorkersOptions),
    /// What stands behind `zarr`.
    Zarr(Vec<OsString>),
}

/// A workload with its sizes and data.
#[derive(Debug)]
pub(super) struct WorkloadOptions {
    pub(super) kind: &'static Kind,
    pub(super) sizes: Vec<(String, u64)>,
    pub(super) seed: u64,
    pub(super) input: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) struct RunOptions {
    pub(super) workload: WorkloadOptions,
    pub(super) machine: Machine,
    pub(super) trace: Option<PathBuf>,
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, Default)]
pub(super) struct ReplayOptions {
    /// The file; standard input if there is none.
    pub(super) file: Option<PathBuf>,
    pub(super) machine: Machine,
    pub(super) trace: Option<PathBuf>,
    pub(super) check_edges: bool,
    /// How long every kernel takes, in place of what the file says.
    pub(super) kernel_us: Option<f64>,
    pub(super) rounds: u32,
}

#[derive(Debug)]
pub(super) struct RecordOptions {
    pub(super) workload: WorkloadOptions,
    pub(super) machine: Machine,
    /// The file; standard output if there is none.
    pub(super) output: Option<PathBuf>,
    /// Whether to run the workload, too, for how long its kernels take.
    pub(super) timed: bool,
}

#[derive(Debug)]
pub(super) struct WorkersOptions {
    pub(super) chips: u32,
    pub(super) subs: u32,
    pub(super) seed: u64,
    pub(super) trace: Option<PathBuf>,
}

pub(super) fn parse(mut parser: lexopt::Parser) -> Result<Command, Failure> {
    let Some(first) = parser.next()? else { return Ok(Command::Help(None)) };
    let name = match first {
        Long("help") | Short('h') => return Ok(Command::Help(None)),
        Long("version") | Short('V') => return Ok(Command::Version),
        Value(name) => name.string()?,
        other => return Err(other.unexpected().into()),
    };
    let command = match name.as_str() {
        "help" => Command::Help(parser.next()?.map(topic).transpose()?),
        "info" => Command::Info,
        "run" => return run(parser),
        "replay" => return replay(parser),
        "record" => return record(parser),
        "workers" => return workers(parser),
        "zarr" => return zarr(parser),
        _ => {
            return Err(Failure::Usage(format!(
                "'{name}' is no command; there are run, replay, record, workers, zarr, info and help"
            )));
        }
    };
    match parser.next()? {
        None => Ok(command),
        Some(Long("help") | Short('h')) => Ok(Command::Help(Some(name))),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn topic(argument: lexopt::Arg<'_>) -> Result<String, Failure> {
    match argument {
        Value(name) => Ok(name.string()?),
        other => Err(other.unexpected().into()),
    }
}

/// The parts of a workload's options as they come.
#[derive(Default)]
struct Parts {
    kind: Option<&'static Kind>,
    sizes: Vec<(String, u64)>,
    seed: Option<u64>,
    input: Option<PathBuf>,
}

impl Parts {
    /// Takes an option that every workload has, or one of its sizes.
    fn take(&mut self, option: &str, parser: &mut lexopt::Parser) -> Result<(), Failure> {
        match option {
            "seed" => self.seed = Some(number(option, parser)?),
            "input" => self.input = Some(parser.value()?.into()),
            size if crate::workloads::KINDS.iter().any(|kind| kind.sizes.iter().any(|known| known.name == size)) => {
                self.sizes.push((size.to_owned(), number(option, parser)?));
            }
            unknown => return Err(Failure::Usage(format!("--{unknown} is no option here"))),
        }
        Ok(())
    }

    fn name(&mut self, value: std::ffi::OsString) -> Result<(), Failure> {
        let name = value.string()?;
        if let Some(kind) = self.kind {
            return Err(Failure::Usage(format!(
                "'{name}' comes behind {}, and one workload is run at a time",
                kind.name
            )));
        }
        self.kind = Some(Kind::named(&name).ok_or_else(|| {
            let known: Vec<_> = crate::workloads::KINDS.iter().map(|kind| kind.name).collect();
            Failure::Usage(format!("'{name}' is no workload; there are {}", known.join(", ")))
        })?);
        Ok(())
    }

    fn finish(self, command: &str) -> Result<WorkloadOptions, Failure> {
        let Some(kind) = self.kind else {
            let known: Vec<_> = crate::workloads::KINDS.iter().map(|kind| kind.name).collect();
            return Err(Failure::Usage(format!("'{command}' needs a workload: {}", known.join(", "))));
        };
        Ok(WorkloadOptions { kind, sizes: self.sizes, seed: self.seed.unwrap_or(0), input: self.input })
    }
}

fn run(mut parser: lexopt::Parser) -> Result<Command, Failure> {
    let (mut parts, mut machine) = (Parts::default(), Machine::default());
    let (mut trace, mut output) = (None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help(Some("run".into()))),
            Long("trace") => trace = Some(parser.value()?.into()),
            Long("output") | Short('o') => output = Some(parser.value()?.into()),
            Long(option) => {
                let option = option.to_owned();
                if !machine.take(&option, &mut parser)? {
                    parts.take(&option, &mut parser)?;
                }
            }
            Value(name) => parts.name(name)?,
            other => return Err(other.unexpected().into()),
        }
    }
    let workload = parts.finish("run")?;
    machine.seed = workload.seed;
    Ok(Command::Run(RunOptions { workload, machine, trace, output }))
}

fn workers(mut parser: lexopt::Parser) -> Result<Command, Failure> {
    let mut options = WorkersOptions { chips: 2, subs: 1, seed: 0, trace: None };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help(Some("workers".into()))),
            Long("chips") => options.chips = number("chips", &mut parser)?,
            Long("subs") => options.subs = number("subs", &mut parser)?,
            Long("seed") => options.seed = number("seed", &mut parser)?,
            Long("trace") => options.trace = Some(parser.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    for (option, count) in [("chips", options.chips), ("subs", options.subs)] {
        if !(1..=64).contains(&count) {
            return Err(Failure::Usage(format!("--{option} {count}: it takes 1 to 64")));
        }
    }
    Ok(Command::Workers(options))
}

fn record(mut parser: lexopt::Parser) -> Result<Command, Failure> {
    let (mut parts, mut machine) = (Parts::default(), Machine::default());
    let (mut output, mut timed) = (None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help(Some("record".into()))),
            Long("output") | Short('o') => output = Some(parser.value()?.into()),
            Long("timed") => timed = true,
            Long(option) => {
                let option = option.to_owned();
                if !machine.take(&option, &mut parser)? {
                    parts.take(&option, &mut parser)?;
                }
            }
            Value(name) => parts.name(name)?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Record(RecordOptions { workload: parts.finish("record")?, machine, output, timed }))
}

fn replay(mut parser: lexopt::Parser) -> Result<Command, Failure> {
    let mut options = ReplayOptions { rounds: 1, ..ReplayOptions::default() };
    let (mut named, mut seeded) = (false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help(Some("replay".into()))),
            Long("trace") => options.trace = Some(parser.value()?.into()),
            Long("seed") => {
                options.machine.seed = number("seed", &mut parser)?;
                seeded = true;
            }
            Long("check-edges") => options.check_edges = true,
            Long("rounds") => {
                options.rounds = number("rounds", &mut parser)?;
                if options.rounds == 0 {
                    return Err(Failure::Usage("--rounds 0: there is nothing to do; it takes 1 or more".into()));
                }
            }
            Long("kernel-us") => {
                let value = text("kernel-us", &mut parser)?;
                let time = value.parse::<f64>().ok().filter(|time| (0.0..=3.6e9).contains(time));
                let wrong =
                    || Failure::Usage(format!("--kernel-us {value}: it takes microseconds from 0 to 3600000000"));
                options.kernel_us = Some(time.ok_or_else(wrong)?);
            }
            Long(option) => {
                let option = option.to_owned();
                if !options.machine.take(&option, &mut parser)? {
                    return Err(Failure::Usage(format!("--{option} is no option of 'replay'")));
                }
            }
            Value(file) if named => {
                let file = file.to_string_lossy().into_owned();
                return Err(Failure::Usage(format!(
                    "'{file}' comes behind another file, and one is replayed at a time"
                )));
            }
            Value(file) => {
                named = true;
                options.file = (file != "-").then(|| file.into());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if !named {
        return Err(Failure::Usage("'replay' needs a file, or - for standard input".into()));
    }
    if seeded && !options.machine.is_virtual() {
        return Err(Failure::Usage("--seed decides nothing without --engine virtual".into()));
    }
    Ok(Command::Replay(options))
}

/// Everything behind the name is the writer's own, but for help, which looks alike everywhere.
fn zarr(mut parser: lexopt::Parser) -> Result<Command, Failure> {
    let arguments: Vec<OsString> = parser.raw_args()?.collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return Ok(Command::Help(Some("zarr".into())));
    }
    Ok(Command::Zarr(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prewire::{Chip, Engine};

    fn parsed(line: &str) -> Result<Command, Failure> {
        parse(lexopt::Parser::from_args(line.split_whitespace()))
    }

    fn refused(line: &str) -> String {
        let error = parsed(line).expect_err(line);
        assert_eq!(error.status(), super::super::exit::Status::Usage, "{line}");
        error.to_string()
    }

    #[test]
    fn options_may_stand_anywhere() {
        for line in [
            "run gemm --platform a5 --engine threads --rows 12 --seed=3 --trace t.json",
            "run --trace=t.json --rows=12 --engine=threads gemm --seed 3 --platform a5",
        ] {
            let Ok(Command::Run(options)) = parsed(line) else { panic!("{line}") };
            assert_eq!((options.machine.chip, options.machine.engine), (Chip::A5, Engine::Threads));
            assert_eq!(options.workload.sizes, [("rows".to_owned(), 12)]);
            assert_eq!((options.workload.seed, options.trace), (3, Some("t.json".into())));
        }
        let Ok(Command::Replay(options)) = parsed("replay - --check-edges --kernel-us 1.5") else { panic!() };
        assert_eq!((options.file, options.check_edges, options.kernel_us), (None, true, Some(1.5)));
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let cases = [
            ("fly", "'fly' is no command; there are run, replay"),
            ("run", "'run' needs a workload: attention, cholesky, gemm"),
            ("run fft", "'fft' is no workload; there are attention, cholesky, gemm"),
            ("run gemm cholesky", "'cholesky' comes behind gemm"),
            ("run gemm --rows many", "--rows many: invalid digit"),
            ("run gemm --colour 3", "--colour is no option here"),
            ("run gemm --platform a7", "--platform a7: unknown platform 'a7'; there are a2a3 and a5"),
            ("run gemm --engine steam", "--engine steam: unknown; there are inline, inline-only, threads, virtual"),
            ("run gemm --seed", "missing argument for option '--seed'"),
            ("run gemm -x", "invalid option '-x'"),
            ("replay", "'replay' needs a file, or - for standard input"),
            ("replay a b", "'b' comes behind another file"),
            ("replay a --kernel-us -1", "--kernel-us -1: it takes microseconds from 0"),
            ("replay a --kernel-us nan", "--kernel-us nan: it takes microseconds from 0"),
            ("replay a --rounds 0", "--rounds 0: there is nothing to do"),
            ("replay a --rows 3", "--rows is no option of 'replay'"),
            ("replay a --seed 3", "--seed decides nothing without --engine virtual"),
            ("workers --chips 0", "--chips 0: it takes 1 to 64"),
            ("workers fast", "unexpected argument \"fast\""),
            ("info now", "unexpected argument \"now\""),
        ];
        for (line, expected) in cases {
            let text = refused(line);
            assert!(text.contains(expected), "{line}\n  says     {text}\n  expected {expected}");
        }
    }

    #[test]
    fn help_is_where_it_is_looked_for() {
        for (line, topic) in [
            ("", None),
            ("--help", None),
            ("help", None),
            ("help run", Some("run")),
            ("run gemm -h", Some("run")),
            ("zarr in out --help", Some("zarr")),
            ("info --help", Some("info")),
        ] {
            let Ok(Command::Help(found)) = parsed(line) else { panic!("{line}") };
            assert_eq!(found.as_deref(), topic, "{line}");
        }
        assert!(matches!(parsed("--version"), Ok(Command::Version)));
    }
}
