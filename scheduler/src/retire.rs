//! Tasks that end without a core: dummies, tasks with a cause of failure, tasks whose predicate does not hold, and the blocks of a failed task that were
//! not dispatched.

use crate::instance::Round;
use prewire_runtime_core::graph::Queue;
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::ready::BATCH;
use prewire_runtime_core::slot::{NO_CAUSE, Slot, TaskBody, TaskFlags};
use prewire_runtime_core::sync::prefetch;
use prewire_runtime_core::tensor::DataType;

impl<P: Platform> Round<'_, P> {
    /// Retires a batch of tasks that need no core.
    pub(crate) fn retire(&mut self) -> bool {
        let queue = self.graph.queue(Queue::Retire);
        if queue.is_empty() {
            return false;
        }
        self.mark_busy();
        let mut batch = [SlotIndex(0); BATCH];
        let count = queue.pop_batch(&mut batch);
        self.take_in_hand(count as u64);
        for &slot in &batch[..count] {
            prefetch(self.graph.slots.get(slot));
        }
        for &slot in &batch[..count] {
            self.complete(slot);
            self.out_of_hand();
        }
        if !queue.is_empty() {
            self.group.pass_wake_on(Queue::Retire);
        }
        count > 0
    }

    /// Decides whether a task taken from its queue runs at all, and retires it if not. True if it does.
    #[inline]
    pub(crate) fn admit(&mut self, index: SlotIndex) -> bool {
        let slot = self.graph.slots.get(index);
        // SAFETY: the task is in this thread's hand.
        let body = unsafe { slot.body() };
        Self::runs_for_certain(slot, body) || self.admit_conditional(index, slot)
    }

    /// Whether there is nothing to decide about a task taken from its queue: it runs.
    #[inline]
    pub(crate) fn runs_for_certain(slot: &Slot, body: &TaskBody) -> bool {
        slot.cause() == NO_CAUSE && !body.flags.has(TaskFlags::PREDICATE)
    }

    #[cold]
    fn admit_conditional(&mut self, index: SlotIndex, slot: &Slot) -> bool {
        // SAFETY: the task is in this thread's hand.
        let body = unsafe { slot.body() };
        let unclaimed = slot.unclaimed_blocks(body.blocks);
        if slot.cause() != NO_CAUSE {
            // A block has failed; the ones that nobody claimed are skipped.
            let (_, skipped) = slot.claim_blocks(body.blocks, u32::MAX);
            if skipped > 0 && slot.end_subtasks(skipped * body.parts.count()) {
                self.complete(index);
            }
            return false;
        }
        if unclaimed == body.blocks && !self.predicate_holds(slot) {
            self.complete(index);
            return false;
        }
        true
    }

    fn predicate_holds(&self, slot: &Slot) -> bool {
        // SAFETY: the task is in this thread's hand, and its flag says that the cold part was written.
        let extra = unsafe { slot.extra() };
        let data_type = DataType::from_index(extra.predicate_data_type)
            .expect("the orchestrator accepts predicates on integer tensors only");
        let operand = self.platform.read_operand(extra.predicate_address, data_type);
        extra.predicate.holds(operand, extra.predicate_target)
    }
}
