//! Taking what was admitted, writing the task, and linking it to its producers before anybody else can see it.

use super::{Plan, units_of};
use crate::Orchestrator;
use crate::log::TaskKind;
use crate::rings::{NOTHING_KEPT, ROW, Ring};
use prewire_runtime_core::arguments::{ArgumentArena, ArgumentUnit, ENTRIES_PER_UNIT, Entry};
use prewire_runtime_core::consumers::{Ending, Pushed};
use prewire_runtime_core::edge::{EdgeBody, EdgeFlags};
use prewire_runtime_core::graph::{Graph, link_at};
use prewire_runtime_core::id::{CoreId, EdgeIndex, SlotIndex, TaskId};
use prewire_runtime_core::slot::{NO_CAUSE, Ordinal, Slot, TaskBody, TaskExtra, TaskFlags};
use prewire_runtime_core::sync::prefetch_for_write;
use prewire_runtime_core::task::{Argument, Placement, Scalar, Task};
use prewire_runtime_core::tensor::Tensor;

/// After so many submits others are told how many there are, so that they know how far behind they are.
const SUBMITS_TOLD: u64 = 32;

/// A task that was made and is to be published.
#[derive(Clone, Copy)]
pub(super) struct Made {
    pub(super) id: TaskId,
    slot: SlotIndex,
    first_edge: u32,
    pub(super) first_unit: u32,
}

impl Orchestrator {
    /// Makes the admitted task and publishes it. Nothing can fail from here on.
    #[inline(always)]
    pub(crate) fn wire(&mut self, task: &Task<'_>, plan: &Plan) -> TaskId {
        if plan.flags.has(TaskFlags::DIRECTORY) {
            return self.wire_group(task, plan);
        }
        let made = self.make_task(plan, plan.units());
        write_span(&self.graph.arguments, made.first_unit, task.tensors_named(), task.scalars_named(), || {
            self.scratch.outputs.iter()
        });
        self.finish(task, plan, made)
    }

    /// The same for a task whose blocks have arguments or cores of their own.
    #[cold]
    fn wire_group(&mut self, task: &Task<'_>, plan: &Plan) -> TaskId {
        let made = self.make_group(task, plan);
        self.finish(task, plan, made)
    }

    #[inline(always)]
    fn finish(&mut self, task: &Task<'_>, plan: &Plan, made: Made) -> TaskId {
        if plan.has_extra() {
            self.write_extra(task, plan, made.slot);
        }
        let ordinal = self.ordinal;
        self.count_task();
        if plan.overwrites {
            self.note_overwritten(task, plan);
        }
        self.publish_other(made);
        let kind = || if plan.parts.0 == 0 { TaskKind::Dummy } else { TaskKind::Kernel };
        self.log_task(made.id, ordinal, kind);
        made.id
    }

    /// Counts a task of the user's.
    #[inline(always)]
    pub(super) fn count_task(&mut self) {
        self.ordinal += 1;
        self.tasks += 1;
        if self.tasks.is_multiple_of(SUBMITS_TOLD) {
            self.publish_submitted();
        }
    }

    /// Makes an admitted allocation, which is complete at once.
    pub(crate) fn wire_allocation(&mut self, plan: &Plan) -> TaskId {
        let ring = self.rings.get_mut(self.ring);
        let (sequence, slot) = ring.allocations.take_slot();
        let id = TaskId::allocation(ring.index(), sequence);
        let body = TaskBody { id, ..body_of(plan, 0) };
        // SAFETY: this is the orchestrator's thread, and the slot's last task is reclaimed.
        unsafe { self.graph.slots.prepare(slot, body, self.ordinal) };
        self.own(id, slot, plan);
        let ordinal = self.ordinal;
        self.ordinal += 1;
        self.allocations += 1;
        let place = self.graph.slots.get(slot);
        place.consumers.close_unseen(Ending::Ok);
        // The orchestrator itself is the only one who could be waiting for the release.
        place.release();
        self.log_task(id, ordinal, || TaskKind::Allocation);
        id
    }

