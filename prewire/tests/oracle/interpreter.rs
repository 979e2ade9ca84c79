//! Runs a program one task at a time, on plain vectors, and says which tasks a failed one takes with it.

use super::lost::{Lost, Places};
use super::program::{Argument, Condition, Kind, Program, Step, TaskStep, View, mix, written};
use std::collections::BTreeSet;

/// What a program leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The external buffers. Nothing where it is open what is there: blocks beside one that failed may or may not have run.
    pub(crate) external: Vec<Vec<Option<u32>>>,
    /// What the orchestration read, and whether it could write, in order.
    pub(crate) accesses: Vec<Accessed>,
    /// Tasks, allocations among them.
    pub(crate) tasks: u64,
    /// Those whose kernels ran.
    pub(crate) ran: BTreeSet<usize>,
    /// Those whose kernels failed.
    pub(crate) failed: BTreeSet<usize>,
    /// How many did not run because of one that failed.
    pub(crate) unrun: u64,
}

/// What came of a data access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accessed {
    Read(u32),
    Written,
    /// The data was to be written by this task, which failed, or by one that it took with it.
    Lost(usize),
}

/// What external buffers hold at the start.
pub(crate) fn initial(seed: u64, buffer: usize, length: u32) -> Vec<u32> {
    (0..length).map(|element| (mix(mix(seed, buffer as u64), u64::from(element)) >> 32) as u32).collect()
}

/// Runs a program.
pub(crate) fn interpret(program: &Program) -> Outcome {
    let lengths = program.external.iter().enumerate();
    let mut state = State {
        buffers: lengths.map(|(buffer, &length)| known(initial(program.seed, buffer, length))).collect(),
        lost: Lost::default(),
        causes: Vec::new(),
        outcome: Outcome {
            external: Vec::new(),
            accesses: Vec::new(),
            tasks: 0,
            ran: BTreeSet::new(),
            failed: BTreeSet::new(),
            unrun: 0,
        },
    };
    for step in &program.steps {
        state.step(step);
    }
    state.buffers.truncate(program.external.len());
    Outcome { external: state.buffers, ..state.outcome }
}

struct State {
    buffers: Vec<Vec<Option<u32>>>,
    lost: Lost,
    /// For each task the failed one that concerns it, if any.
    causes: Vec<Option<usize>>,
    outcome: Outcome,
}

fn known(values: Vec<u32>) -> Vec<Option<u32>> {
    values.into_iter().map(Some).collect()
}

fn count(shape: &[u32]) -> usize {
    shape.iter().map(|&length| length as usize).product()
}

