//! One block on one core: the payload, the token, and what follows if the block has ended by then.

use crate::complete::FreedCore;
use crate::instance::{Round, Work};
use crate::tracker::Place;
use crate::watchdog::WatchedCore;
use prewire_runtime_core::id::{KernelId, SlotIndex, TaskId};
use prewire_runtime_core::platform::{DispatchPayload, Dispatched, Platform};
use prewire_runtime_core::port::{Condition, Token};
use prewire_runtime_core::slot::{Slot, TaskBody, TaskFlags};
use prewire_runtime_core::sync::pause::{self, Point};

/// What a block is launched with that its task need not say in one place.
struct Launched {
    first_unit: u32,
    tensor_count: u16,
    scalar_count: u16,
    budget_ns: u64,
}

/// What blocks that are launched on one core one after the other have in common.
struct Series<'a> {
    watched: &'a WatchedCore,
    /// The core, its part and the run stay; the rest is the block's that was launched last.
    payload: DispatchPayload,
}

impl<'a, P: Platform> Round<'a, P> {
    /// Begins a series of blocks on a core.
    #[inline(always)]
    fn series(&self, place: Place) -> Series<'a> {
        let core = self.own.ports[place.index()].core;
        let payload = DispatchPayload {
            task: TaskId::NONE,
            tensors: std::ptr::null(),
            scalars: std::ptr::null(),
            slot: SlotIndex(0),
            block: 0,
            blocks: 0,
            run: self.own.run,
            core,
            kernel: KernelId(0),
            part: place.part,
            parts: 0,
            tensor_count: 0,
            scalar_count: 0,
            concurrent: false,
        };
        Series { watched: &self.group.watched[core.index()], payload }
    }

    /// Writes payload and token. Returns what the platform says of the block by then.
    #[inline(always)]
    fn launch(&self, series: &mut Series<'_>, token: Token, work: Work, slot: &Slot) -> Dispatched {
        const UNUSUAL: TaskFlags = TaskFlags::DIRECTORY.with(TaskFlags::BUDGET);
        // SAFETY: the block's share of the task is open, so the task is not released.
        let body = unsafe { slot.body() };
        let kernel = body.kernels[work.part as usize];
        let Launched { first_unit, tensor_count, scalar_count, budget_ns } = if body.flags.0 & UNUSUAL.0 == 0 {
            let TaskBody { arguments, tensors, scalars, .. } = *body;
            Launched { first_unit: arguments, tensor_count: tensors, scalar_count: scalars, budget_ns: 0 }
        } else {
            self.launched(slot, work.block)
        };
        let arguments = self.graph.arguments.pointer(first_unit);
        let payload = &mut series.payload;
        payload.task = body.id;
        payload.tensors = arguments.cast();
        payload.scalars = arguments.wrapping_add(tensor_count as usize).cast();
        payload.slot = work.slot;
        payload.block = work.block;
        payload.blocks = body.blocks;
        payload.kernel = kernel;
        payload.parts = body.parts.0;
        payload.tensor_count = tensor_count;
        payload.scalar_count = scalar_count;
        payload.concurrent = body.flags.has(TaskFlags::CONCURRENT);
        series.watched.set(token, payload.task, kernel, budget_ns);
        // SAFETY: the arguments stay until the task is released, which this block's open share prevents; the tracker says that the core has room.
        unsafe { self.platform.dispatch(payload.core, token, payload) }
    }

    /// What a block is launched with whose task has a directory or a budget of its own.
    #[cold]
    #[inline(never)]
    fn launched(&self, slot: &Slot, block: u32) -> Launched {
        // SAFETY: the block's share of the task is open, so the task is not released.
        let body = unsafe { slot.body() };
        let budget_ns = if body.flags.has(TaskFlags::BUDGET) {
            // SAFETY: as above; the flag says that the cold part was written.
            unsafe { slot.extra() }.budget_ns
        } else {
            0
        };
        let (first_unit, tensor_count, scalar_count) = if body.flags.has(TaskFlags::DIRECTORY) {
            // SAFETY: as above, and the flag says that the task has a directory.
            let entry = unsafe { self.graph.arguments.entry(body.arguments, block) };
            (entry.first, entry.tensors, entry.scalars)
        } else {
            (body.arguments, body.tensors, body.scalars)
        };
        Launched { first_unit, tensor_count, scalar_count, budget_ns }
    }

    /// Runs a block on an idle core, and nothing behind it.
    ///
    /// The block's task is in hand before the call and no more behind it.
    pub(crate) fn run_block(&mut self, place: Place, work: Work) {
        self.run_on(place, work, false, &mut [].iter());
    }

    /// Runs a block on an idle core. If it ends at once, its successor follows on the same core if one may be kept (and `keep` says so), and so on; and behind
    /// the last of these the tasks of `others`, in hand as the block's own was, as long as they are such as can follow without another thought.
    ///
    /// The block's task is in hand before the call and no more behind it, as are those that were taken from `others`.
    pub(crate) fn run_on(
        &mut self,
        place: Place,
        work: Work,
        keep: bool,
        others: &mut std::slice::Iter<'_, SlotIndex>,
    ) {
        // Apart, so that they are kept where the loop has them at hand.
        let Work { slot: mut index, mut block, mut part } = work;
        self.own.warm[place.kind() as usize] = place;
        self.out_of_hand();
        let mut freed = if keep { self.may_keep_for(place) } else { FreedCore::NONE };
        let (mut series, mut next) = (self.series(place), self.own.ports[place.index()].next);
        loop {
            let slot = self.graph.slots.get(index);
            let token = next;
            next = token.next();
            let work = Work { slot: index, block, part };
            let well = match self.launch(&mut series, token, work, slot) {
                Dispatched::Well => true,
                Dispatched::Ended if self.platform.poll(series.payload.core) == Condition::Finished(token) => false,
                Dispatched::Ended | Dispatched::Given => {
                    self.runs_on(place, token, work);
                    break;
                }
            };
            // What ended may have been the core itself. Else nothing that a block does on this thread changes what the core is kept for.
            if self.learn_availability() && keep {
                freed = self.may_keep_for(place);
            }
            let successor = if well {
                self.end_share(index, slot, false, freed)
            } else {
                self.ended(place, Some(token), work, freed)
            };
            let Some(following) = successor.or_else(|| self.follows(place, others)) else { break };
            (index, block, part) = (following, 0, self.part_of(following));
        }
        self.own.ports[place.index()].next = next;
    }

    /// Takes the next of the tasks in hand, if it may follow at once on an idle core: it has one block, nothing to be decided first, and the core is still for
    /// whoever comes.
    #[inline(always)]
    fn follows(&mut self, place: Place, others: &mut std::slice::Iter<'_, SlotIndex>) -> Option<SlotIndex> {
        let &index = others.as_slice().first()?;
        let slot = self.graph.slots.get(index);
        // SAFETY: the task is in this thread's hand.
        let body = unsafe { slot.body() };
        let plain = body.blocks == 1 && Self::runs_for_certain(slot, body);
        if !plain || !self.own.tracker.may_take_any(place) || self.state.is_cancelled() {
            return None;
        }
        others.next();
        slot.claim_blocks(1, 1);
        self.out_of_hand();
        Some(index)
    }

    /// Notes that a core runs a block, and goes on doing so.
    fn runs_on(&mut self, place: Place, token: Token, work: Work) {
        let port = &mut self.own.ports[place.index()];
        port.in_flight.dispatched(token);
        port.running = work;
        self.group.watched[port.core.index()].hold(Some(token));
        self.own.tracker.started(place);
        self.own.dispatches += 1;
    }

    /// Puts a block behind what a core runs. The block's task is in hand before the call and no more behind it.
    pub(crate) fn preload_on(&mut self, place: Place, work: Work) {
        self.out_of_hand();
        let port = &mut self.own.ports[place.index()];
        let token = port.next;
        port.next = token.next();
        self.launch(&mut self.series(place), token, work, self.graph.slots.get(work.slot));
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
