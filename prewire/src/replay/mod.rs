//! Runs a recorded graph again: the same scopes, tasks, tensors and named dependencies, with kernels that do nothing or take a time.
//!
//! A recording may use what a task allocated after the end of that task's scope, which its runtime does not check and ours refuses. Allocations that
//! are used so are made in the scope that outlives their uses instead.

mod edges;
mod hoist;
mod kernels;
mod model;
mod prepared;
mod script;

pub use edges::{EdgeComparison, ExtraEdge, compare_edges};
pub use kernels::KernelTimes;

use crate::graph_format::RecordedGraph;
use crate::{Buffer, BufferError, RegisterError, Run, Runtime, SubmitError};
use script::{Script, State, Step};
use thiserror::Error;

/// Why a recorded graph cannot be replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum ReplayError {
    #[error("external buffer {buffer} of {bytes} bytes: {error}")]
    Buffer { buffer: usize, bytes: u64, error: BufferError },
    #[error("kernel {name}: {error}")]
    Kernel { name: String, error: RegisterError },
    #[error("task {task}, argument {argument}: {error}")]
    Tensor { task: u32, argument: usize, error: crate::TensorError },
    #[error(
        "task {task} uses buffer {buffer} of task {owner} after the end of that task's scope; only allocations can be moved out of their scope"
    )]
    OutlivesScope { task: u32, buffer: u32, owner: u32 },
    #[error("the edges could not be inferred at task {task}: {error}")]
    Inference { task: u32, error: SubmitError },
    #[error(transparent)]
    OutOfMemory(#[from] prewire_runtime_core::memory::OutOfMemory),
}

/// A recorded graph that has been made ready for a runtime: kernels registered, external buffers allocated, everything that does not change from run
/// to run worked out.
#[derive(Debug)]
pub struct Replay {
    script: Script,
    state: State,
    _buffers: Vec<Buffer>,
}

impl Replay {
    /// Makes `graph` ready.
    ///
    /// External buffers are allocated at their full size and stay untouched, so they cost address space and no memory.
    ///
    /// # Errors
    /// If kernels or memory cannot be had.
    pub fn new(runtime: &mut Runtime, graph: &RecordedGraph, times: KernelTimes) -> Result<Self, ReplayError> {
        let kernels = kernels::register(runtime, graph, times)?;
        let mut buffers = Vec::new();
        let mut external = Vec::with_capacity(graph.header.buffers.len());
        for (number, record) in graph.header.buffers.iter().enumerate() {
            if record.producer.is_some() {
                external.push(None);
                continue;
            }
            let failed = |error| ReplayError::Buffer { buffer: number, bytes: record.bytes, error };
            let buffer = runtime.buffer(record.bytes).map_err(failed)?;
            external.push(Some(prepared::whole_buffer(&buffer)));
            buffers.push(buffer);
        }
        let (script, tensors) = prepared::prepare(graph, &kernels, &external)?;
        Ok(Replay { state: State::new(&script, tensors), script, _buffers: buffers })
    }

    /// How many tasks there are.
    pub fn tasks(&self) -> usize {
        self.script.tasks
    }

    /// Submits everything; for the orchestration of a [`Runtime::run`].
    ///
    /// # Errors
    /// What the first failing submit returns.
    pub fn submit(&mut self, run: &mut Run<'_>) -> Result<(), SubmitError> {
        self.submit_with(run, &mut |_| {})
    }

    /// As [`Replay::submit`]; `submitted` is told the number of tasks so far, behind every one.
    ///
    /// # Errors
    /// As [`Replay::submit`].
    pub fn submit_with(&mut self, run: &mut Run<'_>, submitted: &mut dyn FnMut(usize)) -> Result<(), SubmitError> {
        let Replay { script, state, .. } = self;
        let mut done = 0;
        for step in &script.steps {
            match step {
                Step::Open(mode) => run.open_scope(*mode)?,
                Step::Close => run.close_scope()?,
                Step::Allocate { index, outputs, views } => {
                    script.allocate((*index, outputs, views), state, |outputs| run.allocate(outputs))?;
                    done += 1;
                    submitted(done);
                }
                Step::Task(task) => {
                    script.submit(task, state, |task| run.submit(task))?;
                    done += 1;
                    submitted(done);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