    /// Makes an admitted task that the user knows nothing of: it only stands for the producers that were found.
    pub(crate) fn wire_join(&mut self, plan: &Plan) {
        let made = self.make_other_task(plan, 0);
        let ordinal = self.ordinal;
        self.ordinal += 1;
        self.joins += 1;
        self.publish_other(made);
        self.log_task(made.id, ordinal, || TaskKind::Join);
    }

    /// Makes the admitted task that the roots of a run wait for: the last of its arrivals is the gate's.
    pub(crate) fn wire_gate(&mut self, plan: &Plan) -> SlotIndex {
        let slot = self.make_other_task(plan, 0).slot;
        self.ordinal += 1;
        self.joins += 1;
        let place = self.graph.slots.get(slot);
        place.expect(1);
        if !self.state().gate.wait_at(slot) && place.arrive() {
            // SAFETY: the task became ready by this thread's doing.
            unsafe { self.graph.route(slot) };
        }
        slot
    }

    /// Takes the slot, the heap bytes, the edges and so many argument units, and writes the slot and the outputs.
    #[inline(always)]
    fn make_task(&mut self, plan: &Plan, units: u32) -> Made {
        let body = body_of(plan, self.edge_set.len() as u32);
        let ring = self.rings.get_mut(self.ring);
        let made = take_place(ring, &self.graph, body, units, plan.edges_start, self.ordinal);
        if !self.scratch.planned.is_empty() {
            self.own(made.id, made.slot, plan);
        }
        made
    }

    /// [`Orchestrator::make_task`] for what few tasks are.
    #[cold]
    fn make_other_task(&mut self, plan: &Plan, units: u32) -> Made {
        self.make_task(plan, units)
    }

    /// Makes the outputs of a task that has any. If they have bytes the innermost scope keeps the task.
    #[inline(never)]
    fn own(&mut self, id: TaskId, slot: SlotIndex, plan: &Plan) {
        self.scratch.outputs.clear();
        let outputs = self.scratch.planned.len() as u64;
        let first_buffer = self.next_buffer;
        self.next_buffer += outputs;
        self.creators.begin(slot, first_buffer);
        let ring = self.rings.get_mut(self.ring);
        let mut address = ring.heap.address();
        if plan.bytes != 0 {
            address = ring.heap.take(plan.heap_start, plan.bytes, id, first_buffer, outputs as u32);
            let scope = self.scopes.innermost_mut();
            let (kept_from, set_mark, held) = if id.is_allocation() {
                (&mut ring.allocations.kept_from, &mut scope.set_allocation_mark, &mut scope.allocated)
            } else {
                (&mut ring.kept_from, &mut scope.set_mark, &mut scope.held)
            };
            *held += 1;
            if *kept_from == NOTHING_KEPT {
                *kept_from = id.sequence();
                *set_mark = true;
            }
        }
        self.make_outputs(id, address, first_buffer);
    }

    /// Makes a task whose blocks have arguments or cores of their own: its directory, and the spans that it names.
    #[cold]
    fn make_group(&mut self, task: &Task<'_>, plan: &Plan) -> Made {
        let ring = self.rings.get_mut(self.ring);
        ring.enter_group(plan.group_units);
        let made = self.make_other_task(&Plan { tensors: 0, scalars: 0, ..*plan }, plan.directory_units());
        let cores = if let Placement::Cores(cores) = task.placed() { cores } else { &[] };
        let (arguments, mut outputs) = (&self.graph.arguments, self.scratch.outputs.iter());
        let ring = self.rings.get_mut(self.ring);
        let mut span = |tensors: &[Argument<'_>], scalars: &[Scalar]| {
            let (tensor_count, scalar_count) = (tensors.len() as u16, scalars.len() as u16);
            let first = ring.take_arguments(units_of(tensor_count, scalar_count));
            write_span(arguments, first, tensors, scalars, || &mut outputs);
            Entry { first, tensors: tensor_count, scalars: scalar_count, ..Entry::NONE }
        };
        let common = match task.members_named() {
            Some(_) => Entry::NONE,
            None => span(task.tensors_named(), task.scalars_named()),
        };
        let members = task.members_named().unwrap_or_default();
        let (mut unit, mut entries) = (made.first_unit, [Entry::NONE; ENTRIES_PER_UNIT]);
        for block in 0..plan.blocks as usize {
            let entry =
                members.get(block).map_or(common, |member| span(member.tensors_named(), member.scalars_named()));
            let core = cores.get(block).copied().unwrap_or(CoreId(0));
            entries[block % ENTRIES_PER_UNIT] = Entry { core, ..entry };
            if (block + 1) % ENTRIES_PER_UNIT == 0 || block + 1 == plan.blocks as usize {
                // SAFETY: the unit belongs to the task that is being made.
                unsafe { arguments.write(unit, ArgumentUnit { entries }) };
                unit += 1;
            }
        }
        made
    }

