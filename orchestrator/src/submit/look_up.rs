//! Which tasks must come first, and why: the index for what arguments share, the creators of allocated tensors, and what the user named.

use super::{Plan, Unfit};
use crate::Orchestrator;
use crate::creators::Creators;
use crate::edge_set::EdgeSet;
use crate::external::External;
use crate::index::{Access, Findings, Found, Hazard, Index};
use crate::log::{EdgeOrigin, LoggedEdge};
use crate::rings::Rings;
use crate::scopes::Scopes;
use crate::terms::Limited;
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::{SlotIndex, TaskId};
use prewire_runtime_core::slot::{NO_CAUSE, Ordinal, SlotTable, TaskFlags};
use prewire_runtime_core::sync::prefetch_for_write;
use prewire_runtime_core::task::{Argument, Member, Placement, Task};
use prewire_runtime_core::tensor::Tensor;

const KEPT: EdgeFlags = EdgeFlags::WAIT.union(EdgeFlags::RETAIN);

/// What a look-up works with.
pub(crate) struct Parties<'a> {
    pub(crate) index: &'a mut Index,
    pub(crate) producers: Producers<'a>,
    pub(crate) validity: Validity<'a>,
}

/// What decides whether a tensor may be used now.
#[derive(Clone, Copy)]
pub(crate) struct Validity<'a> {
    pub(crate) external: &'a External,
    limited: &'a Limited,
    scopes: &'a Scopes,
    known_types: u32,
}

impl Validity<'_> {
    /// Whether the tensor's scope is open, or it is memory that is registered, and the chip's kernels know its element type.
    #[inline]
    pub(crate) fn is_usable(&self, tensor: &Tensor) -> bool {
        let alive = if tensor.scope() == Tensor::NO_SCOPE {
            tensor.buffer().is_external() && self.external.has(tensor)
        } else {
            self.scopes.is_open(tensor.scope())
        };
        alive && self.known_types >> tensor.data_type().index() & 1 != 0
    }

    /// Whether the tensor is memory that is not for every task, but may be used so by one that is planned so.
    #[cold]
    pub(super) fn is_allowed(&self, tensor: &Tensor, plan: &Plan, access: Option<Access>) -> bool {
        let known = self.known_types >> tensor.data_type().index() & 1 != 0;
        known && self.limited.terms(tensor).is_some_and(|terms| terms.allow(plan, access))
    }
}

/// Collects the producers of one task.
pub(crate) struct Producers<'a> {
    slots: &'a SlotTable,
    pub(crate) edges: &'a mut EdgeSet,
    /// The earliest failed submission that is over and that the task depends on.
    pub(crate) blame: &'a mut Ordinal,
    pub(crate) rings: &'a Rings,
    pub(crate) creators: &'a Creators,
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
        // It will be linked to, and whoever ran it may have its line.
        prefetch_for_write(self.slots.pointer(producer));
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
        if let Some(producer) = creator_of(self.rings, tensor) {
            let data = uses_bytes && !self.creators.is_overwritten(producer, tensor.buffer());
            let flags = if data { KEPT.union(EdgeFlags::DATA) } else { KEPT };
            self.add(producer, flags, EdgeOrigin::Creator, Some(argument));
        }
    }
}

/// The slot of the task that allocated the tensor. It is live, since it owns bytes and its scope is open; an empty tensor has nothing to keep.
#[inline(always)]
pub(super) fn creator_of(rings: &Rings, tensor: &Tensor) -> Option<SlotIndex> {
    let owner = tensor.owner();
    if owner.is_none() || tensor.is_empty() {
        return None;
    }
    Some(rings.get(owner.ring()).slot_of_id(owner))
}

/// What the edge to a task that was found means.
#[inline(always)]
fn meaning_of(found: &Found) -> EdgeFlags {
    if found.data { EdgeFlags::WAIT.union(EdgeFlags::DATA) } else { EdgeFlags::WAIT }
}

