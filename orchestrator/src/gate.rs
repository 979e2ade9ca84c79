//! A run that is built while earlier ones are not over: its roots wait at its gate (architecture D15), and what the earlier ones leave is taken back as they
//! end.

use crate::Orchestrator;
use crate::submit::Plan;
use crate::waiting::{Awaited, Waiting};
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::error::SubmitError;
use prewire_runtime_core::id::{RING_COUNT, RingIndex, SlotIndex, TaskId};
use prewire_runtime_core::waiting::Blocking;

/// How the present run stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nothing keeps it back.
    Open,
    /// It began behind others, and no task waits at its gate yet.
    Begun,
    /// Its roots wait for the task in this slot.
    At(SlotIndex),
}

/// Which tasks a run has: where they end in the order of all tasks. They begin where those of the run before end.
#[derive(Clone, Copy, Debug)]
pub struct RunSpan {
    pub(crate) run: u32,
    pub(crate) place: usize,
    pub(crate) tasks: [u64; RING_COUNT],
    pub(crate) allocations: [u64; RING_COUNT],
}

impl RunSpan {
    /// The run's number.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// Whether a task is of this run or of one before it.
    pub fn reaches(&self, task: TaskId) -> bool {
        self.ends_behind(task.ring(), task.is_allocation(), task.sequence())
    }

    pub(crate) fn ends_behind(&self, ring: RingIndex, allocation: bool, sequence: u64) -> bool {
        sequence < if allocation { self.allocations } else { self.tasks }[ring.index()]
    }
}

impl Orchestrator {
    /// Whether the present run still waits for those before it.
    #[inline]
    pub(crate) fn is_gated(&self) -> bool {
        self.gate != Gate::Open
    }

    /// Sees to it that there is a task at the gate that roots can wait for, unless the gate is open by now.
    #[cold]
    pub(crate) fn come_to_gate(&mut self, blocking: &mut dyn Blocking) -> Result<(), SubmitError> {
        if self.gate != Gate::Begun {
            return Ok(());
        }
        let mut waiting = Waiting::new();
        loop {
            if self.state().gate.is_open() {
                self.gate = Gate::Open;
                break;
            }
            self.scratch.planned.clear();
            self.look_up_nothing();
            let mut plan = Plan::dummy();
            match self.admit_again(&mut plan) {
                Ok(()) => {
                    self.gate = Gate::At(self.wire_gate(&plan));
                    break;
                }
                Err(shortage) => self.make_room(shortage, &mut waiting, blocking)?,
            }
        }
        waiting.end(blocking);
        Ok(())
    }

    /// A task that waits for no other task of its run that is not over waits at the gate.
    #[cold]
    pub(crate) fn wait_at_gate(&mut self) {
        let Gate::At(gate) = self.gate else { return };
        let ended = |slot| self.graph.slots.get(slot).consumers.ending().is_some();
        if ended(gate) {
            self.gate = Gate::Open;
            return;
        }
        let waits = |&(producer, flags): &(SlotIndex, EdgeFlags)| flags.contains(EdgeFlags::WAIT) && !ended(producer);
        if !self.edge_set.as_slice().iter().any(waits) {
            self.edge_set.add(gate, EdgeFlags::WAIT);
        }
    }

    /// Waits until every earlier run is over. The wait is none of the caller's.
    #[cold]
    pub(crate) fn pass_gate(&mut self, blocking: &mut dyn Blocking) -> Result<(), SubmitError> {
        self.come_to_gate(blocking)?;
        let Gate::At(gate) = self.gate else { return Ok(()) };
        let mut waiting = Waiting::new();
        while self.graph.slots.get(gate).consumers.ending().is_none() {
            self.round(Awaited::End(gate), &mut waiting, blocking)?;
        }
        waiting.end(blocking);
        self.gate = Gate::Open;
        Ok(())
    }

    /// Whether a task is one of a run that has been ended with tasks that are not over: nobody touches them any more.
    #[cold]
    pub(crate) fn is_gone(&self, ring: RingIndex, allocation: bool, sequence: u64) -> bool {
        let span = self.spans.iter().find(|span| span.ends_behind(ring, allocation, sequence));
        span.is_some_and(|span| self.graph.run.at(span.place).has_ended(span.run))
    }

    /// Forgets the runs of which nothing is left.
    pub(crate) fn forget_spans(&mut self) {
        let rings = &self.rings.0;
        self.spans.retain(|span| {
            let tasks = rings.iter().zip(span.tasks).any(|(ring, end)| ring.tail() < end);
            tasks || rings.iter().zip(span.allocations).any(|(ring, end)| ring.allocations.tail() < end)
        });
    }
}