    #[cold]
    fn write_extra(&mut self, task: &Task<'_>, plan: &Plan, slot: SlotIndex) {
        let mut extra = TaskExtra { budget_ns: plan.budget_ns, core: plan.core, ..TaskExtra::PLAIN };
        if plan.flags.has(TaskFlags::PREDICATE)
            && let Some(predicate) = task.predicated()
        {
            let address = predicate.operand.element_address(predicate.indices);
            extra.predicate_address = address.expect("the indices were checked with the task");
            extra.predicate_target = predicate.target;
            extra.predicate = predicate.comparison;
            extra.predicate_data_type = predicate.operand.data_type().index();
        }
        // SAFETY: the slot is prepared and not published.
        unsafe { self.graph.slots.get(slot).set_extra(extra) };
    }

    /// Links the task to its producers, enters it into the index, and lets it go.
    #[inline(always)]
    pub(super) fn publish(&mut self, Made { slot, first_edge, .. }: Made) {
        // Before the links: the processor does not get past one of their read-modify-writes, and this way it has the whole submit to overlap.
        self.index.commit(slot);
        let place = self.graph.slots.get(slot);
        if self.scratch.blame != NO_CAUSE {
            place.blame(self.scratch.blame);
        }
        let edges = self.edge_set.len() as u32;
        let linked = if edges == 0 { 0 } else { self.link(slot, place, first_edge) };
        let ready = if linked == 0 {
            // Nobody else knows the task yet.
            place.expect(0);
            true
        } else {
            // Where every producer is linked the task may be running by now, or over.
            linked != edges && place.give_back(edges - linked)
        };
        if ready {
            // SAFETY: the task became ready by this thread's doing.
            unsafe { self.graph.route(slot) };
        }
    }

    /// [`Orchestrator::publish`] for tasks that did not go the straight way.
    #[inline(never)]
    fn publish_other(&mut self, made: Made) {
        self.publish(made);
    }

    /// Puts the edges onto their producers' lists. Returns how many producers will arrive.
    #[inline(always)]
    fn link(&self, consumer: SlotIndex, place: &Slot, first_edge: u32) -> u32 {
        let (found, slots) = (self.edge_set.as_slice(), self.graph.slots.all());
        let places = self.graph.edges.run(EdgeIndex(first_edge), found.len());
        let (mut edge, mut waits) = (first_edge, 0);
        for (&(producer, flags), edge_place) in found.iter().zip(places) {
            let body = EdgeBody { consumer, producer, flags };
            let number = EdgeIndex(edge);
            edge += 1;
            if flags.contains(EdgeFlags::RETAIN) {
                slots.hold(producer);
            }
            let producer = slots.get(producer);
            if !flags.contains(EdgeFlags::WAIT) {
                // SAFETY: the edge belongs to the task that is being made.
                unsafe { edge_place.write(body) };
                continue;
            }
            // SAFETY: as above; the producer was looked up, and nothing was reclaimed since.
            match unsafe { link_at(producer, edge_place, number, body) } {
                Pushed::Linked => waits += 1,
                Pushed::Closed(Ending::Ok) => {}
                Pushed::Closed(Ending::Failed) => {
                    if flags.contains(EdgeFlags::DATA) {
                        place.blame(producer.cause());
                    }
                }
            }
        }
        waits
    }

