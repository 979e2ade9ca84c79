//! Arguments within a manual scope.

use super::look_up::creator_of;
use super::{Plan, Unfit};
use crate::Orchestrator;
use crate::index::{Access, Findings, Found, Hazards};
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::slot::TaskFlags;
use prewire_runtime_core::task::Argument;
use prewire_runtime_core::tensor::Tensor;

/// Takes findings and forgets them: inside a manual scope what is written is entered, and nothing is inferred.
struct Ignore;

impl Findings for Ignore {
    fn found(&mut self, _: Found) {}
    fn failed(&mut self, _: u64, _: usize) {}
}

impl Orchestrator {
    /// Checks arguments within a manual scope, where nothing is inferred: memory that was allocated is kept, and what is written is entered.
    #[inline]
    pub(super) fn examine_manual(
        &mut self,
        arguments: &[Argument<'_>],
        first: usize,
        plan: &Plan,
    ) -> Result<bool, Box<Unfit>> {
        let predicated = plan.flags.has(TaskFlags::PREDICATE);
        // What a manual scope writes is known to later automatic tasks, but not where everything is to be inferred as upstream does.
        let entered = self.config.hazards != Hazards::ReadAfterWrite;
        let mut outputs = false;
        for (number, argument) in arguments.iter().enumerate() {
            let Some(tensor) = argument.existing() else {
                outputs = true;
                continue;
            };
            if !self.validity().is_usable(tensor) {
                self.check_allowed(tensor, first + number, plan, argument)?;
            }
            self.keep(tensor);
            if entered
                && let Some((tensor, access @ (Access::Overwrite | Access::Update))) = Access::of(argument, predicated)
            {
                if self.external.is_merged() {
                    self.probe_rekeyed(tensor, access, first + number);
                } else {
                    self.index.probe(tensor, access, first + number, &mut Ignore);
                }
            }
        }
        Ok(outputs)
    }

    /// Keeps the bytes of an allocated tensor without waiting for anybody.
    #[inline(always)]
    pub(super) fn keep(&mut self, tensor: &Tensor) {
        if let Some(producer) = creator_of(&self.rings, tensor) {
            self.edge_set.add(producer, EdgeFlags::RETAIN);
        }
    }

    /// Looks for nothing, under the key of the piece that the tensor's own has become part of.
    #[cold]
    fn probe_rekeyed(&mut self, tensor: &Tensor, access: Access, number: usize) {
        self.index.probe(&self.external.rekeyed(tensor), access, number, &mut Ignore);
    }

    /// Whether a tensor that is not for every task may be used by this one.
    #[cold]
    fn check_allowed(
        &mut self,
        tensor: &Tensor,
        number: usize,
        plan: &Plan,
        argument: &Argument<'_>,
    ) -> Result<(), Box<Unfit>> {
        let access = Access::of(argument, plan.flags.has(TaskFlags::PREDICATE)).map(|(_, access)| access);
        if self.validity().is_allowed(tensor, plan, access) {
            return Ok(());
        }
        Err(self.not_allowed(number, tensor, plan, access).into())
    }
}
