//! Data access from the orchestration: `get` and `set` wait for the right tasks, and only those.

use crate::Orchestrator;
use crate::index::Access;
use crate::submit::Parties;
use crate::waiting::{Awaited, Waiting};
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::error::{Fatal, Refusal, SubmitError};
use prewire_runtime_core::id::{EdgeIndex, SlotIndex, TaskId};
use prewire_runtime_core::slot::{NO_CAUSE, Ordinal};
use prewire_runtime_core::task::Scalar;
use prewire_runtime_core::tensor::{MAX_DIMENSIONS, Tensor};
use prewire_runtime_core::waiting::Blocking;

impl Orchestrator {
    /// Reads an element, when every earlier task that writes it is done.
    ///
    /// # Errors
    /// Indices that name no element, a handle that is not valid, data that a failed task was to write, a wait beyond its budget (which ends the run,
    /// code 8), a run that has ended.
    pub fn get(
        &mut self,
        tensor: &Tensor,
        indices: &[u32],
        blocking: &mut dyn Blocking,
    ) -> Result<Scalar, SubmitError> {
        let (element, address) = self.element(tensor, indices)?;
        self.wait_for_producers(&element, &[Access::Read], blocking)?;
        let mut bytes = [0; 8];
        // SAFETY: the element lies in memory of this runtime or in registered memory, and every task that writes it is done.
        unsafe { self.memory.read(address, &mut bytes[..element.data_type().bytes() as usize]) };
        Ok(Scalar(u64::from_le_bytes(bytes)))
    }

    /// Writes an element, when every earlier task that reads or writes it is done. The scalar's low bytes are taken.
    ///
    /// # Errors
    /// Those of [`Orchestrator::get`].
    pub fn set(
        &mut self,
        tensor: &Tensor,
        indices: &[u32],
        value: Scalar,
        blocking: &mut dyn Blocking,
    ) -> Result<(), SubmitError> {
        let (element, address) = self.element(tensor, indices)?;
        self.wait_for_producers(&element, &[Access::Read, Access::Overwrite], blocking)?;
        let bytes = value.0.to_le_bytes();
        // SAFETY: as in `get`, and no earlier task reads the element any more.
        unsafe { self.memory.write(address, &bytes[..element.data_type().bytes() as usize]) };
        Ok(())
    }

    /// The one element as a tensor, and its address.
    fn element(&mut self, tensor: &Tensor, indices: &[u32]) -> Result<(Tensor, u64), SubmitError> {
        self.check_run()?;
        if !self.parties().validity.is_usable(tensor) {
            let refusal = self.unusable(0, tensor);
            return Err(self.refuse(refusal));
        }
        let address = match tensor.element_address(indices) {
            Ok(address) => address,
            Err(error) => return Err(self.refuse(Refusal::View { error })),
        };
        match tensor.view(&[1; MAX_DIMENSIONS][..indices.len()], indices) {
            Ok(element) => Ok((self.external.rekeyed(&element), address)),
            Err(error) => Err(self.refuse(Refusal::View { error })),
        }
    }

    /// Waits for every live task that must come before these accesses.
    fn wait_for_producers(
        &mut self,
        element: &Tensor,
        accesses: &[Access],
        blocking: &mut dyn Blocking,
    ) -> Result<(), SubmitError> {
        if self.is_gated() {
            self.pass_gate(blocking)?;
        }
        let mut waiting = Waiting::new();
        if self.pieces_joined {
            self.wait_for_all(&mut waiting, blocking)?;
        }
        // Nothing is reclaimed before all of them have ended, so one look-up is enough.
        self.look_up_nothing();
        let Parties { index, mut producers, .. } = self.parties();
        producers.creator(element, true, 0);
        for &access in accesses {
            index.probe(element, access, 0, &mut producers);
        }
        self.index.begin();
        for place in 0..self.edge_set.len() {
            let (producer, flags) = self.edge_set.as_slice()[place];
            let ending = self.wait_for_end(producer, &mut waiting, blocking)?;
            if ending == Ending::Failed && flags.contains(EdgeFlags::DATA) {
                self.scratch.blame = self.graph.slots.get(producer).cause().min(self.scratch.blame);
            }
        }
        waiting.end(blocking);
        let cause = self.scratch.blame;
        self.reclaim_all();
        if cause == NO_CAUSE { Ok(()) } else { Err(self.data_lost(cause)) }
    }

    fn wait_for_end(
        &mut self,
        producer: SlotIndex,
        waiting: &mut Waiting,
        blocking: &mut dyn Blocking,
    ) -> Result<Ending, SubmitError> {
        loop {
            if let Some(ending) = self.graph.slots.get(producer).consumers.ending() {
                return Ok(ending);
            }
            if u128::from(waiting.elapsed_ns(blocking)) >= self.config.data_wait.as_nanos() {
                let fatal = self.data_wait_timeout(producer);
                return Err(self.latch(fatal));
            }
            self.round(Awaited::End(producer), waiting, blocking)?;
        }
    }

    #[cold]
    fn data_lost(&mut self, cause: Ordinal) -> SubmitError {
        match self.state().failure(cause) {
            Some(failure) => SubmitError::DataLost(failure),
            None => {
                let text =
                    format!("the data was to be written by a task that depends on submission {cause}, which failed");
                self.refuse(Refusal::Other { text })
            }
        }
    }

    #[cold]
    fn data_wait_timeout(&self, producer: SlotIndex) -> Fatal {
        // SAFETY: the slot is not reclaimed.
        let task = unsafe { self.graph.slots.get(producer).body() }.id;
        let known = self.describe.as_ref().and_then(|describe| describe(producer, task));
        let doing = known.unwrap_or_else(|| self.doing(producer));
        Fatal::DataWaitTimeout { task, doing, budget_ms: self.config.data_wait.as_millis() as u64 }
    }

    /// What a task that has not ended is doing, as far as the graph knows.
    fn doing(&self, slot: SlotIndex) -> String {
        let place = self.graph.slots.get(slot);
        if place.waits_left() == 0 {
            return "ready or running".to_owned();
        }
        let missing = self.missing_producers(slot);
        if missing.is_empty() {
            return format!("waiting for {} producers", place.waits_left());
        }
        format!("waiting for {missing:?}")
    }

    /// The producers that a waiting task still waits for.
    pub fn missing_producers(&self, slot: SlotIndex) -> Vec<TaskId> {
        let place = self.graph.slots.get(slot);
        // SAFETY: this is the orchestrator's thread; a slot that it has not reclaimed has its task's body.
        let body = *unsafe { place.body() };
        // SAFETY: as above.
        let ordinal = unsafe { self.graph.slots.ordinal(slot) };
        let (first, count) = (body.edges, body.edge_count);
        (first..first + count)
            .filter_map(|edge| {
                // SAFETY: the edge belongs to a task that is wired and not reclaimed.
                let edge = unsafe { self.graph.edges.get(EdgeIndex(edge)).read() };
                let producer = self.graph.slots.get(edge.producer);
                if !edge.flags.contains(EdgeFlags::WAIT) || producer.consumers.ending().is_some() {
                    return None;
                }
                // SAFETY: the slot has a task that has not ended, so it is not reclaimed.
                let earlier = unsafe { self.graph.slots.ordinal(edge.producer) } < ordinal;
                // SAFETY: as above. A producer that was not kept may be gone and its slot a later task's.
                earlier.then(|| unsafe { producer.body() }.id)
            })
            .collect()
    }
}
