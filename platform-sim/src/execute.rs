//! Running a dispatch on a core: what happens between the token in one register and the FIN in the other.

use crate::bus::RegisterBus;
use crate::core::POISON;
use crate::fault::Fault;
use crate::kernels::Entry;
use crate::pool::{Pool, Serve};
use crate::recorder::Execution;
use crate::sim::Shared;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::{CKernel, KernelCall, KernelContext, KernelError};
use prewire_runtime_core::platform::{BlockFailure, DispatchPayload, Dispatched, Outcome};
use prewire_runtime_core::port::{Condition, Token};
use prewire_runtime_core::sync::{Instant, Ordering, fence, sleep};
use std::any::Any;
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Room for a C kernel's text.
const TEXT_BYTES: usize = 256;

impl<B: RegisterBus> Shared<B> {
    /// Gives a dispatch to a core that has no fault and is not recorded, and runs it there, for the thread that dispatches: its own payload need not be put
    /// into the core's place, as nobody else looks there.
    ///
    /// # Safety
    /// The core has a free place for the token, this thread alone plays the core, a run began, and the payload's arguments are valid.
    #[inline(always)]
    pub(crate) unsafe fn run_plain(&self, core: CoreId, token: Token, payload: &DispatchPayload) -> Dispatched {
        let state = &self.cores[core.index()];
        self.bus.write_dispatch_and_start(core, token);
        state.start(token);
        // SAFETY: by contract.
        let result = unsafe { self.call(payload) };
        if result.is_err() || state.registered.load(Ordering::Relaxed) {
            self.end_unusually(core, token, result);
            return Dispatched::Ended;
        }
        state.set_outcome(token, Outcome::Ok);
        state.end();
        self.bus.write_condition(core, Condition::Finished(token).to_register());
        Dispatched::Well
    }

    /// Ends a plain dispatch that failed or left conditions.
    #[cold]
    #[inline(never)]
    fn end_unusually(&self, core: CoreId, token: Token, result: Result<(), Box<KernelError>>) {
        let state = &self.cores[core.index()];
        let outcome = self.settle(core, token, result);
        state.set_outcome(token, outcome);
        state.end();
        self.bus.write_condition(core, Condition::Finished(token).to_register());
    }

    /// Runs a dispatch with everything that may come with it: a fault, a record, siblings. `behind` says that it was pre-loaded.
    ///
    /// # Safety
    /// The token was written to the core and its payload put, this thread alone plays the core, a run began, and the payload's arguments are valid.
    pub(crate) unsafe fn run_with_care(&self, core: CoreId, token: Token, behind: bool) {
        let state = &self.cores[core.index()];
        let fault = self.fault(core);
        if fault == Some(Fault::RepeatsFin) {
            let last = state.last_finished.load(Ordering::Relaxed);
            if let Some(last) = Token::from_register(last) {
                self.bus.write_condition(core, Condition::Finished(last).to_register());
            }
        }
        self.bus.write_condition(core, Condition::Started(token).to_register());
        state.start(token);
        if behind && !cfg!(prewire_mutation = "promotion_not_rung") {
            // Only now is it plain that the dispatch before it has ended.
            self.ring(core);
        }
        // SAFETY: by contract the place is the core's.
        let payload = unsafe { state.payload(token) };
        let recording = self.recording.load(Ordering::Relaxed);
        let start_ns = if recording { self.clock.now_ns() } else { 0 };
        if let Some(Fault::Slow(time)) = fault {
            sleep(time);
        }
        let began = Instant::now();
        let result = match fault {
            Some(Fault::Hangs) => self.hang(payload),
            Some(Fault::Fails(code)) => Err(self.failing(core, code)),
            // SAFETY: a run began and by contract the payload's arguments are valid.
            _ => unsafe { self.call(payload) },
        };
        match fault {
            Some(Fault::SlowBy(times)) => sleep(began.elapsed() * times.saturating_sub(1)),
            Some(Fault::CompletesLate(time)) => sleep(time),
            _ => {}
        }
        if recording {
            let (task, kernel, block, part) = (payload.task, payload.kernel, payload.block, payload.part);
            let end_ns = self.clock.now_ns();
            self.recorder.push(Execution {
                core,
                task,
                kernel,
                block,
                part,
                token,
                dispatch_ns: start_ns,
                start_ns,
                end_ns,
            });
        }
        self.leave_cohort(payload, result.as_ref().err().map(|error| error.text.as_str()));
        let outcome = self.settle(core, token, result);
        match fault {
            Some(Fault::DamagesConditionCount) => {
                state.aside(token).lock().expect(POISON).conditions.damage_count();
            }
            Some(Fault::DamagesConditionKind) => {
                state.aside(token).lock().expect(POISON).conditions.damage_kinds();
            }
            _ => {}
        }
        state.set_outcome(token, outcome);
        state.end();
        let finished = Condition::Finished(token).to_register();
        self.bus.write_condition(core, finished);
        if fault == Some(Fault::RepeatsFin) {
            self.bus.write_condition(core, finished);
            state.last_finished.store(token.to_register(), Ordering::Relaxed);
        }
    }

    /// Calls the kernel of a payload. The error is boxed so that the usual answer is one register.
    ///
    /// # Safety
    /// Within a run; the payload's arguments are valid until the call returns.
    #[inline(always)]
    pub(crate) unsafe fn call(&self, payload: &DispatchPayload) -> Result<(), Box<KernelError>> {
        // SAFETY: the table is written only between runs.
        let kernels = unsafe { &*self.kernels.get() };
        let Entry::Rust(function) = kernels.get(payload.kernel) else {
            // SAFETY: by contract.
            return unsafe { call_other(kernels.get(payload.kernel), payload) };
        };
        // SAFETY: the table keeps the closure.
        let function = unsafe { &*function };
        // SAFETY: by contract.
        let context = unsafe { KernelContext::new(payload, self) };
        let call = AssertUnwindSafe(|| function(&context).map_err(Box::new));
        catch_unwind(call).unwrap_or_else(|panic| Err(panicked(&*panic)))
    }

