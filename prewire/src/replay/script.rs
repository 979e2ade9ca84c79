//! What a replay submits, in the order in which it does: a few long tables, so that going through a script is going through memory from its beginning to its end.

use crate::{
    Argument, DataType, Dependency, EdgeFlags, KernelId, NewTensor, Predicate, Scalar, ScopeMode, SubmitError,
    Submitted, Task, TaskId, Tensor, TensorLayout,
};
use prewire_runtime_core::slot::Comparison;
use prewire_runtime_core::task::MAX_TENSORS;
use std::ops::Range;

/// A piece of one of the tables.
pub(super) type Piece = Range<u32>;

/// One event of the recording.
#[derive(Debug)]
pub(super) enum Step {
    Open(ScopeMode),
    Close,
    /// An allocation, with its outputs among the new tensors.
    Allocate {
        index: u32,
        outputs: Piece,
        views: Piece,
    },
    Task(ScriptTask),
}

/// A task without what changes from run to run.
#[derive(Debug)]
pub(super) struct ScriptTask {
    /// Its number in the recording.
    pub(super) index: u32,
    pub(super) blocks: u32,
    pub(super) work: Work,
    pub(super) sync_start: bool,
    pub(super) arguments: Piece,
    pub(super) scalars: Piece,
    /// The named producers.
    pub(super) named: Piece,
    /// Its predicate's place, if it has one.
    pub(super) predicate: Option<u32>,
    /// The tensors that lie in its outputs.
    pub(super) views: Piece,
}

/// What a task runs on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Dummy,
    Cube(KernelId),
    Vector(KernelId),
    Cluster([Option<KernelId>; 3]),
}

/// An argument: a place in the table of tensors, or in that of new ones.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Input(u32),
    InOut(u32),
    OutputExisting(u32),
    NoDependency(u32),
    Output(u32),
}

#[derive(Debug)]
pub(super) struct ScriptPredicate {
    pub(super) tensor: u32,
    pub(super) indices: Vec<u32>,
    pub(super) comparison: Comparison,
    pub(super) target: i64,
}

/// A tensor of the table that lies in an output.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Its place in the table.
    pub(super) tensor: u32,
    /// Which of the task's outputs.
    pub(super) output: u16,
    /// Where in it; all of it if there is none.
    pub(super) part: Option<(u64, TensorLayout)>,
}

/// A whole graph.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) arguments: Vec<Source>,
    pub(super) new_tensors: Vec<NewTensor>,
    pub(super) scalars: Vec<Scalar>,
    /// Named producers by their numbers in the recording.
    pub(super) named: Vec<(u32, EdgeFlags)>,
    pub(super) predicates: Vec<ScriptPredicate>,
    pub(super) views: Vec<View>,
    /// How many tasks and allocations there are.
    pub(super) tasks: usize,
    /// The most named producers that a task has.
    pub(super) most_named: usize,
}

/// What a script has come to in a run.
#[derive(Debug)]
pub(super) struct State {
    /// Every tensor that an argument names; those in memory that the runtime allocates are filled in as their owners are submitted.
    pub(super) tensors: Vec<Tensor>,
    /// Ids of the tasks submitted so far in this run, by their numbers in the recording.
    pub(super) ids: Vec<TaskId>,
    named: Vec<Dependency>,
}

impl State {
    pub(super) fn new(script: &Script, tensors: Vec<Tensor>) -> State {
        State { tensors, ids: vec![TaskId::NONE; script.tasks], named: Vec::with_capacity(script.most_named) }
    }

    /// Notes that a task was submitted, and works out the tensors that lie in its outputs.
    #[inline]
    fn enter(&mut self, index: u32, views: &[View], submitted: &Submitted<'_>) -> Result<(), SubmitError> {
        self.ids[index as usize] = submitted.id;
        for view in views {
            let output = &submitted.outputs[view.output as usize];
            self.tensors[view.tensor as usize] = match &view.part {
                None => *output,
                Some((start, layout)) => output.with_layout(*start, *layout)?,
            };
        }
        Ok(())
    }
}

/// A piece of a table.
#[inline]
pub(super) fn piece<'a, T>(table: &'a [T], piece: &Piece) -> &'a [T] {
    &table[piece.start as usize..piece.end as usize]
}

