//! Runs a program one task at a time, on plain vectors.

use super::program::{Argument, Condition, Kind, Program, Step, TaskStep, View, mix, written};

/// What a program leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The external buffers.
    pub(crate) external: Vec<Vec<u32>>,
    /// What the orchestration read, in order.
    pub(crate) read: Vec<u32>,
    /// Tasks, allocations among them.
    pub(crate) tasks: u64,
}

/// What external buffers hold at the start.
pub(crate) fn initial(seed: u64, buffer: usize, length: u32) -> Vec<u32> {
    (0..length).map(|element| (mix(mix(seed, buffer as u64), u64::from(element)) >> 32) as u32).collect()
}

/// Runs a program.
pub(crate) fn interpret(program: &Program) -> Outcome {
    let lengths = program.external.iter().enumerate();
    let mut buffers: Vec<Vec<u32>> = lengths.map(|(buffer, &length)| initial(program.seed, buffer, length)).collect();
    let (mut read, mut tasks) = (Vec::new(), 0);
    for step in &program.steps {
        match step {
            Step::Open | Step::Close => {}
            Step::Allocate { outputs } => {
                buffers.extend(outputs.iter().map(|(shape, value)| vec![*value; count(shape)]));
                tasks += 1;
            }
            Step::Get { view, indices } => read.push(buffers[view.buffer][view.layout.place(indices)]),
            Step::Set { view, indices, value } => buffers[view.buffer][view.layout.place(indices)] = *value,
            Step::Task(task) => {
                run(task, &mut buffers);
                tasks += 1;
            }
        }
    }
    buffers.truncate(program.external.len());
    Outcome { external: buffers, read, tasks }
}

fn count(shape: &[u32]) -> usize {
    shape.iter().map(|&length| length as usize).product()
}

fn run(task: &TaskStep, buffers: &mut Vec<Vec<u32>>) {
    let holds = task.predicate.as_ref().is_none_or(|predicate| holds(predicate, buffers));
    let first_output = buffers.len();
    for argument in &task.arguments {
        if let Argument::Output(shape, value) = argument {
            buffers.push(vec![value.unwrap_or(0xDEAD_BEEF); count(shape)]);
        }
    }
    if task.kind == Kind::Dummy || !holds {
        return;
    }
    let mut state = task.salt;
    for argument in &task.arguments {
        if let Argument::Input(view) = argument {
            for place in view.layout.places() {
                state = mix(state, u64::from(buffers[view.buffer][place]));
            }
        }
    }
    let mut output = first_output;
    for (number, argument) in task.arguments.iter().enumerate() {
        match argument {
            Argument::Input(_) | Argument::NoDependency(_) => {}
            Argument::InOut(view) => {
                write(buffers, view, |element, before| written(state, number, element, Some(before)))
            }
            Argument::OutputExisting(view) => write(buffers, view, |element, _| written(state, number, element, None)),
            Argument::Output(..) => {
                for (element, value) in buffers[output].iter_mut().enumerate() {
                    *value = written(state, number, element, None);
                }
                output += 1;
            }
        }
    }
}

fn write(buffers: &mut [Vec<u32>], view: &View, value: impl Fn(usize, u32) -> u32) {
    for (element, place) in view.layout.places().into_iter().enumerate() {
        let cell = &mut buffers[view.buffer][place];
        *cell = value(element, *cell);
    }
}

fn holds(condition: &Condition, buffers: &[Vec<u32>]) -> bool {
    let operand = buffers[condition.view.buffer][condition.view.layout.place(&condition.indices)];
    condition.comparison.holds(i128::from(operand), condition.target)
}
