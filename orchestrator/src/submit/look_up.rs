//! Which tasks must come first, and why: the index for what arguments share, the creators of allocated tensors, and what the user named.

use super::{Plan, Unfit};
use crate::Orchestrator;
use crate::edge_set::EdgeSet;
use crate::index::{Access, Findings, Found, Hazard, Index};
use crate::log::{EdgeOrigin, LoggedEdge};
use crate::orchestrator::Creator;
use crate::rings::Rings;
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::error::Refusal;
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::{SlotIndex, TaskId};
use prewire_runtime_core::slot::{NO_CAUSE, Ordinal, TaskFlags};
use prewire_runtime_core::task::{Argument, Dependency, Task};
use prewire_runtime_core::tensor::Tensor;

const KEPT: EdgeFlags = EdgeFlags::WAIT.union(EdgeFlags::RETAIN);

/// Collects the producers of one task.
pub(crate) struct Producers<'a> {
    pub(crate) edges: &'a mut EdgeSet,
    /// The earliest failed submission that is over and that the task depends on.
    pub(crate) blame: &'a mut Ordinal,
    pub(crate) rings: &'a Rings,
    pub(crate) creators: &'a [Creator],
    pub(crate) log: Option<Log<'a>>,
}

/// Where logged edges go.
pub(crate) struct Log<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) edges: &'a mut Vec<LoggedEdge>,
    pub(crate) consumer: TaskId,
}

impl Producers<'_> {
    #[inline]
    fn add(&mut self, producer: SlotIndex, flags: EdgeFlags, origin: EdgeOrigin, argument: Option<usize>) {
        self.edges.add(producer, flags);
        if let Some(log) = &mut self.log {
            log.add(producer, flags, origin, argument);
        }
    }

    #[inline]
    fn blame(&mut self, cause: Ordinal) {
        *self.blame = cause.min(*self.blame);
    }

    /// The task that allocated a tensor, if one did: it is waited for and kept; with `uses_bytes` its failure is the consumer's, too.
    #[inline]
    pub(crate) fn creator(&mut self, tensor: &Tensor, uses_bytes: bool, argument: usize) {
        if let Some(producer) = self.creator_of(tensor) {
            let data = uses_bytes && !self.is_overwritten(producer, tensor);
            let flags = if data { KEPT.union(EdgeFlags::DATA) } else { KEPT };
            self.add(producer, flags, EdgeOrigin::Creator, Some(argument));
        }
    }

    /// Keeps the bytes of an allocated tensor without waiting for anybody.
    fn keep(&mut self, tensor: &Tensor) {
        if let Some(producer) = self.creator_of(tensor) {
            self.edges.add(producer, EdgeFlags::RETAIN);
        }
    }

    /// The slot of the task that allocated the tensor. It is live, since it owns bytes and its scope is open; an empty tensor has nothing to keep.
    #[inline]
    fn creator_of(&self, tensor: &Tensor) -> Option<SlotIndex> {
        let owner = tensor.owner();
        if owner.is_none() || tensor.is_empty() {
            return None;
        }
        Some(self.rings.get(owner.ring()).slot_of(owner.sequence()))
    }

    fn is_overwritten(&self, producer: SlotIndex, tensor: &Tensor) -> bool {
        let creator = &self.creators[producer.index()];
        creator.overwritten >> (tensor.buffer().to_bits() - creator.first_buffer) & 1 != 0
    }
}

impl Findings for Producers<'_> {
    #[inline]
    fn found(&mut self, found: Found) {
        let flags = if found.data { EdgeFlags::WAIT.union(EdgeFlags::DATA) } else { EdgeFlags::WAIT };
        let origin = match found.hazard {
            Hazard::ReadAfterWrite => EdgeOrigin::ReadAfterWrite,
            Hazard::WriteAfterWrite => EdgeOrigin::WriteAfterWrite,
            Hazard::WriteAfterRead => EdgeOrigin::WriteAfterRead,
        };
        self.add(found.producer, flags, origin, Some(found.argument));
    }

    fn failed(&mut self, cause: u64, _: usize) {
        self.blame(cause);
    }
}

impl Log<'_> {
    #[cold]
    fn add(&mut self, producer: SlotIndex, flags: EdgeFlags, origin: EdgeOrigin, argument: Option<usize>) {
        // SAFETY: this is the orchestrator's thread, and the index and the rings name only slots that it has not reclaimed.
        let producer = unsafe { self.graph.slots.get(producer).body() }.id;
        let argument = argument.map(|argument| argument as u8);
        self.edges.push(LoggedEdge { producer, consumer: self.consumer, origin, argument, flags });
    }
}

/// Takes findings and forgets them: inside a manual scope what is written is entered, and nothing is inferred.
struct Ignore;

impl Findings for Ignore {
    fn found(&mut self, _: Found) {}
    fn failed(&mut self, _: u64, _: usize) {}
}

impl Orchestrator {
    /// Checks the arguments of a task and finds its producers. Nothing is changed but the scratch.
    ///
    /// # Errors
    /// An argument that cannot be used, an explicit dependency on a task that is not one of this run.
    #[inline]
    pub(crate) fn examine(&mut self, task: &Task<'_>, plan: &mut Plan) -> Result<(), Box<Unfit>> {
        self.scratch.planned.clear();
        plan.bytes = 0;
        for (number, argument) in task.tensors_named().iter().enumerate() {
            match argument {
                Argument::Input(tensor) | Argument::InOut(tensor) | Argument::NoDependency(tensor) => {
                    if !self.is_usable(tensor) {
                        return Err(self.unusable(number, tensor).into());
                    }
                }
                Argument::OutputExisting(tensor) => {
                    if !self.is_usable(tensor) {
                        return Err(self.unusable(number, tensor).into());
                    }
                    plan.overwrites |= !tensor.owner().is_none();
                }
                Argument::Output(output) => plan.bytes = self.plan_output(number, output, plan.bytes)?,
            }
        }
        self.look_up(task, plan)
    }

