//! What is wrong with a group: its members, their arguments, the cores that are named for them.

use super::check::{Plan, Unfit, too_many_of, units_of};
use crate::Orchestrator;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::error::Refusal;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::slot::{Shape, TaskFlags};
use prewire_runtime_core::task::{Member, Task};

impl Unfit {
    /// The same of a member of a group, whose arguments are counted from `first` on.
    #[cold]
    pub(crate) fn of_member(self, member: usize, first: usize) -> Box<Unfit> {
        let Unfit::Refused(mut refusal) = self else { return Box::new(self) };
        match &mut refusal {
            Refusal::Tensor { argument, .. }
            | Refusal::ScopeClosed { argument, .. }
            | Refusal::ForeignMemory { argument }
            | Refusal::Memory { argument, .. }
            | Refusal::UnknownDataType { argument, .. } => *argument -= first,
            _ => {}
        }
        Refusal::Member { member, refusal: Box::new(refusal) }.into()
    }
}

impl Orchestrator {
    /// Checks the cores that are named for the blocks of a task, one each.
    pub(super) fn check_cores(&self, cores: &[CoreId], plan: &Plan) -> Result<(), Box<Unfit>> {
        if cores.len() != plan.blocks as usize {
            return Err(Refusal::CoresAndBlocks { blocks: plan.blocks as usize, cores: cores.len() }.into());
        }
        for (at, &core) in cores.iter().enumerate() {
            self.check_core(core, plan)?;
            if cores[..at].contains(&core) {
                let name = self.chip.core_name(core);
                return Err(Refusal::RepeatedCore { core: u32::from(core.0), name }.into());
            }
        }
        Ok(())
    }

    /// Checks how many members a group has and how many arguments each of them.
    pub(super) fn check_members(
        &mut self,
        task: &Task<'_>,
        members: &[Member<'_>],
        plan: &mut Plan,
    ) -> Result<(), Box<Unfit>> {
        let (kind, available) = match plan.parts.shape() {
            Shape::Vector => (CoreKind::Vector, self.chip.vector_cores()),
            Shape::Cube | Shape::Cluster | Shape::Dummy => (CoreKind::Cube, self.chip.cube_cores()),
        };
        let (available, limits) = (usize::from(available), self.chip.arguments);
        if members.is_empty() {
            return Err(Refusal::NoMembers.into());
        }
        if members.len() > available {
            return Err(Refusal::GroupTooLarge {
                members: members.len(),
                kind: self.chip.kinds[kind as usize],
                available,
            }
            .into());
        }
        let (tensors, scalars) = (task.tensors_named().len(), task.scalars_named().len());
        if tensors + scalars > 0 {
            return Err(Refusal::GroupWithArguments { tensors, scalars }.into());
        }
        let mut outputs = 0;
        for (number, member) in members.iter().enumerate() {
            let (tensors, scalars) = (member.tensors_named().len(), member.scalars_named().len());
            if let Some(refusal) = too_many_of(tensors, scalars, limits) {
                return Err(Refusal::Member { member: number, refusal: Box::new(refusal) }.into());
            }
            if let Err(refusal) = self.check_writes(member.tensors_named()) {
                return Err(Refusal::Member { member: number, refusal: Box::new(refusal) }.into());
            }
            outputs += member.tensors_named().iter().filter(|argument| argument.existing().is_none()).count();
            plan.group_units += u64::from(units_of(tensors as u16, scalars as u16));
        }
        if outputs > usize::from(limits.tensors) {
            return Err(Refusal::TooManyOutputs { count: outputs, limit: usize::from(limits.tensors) }.into());
        }
        plan.blocks = members.len() as u32;
        plan.flags = plan.flags.with(TaskFlags::DIRECTORY);
        Ok(())
    }
}
