//! `prewire run`.

use super::arguments::{RunOptions, WorkloadOptions};
use super::exit::{Failure, Status};
use super::output::Output;
use super::progress::Progress;
use super::report::{self, TraceFile};
use crate::workloads::{Workload, WorkloadError, write_npy};
use prewire::{Failed, Report, RunError, Runtime};

pub(super) fn execute(options: &RunOptions, output: &mut Output) -> Result<Status, Failure> {
    let trace = options.trace.as_deref().map(TraceFile::create).transpose()?;
    let mut workload = create(&options.workload)?;
    let builder =
        options.machine.builder().record_trace(true).record_graph(trace.is_some() || options.machine.is_virtual());
    let mut runtime = builder.build()?;
    workload.set_up(&mut runtime)?;
    output.row(options.workload.kind.name, format_args!("{}", workload.description()))?;
    output.row("platform", format_args!("{}", options.machine.description(&runtime)))?;
    output.finish()?;
    let report = once(&*workload, &mut runtime)?;
    let result = workload.result(&runtime)?;
    let check = workload.check(&result);
    let verdict = if check.passes() { "PASS" } else { "FAIL" };
    output.row("result", format_args!("{verdict}, error {:.2e} of {:.2e} allowed", check.error, check.tolerance))?;
    output.row("", format_args!("{}", check.measure))?;
    output.row("", format_args!("{}", check.reason))?;
    report::print(&report, &runtime, output)?;
    if let Some(trace) = trace {
        trace.write(&report, &runtime, output)?;
    }
    if let Some(path) = &options.output {
        write_npy(path, &result).map_err(|error| Failure::Input(format!("--output {error}")))?;
        output.row("output", format_args!("{}, {} x {}", path.display(), result.rows, result.columns))?;
    }
    Ok(if check.passes() { Status::Success } else { Status::CheckFailed })
}

/// The workload that the options describe.
pub(super) fn create(options: &WorkloadOptions) -> Result<Box<dyn Workload>, Failure> {
    Ok(options.kind.create(&options.sizes, options.seed, options.input.as_deref())?)
}

/// A run's failure; one that says something about the input is the input's.
fn explained(workload: &dyn Workload, failed: Failed) -> Failure {
    if let RunError::KernelFailed { first, .. } = &*failed.error
        && let Some(text) = workload.explain(first)
    {
        return Failure::Input(text);
    }
    failed.into()
}

/// Runs a workload that has been set up.
pub(super) fn once(workload: &dyn Workload, runtime: &mut Runtime) -> Result<Report, Failure> {
    let mut progress = Progress::new(workload.tasks());
    let run = runtime.run(|run| workload.orchestrate(run, &mut |tasks| progress.submitted(tasks)));
    run.map_err(|failed| explained(workload, failed))
}

impl From<WorkloadError> for Failure {
    fn from(error: WorkloadError) -> Self {
        match error {
            WorkloadError::Size { .. } | WorkloadError::UnknownOption { .. } => Failure::Usage(error.to_string()),
            WorkloadError::Input(text) => Failure::Input(text),
            other => Failure::Run { code: None, text: other.to_string() },
        }
    }
}