    /// Remembers which outputs of other tasks this one overwrites whole: from now on their creators' failure is no reader's any more.
    #[cold]
    fn note_overwritten(&mut self, task: &Task<'_>, plan: &Plan) {
        if plan.flags.has(TaskFlags::PREDICATE) {
            return;
        }
        let of_members = task.members_named().unwrap_or_default().iter().flat_map(|member| member.tensors_named());
        for argument in task.tensors_named().iter().chain(of_members) {
            if let Argument::OutputExisting(tensor) = argument
                && !tensor.owner().is_none()
                && !tensor.is_empty()
                && tensor.fills_buffer()
            {
                let owner = tensor.owner();
                let slot = self.rings.get(owner.ring()).slot_of_id(owner);
                self.creators.overwrite(slot, tensor.buffer());
            }
        }
    }
}

/// What the slot of a planned task says, but for its id and its place.
#[inline(always)]
fn body_of(plan: &Plan, edge_count: u32) -> TaskBody {
    // One by one: an array is copied through a place of its own.
    let [cube, vector_0, vector_1] = plan.kernels;
    TaskBody {
        id: TaskId::NONE,
        kernels: [cube, vector_0, vector_1],
        parts: plan.parts,
        flags: if plan.retains { plan.flags.with(TaskFlags::RETAINS) } else { plan.flags },
        blocks: plan.blocks,
        arguments: 0,
        edges: 0,
        edge_count,
        tensors: plan.tensors,
        scalars: plan.scalars,
    }
}

/// Takes the slot, the edges and so many argument units of a task that has room for them, and writes the slot.
#[inline(always)]
pub(super) fn take_place(
    ring: &mut Ring,
    graph: &Graph,
    body: TaskBody,
    units: u32,
    edges_start: u64,
    ordinal: Ordinal,
) -> Made {
    let first_unit = ring.take_arguments(units);
    // The lines that coming tasks are written to were last read by whoever ran a task; taken over now, the stores need not wait for them.
    let ahead = graph.arguments.pointer(ring.arguments_ahead());
    // One by one: a loop is as much again.
    const _: () = assert!(ROW == 4);
    for unit in [0, 1, 2, 3] {
        if units > unit {
            prefetch_for_write(ahead.wrapping_add(unit as usize));
        }
    }
    let first_edge = if body.edge_count == 0 { 0 } else { ring.take_edges(edges_start, body.edge_count) };
    let (sequence, slot) = ring.take_slot();
    prefetch_for_write(graph.slots.pointer(ring.slot_ahead()));
    let id = TaskId::new(ring.index(), sequence);
    let body = TaskBody { id, arguments: first_unit, edges: first_edge, ..body };
    // SAFETY: this is the orchestrator's thread, and the slot's last task is reclaimed.
    unsafe { graph.slots.prepare(slot, body, ordinal) };
    Made { id, slot, first_edge, first_unit }
}

/// Writes arguments into their units: tensors first, scalars behind them. `outputs` are those that were made for the task, asked for when there is one.
#[inline(always)]
pub(super) fn write_span<'a, I: Iterator<Item = &'a Tensor>>(
    arena: &ArgumentArena,
    first_unit: u32,
    tensors: &[Argument<'_>],
    scalars: &[Scalar],
    outputs: impl FnOnce() -> I,
) {
    // SAFETY: the units belong to the task that is being made.
    let units = unsafe { arena.span(first_unit, tensors.len()) };
    for (unit, argument) in units.iter_mut().zip(tensors) {
        if !unit.set_argument(argument) {
            write_with_outputs(units, tensors, outputs());
            break;
        }
    }
    if !scalars.is_empty() {
        write_scalars(arena, first_unit + tensors.len() as u32, scalars);
    }
}

#[inline(never)]
fn write_with_outputs<'a, I: Iterator<Item = &'a Tensor>>(
    units: &mut [ArgumentUnit],
    tensors: &[Argument<'_>],
    mut outputs: I,
) {
    for (unit, argument) in units.iter_mut().zip(tensors) {
        if !unit.set_argument(argument) {
            unit.set_output(outputs.next().expect("every output was made"));
        }
    }
}

#[inline(never)]
fn write_scalars(arena: &ArgumentArena, first_unit: u32, scalars: &[Scalar]) {
    // SAFETY: the units belong to the task that is being made.
    let units = unsafe { arena.span(first_unit, scalars.len().div_ceil(8)) };
    for (unit, scalars) in units.iter_mut().zip(scalars.chunks(8)) {
        unit.set_scalars(scalars);
    }
}
