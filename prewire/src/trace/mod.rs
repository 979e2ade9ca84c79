//! A run as a trace that Perfetto and Chrome open: a track for each core, a slice for each block, an arrow for each dependency.
//!
//! The format is the JSON of Chrome's trace events ("Trace Event Format", the public document of the Chromium project).

mod arrows;

use crate::{BlockRecord, ChipSpec, CoreId, KernelId, Report, TaskId};
use serde_json::{Value, json};
use std::io::Write;

/// What a trace shows.
#[derive(Debug)]
pub struct Trace<'a> {
    chip: &'a ChipSpec,
    /// Sorted by core and start.
    blocks: Vec<BlockRecord>,
    arrows: Vec<arrows::Arrow>,
    kernel_name: &'a dyn KernelNames,
}

/// Says what kernels are called.
pub trait KernelNames: std::fmt::Debug {
    /// The kernel's name, if it has one.
    fn name_of(&self, kernel: KernelId) -> Option<&str>;
}

impl KernelNames for prewire_runtime_core::kernel::KernelSet {
    fn name_of(&self, kernel: KernelId) -> Option<&str> {
        self.get(kernel).map(|kernel| kernel.name.as_str())
    }
}

/// The one process that all tracks belong to.
const PROCESS: u32 = 1;

impl<'a> Trace<'a> {
    /// The trace of a run; without arrows if the graph was not recorded. None if the blocks were not recorded.
    pub fn of(report: &'a Report, kernels: &'a dyn KernelNames) -> Option<Self> {
        let blocks = report.blocks.clone()?;
        let edges = report.graph.as_ref().map_or_else(Vec::new, |graph| graph.pairs());
        Some(Self::new(&report.chip, blocks, &edges, kernels))
    }

    /// A trace of these blocks and of these pairs of producer and consumer, in any order.
    pub fn new(
        chip: &'a ChipSpec,
        mut blocks: Vec<BlockRecord>,
        edges: &[(TaskId, TaskId)],
        kernels: &'a dyn KernelNames,
    ) -> Self {
        blocks.sort_by_key(|block| (block.core, block.start_ns, block.end_ns));
        let arrows = arrows::between(&blocks, edges);
        Trace { chip, blocks, arrows, kernel_name: kernels }
    }

    /// How many arrows there are: one for each dependency between tasks that ran, dependencies through tasks without kernels included.
    pub fn arrow_count(&self) -> usize {
        self.arrows.len()
    }

    /// Writes the trace. Times begin with the first block.
    ///
    /// # Errors
    /// If the bytes cannot be put.
    pub fn write(&self, output: &mut impl Write) -> std::io::Result<()> {
        let epoch = self.blocks.iter().map(|block| block.start_ns).min().unwrap_or(0);
        output.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
        let process = json!({"ph": "M", "pid": PROCESS, "name": "process_name", "args": {"name": self.chip.name}});
        serde_json::to_writer(&mut *output, &process)?;
        for core in (0..self.chip.cores()).map(CoreId) {
            let track = |name: &str, arguments: Value| json!({"ph": "M", "pid": PROCESS, "tid": track_of(core), "name": name, "args": arguments});
            put(output, &track("thread_name", json!({"name": self.chip.core_name(core)})))?;
            put(output, &track("thread_sort_index", json!({"sort_index": core.0})))?;
        }
        for block in &self.blocks {
            put(output, &self.slice(block, epoch))?;
        }
        for (number, arrow) in self.arrows.iter().enumerate() {
            for (phase, end) in [("s", &arrow.from), ("f", &arrow.to)] {
                let mut event = json!({
                    "ph": phase,
                    "id": number,
                    "cat": "dependency",
                    "name": "dependency",
                    "pid": PROCESS,
                    "tid": track_of(end.core),
                    "ts": microseconds(end.at_ns - epoch),
                });
                if phase == "f" {
                    // Binds to the slice around it and not to the next one that begins.
                    event["bp"] = json!("e");
                }
                put(output, &event)?;
            }
        }
        output.write_all(b"\n]}\n")?;
        output.flush()
    }

    fn slice(&self, block: &BlockRecord, epoch: u64) -> Value {
        let kernel =
            self.kernel_name.name_of(block.kernel).map_or_else(|| format!("kernel {}", block.kernel.0), str::to_owned);
        json!({
            "ph": "X",
            "cat": "block",
            "name": format!("{kernel}({})", block.task),
            "pid": PROCESS,
            "tid": track_of(block.core),
            "ts": microseconds(block.start_ns - epoch),
            "dur": microseconds(block.end_ns - block.start_ns),
            "args": {
                "task": block.task.to_string(),
                "kernel": kernel,
                "block": block.block,
                "part": block.part,
            },
        })
    }
}

fn put(output: &mut impl Write, value: &Value) -> std::io::Result<()> {
    output.write_all(b",\n")?;
    serde_json::to_writer(output, value).map_err(Into::into)
}

/// Tracks are numbered from 1, as some viewers leave out track 0.
fn track_of(core: CoreId) -> u32 {
    u32::from(core.0) + 1
}

/// The format's unit is the microsecond; three decimals keep every nanosecond of 104 days.
fn microseconds(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

#[cfg(test)]
mod tests;
