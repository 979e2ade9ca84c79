//! The beginning and the end of a run: cores that announce themselves, and cores that leave.
//!
//! A core announces itself by a record in device memory; then its window is opened, the idle value written, and it answers in its condition
//! register. All cores are told to leave by one broadcast and share one deadline.

use crate::bus::RegisterBus;
use crate::fault::Fault;
use crate::sim::Shared;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::memory::DeviceMemory;
use prewire_runtime_core::port::{Condition, Token};
use prewire_runtime_core::sync::{Instant, Ordering, sleep};
use std::sync::Arc;
use std::time::Duration;

/// A core's record: its state, its physical number and its kind, each 32 bits, on a line of its own.
pub(crate) const HANDSHAKE_BYTES: u64 = 64;

/// The record of a core that has left.
const LEFT: u32 = u32::MAX;

/// How long a look at cores that have not answered yet is followed by rest.
const REST: Duration = Duration::from_micros(200);

/// How long a core that has just ended its last dispatch may take to be put aside by its thread.
const SETTLING: Duration = Duration::from_millis(50);

impl<B: RegisterBus> Shared<B> {
    /// Begins a run.
    pub(crate) fn begin(&self, run: u32, kernels: &Arc<KernelSet>) -> Result<(), String> {
        let busy = self.wait_for(SETTLING, |core| !self.is_busy(core));
        self.find_lost();
        if !busy.is_empty() {
            return Err(format!(
                "{} still busy with a kernel of an earlier run that ignores its cancellation: {}; begin a run when it has returned",
                if busy.len() == 1 { "a core is" } else { "cores are" },
                self.name_all(&busy)
            ));
        }
        // SAFETY: no core runs anything, and by the contract of `dispatch` none begins to before this call has returned.
        let table = unsafe { &mut *self.kernels.get() };
        table.load(kernels);
        self.cohorts.clear();
        self.run.store(u64::from(run) << 1, Ordering::Release);
        self.start_cores()?;
        self.up.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The handshake with all cores.
    fn start_cores(&self) -> Result<(), String> {
        for core in self.core_ids() {
            // SAFETY: the record is this chip's own and its core is not up.
            unsafe { self.memory.write(self.record(core), &[0; HANDSHAKE_BYTES as usize]) };
        }
        let began = Instant::now();
        let deadline = Duration::from_millis(self.chip.handshake_deadline_ms);
        let silent = self.wait_for(deadline, |core| {
            self.announce(core, began.elapsed());
            self.state_of(core) == u32::from(core.0) + 1
        });
        if !silent.is_empty() {
            return Err(self.unanswered("start-up handshake", deadline, &silent));
        }
        for core in self.core_ids() {
            if let Some(fast_path) = self.chip.registers.fast_path {
                self.bus.write_fast_path(core, fast_path.open);
            }
            self.bus.write_dispatch(core, u64::from(Token::IDLE));
            self.answer_idle(core);
        }
        let silent = self.wait_for(deadline, |core| self.condition(core) == Condition::Idle);
        if !silent.is_empty() {
            return Err(self.unanswered("idle value", deadline, &silent));
        }
        Ok(())
    }

    /// Tells all cores to leave; returns those that did not within the deadline they share.
    pub(crate) fn end(&self) -> Vec<CoreId> {
        if !self.up.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        for core in self.core_ids() {
            self.bus.write_dispatch(core, u64::from(Token::EXIT));
        }
        for core in self.core_ids() {
            let state = &self.cores[core.index()];
            // A core that a pooled thread plays is told by it; everybody else is played here.
            if state.pending.fetch_add(1, Ordering::AcqRel) == 0 {
                state.pending.store(0, Ordering::Release);
            }
        }
        let deadline = Duration::from_millis(self.chip.exit_deadline_ms);
        let silent = self.wait_for(deadline, |core| {
            if self.condition(core) != Condition::Exited && !self.is_busy(core) {
                self.leave(core);
            }
            self.condition(core) == Condition::Exited && self.state_of(core) == LEFT
        });
        for core in self.core_ids() {
            if let Some(fast_path) = self.chip.registers.fast_path {
                self.bus.write_fast_path(core, fast_path.close);
            }
        }
        for &core in &silent {
            if self.is_busy(core) && !self.cores[core.index()].lost.swap(true, Ordering::Relaxed) {
                self.memory.lost();
            }
        }
        self.find_lost();
        if !silent.is_empty() {
            tracing::warn!("{}", self.unanswered("call to leave", deadline, &silent));
        }
        silent
    }

    /// Gives back what was kept for kernels that were lost and have returned since.
    fn find_lost(&self) {
        for core in self.core_ids() {
            let state = &self.cores[core.index()];
            if state.lost.load(Ordering::Relaxed) && !self.is_busy(core) && state.lost.swap(false, Ordering::Relaxed) {
                self.memory.found();
            }
        }
    }

    /// Cancels a run and wakes those of its kernels that wait for one another.
    pub(crate) fn cancel_run(&self, run: u32) {
        let open = u64::from(run) << 1;
        // A run that is over, or cancelled already, stays as it is; waking once more does no harm.
        let _ = self.run.compare_exchange(open, open | 1, Ordering::AcqRel, Ordering::Relaxed);
        self.cohorts.wake_all();
    }

    /// The chip is given up: no kernel's run goes on.
    pub(crate) fn end_run_for_good(&self) {
        self.run.store(u64::MAX, Ordering::Release);
        self.cohorts.wake_all();
    }

    pub(crate) fn exit_deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.chip.exit_deadline_ms)
    }

    /// Whether a kernel runs on the core or a thread has it.
    fn is_busy(&self, core: CoreId) -> bool {
        let state = &self.cores[core.index()];
        state.pending.load(Ordering::Acquire) != 0 || state.pulse().running.is_some()
    }

    fn condition(&self, core: CoreId) -> Condition {
        Condition::from_register(self.bus.read_condition(core))
    }

    /// Waits until every core is `done`, at most `limit` for all together; returns those that are not.
    fn wait_for(&self, limit: Duration, mut done: impl FnMut(CoreId) -> bool) -> Vec<CoreId> {
        let began = Instant::now();
        let mut open: Vec<CoreId> = self.core_ids().collect();
        loop {
            open.retain(|&core| !done(core));
            if open.is_empty() || began.elapsed() >= limit {
                return open;
            }
            sleep(REST);
        }
    }

    fn unanswered(&self, what: &str, deadline: Duration, silent: &[CoreId]) -> String {
        format!("no answer to the {what} within {} ms from {}", deadline.as_millis(), self.name_all(silent))
    }

    fn record(&self, core: CoreId) -> u64 {
        self.handshake + HANDSHAKE_BYTES * u64::from(core.0)
    }

    /// The state in a core's record, as a scheduler reads it.
    fn state_of(&self, core: CoreId) -> u32 {
        // SAFETY: the record is mapped and aligned for the chip's life.
        unsafe { self.memory.read_counter(self.record(core)) }
    }

    /// The core writes its record.
    fn write_record(&self, core: CoreId, state: u32) {
        let words = [state, u32::from(core.0), self.chip.kind_of(core) as u32];
        let mut bytes = [0; 12];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        // SAFETY: the record is this chip's own, and only its core writes it now.
        unsafe { self.memory.write(self.record(core), &bytes) };
    }

    /// The core announces itself, if it is not held up.
    fn announce(&self, core: CoreId, waited: Duration) {
        match self.fault(core) {
            Some(Fault::NeverStarts) => {}
            Some(Fault::StartsLate(time)) if waited < time => {}
            _ => self.write_record(core, u32::from(core.0) + 1),
        }
    }

    /// The core sees the idle value and says that it is idle.
    fn answer_idle(&self, core: CoreId) {
        if self.bus.read_dispatch(core) == u64::from(Token::IDLE) {
            self.bus.write_condition(core, Condition::Idle.to_register());
        }
    }

    /// The core has been told to leave, and does.
    pub(crate) fn leave(&self, core: CoreId) {
        let stays = self.fault(core) == Some(Fault::NeverExits);
        if !stays {
            self.write_record(core, LEFT);
        }
        // Before the answer, so that who sees it finds the core free.
        self.cores[core.index()].pending.store(0, Ordering::Release);
        if !stays {
            self.bus.write_condition(core, Condition::Exited.to_register());
        }
    }
}
