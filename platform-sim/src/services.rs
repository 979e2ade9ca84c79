//! What running kernels may ask of the chip.

use crate::bus::RegisterBus;
use crate::cohort::Member;
use crate::config::Engine;
use crate::core::POISON;
use crate::sim::Shared;
use crate::virtual_time;
use prewire_runtime_core::kernel::{Condition, KernelError, KernelServices};
use prewire_runtime_core::platform::DispatchPayload;
use prewire_runtime_core::sync::{Instant, Ordering, sleep, thread, thread_local};
use std::cell::Cell;
use std::time::Duration;

/// Rounds in which a polling kernel only gives its processor away; then it sleeps between looks.
const YIELDS: u32 = 20;

/// How long it sleeps.
const NAP: Duration = Duration::from_micros(100);

/// A kernel that has not polled for this long begins anew.
const FORGET: Duration = Duration::from_millis(5);

thread_local! {
    /// How often this thread's kernel has polled in a row, and when it last did.
    static POLLS: Cell<(u32, Option<Instant>)> = const { Cell::new((0, None)) };
}

impl<B: RegisterBus> Shared<B> {
    /// Whether the payload's run is over: cancelled here, ended by a fatal, or followed by another run.
    pub(crate) fn is_over(&self, payload: &DispatchPayload) -> bool {
        let run = &self.graph.run;
        self.run.load(Ordering::Acquire) != u64::from(payload.run) << 1
            || (run.is_cancelled() && run.run() == payload.run)
    }

    /// The running dispatch's place among its siblings, if it has any that run at the same time.
    fn member(&self, payload: &DispatchPayload) -> Option<Member> {
        let state = &self.cores[payload.core.index()];
        let token = state.pulse().running?;
        state.aside(token).lock().expect(POISON).member.clone()
    }

    fn alone(&self, payload: &DispatchPayload, what: &str) -> KernelError {
        let remedy = if self.engine == Engine::InlineOnly && payload.concurrent {
            "the engine that runs everything inline cannot run them at the same time; choose the default engine or threads"
        } else {
            "they need not run at the same time; submit the task as a gang"
        };
        KernelError::new(
            KernelError::ACCESS,
            format!("task {} uses a {what} between its blocks or parts, and {remedy}", payload.task),
        )
    }
}

impl<B: RegisterBus> KernelServices for Shared<B> {
    fn is_cancelled(&self, payload: &DispatchPayload) -> bool {
        self.is_over(payload)
    }

    fn alive(&self, payload: &DispatchPayload) {
        self.cores[payload.core.index()].alive();
    }

    fn barrier(&self, payload: &DispatchPayload) -> Result<(), KernelError> {
        match self.member(payload) {
            Some(member) => member.barrier(|| self.is_over(payload)),
            None if payload.blocks == 1 && payload.parts.count_ones() == 1 => Ok(()),
            None => Err(self.alone(payload, "barrier")),
        }
    }

    fn sibling_failed(&self, payload: &DispatchPayload) -> bool {
        self.member(payload).is_some_and(|member| member.sibling_failed())
    }

    fn send(&self, payload: &DispatchPayload, to_part: usize, value: u64) -> Result<(), KernelError> {
        let member = self.member(payload).ok_or_else(|| self.alone(payload, "pipe"))?;
        member.send(to_part, value, || self.is_over(payload))
    }

    fn receive(&self, payload: &DispatchPayload, from_part: usize) -> Result<u64, KernelError> {
        let member = self.member(payload).ok_or_else(|| self.alone(payload, "pipe"))?;
        member.receive(from_part, || self.is_over(payload))
    }

    fn defer(&self, payload: &DispatchPayload, condition: Condition) {
        let state = &self.cores[payload.core.index()];
        let Some(token) = state.pulse().running else { return };
        let mut aside = state.aside(token).lock().expect(POISON);
        if !state.registered.swap(true, Ordering::Relaxed) {
            aside.conditions.clear();
        }
        aside.conditions.register(condition);
    }

    fn relax(&self) {
        if virtual_time::is_by_baton() {
            return virtual_time::pass_on(false);
        }
        let now = Instant::now();
        let (polls, last) = POLLS.with(Cell::get);
        let polls = if last.is_some_and(|last| now.duration_since(last) < FORGET) { polls } else { 0 };
        POLLS.with(|own| own.set((polls.saturating_add(1), Some(now))));
        if polls < YIELDS {
            thread::yield_now();
        } else {
            sleep(NAP);
        }
    }
}
