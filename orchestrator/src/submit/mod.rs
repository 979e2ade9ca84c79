//! A submit: check, look up, admit, wire. Until it is admitted nothing has happened; from then on nothing can fail.

mod admit;
mod check;
mod group;
mod join;
mod look_up;
mod manual;
mod named;
mod outputs;
mod straight;
mod wire;
mod writes;

pub(crate) use admit::Shortage;
pub(crate) use check::{Plan, Unfit, units_of};
pub(crate) use look_up::Parties;
pub(crate) use outputs::PlannedOutput;

use crate::Orchestrator;
use crate::log::{LoggedEdge, TaskKind};
use crate::waiting::Waiting;
use check::KernelKinds;
use prewire_runtime_core::error::{Refusal, SubmitError};
use prewire_runtime_core::id::TaskId;
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::slot::{NO_CAUSE, Ordinal, TaskFlags};
use prewire_runtime_core::sync::pause::{self, Point};
use prewire_runtime_core::task::{NewTensor, Task};
use prewire_runtime_core::tensor::Tensor;
use prewire_runtime_core::waiting::Blocking;
use writes::Write;

/// A task that was submitted.
#[derive(Clone, Copy, Debug)]
pub struct Submitted<'a> {
    /// Its id.
    pub id: TaskId,
    /// The tensors allocated for it, in the order of its arguments. They die with the scope.
    pub outputs: &'a [Tensor],
}

/// Room for what one submit works out, so that it allocates nothing.
#[derive(Debug)]
pub(crate) struct Scratch {
    kinds: KernelKinds,
    pub(crate) planned: Vec<PlannedOutput>,
    outputs: Vec<Tensor>,
    /// The earliest failed submission that the task depends on and that is already over.
    pub(crate) blame: Ordinal,
    /// The edges found, when they are logged.
    logged: Vec<LoggedEdge>,
    /// What the task writes, when that is compared.
    writes: Vec<Write>,
}

impl Scratch {
    /// Room for a task with so many tensors.
    pub(crate) fn new(tensors: usize) -> Self {
        Scratch {
            kinds: KernelKinds::new(),
            planned: Vec::with_capacity(tensors),
            outputs: Vec::with_capacity(tensors),
            blame: NO_CAUSE,
            logged: Vec::new(),
            writes: Vec::with_capacity(tensors),
        }
    }

    pub(crate) fn learn_kernels(&mut self, kernels: &KernelSet) {
        self.kinds.learn(kernels);
    }
}

impl Orchestrator {
    /// Submits a task to the innermost scope. When the call returns the task is wired and, if nothing is to be waited for, ready.
    ///
    /// Where there is no room, the call waits through `blocking` until there is.
    ///
    /// # Errors
    /// A refusal: nothing was done and the run goes on. A fatal: the run has ended, with this call or before it.
    pub fn submit(&mut self, task: &Task<'_>, blocking: &mut dyn Blocking) -> Result<Submitted<'_>, SubmitError> {
        if let Some(id) = self.submit_straight(task) {
            self.join_crowds();
            return Ok(Submitted { id, outputs: &[] });
        }
        self.submit_long(task, blocking)
    }

    /// Submits a task, whatever it says.
    #[inline(never)]
    fn submit_long(&mut self, task: &Task<'_>, blocking: &mut dyn Blocking) -> Result<Submitted<'_>, SubmitError> {
        self.check_run()?;
        let mut plan = Plan::of(task);
        if let Err(unfit) = self.check(task, &mut plan) {
            return Err(self.unfit(unfit));
        }
        self.reclaim_some();
        if self.pieces_joined {
            self.wait_for_all(&mut Waiting::new(), blocking)?;
        }
        if self.is_gated() {
            self.come_to_gate(blocking)?;
        }
        if let Err(unfit) = self.examine(task, &mut plan) {
            return Err(self.unfit(unfit));
        }
        pause::at(Point::SubmitAdmits);
        if let Err(shortage) = self.admit(&mut plan) {
            self.wait_for_room(Some(task), &mut plan, shortage, blocking)?;
        }
        let has_outputs = !self.scratch.planned.is_empty();
        pause::at(Point::SubmitWires);
        let id = self.wire(task, &plan);
        self.join_crowds();
        // Nothing is loaded from the list of a task that has none: it has just been written, and a load of both its halves would wait for all that the
        // processor has still to write.
        let outputs: &[Tensor] = if has_outputs { &self.scratch.outputs } else { &[] };
        Ok(Submitted { id, outputs })
    }

    #[cold]
    #[expect(
        clippy::boxed_local,
        reason = "it is opened here so that a submit that succeeds has no room on its stack for it"
    )]
    fn unfit(&mut self, unfit: Box<Unfit>) -> SubmitError {
        match *unfit {
            Unfit::Refused(refusal) => self.refuse(refusal),
            Unfit::Fatal(fatal) => self.latch(fatal),
        }
    }

