//! `prewire workers`: a feed-forward network over chips in processes of their own, with an all-reduce in a sub worker, checked.

mod network;
mod timeline;

use super::arguments::WorkersOptions;
use super::exit::{Failure, Status};
use super::output::Output;
use super::report::TraceFile;
use network::{Chip, Network};
use prewire::host::{self, Callable, HostError, HostRuntime, HostStartError};
use prewire::{Argument, Buffer, CoreKind, DataType, Placement, Tensor};
use std::time::Instant;
use timeline::{LOG_WORDS, Timeline};

impl From<HostStartError> for Failure {
    fn from(error: HostStartError) -> Self {
        match error {
            HostStartError::Build(error) => error.into(),
            HostStartError::TooMany { .. } | HostStartError::NoWorkers => Failure::Usage(error.to_string()),
            other => Failure::Run { code: None, text: other.to_string() },
        }
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Failure::Run { code: None, text: error.to_string() }
    }
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Run { code: None, text: error.to_string() }
}

/// A buffer and all of it as a tensor.
struct Held {
    buffer: Buffer,
    all: Tensor,
}

fn hold(host: &mut HostRuntime, shape: &[u32], values: Option<&[f32]>) -> Result<Held, Failure> {
    let elements: u32 = shape.iter().product();
    let buffer = match values {
        Some(values) => host.buffer_from(values),
        None => host.buffer(4 * u64::from(elements)),
    };
    let buffer = buffer.map_err(broken)?;
    let all = buffer.tensor(shape, DataType::F32).map_err(broken)?;
    Ok(Held { buffer, all })
}

pub(super) fn execute(options: &WorkersOptions, output: &mut Output) -> Result<Status, Failure> {
    let trace = options.trace.as_deref().map(TraceFile::create).transpose()?;
    let network = Network::new(options.chips, options.seed);
    let begun = Instant::now();
    let mut builder =
        HostRuntime::builder().next_level(options.chips).subs(options.subs).chips(Chip::builder, Chip::make);
    let part = builder.register(Callable::level("feed forward", network::part))?;
    let reduce = builder.register(Callable::sub("all-reduce", network::all_reduce))?;
    let mut host = builder.start()?;
    let ready = begun.elapsed();
    output.row("network", format_args!("{}", network.description()))?;
    output.row(
        "workers",
        format_args!(
            "{} chips and {} sub workers, ready in {:.1} ms",
            options.chips,
            options.subs,
            ready.as_secs_f64() * 1e3
        ),
    )?;
    for worker in host.workers() {
        let pid = worker.pid.map_or_else(String::new, |pid| format!("process {pid}"));
        output.row("", format_args!("{:<22}{pid}", worker.name))?;
    }
    output.finish()?;

    let (rows, model, shard) = (network::ROWS, network::MODEL, network.shard());
    let input = hold(&mut host, &[rows, model], Some(&network.input))?;
    let parts = hold(&mut host, &[options.chips, rows, model], None)?;
    let up = hold(&mut host, &[options.chips, model, shard], Some(&network.up))?;
    let down = hold(&mut host, &[options.chips, shard, model], Some(&network.down))?;
    let logs = host.buffer(8 * u64::from(LOG_WORDS) * u64::from(options.chips + 1)).map_err(broken)?;
    let log = logs.tensor(&[options.chips + 1, LOG_WORDS], DataType::U64).map_err(broken)?;
    let cores: Vec<_> = (0..options.chips).map(|id| host.worker(CoreKind::Cube, id)).collect::<Result<_, _>>()?;

    // Always the same, so that its log is that worker's.
    let reducer = host.worker(CoreKind::Vector, 0)?;
    let begun = Instant::now();
    let report = host.run(|run| {
        for _ in 0..network::LAYERS {
            for (chip, &core) in cores.iter().enumerate() {
                let at = chip as u32;
                let of =
                    |all: &Tensor| all.slice(0, at, at + 1, 1).and_then(|slice| slice.reshape(&slice.shape()[1..]));
                let (up, down, part_of, log) = (of(&up.all)?, of(&down.all)?, of(&parts.all)?, of(&log)?);
                let arguments = [
                    Argument::Input(&input.all),
                    Argument::Input(&up),
                    Argument::Input(&down),
                    Argument::OutputExisting(&part_of),
                    Argument::InOut(&log),
                ];
                run.submit(&host::next_level(part).arguments(&arguments).placement(Placement::Core(core)))?;
            }
            let last = log.slice(0, options.chips, options.chips + 1, 1)?.reshape(&[LOG_WORDS])?;
            let arguments = [Argument::Input(&parts.all), Argument::OutputExisting(&input.all), Argument::InOut(&last)];
            run.submit(&host::sub(reduce).arguments(&arguments).placement(Placement::Core(reducer)))?;
        }
        Ok(())
    })?;
    let took = begun.elapsed();
    let result = host.read::<f32>(&input.buffer).map_err(broken)?;
    let (error, allowed) = network.check(&result);
    let passes = error <= allowed;
    output.row(
        "result",
        format_args!("{}, error {error:.2e} of {allowed:.2e} allowed", if passes { "PASS" } else { "FAIL" }),
    )?;
    output.row("run", format_args!("{} tasks, {:.1} ms", report.tasks, took.as_secs_f64() * 1e3))?;
    let timeline = Timeline::read(&host.read::<u64>(&logs).map_err(broken)?, &host.workers());
    timeline.print(output)?;
    if let Some(trace) = trace {
        trace.write_json(&timeline.to_json(), output)?;
    }
    host.close()?;
    Ok(if passes { Status::Success } else { Status::CheckFailed })
}
