//! `prewire replay`.

use super::arguments::ReplayOptions;
use super::exit::{Failure, Status};
use super::output::Output;
use super::progress::Progress;
use super::report::{self, TraceFile};
use prewire::graph_format::{EdgeSource, RecordedGraph};
use prewire::replay::{ExtraEdge, KernelTimes, Replay, ReplayError, compare_edges};
use std::fs::File;
use std::io::{BufReader, IsTerminal};
use std::time::Duration;

/// How many edges that differ are listed.
const EDGES_SHOWN: usize = 10;

pub(super) fn execute(options: &ReplayOptions, output: &mut Output) -> Result<Status, Failure> {
    let trace = options.trace.as_deref().map(TraceFile::create).transpose()?;
    let (name, graph) = read(options)?;
    let times = match options.kernel_us {
        None => KernelTimes::Recorded,
        Some(us) => KernelTimes::Fixed(Duration::from_nanos((us * 1000.0).round() as u64)),
    };
    let timed = match times {
        KernelTimes::Fixed(time) => !time.is_zero(),
        _ => graph.header.kernels.values().any(|kernel| kernel.duration_ns.is_some_and(|ns| ns > 0)),
    };
    let whole = trace.is_some() || options.machine.is_virtual();
    let builder = options.machine.builder().record_trace(timed || whole).record_graph(whole);
    let mut runtime = builder.build()?;
    let mut replay = Replay::new(&mut runtime, &graph, times)?;
    let counts = graph.statistics();
    output.row("graph", format_args!("{name}: {} {}", graph.header.model, graph.header.case))?;
    let kinds: Vec<_> = counts.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    output.row(
        "",
        format_args!("{} tasks ({}), {} edges, {} scopes", counts.tasks, kinds.join(", "), counts.pairs, counts.scopes),
    )?;
    output.row("platform", format_args!("{}", options.machine.description(&runtime)))?;
    output.finish()?;
    let mut elapsed = Vec::new();
    let mut last = None;
    for _ in 0..options.rounds {
        let mut progress = Progress::new(counts.tasks);
        let report = runtime.run(|run| replay.submit_with(run, &mut |tasks| progress.submitted(tasks as u64)))?;
        elapsed.push(report.elapsed);
        last = Some(report);
    }
    let report = last.expect("there is at least one round");
    if options.rounds > 1 {
        elapsed.sort();
        let (median, least) = (elapsed[elapsed.len() / 2], elapsed[0]);
        let per_task = |time: Duration| report::time(time / counts.tasks.max(1) as u32);
        output.row(
            "rounds",
            format_args!("{}: median {} a task, least {}", options.rounds, per_task(median), per_task(least)),
        )?;
    }
    report::print(&report, &runtime, output)?;
    if let Some(trace) = trace {
        trace.write(&report, &runtime, output)?;
    }
    if !options.check_edges {
        return Ok(Status::Success);
    }
    output.finish()?;
    edges(&graph, runtime.chip(), output)
}

fn read(options: &ReplayOptions) -> Result<(String, RecordedGraph), Failure> {
    let name = options.file.as_ref().map_or("standard input".to_owned(), |path| path.display().to_string());
    let wrong = |error: &dyn std::fmt::Display| Failure::Input(format!("{name}: {error}"));
    let graph = match &options.file {
        None => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                return Err(Failure::Usage(
                    "'replay -' reads a graph from standard input, which is a terminal; pipe one into it".into(),
                ));
            }
            RecordedGraph::read(stdin.lock())
        }
        Some(path) => {
            let file = File::open(path).map_err(|error| wrong(&format_args!("cannot be opened: {error}")))?;
            RecordedGraph::read(BufReader::new(file))
        }
    };
    graph.map_err(|error| wrong(&error)).map(|graph| (name.clone(), graph))
}

/// Compares the edges, prints what differs, and says whether nothing does.
fn edges(graph: &RecordedGraph, chip: &prewire::ChipSpec, output: &mut Output) -> Result<Status, Failure> {
    let edges = compare_edges(graph, chip)?;
    let verdict = if edges.is_exact() { "PASS" } else { "FAIL" };
    output.row(
        "edges",
        format_args!(
            "{verdict}: {} found, {} recorded, {} missing, {} extra",
            edges.found,
            edges.recorded,
            edges.missing.len(),
            edges.extra.len()
        ),
    )?;
    for (what, list) in [("missing", &edges.missing), ("extra", &edges.extra)] {
        for edge in list.iter().take(EDGES_SHOWN) {
            output.row("", format_args!("{what}: {}", shown(edge)))?;
        }
        if list.len() > EDGES_SHOWN {
            output.row("", format_args!("{what}: and {} more", list.len() - EDGES_SHOWN))?;
        }
    }
    if !edges.other_source.is_empty() {
        let count = edges.other_source.len();
        output.row(
            "",
            format_args!(
                "{count} were found in another way than the recording says, such as {}",
                shown(&edges.other_source[0])
            ),
        )?;
    }
    Ok(if edges.is_exact() { Status::Success } else { Status::CheckFailed })
}

fn shown(edge: &ExtraEdge) -> String {
    let source = match (edge.source, edge.argument) {
        (EdgeSource::Explicit, _) => "named".to_owned(),
        (EdgeSource::Creator, Some(argument)) => format!("allocated argument {argument}"),
        (EdgeSource::Overlap, Some(argument)) => format!("writes bytes of argument {argument}"),
        (EdgeSource::Creator | EdgeSource::Overlap, None) => "for its data".to_owned(),
    };
    format!("task {} before task {} ({source})", edge.producer, edge.consumer)
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        let code = match &error {
            ReplayError::Inference { error: prewire::SubmitError::Fatal(fatal), .. } => Some(fatal.code().number()),
            ReplayError::Inference { error: prewire::SubmitError::Refused(_), .. } => {
                Some(prewire::ErrorCode::InvalidArguments.number())
            }
            _ => None,
        };
        Failure::Run { code, text: error.to_string() }
    }
}
