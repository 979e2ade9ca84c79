//! Cores that misbehave, for tests of what the engine makes of them.

use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::sync::Mutex;
use std::time::Duration;

/// How a core misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It never answers its start-up handshake.
    NeverStarts,
    /// It answers its start-up handshake this late.
    StartsLate(Duration),
    /// It runs its kernels and never says that it has left.
    NeverExits,
    /// It says once more that the dispatch before has ended, when it is given the next one and when that one has ended.
    RepeatsFin,
    /// It starts every dispatch, never runs the kernel, and ends when the run is cancelled.
    Hangs,
    /// It takes this much longer for every dispatch.
    Slow(Duration),
    /// It takes so many times as long for every dispatch.
    SlowBy(u32),
    /// Every dispatch fails with this code instead of running its kernel.
    Fails(i32),
    /// It says this much late that a dispatch has ended.
    CompletesLate(Duration),
    /// The record of conditions that its kernels register is damaged: it says that there are more than fit.
    DamagesConditionCount,
    /// The record of conditions that its kernels register is damaged: the kind of each is unknown.
    DamagesConditionKind,
}

const POISON: &str = "no code panics while it holds the faults";

/// Each core's fault, if it has one.
#[derive(Debug)]
pub(crate) struct Faults(Mutex<Vec<Option<Fault>>>);

impl Faults {
    pub(crate) fn none(cores: u16) -> Self {
        Faults(Mutex::new(vec![None; usize::from(cores)]))
    }

    /// Gives a core a fault or takes it away. True if any core has one now.
    pub(crate) fn set(&self, core: CoreId, fault: Option<Fault>) -> bool {
        let mut faults = self.0.lock().expect(POISON);
        faults[core.index()] = fault;
        faults.iter().any(Option::is_some)
    }

    pub(crate) fn of(&self, core: CoreId) -> Option<Fault> {
        self.0.lock().expect(POISON)[core.index()]
    }
}
