//! One core: its two places for dispatches, its pulse, and who runs it.
//!
//! A place belongs to the scheduler from the end of its last dispatch until the next token is written, and to the core from then until the
//! end is written into the condition register. Registers are written with release and read with acquire, so the places need no locks.

use crate::cohort::Member;
use crate::deferred::Slab;
use prewire_runtime_core::id::{CoreId, KernelId, SlotIndex, TaskId};
use prewire_runtime_core::platform::{BlockFailure, DispatchPayload, Outcome, Pulse};
use prewire_runtime_core::port::Token;
use prewire_runtime_core::sync::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Mutex, Ordering};
use std::cell::UnsafeCell;

/// How a dispatch ended, as one byte.
const OK: u8 = 0;
const FAILED: u8 = 1;
const DEFERRED: u8 = 2;

/// What a core leaves beside its register in unusual cases; one per place.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    pub(crate) failure: Option<BlockFailure>,
    pub(crate) conditions: Slab,
    /// The dispatch's share in what its blocks and parts do together.
    pub(crate) member: Option<Member>,
}

/// One core.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Core {
    /// The started and not yet ended token below (or the idle value), the beat above. Written by the core alone.
    pulse: AtomicU64,
    /// Dispatches written and not yet ended, on cores that pooled threads run: whoever raises it from 0 brings the core to a thread, and that thread
    /// keeps the core until it has brought it back to 0.
    pub(crate) pending: AtomicU32,
    outcomes: [AtomicU8; 2],
    /// Whether a kernel has registered conditions since the dispatch began.
    pub(crate) registered: AtomicBool,
    /// Whether the core did not leave when told to.
    pub(crate) lost: AtomicBool,
    /// Whether the dispatch that the core is handed over with was pre-loaded behind another one.
    pub(crate) behind: AtomicBool,
    /// The condition register's last FIN, for a core that repeats it.
    pub(crate) last_finished: AtomicU32,
    payloads: [UnsafeCell<DispatchPayload>; 2],
    asides: [Mutex<Aside>; 2],
}

// SAFETY: the payload places follow the protocol in the module's documentation.
unsafe impl Sync for Core {}

pub(crate) const POISON: &str = "no code panics while it holds a core's aside";

impl Core {
    pub(crate) fn new() -> Self {
        let payload = || DispatchPayload {
            task: TaskId::NONE,
            tensors: std::ptr::null(),
            scalars: std::ptr::null(),
            slot: SlotIndex(0),
            block: 0,
            blocks: 0,
            run: 0,
            core: CoreId(0),
            kernel: KernelId(0),
            part: 0,
            parts: 0,
            tensor_count: 0,
            scalar_count: 0,
            concurrent: false,
        };
        Core {
            pulse: AtomicU64::new(u64::from(Token::IDLE)),
            pending: AtomicU32::new(0),
            outcomes: [AtomicU8::new(OK), AtomicU8::new(OK)],
            registered: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            behind: AtomicBool::new(false),
            last_finished: AtomicU32::new(Token::IDLE),
            payloads: [UnsafeCell::new(payload()), UnsafeCell::new(payload())],
            asides: Default::default(),
        }
    }

    /// Puts a payload into the place of a token.
    ///
    /// # Safety
    /// The place is the scheduler's.
    #[inline]
    pub(crate) unsafe fn put(&self, token: Token, payload: &DispatchPayload) {
        let place = self.payloads[token.parity()].get();
        // SAFETY: by contract nobody else looks at the place.
        unsafe { *place = *payload };
    }

    /// The payload of a token.
    ///
    /// # Safety
    /// The token was read from the dispatch register and has not ended, or the caller is the scheduler that wrote it.
    #[inline]
    pub(crate) unsafe fn payload(&self, token: Token) -> &DispatchPayload {
        let place = self.payloads[token.parity()].get();
        // SAFETY: by contract nobody writes the place.
        unsafe { &*place }
    }

    /// What lies beside a token's place.
    pub(crate) fn aside(&self, token: Token) -> &Mutex<Aside> {
        &self.asides[token.parity()]
    }

    /// The core has started a dispatch.
    #[inline]
    pub(crate) fn start(&self, token: Token) {
        let beat = (self.pulse.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        self.pulse.store(beat << 32 | u64::from(token.to_register()), Ordering::Relaxed);
    }

    /// The running dispatch is over. Release: who sees the core at rest sees what its kernel did.
    #[inline]
    pub(crate) fn end(&self) {
        let beat = self.pulse.load(Ordering::Relaxed) >> 32;
        self.pulse.store(beat << 32 | u64::from(Token::IDLE), Ordering::Release);
    }

    /// A sign of life of the running kernel.
    pub(crate) fn alive(&self) {
        self.pulse.fetch_add(1 << 32, Ordering::Relaxed);
    }

    /// The pulse, for any thread.
    #[inline]
    pub(crate) fn pulse(&self) -> Pulse {
        let pulse = self.pulse.load(Ordering::Acquire);
        Pulse { running: Token::from_register(pulse as u32), beat: pulse >> 32 }
    }

    #[inline]
    pub(crate) fn set_outcome(&self, token: Token, outcome: Outcome) {
        let byte = match outcome {
            Outcome::Ok => OK,
            Outcome::Failed => FAILED,
            Outcome::Deferred => DEFERRED,
        };
        // Relaxed: the condition register's store follows and publishes it.
        self.outcomes[token.parity()].store(byte, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn outcome(&self, token: Token) -> Outcome {
        match self.outcomes[token.parity()].load(Ordering::Relaxed) {
            OK => Outcome::Ok,
            DEFERRED => Outcome::Deferred,
            _ => Outcome::Failed,
        }
    }
}
