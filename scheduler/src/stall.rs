//! What a stall's report says about tasks that are not on cores. It is written when everything is quiet, as only then may slots be read that nobody handed
//! over.

use crate::deferred::Wait;
use crate::{POISON, SchedulerGroup};
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::error::{StallReport, WaitingTask};
use prewire_runtime_core::id::{EdgeIndex, SlotIndex, TaskId};
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::slot::{Ordinal, Slot, TaskFlags};

/// A live task that is not on a core.
struct Idle {
    ordinal: Ordinal,
    slot: SlotIndex,
    task: TaskId,
}

impl<P: Platform> SchedulerGroup<P> {
    /// Adds the tasks that were ready or waiting, and counts those that wait.
    pub(crate) fn complete_report(&self, report: &mut StallReport, is_of_run: &dyn Fn(TaskId) -> bool) {
        let (mut ready, mut waiting) = (Vec::new(), Vec::new());
        for slot in (0..self.graph.slots.len() as u32).map(SlotIndex) {
            let task = self.graph.slots.get(slot);
            if self.graph.slots.holds(slot) == 0 || task.consumers.ending().is_some() {
                continue;
            }
            // SAFETY: the task is held and everything is quiet, so nobody writes its slot.
            let body = unsafe { task.body() };
            if body.flags.has(TaskFlags::ALLOCATION) || !is_of_run(body.id) {
                continue;
            }
            // SAFETY: as above.
            let ordinal = unsafe { self.graph.slots.ordinal(slot) };
            let idle = Idle { ordinal, slot, task: body.id };
            if task.waits_left() > 0 {
                waiting.push(idle);
            } else if task.unclaimed_blocks(body.blocks) > 0 {
                ready.push(idle);
            }
        }
        ready.sort_unstable_by_key(|idle| idle.ordinal);
        waiting.sort_unstable_by_key(|idle| idle.ordinal);
        report.ready_tasks = ready.iter().take(StallReport::MOST_READY).map(|idle| idle.task).collect();
        self.add_conditions(report);
        let deferred = report.waiting_tasks.len() as u64;
        report.waiting = report.waiting.max(waiting.len() as u64 + deferred);
        report.submitted = report.submitted.max(report.completed + report.running + report.ready + report.waiting);
        for idle in waiting {
            if report.waiting_tasks.len() >= StallReport::MOST_WAITING {
                break;
            }
            let missing = self.missing_producers(self.graph.slots.get(idle.slot), idle.ordinal);
            report.waiting_tasks.push(WaitingTask { task: idle.task, missing, condition: None });
        }
        report.waiting_tasks.truncate(StallReport::MOST_WAITING);
    }

    /// Adds the tasks that wait for counters, behind the one that is overdue.
    fn add_conditions(&self, report: &mut StallReport) {
        for waits in &self.deferred {
            for wait in waits.lock().expect(POISON).iter() {
                if report.waiting_tasks.iter().all(|waiting| waiting.task != wait.task) {
                    let condition = Some(self.condition_in_words(wait));
                    report.waiting_tasks.push(WaitingTask { task: wait.task, missing: Vec::new(), condition });
                }
            }
        }
    }

    pub(crate) fn condition_in_words(&self, wait: &Wait) -> String {
        format!(
            "counter {:#x}, which is {} and should reach {}",
            wait.condition.counter,
            self.platform.counter_value(&wait.condition),
            wait.condition.expected
        )
    }

    /// The producers of a waiting task that are not done. A slot that was reused since belongs to a task submitted later, and is none of them.
    fn missing_producers(&self, consumer: &Slot, ordinal: Ordinal) -> Vec<TaskId> {
        // SAFETY: the task is held and everything is quiet.
        let body = unsafe { consumer.body() };
        let mut missing = Vec::new();
        for edge in body.edges..body.edges + body.edge_count {
            // SAFETY: as above; the edges of a wired task are not written before it is reclaimed.
            let edge = unsafe { self.graph.edges.get(EdgeIndex(edge)).read() };
            let producer = self.graph.slots.get(edge.producer);
            if !edge.flags.contains(EdgeFlags::WAIT)
                || self.graph.slots.holds(edge.producer) == 0
                || producer.consumers.ending().is_some()
            {
                continue;
            }
            // SAFETY: as above.
            let of = unsafe { producer.body() }.id;
            // SAFETY: as above.
            let earlier = unsafe { self.graph.slots.ordinal(edge.producer) } < ordinal;
            if earlier && !missing.contains(&of) {
                missing.push(of);
            }
        }
        missing
    }
}