    /// Finds the producers of a task whose arguments have been checked.
    ///
    /// # Errors
    /// An explicit dependency on a task that is not one of this run.
    #[inline]
    pub(crate) fn look_up(&mut self, task: &Task<'_>, plan: &Plan) -> Result<(), Box<Unfit>> {
        self.look_up_nothing();
        if !task.dependencies_named().is_empty() {
            self.look_up_dependencies(task.dependencies_named())?;
        }
        if self.scopes.innermost().manual {
            self.look_up_manual(task, plan);
            return Ok(());
        }
        let predicated = plan.flags.has(TaskFlags::PREDICATE);
        let (index, mut producers, external) = self.producers();
        for (number, argument) in task.tensors_named().iter().enumerate() {
            let (tensor, access) = match *argument {
                Argument::Input(tensor) => (tensor, Access::Read),
                Argument::InOut(tensor) => (tensor, Access::Update),
                Argument::OutputExisting(tensor) if predicated => (tensor, Access::Update),
                Argument::OutputExisting(tensor) => (tensor, Access::Overwrite),
                Argument::NoDependency(tensor) => {
                    producers.creator(tensor, true, number);
                    continue;
                }
                Argument::Output(_) => continue,
            };
            if !tensor.owner().is_none() {
                producers.creator(tensor, access != Access::Overwrite || !tensor.fills_buffer(), number);
            }
            if external.is_merged() {
                let rekeyed = external.rekeyed(tensor);
                index.probe(rekeyed.as_ref().unwrap_or(tensor), access, number, &mut producers);
            } else {
                index.probe(tensor, access, number, &mut producers);
            }
        }
        if predicated && let Some(predicate) = task.predicated() {
            let (operand, number) = (predicate.operand, task.tensors_named().len());
            producers.creator(operand, true, number);
            let rekeyed = external.rekeyed(operand);
            index.probe(rekeyed.as_ref().unwrap_or(operand), Access::Read, number, &mut producers);
        }
        Ok(())
    }

    /// Begins a look-up that finds nothing.
    #[inline]
    pub(crate) fn look_up_nothing(&mut self) {
        self.edge_set.clear();
        self.scratch.blame = NO_CAUSE;
        if self.config.record {
            self.scratch.logged.clear();
        }
        self.index.begin();
    }

    /// The index, what collects for the next task of the innermost scope, and the external memory, side by side.
    #[inline]
    pub(crate) fn producers(&mut self) -> (&mut Index, Producers<'_>, &crate::external::External) {
        let log = if self.config.record {
            Some(Log {
                graph: &self.graph,
                edges: &mut self.scratch.logged,
                consumer: self.rings.get(self.ring).next_id(),
            })
        } else {
            None
        };
        let producers = Producers {
            edges: &mut self.edge_set,
            blame: &mut self.scratch.blame,
            rings: &self.rings,
            creators: &self.creators,
            log,
        };
        (&mut self.index, producers, &self.external)
    }

    #[cold]
    fn look_up_manual(&mut self, task: &Task<'_>, plan: &Plan) {
        let (index, mut producers, external) = self.producers();
        let predicated = plan.flags.has(TaskFlags::PREDICATE);
        for (number, argument) in task.tensors_named().iter().enumerate() {
            let (tensor, write) = match *argument {
                Argument::Input(tensor) | Argument::NoDependency(tensor) => (tensor, None),
                Argument::OutputExisting(tensor) if !predicated => (tensor, Some(Access::Overwrite)),
                Argument::OutputExisting(tensor) | Argument::InOut(tensor) => (tensor, Some(Access::Update)),
                Argument::Output(_) => continue,
            };
            producers.keep(tensor);
            if let Some(access) = write {
                let rekeyed = external.rekeyed(tensor);
                index.probe(rekeyed.as_ref().unwrap_or(tensor), access, number, &mut Ignore);
            }
        }
        if predicated && let Some(predicate) = task.predicated() {
            producers.keep(predicate.operand);
        }
    }

    /// Adds the producers that the user named. A producer that is already reclaimed is done; whether it failed is still known.
    fn look_up_dependencies(&mut self, dependencies: &[Dependency]) -> Result<(), Refusal> {
        for &Dependency { task: id, flags } in dependencies {
            let Some(ring) = self.rings.0.get(id.ring().index()) else {
                return Err(Refusal::Dependency { id, problem: "was never issued" });
            };
            let sequence = id.sequence();
            if sequence >= ring.head() {
                return Err(Refusal::Dependency { id, problem: "was never issued" });
            }
            if sequence < ring.first_of_run() {
                return Err(Refusal::Dependency { id, problem: "is of an earlier run" });
            }
            if sequence < ring.tail() {
                if let Some(&cause) = self.failed.get(&id) {
                    self.scratch.blame = cause.min(self.scratch.blame);
                }
                continue;
            }
            let producer = ring.slot_of(sequence);
            // A dependency that is named waits, and carries failure.
            let flags = flags.union(EdgeFlags::WAIT).union(EdgeFlags::DATA);
            let (_, mut producers, _) = self.producers();
            producers.add(producer, flags, EdgeOrigin::Explicit, None);
        }
        Ok(())
    }
}
