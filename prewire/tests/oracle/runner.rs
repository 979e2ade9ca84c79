//! Runs a program on a runtime.

use super::interpreter::{Accessed, Outcome, initial};
use super::kernel::{How, Late, kernel};
use super::program::{Argument, Base, Kind, Program, Step, TaskStep, View, ViewStep};
use prewire::{
    Argument as TaskArgument, Buffer, DataType, Dependency, Failed, Kernel, KernelId, NewTensor, Predicate, Report,
    Run, RunError, Runtime, Scalar, SubmitError, Task, TaskId, Tensor, TensorError,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// What kernels may do on a runtime, besides computing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The blocks of gangs start together.
    pub(crate) gangs: bool,
    /// Those that start together wait for one another.
    pub(crate) meets: bool,
    /// What is to be written behind a kernel's end is written by a thread, whenever it comes to it. Without one it is there when the kernel ends.
    pub(crate) late: bool,
}

/// A runtime with the one kernel that every task runs.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) runtime: Runtime,
    kernel: KernelId,
    manner: Manner,
    /// Tasks whose kernels have begun.
    ran: Arc<Mutex<BTreeSet<usize>>>,
    /// Writes what is written behind the ends of kernels.
    _late: Option<Late>,
}

/// A run that ended well, or with kernels that failed because their tasks say so.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    /// The task that is to blame, if one failed.
    pub(crate) blamed: Option<usize>,
    pub(crate) report: Report,
}

/// Why there is nothing to compare.
#[derive(Debug)]
pub(crate) enum NoOutcome {
    /// The run ended early, and not because of a kernel that fails on purpose.
    Failed(Failed),
    /// Nothing ran, or what came of it makes no sense.
    Otherwise(String),
}

impl std::fmt::Display for NoOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoOutcome::Failed(failed) => write!(f, "{}", failed.error),
            NoOutcome::Otherwise(text) => f.write_str(text),
        }
    }
}

impl From<String> for NoOutcome {
    fn from(text: String) -> Self {
        NoOutcome::Otherwise(text)
    }
}

impl Runner {
    /// A runner on a runtime, with the kernel as it is made and what more is said about it.
    pub(crate) fn new(mut runtime: Runtime, manner: Manner, about: impl FnOnce(Kernel) -> Kernel) -> Self {
        let ran = Arc::new(Mutex::new(BTreeSet::new()));
        let (late, begun) = (manner.late.then(Late::start), ran.clone());
        let orders = late.as_ref().map(Late::orders);
        let body = Kernel::any("mix", move |context| kernel(context, &begun, orders.as_ref()));
        let body = if manner.meets { body } else { body.never_waits() };
        let kernel = runtime.register(about(body)).expect("there is room for a kernel");
        Runner { runtime, kernel, manner, ran, _late: late }
    }

    /// Runs a program and says what it left behind, and which task is to blame if one failed.
    ///
    /// # Errors
    /// The run's, unless it is that a kernel failed on purpose.
    pub(crate) fn run(&mut self, program: &Program) -> Result<Ran, NoOutcome> {
        let mut external = Vec::new();
        for (buffer, &length) in program.external.iter().enumerate() {
            let values = initial(program.seed, buffer, length);
            external.push(self.runtime.buffer_from(&values).map_err(|error| error.to_string())?);
        }
        let counters = vec![0u32; program.steps.len()];
        let counters = self.runtime.buffer_from(&counters).map_err(|error| error.to_string())?;
        let counters = counters.tensor(&[program.steps.len() as u32], DataType::U32).map(|tensor| (counters, tensor));
        let (_counters, counters) = counters.map_err(|error| error.to_string())?;
        self.ran.lock().expect("no kernel panics").clear();
        let (mut accesses, mut ids) = (Vec::new(), Vec::new());
        let result = self.runtime.run(|run| {
            let mut state = State {
                kernel: self.kernel,
                manner: self.manner,
                external: &external,
                counters: counters.first_byte(),
                outputs: Vec::new(),
                ids: &mut ids,
                accesses: &mut accesses,
            };
            program.steps.iter().try_for_each(|step| state.step(run, step))
        });
        let number = |id: TaskId| ids.iter().position(|&known| known == id);
        let (report, blamed) = match result {
            Ok(report) => (report, None),
            Err(failed) => match &*failed.error {
                RunError::KernelFailed { first, .. } if How::is_intended(first) => (*failed.report, number(first.task)),
                _ => return Err(NoOutcome::Failed(failed)),
            },
        };
        let external: Result<Vec<Vec<u32>>, _> = external.iter().map(|buffer| self.runtime.read(buffer)).collect();
        let external = external.map_err(|error| error.to_string())?;
        let accesses = accesses.into_iter().map(|accessed| match accessed {
            Ok(accessed) => Ok(accessed),
            Err(id) => number(id).map(Accessed::Lost).ok_or_else(|| format!("{id} is blamed and was never submitted")),
        });
        let ran = self.ran.lock().expect("no kernel panics").clone();
        let failing = failing(program);
        let outcome = Outcome {
            external: external.into_iter().map(|values| values.into_iter().map(Some).collect()).collect(),
            accesses: accesses.collect::<Result<_, String>>()?,
            tasks: report.tasks,
            failed: ran.intersection(&failing).copied().collect(),
            ran,
            unrun: report.unrun,
        };
        Ok(Ran { outcome, blamed, report })
    }
}