impl Findings for Producers<'_> {
    #[inline]
    fn found(&mut self, found: Found) {
        let origin = match found.hazard {
            Hazard::ReadAfterWrite => EdgeOrigin::ReadAfterWrite,
            Hazard::WriteAfterWrite => EdgeOrigin::WriteAfterWrite,
            Hazard::WriteAfterRead => EdgeOrigin::WriteAfterRead,
        };
        self.add(found.producer, meaning_of(&found), origin, Some(found.argument));
    }

    fn failed(&mut self, cause: u64, _: usize) {
        self.blame(cause);
    }
}

impl Log<'_> {
    #[cold]
    pub(super) fn add(&mut self, producer: SlotIndex, flags: EdgeFlags, origin: EdgeOrigin, argument: Option<usize>) {
        // SAFETY: this is the orchestrator's thread, and the index and the rings name only slots that it has not reclaimed.
        let producer = unsafe { self.graph.slots.get(producer).body() }.id;
        let argument = argument.map(|argument| argument as u16);
        self.edges.push(LoggedEdge { producer, consumer: self.consumer, origin, argument, flags });
    }
}

/// Collects the producers of one task, and no more.
pub(super) struct EdgesOnly<'a> {
    pub(super) slots: &'a SlotTable,
    pub(super) edges: &'a mut EdgeSet,
    pub(super) blame: &'a mut Ordinal,
}

impl Findings for EdgesOnly<'_> {
    #[inline(always)]
    fn found(&mut self, found: Found) {
        prefetch_for_write(self.slots.pointer(found.producer));
        self.edges.add(found.producer, meaning_of(&found));
    }

    #[cold]
    fn failed(&mut self, cause: u64, _: usize) {
        *self.blame = cause.min(*self.blame);
    }
}

impl Orchestrator {
    /// Checks the arguments of a task and finds its producers. Nothing is changed but the scratch.
    ///
    /// # Errors
    /// An argument that cannot be used, an explicit dependency on a task that is not one of this run.
    #[inline]
    pub(crate) fn examine(&mut self, task: &Task<'_>, plan: &mut Plan) -> Result<(), Box<Unfit>> {
        self.look_up_nothing();
        self.scratch.planned.clear();
        if !task.dependencies_named().is_empty() {
            self.look_up_dependencies(task.dependencies_named())?;
        }
        let outputs = match task.members_named() {
            None => self.examine_arguments(task.tensors_named(), 0, plan)?,
            Some(members) => self.examine_members(task, members, plan)?,
        };
        if plan.flags.has(TaskFlags::PREDICATE) {
            self.look_up_operand(task);
        }
        if outputs {
            self.plan_outputs(task, plan)?;
        }
        if self.is_gated() {
            self.wait_at_gate();
        }
        Ok(())
    }

