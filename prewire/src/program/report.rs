//! The report of a run, as a table.

use super::exit::Failure;
use super::output::Output;
use prewire::quality::Quality;
use prewire::trace::Trace;
use prewire::{CoreKind, KernelId, Report, Runtime};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many kernels are listed.
const KERNELS_SHOWN: usize = 8;

/// Tasks, makespan, use of the cores, busiest kernels, peaks of the rings.
pub(super) fn print(report: &Report, runtime: &Runtime, output: &mut Output) -> Result<(), Failure> {
    let allocations = match report.allocations {
        0 => String::new(),
        allocations => format!(", {allocations} of them allocations"),
    };
    output.row("tasks", format_args!("{}{allocations}", report.tasks))?;
    let per_task = report.elapsed.as_nanos() as f64 / report.tasks.max(1) as f64;
    output.row(
        "elapsed",
        format_args!(
            "{} from the first submit to the last completion, {} a task",
            time(report.elapsed),
            nanoseconds(per_task)
        ),
    )?;
    if let Some(makespan) = report.makespan() {
        output.row("makespan", format_args!("{} from the first block to the last", time(makespan)))?;
        let share = |kind: CoreKind| match report.utilisation(kind) {
            Some(share) => format!("{} {:.1} %", kind.name(), share * 100.0),
            None => format!("{} -", kind.name()),
        };
        output.row("in use", format_args!("{}, {}", share(CoreKind::Cube), share(CoreKind::Vector)))?;
    }
    if runtime.is_virtual() {
        quality(report, output)?;
    }
    kernels(report, runtime, output)?;
    rings(report, output)?;
    for note in &report.notes {
        output.row("note", format_args!("{note}"))?;
    }
    Ok(())
}

/// The makespan against the least that any schedule could take, and the time lost to scheduling.
fn quality(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let Some(quality) = Quality::of(report) else { return Ok(()) };
    let ns = |ns: u64| nanoseconds(ns as f64);
    output.row(
        "bound",
        format_args!(
            "{}: the longest chain takes {}, the work {} AIC, {} AIV; the makespan is {:.1} % above; submitting takes {}",
            ns(quality.bound_ns()),
            ns(quality.critical_path_ns),
            ns(quality.work_ns[0]),
            ns(quality.work_ns[1]),
            100.0 * (quality.makespan_ns as f64 / quality.bound_ns().max(1) as f64 - 1.0),
            ns(report.tasks * report.chip.latencies.submit_ns),
        ),
    )?;
    let overhead = quality.overhead;
    let [cube, vector, both, either] =
        [overhead.cube, overhead.vector, overhead.both, overhead.either].map(|share| 100.0 * share);
    output.row(
        "overhead",
        format_args!(
            "AIC {cube:.1} %, AIV {vector:.1} %, both at once {both:.1} %, either {either:.1} % of the makespan"
        ),
    )
}

fn kernels(report: &Report, runtime: &Runtime, output: &mut Output) -> Result<(), Failure> {
    let mut busy: HashMap<KernelId, (u64, u64)> = HashMap::new();
    for block in report.blocks.iter().flatten() {
        let (blocks, ns) = busy.entry(block.kernel).or_default();
        *blocks += 1;
        *ns += block.end_ns - block.start_ns;
    }
    let all: u64 = busy.values().map(|(_, ns)| ns).sum();
    let mut busiest: Vec<_> = busy.into_iter().collect();
    busiest.sort_by_key(|&(kernel, (_, ns))| (std::cmp::Reverse(ns), kernel));
    for (number, &(kernel, (blocks, ns))) in busiest.iter().take(KERNELS_SHOWN).enumerate() {
        let registered = runtime.kernels().get(kernel);
        let name = registered.map_or("?", |kernel| kernel.name.as_str());
        let kind = registered.and_then(|kernel| kernel.kind).map_or("any", CoreKind::name);
        let share = 100.0 * ns as f64 / all.max(1) as f64;
        let mean = Duration::from_nanos(ns / blocks.max(1));
        let title = if number == 0 { "kernels" } else { "" };
        output.row(
            title,
            format_args!("{name:<24} {kind:<4} {blocks:>7} blocks {:>10} each {share:5.1} % of the work", time(mean)),
        )?;
    }
    if busiest.len() > KERNELS_SHOWN {
        output.row("", format_args!("and {} more", busiest.len() - KERNELS_SHOWN))?;
    }
    Ok(())
}

fn rings(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let mut title = "rings";
    for (number, ring) in report.rings.iter().enumerate().filter(|(_, ring)| ring.window.0 > 0) {
        output.row(
            title,
            format_args!(
                "{number}: at most {} of {} tasks, {} of {}, {} of {} edges",
                ring.window.0,
                ring.window.1,
                bytes(ring.heap_bytes.0),
                bytes(ring.heap_bytes.1),
                ring.edges.0,
                ring.edges.1,
            ),
        )?;
        title = "";
    }
    output.row("index", format_args!("at most {} of {} entries", report.index_entries.0, report.index_entries.1))
}

/// A time with three digits and its unit.
pub(super) fn time(time: Duration) -> String {
    nanoseconds(time.as_nanos() as f64)
}

fn nanoseconds(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "us"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    let decimals = if value < 10.0 {
        2
    } else if value < 100.0 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {unit}")
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// A file for a trace, made before the run, so that a path that cannot be written is known at once.
#[derive(Debug)]
pub(super) struct TraceFile {
    path: PathBuf,
    file: File,
}

impl TraceFile {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let wrong = |error| Failure::Input(format!("--trace {}: cannot be written: {error}", path.display()));
        Ok(TraceFile { path: path.to_owned(), file: File::create(path).map_err(wrong)? })
    }

    /// Writes a trace that is JSON already.
    pub(super) fn write_json(self, trace: &serde_json::Value, output: &mut Output) -> Result<(), Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::Input(format!("--trace {}: cannot be written: {error}", self.path.display()))
        };
        let mut file = BufWriter::new(&self.file);
        serde_json::to_writer(&mut file, trace).map_err(|error| wrong(&error))?;
        std::io::Write::flush(&mut file).map_err(|error| wrong(&error))?;
        output.row("trace", format_args!("{}; open it in ui.perfetto.dev", self.path.display()))
    }

    pub(super) fn write(self, report: &Report, runtime: &Runtime, output: &mut Output) -> Result<(), Failure> {
        let trace = Trace::of(report, runtime.kernels()).expect("blocks are recorded where a trace is wanted");
        let wrong = |error| Failure::Input(format!("--trace {}: cannot be written: {error}", self.path.display()));
        trace.write(&mut BufWriter::new(&self.file)).map_err(wrong)?;
        let arrows = trace.arrow_count();
        output.row("trace", format_args!("{}, {arrows} dependencies; open it in ui.perfetto.dev", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_the_unit_that_fits() {
        let times = [
            (7, "7.00 ns"),
            (12_345, "12.3 us"),
            (999_999, "1000 us"),
            (4_500_000, "4.50 ms"),
            (61_000_000_000, "61.0 s"),
        ];
        for (ns, text) in times {
            assert_eq!(time(Duration::from_nanos(ns)), text);
        }
        for (count, text) in [(1023, "1023 B"), (1536, "1.5 KiB"), (268_435_456, "256.0 MiB"), (1 << 40, "1024.0 GiB")]
        {
            assert_eq!(bytes(count), text);
        }
    }
}
