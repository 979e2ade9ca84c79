//! `prewire record`.

use super::arguments::RecordOptions;
use super::exit::Failure;
use super::output::{self, Output};
use super::run;
use prewire::graph_format::{FormatError, RecordedGraph};
use prewire::record::Recorder;
use prewire::{Report, Runtime};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;

pub(super) fn execute(options: &RecordOptions, output: &mut Output) -> Result<(), Failure> {
    let file = match &options.output {
        None => None,
        Some(path) => {
            let wrong = |error| Failure::Input(format!("--output {}: cannot be written: {error}", path.display()));
            Some((path, File::create(path).map_err(wrong)?))
        }
    };
    let mut workload = run::create(&options.workload)?;
    let mut runtime = options.machine.builder().record_trace(options.timed).build()?;
    workload.set_up(&mut runtime)?;
    let chip = runtime.chip().clone();
    let failed = |text: String| Failure::Run { code: None, text };
    let mut recorder =
        Recorder::new(&chip, runtime.kernels(), workload.tasks()).map_err(|error| failed(error.to_string()))?;
    for (name, tensor) in workload.external() {
        recorder.name(&tensor, name).map_err(|error| failed(error.to_string()))?;
    }
    let header = recorder.header_mut();
    header.model = options.workload.kind.name.to_owned();
    header.case = workload.description();
    header.params = options.workload.sizes.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    header.params.insert("seed".into(), options.workload.seed.to_string());
    workload.orchestrate(&mut recorder, &mut |_| {}).map_err(|error| failed(error.to_string()))?;
    let mut graph = recorder.finish();
    if options.timed {
        let report = run::once(&*workload, &mut runtime)?;
        add_times(&mut graph, &report, &runtime);
    }
    match file {
        None => graph.write(output).map_err(|error| match error {
            FormatError::Io { error, .. } => output::failure(error),
            other => Failure::Input(other.to_string()),
        }),
        Some((path, file)) => {
            let wrong = |error| Failure::Input(format!("--output {}: cannot be written: {error}", path.display()));
            graph.write(&mut BufWriter::new(file)).map_err(wrong)?;
            let counts = graph.statistics();
            output.line(format_args!("{}: {} tasks, {} edges", path.display(), counts.tasks, counts.pairs))
        }
    }
}

/// The mean time of each kernel, by its name and kind of core.
fn add_times(graph: &mut RecordedGraph, report: &Report, runtime: &Runtime) {
    let mut times: HashMap<(&str, prewire::CoreKind), (u64, u64)> = HashMap::new();
    for block in report.blocks.iter().flatten() {
        let Some(kernel) = runtime.kernels().get(block.kernel) else { continue };
        let (blocks, ns) = times.entry((&kernel.name, report.chip.kind_of(block.core))).or_default();
        *blocks += 1;
        *ns += block.end_ns - block.start_ns;
    }
    for kernel in graph.header.kernels.values_mut() {
        kernel.duration_ns = times.get(&(kernel.name.as_str(), kernel.kind)).map(|(blocks, ns)| ns / blocks);
    }
}