/// The tasks that fail if they run.
fn failing(program: &Program) -> BTreeSet<usize> {
    let tasks = program.steps.iter().filter(|step| matches!(step, Step::Task(_) | Step::Allocate { .. }));
    let fails = |step: &Step| matches!(step, Step::Task(task) if task.fails.is_some());
    tasks.enumerate().filter(|(_, step)| fails(step)).map(|(number, _)| number).collect()
}

/// What an orchestration knows.
struct State<'a> {
    kernel: KernelId,
    manner: Manner,
    external: &'a [Buffer],
    /// The address of one counter for each step.
    counters: u64,
    /// Outputs in the order of their allocation.
    outputs: Vec<Tensor>,
    ids: &'a mut Vec<TaskId>,
    /// What came of each data access; where the data was lost, the task that is to blame.
    accesses: &'a mut Vec<Result<Accessed, TaskId>>,
}

impl State<'_> {
    fn step(&mut self, run: &mut Run<'_>, step: &Step) -> Result<(), SubmitError> {
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
                let read = run.get::<u32>(&self.tensor(view)?, indices);
                self.accessed(read.map(Accessed::Read))
            }
            Step::Set { view, indices, value } => {
                let set = run.set::<u32>(&self.tensor(view)?, indices, *value);
                self.accessed(set.map(|()| Accessed::Written))
            }
            Step::Task(task) => self.submit(run, task),
        }
    }

    fn accessed(&mut self, result: Result<Accessed, SubmitError>) -> Result<(), SubmitError> {
        self.accesses.push(match result {
            Ok(accessed) => Ok(accessed),
            Err(SubmitError::DataLost(failure)) => Err(failure.task),
            Err(error) => return Err(error),
        });
        Ok(())
    }

    fn submit(&mut self, run: &mut Run<'_>, task: &TaskStep) -> Result<(), SubmitError> {
        let mut tensors = Vec::new();
        for argument in &task.arguments {
            tensors.push(argument.view().map(|view| self.tensor(view)).transpose()?);
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
        let number = self.ids.len();
        let how = How {
            number,
            parts: match task.kind {
                Kind::Mix(parts) => parts,
                _ => 0,
            },
            meets: self.manner.meets && task.kernels() > 1 && (task.gang || task.blocks == 1),
            fails: task.fails,
            counter: task.deferred.then(|| self.counters + 4 * number as u64),
        };
        let scalars = how.scalars(task.salt).map(Scalar);
        let kernel = |part: u32, parts: u8| (parts >> part & 1 != 0).then_some(self.kernel);
        let mut built = match task.kind {
            Kind::Dummy => Task::dummy(),
            Kind::Cube => Task::cube(self.kernel),
            Kind::Vector => Task::vector(self.kernel),
            Kind::Mix(parts) => Task::cluster(kernel(0, parts), kernel(1, parts), kernel(2, parts)),
        };
        if task.kind != Kind::Dummy {
            built = built.scalars(&scalars).blocks(i64::from(task.blocks));
        }
        built = built.arguments(&arguments).dependencies(&dependencies);
        if task.gang && self.manner.gangs {
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