    /// Leaves beside the core's place what is unusual about a dispatch's end.
    #[cold]
    pub(crate) fn settle(&self, core: CoreId, token: Token, result: Result<(), Box<KernelError>>) -> Outcome {
        let state = &self.cores[core.index()];
        let registered = state.registered.swap(false, Ordering::Relaxed);
        match result {
            Ok(()) if registered => Outcome::Deferred,
            Ok(()) => Outcome::Ok,
            Err(error) => {
                let KernelError { code, text } = *error;
                state.aside(token).lock().expect(POISON).failure = Some(BlockFailure { code, text });
                Outcome::Failed
            }
        }
    }

    /// What a core does that never ends its dispatch.
    fn hang(&self, payload: &DispatchPayload) -> Result<(), Box<KernelError>> {
        while !self.is_over(payload) {
            sleep(Duration::from_millis(1));
        }
        Err(Box::new(KernelError::new(KernelError::CANCELLED, "the core hung until the run was ended")))
    }

    /// The running dispatch has returned, and its siblings learn of it, if it has any.
    pub(crate) fn leave_cohort(&self, payload: &DispatchPayload, failure: Option<&str>) {
        let state = &self.cores[payload.core.index()];
        let Some(token) = state.pulse().running else { return };
        let member = state.aside(token).lock().expect(POISON).member.take();
        if let Some(member) = member {
            self.cohorts.leave(&member, failure);
        }
    }

    /// What a core says whose every dispatch fails.
    pub(crate) fn failing(&self, core: CoreId, code: i32) -> Box<KernelError> {
        Box::new(KernelError::new(code, format!("core {} fails every dispatch", self.chip.core_name(core))))
    }

    /// Wakes the core's owner if it sleeps, behind a store to the core's condition register.
    pub(crate) fn ring(&self, core: CoreId) {
        // The store and the look at the sleepers must not change places; the sleeper has the same fence between its announcement and its look.
        fence(Ordering::SeqCst);
        let owner = self.graph.owner_of(core);
        if self.graph.bells.idle() >> owner & 1 != 0 {
            self.graph.bells.ring(owner);
        }
    }
}

impl<B: RegisterBus> Serve for Shared<B> {
    fn serve(self: &Arc<Self>, core: CoreId, pool: &Arc<Pool>) {
        let state = &self.cores[core.index()];
        let mut behind = state.behind.swap(false, Ordering::Relaxed);
        loop {
            let Some(token) = Token::from_register(self.bus.read_dispatch(core) as u32) else {
                // Told to leave; what was pre-loaded is not run.
                self.leave(core);
                return;
            };
            // SAFETY: the token was just read from the register and has not ended.
            let payload = unsafe { state.payload(token) };
            if payload.concurrent && !Arc::ptr_eq(pool, &self.companions) {
                state.behind.store(behind, Ordering::Relaxed);
                self.companions.submit(core, self);
                return;
            }
            // SAFETY: whoever raised `pending` from 0 brought the core to this thread, and nobody else has it before it is 0 again.
            unsafe { self.run_with_care(core, token, behind) };
            self.ring(core);
            if state.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
                return;
            }
            behind = true;
        }
    }
}

/// Calls a kernel that is no closure, or says that there is none.
///
/// # Safety
/// The payload's arguments are valid until the call returns, and the table keeps what a function needs.
#[inline(never)]
unsafe fn call_other(entry: Entry, payload: &DispatchPayload) -> Result<(), Box<KernelError>> {
    match entry {
        // SAFETY: by contract.
        Entry::C(function, user) => unsafe { call_c(function, user, payload) },
        Entry::Rust(_) | Entry::Missing => {
            let text = format!("kernel {} is not registered", payload.kernel.0);
            Err(Box::new(KernelError::new(KernelError::ACCESS, text)))
        }
    }
}

/// Calls a C kernel.
///
/// # Safety
/// The payload's arguments are valid until the call returns, and the function is one that takes them.
unsafe fn call_c(function: CKernel, user: usize, payload: &DispatchPayload) -> Result<(), Box<KernelError>> {
    let mut text: [c_char; TEXT_BYTES] = [0; TEXT_BYTES];
    let mut call = KernelCall {
        tensors: payload.tensors,
        tensor_count: usize::from(payload.tensor_count),
        scalars: payload.scalars,
        scalar_count: usize::from(payload.scalar_count),
        block_index: payload.block,
        block_count: payload.blocks,
        part: u32::from(payload.part),
        user: user as *mut c_void,
        text: text.as_mut_ptr(),
        text_bytes: TEXT_BYTES,
    };
    // SAFETY: by contract.
    let code = unsafe { function(&raw mut call) };
    if code == 0 {
        return Ok(());
    }
    // A text without an end is cut.
    text[TEXT_BYTES - 1] = 0;
    // SAFETY: the last byte is NUL.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy();
    Err(Box::new(KernelError::new(code, if text.is_empty() { "the kernel left no text" } else { &*text })))
}

#[cold]
fn panicked(panic: &(dyn Any + Send)) -> Box<KernelError> {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned());
    Box::new(KernelError::new(KernelError::PANIC, text))
}
