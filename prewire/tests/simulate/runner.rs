//! Runs a program on a runtime.

use super::interpreter::{Outcome, initial};
use super::program::{Argument, Base, Kind, Program, Step, TaskStep, View, ViewStep, each_index, mix, written};
use prewire::{
    Argument as TaskArgument, ArgumentTag, Buffer, DataType, Dependency, Failed, Kernel, KernelContext, KernelError,
    KernelId, NewTensor, Predicate, Report, Run, Runtime, Scalar, SubmitError, Task, TaskId, Tensor, TensorError,
};

/// A runtime with the one kernel that every task runs.
#[derive(Debug)]
pub(crate) struct Runner {
    runtime: Runtime,
    kernel: KernelId,
    /// Whether the engine can start blocks together.
    gangs: bool,
}

/// Reads all inputs, then writes every other argument in turn; of several blocks each does its share of the elements.
fn kernel(context: &KernelContext<'_>) -> Result<(), KernelError> {
    let (block, blocks) = (context.block_index() as usize, context.block_count() as usize);
    let mut state = context.scalar_bits(0)?;
    for (number, tensor) in context.tensors().iter().enumerate() {
        if tensor.tag() == ArgumentTag::Input {
            let input = context.input::<u32>(number)?;
            each_index(tensor.shape(), |indices| state = mix(state, u64::from(input.get(&wide(indices)))));
        }
    }
    for (number, tensor) in context.tensors().iter().enumerate() {
        let keeps = match tensor.tag() {
            ArgumentTag::Input | ArgumentTag::NoDependency => continue,
            ArgumentTag::InOut => true,
            ArgumentTag::Output | ArgumentTag::OutputExisting => false,
        };
        let mut output = context.output::<u32>(number)?;
        let mut element = 0;
        each_index(tensor.shape(), |indices| {
            if element % blocks == block {
                let indices = wide(indices);
                let before = keeps.then(|| output.get(&indices));
                output.set(&indices, written(state, number, element, before));
            }
            element += 1;
        });
    }
    Ok(())
}

fn wide(indices: &[u32]) -> Vec<usize> {
    indices.iter().map(|&index| index as usize).collect()
}

impl Runner {
    /// A runner on a runtime, with the kernel as it is made and what more is said about it.
    pub(crate) fn with(mut runtime: Runtime, gangs: bool, about: impl FnOnce(Kernel) -> Kernel) -> Self {
        let kernel = runtime.register(about(Kernel::any("mix", kernel))).expect("there is room for a kernel");
        Runner { runtime, kernel, gangs }
    }

    pub(crate) fn runtime(&mut self) -> &mut Runtime {
        &mut self.runtime
    }

    /// Runs a program; what it left behind, and the run's report.
    pub(crate) fn run_and_report(&mut self, program: &Program) -> Result<(Outcome, Report), Failed> {
        let mut external = Vec::new();
        for (buffer, &length) in program.external.iter().enumerate() {
            let values = initial(program.seed, buffer, length);
            external.push(self.runtime.buffer_from(&values).expect("there is memory for small buffers"));
        }
        let mut read = Vec::new();
        let (kernel, gangs) = (self.kernel, self.gangs);
        let report = self.runtime.run(|run| {
            let mut state = State { kernel, gangs, external: &external, outputs: Vec::new(), ids: Vec::new() };
            program.steps.iter().try_for_each(|step| state.step(run, step, &mut read))
        });
        let report = report?;
        let values = |buffer| self.runtime.read(buffer).expect("no kernel is late");
        Ok((Outcome { external: external.iter().map(values).collect(), read, tasks: report.tasks }, report))
    }
}

/// What an orchestration knows.
struct State<'a> {
    kernel: KernelId,
    gangs: bool,
    external: &'a [Buffer],
    /// Outputs in the order of their allocation.
    outputs: Vec<Tensor>,
    ids: Vec<TaskId>,
}

