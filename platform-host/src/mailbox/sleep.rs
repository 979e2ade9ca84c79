//! A word that a party sleeps on and that another process rings.
//!
//! The sleeper arms the word, puts a full fence behind it, looks once more for what it waits for, and sleeps while the word is armed. Whoever has
//! something for it publishes that, puts a full fence behind it, and looks at the word. So at least one of them sees the other, and a party that is
//! awake costs the ringer one load.

use crate::sync::{AtomicU32, Ordering, fence};
#[cfg(not(loom))]
use rustix::thread::futex;
use std::time::Duration;

const AWAKE: u32 = 0;
const ARMED: u32 = 1;

/// The word.
#[derive(Debug)]
#[repr(transparent)]
pub struct SleepWord(AtomicU32);

impl SleepWord {
    /// The word of a party that is awake; zeroed memory is one too.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        SleepWord(AtomicU32::new(AWAKE))
    }

    /// The party is about to sleep. It looks for work behind this call.
    #[inline]
    pub fn arm(&self) {
        self.0.store(ARMED, Ordering::Relaxed);
        if !cfg!(prewire_mutation = "arm_without_fence") {
            fence(Ordering::SeqCst);
        }
    }

    /// The party is awake.
    #[inline]
    pub fn disarm(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }

    /// Whether nobody has rung since the word was armed.
    #[inline]
    pub fn is_armed(&self) -> bool {
        self.0.load(Ordering::Acquire) == ARMED
    }

    /// Disarms the word for its party, behind a publication. True if it was armed: then the caller wakes it.
    #[inline]
    #[must_use]
    pub fn claim(&self) -> bool {
        if !cfg!(prewire_mutation = "ring_without_fence") {
            fence(Ordering::SeqCst);
        }
        self.0.load(Ordering::Relaxed) == ARMED && self.0.swap(AWAKE, Ordering::AcqRel) == ARMED
    }
}

#[cfg(not(loom))]
impl SleepWord {
    /// Wakes the party if it sleeps or is about to, behind a publication.
    #[inline]
    pub fn ring(&self) {
        if self.claim() {
            // Nobody sleeping is nothing to mend: the party sees that it was disarmed before it sleeps.
            let _woken = futex::wake(&self.0, futex::Flags::empty(), u32::MAX);
        }
    }

    /// Sleeps while the word is armed, at most `timeout`. It may wake early.
    pub fn doze(&self, timeout: Option<Duration>) {
        let timeout = timeout.map(|timeout| futex::Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        // A signal, a ring just before and the end of the time are all the same: whoever waits looks again.
        let _why = futex::wait(&self.0, futex::Flags::empty(), ARMED, timeout.as_ref());
    }
}

/// A model has no system to sleep in: who dozes is parked until whoever rang unparks it, so that a lost ring is a deadlock that loom reports.
#[cfg(loom)]
#[allow(missing_docs)]
impl SleepWord {
    pub fn ring(&self) {
        let _asleep = self.claim();
    }

    pub fn doze(&self, _: Option<Duration>) {
        while self.is_armed() {
            prewire_runtime_core::sync::thread::park();
        }
    }
}

/// Sleeps on `word` unless `look` finds something behind its being armed. True if it did.
pub fn sleep_on(word: &SleepWord, timeout: Option<Duration>, look: impl FnOnce() -> bool) -> bool {
    word.arm();
    let found = look();
    if !found {
        word.doze(timeout);
    }
    word.disarm();
    found
}
