//! The state word of a frame.

use crate::sync::{AtomicU64, Ordering};
use prewire_runtime_core::port::Token;

/// Where a frame is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// Nothing is in it.
    Empty = 0,
    /// The runtime has put a task in; the worker may start it, the runtime may take it back.
    Published = 1,
    /// The worker runs the task.
    Running = 2,
    /// The task ended well.
    Done = 3,
    /// The task failed; the frame says how.
    Failed = 4,
    /// The runtime took the task back before the worker started it.
    Revoked = 5,
}

/// A state word that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameWord {
    /// The phase; none if the number means nothing.
    pub phase: Option<Phase>,
    /// The dispatch that it is about, as the number a register carries.
    pub token: u32,
}

impl FrameWord {
    /// Whether the word says this phase about this dispatch.
    #[inline]
    pub fn is(self, phase: Phase, token: Token) -> bool {
        self.phase == Some(phase) && self.token == token.to_register()
    }

    fn of(word: u64) -> FrameWord {
        let phase = match word >> 32 {
            0 => Some(Phase::Empty),
            1 => Some(Phase::Published),
            2 => Some(Phase::Running),
            3 => Some(Phase::Done),
            4 => Some(Phase::Failed),
            5 => Some(Phase::Revoked),
            _ => None,
        };
        FrameWord { phase, token: word as u32 }
    }
}

/// The state word of a frame: the phase above, the token of the dispatch below, so that an answer for an earlier dispatch is seen as one.
#[derive(Debug)]
#[repr(transparent)]
pub struct FrameState(AtomicU64);

#[inline]
const fn word(phase: Phase, token: Token) -> u64 {
    (phase as u64) << 32 | token.to_register() as u64
}

/// The ordering, unless it is weakened for a mutation.
const fn unless(weakened: bool, ordering: Ordering) -> Ordering {
    if weakened { Ordering::Relaxed } else { ordering }
}

impl FrameState {
    /// The state of an empty frame; zeroed memory is one too.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        FrameState(AtomicU64::new(0))
    }

    /// What the word says, with what was written before it.
    #[inline]
    pub fn look(&self) -> FrameWord {
        FrameWord::of(self.0.load(unless(cfg!(prewire_mutation = "collect_relaxed"), Ordering::Acquire)))
    }

    /// The runtime has filled the frame.
    #[inline]
    pub fn publish(&self, token: Token) {
        self.0.store(
            word(Phase::Published, token),
            unless(cfg!(prewire_mutation = "publish_relaxed"), Ordering::Release),
        );
    }

    /// The worker takes the frame. False if the runtime has taken it back.
    #[inline]
    pub fn start(&self, token: Token) -> bool {
        let (from, to) = (word(Phase::Published, token), word(Phase::Running, token));
        if cfg!(prewire_mutation = "start_without_exchange") {
            self.0.store(to, Ordering::Release);
            return true;
        }
        self.0.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The worker is done with the frame, and has written how where it failed.
    #[inline]
    pub fn finish(&self, token: Token, succeeded: bool) {
        let phase = if succeeded { Phase::Done } else { Phase::Failed };
        self.0.store(word(phase, token), unless(cfg!(prewire_mutation = "finish_relaxed"), Ordering::Release));
    }

    /// The runtime takes the frame back. False if the worker has started it.
    #[inline]
    pub fn revoke(&self, token: Token) -> bool {
        let (from, to) = (word(Phase::Published, token), word(Phase::Revoked, token));
        if cfg!(prewire_mutation = "revoke_without_exchange") {
            self.0.store(to, Ordering::Relaxed);
            return true;
        }
        // What the frame held was the runtime's own and the worker has not looked at it.
        self.0.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The dispatch that is published here.
    #[inline]
    fn published(&self) -> Option<Token> {
        let word = self.look();
        if word.phase == Some(Phase::Published) { Token::from_register(word.token) } else { None }
    }

    /// Writes any word, for tests of a worker that answers nonsense.
    pub fn write_raw(&self, word: u64) {
        self.0.store(word, Ordering::Release);
    }
}

/// The published frame that is to be started first, of the two of a mailbox: the older one's token is the other's predecessor.
#[inline]
pub fn oldest_published(even: &FrameState, odd: &FrameState) -> Option<Token> {
    match (even.published(), odd.published()) {
        (Some(first), Some(second)) => Some(if second.next() == first { second } else { first }),
        // Both may have been published between the two looks. What was published before the odd frame is seen now.
        (None, Some(second)) if !cfg!(prewire_mutation = "frames_looked_at_once") => {
            Some(even.published().filter(|first| first.next() == second).unwrap_or(second))
        }
        (first, second) => first.or(second),
    }
}