impl State<'_> {
    fn step(&mut self, run: &mut Run<'_>, step: &Step, read: &mut Vec<u32>) -> Result<(), SubmitError> {
        match step {
            Step::Open => run.open_scope(prewire::ScopeMode::Automatic),
            Step::Close => run.close_scope(),
            Step::Allocate { outputs } => {
                let outputs: Vec<NewTensor> = outputs.iter().map(|(shape, value)| new(shape, Some(*value))).collect();
                let submitted = run.allocate(&outputs)?;
                self.ids.push(submitted.id);
                self.outputs.extend_from_slice(submitted.outputs);
                Ok(())
            }
            Step::Get { view, indices } => {
                read.push(run.get::<u32>(&self.tensor(view)?, indices)?);
                Ok(())
            }
            Step::Set { view, indices, value } => run.set::<u32>(&self.tensor(view)?, indices, *value),
            Step::Task(task) => self.submit(run, task),
        }
    }

    fn submit(&mut self, run: &mut Run<'_>, task: &TaskStep) -> Result<(), SubmitError> {
        let mut tensors = Vec::new();
        for argument in &task.arguments {
            tensors.push(match argument {
                Argument::Output(..) => None,
                Argument::Input(view)
                | Argument::InOut(view)
                | Argument::OutputExisting(view)
                | Argument::NoDependency(view) => Some(self.tensor(view)?),
            });
        }
        let arguments: Vec<TaskArgument<'_>> = task
            .arguments
            .iter()
            .zip(&tensors)
            .map(|(argument, tensor)| match (argument, tensor) {
                (Argument::Input(_), Some(tensor)) => TaskArgument::Input(tensor),
                (Argument::InOut(_), Some(tensor)) => TaskArgument::InOut(tensor),
                (Argument::OutputExisting(_), Some(tensor)) => TaskArgument::OutputExisting(tensor),
                (Argument::NoDependency(_), Some(tensor)) => TaskArgument::NoDependency(tensor),
                (Argument::Output(shape, value), _) => TaskArgument::Output(new(shape, *value)),
                (_, None) => unreachable!("every argument but a new one has a tensor"),
            })
            .collect();
        let dependencies: Vec<_> = task.dependencies.iter().map(|&task| Dependency::on(self.ids[task])).collect();
        let operand = task.predicate.as_ref().map(|predicate| self.tensor(&predicate.view)).transpose()?;
        let scalars = [Scalar(task.salt)];
        let mut built = match task.kind {
            Kind::Dummy => Task::dummy(),
            Kind::Cube => Task::cube(self.kernel).scalars(&scalars).blocks(i64::from(task.blocks)),
            Kind::Vector => Task::vector(self.kernel).scalars(&scalars).blocks(i64::from(task.blocks)),
        };
        built = built.arguments(&arguments).dependencies(&dependencies);
        if task.gang && self.gangs {
            built = built.sync_start();
        }
        if let (Some(predicate), Some(operand)) = (&task.predicate, &operand) {
            built = built.predicate(Predicate {
                operand,
                indices: &predicate.indices,
                comparison: predicate.comparison,
                target: predicate.target,
            });
        }
        let submitted = run.submit(&built)?;
        self.ids.push(submitted.id);
        self.outputs.extend_from_slice(submitted.outputs);
        Ok(())
    }

    fn tensor(&self, view: &View) -> Result<Tensor, TensorError> {
        let mut tensor = match &view.base {
            Base::Output => self.outputs[view.buffer - self.external.len()],
            Base::External { element, shape } => {
                self.external[view.buffer].tensor_at(4 * u64::from(*element), shape, DataType::U32)?
            }
        };
        for step in &view.steps {
            tensor = match step {
                ViewStep::Box { shape, offsets } => tensor.view(shape, offsets)?,
                ViewStep::Slice { dimension, start, end, step } => tensor.slice(*dimension, *start, *end, *step)?,
                ViewStep::Transpose { first, second } => tensor.transpose(*first, *second)?,
            };
        }
        Ok(tensor)
    }
}

fn new(shape: &[u32], value: Option<u32>) -> NewTensor {
    let new = NewTensor::new(shape, DataType::U32);
    match value {
        Some(value) => new.filled(value),
        None => new,
    }
}