impl State {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Open | Step::Close => {}
            Step::Allocate { outputs } => {
                self.buffers.extend(outputs.iter().map(|(shape, value)| vec![Some(*value); count(shape)]));
                self.end(None);
            }
            Step::Get { view, indices } => {
                let place = view.layout.place(indices);
                let accessed = match self.lost.within(view.buffer, &Places::from([place])) {
                    Some(cause) => Accessed::Lost(cause),
                    None => Accessed::Read(self.buffers[view.buffer][place].expect("what is not lost is known")),
                };
                self.outcome.accesses.push(accessed);
            }
            Step::Set { view, indices, value } => {
                let place = view.layout.place(indices);
                let accessed = match self.lost.within(view.buffer, &Places::from([place])) {
                    Some(cause) => Accessed::Lost(cause),
                    None => {
                        self.buffers[view.buffer][place] = Some(*value);
                        Accessed::Written
                    }
                };
                self.outcome.accesses.push(accessed);
            }
            Step::Task(task) => self.task(task),
        }
    }

    /// A task is over.
    fn end(&mut self, cause: Option<usize>) {
        self.causes.push(cause);
        self.outcome.tasks += 1;
    }

    fn task(&mut self, task: &TaskStep) {
        let number = self.causes.len();
        let inherited = self.inherited(task);
        // A task that may not run, or whose predicate may not hold, overwrites nothing for certain.
        if task.predicate.is_none() {
            for argument in &task.arguments {
                if let Argument::OutputExisting(view) = argument {
                    self.lost.overwrite(view.buffer, &places(view));
                }
            }
        }
        let first_output = self.buffers.len();
        for argument in &task.arguments {
            if let Argument::Output(shape, value) = argument {
                self.buffers.push(vec![Some(value.unwrap_or(0xDEAD_BEEF)); count(shape)]);
            }
        }
        let cause = match inherited {
            Some(cause) => {
                self.outcome.unrun += 1;
                Some(cause)
            }
            None if task.kind == Kind::Dummy => None,
            None if !task.predicate.as_ref().is_none_or(|predicate| self.holds(predicate)) => None,
            None => {
                self.outcome.ran.insert(number);
                if task.fails.is_some() {
                    self.outcome.failed.insert(number);
                    self.blur(task, first_output);
                    Some(number)
                } else {
                    self.run(task, first_output);
                    None
                }
            }
        };
        if let Some(cause) = cause {
            for (view, buffer) in self.written_by(task, first_output) {
                let places = view.map_or_else(|| (0..self.buffers[buffer].len()).collect(), places);
                self.lost.lose(buffer, places, cause, view.is_none());
            }
        }
        self.end(cause);
    }

    /// The earliest failed task whose data, or whose end, the task needs.
    fn inherited(&self, task: &TaskStep) -> Option<usize> {
        let named = task.dependencies.iter().filter_map(|&producer| *self.causes.get(producer)?);
        let predicated = task.predicate.is_some();
        let data = task.arguments.iter().filter_map(|argument| match argument {
            Argument::Input(view) | Argument::InOut(view) => self.lost.within(view.buffer, &places(view)),
            Argument::OutputExisting(view) if predicated => self.lost.within(view.buffer, &places(view)),
            Argument::OutputExisting(view) => self.lost.beyond(view.buffer, &places(view)),
            Argument::NoDependency(view) => self.lost.created(view.buffer),
            Argument::Output(..) => None,
        });
        let operand = task.predicate.as_ref().and_then(|operand| {
            // The whole tensor is the operand's, not only the element.
            self.lost.within(operand.view.buffer, &places(&operand.view))
        });
        named.chain(data).chain(operand).min()
    }

    /// What a task may write: views of what was there, or whole new buffers.
    fn written_by<'a>(&self, task: &'a TaskStep, first_output: usize) -> Vec<(Option<&'a View>, usize)> {
        let mut output = first_output;
        let mut all = Vec::new();
        for argument in &task.arguments {
            match argument {
                Argument::InOut(view) | Argument::OutputExisting(view) => all.push((Some(view), view.buffer)),
                Argument::Output(..) => {
                    all.push((None, output));
                    output += 1;
                }
                Argument::Input(_) | Argument::NoDependency(_) => {}
            }
        }
        all
    }

    /// A task of several kernels of which one failed: nobody knows which of the others wrote. An only kernel fails before it writes.
    fn blur(&mut self, task: &TaskStep, first_output: usize) {
        if task.kernels() == 1 {
            return;
        }
        for (view, buffer) in self.written_by(task, first_output) {
            match view {
                Some(view) => view.layout.places().into_iter().for_each(|place| self.buffers[buffer][place] = None),
                None => self.buffers[buffer].fill(None),
            }
        }
    }

    fn run(&mut self, task: &TaskStep, first_output: usize) {
        let mut state = task.salt;
        for argument in &task.arguments {
            if let Argument::Input(view) = argument {
                for place in view.layout.places() {
                    let value = self.buffers[view.buffer][place].expect("what is not lost is known");
                    state = mix(state, u64::from(value));
                }
            }
        }
        let mut output = first_output;
        for (number, argument) in task.arguments.iter().enumerate() {
            match argument {
                Argument::Input(_) | Argument::NoDependency(_) => {}
                Argument::InOut(view) => {
                    for (element, place) in view.layout.places().into_iter().enumerate() {
                        let cell = &mut self.buffers[view.buffer][place];
                        *cell = Some(written(state, number, element, Some(cell.expect("what is not lost is known"))));
                    }
                }
                Argument::OutputExisting(view) => {
                    for (element, place) in view.layout.places().into_iter().enumerate() {
                        self.buffers[view.buffer][place] = Some(written(state, number, element, None));
                    }
                }
                Argument::Output(..) => {
                    for (element, value) in self.buffers[output].iter_mut().enumerate() {
                        *value = Some(written(state, number, element, None));
                    }
                    output += 1;
                }
            }
        }
    }

    fn holds(&self, condition: &Condition) -> bool {
        let operand = self.buffers[condition.view.buffer][condition.view.layout.place(&condition.indices)];
        condition.comparison.holds(i128::from(operand.expect("what is not lost is known")), condition.target)
    }
}

fn places(view: &View) -> Places {
    view.layout.places().into_iter().collect()
}
