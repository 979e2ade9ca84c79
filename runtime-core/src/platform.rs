//! The border between the engine and what it runs on: a set of cores that take a dispatch and report completion.

use crate::chip::ChipSpec;
use crate::id::{CoreId, KernelId, SlotIndex, TaskId};
use crate::kernel::{Condition as CompletionCondition, KernelSet};
use crate::port::{Condition, Token};
use crate::tensor::{DataType, TensorArgument};
use std::sync::Arc as StdArc;
use std::time::Duration;

/// What a core is given with a token: which block of which task, and where its arguments are.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct DispatchPayload {
    /// The task.
    pub task: TaskId,
    /// Its tensor arguments.
    pub tensors: *const TensorArgument,
    /// Its scalar arguments.
    pub scalars: *const u64,
    /// Its slot.
    pub slot: SlotIndex,
    /// The block.
    pub block: u32,
    /// How many blocks the task has.
    pub blocks: u32,
    /// The run the task belongs to, so that a kernel that comes back late knows its own run's end.
    pub run: u32,
    /// The core, for services.
    pub core: CoreId,
    /// The kernel.
    pub kernel: KernelId,
    /// The core's part of its cluster: 0 cube, 1 and 2 vector.
    pub part: u8,
    /// The parts the task uses, as [`crate::slot::Parts`].
    pub parts: u8,
    /// How many tensor arguments there are.
    pub tensor_count: u16,
    /// How many scalar arguments there are.
    pub scalar_count: u16,
    /// Whether blocks or parts of the task may wait for one another, so that the kernel must not run on the dispatching thread.
    pub concurrent: bool,
}

// SAFETY: the pointers are to the argument arena, which is read-only for the task's life and shared by all threads.
unsafe impl Send for DispatchPayload {}
// SAFETY: as above.
unsafe impl Sync for DispatchPayload {}

/// What a platform says of a dispatch when it has been given to its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatched {
    /// The core runs it, or is about to.
    Given,
    /// It may have ended by now, in any way, so that polling is worth while.
    Ended,
    /// It has ended with success and no conditions. The core says so, too, but need not be asked.
    Well,
}

/// How a block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its kernel returned success.
    Ok,
    /// Its kernel failed; [`Platform::take_failure`] says how.
    Failed,
    /// Its kernel returned success and registered conditions; [`Platform::take_conditions`] has them.
    Deferred,
}

/// What a failing kernel left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFailure {
    /// The kernel's code.
    pub code: i32,
    /// The kernel's text.
    pub text: String,
}

/// Why registered conditions cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeferError {
    /// A counter is null or outside device memory (code 101).
    Invalid(String),
    /// More than 64 conditions (code 102).
    TooMany(String),
    /// A record that means nothing (code 103).
    Malformed(String),
}

/// A core's pulse: it changes with each dispatch that starts and with each sign of life. A watchdog compares two samples of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// The started and not yet ended dispatch, if there is one.
    pub running: Option<Token>,
    /// A number that changes with each start and each sign of life.
    pub beat: u64,
}

/// Whether a core can be given work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Up,
    /// Not now: it is being replaced. What is directed at it waits.
    Down,
    /// Never again: whatever is dispatched to it fails at once, so only what nobody else may run is.
    Gone,
}

/// The cores of one chip, or whatever plays their part.
///
/// A core's methods are called only by the scheduler instance that owns the core, except [`Platform::pulse`], [`Platform::cancel`] and
/// [`Platform::exit`].
pub trait Platform: Send + Sync {
    /// What the chip is.
    fn chip(&self) -> &ChipSpec;

    /// Puts the payload where the core finds it and writes the token. Says whether the block has ended when the call returns.
    ///
    /// # Safety
    /// The payload's arguments stay valid until the block has ended, and the core has a free place for the token.
    unsafe fn dispatch(&self, core: CoreId, token: Token, payload: &DispatchPayload) -> Dispatched;

    /// Reads what the core says.
    fn poll(&self, core: CoreId) -> Condition;

    /// How the dispatch ended. Valid once its end was observed and until two more tokens were written to the core.
    fn outcome(&self, core: CoreId, token: Token) -> Outcome;

    /// Takes what a failed dispatch left.
    fn take_failure(&self, core: CoreId, token: Token) -> BlockFailure;

    /// Takes the conditions that a dispatch registered.
    ///
    /// # Errors
    /// If they cannot be watched.
    fn take_conditions(
        &self,
        core: CoreId,
        token: Token,
        each: &mut dyn FnMut(CompletionCondition),
    ) -> Result<(), DeferError>;

    /// Whether a condition holds; everything written before the counter reached its value is then visible.
    fn condition_holds(&self, condition: &CompletionCondition) -> bool;

    /// The counter's present value, for reports.
    fn counter_value(&self, condition: &CompletionCondition) -> u32;

    /// Whether a second dispatch behind a running one is worth while on this platform.
    fn can_preload(&self) -> bool;

    /// Whether a dispatch that its core has not started can be taken back and given to another core.
    #[inline(always)]
    fn can_revoke(&self) -> bool {
        false
    }

    /// Takes back the newest dispatch to a core. True if the core has not started it and never will; its token is then used again. A core that has left
    /// ([`Condition::Exited`]) while it held what it had not started is asked for all of that, the newest first.
    fn revoke(&self, _core: CoreId, _token: Token) -> bool {
        false
    }

    /// Whether kernels that wait for one another can run at the same time.
    fn runs_concurrently(&self) -> bool;

    /// A number that changes whenever the answer of [`Platform::availability`] does for any core. The platform rings the owner's bell then.
    #[inline(always)]
    fn availability_epoch(&self) -> u32 {
        0
    }

    /// Whether a core can be given work; a chip's cores always can.
    #[inline]
    fn availability(&self, _core: CoreId) -> Availability {
        Availability::Up
    }

    /// A task has kept a core for longer than its budget. True if the platform takes the core away from it, so that the task fails and the run goes on; else
    /// the run is ended. It may be asked again until the dispatch has ended.
    fn end_overdue(&self, _core: CoreId, _budget_ns: u64) -> bool {
        false
    }

    /// How often the watchdog looks, if the platform wants it to look more seldom than the budgets suggest.
    fn watch_interval(&self) -> Option<Duration> {
        None
    }

    /// Shows a warning that is a note of the run's report, too, to whoever looks on, if the platform has a place for such.
    fn warn(&self, _text: &str) {}

    /// A consumer was released in the walk of a completed task. Where time is modelled, the scheduler instance that steps pays for it.
    #[inline(always)]
    fn charge_release(&self) {}

    /// A predicate's operand.
    fn read_operand(&self, address: u64, data_type: DataType) -> i128;

    /// Nanoseconds since some moment before the run.
    fn now_ns(&self) -> u64;

    /// A core's pulse. Any thread may ask.
    fn pulse(&self, core: CoreId) -> Pulse;

    /// Begins a run: the kernels it uses, its number, and cores that answer.
    ///
    /// # Errors
    /// A sentence that names the cores that do not answer or are still busy with a kernel of an earlier run.
    fn begin_run(&self, run: u32, kernels: &StdArc<KernelSet>) -> Result<(), String>;

    /// Tells every kernel of the run to return, and wakes those that wait for one another. Any thread may call it, more than once.
    fn cancel(&self, run: u32);

    /// Tells all cores to leave and waits for them, all together at most [`ChipSpec::exit_deadline_ms`]. Returns the cores that did not answer.
    fn exit(&self) -> Vec<CoreId>;
}
