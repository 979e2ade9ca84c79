//! The straight way of a submit: what most tasks are needs no plan and none of the questions that few tasks raise.
//!
//! It is the long way with the answers known beforehand, made of the same steps. Where an answer turns out to be another one the task goes the long way from its
//! beginning, for until the last question is answered nothing has been done.

use super::look_up::EdgesOnly;
use super::units_of;
use super::wire::{take_place, write_span};
use crate::Orchestrator;
use prewire_runtime_core::id::TaskId;
use prewire_runtime_core::slot::{NO_CAUSE, TaskBody, TaskFlags};
use prewire_runtime_core::sync::pause::{self, Point};
use prewire_runtime_core::task::Task;

impl Orchestrator {
    /// Whether the run is at a place where tasks may go the straight way: not behind another run, not in a manual scope, and with nothing to be recorded.
    ///
    /// The rest shows by itself: where memory was registered, and so may have been joined, or where is inferred what upstream infers, no argument is known.
    #[inline(always)]
    fn is_straight(&self) -> bool {
        !self.is_gated() && !self.scopes.innermost().manual && !self.config.record
    }

    /// Submits a task that says nothing special, names no dependency, and has no argument but tiles of memory that tasks have used before; if there is room for it at once.
    /// Otherwise nothing was done but that finished tasks were taken back.
    #[inline(always)]
    pub(super) fn submit_straight(&mut self, task: &Task<'_>) -> Option<TaskId> {
        let ((parts, kernels), arguments, scalars) = (task.parts_named(), task.tensors_named(), task.scalars_named());
        let special = !task.is_ordinary() || !task.dependencies_named().is_empty();
        if special || !self.is_straight() || self.state().is_cancelled() {
            return None;
        }
        if arguments.len() > self.tensors_at_ease || scalars.len() > usize::from(self.chip.arguments.scalars) {
            return None;
        }
        if !self.scratch.kinds.run_on_one_core(task) {
            return None;
        }
        self.reclaim_some();
        self.edge_set.clear();
        self.scratch.blame = NO_CAUSE;
        self.index.begin();
        let mut edges =
            EdgesOnly { slots: &self.graph.slots, edges: &mut self.edge_set, blame: &mut self.scratch.blame };
        if !self.index.meet(arguments, &mut edges) {
            return self.leave_straight();
        }
        pause::at(Point::SubmitAdmits);
        let ring = self.rings.get_mut(self.ring);
        let edge_count = self.edge_set.len() as u32;
        let edges_start = if edge_count == 0 { Some(0) } else { ring.place_edges(edge_count) };
        let (true, Some(edges_start)) = (ring.has_slot(), edges_start) else { return self.leave_straight() };
        pause::at(Point::SubmitWires);
        let (tensors, scalar_count) = (arguments.len() as u16, scalars.len() as u16);
        let [cube, vector_0, vector_1] = kernels;
        let body = TaskBody {
            id: TaskId::NONE,
            kernels: [cube, vector_0, vector_1],
            parts,
            flags: TaskFlags(0),
            blocks: 1,
            arguments: 0,
            edges: 0,
            edge_count,
            tensors,
            scalars: scalar_count,
        };
        let made = take_place(ring, &self.graph, body, units_of(tensors, scalar_count), edges_start, self.ordinal);
        write_span(&self.graph.arguments, made.first_unit, arguments, scalars, || [].iter());
        self.count_task();
        self.publish(made);
        Some(made.id)
    }

    /// Nothing was done.
    #[cold]
    fn leave_straight(&mut self) -> Option<TaskId> {
        self.index.begin();
        None
    }
}