impl Script {
    /// Has `allocate` make the tensors of an allocation.
    pub(super) fn allocate<'r>(
        &self,
        (index, outputs, views): (u32, &Piece, &Piece),
        state: &mut State,
        allocate: impl FnOnce(&[NewTensor]) -> Result<Submitted<'r>, SubmitError>,
    ) -> Result<(), SubmitError> {
        let allocated = allocate(piece(&self.new_tensors, outputs))?;
        state.enter(index, piece(&self.views, views), &allocated)
    }

    /// Has `submit` submit a task.
    #[inline]
    pub(super) fn submit<'r>(
        &self,
        task: &ScriptTask,
        state: &mut State,
        submit: impl FnOnce(&Task<'_>) -> Result<Submitted<'r>, SubmitError>,
    ) -> Result<(), SubmitError> {
        // Most tasks have few arguments, and a short list is faster to put together.
        match task.arguments.len() {
            0 => self.submit_with::<0, _>(task, state, submit),
            1 => self.submit_with::<1, _>(task, state, submit),
            2 => self.submit_with::<2, _>(task, state, submit),
            3 => self.submit_with::<3, _>(task, state, submit),
            4 => self.submit_with::<4, _>(task, state, submit),
            5..=8 => self.submit_with::<8, _>(task, state, submit),
            _ => self.submit_with::<MAX_TENSORS, _>(task, state, submit),
        }
    }

    /// The same for a task of at most `N` arguments.
    #[inline]
    fn submit_with<'r, const N: usize, S>(
        &self,
        task: &ScriptTask,
        state: &mut State,
        submit: S,
    ) -> Result<(), SubmitError>
    where
        S: FnOnce(&Task<'_>) -> Result<Submitted<'r>, SubmitError>,
    {
        let sources = piece(&self.arguments, &task.arguments);
        let State { tensors, ids, named } = state;
        let arguments: [Argument<'_>; N] = std::array::from_fn(|number| match sources.get(number) {
            Some(source) => self.argument(source, tensors),
            // Behind the last one, and cut off below.
            None => Argument::Output(NewTensor::new(&[], DataType::U8)),
        });
        named.clear();
        named.extend(piece(&self.named, &task.named).iter().map(|&(producer, flags)| {
            let task = ids[producer as usize];
            Dependency { task, flags }
        }));
        let mut built = task.work.task().arguments(&arguments[..sources.len()]);
        built = built.scalars(piece(&self.scalars, &task.scalars)).dependencies(named);
        if task.blocks != 1 {
            built = built.blocks(i64::from(task.blocks));
        }
        if task.sync_start {
            built = built.sync_start();
        }
        if let Some(predicate) = task.predicate {
            let ScriptPredicate { tensor, indices, comparison, target } = &self.predicates[predicate as usize];
            let operand = &tensors[*tensor as usize];
            built = built.predicate(Predicate { operand, indices, comparison: *comparison, target: *target });
        }
        // Looked at where it lies: a copy would be loaded before its parts have reached the cache.
        match submit(&built) {
            Ok(ref submitted) => state.enter(task.index, piece(&self.views, &task.views), submitted),
            Err(error) => Err(error),
        }
    }

    #[inline]
    fn argument<'a>(&self, source: &Source, tensors: &'a [Tensor]) -> Argument<'a> {
        match *source {
            Source::Input(tensor) => Argument::Input(&tensors[tensor as usize]),
            Source::InOut(tensor) => Argument::InOut(&tensors[tensor as usize]),
            Source::OutputExisting(tensor) => Argument::OutputExisting(&tensors[tensor as usize]),
            Source::NoDependency(tensor) => Argument::NoDependency(&tensors[tensor as usize]),
            Source::Output(new) => Argument::Output(self.new_tensors[new as usize]),
        }
    }
}

impl Step {
    /// The number of the task in the recording; 0 for a scope.
    pub(super) fn index(&self) -> u32 {
        match self {
            Step::Open(_) | Step::Close => 0,
            Step::Allocate { index, .. } => *index,
            Step::Task(task) => task.index,
        }
    }
}

impl Work {
    #[inline]
    fn task(self) -> Task<'static> {
        match self {
            Work::Dummy => Task::dummy(),
            Work::Cube(kernel) => Task::cube(kernel),
            Work::Vector(kernel) => Task::vector(kernel),
            Work::Cluster([cube, vector_0, vector_1]) => Task::cluster(cube, vector_0, vector_1),
        }
    }
}