    /// Finds the producers of all members of a group. True if any member is to have outputs.
    #[cold]
    fn examine_members(
        &mut self,
        task: &Task<'_>,
        members: &[Member<'_>],
        plan: &mut Plan,
    ) -> Result<bool, Box<Unfit>> {
        let (mut first, mut outputs) = (0, false);
        let cores = if let Placement::Cores(cores) = task.placed() { cores } else { &[] };
        let of_all = (plan.flags, plan.core);
        let of_one = TaskFlags(plan.flags.0 & !TaskFlags::DIRECTORY.0);
        for (number, member) in members.iter().enumerate() {
            // What memory a member may use depends on the core that is its own.
            if let Some(&core) = cores.get(number) {
                (plan.flags, plan.core) = (of_one, core);
            }
            let examined = self.examine_arguments(member.tensors_named(), first, plan);
            (plan.flags, plan.core) = of_all;
            match examined {
                Ok(has_outputs) => outputs |= has_outputs,
                Err(unfit) => return Err(unfit.of_member(number, first)),
            }
            first += member.tensors_named().len();
        }
        Ok(outputs)
    }

    /// Checks arguments, the first of which has number `first`, and finds their producers. True if any of them is an output.
    #[inline(always)]
    fn examine_arguments(
        &mut self,
        arguments: &[Argument<'_>],
        first: usize,
        plan: &mut Plan,
    ) -> Result<bool, Box<Unfit>> {
        let manual = self.scopes.innermost().manual;
        let plain = !manual && !self.config.record;
        let predicated = plan.flags.has(TaskFlags::PREDICATE);
        let (mut number, mut outputs) = (0, false);
        if manual {
            return self.examine_manual(arguments, first, plan);
        }
        while number < arguments.len() {
            if plain {
                let mut edges =
                    EdgesOnly { slots: &self.graph.slots, edges: &mut self.edge_set, blame: &mut self.scratch.blame };
                number += self.index.probe_known(&arguments[number..], first + number, predicated, &mut edges);
            }
            if let Some(argument) = arguments.get(number) {
                outputs |= self.examine_argument(argument, first + number, plan)?;
                number += 1;
            }
        }
        Ok(outputs)
    }

    /// Checks one argument of a task whose producers are inferred, and finds them. True if it is an output.
    #[inline(never)]
    fn examine_argument(
        &mut self,
        argument: &Argument<'_>,
        number: usize,
        plan: &mut Plan,
    ) -> Result<bool, Box<Unfit>> {
        let Some(tensor) = argument.existing() else { return Ok(true) };
        let access = Access::of(argument, plan.flags.has(TaskFlags::PREDICATE)).map(|(_, access)| access);
        let Parties { index, mut producers, validity } = self.parties();
        let usable = validity.is_usable(tensor);
        if !usable && !validity.is_allowed(tensor, plan, access) {
            return Err(self.not_allowed(number, tensor, plan, access).into());
        }
        let owned = !tensor.owner().is_none();
        if owned {
            let overwrites = access == Some(Access::Overwrite);
            plan.overwrites |= overwrites;
            producers.creator(tensor, !overwrites || !tensor.fills_buffer(), number);
        }
        if let Some(access) = access {
            if validity.external.is_merged() {
                index.probe(&validity.external.rekeyed(tensor), access, number, &mut producers);
            } else {
                index.probe(tensor, access, number, &mut producers);
                if usable && !owned && tensor.scope() == Tensor::NO_SCOPE {
                    index.remember(tensor);
                }
            }
        }
        Ok(false)
    }

    /// A predicate's operand is an argument with the dependencies of an input.
    #[cold]
    fn look_up_operand(&mut self, task: &Task<'_>) {
        let manual = self.scopes.innermost().manual;
        let Some(predicate) = task.predicated() else { return };
        let (operand, number) = (predicate.operand, task.tensors_named().len());
        if manual {
            return self.keep(operand);
        }
        let Parties { index, mut producers, validity } = self.parties();
        producers.creator(operand, true, number);
        index.probe(&validity.external.rekeyed(operand), Access::Read, number, &mut producers);
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

    /// The parties to a look-up, side by side.
    #[inline]
    pub(crate) fn parties(&mut self) -> Parties<'_> {
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
            slots: &self.graph.slots,
            edges: &mut self.edge_set,
            blame: &mut self.scratch.blame,
            rings: &self.rings,
            creators: &self.creators,
            log,
        };
        let validity = Validity {
            external: &self.external,
            limited: &self.limited,
            scopes: &self.scopes,
            known_types: self.known_types,
        };
        Parties { index: &mut self.index, producers, validity }
    }

    /// What decides whether a tensor may be used now.
    #[inline(always)]
    pub(super) fn validity(&self) -> Validity<'_> {
        let Orchestrator { external, limited, scopes, known_types, .. } = self;
        Validity { external, limited, scopes, known_types: *known_types }
    }
}
