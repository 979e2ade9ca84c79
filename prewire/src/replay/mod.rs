//! Runs a recorded graph again: the same scopes, tasks, tensors and named dependencies, with kernels that do nothing or take a time.
//!
//! A recording may use what a task allocated after the end of that task's scope, which its runtime does not check and ours refuses. Allocations that
//! are used so are made in the scope that outlives their uses instead.

mod edges;
mod hoist;
mod kernels;
mod model;
mod prepared;

pub use edges::{EdgeComparison, ExtraEdge, compare_edges};
pub use kernels::KernelTimes;

use crate::graph_format::RecordedGraph;
use crate::{
    Argument, Buffer, BufferError, Dependency, RegisterError, Run, Runtime, SubmitError, Task, TaskId, Tensor,
};
use crate::{NewTensor, Predicate};
use prepared::{PreparedTask, Step};
use prewire_runtime_core::task::MAX_TENSORS;
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
    steps: Vec<Step>,
    /// Every tensor that an argument names; those in memory that the runtime allocates are filled in as their owners are submitted.
    tensors: Vec<Tensor>,
    /// Ids of the tasks submitted so far in this run, by their numbers in the recording.
    ids: Vec<TaskId>,
    named: Vec<Dependency>,
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
        let prepared = prepared::prepare(graph, &kernels, &external)?;
        Ok(Replay {
            ids: vec![TaskId::NONE; prepared.tasks],
            named: Vec::with_capacity(prepared.most_named),
            steps: prepared.steps,
            tensors: prepared.tensors,
            _buffers: buffers,
        })
    }

    /// How many tasks there are.
    pub fn tasks(&self) -> usize {
        self.ids.len()
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
        let mut done = 0;
        for step in &self.steps {
            match step {
                Step::Open(mode) => run.open_scope(*mode)?,
                Step::Close => run.close_scope()?,
                Step::Allocate { index, outputs, views } => {
                    let allocated = run.allocate(outputs)?;
                    self.ids[*index as usize] = allocated.id;
                    fill(&mut self.tensors, views, allocated.outputs)?;
                    done += 1;
                    submitted(done);
                }
                Step::Task(task) => {
                    self.named.clear();
                    let ids = &self.ids;
                    self.named.extend(
                        task.named.iter().map(|&(producer, flags)| Dependency { task: ids[producer as usize], flags }),
                    );
                    // Most tasks have few arguments, and a short list is faster to put together.
                    let id = match task.arguments.len() {
                        0..=4 => submit_one::<4>(run, task, &mut self.tensors, &self.named),
                        5..=8 => submit_one::<8>(run, task, &mut self.tensors, &self.named),
                        _ => submit_one::<MAX_TENSORS>(run, task, &mut self.tensors, &self.named),
                    }?;
                    self.ids[task.index as usize] = id;
                    done += 1;
                    submitted(done);
                }
            }
        }
        Ok(())
    }
}

/// Submits a task of at most `N` arguments.
#[inline]
fn submit_one<const N: usize>(
    run: &mut Run<'_>,
    task: &PreparedTask,
    tensors: &mut [Tensor],
    named: &[Dependency],
) -> Result<TaskId, SubmitError> {
    let submitted = {
        let mut arguments = [Argument::Output(NewTensor::new(&[], crate::DataType::U8)); N];
        for (argument, source) in arguments.iter_mut().zip(&task.arguments) {
            *argument = source.argument(tensors);
        }
        let mut built =
            task.task.arguments(&arguments[..task.arguments.len()]).scalars(&task.scalars).dependencies(named);
        if let Some(predicate) = &task.predicate {
            built = built.predicate(Predicate {
                operand: &tensors[predicate.tensor as usize],
                indices: &predicate.indices,
                comparison: predicate.comparison,
                target: predicate.target,
            });
        }
        run.submit(&built)?
    };
    fill(tensors, &task.views, submitted.outputs)?;
    Ok(submitted.id)
}

/// Works out the tensors that lie in the outputs of a task just submitted.
#[inline]
fn fill(tensors: &mut [Tensor], views: &[prepared::View], outputs: &[Tensor]) -> Result<(), SubmitError> {
    for view in views {
        let output = &outputs[view.output as usize];
        tensors[view.tensor as usize] = match &view.part {
            None => *output,
            Some((start, layout)) => output.with_layout(*start, *layout)?,
        };
    }
    Ok(())
}

/// A task of a kind that needs no references, so that it can be kept.
type Kept = Task<'static>;

#[cfg(test)]
mod tests;
