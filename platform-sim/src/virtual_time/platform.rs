//! The chip in virtual time as the engine sees it: every call costs the scheduler instance that makes it what it costs on the chip.

use super::VirtualSim;
use crate::core::POISON;
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::{Condition as CompletionCondition, KernelSet};
use prewire_runtime_core::platform::{BlockFailure, DeferError, DispatchPayload, Dispatched, Outcome, Platform, Pulse};
use prewire_runtime_core::port::{Condition, Token};
use prewire_runtime_core::tensor::DataType;
use std::sync::Arc;

impl Platform for VirtualSim {
    fn chip(&self) -> &ChipSpec {
        self.sim.chip()
    }

    unsafe fn dispatch(&self, core: CoreId, token: Token, payload: &DispatchPayload) -> Dispatched {
        if payload.concurrent {
            let shared = &self.sim.shared;
            let mut aside = shared.cores[core.index()].aside(token).lock().expect(POISON);
            aside.member = Some(shared.cohorts.join(payload));
        }
        self.world().dispatch(core, token, payload);
        Dispatched::Given
    }

    fn poll(&self, core: CoreId) -> Condition {
        let mut world = self.world();
        let world = &mut *world;
        if world.stepping.is_none() {
            return world.cores[core.index()].read(world.now_ns);
        }
        world.clock_ns += world.random.within(world.latencies.register_read_ns);
        // What comes behind the sweep has not happened yet.
        let at_ns = world.clock_ns.min(world.now_ns);
        world.cores[core.index()].look(at_ns)
    }

    fn outcome(&self, core: CoreId, token: Token) -> Outcome {
        let mut world = self.world();
        world.clock_ns += world.latencies.complete_ns;
        self.sim.outcome(core, token)
    }

    fn take_failure(&self, core: CoreId, token: Token) -> BlockFailure {
        self.sim.take_failure(core, token)
    }

    fn take_conditions(
        &self,
        core: CoreId,
        token: Token,
        each: &mut dyn FnMut(CompletionCondition),
    ) -> Result<(), DeferError> {
        self.sim.take_conditions(core, token, each)
    }

    fn condition_holds(&self, condition: &CompletionCondition) -> bool {
        self.sim.condition_holds(condition)
    }

    fn counter_value(&self, condition: &CompletionCondition) -> u32 {
        self.sim.counter_value(condition)
    }

    fn can_preload(&self) -> bool {
        true
    }

    fn runs_concurrently(&self) -> bool {
        true
    }

    fn charge_release(&self) {
        let mut world = self.world();
        world.clock_ns += world.latencies.resolve_ns;
    }

    fn read_operand(&self, address: u64, data_type: DataType) -> i128 {
        self.sim.read_operand(address, data_type)
    }

    fn now_ns(&self) -> u64 {
        VirtualSim::now_ns(self)
    }

    fn pulse(&self, core: CoreId) -> Pulse {
        self.sim.pulse(core)
    }

    fn begin_run(&self, run: u32, kernels: &Arc<KernelSet>) -> Result<(), String> {
        self.sim.begin_run(run, kernels)?;
        self.world().begin_run();
        Ok(())
    }

    fn cancel(&self, run: u32) {
        self.sim.cancel(run);
        // Kernels that wait for one another are told, and return.
        self.go_round();
        self.world().cancel();
    }

    fn exit(&self) -> Vec<CoreId> {
        self.sim.exit()
    }
}
