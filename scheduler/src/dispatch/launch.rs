//! One block on one core: the payload, the token, and what follows if the block has ended by then.

use crate::instance::{Round, Work};
use crate::tracker::Place;
use prewire_runtime_core::id::TaskId;
use prewire_runtime_core::platform::{DispatchPayload, Platform};
use prewire_runtime_core::port::{Condition, Token};
use prewire_runtime_core::slot::{TaskBody, TaskFlags};
use prewire_runtime_core::sync::pause::{self, Point};

impl<P: Platform> Round<'_, P> {
    /// Writes payload and token. True if the platform says that the block has already ended.
    #[inline(always)]
    fn launch(&mut self, place: Place, work: Work) -> (Token, bool) {
        let port = &mut self.own.ports[place.index()];
        let token = port.next;
        port.next = token.next();
        let core = port.core;
        let slot = self.graph.slots.get(work.slot);
        // SAFETY: the block's share of the task is open, so the task is not released.
        let body = unsafe { slot.body() };
        let [cube, vector_0, vector_1] = body.kernels;
        let kernel = match work.part {
            0 => cube,
            1 => vector_0,
            _ => vector_1,
        };
        let (first_unit, tensor_count, scalar_count) = if body.flags.has(TaskFlags::DIRECTORY) {
            self.arguments_of(body, work.block)
        } else {
            (body.arguments, body.tensors, body.scalars)
        };
        let arguments = self.graph.arguments.pointer(first_unit);
        let payload = DispatchPayload {
            task: body.id,
            tensors: arguments.cast(),
            scalars: arguments.wrapping_add(tensor_count as usize).cast(),
            slot: work.slot,
            block: work.block,
            blocks: body.blocks,
            run: self.own.run,
            core,
            kernel,
            part: place.part,
            parts: body.parts.0,
            tensor_count,
            scalar_count,
            concurrent: body.flags.has(TaskFlags::CONCURRENT),
        };
        let budget_ns = if body.flags.has(TaskFlags::BUDGET) {
            // SAFETY: as above; the flag says that the cold part was written.
            unsafe { slot.extra() }.budget_ns
        } else {
            0
        };
        let id: TaskId = body.id;
        self.group.watched[core.index()].set(token, id, kernel, budget_ns);
        // SAFETY: the arguments stay until the task is released, which this block's open share prevents; the tracker says that the core has room.
        let ended = unsafe { self.platform.dispatch(core, token, &payload) };
        (token, ended)
    }

    /// Where a block has its arguments, whose task has a directory.
    #[cold]
    fn arguments_of(&self, body: &TaskBody, block: u32) -> (u32, u16, u16) {
        // SAFETY: the block's share of the task is open, so the task is not reclaimed, and its flag says that it has a directory.
        let entry = unsafe { self.graph.arguments.entry(body.arguments, block) };
        (entry.first, entry.tensors, entry.scalars)
    }

    /// Runs a block on an idle core. If it ends at once, its successor follows on the same core if one may be kept (and `keep` says so), and so on.
    ///
    /// The block's task is in hand before the call and no more behind it.
    #[inline]
    pub(crate) fn run_on(&mut self, place: Place, work: Work, keep: bool) {
        let mut work = work;
        self.own.warm[place.kind() as usize] = place;
        loop {
            self.out_of_hand();
            let (token, ended) = self.launch(place, work);
            let port = &mut self.own.ports[place.index()];
            if !(ended && self.platform.poll(port.core) == Condition::Finished(token)) {
                port.in_flight.dispatched(token);
                port.running = work;
                self.group.watched[port.core.index()].hold(Some(token));
                self.own.tracker.started(place);
                self.own.dispatches += 1;
                return;
            }
            let freed = if keep { self.may_keep_for(place) } else { None };
            match self.ended(place, Some(token), work, freed) {
                Some(next) => work = Work { slot: next, block: 0, part: self.part_of(next) },
                None => return,
            }
        }
    }

    /// Puts a block behind what a core runs. The block's task is in hand before the call and no more behind it.
    pub(crate) fn preload_on(&mut self, place: Place, work: Work) {
        self.out_of_hand();
        let (token, _) = self.launch(place, work);
        let port = &mut self.own.ports[place.index()];
        port.in_flight.dispatched(token);
        port.preloaded = work;
        if self.platform.can_revoke() {
            port.preloaded_at = self.own.completed;
        }
        self.own.tracker.filled(place);
        self.own.dispatches += 1;
        pause::at(Point::SchedulerStages);
    }
}