    /// Makes room until the task is admitted. Its producers are looked up again each time, as those found before may be gone.
    #[cold]
    fn wait_for_room(
        &mut self,
        task: Option<&Task<'_>>,
        plan: &mut Plan,
        mut shortage: Shortage,
        blocking: &mut dyn Blocking,
    ) -> Result<(), SubmitError> {
        let mut waiting = Waiting::new();
        loop {
            self.make_room(shortage, &mut waiting, blocking)?;
            let admitted = match task {
                Some(task) => {
                    if !cfg!(prewire_mutation = "wait_without_second_look_up")
                        && let Err(unfit) = self.examine(task, plan)
                    {
                        return Err(self.unfit(unfit));
                    }
                    self.admit_again(plan)
                }
                None => self.admit_allocation(plan),
            };
            match admitted {
                Ok(()) => break,
                Err(next) => shortage = next,
            }
        }
        waiting.end(blocking);
        Ok(())
    }

    /// Allocates tensors for the innermost scope, without any task that writes them. They are usable when the call returns.
    ///
    /// # Errors
    /// Those of [`Orchestrator::submit`].
    pub fn allocate(
        &mut self,
        outputs: &[NewTensor],
        blocking: &mut dyn Blocking,
    ) -> Result<Submitted<'_>, SubmitError> {
        self.check_run()?;
        let mut plan = Plan { flags: TaskFlags::ALLOCATION, ..Plan::dummy() };
        if let Err(refusal) = self.plan_allocation(outputs, &mut plan) {
            return Err(self.refuse(refusal));
        }
        self.reclaim_some();
        self.reclaim_allocations(self.ring.index());
        self.look_up_nothing();
        if let Err(shortage) = self.admit_allocation(&mut plan) {
            self.wait_for_room(None, &mut plan, shortage, blocking)?;
        }
        let id = self.wire_allocation(&plan);
        Ok(Submitted { id, outputs: &self.scratch.outputs })
    }

    fn plan_allocation(&mut self, outputs: &[NewTensor], plan: &mut Plan) -> Result<(), Refusal> {
        if outputs.is_empty() {
            return Err(Refusal::Allocation { problem: "no output" });
        }
        let limit = usize::from(self.chip.arguments.tensors);
        if outputs.len() > limit {
            return Err(Refusal::TooManyTensors { count: outputs.len(), limit });
        }
        self.scratch.planned.clear();
        for (argument, output) in outputs.iter().enumerate() {
            plan.bytes = self.plan_output(argument, output, plan.bytes)?;
        }
        Ok(())
    }

    /// Notes a task in the log, if there is one, with the edges found for it.
    #[inline]
    fn log_task(&mut self, id: TaskId, ordinal: Ordinal, kind: impl FnOnce() -> TaskKind) {
        if self.config.record {
            self.log.tasks.push(crate::log::LoggedTask { id, ordinal, kind: kind() });
            self.log.edges.append(&mut self.scratch.logged);
        }
    }
}
