//! Tasks whose kernels have returned and that wait for counters.
//!
//! A condition that does not hold yet adds a share to its task before the share of the block that registered it is given back, so the task's count cannot reach
//! zero early. The instance that saw the block end polls the condition from then on; the task holds no core meanwhile.

use crate::POISON;
use crate::instance::{Round, Work};
use crate::tracker::Place;
use prewire_runtime_core::error::{ErrorCode, Fatal};
use prewire_runtime_core::id::{SlotIndex, TaskId};
use prewire_runtime_core::kernel::Condition;
use prewire_runtime_core::platform::{DeferError, Platform};
use prewire_runtime_core::port::Token;
use prewire_runtime_core::slot::{Slot, TaskFlags};

/// Conditions that are looked at in one step.
const POLLED_MOST: usize = 256;

/// Conditions that are taken off in one step.
const ENDED_MOST: usize = 32;

/// One condition that a task waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(crate) slot: SlotIndex,
    pub(crate) task: TaskId,
    pub(crate) condition: Condition,
    pub(crate) since_ns: u64,
    pub(crate) budget_ns: u64,
}

impl<P: Platform> Round<'_, P> {
    /// Takes in what a returned kernel registered. True if the task waits for any of it.
    #[cold]
    pub(crate) fn defer(&mut self, place: Place, token: Token, work: Work, slot: &Slot) -> bool {
        let core = self.own.ports[place.index()].core;
        // SAFETY: the block's share of the task is open, so the task is not released.
        let body = unsafe { slot.body() };
        // SAFETY: as above.
        let extra = unsafe { slot.extra() };
        let budget_ns = if body.flags.has(TaskFlags::BUDGET) {
            extra.budget_ns
        } else {
            self.group.config.watchdog.as_nanos() as u64
        };
        let since_ns = self.platform.now_ns();
        let task = body.id;
        let mut waits = self.group.deferred[self.own.index].lock().expect(POISON);
        let before = waits.len();
        let taken = self.platform.take_conditions(core, token, &mut |condition| {
            waits.push(Wait { slot: work.slot, task, condition, since_ns, budget_ns });
        });
        if let Err(error) = taken {
            waits.truncate(before);
            drop(waits);
            let (code, text) = match error {
                DeferError::Invalid(text) => (ErrorCode::DeferredInvalid, text),
                DeferError::TooMany(text) => (ErrorCode::DeferredOverflow, text),
                DeferError::Malformed(text) => (ErrorCode::DeferredMalformed, text),
            };
            let kernel = self.group.kernel_name({ body.kernels }[work.part as usize]);
            let core = self.platform.chip().core_name(core);
            let place = self.graph.run.head();
            self.group.end_for(place, self.own.run, Fatal::Deferred { code, task, kernel, core, text });
            return true;
        }
        let mut at = before;
        while at < waits.len() {
            if self.platform.condition_holds(&waits[at].condition) {
                waits.swap_remove(at);
            } else {
                at += 1;
            }
        }
        let open = waits.len() - before;
        self.own.deferred += open;
        if !cfg!(prewire_mutation = "deferred_uncounted") {
            slot.defer(open as u32);
        }
        open > 0
    }

    /// Looks at conditions, a bounded number of them, and completes the tasks whose last one holds.
    pub(crate) fn poll_deferred(&mut self) -> bool {
        if self.own.deferred == 0 {
            return false;
        }
        let mut ended = [SlotIndex(0); ENDED_MOST];
        let mut count = 0;
        {
            let mut waits = self.group.deferred[self.own.index].lock().expect(POISON);
            for _ in 0..POLLED_MOST.min(waits.len()) {
                if count == ENDED_MOST || waits.is_empty() {
                    break;
                }
                let at = self.own.deferred_next % waits.len();
                if self.platform.condition_holds(&waits[at].condition) {
                    ended[count] = waits.swap_remove(at).slot;
                    count += 1;
                } else {
                    self.own.deferred_next = at + 1;
                }
            }
        }
        self.own.deferred -= count;
        for &index in &ended[..count] {
            if self.graph.slots.get(index).end_subtasks(1) {
                self.complete(index);
            }
        }
        count > 0
    }
}
