//! The simulated chip as the engine sees it.

use crate::bus::RegisterBus;
use crate::config::Engine;
use crate::core::POISON;
use crate::sim::Sim;
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::{Condition as CompletionCondition, KernelError, KernelSet};
use prewire_runtime_core::platform::{BlockFailure, DeferError, DispatchPayload, Dispatched, Outcome, Platform, Pulse};
use prewire_runtime_core::port::{Condition, Token};
use prewire_runtime_core::sync::Ordering;
use prewire_runtime_core::tensor::DataType;
use std::sync::Arc;

impl<B: RegisterBus> Sim<B> {
    /// A dispatch that a thread of its own runs, or that comes with a fault, a record or siblings.
    ///
    /// # Safety
    /// As for [`Platform::dispatch`].
    #[inline(never)]
    unsafe fn dispatch_with_care(&self, core: CoreId, token: Token, payload: &DispatchPayload) -> Dispatched {
        let shared = &self.shared;
        let state = &shared.cores[core.index()];
        let together = payload.concurrent && shared.engine != Engine::InlineOnly;
        if together {
            state.aside(token).lock().expect(POISON).member = Some(shared.cohorts.join(payload));
        }
        // SAFETY: by contract the core has a free place for the token.
        unsafe { state.put(token, payload) };
        shared.bus.write_dispatch(core, u64::from(token.to_register()));
        if !together && shared.engine != Engine::Threads {
            // SAFETY: the token was written and its payload put, and this thread plays the core.
            unsafe { shared.run_with_care(core, token, false) };
            return Dispatched::Ended;
        }
        if state.pending.fetch_add(1, Ordering::AcqRel) == 0 {
            let pool = if together { &shared.companions } else { &shared.workers };
            pool.submit(core, shared);
        }
        Dispatched::Given
    }
}

impl<B: RegisterBus> Platform for Sim<B> {
    fn chip(&self) -> &ChipSpec {
        &self.shared.chip
    }

    #[inline]
    unsafe fn dispatch(&self, core: CoreId, token: Token, payload: &DispatchPayload) -> Dispatched {
        let shared = &*self.shared;
        if payload.concurrent || !shared.quick.load(Ordering::Relaxed) {
            // SAFETY: by contract.
            return unsafe { self.dispatch_with_care(core, token, payload) };
        }
        // SAFETY: this thread plays the core; the rest by contract.
        unsafe { shared.run_plain(core, token, payload) }
    }

    #[inline]
    fn poll(&self, core: CoreId) -> Condition {
        Condition::from_register(self.shared.bus.read_condition(core))
    }

    #[inline]
    fn outcome(&self, core: CoreId, token: Token) -> Outcome {
        self.shared.cores[core.index()].outcome(token)
    }

    fn take_failure(&self, core: CoreId, token: Token) -> BlockFailure {
        let failure = self.shared.cores[core.index()].aside(token).lock().expect(POISON).failure.take();
        failure.unwrap_or_else(|| BlockFailure {
            code: KernelError::ACCESS,
            text: "the failure was taken before, or the dispatch did not fail".to_owned(),
        })
    }

    fn take_conditions(
        &self,
        core: CoreId,
        token: Token,
        each: &mut dyn FnMut(CompletionCondition),
    ) -> Result<(), DeferError> {
        let mut aside = self.shared.cores[core.index()].aside(token).lock().expect(POISON);
        aside.conditions.take(|counter| self.shared.memory.contains(counter, 4), each)
    }

    fn condition_holds(&self, condition: &CompletionCondition) -> bool {
        self.counter_value(condition) >= condition.expected
    }

    fn counter_value(&self, condition: &CompletionCondition) -> u32 {
        // SAFETY: the counter was found aligned and in device memory when it was taken, and its task keeps that memory.
        unsafe { self.shared.memory.read_counter(condition.counter) }
    }

    fn can_preload(&self) -> bool {
        self.shared.engine == Engine::Threads
    }

    fn runs_concurrently(&self) -> bool {
        self.shared.engine != Engine::InlineOnly
    }

    fn read_operand(&self, address: u64, data_type: DataType) -> i128 {
        let mut bytes = [0; 8];
        let length = data_type.bytes() as usize;
        // SAFETY: the operand is an argument of a ready task, and its producers are done.
        unsafe { self.shared.memory.read_bytes(address, &mut bytes[..length]) };
        data_type.integer(bytes)
    }

    fn now_ns(&self) -> u64 {
        self.shared.clock.now_ns()
    }

    fn pulse(&self, core: CoreId) -> Pulse {
        self.shared.cores[core.index()].pulse()
    }

    fn begin_run(&self, run: u32, kernels: &Arc<KernelSet>) -> Result<(), String> {
        self.shared.begin(run, kernels)
    }

    fn cancel(&self, run: u32) {
        self.shared.cancel_run(run);
    }

    fn exit(&self) -> Vec<CoreId> {
        self.shared.end()
    }
}
